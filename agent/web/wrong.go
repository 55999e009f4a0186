package web

import (
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// wrongView is one thing that is wrong with a meter, and what to do about it.
type wrongView struct{ What, Do string }

// wrongFor is how long an error that a check found counts as present: a rule
// that goes on speaking gives a finding an hour, or a day about half-hours.
const wrongFor = 36 * time.Hour

// wrongOf gathers what is wrong with a meter now: what cannot be read, what is
// not believed, what the operator stated and does not fit, and the errors that
// checks found lately, the newest of each rule and register.
func wrongOf(m agent.MeterStatus, found []findingView, now time.Time) (out []wrongView) {
	ask := "Try perseus-agent probe on the gateway, with the same configuration: it asks every register once and says what it sees."
	if m.Error != "" {
		out = append(out, because(wrongView{"It " + m.Down.Verb() + ": " + sentence(m.Error), ask}, m.Down, "It "+m.Down.Verb()))
	}
	for _, r := range m.Registers {
		if r.Error != "" && r.Error != m.Error {
			out = append(out, because(wrongView{r.Measure.String() + " cannot be read: " + sentence(r.Error), ask}, r.Why, r.Measure.String()+" cannot be read"))
		}
		if r.Held {
			out = append(out, wrongView{r.Measure.String() + " shows a value that does not fit what came before: it is held until it is clear, and nothing is lost meanwhile.",
				"Wait for a few minutes. If the meter was exchanged or reset, state its closing and opening readings under exchanges."})
		}
	}
	for _, a := range m.Alarms {
		switch {
		case a.State == "on" && a.Severity == "invalid":
			out = append(out, wrongView{"Its alarm is on: " + sentence(a.Means) + " Its readings are shown and not counted meanwhile.", "See to the meter: the alarm is its own."})
		case a.State == "on":
			out = append(out, wrongView{"Its alarm is on: " + sentence(a.Means), "See to the meter: the alarm is its own. Its readings are counted all the same."})
		case a.Error != "":
			out = append(out, wrongView{"Its alarm " + a.Means + " cannot be read: " + sentence(a.Error), "Compare table, address and bit under alarms with the meter's manual."})
		}
	}
	out = append(out, statedOf(m)...)
	said := map[string]bool{}
	for _, f := range found { // newest first
		of := f.Rule + f.Measure.String()
		if f.severity < validate.Error || said[of] || now.Sub(f.to) > wrongFor {
			continue
		}
		said[of] = true
		out = append(out, wrongView{f.Rule + ", " + f.Measure.String() + ", " + f.When + ": " + f.Words, f.Advice})
	}
	return out
}

// statedOf says which of the operator's statements about a meter do not do.
func statedOf(m agent.MeterStatus) (out []wrongView) {
	for _, why := range m.Refused {
		out = append(out, wrongView{statement(why), "Correct the entry under exchanges in the configuration."})
	}
	for _, why := range m.Unfilled {
		out = append(out, wrongView{statement(why),
			"A half-hourly file of that time from the supplier or data collector fills them (perseus-agent import); without one the month of a bank's report stays open."})
	}
	return out
}

// because puts a reason in the place of plain words, where there is one, and
// what to try before what else can be done.
func because(v wrongView, r *drivers.Reason, what string) wrongView {
	if r == nil {
		return v
	}
	v.What = what + ": " + sentence(r.Says)
	if r.Hint != "" {
		v.Do = statement(r.Hint) + " " + v.Do
	}
	return v
}

// notesOf picks the notes about one meter, and those about the gateway as a whole.
func notesOf(all []agent.Note, meter string) (out []agent.Note) {
	for _, n := range all {
		if n.Meter == meter || n.Meter == "" {
			out = append(out, n)
		}
	}
	return out
}

// sentence ends words with a full stop.
func sentence(s string) string { return strings.TrimSuffix(s, ".") + "." }
