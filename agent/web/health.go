package web

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/drivers"
)

//go:embed health.html
var healthText string

// healthView answers an installer's first question: what is not read, since
// when, why, and what to try.
type healthView struct {
	Words string // how many meters are read
	Class string
	Down  []downView
	Wires []wireView
}

// downView is a bus or a meter that is not read.
type downView struct {
	Name  string   // of the meter; of the bus where it is one
	Bus   bool     // it is a whole bus
	Part  string   // of a meter that answers, but not for everything: what it does not give
	Takes []string // the meters that a bus which is down keeps from being read
	More  int      // that are not named
	Since string
	For   string // how long that is
	Why   string
	Try   string
	Again string // when it is tried next
}

// wireView is one bus and what went over it.
type wireView struct {
	ID, State, Class string
	Words            []string
	Errors           string
}

// persists is how long a meter or a bus must have been silent until people are
// to see to it: a lost answer now and then is the wire's nature, and it is asked
// again within seconds.
const persists = time.Minute

// maxTaken is how many meters of a bus that is down are named.
const maxTaken = 8

func healthOf(st agent.Status, now time.Time) (v healthView) {
	down := map[string]bool{}
	brief := func(since time.Time) bool { return now.Sub(since) < persists }
	for _, b := range st.Buses {
		v.Wires = append(v.Wires, wireOf(b))
		if b.State == "ok" {
			continue
		}
		if b.State == "down" && brief(b.Since) {
			continue
		}
		down[b.ID] = true
		d := downView{Name: b.ID, Bus: true}
		d.put(b.Down, b.Error, b.Since, b.Again, now)
		for _, m := range st.Meters {
			switch {
			case m.Bus != b.ID:
			case len(d.Takes) < maxTaken:
				d.Takes = append(d.Takes, m.ID)
			default:
				d.More++
			}
		}
		v.Down = append(v.Down, d)
	}
	all, silent, missed, waiting, partly := 0, 0, 0, 0, 0
	for _, m := range st.Meters {
		if m.Derived != "" {
			continue // nobody asks it
		}
		all++
		d := downView{Name: m.ID}
		switch {
		case m.State == "failing" && brief(m.Since) && m.Answered.IsZero():
			waiting++ // it has just been asked for the first time
		case m.State == "failing" && brief(m.Since):
			missed++
		case m.State == "failing":
			silent++
			d.put(m.Down, m.Error, m.Since, m.Again, now)
			if m.Answered.IsZero() {
				d.Since = "Never read"
			}
			if !down[m.Bus] { // else its bus says it for all
				v.Down = append(v.Down, d)
			}
		case m.State == "waiting":
			waiting++
		case m.State == "partly" && brief(m.Since):
			missed++
		case m.State == "partly":
			partly++
			for _, r := range m.Registers {
				if r.Error == "" {
					continue
				}
				d := downView{Name: m.ID, Part: r.Measure.String()}
				d.put(r.Why, r.Error, latest(r.At, m.Since), time.Time{}, now)
				if r.At.IsZero() {
					d.Since = "Never read"
				}
				v.Down = append(v.Down, d)
			}
		}
	}
	v.Words, v.Class = readWords(all, silent, missed, waiting), "good"
	switch {
	case silent > 0 || len(down) > 0:
		v.Class = "bad"
	case partly > 0 || waiting > 0:
		v.Class = "warn"
	}
	return v
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// readWords says how many of all meters are read. One that missed its last turn
// is read all the same, until that persists.
func readWords(all, silent, missed, waiting int) string {
	read := all - silent - waiting
	var words string
	switch {
	case all == 0:
		return "No meter is configured"
	case read == all && all == 1:
		words = "The meter is read"
	case read == all:
		words = fmt.Sprintf("All %d meters are read", all)
	case read == 1:
		words = fmt.Sprintf("1 of %d meters is read", all)
	default:
		words = fmt.Sprintf("%d of %d meters are read", read, all)
	}
	if missed > 0 {
		words += fmt.Sprintf(", %d did not answer just now", missed)
	}
	switch {
	case waiting == 1:
		words += ", 1 has given nothing yet"
	case waiting > 1:
		words += fmt.Sprintf(", %d have given nothing yet", waiting)
	}
	return words
}

func (d *downView) put(why *drivers.Reason, otherwise string, since, again, now time.Time) {
	d.Why = statement(otherwise)
	if why != nil {
		d.Why, d.Try = statement(why.Says), statement(why.Hint)
	}
	if !since.IsZero() {
		if d.Since = at(since); now.Sub(since) >= 2*time.Second {
			d.For = "for " + span(now.Sub(since))
		}
	}
	if !again.IsZero() {
		d.Again = "Tried again in " + span(max(time.Second*2, again.Sub(now))) + "."
	}
}

// statement makes a sentence of words that an error had in its middle.
func statement(s string) string {
	if s == "" {
		return ""
	}
	r, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(r)) + s[n:]
	if strings.HasSuffix(s, "?") || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func wireOf(b agent.BusStatus) wireView {
	v := wireView{ID: b.ID, State: "ok", Class: "good", Words: agent.WireWords(b), Errors: agent.ErrorWords(b.Errors)}
	if b.State != "ok" {
		v.State, v.Class = b.State, "bad"
	}
	if !b.Heard {
		v.Words = slices.Insert(v.Words, 0, fmt.Sprintf("%d polls", b.Polls), fmt.Sprintf("asked %.0f %% of the time", b.Busy*100))
	}
	return v
}

// readView is how one meter is read, on its own page.
type readView struct {
	Latency string
	Traffic string
	Errors  string
	Since   string
}

// readOf says how a meter answers; nil for one that nobody asks.
func readOf(m agent.MeterStatus) *readView {
	if m.Derived != "" {
		return nil
	}
	v := &readView{Errors: agent.ErrorWords(m.Errors)}
	if !m.Since.IsZero() {
		v.Since = at(m.Since)
	}
	if l := m.Latency; l != nil {
		v.Latency = fmt.Sprintf("%s ms the last time, %s on average, 19 of 20 within %s (the last %d)", ms(l.Last), ms(l.Mean), ms(l.P95), l.Answers)
	}
	if t := m.Traffic; t != nil {
		v.Traffic = fmt.Sprintf("%d, %s in, %s out", t.Requests, agent.Bytes(t.BytesIn), agent.Bytes(t.BytesOut))
	}
	return v
}

func ms(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// answers is a meter's latency in the table of many meters.
func answers(m agent.MeterStatus) string {
	if m.Latency == nil {
		return ""
	}
	return ms(m.Latency.P95) + " ms"
}

// join puts names in a row.
func join(names []string, more int) string {
	names = slices.Clone(names)
	if more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
