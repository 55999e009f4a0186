package virtual

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestFormula(t *testing.T) {
	p := plan(t,
		Meter{ID: "one", Kind: Share, Of: []string{"both"}, Method: AdditionalMetering, Shares: always(1, 3)},
		Meter{ID: "two", Kind: Share, Of: []string{"both"}, Method: NumberOfOccupants, Shares: []Dated{{Part: Part{1, 4}}, {slot(2), Part{1, 5}}}},
		Meter{ID: "three", Kind: Share, Of: []string{"both"}, Method: AreaOccupied, Shares: []Dated{{slot(2), Part{0, 1}}}},
		Meter{ID: "four", Kind: Share, Of: []string{"a"}, Method: Other, Shares: always(1, 1)},
		Meter{ID: "both", Kind: Sum, Of: []string{"a", "b"}},
		Meter{ID: "rest", Kind: Difference, Of: []string{"main", "both", "c"}},
		Meter{ID: "strict", Kind: Difference, Of: []string{"main", "c"}, Tolerance: Tolerance{PerMille: 5, Floor: 7}},
	)
	for id, want := range map[string]struct {
		formula string
		rule    energy.Rule
	}{
		"one":    {"both: 1/3", energy.RuleShareMeter},
		"two":    {"both: 1/4, 1/5 from 2026-03-10T13:00:00Z; after 1/3", energy.RuleShareHeads},
		"three":  {"both: 0/1 from 2026-03-10T13:00:00Z; after 1/3; after 1/4, 1/5 from 2026-03-10T13:00:00Z", energy.RuleShareArea},
		"four":   {"a: 1/1", energy.RuleShareOther},
		"both":   {"a + b", energy.RuleSum},
		"rest":   {"main - both - c, tolerance 30/1000, at least 1000", energy.RuleDifference},
		"strict": {"main - c, tolerance 5/1000, at least 7", energy.RuleDifference},
		"a":      {"", energy.RuleNone},
	} {
		if got := p.Formula(id); got != want.formula || p.Rule(id) != want.rule {
			t.Errorf("%s: %q by %d, not %q by %d", id, got, p.Rule(id), want.formula, want.rule)
		}
	}
}
