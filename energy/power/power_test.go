package power

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

var ten = time.Date(2026, 3, 10, 10, 0, 0, 0, time.UTC)

// after is 10:00 and so many minutes.
func after(minutes float64) time.Time {
	return ten.Add(time.Duration(minutes * float64(time.Minute)))
}

type reading struct {
	minute float64
	watts  int64
}

func imports() energy.Register { return energy.Register{Measure: energy.Import, MaxPower: 100_000} }

// feed gives all half-hours and the last event that is not Nothing.
func feed(g *Integrator, rs ...reading) (hs []energy.HalfHour, last energy.Event) {
	for _, r := range rs {
		var e energy.Event
		if hs, e = g.Add(energy.Sample{At: after(r.minute), Value: r.watts}, hs); e.Kind != energy.Nothing {
			last = e
		}
	}
	return hs, last
}

// every makes readings each so many minutes, of a constant power.
func every(step, from, to float64, watts int64) (out []reading) {
	for m := from; m <= to; m += step {
		out = append(out, reading{m, watts})
	}
	return out
}

func TestConstantPower(t *testing.T) {
	for _, c := range []struct {
		measure energy.Measure
		watts   int64
		want    int64
	}{
		{energy.Import, 2000, 1000}, {energy.Import, -2000, 0}, {energy.Export, -2000, 1000}, {energy.Export, 2000, 0},
		{energy.ReactiveImport, 2000, 1000}, {energy.ReactiveExport, -2000, 1000}, {energy.ReactiveExport, 2000, 0}, {energy.Import, 0, 0},
	} {
		g := New(energy.Register{Measure: c.measure}, energy.Period, 0)
		hs, e := feed(g, every(5, -5, 60, c.watts)...)
		if e.Kind != energy.Opened || e.Before != -1 || e.After != c.watts || !e.At.Equal(after(-5)) || !e.BeforeAt.IsZero() {
			t.Errorf("%+v", e)
		}
		if len(hs) != 2 {
			t.Fatalf("%v %d: %+v", c.measure, c.watts, hs)
		}
		opened := c.want / 6 // in the 5 minutes before 10:00; in whole Wh
		for i, h := range hs {
			start := after(float64(i * 30))
			total := (c.want*6*int64(i+1) + c.want) / 6
			want := energy.HalfHour{
				Start: start, Energy: total - opened, Cumulative: total, TakenAt: start.Add(energy.Period + time.Second), Quality: energy.Estimated,
				Evidence: energy.Evidence{First: energy.Sample{At: start, Value: c.watts}, Last: energy.Sample{At: start.Add(energy.Period), Value: c.watts}, Samples: 6, Rule: energy.RulePower},
			}
			if h != want {
				t.Errorf("%v %d: %+v, not %+v", c.measure, c.watts, h, want)
			}
			opened = total
		}
	}
}

// Half an hour through zero: from 6 kW in to 6 kW out, a triangle of 15
// minutes on either side.
func TestZeroCrossing(t *testing.T) {
	g := New(imports(), energy.Period, 30*time.Minute)
	hs, _ := feed(g, reading{0, 6000}, reading{30, -6000}, reading{60, 3000})
	x := New(energy.Register{Measure: energy.Export}, energy.Period, 30*time.Minute)
	xs, _ := feed(x, reading{0, 6000}, reading{30, -6000}, reading{60, 3000})
	// The second crosses after 20 of its 30 minutes: 1 kWh below, 250 Wh above.
	if hs[0].Energy != 750 || xs[0].Energy != 750 || hs[1].Energy != 250 || xs[1].Energy != 1000 {
		t.Errorf("%+v\n%+v", hs, xs)
	}
	if hs[1].Cumulative != 1000 || xs[1].Cumulative != 1750 {
		t.Errorf("%+v\n%+v", hs, xs)
	}
}

// A boundary between two readings cuts the line where it lies: from 0 at 10:25
// to 12 kW at 10:35, 6 kW at 10:30; 250 Wh before it, 750 Wh after.
func TestBoundaryWithinALine(t *testing.T) {
	g := New(imports(), energy.Period, 10*time.Minute)
	rs := append(every(5, 0, 25, 0), reading{35, 12_000}, reading{45, 12_000}, reading{55, 12_000}, reading{60, 12_000})
	hs, _ := feed(g, rs...)
	if len(hs) != 2 || hs[0].Energy != 250 || hs[1].Energy != 750+5000 {
		t.Fatalf("%+v", hs)
	}
	if e := hs[0].Evidence; !e.First.At.Equal(ten) || !e.Last.At.Equal(after(35)) || e.Last.Value != 12_000 || e.Samples != 6 {
		t.Errorf("%+v", e)
	}
	if e := hs[1].Evidence; !e.First.At.Equal(after(25)) || e.First.Value != 0 || !e.Last.At.Equal(after(60)) || e.Samples != 3 {
		t.Errorf("%+v", e)
	}
	if !hs[0].TakenAt.Equal(after(35)) || !hs[1].TakenAt.Equal(after(60).Add(time.Second)) {
		t.Errorf("%v %v", hs[0].TakenAt, hs[1].TakenAt)
	}
}

func TestGaps(t *testing.T) {
	const missing, estimated = energy.Missing, energy.Estimated
	for _, c := range []struct {
		name    string
		rs      []reading
		quality []energy.Quality
		energy  []int64
	}{
		{"the first half-hour is partial", every(5, 1, 61, 600), []energy.Quality{estimated}, []int64{300}},
		{"the first one from its start", every(5, 0, 60, 600), []energy.Quality{estimated, estimated}, []int64{300, 300}},
		{"the longest gap", append(every(10, 0, 60, 600), every(10, 70, 90, 600)...), []energy.Quality{estimated, estimated, estimated}, []int64{300, 300, 300}},
		{"a little longer", append(every(10, 0, 40, 600), reading{50 + 1e-6, 600}, reading{60, 600}, reading{70, 600}, reading{80, 600}, reading{90, 600}),
			[]energy.Quality{estimated, missing, estimated}, []int64{300, 0, 300}},
		{"within one half-hour", append(every(5, 0, 35, 600), every(5, 50, 90, 600)...), []energy.Quality{estimated, missing, estimated}, []int64{300, 0, 300}},
		{"from a boundary", append(every(5, 0, 30, 600), every(5, 50, 90, 600)...), []energy.Quality{estimated, missing, estimated}, []int64{300, 0, 300}},
		{"to a boundary", append(every(5, 0, 45, 600), every(5, 60, 90, 600)...), []energy.Quality{estimated, missing, estimated}, []int64{300, 0, 300}},
		{"from boundary to boundary", append(every(5, 0, 30, 600), every(5, 60, 90, 600)...), []energy.Quality{estimated, missing, estimated}, []int64{300, 0, 300}},
		{"over a boundary", append(every(5, 0, 25, 600), every(5, 40, 90, 600)...), []energy.Quality{missing, missing, estimated}, []int64{0, 0, 300}},
		{"over whole ones", append(every(5, 0, 25, 600), every(5, 100, 150, 600)...), []energy.Quality{missing, missing, missing, missing, estimated}, []int64{0, 0, 0, 0, 300}},
		{"two in one half-hour", append(append(every(5, 0, 30, 600), every(5, 45, 45, 600)...), every(5, 59, 95, 600)...), []energy.Quality{estimated, missing, estimated}, []int64{300, 0, 300}},
		{"in the first partial one", append(every(5, 1, 6, 600), every(5, 20, 60, 600)...), []energy.Quality{estimated}, []int64{300}},
		{"out of the first partial one", append(every(5, 1, 6, 600), every(5, 40, 90, 600)...), []energy.Quality{missing, estimated}, []int64{0, 300}},
	} {
		t.Run(c.name, func(t *testing.T) {
			hs, e := feed(New(imports(), energy.Period, 10*time.Minute), c.rs...)
			if e.Kind != energy.Opened || len(hs) != len(c.quality) {
				t.Fatalf("%v: %+v", e.Kind, hs)
			}
			for i, h := range hs {
				if h.Quality != c.quality[i] || h.Energy != c.energy[i] || (h.Cumulative < 0) != (h.Quality == missing) || !h.TakenAt.After(h.Start.Add(energy.Period)) {
					t.Errorf("%d: %+v", i, h)
				}
				if want := map[bool]energy.Rule{true: energy.RuleNone, false: energy.RulePower}[h.Quality == missing]; h.Evidence.Rule != want {
					t.Errorf("%d: %+v", i, h)
				}
				if h.Evidence.First.At.After(h.Start) || h.Evidence.Last.At.Before(h.Start.Add(energy.Period)) {
					t.Errorf("%d: the evidence does not bracket it: %+v", i, h)
				}
				if i > 0 && !h.Start.Equal(hs[i-1].Start.Add(energy.Period)) {
					t.Errorf("%d: a hole before %+v", i, h)
				}
			}
		})
	}
}

// The register goes on over a gap, by what is known.
func TestGapAddsNothing(t *testing.T) {
	g := New(imports(), energy.Period, 10*time.Minute)
	hs, _ := feed(g, append(every(10, 0, 40, 600), every(10, 60, 90, 60_000)...)...)
	if len(hs) != 3 || hs[0].Cumulative != 300 || hs[2].Cumulative != 400+30_000 || hs[2].Energy != 30_000 {
		t.Errorf("%+v", hs)
	}
}

func TestReadingsThatAreNone(t *testing.T) {
	g := New(energy.Register{Measure: energy.Import, MaxPower: 5000}, energy.Period, 10*time.Minute)
	if _, ok := g.Base(); ok {
		t.Error("a reading before the first one")
	}
	for _, at := range []time.Time{{}, time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9_999_999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-300_000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, e := g.Add(energy.Sample{At: at, Value: 1}, nil); e.Kind != energy.OutOfOrder || e.Before != -1 {
			t.Errorf("%v: %+v", at, e)
		}
	}
	if _, e := g.Add(energy.Sample{At: ten, Value: 5001}, nil); e.Kind != energy.Glitch || e.Before != -1 {
		t.Errorf("opened by a glitch: %+v", e)
	}
	hs, _ := feed(g, reading{0, 5000})
	for _, c := range []struct {
		minute float64
		watts  int64
		want   energy.EventKind
	}{
		{-1, 1, energy.OutOfOrder}, {0, 1, energy.OutOfOrder}, {1, 5001, energy.Glitch}, {1, -5001, energy.Glitch},
		{1, -8_388_608, energy.Glitch}, {1, 1<<63 - 1, energy.Glitch}, {1, -1 << 63, energy.Glitch},
	} {
		got, e := g.Add(energy.Sample{At: after(c.minute), Value: c.watts}, hs)
		if e.Kind != c.want || len(got) != 0 || e.Before != 5000 || e.After != c.watts || !e.BeforeAt.Equal(ten) || !e.At.Equal(after(c.minute)) {
			t.Errorf("%+v: %+v", c, e)
		}
	}
	if b, ok := g.Base(); !ok || b != (energy.Sample{At: ten, Value: 5000}) {
		t.Errorf("%+v", b)
	}
	hs, e := feed(g, reading{10, -5000}, reading{20, 5000}, reading{30, 5000})
	if e.Kind != energy.Nothing || len(hs) != 1 || hs[0].Evidence.Samples != 3 {
		t.Errorf("%+v, %+v", hs, e)
	}
	first, last := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2199, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, at := range []time.Time{first, last} {
		if _, e := New(imports(), energy.Period, 0).Add(energy.Sample{At: at}, nil); e.Kind != energy.Opened {
			t.Errorf("%v: %+v", at, e)
		}
	}
}

// After a break of more than 400 days nobody wants the missing half-hours.
func TestLongBreak(t *testing.T) {
	const day = 24 * 60
	g := New(imports(), energy.Period, 0)
	hs, e := feed(g, reading{0, 600}, reading{10, 600}, reading{400*day + 10, 600})
	if e.Kind != energy.Opened || len(hs) != 400*48 || hs[0].Quality != energy.Missing {
		t.Fatalf("%+v, %d half-hours", e, len(hs))
	}
	g = New(imports(), energy.Period, 0)
	hs, e = feed(g, reading{0, 600}, reading{10, 600}, reading{400*day + 11, 700}, reading{400*day + 20, 700}, reading{400*day + 30, 700})
	if e.Kind != energy.Reset || e.Before != 600 || e.After != 700 || len(hs) != 0 || g.total.wh != 700*19/60 {
		t.Fatalf("%+v, %+v, %+v", e, hs, g.total)
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct{ period, gap, wantPeriod, wantGap time.Duration }{
		{energy.Period, 0, energy.Period, 10 * time.Minute},
		{energy.Period, -1, energy.Period, 10 * time.Minute},
		{energy.Period, time.Minute, energy.Period, time.Minute},
		{energy.Period, time.Hour, energy.Period, energy.Period},
		{time.Minute, time.Hour, time.Minute, time.Minute},
		{4 * time.Hour, 2 * time.Hour, 4 * time.Hour, time.Hour},
		{0, 0, energy.Period, 10 * time.Minute}, {7 * time.Minute, 0, energy.Period, 10 * time.Minute},
		{500 * time.Nanosecond, 0, energy.Period, 10 * time.Minute}, {1500 * time.Nanosecond, 0, energy.Period, 10 * time.Minute},
		{time.Microsecond, 0, time.Microsecond, 0},
	} {
		g := New(imports(), c.period, c.gap)
		if g.period != c.wantPeriod.Microseconds() || g.gap != c.wantGap.Microseconds() {
			t.Errorf("%+v: %d and %d µs", c, g.period, g.gap)
		}
	}
	for give, want := range map[int64]int64{0: maxWatts, -1: maxWatts, 1: 1, maxWatts - 1: maxWatts - 1, maxWatts + 1: maxWatts} {
		if g := New(energy.Register{Measure: energy.Import, MaxPower: give}, energy.Period, 0); g.limit != want {
			t.Errorf("a ceiling of %d became %d", give, g.limit)
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	g := New(imports(), energy.Period, 0)
	at, dst := ten, make([]energy.HalfHour, 0, 8)
	if n := testing.AllocsPerRun(1000, func() {
		at = at.Add(10 * time.Second)
		dst, _ = g.Add(energy.Sample{At: at, Value: int64(at.Second()) * 100}, dst[:0])
	}); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	g := New(imports(), energy.Period, 0)
	at, dst := ten, make([]energy.HalfHour, 0, 8)
	b.ReportAllocs()
	for i := range b.N {
		at = at.Add(10 * time.Second)
		dst, _ = g.Add(energy.Sample{At: at, Value: int64(i%200-100) * 50}, dst[:0])
	}
}

// What was counted is the whole watt-hours up to the last good reading, of the
// direction that it is; the limit is the register's, or the arithmetic's own.
func TestCounted(t *testing.T) {
	begun := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	g := New(energy.Register{Measure: energy.Export, MaxPower: 9000}, 0, 0)
	if _, ok := g.Counted(); ok {
		t.Error("something was counted before the first reading")
	}
	for _, w := range []int64{-6000, -6000, -9001} { // the last is beyond the limit
		g.Add(energy.Sample{At: begun, Value: w}, nil)
		begun = begun.Add(5 * time.Minute)
	}
	if s, ok := g.Counted(); !ok || s.Value != 500 || !s.At.Equal(begun.Add(-10*time.Minute)) {
		t.Errorf("%+v %v", s, ok)
	}
	if g.Limit() != 9000 || New(energy.Register{}, 0, 0).Limit() != maxWatts {
		t.Errorf("limit %d", g.Limit())
	}
}
