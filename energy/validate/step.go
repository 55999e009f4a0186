package validate

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Step is V11 for the agent's own clock: it was put right by shift, and the
// half-hours of the readings that were dated between from and to may be cut in
// the wrong places. Severity is Warning up to LostClock, Error beyond.
func (c *Checker) Step(from, to time.Time, shift time.Duration, dst []Finding) []Finding {
	if shift.Abs() <= c.o.FineClock {
		return dst
	}
	if to.Before(from) {
		from, to = to, from
	}
	c.mark(11, from, to)
	f := Finding{
		Rule: 11, Severity: Warning, From: from, To: to, Found: "the gateway's clock was wrong by " + span(shift.Abs()),
		Expected: "at most " + span(c.o.FineClock), Note: "boundaries between half-hours may lie off by as much; the sum does not change",
	}
	if shift.Abs() > c.o.LostClock {
		f.Severity, f.Note = Error, "half-hours of that time may lie in the wrong place"
	}
	return c.say(ofReading, to, f, dst)
}

// Redated is V12: the register's last readings were dated in the future, by a
// clock that was wrong. Those from now on are dated right; the half-hours that
// lie after at were taken back.
func (c *Checker) Redated(e energy.Event, dst []Finding) []Finding {
	return c.say(ofReading, e.At, Finding{
		Rule: 12, Severity: Error, From: e.At, To: e.At, Found: "the last reading is dated " + stamp(e.BeforeAt),
		Expected: "not after " + stamp(e.At), Note: "the clock was wrong: the series begins anew, and half-hours dated in the future were taken back",
	}, dst)
}
