package substitute

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// counted runs samples through an Accumulator.
func counted(reg energy.Register, samples []energy.Sample) (hh []energy.HalfHour) {
	acc := energy.NewAccumulator(reg, energy.Period)
	for _, s := range samples {
		hh, _ = acc.Add(s, hh)
	}
	return hh
}

// site is the register of a site that uses 1,000 Wh in each half-hour by
// night and 3,000 Wh from 06:00 to 18:00 UTC on every day of the year.
func site(at time.Time) int64 {
	v := int64(0)
	d := at.Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	days := int64(d / (24 * time.Hour))
	v += days * 96_000
	rest := d % (24 * time.Hour)
	for t := time.Duration(0); t < rest; t += 5 * time.Minute {
		if t >= 6*time.Hour && t < 18*time.Hour {
			v += 500
		} else {
			v += 167
		}
	}
	return v
}

// gapped reads site every five minutes, but for a gap.
func gapped(from, to, gapFrom, gapTo time.Time) (s []energy.Sample) {
	for t := from; !t.After(to); t = t.Add(5 * time.Minute) {
		if !t.After(gapFrom) || !t.Before(gapTo) {
			s = append(s, energy.Sample{At: t, Value: site(t)})
		}
	}
	return s
}

var midnight = time.Date(2026, 7, 16, 0, 0, 0, 0, time.UTC)

// A gap from 03:10 to 20:20 is spread evenly by the accumulator: with the
// shape of like days every half-hour in it is what it really was.
func TestShapeFollowsTheDays(t *testing.T) {
	from, to := midnight.AddDate(0, 0, -21), midnight.AddDate(0, 0, 1)
	gapFrom, gapTo := midnight.Add(3*time.Hour+10*time.Minute), midnight.Add(20*time.Hour+20*time.Minute)
	truth := counted(energy.Register{Measure: energy.Import}, gapped(from, to, to, to))
	even := counted(energy.Register{Measure: energy.Import}, gapped(from, to, gapFrom, gapTo))
	got := Plan(energy.Import, even, Options{Methods: []Method{Scaled}, Now: to.Add(time.Hour)})
	if len(got) != 35 { // 03:00 to 20:30
		t.Fatalf("%d half-hours are shaped", len(got))
	}
	at := map[int64]energy.HalfHour{}
	for _, h := range truth {
		at[h.Start.Unix()] = h
	}
	worst := int64(0)
	for _, h := range got {
		real := at[h.Start.Unix()]
		worst = max(worst, h.Energy-real.Energy, real.Energy-h.Energy)
		if h.Quality != energy.Estimated || h.Evidence.Rule != energy.RuleProfileScaled || !h.TakenAt.Equal(to.Add(time.Hour)) {
			t.Errorf("%+v", h)
		}
		if m, _ := h.Origin(); m != energy.OriginDerived {
			t.Errorf("origin %s", m)
		}
	}
	if worst > 20 { // the profile's own half-hours end within a five-minute sample of the real ones
		t.Errorf("a shaped half-hour is %d Wh off", worst)
	}
	checkShaped(t, energy.Import, even, got, 0)
	for i := range even {
		for _, h := range got {
			if even[i].Start.Equal(h.Start) {
				even[i] = h
			}
		}
	}
	if again := Plan(energy.Import, even, Options{Methods: []Method{Scaled}}); len(again) != 0 {
		t.Errorf("what is shaped was shaped again: %d", len(again))
	}
}

// fataler is what testing.T and rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkShaped states the laws of a plan with known advance: sums and registers
// at the ends of each run stay, every half-hour fits between its samples, and
// none is negative.
func checkShaped(t fataler, m energy.Measure, before, made []energy.HalfHour, modulus int64) {
	t.Helper()
	at := map[int64]energy.HalfHour{}
	for _, h := range made {
		at[h.Start.Unix()] = h
	}
	after := slices.Clone(before)
	var sumBefore, sumAfter int64
	for i, h := range before {
		if n, ok := at[h.Start.Unix()]; ok {
			if h.Evidence.Rule != energy.RuleSpread || n.Energy < 0 || n.Evidence.First != h.Evidence.First || n.Evidence.Last != h.Evidence.Last || n.Flags != h.Flags {
				t.Fatalf("%+v\nwas replaced by %+v", h, n)
			}
			after[i] = n
			delete(at, h.Start.Unix())
		}
		sumBefore, sumAfter = sumBefore+h.Energy, sumAfter+after[i].Energy
		if next := i + 1; next == len(before) || before[next].Evidence.Rule != energy.RuleSpread {
			if sumBefore != sumAfter || after[i].Cumulative != h.Cumulative {
				t.Fatalf("at %v: sum %d was %d, register %d was %d", h.Start, sumAfter, sumBefore, after[i].Cumulative, h.Cumulative)
			}
		}
	}
	if len(at) != 0 {
		t.Fatalf("%d half-hours come from nowhere", len(at))
	}
	// V08 asks for the telescoping of the registers, and for the samples.
	if len(after) == 0 {
		return
	}
	k := energy.Key{Meter: "m", Measure: m}
	for _, f := range validate.Day(k, energy.DayIn(time.UTC, 2026, 7, 16), after, validate.Options{Modulus: modulus}, nil) {
		if f.Rule == 8 {
			t.Fatalf("%v", f)
		}
	}
}

// Whatever the pauses and the history, shaping keeps every law, and gives the
// same each time.
func TestShapeLaws(t *testing.T) {
	shaped := 0
	rapid.Check(t, func(t *rapid.T) {
		modulus := rapid.SampledFrom([]int64{0, 40_000_000, 3_000_000}).Draw(t, "modulus")
		now := midnight.AddDate(0, 0, -12)
		var samples []energy.Sample
		register := rapid.Int64Range(0, 2_999_999).Draw(t, "opening")
		for now.Before(midnight) {
			gap := 15 * time.Minute
			if now.After(midnight.AddDate(0, 0, -4)) {
				gap = time.Duration(rapid.SampledFrom([]int{1, 7, 15, 31, 95, 200, 777, 1500}).Draw(t, "minutes")) * time.Minute
			}
			now = now.Add(gap)
			register += rapid.Int64Range(0, int64(gap/time.Minute)*100).Draw(t, "advance")
			v := register
			if modulus > 0 {
				v %= modulus
			}
			samples = append(samples, energy.Sample{At: now, Value: v})
		}
		hh := counted(energy.Register{Measure: energy.Import, Modulus: modulus, MaxPower: 200_000}, samples)
		o := Options{Methods: []Method{Scaled}, Modulus: modulus, Weeks: 2, Least: 1}
		if rapid.Bool().Draw(t, "ceiling") {
			o.MaxEnergy = rapid.Int64Range(1, 100_000).Draw(t, "most")
		}
		if rapid.Bool().Draw(t, "late start") {
			o.From = midnight.Add(-time.Duration(rapid.IntRange(0, 90).Draw(t, "hours")) * time.Hour)
		}
		m := energy.Measure(rapid.IntRange(1, 5).Draw(t, "measure"))
		got := Plan(m, hh, o)
		checkShaped(t, m, hh, got, modulus)
		shaped += len(got)
		for _, h := range got {
			if o.MaxEnergy > 0 && h.Energy > o.MaxEnergy || h.Start.Before(o.From) {
				t.Fatalf("%+v", h)
			}
		}
		again := Plan(m, append(slices.Clone(hh[len(hh)/2:]), hh[:len(hh)/2]...), o)
		if !slices.Equal(got, again) {
			t.Fatal("the same window in another order gives another plan")
		}
	})
	if shaped == 0 {
		t.Error("nothing was ever shaped: this test says nothing")
	}
}

// spreadCase is a gap on a day of site, with two weeks of history.
type spreadCase struct {
	first, last time.Duration // the samples of the gap, after midnight
	change      func(hh []energy.HalfHour) []energy.HalfHour
	o           Options
	m           energy.Measure
	want        int // half-hours that are shaped
}

func TestWhatIsShaped(t *testing.T) {
	const h, min = time.Hour, time.Minute
	for name, c := range map[string]spreadCase{
		"long":              {first: 5 * h, last: 9 * h, want: 8},
		"profile brings it": {first: 5 * h, last: 9 * h, o: Options{Methods: []Method{Profile}}, want: 8},
		"not allowed":       {first: 5 * h, last: 9 * h, o: Options{Methods: []Method{CheckMeter, Linear}}},
		"export, too":       {first: 5 * h, last: 9 * h, m: energy.Export, want: 8},
		// From 05:40 to 07:10 lie the boundaries 06:00, 06:30 and 07:00, hence two whole half-hours.
		"two whole half-hours":     {first: 5*h + 40*min, last: 7*h + 10*min, want: 4},
		"one whole half-hour":      {first: 5*h + 40*min, last: 6*h + 50*min},
		"samples at boundaries":    {first: 5*h + 30*min, last: 7*h + 30*min, want: 4},
		"and one fewer":            {first: 5*h + 30*min, last: 7 * h},
		"flat is flat":             {first: 7 * h, last: 11 * h}, // nothing moves: the shape is the even one
		"no history":               {first: 5 * h, last: 9 * h, change: func(hh []energy.HalfHour) []energy.HalfHour { return hh[len(hh)-48:] }},
		"at the ceiling":           {first: 5 * h, last: 9 * h, o: Options{MaxEnergy: 3003}, want: 8},
		"above the ceiling":        {first: 5 * h, last: 9 * h, o: Options{MaxEnergy: 2900}},
		"begins before From":       {first: 5 * h, last: 9 * h, o: Options{From: midnight.Add(5*h + 30*min)}},
		"begins with From":         {first: 5 * h, last: 9 * h, o: Options{From: midnight.Add(5 * h)}, want: 8},
		"ends with To":             {first: 5 * h, last: 9 * h, o: Options{To: midnight.Add(9 * h)}, want: 8},
		"ends after To":            {first: 5 * h, last: 9 * h, o: Options{To: midnight.Add(8*h + 30*min)}},
		"not for interpolated":     {first: 5 * h, last: 9 * h, change: mark(func(x *energy.HalfHour) { x.Quality = energy.Interpolated })},
		"not for another rule":     {first: 5 * h, last: 9 * h, change: mark(func(x *energy.HalfHour) { x.Evidence.Rule = energy.RuleImportedEst })},
		"not without a register":   {first: 5 * h, last: 9 * h, change: mark(func(x *energy.HalfHour) { x.Cumulative = -1 })},
		"not without first sample": {first: 5 * h, last: 9 * h, change: mark(func(x *energy.HalfHour) { x.Evidence.First = energy.Sample{} })},
		"not without last sample":  {first: 5 * h, last: 9 * h, change: mark(func(x *energy.HalfHour) { x.Evidence.Last = energy.Sample{} })},
		"not where a sample lies":  {first: 5 * h, last: 9 * h, change: mark(func(x *energy.HalfHour) { x.Evidence.First.Value = x.Cumulative + 1 })},
		"nor above":                {first: 5 * h, last: 9 * h, change: mark(func(x *energy.HalfHour) { x.Evidence.Last.Value = x.Cumulative - x.Energy - 1 })},
		"cut in two by a break": {first: 5 * h, last: 9 * h, want: 8, change: func(hh []energy.HalfHour) []energy.HalfHour {
			for i := range hh {
				if !hh[i].Start.Before(midnight.Add(7 * h)) {
					hh[i].Cumulative += 5 // registers do not join at 07:00
				}
			}
			return hh
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.m == 0 {
				c.m = energy.Import
			}
			if c.o.Methods == nil {
				c.o.Methods = []Method{Scaled}
			}
			from, to := midnight.AddDate(0, 0, -15), midnight.AddDate(0, 0, 1)
			hh := counted(energy.Register{Measure: c.m}, gapped(from, to, midnight.Add(c.first), midnight.Add(c.last)))
			if c.change != nil {
				hh = c.change(hh)
			}
			got := Plan(c.m, hh, c.o)
			if len(got) != c.want {
				t.Errorf("%d half-hours are shaped, want %d: %s", len(got), c.want, shown(got))
			}
			if name == "cut in two by a break" {
				for _, x := range got {
					if x.Start.Equal(midnight.Add(6*h+30*min)) && x.Cumulative != site(midnight.Add(5*h))+(site(midnight.Add(9*h))-site(midnight.Add(5*h)))/2 {
						t.Errorf("the register at the break has moved to %d", x.Cumulative)
					}
				}
			} else if c.want > 0 {
				checkShaped(t, c.m, hh, got, 0)
			}
		})
	}
}

// mark changes the half-hours of a spread run.
func mark(change func(*energy.HalfHour)) func(hh []energy.HalfHour) []energy.HalfHour {
	return func(hh []energy.HalfHour) []energy.HalfHour {
		for i := range hh {
			if hh[i].Evidence.Rule == energy.RuleSpread {
				change(&hh[i])
			}
		}
		return hh
	}
}
