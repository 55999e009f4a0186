package virtual

import (
	"math"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestSum(t *testing.T) {
	p := plan(t, Meter{ID: "v", Kind: Sum, Of: []string{"a", "b"}})
	late := measured(0, 7, 500)
	late.TakenAt = late.TakenAt.Add(time.Hour).In(energy.London())
	late.Flags = late.Flags.With(16)
	b := measured(0, 5, 100)
	b.Flags = b.Flags.With(5)
	h, ok := p.HalfHour("v", noon.In(energy.London()), energy.HalfHour{}, []energy.HalfHour{late, b})
	want := energy.HalfHour{
		Start: noon, Energy: 12, Cumulative: 600, TakenAt: late.TakenAt.UTC(), Quality: energy.Measured, Flags: energy.Flags(0).With(5).With(16),
		Evidence: energy.Evidence{First: energy.Sample{At: noon, Value: 588}, Last: energy.Sample{At: slot(1), Value: 600}, Samples: 60, Rule: energy.RuleSum},
	}
	if !ok || h != want {
		t.Errorf("%+v, not %+v", h, want)
	}
}

// Whatever the kind: missing in, missing out; the worst quality in, that out.
func TestQuality(t *testing.T) {
	p := plan(t,
		Meter{ID: "sum", Kind: Sum, Of: []string{"a", "b"}},
		Meter{ID: "rest", Kind: Difference, Of: []string{"a", "b"}},
		Meter{ID: "half", Kind: Share, Of: []string{"a"}, Method: Other, Shares: always(1, 2)})
	for qa := energy.Missing; qa <= energy.Measured; qa++ {
		for qb := energy.Missing; qb <= energy.Measured; qb++ {
			a, b := graded(measured(0, 50, 500), qa), graded(measured(0, 40, 100), qb)
			for id, in := range map[string][]energy.HalfHour{"sum": {a, b}, "rest": {a, b}, "half": {a}} {
				want := qa
				if len(in) > 1 {
					want = min(qa, qb)
				}
				h, ok := p.HalfHour(id, noon, energy.HalfHour{}, in)
				if !ok || h.Quality != want || (want == energy.Missing) != (h.Energy == 0) || (h.Cumulative < 0) != (want == energy.Missing) {
					t.Errorf("%s of %v and %v: %+v", id, qa, qb, h)
				}
				if want == energy.Missing && h.Evidence.Rule != energy.RuleNone || !h.TakenAt.After(slot(1)) {
					t.Errorf("%s of %v and %v: %+v", id, qa, qb, h)
				}
			}
		}
	}
}

func TestInputsThatAreNone(t *testing.T) {
	p := plan(t, Meter{ID: "v", Kind: Sum, Of: []string{"a", "b"}})
	good := measured(0, 5, 100)
	negative, unknown := good, good
	negative.Energy, unknown.Quality = -1, energy.Measured+1
	for name, in := range map[string][]energy.HalfHour{
		"none": nil, "one": {good}, "three": {good, good, good}, "another time": {good, measured(1, 5, 100)},
		"zero": {good, {}}, "negative": {negative, good}, "no quality": {good, unknown},
		"too large": {measured(0, math.MaxInt64, 5), measured(0, 1, 5)},
	} {
		h, ok := p.HalfHour("v", noon, energy.HalfHour{}, in)
		if !ok || h.Quality != energy.Missing || h.Energy != 0 || h.Cumulative != -1 || h.Evidence.Rule != energy.RuleNone || !h.Start.Equal(noon) {
			t.Errorf("%s: %+v", name, h)
		}
	}
	h, _ := p.HalfHour("v", noon, energy.HalfHour{}, []energy.HalfHour{measured(0, math.MaxInt64-1, math.MaxInt64), measured(0, 1, 1)})
	if h.Quality != energy.Measured || h.Energy != math.MaxInt64 || h.Cumulative != -1 {
		t.Errorf("the largest sum: %+v", h)
	}
	h, _ = p.HalfHour("v", noon, energy.HalfHour{}, []energy.HalfHour{measured(0, 1, math.MaxInt64-1), measured(0, 1, 1)})
	if h.Cumulative != math.MaxInt64 {
		t.Errorf("the largest register: %+v", h)
	}
	early := good
	early.TakenAt = noon
	h, _ = p.HalfHour("v", noon, energy.HalfHour{}, []energy.HalfHour{early, early})
	if want := slot(1).Add(time.Second); !h.TakenAt.Equal(want) {
		t.Errorf("taken at %v, not %v", h.TakenAt, want)
	}
}

// A sum over an imported value, whose register is not known.
func TestSumWithoutRegister(t *testing.T) {
	p := plan(t, Meter{ID: "v", Kind: Sum, Of: []string{"a", "b", "c"}})
	h, _ := p.HalfHour("v", noon, energy.HalfHour{}, []energy.HalfHour{measured(0, 5, 100), measured(0, 7, -1), measured(0, 9, 100)})
	if h.Energy != 21 || h.Cumulative != -1 || h.Evidence.First.Value != 0 || h.Evidence.Last.Value != 21 {
		t.Errorf("%+v", h)
	}
}

// A register that has just wrapped shows 0, which is known.
func TestRegistersAtZero(t *testing.T) {
	p := plan(t, Meter{ID: "sum", Kind: Sum, Of: []string{"a"}}, Meter{ID: "half", Kind: Share, Of: []string{"a"}, Method: Other, Shares: always(1, 2)})
	for id, want := range map[string]int64{"sum": 10, "half": 5} {
		h, _ := p.HalfHour(id, noon, energy.HalfHour{}, []energy.HalfHour{measured(0, 10, 0)})
		if h.Energy != want || h.Cumulative != 0 || h.Evidence.First.Value != -10 || h.Evidence.Last.Value != 0 {
			t.Errorf("%s: %+v", id, h)
		}
	}
}

func TestShare(t *testing.T) {
	p := plan(t,
		Meter{ID: "a", Kind: Share, Of: []string{"main"}, Method: AreaOccupied, Shares: always(1, 2)},
		Meter{ID: "b", Kind: Share, Of: []string{"main"}, Method: NumberOfOccupants, Shares: always(3, 10)},
		Meter{ID: "c", Kind: Share, Of: []string{"main"}, Method: AdditionalMetering, Shares: always(1, 5)},
		Meter{ID: "d", Kind: Share, Of: []string{"other"}, Method: Other, Shares: always(1, 2)})
	in := measured(0, 11, 1014) // from 1003 to 1014
	for _, c := range []struct {
		id            string
		e, cumulative int64
		rule          energy.Rule
	}{
		// a: round(501.5) = 502 to 507; b: 3/5 of 501 = 301 (300.6) to 3/5 of
		// 507 = 304 (304.2); c: what is left, 200 to 203.
		{"a", 5, 507, energy.RuleShareArea}, {"b", 3, 304, energy.RuleShareHeads},
		{"c", 3, 203, energy.RuleShareMeter}, {"d", 5, 507, energy.RuleShareOther},
	} {
		h, ok := p.HalfHour(c.id, noon, energy.HalfHour{}, []energy.HalfHour{in})
		want := energy.HalfHour{Start: noon, Energy: c.e, Cumulative: c.cumulative, TakenAt: in.TakenAt, Quality: energy.Measured,
			Evidence: energy.Evidence{First: energy.Sample{At: noon, Value: 1003}, Last: energy.Sample{At: slot(1), Value: 1014}, Samples: 30, Rule: c.rule}}
		if !ok || h != want {
			t.Errorf("%s: %+v, not %+v", c.id, h, want)
		}
	}
}

// The example of docs/metering.md.
func TestShareOfTheManual(t *testing.T) {
	p := plan(t,
		Meter{ID: "a", Kind: Share, Of: []string{"main"}, Method: AreaOccupied, Shares: always(1, 2)},
		Meter{ID: "b", Kind: Share, Of: []string{"main"}, Method: AreaOccupied, Shares: always(1, 3)})
	in := []energy.HalfHour{measured(0, 11, 1014)} // from 1003 to 1014
	a, _ := p.HalfHour("a", noon, energy.HalfHour{}, in)
	b, _ := p.HalfHour("b", noon, energy.HalfHour{}, in)
	if a.Energy != 5 || a.Cumulative != 507 || b.Energy != 4 || b.Cumulative != 338 {
		t.Errorf("%+v and %+v", a, b)
	}
}

// Where the register is not known, rounding favours nobody: a half of 1 Wh
// each is 1 Wh every second time, and the same each time it is asked.
func TestShareWithoutRegister(t *testing.T) {
	p := plan(t,
		Meter{ID: "a", Kind: Share, Of: []string{"main"}, Method: Other, Shares: always(1, 2)},
		Meter{ID: "b", Kind: Share, Of: []string{"main"}, Method: Other, Shares: always(1, 2)})
	var a, b int64
	for i := range 100 {
		in := []energy.HalfHour{measured(i, 1, -1)}
		ha, _ := p.HalfHour("a", slot(i), energy.HalfHour{}, in)
		hb, _ := p.HalfHour("b", slot(i), energy.HalfHour{}, in)
		again, _ := p.HalfHour("a", slot(i), ha, in)
		if ha.Cumulative != -1 || ha.Energy+hb.Energy != 1 || again != ha || ha.Evidence.Last.Value-ha.Evidence.First.Value != 1 {
			t.Fatalf("%+v and %+v", ha, hb)
		}
		a, b = a+ha.Energy, b+hb.Energy
	}
	if a != 50 || b != 50 {
		t.Errorf("%d and %d of 100 Wh", a, b)
	}
	index := noon.UnixNano() / int64(energy.Period)
	for e, first := range map[int64]int64{11: index, math.MaxInt64 - index: index, math.MaxInt64 - index + 1: 0} {
		h, _ := p.HalfHour("a", noon, energy.HalfHour{}, []energy.HalfHour{measured(0, e, -1)})
		if h.Evidence.First.Value != first || h.Evidence.Last.Value != first+e {
			t.Errorf("%d: %+v", e, h)
		}
	}
	for _, e := range []int64{math.MaxInt64, math.MaxInt64 - index + 1, math.MaxInt64 - index} {
		h, _ := p.HalfHour("a", noon, energy.HalfHour{}, []energy.HalfHour{measured(0, e, -1)})
		if h.Quality != energy.Measured || h.Energy-e/2 > 1 || h.Energy < e/2 {
			t.Errorf("half of %d is %d", e, h.Energy)
		}
	}
	old := time.Unix(-1800, 0).UTC()
	in := energy.HalfHour{Start: old, Energy: 10, Cumulative: -1, Quality: energy.Measured}
	if h, _ := p.HalfHour("a", old, energy.HalfHour{}, []energy.HalfHour{in}); h.Energy != 5 || h.Evidence.First.Value != 0 {
		t.Errorf("before 1970: %+v", h)
	}
}

func TestDatedShares(t *testing.T) {
	p := plan(t,
		Meter{ID: "a", Kind: Share, Of: []string{"main"}, Method: AreaOccupied, Shares: []Dated{{slot(2), Part{1, 4}}, {slot(4), Part{3, 4}}, {slot(6), Part{0, 1}}}},
		Meter{ID: "b", Kind: Share, Of: []string{"main"}, Method: AreaOccupied, Shares: always(1, 4)},
		// A date within a half-hour counts from the next one on.
		Meter{ID: "c", Kind: Share, Of: []string{"other"}, Method: AreaOccupied, Shares: []Dated{{slot(2).Add(-time.Nanosecond), Part{1, 4}}, {slot(4).Add(time.Nanosecond), Part{3, 4}}}})
	for i, want := range []struct {
		ok         bool
		a, b, c    int64
		okC        bool
		cumulative int64
	}{
		{false, 0, 25, 0, false, 0}, {false, 0, 25, 0, false, 0},
		{true, 25, 25, 25, true, 75}, {true, 25, 25, 25, true, 100},
		{true, 75, 25, 25, true, 375}, {true, 75, 25, 75, true, 450},
		{true, 0, 25, 75, true, 0},
	} {
		in := []energy.HalfHour{measured(i, 100, int64(i+1)*100)}
		a, ok := p.HalfHour("a", slot(i), energy.HalfHour{}, in)
		b, okB := p.HalfHour("b", slot(i), energy.HalfHour{}, in)
		c, okC := p.HalfHour("c", slot(i), energy.HalfHour{}, in)
		if ok != want.ok || !okB || okC != want.okC || a.Energy != want.a || b.Energy != want.b || c.Energy != want.c || a.Cumulative != want.cumulative {
			t.Errorf("half-hour %d: %+v (%v), %+v, %+v (%v)", i, a, ok, b, c, okC)
		}
		if ok && (a.Quality != energy.Measured || a.Evidence.Rule != energy.RuleShareArea) {
			t.Errorf("half-hour %d: %+v", i, a)
		}
	}
}
