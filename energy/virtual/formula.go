package virtual

import (
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Formula says how a virtual meter is made, so that whoever has the half-hours
// of its inputs can make its own: of a sum "a + b", of a difference "main - a -
// b, tolerance 30/1000, at least 1000" (see Tolerance), of a share "main: 7/20, 2/5 from
// 2026-01-01T00:00:00Z; after 1/3; after 1/4", where those that are cut before
// it follow (see chain). "" where the id is not a virtual meter's.
func (p *Plan) Formula(id string) string {
	n := p.byID[id]
	switch {
	case n == nil:
		return ""
	case n.Kind == Sum:
		return strings.Join(n.Of, " + ")
	case n.Kind == Difference:
		t := n.Tolerance.filled()
		return fmt.Sprintf("%s, tolerance %d/1000, at least %d", strings.Join(n.Of, " - "), t.PerMille, t.Floor)
	}
	out := n.Of[0] + ": " + datedWords(n.Shares)
	for _, before := range n.siblings {
		out += "; after " + datedWords(before.Shares)
	}
	return out
}

func datedWords(all []Dated) string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = s.Part.String()
		if !s.From.IsZero() {
			words[i] += " from " + s.From.UTC().Format(time.RFC3339Nano)
		}
	}
	return strings.Join(words, ", ")
}

// Rule is the rule by which a virtual meter's half-hours are made; RuleNone
// where the id is not a virtual meter's.
func (p *Plan) Rule(id string) energy.Rule {
	n := p.byID[id]
	switch {
	case n == nil:
		return energy.RuleNone
	case n.Kind == Sum:
		return energy.RuleSum
	case n.Kind == Difference:
		return energy.RuleDifference
	}
	return ruleOf(n.Method)
}
