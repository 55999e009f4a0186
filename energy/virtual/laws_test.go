package virtual

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"pgregory.net/rapid"
)

// The shares of a meter, whatever they are and however often they change: no
// half-hour is negative; together they never exceed the meter, and are the
// meter where they add up to 1; and over any time each is its share of the
// register's advance, give or take half a Wh for each share cut before it.
func TestSharesConserve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		den := rapid.SampledFrom([]int64{1, 2, 3, 7, 10, 97, 100, 1000, 999_999_937, 1_000_000_000}).Draw(t, "den")
		n := rapid.IntRange(1, 6).Draw(t, "tenants")
		eraEnd := rapid.IntRange(1, 40).Draw(t, "era")
		defs := make([]Meter, n)
		parts := [2][]Part{}
		for era := range parts {
			left := den
			for i := range n {
				num := rapid.Int64Range(0, left).Draw(t, "share")
				if i == n-1 && rapid.Bool().Draw(t, "whole") {
					num = left
				}
				left -= num
				parts[era] = append(parts[era], Part{num, den})
			}
		}
		for i := range defs {
			defs[i] = Meter{ID: fmt.Sprint("tenant ", i), Kind: Share, Of: []string{"main"}, Method: Other,
				Shares: []Dated{{time.Time{}, parts[0][i]}, {slot(eraEnd), parts[1][i]}}}
		}
		p, err := New(energy.Period, defs)
		if err != nil {
			t.Fatal(err)
		}
		register := rapid.Int64Range(0, 1<<40).Draw(t, "register")
		known := rapid.Bool().Draw(t, "known")
		sums, first := make([]int64, n), register
		for i := range rapid.IntRange(1, 80).Draw(t, "half-hours") {
			era := 0
			if i >= eraEnd {
				era = 1
			}
			if i == eraEnd {
				first, sums = register, make([]int64, n)
			}
			e := rapid.SampledFrom([]int64{0, 1, 2, 3, 999, 1 << 33}).Draw(t, "energy") + rapid.Int64Range(0, 9).Draw(t, "more")
			register += e
			in := measured(i, e, register)
			if !known {
				in.Cumulative = -1
			}
			all, whole := int64(0), big.NewRat(0, 1)
			for k := range defs {
				h, ok := p.HalfHour(defs[k].ID, slot(i), energy.HalfHour{}, []energy.HalfHour{in})
				if !ok || h.Energy < 0 || known && h.Cumulative < h.Energy || !known && h.Cumulative != -1 {
					t.Fatalf("%+v", h)
				}
				all += h.Energy
				whole.Add(whole, parts[era][k].rat())
				sums[k] += h.Energy
				if !known {
					continue
				}
				off := new(big.Rat).Mul(parts[era][k].rat(), big.NewRat(register-first, 1))
				off.Sub(off, big.NewRat(sums[k], 1))
				// Each of the two boundaries is out by at most half a Wh a cut.
				if off.Abs(off).Cmp(big.NewRat(int64(k+1), 1)) > 0 {
					t.Fatalf("tenant %d has %d of %d Wh: off by %s", k, sums[k], register-first, off.FloatString(3))
				}
			}
			if all > e || whole.Cmp(one) == 0 && all != e {
				t.Fatalf("%d of %d Wh are shared out, by shares of %s", all, e, whole)
			}
		}
	})
}

// What comes out of a difference is what went in, but for what is carried.
// Being stopped and started between any two half-hours changes nothing, since
// all that it remembers is in the half-hour before.
func TestDifferenceConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subs := rapid.IntRange(1, 4).Draw(t, "sub-meters")
		def := Meter{ID: "rest", Kind: Difference, Of: []string{"main"}}
		for i := range subs {
			def.Of = append(def.Of, fmt.Sprint("sub ", i))
		}
		p, err := New(energy.Period, []Meter{def})
		if err != nil {
			t.Fatal(err)
		}
		registers := make([]int64, subs+1)
		for i := range registers {
			registers[i] = rapid.Int64Range(0, 1<<40).Draw(t, "register")
		}
		prev := energy.HalfHour{}
		for i := range rapid.IntRange(1, 60).Draw(t, "half-hours") {
			in := make([]energy.HalfHour, subs+1)
			advance, worst := int64(0), energy.Measured
			for k := range in {
				e := rapid.Int64Range(0, 3000).Draw(t, "energy")
				if k == 0 {
					e *= int64(subs)
				}
				registers[k] += e
				q := rapid.SampledFrom([]energy.Quality{energy.Measured, energy.Measured, energy.Measured, energy.Interpolated, energy.Estimated, energy.Missing}).Draw(t, "quality")
				in[k] = graded(measured(i, e, registers[k]), q)
				worst = min(worst, q)
				if k == 0 {
					advance = e
				} else {
					advance -= e
				}
			}
			h, ok := p.HalfHour("rest", slot(i), prev, in)
			owed := h.Evidence.Last.Value
			switch {
			case !ok || h.Energy < 0 || owed < 0 || h.Quality > worst || h.Energy > 0 && owed > 0:
				t.Fatalf("%+v", h)
			case h.Evidence.First.Value != prev.Evidence.Last.Value:
				t.Fatalf("%d was carried out, %d in", prev.Evidence.Last.Value, h.Evidence.First.Value)
			case worst == energy.Missing && (h.Quality != energy.Missing || owed != h.Evidence.First.Value || h.Flags != 0):
				t.Fatalf("%+v", h)
			case worst > energy.Missing && (h.Quality == energy.Missing) != h.Flags.Has(9):
				t.Fatalf("%+v", h)
			case h.Quality > energy.Interpolated && (owed > 0 || h.Evidence.First.Value > 0):
				t.Fatalf("%+v carries and is %v", h, h.Quality)
			}
			// Energy and what is owed together are the meters' advance, so that
			// over any time without a hole the sums differ by what is carried.
			if h.Quality != energy.Missing && h.Energy-owed != advance-h.Evidence.First.Value {
				t.Fatalf("%+v of an advance of %d", h, advance)
			}
			if d := registers[0] - sumOf(registers[1:]); h.Quality != energy.Missing && h.Cumulative != max(d+owed, -1) {
				t.Fatalf("a register of %d of a difference of %d: %+v", h.Cumulative, d, h)
			}
			prev = h
		}
	})
}

func sumOf(all []int64) (sum int64) {
	for _, v := range all {
		sum += v
	}
	return sum
}

// However the inputs come and are corrected, and in whatever order, the virtual
// meters are in the end what they would be had they been made from the last
// values at once.
func TestUpdateIsAsIfMadeAtOnce(t *testing.T) {
	defs := []Meter{
		{ID: "tenant", Kind: Share, Of: []string{"rest"}, Method: AreaOccupied, Shares: []Dated{{slot(5), Part{1, 3}}, {slot(15), Part{2, 3}}}},
		{ID: "rest", Kind: Difference, Of: []string{"all", "shop"}},
		{ID: "all", Kind: Sum, Of: []string{"a", "b"}},
		{ID: "other tenant", Kind: Share, Of: []string{"rest"}, Method: AreaOccupied, Shares: always(1, 3)},
	}
	p, err := New(energy.Period, defs)
	if err != nil {
		t.Fatal(err)
	}
	const slots = 24
	rapid.Check(t, func(t *rapid.T) {
		s := site{}
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			id := rapid.SampledFrom([]string{"a", "b", "shop"}).Draw(t, "meter")
			from := rapid.IntRange(0, slots-1).Draw(t, "from")
			to := rapid.IntRange(from+1, min(slots, from+8)).Draw(t, "to")
			for i := from; i < to; i++ {
				e := rapid.Int64Range(0, 2000).Draw(t, "energy")
				h := graded(measured(i, e, rapid.Int64Range(e, e+1<<30).Draw(t, "register")),
					rapid.SampledFrom([]energy.Quality{energy.Measured, energy.Interpolated, energy.Estimated, energy.Missing}).Draw(t, "quality"))
				if rapid.IntRange(0, 9).Draw(t, "flag") == 0 {
					h.Flags = h.Flags.With(16)
				}
				s.put(id, h)
			}
			s.update(p, id, from0(from), slot(to))
			if again := s.update(p, id, slot(from), slot(to)); len(again) > 0 {
				t.Fatalf("nothing changed, and yet: %+v", again)
			}
		}
		whole := site{"a": s["a"], "b": s["b"], "shop": s["shop"]}
		for _, id := range p.Order() {
			prev := energy.HalfHour{}
			for i := range slots {
				in := []energy.HalfHour{}
				for _, of := range p.Inputs(id) {
					if h, ok := whole.at(of, slot(i)); ok {
						in = append(in, h)
					}
				}
				want, ok := energy.HalfHour{}, false
				if len(in) == len(p.Inputs(id)) {
					want, ok = p.HalfHour(id, slot(i), prev, in)
				}
				if ok {
					whole.put(id, want)
					prev = want
				} else { // what is owed waits
					prev, _ = p.HalfHour(id, slot(i), prev, nil)
				}
				if got, there := s.at(id, slot(i)); there != ok || ok && !same(want, got) {
					t.Fatalf("%s %d: %+v, made at once %+v", id, i, got, want)
				}
			}
		}
	})
}

// from0 is a time within a half-hour: Update begins at its start.
func from0(n int) time.Time { return slot(n).Add(energy.Period - time.Nanosecond) }
