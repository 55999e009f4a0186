package agent

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
	"github.com/perseus-edge/perseus-edge/store"
	"pgregory.net/rapid"
)

// lawSlots is how many half-hours the laws are tried on.
const lawSlots = 24

func slot(i int) time.Time { return epoch.Add(time.Duration(i) * energy.Period) }

// lawSites are configurations that follow one another in any order: shares that
// change on a date, or hold from a later one on than before, sums and differences
// of other inputs, a real meter that becomes a virtual one, and none at all.
func lawSites(f *fakeBus) (all []*config.Config) {
	from := func(i int, num, den int64) config.Share {
		return config.Share{From: slot(i), Part: virtual.Part{Num: num, Den: den}}
	}
	less := func(id, of string, minus ...string) config.Meter {
		return config.Meter{ID: id, Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Of: of, Minus: minus}}
	}
	sum := func(id string, of ...string) config.Meter {
		return config.Meter{ID: id, Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Sum: of}}
	}
	for _, made := range [][]config.Meter{
		{less("rest", "a", "b"), sum("both", "a", "rest"), shared("one", "rest", part(1, 3)), shared("two", "rest", part(2, 3))},
		{less("rest", "a", "b", "c"), sum("both", "b", "c"), shared("one", "rest", part(1, 3), from(10, 1, 2)), shared("two", "rest", part(2, 3), from(10, 1, 2))},
		{less("rest", "a", "b"), shared("one", "rest", from(8, 1, 4)), shared("two", "rest", part(1, 1), from(8, 3, 4))},
		{shared("c", "a", part(1, 2)), less("rest", "a", "b", "c"), shared("one", "rest", part(1, 2)), shared("two", "rest", part(1, 2))},
		{},
	} {
		c := site(f, time.Minute)
		for _, m := range made {
			if m.ID == "c" {
				c.Meters = c.Meters[:2]
			}
		}
		c.Meters = append(c.Meters, made...)
		all = append(all, c)
	}
	return all
}

// Whatever comes, in whatever order, is corrected, withdrawn, imported, lost
// when the store could not be written, or looked at by another configuration:
// the virtual half-hours that are stored are those that are made at once of the
// stored half-hours of their inputs. (What real meters counted under their ids
// before stands, and so does what was made of inputs that they do not have.)
func TestVirtualIsAsIfMadeAtOnce(t *testing.T) {
	f := newFake(registers{failing}, registers{failing}, registers{failing})
	dir, n := t.TempDir(), 0
	now := func() time.Time { return slot(lawSlots + 9) }
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := fmt.Sprintf("%s/%d.db", dir, n)
		defer os.Remove(path)
		s := openFaulty(t, path)
		defer func() { s.Close() }()
		sites := lawSites(f)
		c := sites[0]
		var a *Agent
		derived := false
		start := func() {
			var err error
			if a, err = New(Options{Config: c, Store: s, Drivers: f.drivers(), Now: now, Logger: quietLog}); err != nil {
				rt.Fatal(err)
			}
			derived = a.recorder.deriveAll()
		}
		start()
		for range rapid.IntRange(1, 10).Draw(rt, "events") {
			id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "meter")
			from := rapid.IntRange(0, lawSlots-1).Draw(rt, "from")
			to := rapid.IntRange(from+1, min(lawSlots, from+8)).Draw(rt, "to")
			switch what := rapid.SampledFrom([]string{"read", "read", "read", "import", "restart", "configure", "break", "mend"}).Draw(rt, "what"); {
			case what == "break":
				err := errCut
				s.fail.Store(&err)
			case what == "mend":
				s.fail.Store(nil)
			case what == "restart":
				start()
			case what == "configure":
				c = sites[rapid.IntRange(0, len(sites)-1).Draw(rt, "site")]
				start()
			case !a.measured(key(id)):
			case what == "read":
				for i := from; i < to; i++ {
					a.buses[0].pending = append(a.buses[0].pending, drawn(rt, key(id), i))
				}
			case what == "import":
				x := hhfile.Series{ID: "x", Measure: energy.Import}
				for i := from; i < to; i++ {
					h := drawn(rt, key(id), i).HalfHour
					h.Quality, h.Cumulative, h.Evidence.Rule = energy.Measured, -1, energy.RuleImported
					if rapid.Bool().Draw(rt, "estimate") {
						h.Quality, h.Evidence.Rule = energy.Estimated, energy.RuleImportedEst
					}
					x.HalfHours = append(x.HalfHours, h)
				}
				m, _ := c.Meter(id)
				out := ImportSeries{Measure: energy.Import, From: slot(from), To: slot(to)}
				if importOne(s, c, m, x, epoch, &out) == nil {
					a.recorder.commit.Lock()
					a.recorder.imported(ImportReport{Meter: id, Series: []ImportSeries{out}})
					a.recorder.commit.Unlock()
				}
			}
			derived = derived || a.recorder.deriveAll() // as recorder.run does
			if a.recorder.flush() == nil && s.fail.Load() == nil {
				asIfMadeAtOnce(rt, s, c)
			}
		}
		s.fail.Store(nil)
		if !derived && !a.recorder.deriveAll() {
			rt.Fatal("it cannot be made")
		}
		check(t, a.recorder.flush())
		asIfMadeAtOnce(rt, s, c)
		statements(t, s)
	})
}

// drawn is any half-hour of a real meter.
func drawn(t *rapid.T, k energy.Key, i int) store.KeyedHalfHour {
	h := energy.HalfHour{Start: slot(i), Cumulative: -1, TakenAt: slot(i + 1), Quality: rapid.SampledFrom([]energy.Quality{
		energy.Missing, energy.Substituted, energy.Estimated, energy.Interpolated, energy.Measured, energy.Measured}).Draw(t, "quality")}
	h.Evidence.Rule = map[energy.Quality]energy.Rule{energy.Missing: energy.RuleNone, energy.Substituted: energy.RuleCheckMeter, energy.Estimated: energy.RuleSpread,
		energy.Interpolated: energy.RuleInterpolate, energy.Measured: energy.RuleBracketed}[h.Quality]
	if h.Quality > energy.Missing {
		h.Energy = rapid.Int64Range(0, 2000).Draw(t, "energy")
		h.Cumulative = h.Energy + rapid.Int64Range(-1, 1<<30).Draw(t, "register")
		h.Evidence.First, h.Evidence.Last = energy.Sample{At: slot(i), Value: 1}, energy.Sample{At: slot(i + 1), Value: 2}
	}
	return store.KeyedHalfHour{Key: k, HalfHour: h, Void: rapid.IntRange(0, 4).Draw(t, "void") == 0}
}

// asIfMadeAtOnce holds what is stored of the virtual meters against what the
// plan makes of the stored half-hours of their inputs, one after the other.
func asIfMadeAtOnce(t *rapid.T, s Store, c *config.Config) {
	plan, err := virtualPlan(c)
	if err != nil || plan == nil {
		return
	}
	stored := func(id string) map[int]energy.HalfHour {
		of := map[int]energy.HalfHour{}
		for h, err := range s.HalfHours(key(id), slot(0), slot(lawSlots)) {
			if err != nil {
				t.Fatal(err)
			}
			of[int(h.Start.Sub(epoch)/energy.Period)] = h
		}
		return of
	}
	for _, id := range plan.Order() {
		mine, in := stored(id), make([]map[int]energy.HalfHour, len(plan.Inputs(id)))
		for i, of := range plan.Inputs(id) {
			in[i] = stored(of)
		}
		var prev energy.HalfHour
		for i := range lawSlots {
			have, there := mine[i]
			var of []energy.HalfHour
			for _, x := range in {
				if h, ok := x[i]; ok {
					of = append(of, h)
				}
			}
			want, made := plan.HalfHour(id, slot(i), prev, of)
			switch {
			case there && have.Quality > energy.Missing && !virtual.Made(have):
				want = have
			case !made: // a share that does not hold yet
				if there && have.Quality > energy.Missing {
					t.Fatalf("%s %d: %+v, and it has no share yet", id, i, have)
				}
			case len(of) < len(in):
				if there {
					want = have
				}
			case !there || want.Energy != have.Energy || want.Quality != have.Quality || want.Cumulative != have.Cumulative ||
				want.Evidence.First != have.Evidence.First || want.Evidence.Last != have.Evidence.Last || want.Flags|have.Flags != have.Flags ||
				want.Quality > energy.Missing && want.Evidence.Rule != have.Evidence.Rule:
				t.Fatalf("%s %d: %+v (there: %v), made at once %+v", id, i, have, there, want)
			}
			prev = want
		}
	}
	if one, two, rest := stored("one"), stored("two"), stored("rest"); len(c.Meters) > 3 {
		for i, h := range rest {
			if h.Quality > energy.Missing && one[i].Energy+two[i].Energy != h.Energy {
				t.Fatalf("%d: %d and %d of %d", i, one[i].Energy, two[i].Energy, h.Energy)
			}
		}
	}
}
