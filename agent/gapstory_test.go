package agent

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// gapStory is a meter that is out from 2:10 to 6:20, and a sum that is made of it.
type gapStory struct {
	t *testing.T
	s *faulty
	a *Agent
}

// tellGap runs a story for nine hours. What then stands sums to what the
// register counted, and the virtual meter is what its input is.
func tellGap(t *testing.T, steps map[time.Duration]func(*gapStory)) (stands []energy.HalfHour, versions map[time.Time][]energy.HalfHour) {
	t.Helper()
	return tellGapOf(t, curve(1000), steps)
}

func tellGapOf(t *testing.T, register func(time.Time) (int64, error), steps map[time.Duration]func(*gapStory)) (stands []energy.HalfHour, versions map[time.Time][]energy.HalfHour) {
	path := storePath(t)
	versions = map[time.Time][]energy.HalfHour{}
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{register})
		c := site(f, time.Minute)
		c.Meters = append(c.Meters, config.Meter{ID: "v", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Sum: []string{"a"}}})
		g := &gapStory{t: t, s: openFaulty(t, path)}
		g.a = newAgent(t, f, c, g.s)
		time.AfterFunc(2*time.Hour+10*time.Minute+time.Second, func() { f.down.Store(true) })
		time.AfterFunc(6*time.Hour+20*time.Minute+time.Second, func() { f.down.Store(false) })
		for at, step := range steps {
			time.AfterFunc(at, func() { step(g) })
		}
		check(t, runFor(g.a, 9*time.Hour+time.Minute))
		stands = halfHours(t, g.s, key("a"))
		var sum int64
		for i, v := range halfHours(t, g.s, key("v")) {
			h := stands[i]
			sum += h.Energy
			if v.Energy != h.Energy || v.Quality != h.Quality {
				t.Errorf("%v: the sum is %d Wh %v, its input %d Wh %v", v.Start, v.Energy, v.Quality, h.Energy, h.Quality)
			}
		}
		if truth, _ := curve(0)(epoch.Add(9 * time.Hour)); len(stands) != 18 || sum != truth {
			t.Errorf("%d half-hours sum to %d Wh, the register counted %d", len(stands), sum, truth)
		}
		old, err := g.s.Corrections(key("a"), epoch, epoch.Add(9*time.Hour))
		check(t, err)
		for _, c := range old {
			versions[c.Old.Start] = append(versions[c.Old.Start], c.Old)
		}
		check(t, g.s.Close())
	})
	return stands, versions
}

// file imports actual values of n half-hours, off by some Wh from the truth.
func (g *gapStory) file(from time.Duration, n int, off int64) ImportSeries {
	out := "id,measure,start,kWh,quality\n"
	for i := range n {
		at := epoch.Add(from + time.Duration(i)*energy.Period)
		v := truthOf(curve(0), at) + off
		out += fmt.Sprintf("x,import,%s,%d.%03d,measured\n", at.Format(time.RFC3339), v/1000, v%1000)
	}
	rep, err := g.a.Import(ImportRequest{File: "f.csv", Data: []byte(out), Meter: "a"})
	check(g.t, err)
	return rep.Series[0]
}

// late delivers stored readings.
func (g *gapStory) late(from, to, every time.Duration) {
	b := g.a.buses[0]
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; from <= to; from += every {
		v, _ := curve(1000)(epoch.Add(from))
		b.sample(b.meters[0], &b.meters[0].registers[0], &drivers.Reading{Sample: energy.Sample{At: epoch.Add(from), Value: v}, History: true}, g.a.Now(), true)
	}
}

// A file tells of a part of an outage. It makes no difference, to what stands or to
// the versions that are kept, whether it comes before the meter is back, after it,
// or before the last half-hour of the gap is over.
func TestImportBeforeTheGapIsOver(t *testing.T) {
	steps := func(at time.Duration, again bool) map[time.Duration]func(*gapStory) {
		out := map[time.Duration]func(*gapStory){at: func(g *gapStory) { g.file(3*time.Hour, 3, -500) }}
		if again { // a second file, of another part
			out[8*time.Hour] = func(g *gapStory) {
				if x := g.file(5*time.Hour, 1, 200); x.Taken != 1 || x.Respread == 0 {
					g.t.Errorf("%+v", x)
				}
			}
		}
		return out
	}
	for _, again := range []bool{false, true} {
		want, kept := tellGap(t, steps(7*time.Hour, again))
		for _, at := range []time.Duration{5 * time.Hour, 6*time.Hour + 25*time.Minute} {
			stands, versions := tellGap(t, steps(at, again))
			for i, h := range stands {
				w := want[i]
				if h.Energy != w.Energy || h.Quality != w.Quality || h.Evidence != w.Evidence || h.Cumulative != w.Cumulative {
					t.Errorf("imported at %v: %+v, want %+v", at, h, w)
				}
				old, was := versions[h.Start], kept[h.Start]
				if len(old) != len(was) || len(old) > 0 && old[0].Energy != was[0].Energy {
					t.Errorf("imported at %v: the versions of %v are %+v, want %+v", at, h.Start, old, was)
				}
			}
		}
	}
}

// What the register knows after all is better than what a file told meanwhile; a
// reading that leaves a half-hour an estimate is not, and spreads the rest anew.
func TestLateReadingsAfterAnImport(t *testing.T) {
	stands, versions := tellGap(t, map[time.Duration]func(*gapStory){
		7 * time.Hour: func(g *gapStory) { g.file(3*time.Hour, 3, -500) },
		8 * time.Hour: func(g *gapStory) { g.late(2*time.Hour+11*time.Minute, 6*time.Hour+20*time.Minute, time.Minute) },
	})
	for _, h := range stands {
		if h.Quality != energy.Measured || h.Evidence.Rule != energy.RuleBracketed || h.Energy != truthOf(curve(1000), h.Start) {
			t.Errorf("%v: %d Wh %v, rule %d", h.Start, h.Energy, h.Quality, h.Evidence.Rule)
		}
	}
	if old := versions[epoch.Add(3*time.Hour)]; len(old) != 2 || old[1].Evidence.Rule != energy.RuleImported {
		t.Errorf("what the file told is not kept: %+v", old)
	}

	told := func(h energy.HalfHour) bool { return h.Evidence.Rule == energy.RuleImported }
	for _, at := range []time.Duration{4 * time.Hour, 3*time.Hour + 40*time.Minute, 5*time.Hour + 10*time.Minute} {
		steps := map[time.Duration]func(*gapStory){
			7 * time.Hour: func(g *gapStory) { g.file(3*time.Hour, 3, -500) },
			8 * time.Hour: func(g *gapStory) { g.late(at, at, time.Minute) },
		}
		late, _ := tellGap(t, steps)
		// The other way round.
		steps[8*time.Hour], steps[7*time.Hour] = steps[7*time.Hour], steps[8*time.Hour]
		early, _ := tellGap(t, steps)
		for i, h := range late {
			if told(h) != (i >= 6 && i < 9) || h.Energy != early[i].Energy || h.Quality != early[i].Quality || h.Evidence.Rule != early[i].Evidence.Rule {
				t.Errorf("a reading of %v: %v: %d Wh %v by %d, the other way round %d Wh %v by %d", at, h.Start, h.Energy, h.Quality, h.Evidence.Rule, early[i].Energy, early[i].Quality, early[i].Evidence.Rule)
			}
		}
	}
}

// A gap that ends seconds after a boundary, as most do: the half-hour that it ends
// in is measured, and tells of it all the same.
func TestImportIntoAGapThatEndsAtABoundary(t *testing.T) {
	path := storePath(t)
	for _, at := range []time.Duration{5 * time.Hour, 6*time.Hour + 45*time.Minute, 8 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(registers{curve(1000)})
			f.takes = []time.Duration{5 * time.Second}
			g := &gapStory{t: t, s: openFaulty(t, path+at.String())}
			g.a = newAgent(t, f, site(f, 15*time.Minute), g.s)
			time.AfterFunc(2*time.Hour+time.Minute, func() { f.down.Store(true) })
			time.AfterFunc(6*time.Hour+20*time.Minute, func() { f.down.Store(false) })
			time.AfterFunc(at, func() { g.file(3*time.Hour, 3, -500) })
			check(t, runFor(g.a, 9*time.Hour+time.Minute))
			stands := halfHours(t, g.s, key("a"))
			var sum int64
			for _, h := range stands {
				sum += h.Energy
			}
			before, _ := curve(1000)(epoch.Add(30 * time.Minute)) // the first half-hour that is whole, since a reading takes five seconds
			if last := stands[len(stands)-1]; !stands[0].Start.Equal(epoch.Add(30*time.Minute)) || last.Cumulative-sum-before > interpolating || last.Cumulative-sum-before < -interpolating {
				t.Errorf("imported at %v: %d Wh, the register counted %d", at, sum, last.Cumulative-before)
			}
			if h := stands[12]; h.Quality != energy.Measured || h.Evidence.Rule != energy.RuleBracketed {
				t.Errorf("the half-hour in which the gap ends: %+v", h)
			}
			check(t, g.s.Close())
		})
	}
}

// The reading that ends the gap turns out to be a glitch: what the register then
// gives anew takes the place of its own estimates, not of what a file told.
func TestImportBeforeAGlitchEndsTheGap(t *testing.T) {
	glitch := func(at time.Time) (int64, error) {
		v, err := curve(1000)(at)
		if at.Equal(epoch.Add(6*time.Hour + 21*time.Minute)) {
			v += 2000
		}
		return v, err
	}
	steps := map[time.Duration]func(*gapStory){5 * time.Hour: func(g *gapStory) { g.file(3*time.Hour, 3, -500) }}
	want, _ := tellGap(t, steps)
	stands, versions := tellGapOf(t, glitch, steps)
	for i, h := range stands {
		if off := h.Energy - want[i].Energy; h.Quality != want[i].Quality || h.Evidence.Rule != want[i].Evidence.Rule || off < -50 || off > 50 {
			t.Errorf("%v: %d Wh %v by %d, without the glitch %d Wh %v by %d", h.Start, h.Energy, h.Quality, h.Evidence.Rule, want[i].Energy, want[i].Quality, want[i].Evidence.Rule)
		}
	}
	if old := versions[epoch.Add(5*time.Hour)]; len(old) < 2 {
		t.Errorf("what the glitch made is not among the versions: %+v", old)
	}
}

// A feed takes the place of the bus that a meter was read on, and tells a part of
// an outage from before: the rest of it still has the rest of the advance.
func TestFeedTellsOfAGap(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		time.AfterFunc(2*time.Hour+10*time.Minute+time.Second, func() { f.down.Store(true) })
		time.AfterFunc(6*time.Hour+20*time.Minute+time.Second, func() { f.down.Store(false) })
		check(t, runFor(newAgent(t, f, site(f, time.Minute), s), 9*time.Hour+time.Minute))
		c := site(f, time.Minute)
		c.Buses[0].Driver = "feed"
		feed := fed{}
		for _, end := range []time.Duration{4 * time.Hour, 5 * time.Hour} {
			feed = append(feed, drivers.Reading{Sample: energy.Sample{At: epoch.Add(end), Value: 3000}, Interval: energy.Period})
		}
		a, err := New(Options{Config: c, Store: s, Logger: quietLog, Listeners: map[string]ListenerFactory{
			"feed": func(config.Bus, []config.Meter, func() time.Time, Keeper, *slog.Logger) (drivers.Listener, error) {
				return feed, nil
			},
		}})
		check(t, err)
		check(t, runFor(a, 20*time.Minute))
		var sum int64
		for _, h := range halfHours(t, s, key("a")) {
			sum += h.Energy
			if at := h.Start.Sub(epoch); (at == 210*time.Minute || at == 270*time.Minute) != (h.Evidence.Rule == energy.RuleInterval) {
				t.Errorf("%v: rule %d", h.Start, h.Evidence.Rule)
			}
		}
		if truth, _ := curve(0)(epoch.Add(9 * time.Hour)); sum != truth {
			t.Errorf("%d Wh, the register counted %d", sum, truth)
		}
		check(t, s.Close())
	})
}

// fed is a feed that says all at once.
type fed []drivers.Reading

func (f fed) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	deliver(0, f)
	<-ctx.Done()
	return nil
}

func (fed) Health() error { return nil }
