package energy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// gapDay is a register that is read every 5 minutes but from 10:10 to 13:20,
// when it counted 8,600 Wh; its half-hours from 09:30 to 14:00.
func gapDay(t *testing.T, reg Register) []HalfHour {
	t.Helper()
	a := NewAccumulator(reg, Period)
	var out []HalfHour
	add := func(at time.Time, v int64) {
		hh, e := a.Add(Sample{At: at, Value: v}, nil)
		if e.Kind != Nothing && e.Kind != Opened && e.Kind != Rollover {
			t.Fatalf("%v at %v", e.Kind, at)
		}
		out = append(out, hh...)
	}
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	v := int64(0)
	wrap := func(v int64) int64 {
		if reg.Modulus > 0 {
			return v % reg.Modulus
		}
		return v
	}
	for m := 9*60 + 30; m <= 14*60; m += 5 {
		switch {
		case m > 10*60+10 && m < 13*60+20:
			continue
		case m == 13*60+20:
			v += 8600
		default:
			v += 300
		}
		add(day.Add(time.Duration(m)*time.Minute), wrap(990_000+v))
	}
	return out
}

func energies(hh []HalfHour) (s string, sum int64) {
	var out []string
	for _, h := range hh {
		out = append(out, fmt.Sprintf("%s %d", h.Start.Format("15:04"), h.Energy))
		sum += h.Energy
	}
	return strings.Join(out, ", "), sum
}

// give puts actual values from elsewhere in the place of half-hours.
func give(hh []HalfHour, values map[string]int64) (stands []HalfHour, given []bool) {
	stands, given = slices.Clone(hh), make([]bool, len(hh))
	for i := range stands {
		if v, ok := values[stands[i].Start.Format("15:04")]; ok {
			given[i] = true
			stands[i].Energy, stands[i].Cumulative, stands[i].Quality = v, -1, Measured
			stands[i].Evidence = Evidence{Rule: RuleImported}
		}
	}
	return stands, given
}

// put takes the changed ones in.
func put(stands, changed []HalfHour) []HalfHour {
	stands = slices.Clone(stands)
	for _, h := range changed {
		i := slices.IndexFunc(stands, func(x HalfHour) bool { return x.Start.Equal(h.Start) })
		stands[i] = h
	}
	return stands
}

func TestRespread(t *testing.T) {
	for _, c := range []struct {
		name   string
		values map[string]int64
		want   string // of the changed ones
	}{
		// 10:00: 600 Wh until 10:10, and 20 minutes of the gap; 13:00: 20 minutes, then 600.
		{"one", map[string]int64{"11:00": 2742}, "10:00 1332, 10:30 1098, 11:30 1099, 12:00 1098, 12:30 1098, 13:00 1333"},
		{"all but one", map[string]int64{"10:00": 1600, "10:30": 1000, "11:00": 1000, "11:30": 1000, "12:30": 1000, "13:00": 2200}, "12:00 2000"},
		{"an edge", map[string]int64{"10:00": 600}, "10:30 1517, 11:00 1518, 11:30 1517, 12:00 1518, 12:30 1518, 13:00 1612"},
		{"nothing is left", map[string]int64{"10:30": 8600}, "10:00 600, 11:00 0, 11:30 0, 12:00 0, 12:30 0, 13:00 600"},
		{"more than there was", map[string]int64{"10:30": 8601}, ""},
		{"a little less than was counted", map[string]int64{"10:00": 599}, "10:30 1517, 11:00 1518, 11:30 1518, 12:00 1518, 12:30 1518, 13:00 1612"},
		{"all of them", map[string]int64{"10:00": 1, "10:30": 1, "11:00": 1, "11:30": 1, "12:00": 1, "12:30": 1, "13:00": 1}, ""},
		{"beside the gap", map[string]int64{"09:30": 7}, ""},
		{"none", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, reg := range []Register{{Measure: Import}, {Measure: Import, Modulus: 1_000_000, MaxPower: 100_000}} {
				hh := gapDay(t, reg)
				stands, given := give(hh, c.values)
				changed := Respread(reg, Period, hh, stands, given)
				if got, _ := energies(changed); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				all := put(stands, changed)
				_, before := energies(hh)
				if _, sum := energies(all); c.want != "" && sum != before {
					t.Errorf("%d Wh, the register advanced by %d", sum, before)
				}
				for i, h := range all {
					if given[i] || c.want == "" {
						continue
					}
					if h.Evidence.Rule == RuleProfileScaled && h.Quality != Estimated {
						t.Errorf("%v is %v", h.Start, h.Quality)
					}
					if i > 0 && !given[i-1] && reg.ahead(all[i-1].Cumulative, h.Cumulative) != h.Energy {
						t.Errorf("%v: register %d, before %d, energy %d", h.Start, h.Cumulative, all[i-1].Cumulative, h.Energy)
					}
				}
				if again := Respread(reg, Period, hh, all, given); again != nil {
					t.Errorf("done again it changes %v", again)
				}
			}
		})
	}
}

// What the meter cannot have delivered in the rest of the gap is not put there.
func TestRespreadKnowsTheCeiling(t *testing.T) {
	hh := gapDay(t, Register{Measure: Import})
	stands, given := give(hh, map[string]int64{"10:00": 600, "10:30": 0, "11:00": 0, "11:30": 0, "12:30": 0, "13:00": 600})
	for power, want := range map[int64]int{8_600: 1, 1_000: 0} { // 8,600 Wh in half an hour, and what a step may be ahead of the rating
		if got := Respread(Register{Measure: Import, MaxPower: power}, Period, hh, stands, given); len(got) != want {
			t.Errorf("%d W: %v", power, got)
		}
	}
}

// A shape that stands already is kept, but for a half-hour in two gaps; a gap that
// goes on beyond what is looked at is left alone.
func TestRespreadKeepsWhatItCannotKnow(t *testing.T) {
	hh := gapDay(t, Register{Measure: Import})
	stands, given := give(hh, map[string]int64{"11:00": 1358})
	for i := range stands {
		if stands[i].Start.Format("15:04") == "12:00" { // shaped: 12:00 has what 11:30 lacks
			stands[i].Energy, stands[i-1].Energy = 2*stands[i].Energy, 0
		}
		if stands[i].Evidence.Rule == RuleSpread {
			stands[i].Evidence.Rule = RuleProfileScaled
		}
	}
	got := put(stands, Respread(Register{Measure: Import}, Period, hh, stands, given))
	if s, _ := energies(got[3:7]); s != "11:00 1358, 11:30 0, 12:00 2716, 12:30 1358" {
		t.Error(s)
	}
	if got := Respread(Register{Measure: Import}, Period, hh[2:], stands[2:], given[2:]); got != nil {
		t.Errorf("a gap that begins before what is known: %v", got)
	}
	if got := Respread(Register{Measure: Import}, Period, hh[:6], stands[:6], given[:6]); got != nil {
		t.Errorf("a gap that ends after what is known: %v", got)
	}
	if got := Respread(Register{Measure: Import}, Period, hh, stands[1:], given); got != nil {
		t.Errorf("lists of different lengths: %v", got)
	}
	a := NewAccumulator(Register{Measure: Import}, Period)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	hh = nil
	for i, m := range []int{0, 5, 10, 130, 250, 255, 300} { // read but once between 00:10 and 04:10
		out, _ := a.Add(Sample{At: day.Add(time.Duration(m) * time.Minute), Value: int64(i+1) * 1000}, nil)
		hh = append(hh, out...)
	}
	shaped := slices.Clone(hh)
	for i := range shaped {
		if shaped[i].Start.Format("15:04") == "02:00" { // and nothing says over which of the two gaps
			shaped[i].Energy++
			shaped[i-1].Energy--
		}
	}
	if got := Respread(Register{Measure: Import}, Period, hh, shaped, make([]bool, len(hh))); got != nil {
		t.Errorf("nobody tells a part: %v", got)
	}
	stands, given = give(shaped, map[string]int64{"01:00": 5})
	all := put(stands, Respread(Register{Measure: Import}, Period, hh, stands, given))
	_, before := energies(hh)
	if s, sum := energies(all); sum != before || all[4].Energy != hh[4].Energy {
		t.Errorf("a shaped half-hour in two gaps: %d Wh, the register counted %d: %s", sum, before, s)
	}
}

// A meter that was read once between two gaps: what is told of one gap leaves the
// other alone, and what is told of the half-hour that they share counts for both,
// in proportion to time.
func TestRespreadOfTwoGapsThatShareAHalfHour(t *testing.T) {
	reg := Register{Measure: Import}
	a := NewAccumulator(reg, Period)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var hh []HalfHour
	// 6,000 Wh in each of the gaps, 50 Wh a minute; the reading between is at 02:10.
	for _, x := range [][2]int64{{0, 0}, {5, 500}, {10, 1000}, {130, 7000}, {250, 13000}, {255, 13500}, {285, 18000}} {
		out, _ := a.Add(Sample{At: day.Add(time.Duration(x[0]) * time.Minute), Value: 1 + x[1]}, nil)
		hh = append(hh, out...)
	}
	for name, c := range map[string]struct {
		values map[string]int64
		whole  bool // both gaps still sum to what the register counted
		want   string
	}{
		"one gap":             {map[string]int64{"01:00": 500}, true, "00:00 2250, 00:30 1875, 01:00 500, 01:30 1875, 02:00 1500, 02:30 1500"},
		"the shared one":      {map[string]int64{"02:00": 3000}, true, "00:00 1909, 00:30 1363, 01:00 1364, 01:30 1364, 02:00 3000, 02:30 1200, 03:00 1200, 03:30 1200, 04:00 3150"},
		"it and another":      {map[string]int64{"02:00": 3000, "03:00": 0}, true, "01:30 1364, 02:00 3000, 02:30 1714, 03:00 0, 03:30 1714, 04:00 3322"},
		"one gap, all of it":  {map[string]int64{"00:00": 2200, "00:30": 1400, "01:00": 1400, "01:30": 1400, "02:00": 2000}, true, "01:30 1400, 02:00 2000, 02:30 1380, 03:00 1380, 03:30 1380, 04:00 3210"},
		"the other, all":      {map[string]int64{"02:00": 1500, "02:30": 1600, "03:00": 1600, "03:30": 1600, "04:00": 3150}, true, "00:00 1963, 00:30 1446, 01:00 1445, 01:30 1446, 02:00 1500, 02:30 1600"},
		"one leaves nothing":  {map[string]int64{"00:00": 2800, "00:30": 1400, "01:00": 1400, "01:30": 1400, "02:00": 1500}, true, "02:00 1500, 02:30 1350, 03:00 1350, 03:30 1350, 04:00 3200"},
		"one leaves all":      {map[string]int64{"00:00": 2200, "00:30": 1400, "01:00": 1400, "01:30": 1400, "02:00": 600}, true, "02:00 600, 02:30 1800, 03:00 1800, 03:30 1800, 04:00 3350"},
		"the other, nothing":  {map[string]int64{"02:00": 1500, "02:30": 2000, "03:00": 2000, "03:30": 2000, "04:00": 2750}, true, "00:00 1818, 00:30 1227"},
		"the other leaves it": {map[string]int64{"02:00": 800, "02:30": 1600, "03:00": 1600, "03:30": 1600, "04:00": 3150}, true, "00:00 2090, 00:30 1637"},
		"nothing in it":       {map[string]int64{"02:00": 0}, true, "00:00 2090, 00:30 1637, 01:00 1636, 01:30 1637, 02:00 0, 02:30 1800, 03:00 1800, 03:30 1800, 04:00 3350"},
		"more than one gap":   {map[string]int64{"02:00": 20_000}, false, ""},
		"all but the shared":  {map[string]int64{"00:00": 1, "00:30": 1, "01:00": 1, "01:30": 1}, false, ""},
		"nothing but it left": {map[string]int64{"02:00": 18_000}, false, "00:30 0, 01:00 0, 01:30 0, 02:00 18000, 02:30 1500, 03:00 1500"},
	} {
		stands, given := give(hh, c.values)
		changed := Respread(reg, Period, hh, stands, given)
		all := put(stands, changed)
		got, sum := energies(all)
		_, before := energies(hh)
		if c.want == "" && changed != nil || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
		if c.whole && sum != before {
			t.Errorf("%s: %d Wh, the register counted %d", name, sum, before)
		}
		if again := Respread(reg, Period, hh, all, given); again != nil {
			t.Errorf("%s: done again it changes %v", name, again)
		}
	}
}

// A half-hour that has a part in two gaps stays, also where what is known
// begins with it.
func TestRespreadBeginsInAGap(t *testing.T) {
	reg := Register{Measure: Import}
	a := NewAccumulator(reg, Period)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var hh []HalfHour
	for _, x := range [][2]int64{{0, 0}, {10, 1000}, {130, 7000}, {250, 13000}, {255, 13500}, {285, 18000}} {
		out, _ := a.Add(Sample{At: day.Add(time.Duration(x[0]) * time.Minute), Value: 1 + x[1]}, nil)
		hh = append(hh, out...)
	}
	hh = slices.DeleteFunc(hh, func(h HalfHour) bool { return h.Start.Before(day.Add(2 * time.Hour)) })
	stands, given := give(hh, map[string]int64{"03:00": 600})
	got, sum := energies(put(stands, Respread(reg, Period, hh, stands, given)))
	_, before := energies(hh)
	if want := "02:00 1500, 02:30 1885, 03:00 600, 03:30 1886, 04:00 3379"; got != want || sum != before {
		t.Errorf("%d Wh, the register counted %d: %s", sum, before, got)
	}
}

// Whatever is given: a gap that is spread anew sums to its advance, no
// half-hour falls below what was counted in it outside of the gap, what was
// given stays, and done again nothing changes.
func TestRespreadLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reg := Register{Measure: Import}
		if rapid.Bool().Draw(t, "wraps") {
			reg.Modulus = 1 << 20
		}
		a := NewAccumulator(reg, Period)
		at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		v := rapid.Int64Range(0, 1<<20-1).Draw(t, "register")
		var hh []HalfHour
		for range rapid.IntRange(3, 25).Draw(t, "readings") {
			out, _ := a.Add(Sample{At: at, Value: v}, nil)
			hh = append(hh, out...)
			step := rapid.SampledFrom([]time.Duration{time.Minute, 7 * time.Minute, 29 * time.Minute, 3*time.Hour + 11*time.Second, 9 * time.Hour}).Draw(t, "step")
			at = at.Add(step)
			v += rapid.Int64Range(0, 20_000).Draw(t, "energy") * int64(step) / int64(10*time.Hour)
			if reg.Modulus > 0 {
				v %= reg.Modulus
			}
		}
		stands, given := slices.Clone(hh), make([]bool, len(hh))
		for i := range stands {
			if stands[i].Quality == Estimated && rapid.IntRange(0, 2).Draw(t, "given") == 0 {
				given[i] = true
				stands[i].Energy, stands[i].Cumulative, stands[i].Quality, stands[i].Evidence = rapid.SampledFrom([]int64{0, 1, 500, 1000, 5000, 30_000}).Draw(t, "actual"), -1, Measured, Evidence{Rule: RuleImported}
			}
		}
		changed := Respread(reg, Period, hh, stands, given)
		all := put(stands, changed)
		for i := range all {
			if given[i] && all[i] != stands[i] {
				t.Fatalf("%v was given, and is another now", all[i].Start)
			}
			if all[i].Energy < 0 || !given[i] && all[i].Quality > hh[i].Quality {
				t.Fatalf("%+v", all[i])
			}
		}
		for i := 1; i < len(all); i++ { // the register between two that it tells of is where both say
			if from, to := all[i-1].Cumulative, all[i].Cumulative; from >= 0 && to >= 0 && reg.wrap(from, all[i].Energy) != to {
				t.Fatalf("%s: %d Wh from %d to %d", all[i].Start.Format("15:04"), all[i].Energy, from, to)
			}
		}
		// Sums over each run of changed and given half-hours with a changed one in it.
		for i := 0; i < len(all); {
			j, was, is, any := i, int64(0), int64(0), false
			for ; j < len(all) && hh[j].Quality == Estimated; j++ {
				was, is = was+hh[j].Energy, is+all[j].Energy
				any = any || all[j].Evidence.Rule == RuleProfileScaled
			}
			others := slices.ContainsFunc(hh[i:j], func(h HalfHour) bool { // one gap alone in this run
				return h.Evidence.Last.At.Sub(h.Evidence.First.At) <= Period
			})
			if gaps := countGaps(hh[i:j]); any && gaps == 1 && !others && was != is {
				t.Fatalf("%d Wh, the register advanced by %d", is, was)
			}
			i = max(j, i+1)
		}
		if again := Respread(reg, Period, hh, all, given); again != nil {
			t.Fatalf("done again it changes %+v", again)
		}
	})
}

// countGaps counts the gaps whose boundaries lie in a run.
func countGaps(hh []HalfHour) (n int) {
	var last Sample
	for i := 1; i < len(hh); i++ {
		before, after := hh[i].Evidence.First, hh[i-1].Evidence.Last
		if after.At.Sub(before.At) > Period && before != last {
			n, last = n+1, before
		}
	}
	return n
}

// Readings that are just a period apart are no gap: the half-hours between
// them and a gap belong to the gap alone.
func TestRespreadBesideReadingsAPeriodApart(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import}, Period)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var hh []HalfHour
	for i, m := range []int{10, 40, 70, 250, 280, 310} { // the gap is from 01:10 to 04:10
		out, _ := a.Add(Sample{At: day.Add(time.Duration(m) * time.Minute), Value: 1000 + int64(i)*1800}, nil)
		hh = append(hh, out...)
	}
	stands, given := give(hh, map[string]int64{"02:00": 0})
	got, sum := energies(put(stands, Respread(Register{Measure: Import}, Period, hh, stands, given)))
	// 01:00 has 600 Wh from before the gap and 240 of it, 04:00 120 of it and 1,200 from after it.
	if want := "00:30 1800, 01:00 840, 01:30 360, 02:00 0, 02:30 360, 03:00 360, 03:30 360, 04:00 1320, 04:30 1800"; got != want || sum != 7200 {
		t.Errorf("%d Wh: %s\nwant %s", sum, got, want)
	}
}

// Two gaps that meet in a reading on a boundary share no half-hour.
func TestRespreadOfGapsThatMeetOnABoundary(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import}, Period)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var hh []HalfHour
	for i, m := range []int{30, 60, 180, 300, 330, 335} {
		out, _ := a.Add(Sample{At: day.Add(time.Duration(m) * time.Minute), Value: 1000 + int64(i)*1800}, nil)
		hh = append(hh, out...)
	}
	stands, given := give(hh, map[string]int64{"01:30": 0, "04:30": 1800})
	got, _ := energies(put(stands, Respread(Register{Measure: Import}, Period, hh, stands, given)))
	if want := "00:30 1800, 01:00 600, 01:30 0, 02:00 600, 02:30 600, 03:00 0, 03:30 0, 04:00 0, 04:30 1800, 05:00 1800"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What is missing, or was not made of readings, parts the runs; a gap beside
// it is spread anew all the same.
func TestRespreadBesideWhatIsMissing(t *testing.T) {
	hh := gapDay(t, Register{Measure: Import})
	missing := HalfHour{Start: hh[0].Start.Add(-Period), Cumulative: -1}
	after := HalfHour{Start: hh[len(hh)-1].Start.Add(Period), Cumulative: -1}
	hh = append(append([]HalfHour{missing}, hh...), after)
	stands, given := give(hh, map[string]int64{"11:00": 2742})
	changed := Respread(Register{Measure: Import}, Period, hh, stands, given)
	if got, _ := energies(changed); got != "10:00 1332, 10:30 1098, 11:30 1099, 12:00 1098, 12:30 1098, 13:00 1333" {
		t.Error(got)
	}
}

// A gap that begins and ends within seconds of a boundary: the half-hours at its
// edges are measured, and keep what they have.
func TestRespreadOfAGapBetweenBoundaries(t *testing.T) {
	reg := Register{Measure: Import}
	a := NewAccumulator(reg, Period)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var hh []HalfHour
	for i, x := range []time.Duration{0, 15 * time.Minute, 30*time.Minute - 5*time.Second, 2*time.Hour + 30*time.Minute + 5*time.Second, 2*time.Hour + 45*time.Minute, 3*time.Hour + 5*time.Second} {
		out, _ := a.Add(Sample{At: day.Add(x), Value: 1 + int64(i)*7210}, nil)
		hh = append(hh, out...)
	}
	stands, given := give(hh, map[string]int64{"01:00": 600})
	all := put(stands, Respread(reg, Period, hh, stands, given))
	got, sum := energies(all)
	if want := "00:00 14425, 00:30 2200, 01:00 600, 01:30 2200, 02:00 2200, 02:30 14385"; got != want || hh[0].Quality != Measured || hh[5].Quality != Measured {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, before := energies(hh); sum != before {
		t.Errorf("%d Wh, the register counted %d", sum, before)
	}
}
