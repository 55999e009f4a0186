package validate

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// weekly is a history of weeks: 1,000 Wh in each half-hour, and at noon of the
// like weekdays the given energies, the most recent week first.
func weekly(n int, like ...int64) memory {
	m := memory{}.fill(imp, n, 1000)
	for w, e := range like {
		m.put(imp, measured(-(w+1)*336, e))
	}
	return m
}

func TestSpike(t *testing.T) {
	const weeks9 = 9 * 336
	flat := []int64{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}
	for name, c := range map[string]struct {
		o    Options
		h    energy.HalfHour
		past memory
		want string
	}{
		// A tenth of what is typical counts as a deviation: 1,000 + 8 x 100.
		"at the bound":                       {h: measured(0, 1800), past: weekly(weeks9, flat...)},
		"above":                              {h: measured(0, 1801), past: weekly(weeks9, flat...), want: "V16 warning"},
		"own k":                              {o: Options{SpikeK: 6}, h: measured(0, 1600), past: weekly(weeks9, flat...)},
		"above own k":                        {o: Options{SpikeK: 6}, h: measured(0, 1601), past: weekly(weeks9, flat...), want: "V16 warning"},
		"k of 1":                             {o: Options{SpikeK: 1}, h: measured(0, 1500), past: weekly(weeks9, flat...)},
		"k of 1, half more than the largest": {o: Options{SpikeK: 1}, h: measured(0, 1501), past: weekly(weeks9, flat...), want: "V16 warning"},
		// Deviations of 300 each: the median of eight is the fourth.
		"deviations":       {h: measured(0, 3400), past: weekly(weeks9, 1000, 1300, 700, 1300, 700, 1300, 700, 1000)},
		"above deviations": {h: measured(0, 3401), past: weekly(weeks9, 1000, 1300, 700, 1300, 700, 1300, 700, 1000), want: "V16 warning"},
		// A twentieth of a median of 4,000 is 200.
		"twentieth":         {h: measured(0, 5600), past: weekly(weeks9, 1000, 4000, 4000, 4000, 4000, 4000, 4000, 4000)},
		"above a twentieth": {h: measured(0, 5601), past: weekly(weeks9, 1000, 4000, 4000, 4000, 4000, 4000, 4000, 4000), want: "V16 warning"},
		"two steps":         {o: Options{Step: 100}, h: measured(0, 2600), past: weekly(weeks9, flat...)},
		"above two steps":   {o: Options{Step: 100}, h: measured(0, 2601), past: weekly(weeks9, flat...), want: "V16 warning"},

		// Half as large again as the largest of the week before.
		"a week of such":       {h: measured(0, 3000), past: weekly(weeks9, flat...).put(imp, measured(-30, 2000))},
		"larger than such":     {h: measured(0, 3001), past: weekly(weeks9, flat...).put(imp, measured(-30, 2000)), want: "V16 warning"},
		"odd largest":          {h: measured(0, 3001), past: weekly(weeks9, flat...).put(imp, measured(-30, 2001))},
		"odd largest, above":   {h: measured(0, 3002), past: weekly(weeks9, flat...).put(imp, measured(-30, 2001)), want: "V16 warning"},
		"long ago":             {h: measured(0, 3000), past: weekly(weeks9, flat...).put(imp, measured(-361, 2000)), want: "V16 warning"}, // 7 days before midnight
		"just in the week":     {h: measured(0, 3000), past: weekly(weeks9, flat...).put(imp, measured(-360, 2000))},
		"today":                {h: measured(0, 3000), past: weekly(weeks9, flat...).put(imp, measured(-24, 2000)), want: "V16 warning"},
		"yesterday":            {h: measured(0, 3000), past: weekly(weeks9, flat...).put(imp, measured(-25, 2000))},
		"fifty times":          {h: measured(0, 60_000), past: weekly(weeks9, flat...).put(imp, measured(-30, 49_999))},
		"beyond fifty times":   {h: measured(0, 60_000), past: weekly(weeks9, flat...).put(imp, measured(-30, 50_000)), want: "V16 warning"},
		"vague large one":      {h: measured(0, 3000), past: weekly(weeks9, flat...).put(imp, graded(measured(-30, 2000), energy.Estimated, energy.RuleSpread)), want: "V16 warning"},
		"substituted as large": {h: measured(0, 3000), past: weekly(weeks9, flat...).put(imp, graded(measured(-30, 2000), energy.Substituted, energy.RuleProfile)), want: "V16 warning"},

		"four weeks":        {h: measured(0, 5000), past: weekly(4*336, 1000, 1000, 1000, 1000), want: "V16 warning"},
		"three weeks":       {h: measured(0, 5000), past: weekly(4*336 - 1)},
		"one vague":         {h: measured(0, 5000), past: weekly(4*336).put(imp, graded(measured(-336, 1000), energy.Estimated, energy.RuleSpread))},
		"own weeks":         {o: Options{SpikeWeeks: 4}, h: measured(0, 1801), past: weekly(weeks9, 1000, 1000, 1000, 1000, 9000, 9000, 9000, 9000), want: "V16 warning"},
		"eight weeks":       {h: measured(0, 1801), past: weekly(weeks9, 1000, 1000, 1000, 9000, 9000, 9000, 9000, 9000)},
		"not the ninth":     {h: measured(0, 1801), past: weekly(10*336, append(flat, 90_000)...), want: "V16 warning"},
		"vague":             {h: graded(measured(0, 5000), energy.Estimated, energy.RuleSpread), past: weekly(weeks9)},
		"interpolated":      {h: graded(measured(0, 5000), energy.Interpolated, energy.RuleInterpolate), past: weekly(weeks9), want: "V16 warning"},
		"off":               {o: Options{Off: flags(16)}, h: measured(0, 5000), past: weekly(weeks9)},
		"only V18 is off":   {o: Options{Off: flags(18)}, h: measured(0, 5000), past: weekly(weeks9), want: "V16 warning"},
		"both off":          {o: Options{Off: flags(16, 18)}, h: measured(0, 5000), past: weekly(weeks9)},
		"nothing but zeros": {o: Options{Off: flags(6)}, h: measured(0, 5000), past: memory{}.fill(imp, weeks9, 0)},
		"too little history": {h: measured(0, 5000), past: func() memory { // 47 half-hours in the week before, and like ones
			m := memory{}
			for i := range 47 {
				m.put(imp, measured(-25-i, 1000))
			}
			for w := 1; w < 9; w++ {
				m.put(imp, measured(-w*336, 1000))
			}
			delete(m[imp], slotAt(-336).Unix()) // that one lies in the week before, too
			return m
		}()},
		"just enough history": {h: measured(0, 5000), past: func() memory {
			m := memory{}
			for i := range 48 {
				m.put(imp, measured(-25-i, 1000))
			}
			for w := 2; w < 9; w++ {
				m.put(imp, measured(-w*336, 1000))
			}
			return m
		}(), want: "V16 warning"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := New(mainImport, c.o).HalfHour(&c.h, c.past, nil)
			if said(fs) != c.want || c.h.Flags.Has(16) != (c.want != "") {
				t.Errorf("%v, flags %v; want %q", fs, c.h.Flags.List(), c.want)
			}
			wellFormed(t, fs)
		})
	}
}

// Like half-hours have the same local time: after the clocks change they lie
// an hour away in UTC.
func TestSpikeLocalTime(t *testing.T) {
	start := time.Date(2026, 10, 28, 12, 0, 0, 0, time.UTC) // a Wednesday in winter; the weeks before were summer
	half := func(at time.Time, e int64) energy.HalfHour {
		return energy.HalfHour{Start: at, Energy: e, Cumulative: -1, Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}}
	}
	past := memory{}
	for at := start.AddDate(0, 0, -60); at.Before(start); at = at.Add(energy.Period) {
		past.put(imp, half(at, 1000))
	}
	for w := 1; w <= 8; w++ {
		past.put(imp, half(start.AddDate(0, 0, -7*w).Add(-time.Hour), 3000)) // noon of the clocks
	}
	// What the week before held does not matter here: make the day large, too.
	h := half(start, 4200)
	if New(mainImport, Options{SpikeK: 1}).HalfHour(&h, past, nil); h.Flags != 0 {
		t.Errorf("noon is compared with another hour: %v", h.Flags.List())
	}
	h = half(start.Add(-time.Hour), 4600)
	if New(mainImport, Options{SpikeK: 1}).HalfHour(&h, past, nil); flagged(h.Flags) != "V16" {
		t.Errorf("11:00 is compared with noon: %v", h.Flags.List())
	}
}

// A register of whole kWh at a site that uses 2 kWh in a half-hour is too
// coarse; a step of a hundredth is fine.
func TestCoarse(t *testing.T) {
	midnight := time.Date(2026, 7, 16, 0, 0, 0, 0, time.UTC) // a Thursday
	for name, c := range map[string]struct {
		o     Options
		step  int64 // of the register, as its readings show it; 0: not even evidence
		rule  energy.Rule
		from  int64 // first reading
		loads int64 // how many different ones there are; 0: 3
		days  int   // of history
		at    time.Time
		want  string
		flags string
	}{
		"a hundredth":         {o: Options{Step: 10}, days: 8, at: midnight},
		"more":                {o: Options{Step: 11}, days: 8, at: midnight, flags: "V18"},
		"begins":              {o: Options{Step: 11}, days: 1, at: midnight, want: "V18 info", flags: "V18"},
		"begins, but not now": {o: Options{Step: 11}, days: 1, at: midnight.Add(energy.Period), flags: "V18"},
		"on Monday":           {o: Options{Step: 11}, days: 12, at: midnight.AddDate(0, 0, 4), want: "V18 info", flags: "V18"},
		"on Tuesday":          {o: Options{Step: 11}, days: 12, at: midnight.AddDate(0, 0, 5), flags: "V18"},
		"too little known":    {o: Options{Step: 11}, days: 0, at: midnight},
		"seen":                {step: 1000, from: 5000, days: 8, at: midnight, flags: "V18"},
		"seen, but two loads": {step: 1000, from: 5000, loads: 2, days: 8, at: midnight},
		"seen, interpolated":  {step: 1000, from: 5000, rule: energy.RuleInterpolate, days: 8, at: midnight, flags: "V18"},
		"seen, spread":        {step: 1000, from: 5000, rule: energy.RuleSpread, days: 8, at: midnight},
		"seen, by the way":    {step: 1000, from: 5000, rule: energy.RuleImported, days: 8, at: midnight},
		"another start":       {step: 1000, from: 5001, days: 8, at: midnight},
		"float32 at 100 MWh":  {o: Options{Mantissa: 24}, step: 1, from: 100_000_000, days: 8, at: midnight, flags: "V18"},
		"float32 at 80 MWh":   {o: Options{Mantissa: 24}, step: 1, from: 80_000_001, days: 8, at: midnight},
		"float64":             {o: Options{Mantissa: 53}, step: 1, from: 100_000_001, days: 8, at: midnight},
		"off":                 {o: Options{Step: 11, Off: flags(18)}, days: 8, at: midnight},
		"only V16 is off":     {o: Options{Step: 11, Off: flags(16)}, days: 8, at: midnight, flags: "V18"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.rule == 0 {
				c.rule = energy.RuleBracketed
			}
			if c.loads == 0 {
				c.loads = 3
			}
			past, register := memory{}, c.from
			put := func(at time.Time) energy.HalfHour {
				e := 1000 * (1 + int64(past.len())%3/2)
				if c.loads > 2 && past.len()%7 == 6 {
					e = 3000
				}
				h := energy.HalfHour{Start: at, Energy: e, Quality: energy.Measured, Evidence: energy.Evidence{Rule: c.rule}}
				if c.step > 0 {
					h.Evidence.First, h.Evidence.Last = energy.Sample{At: at, Value: register}, energy.Sample{At: at.Add(energy.Period), Value: register + e}
				}
				register += e
				past.put(imp, h)
				return h
			}
			for at := c.at.Truncate(24*time.Hour).AddDate(0, 0, -c.days); at.Before(c.at); at = at.Add(energy.Period) {
				put(at)
			}
			h := put(c.at)
			fs := New(mainImport, c.o).HalfHour(&h, past, nil)
			if said(fs) != c.want || flagged(h.Flags) != c.flags {
				t.Errorf("%v, flags %q; want %q, %q", fs, flagged(h.Flags), c.want, c.flags)
			}
			wellFormed(t, fs)
			if c.want != "" && (fs[0].Found != "steps of 11 Wh" || fs[0].Expected != "at most 1 % of a usual half-hour of 1000 Wh") {
				t.Error(fs)
			}
		})
	}
}

// What is usual is worked out once a day, and gives the same however it is
// come to: by one Checker through the days, or by a new one at each half-hour.
func TestUsualIsTheSameAfterRestart(t *testing.T) {
	past := memory{}
	one := New(mainImport, Options{Step: 11})
	var flagsOf [2][]string
	for i := range 12 * 48 {
		e := int64(1000)
		if i > 5*48 && i < 8*48 {
			e = 9000 // then the step is fine, for a while
		}
		h := measured(i, e)
		again := h
		one.HalfHour(&h, past, nil)
		New(mainImport, Options{Step: 11}).HalfHour(&again, past, nil)
		flagsOf[0] = append(flagsOf[0], flagged(h.Flags))
		flagsOf[1] = append(flagsOf[1], flagged(again.Flags))
		past.put(imp, h)
	}
	coarse := 0
	for i := range flagsOf[0] {
		if flagsOf[0][i] != flagsOf[1][i] {
			t.Fatalf("half-hour %d: %q, and after a restart %q", i, flagsOf[0][i], flagsOf[1][i])
		}
		if flagsOf[0][i] == "V18" {
			coarse++
		}
	}
	if coarse == 0 || coarse == len(flagsOf[0]) {
		t.Errorf("%d half-hours are coarse", coarse)
	}
}

func TestDifferent(t *testing.T) {
	for want, v := range map[int][]int64{0: nil, 1: {4, 4}, 2: {4, 4, 5}, 3: {1, 2, 2, 3}} {
		if got := different(v); got != want {
			t.Errorf("%v: %d, want %d", v, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, v := range map[int64][]int64{1: {1}, 2: {2, 9}, 3: {1, 3, 4}, 4: {1, 4, 5, 9}} {
		if got := median(v); got != want {
			t.Errorf("median of %v is %d, want %d", v, got, want)
		}
	}
	for _, c := range [][3]int64{{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {12, 18, 6}, {-12, 18, 6}, {12, -18, 6}, {7, 5, 1}} {
		if got := gcd(c[0], c[1]); got != c[2] {
			t.Errorf("gcd of %d and %d is %d", c[0], c[1], got)
		}
	}
}

// Half a year of one register, with all that is asked of history.
func BenchmarkHalfHour(b *testing.B) {
	past := memory{}.fill(imp, 9*336, 1000)
	c := New(mainImport, Options{})
	var dst []Finding
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		h := measured(n, 1000)
		dst = c.HalfHour(&h, past, dst[:0])
		past.put(imp, h)
		n++
	}
}
