package web

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/store"
)

// Finding is what a validation rule found out about a register, as the API
// gives it, with the rule's own words.
type Finding struct {
	Rule     string            `json:"rule"` // "V05"
	Title    string            `json:"title"`
	Severity validate.Severity `json:"severity"`
	Meter    string            `json:"meter"`
	Measure  energy.Measure    `json:"measure"`
	From     time.Time         `json:"from"` // what it speaks of; equal to To for an instant
	To       time.Time         `json:"to"`
	Found    string            `json:"found,omitempty"`
	Expected string            `json:"expected,omitempty"`
	Note     string            `json:"note,omitempty"`
	Count    int               `json:"count"`            // how many times it stands for
	Advice   string            `json:"advice,omitempty"` // what to do
}

// Findings gives the findings about instants in [From, To) of a query, in the
// order in which they were made.
func Findings(l agent.Ledger, q agent.Query) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		for f, err := range l.Findings(q.From, q.To) {
			if errors.Is(err, store.ErrDamaged) {
				continue // words about readings, not readings; the store counts what is damaged
			}
			if err != nil {
				yield(Finding{}, err)
				return
			}
			if q.Meter != "" && q.Meter != f.Meter || q.Measure != 0 && q.Measure != f.Measure {
				continue
			}
			if !yield(finding(f), nil) {
				return
			}
		}
	}
}

// finding reads a stored finding. One that cannot be read, since a later
// version wrote it, is still told by its rule and its time.
func finding(k energy.KeyedFinding) Finding {
	rule, ok := validate.RuleOf(int(k.Rule))
	if !ok {
		rule = validate.Rule{ID: fmt.Sprintf("V%02d", k.Rule), Title: "a rule that this version does not know", Severity: validate.Warning}
	}
	out := Finding{Rule: rule.ID, Title: rule.Title, Severity: rule.Severity, Meter: k.Meter, Measure: k.Measure, From: k.At, To: k.At, Count: 1, Advice: rule.Advice}
	f, err := validate.ParseFinding(k.Body)
	if err != nil {
		out.Note = "its details cannot be read by this version"
		return out
	}
	out.Severity, out.From, out.To, out.Found, out.Expected, out.Note, out.Count = f.Severity, f.From, f.To, f.Found, f.Expected, f.Note, f.Count
	return out
}

// Words says a finding in a sentence or two, without its time and its advice.
func (f Finding) Words() string {
	s := f.Title
	switch {
	case f.Found != "" && f.Expected != "":
		s += ": " + f.Found + " (expected: " + f.Expected + ")"
	case f.Found != "":
		s += ": " + f.Found
	}
	if f.Count > 1 {
		s += fmt.Sprintf(" (%d times)", f.Count)
	}
	if f.Note != "" {
		s += "; " + f.Note
	}
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}
