package validate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Event applies V03, V04, V05, V07, V12 and V17 to what an Accumulator noticed,
// and flags the half-hours that the break touches. An Exchanged that the
// operator has stated is no finding: do not bring it here.
func (c *Checker) Event(e energy.Event, dst []Finding) []Finding {
	switch e.Kind {
	case energy.Glitch:
		f := c.fellOrLeapt(e)
		f.Severity, f.Note = Warning, "the value was not counted and the register came back"
		if e.After == 0 {
			if c.o.Modulus > 0 && e.Before >= c.o.Modulus-c.o.Modulus/100 {
				return dst // a register that wraps shows 0, too
			}
			f.Note = "a momentary 0, not counted"
		}
		f.From, f.To = e.At, e.At
		return c.say(ofReading, e.At, f, dst)
	case energy.Retracted:
		return c.say(ofReading, e.At, Finding{
			Rule: 3, Severity: Warning, From: e.At, To: e.At, Found: "a single reading of " + c.amount(e.After), Expected: "what follows " + c.amount(e.Before),
			Note: "the register came back: the half-hours that were made with it are given again without it",
		}, dst)
	case energy.CaughtUp:
		c.mark(7, since(e), e.At)
		return c.say(ofReading, e.At, Finding{
			Rule: 7, Severity: Warning, From: since(e), To: e.At, Found: "the register stood at " + c.amount(e.Before) + " and then leapt to " + c.amount(e.After),
			Expected: "what the meter counts, when it counts it", Note: "it was frozen: what it counted meanwhile is spread over the time, and the half-hours are given again as estimates",
		}, dst)
	case energy.TooFast:
		f := c.fellOrLeapt(e)
		f.Severity, f.Note = Warning, "it is held until what follows confirms or refutes it"
		f.From, f.To = e.At, e.At
		return c.say(ofReading, e.At, f, dst)
	case energy.Rollover:
		c.mark(4, since(e), e.At)
		return c.say(ofReading, e.At, Finding{
			Rule: 4, Severity: Info, From: since(e), To: e.At, Found: "from " + c.amount(e.Before) + " to " + c.amount(e.After),
			Expected: "a wrap at " + c.amount(c.o.Modulus), Note: "the energy through it is counted",
		}, dst)
	case energy.Reset:
		return c.reset(e, dst)
	case energy.Ambiguous:
		c.mark(4, since(e), e.At)
		return c.say(ofReading, e.At, Finding{
			Rule: 4, Severity: Error, From: since(e), To: e.At, Found: "no reading for " + span(e.At.Sub(since(e))),
			Expected: "a reading before the register can wrap twice", Note: "how often it wrapped is not known: the half-hours between are missing",
		}, dst)
	case energy.Exchanged:
		return c.Change(since(e), e.At, "another meter, at "+c.amount(e.After), "the meter that was read until "+stamp(since(e)), dst)
	case energy.ClockBack:
		return c.Redated(e, dst)
	}
	return dst
}

// reset speaks of a register that has a new baseline.
func (c *Checker) reset(e energy.Event, dst []Finding) []Finding {
	if e.Before < 0 {
		return dst
	}
	f := c.fellOrLeapt(e)
	f.Severity, f.From, f.To = Error, since(e), e.At
	f.Note = "it stayed there: the energy of the break is not known, and its half-hours are missing"
	c.mark(f.Rule, f.From, f.To)
	dst = c.say(ofReading, e.At, f, dst)
	if c.o.Modulus <= 0 || e.After >= e.Before || e.Before < c.o.Modulus-c.o.Modulus/10 {
		return dst
	}
	// It looked like a wrap, but was not believed.
	f.Rule, f.Note = 4, "near the modulus, but more than the meter can have counted in the time: not taken for a wrap"
	f.Expected = "a wrap at " + c.amount(c.o.Modulus)
	c.mark(4, f.From, f.To)
	return c.say(ofReading, e.At, f, dst)
}

// fellOrLeapt is V03 for a register that went down, else V05.
func (c *Checker) fellOrLeapt(e energy.Event) Finding {
	f := Finding{Rule: 3, Found: "from " + c.amount(e.Before) + " to " + c.amount(e.After), Expected: "at least " + c.amount(e.Before)}
	if e.After >= e.Before {
		f.Rule, f.Expected = 5, "what the connection can carry in "+span(e.At.Sub(since(e)))
	}
	return f
}

// since is when the baseline was read.
func since(e energy.Event) time.Time {
	if e.BeforeAt.IsZero() || e.BeforeAt.After(e.At) {
		return e.At
	}
	return e.BeforeAt
}

// Change is V17: the meter or the way it is read is another one than stated,
// and no exchange record tells of it. before is when the register was last read
// as stated, at when it was found out. found and expected say what, e.g.
// "serial 7654321" and "serial 1234567".
func (c *Checker) Change(before, at time.Time, found, expected string, dst []Finding) []Finding {
	from := before
	if from.IsZero() || from.After(at) {
		from = at
	}
	c.mark(17, from, at)
	return c.say(ofReading, at, Finding{
		Rule: 17, Severity: Error, From: from, To: at, Found: found, Expected: expected + " or a stated exchange",
		Note: "the energy between the two is not known until the exchange is stated",
	}, dst)
}

// Uncounted is V17, too: an exchange is stated for an instant at which nothing
// can be counted through it. now is when that was found out.
func (c *Checker) Uncounted(at, now time.Time, dst []Finding) []Finding {
	return c.say(ofReading, now, Finding{
		Rule: 17, Severity: Error, From: at, To: at, Found: "an exchange is stated, and half-hours stay missing",
		Expected: "the old meter read through the whole half-hour before them", Note: "a half-hourly file of that time can fill them",
	}, dst)
}

// Power is V05 for a point that shows a power alone: one beyond most, in W (or
// var), either way, was not counted.
func (c *Checker) Power(at time.Time, found, most int64, dst []Finding) []Finding {
	unit := " " + strings.TrimSuffix(c.key.Measure.BaseUnit(), "h")
	return c.say(ofReading, at, Finding{
		Rule: 5, Severity: Warning, From: at, To: at, Found: strconv.FormatInt(found, 10) + unit,
		Expected: "at most " + strconv.FormatInt(most, 10) + unit + " either way", Note: "the value was not counted",
	}, dst)
}

// Learn takes what a device says of its own register: where it wraps (base
// units; 0: never), and what one count is.
func (c *Checker) Learn(modulus, step int64) {
	o := *c.o // others share it
	o.Modulus, o.Step = modulus, step
	c.o = &o
}

// amount writes an amount in base units; from 10,000 of them on as meters show
// it, in thousands of them with three decimals.
func (c *Checker) amount(v int64) string { return written(v, c.key.Measure.BaseUnit()) }

func written(v int64, base string) string {
	if v < 10_000 {
		return strconv.FormatInt(v, 10) + " " + base
	}
	unit := "k" + base
	if base == "L" {
		unit = "m3"
	}
	return fmt.Sprintf("%d.%03d %s", v/1000, v%1000, unit)
}

func word(f *Facts) string {
	if f.Word == "" {
		return ""
	}
	return ": " + f.Word
}

// span writes a duration for people: whole seconds, or days from two days on.
func span(d time.Duration) string {
	if d >= 48*time.Hour {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + " days"
	}
	return d.Round(time.Second).String()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
