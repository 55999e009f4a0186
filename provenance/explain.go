package provenance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// Deletion is the type of the step by which a relay signs for what it deleted.
// It is ours, not the scheme's.
const Deletion = "perseus-edge:deletion"

// References checks what Verify leaves open: that every step a step refers to
// is in the record, and is of a kind that may stand there (specification,
// Steps). It returns all that is wrong, nil when nothing is.
func References(steps []VerifiedStep) []error {
	kinds := map[string]string{}
	for _, s := range steps {
		kinds[s.ID] = s.Type
	}
	var out []error
	for _, s := range steps {
		for _, ref := range s.refs() {
			kind, ok := kinds[ref.id]
			switch {
			case !ok:
				out = append(out, fmt.Errorf("provenance: %s %s: its %q is %s, which is not in the record", s.Type, s.ID, ref.name, ref.id))
			case !slices.Contains(ref.kinds, kind):
				out = append(out, fmt.Errorf("provenance: %s %s: its %q is a %s: want one of %s", s.Type, s.ID, ref.name, kind, strings.Join(ref.kinds, ", ")))
			}
		}
	}
	return out
}

type reference struct {
	name, id string
	kinds    []string
}

// refs lists the steps that a step refers to.
func (s VerifiedStep) refs() []reference {
	var out []reference
	add := func(name string, kinds ...string) {
		switch v := s.Body[name].(type) {
		case string:
			out = append(out, reference{name, v, kinds})
		case []any:
			for _, x := range v {
				id, _ := x.(string)
				out = append(out, reference{name, id, kinds})
			}
		}
	}
	data := []string{"origin", "receipt", "process"}
	switch s.Type {
	case "origin":
		proofs, _ := s.Body[HalfHoursStatements].([]any)
		for _, p := range proofs {
			p, _ := p.(map[string]any)
			id, _ := p["statement"].(string)
			out = append(out, reference{"half-hours", id, []string{month.StepType}})
		}
	case "transfer":
		add("of", data...)
	case "receipt":
		add("transfer", "transfer")
	case "process":
		add("inputs", data...)
	}
	if s.Type != "permission" {
		add("permissions", "permission")
	}
	return out
}

// Explain writes verified steps as text for people: a block for every
// signature, its steps in order, and what each step rests on.
func Explain(steps []VerifiedStep) string {
	var b strings.Builder
	number := map[string]int{}
	for i, s := range steps {
		number[s.ID] = i + 1
	}
	for i, s := range steps {
		if i == 0 || !sameHand(steps[i-1], s) {
			fmt.Fprintf(&b, "%s (%s) signed at %s", s.Signed.Organisation, s.Signed.Application, stamp(s.Signed.At))
			if n := len(s.IncludedBy); n > 0 {
				fmt.Fprintf(&b, ", relied upon by %s at %s", s.IncludedBy[n-1].Application, stamp(s.IncludedBy[n-1].At))
			}
			b.WriteString(":\n")
		}
		fmt.Fprintf(&b, "  %2d. %s, %s", i+1, s.summary(), stamp(s.At))
		for j, ref := range s.refs() {
			sep := ", "
			if j == 0 {
				sep = " <- "
			}
			if n, ok := number[ref.id]; ok {
				fmt.Fprintf(&b, "%s%s %d", sep, ref.name, n)
			} else {
				fmt.Fprintf(&b, "%s%s NOT IN THE RECORD", sep, ref.name)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func sameHand(a, b VerifiedStep) bool {
	return sameSignature(a.Signed, b.Signed)
}

// summary is a step in a few words. %q keeps a stranger's text on one line.
func (s VerifiedStep) summary() string {
	last := func(k string) string { return lastPart(s.text(k)) }
	switch s.Type {
	case "permission":
		return fmt.Sprintf("permission until %q", s.text("expires"))
	case "origin":
		return fmt.Sprintf("origin %q from %q", last("sourceType"), s.text("origin"))
	case "transfer":
		return fmt.Sprintf("transfer to %q under %q", s.text("to"), last("license"))
	case "receipt":
		return "receipt"
	case "process":
		return fmt.Sprintf("process %q", last("process"))
	case month.StepType:
		return fmt.Sprintf("the gateway's half-hours of %q, meter %q, measure %q", s.text("month"), s.text("meter"), s.text("measure"))
	case Deletion:
		return fmt.Sprintf("deletion of %s half-hours of %q from %q to %q, and of %s signed batches, for %q",
			s.number("halfHours"), s.text("gateway"), s.text("first"), s.text("last"), s.number("batches"), s.text("reason"))
	}
	return fmt.Sprintf("%q", s.Type)
}

// number is a property that is a number, as it was written; "?" where it is none.
func (s VerifiedStep) number(name string) string {
	if n, ok := s.Body[name].(json.Number); ok {
		return n.String()
	}
	return "?"
}

// lastPart is the last part of a URL, but for a version at its end.
func lastPart(url string) string {
	parts := strings.Split(strings.TrimRight(url, "/"), "/")
	if n := len(parts); n > 1 && strings.HasPrefix(parts[n-1], "20") { // a version: name before it
		return parts[n-2]
	}
	return parts[len(parts)-1]
}
