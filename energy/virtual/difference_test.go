package virtual

import (
	"math"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// owing is a half-hour of the difference itself that carries a deficit on.
func owing(n int, q energy.Quality, owed int64) energy.HalfHour {
	h := graded(measured(n, 0, 100), q)
	h.Evidence = energy.Evidence{Rule: energy.RuleDifference,
		First: energy.Sample{At: slot(n)}, Last: energy.Sample{At: slot(n + 1), Value: owed}}
	if q == energy.Missing {
		h.Evidence.Rule = energy.RuleNone
	}
	return h
}

func TestDifference(t *testing.T) {
	const (
		missing, substituted, estimated, interpolated, exact = energy.Missing, energy.Substituted, energy.Estimated, energy.Interpolated, energy.Measured
	)
	none := energy.HalfHour{}
	for _, c := range []struct {
		name       string
		prev       energy.HalfHour
		main, sub  int64
		of         energy.Quality // of both inputs
		q          energy.Quality
		e, in, out int64
	}{
		{"simple", none, 100, 60, exact, exact, 40, 0, 0},
		{"nothing left", none, 60, 60, exact, exact, 0, 0, 0},
		{"one too many", none, 60, 61, exact, interpolated, 0, 0, 1},
		{"given back in part", owing(-1, interpolated, 50), 100, 60, exact, interpolated, 0, 50, 10},
		{"given back just so", owing(-1, interpolated, 40), 100, 60, exact, interpolated, 0, 40, 0},
		{"given back", owing(-1, interpolated, 30), 100, 60, exact, interpolated, 10, 30, 0},
		{"added to", owing(-1, interpolated, 30), 100, 120, exact, interpolated, 0, 30, 50},
		{"out of an estimate", owing(-1, estimated, 30), 100, 60, exact, estimated, 10, 30, 0},
		{"out of a substitute", owing(-1, substituted, 30), 100, 60, exact, substituted, 10, 30, 0},
		{"out of a hole", owing(-1, missing, 30), 100, 60, exact, estimated, 10, 30, 0},
		{"nothing owed by an estimate", owing(-1, estimated, 0), 100, 60, exact, exact, 40, 0, 0},
		{"nothing owed by a substitute", owing(-1, substituted, 0), 100, 60, exact, exact, 40, 0, 0},
		{"nothing owed by a hole", owing(-1, missing, 0), 100, 60, exact, exact, 40, 0, 0},
		{"not the one before", owing(-2, interpolated, 30), 100, 60, exact, exact, 40, 0, 0},
		{"the one itself", owing(0, interpolated, 30), 100, 60, exact, exact, 40, 0, 0},
		{"a real meter before", measured(-1, 10, 5000), 100, 60, exact, exact, 40, 0, 0},
		{"into a worse one", owing(-1, interpolated, 30), 100, 60, substituted, substituted, 10, 30, 0},

		// The tolerance: 3 % of the sub-meters, at least 1 kWh.
		{"the floor", none, 0, 1000, exact, interpolated, 0, 0, 1000},
		{"above the floor", none, 0, 1001, exact, missing, 0, 0, 0},
		{"3 %", none, 97_000, 100_000, exact, interpolated, 0, 0, 3000},
		{"above 3 %", none, 96_999, 100_000, exact, missing, 0, 0, 0},
		{"3 % in all", owing(-1, interpolated, 2999), 99_999, 100_000, exact, interpolated, 0, 2999, 3000},
		{"above 3 % in all", owing(-1, interpolated, 3000), 99_999, 100_000, exact, missing, 0, 3000, 0},
		{"above 3 %, but given back", owing(-1, interpolated, 5001), 100_000, 100_000, exact, interpolated, 0, 5001, 5001},
		{"half, where interpolated", none, 50_000, 100_000, interpolated, interpolated, 0, 0, 50_000},
		{"more than half", none, 49_999, 100_000, interpolated, missing, 0, 0, 0},
		{"a day's, where estimated", owing(-1, estimated, 4_800_000-1), 99_999, 100_000, estimated, estimated, 0, 4_800_000 - 1, 4_800_000},
		{"more than a day's", owing(-1, estimated, 4_800_000), 99_999, 100_000, estimated, missing, 0, 4_800_000, 0},
		{"out of an estimate, added to", owing(-1, estimated, 4_000_000), 99_999, 100_000, exact, estimated, 0, 4_000_000, 4_000_001},
		{"out of a hole, added to", owing(-1, missing, 4_000_000), 99_999, 100_000, exact, estimated, 0, 4_000_000, 4_000_001},
		{"all of it, where substituted", none, 0, 100_000, substituted, substituted, 0, 0, 100_000},
		{"no overflow", owing(-1, estimated, math.MaxInt64), 5, 0, exact, estimated, 0, math.MaxInt64, math.MaxInt64 - 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := plan(t, Meter{ID: "v", Kind: Difference, Of: []string{"main", "sub"}})
			main, sub := graded(measured(0, c.main, 1_000_000_000), c.of), graded(measured(0, c.sub, 999_000_000), c.of)
			h, ok := p.HalfHour("v", noon, c.prev, []energy.HalfHour{main, sub})
			want := energy.Evidence{First: energy.Sample{At: noon, Value: c.in}, Last: energy.Sample{At: slot(1), Value: c.out}, Samples: 60, Rule: energy.RuleDifference}
			cumulative, flags := 1_000_000+c.out, energy.Flags(0)
			if cumulative < 0 { // it would not fit
				cumulative = -1
			}
			if c.q == missing {
				want.Rule, cumulative, flags = energy.RuleNone, -1, flags.With(9)
			}
			if !ok || h.Energy != c.e || h.Quality != c.q || h.Evidence != want || h.Flags != flags || h.Cumulative != cumulative {
				t.Errorf("%+v", h)
			}
		})
	}
}

// While an input is missing, the deficit waits; and it is not taken for one
// where a missing half-hour has a real meter's samples in it.
func TestDeficitWaits(t *testing.T) {
	p := plan(t, Meter{ID: "v", Kind: Difference, Of: []string{"main", "sub"}})
	prev := owing(-1, energy.Interpolated, 7)
	for i := range 3 {
		in := []energy.HalfHour{measured(i, 10, 50), graded(measured(i, 1, 5), energy.Missing)}
		in[0].Flags = in[0].Flags.With(16)
		prev, _ = p.HalfHour("v", slot(i), prev, in)
		want := energy.Evidence{First: energy.Sample{At: slot(i), Value: 7}, Last: energy.Sample{At: slot(i + 1), Value: 7}, Samples: 30}
		if prev.Quality != energy.Missing || prev.Evidence != want || prev.Flags != energy.Flags(0).With(16) {
			t.Fatalf("%+v", prev)
		}
	}
	withdrawn, other := prev, prev
	withdrawn.Evidence.Rule, other.Evidence.Rule = energy.RuleWithdrawn, energy.RuleDifference // the one as the store marks it
	var h energy.HalfHour
	for _, before := range []energy.HalfHour{prev, withdrawn} {
		h, _ = p.HalfHour("v", slot(3), before, []energy.HalfHour{measured(3, 10, 50), measured(3, 1, 5)})
		if h.Energy != 2 || h.Quality != energy.Estimated {
			t.Errorf("%+v", h)
		}
	}
	if h, _ = p.HalfHour("v", slot(3), other, []energy.HalfHour{measured(3, 10, 50), measured(3, 1, 5)}); h.Energy != 9 {
		t.Errorf("missing, and by a rule: %+v", h)
	}
	for _, at := range [][2]time.Time{{slot(2).Add(-1), slot(3)}, {slot(2), slot(3).Add(1)}} {
		real := prev
		real.Evidence.First.At, real.Evidence.Last.At = at[0], at[1]
		h, _ = p.HalfHour("v", slot(3), real, []energy.HalfHour{measured(3, 10, 50), measured(3, 1, 5)})
		if h.Energy != 9 || h.Quality != energy.Measured {
			t.Errorf("%+v", h)
		}
	}
	odd := owing(2, energy.Interpolated, -5)
	if h, _ = p.HalfHour("v", slot(3), odd, []energy.HalfHour{measured(3, 10, 50), measured(3, 1, 5)}); h.Energy != 9 {
		t.Errorf("a credit was carried: %+v", h)
	}
}

func TestToleranceThatIsSet(t *testing.T) {
	p := plan(t, Meter{ID: "v", Kind: Difference, Of: []string{"main", "sub"}, Tolerance: Tolerance{PerMille: 600, Floor: 5}})
	for _, c := range []struct {
		main, sub int64
		q         energy.Quality
		missing   bool
	}{
		{0, 5, energy.Measured, false}, {0, 6, energy.Measured, true},
		{40, 100, energy.Measured, false}, {39, 100, energy.Measured, true},
		{40, 100, energy.Interpolated, false}, {39, 100, energy.Interpolated, true}, // never stricter than where measured
	} {
		in := []energy.HalfHour{graded(measured(0, c.main, 1000), c.q), graded(measured(0, c.sub, 100), c.q)}
		if h, _ := p.HalfHour("v", noon, energy.HalfHour{}, in); (h.Quality == energy.Missing) != c.missing {
			t.Errorf("%+v: %+v", c, h)
		}
	}
	if got := (Tolerance{PerMille: 1000}).allowed(energy.Measured, math.MaxInt64/1000); got != math.MaxInt64/1000/1000*1000+(math.MaxInt64/1000)%1000 {
		t.Errorf("the largest product: %d", got)
	}
	if got := (Tolerance{PerMille: 1000}).allowed(energy.Measured, math.MaxInt64/1000+1); got != math.MaxInt64 {
		t.Errorf("beyond it: %d", got)
	}
}

func TestDifferenceThatDoesNotFit(t *testing.T) {
	p := plan(t, Meter{ID: "v", Kind: Difference, Of: []string{"main", "a", "b"}})
	in := []energy.HalfHour{measured(0, 5, 100), measured(0, math.MaxInt64, 10), measured(0, 1, 10)}
	if h, _ := p.HalfHour("v", noon, energy.HalfHour{}, in); h.Quality != energy.Missing || h.Flags != 0 {
		t.Errorf("%+v", h)
	}
	in = []energy.HalfHour{measured(0, 5, 100), measured(0, 1, 10), measured(0, 1, 10)}
	if h, _ := p.HalfHour("v", noon, owing(-1, energy.Estimated, math.MaxInt64-1), in); h.Quality != energy.Missing || h.Flags != 0 {
		t.Errorf("%+v", h)
	}
	if h, _ := p.HalfHour("v", noon, owing(-1, energy.Estimated, math.MaxInt64-2), in); h.Quality != energy.Estimated || h.Evidence.Last.Value != math.MaxInt64-5 {
		t.Errorf("%+v", h)
	}
}

// The register of a difference is known where the registers of all are, and
// where it would not be negative or too large.
func TestDifferenceRegister(t *testing.T) {
	p := plan(t, Meter{ID: "v", Kind: Difference, Of: []string{"main", "sub"}})
	for _, c := range []struct{ main, sub, want int64 }{
		{500, 200, 300}, {200, 200, 0}, {200, 201, -1}, {-1, 200, -1}, {200, -1, -1}, {0, 0, 0},
	} {
		in := []energy.HalfHour{measured(0, 10, c.main), measured(0, 4, c.sub)}
		if h, _ := p.HalfHour("v", noon, energy.HalfHour{}, in); h.Cumulative != c.want || h.Energy != 6 {
			t.Errorf("%+v: %+v", c, h)
		}
	}
	for _, c := range []struct{ main, want int64 }{{math.MaxInt64 - 3, math.MaxInt64}, {math.MaxInt64 - 2, -1}} {
		in := []energy.HalfHour{measured(0, 1, c.main), measured(0, 4, 0)}
		if h, _ := p.HalfHour("v", noon, energy.HalfHour{}, in); h.Cumulative != c.want {
			t.Errorf("%+v: %+v", c, h)
		}
	}
}
