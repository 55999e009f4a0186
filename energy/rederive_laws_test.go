package energy

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Samples that come late make the half-hours that they would have made in
// time: the same where the window begins and ends at sampled boundaries. And
// whatever comes late, the sum stays, nothing turns negative, no quality falls.
func TestRederiveConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reg := Register{Measure: Import, Modulus: rapid.SampledFrom([]int64{0, 100_000}).Draw(t, "modulus")}
		intime, now := NewAccumulator(reg, Period), NewAccumulator(reg, Period)
		var x, y []HalfHour
		var kept []Sample
		when, total := time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC), rapid.Int64Range(1, 99_999).Draw(t, "register")
		add := func(keep bool) {
			s := Sample{when, total}
			if reg.Modulus > 0 {
				s.Value = total % reg.Modulus
			}
			if s.Value == 0 {
				return // it would not be taken for a reading
			}
			x, _ = intime.Add(s, x)
			if keep {
				kept = append(kept, s)
			} else {
				y, _ = now.Add(s, y)
			}
		}
		add(false)
		for range rapid.IntRange(1, 40).Draw(t, "samples") {
			gap := time.Duration(rapid.Int64Range(1, 40*60).Draw(t, "gap")) * time.Second
			if rapid.IntRange(0, 3).Draw(t, "pace") == 0 {
				gap = Period - when.Sub(when.Truncate(Period))
			}
			when, total = when.Add(gap), total+rapid.Int64Range(0, 300).Draw(t, "advance")
			add(rapid.IntRange(0, 2).Draw(t, "late") > 0)
		}
		when = when.Truncate(Period).Add(Period)
		add(false)
		for range 2 { // a wrap is believed after two samples
			when, total = when.Add(Period), total+1
			add(false)
		}
		for _, h := range append(slices.Clone(x), y...) {
			if h.Quality == Missing {
				t.Skip("a wrap was not seen as one")
			}
		}
		rapidlyShuffle(t, kept)
		got, err := Rederive(reg, Period, y, Missing, kept)
		if err != nil {
			t.Fatal(err)
		}
		z := slices.Clone(y)
		for _, h := range got {
			i := int(h.Start.Sub(z[0].Start) / Period)
			if h.Quality < z[i].Quality || h.Energy < 0 {
				t.Fatalf("%+v became %+v", z[i], h)
			}
			z[i] = h
		}
		for i, w := range x {
			h := z[i]
			if h.Energy != w.Energy || h.Cumulative != w.Cumulative || i < len(x)-1 && h.Quality != w.Quality && i > 0 || h.Evidence.First != w.Evidence.First || h.Evidence.Last != w.Evidence.Last {
				t.Fatalf("half-hour %d: %+v, in time %+v", i, h, w)
			}
		}
	})
}

func rapidlyShuffle(t *rapid.T, s []Sample) {
	for i := range s {
		j := rapid.IntRange(i, len(s)-1).Draw(t, "swap")
		s[i], s[j] = s[j], s[i]
	}
}

// Whatever the late samples are: the sum stays, and nothing turns negative.
func TestRederiveNonsense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reg := Register{Measure: Import, Modulus: rapid.SampledFrom([]int64{0, 1000, 1 << 40}).Draw(t, "modulus"), MaxPower: rapid.SampledFrom([]int64{0, 500}).Draw(t, "ceiling")}
		a := NewAccumulator(reg, Period)
		var window []HalfHour
		when, v := time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC), int64(500)
		for range rapid.IntRange(2, 30).Draw(t, "samples") {
			window, _ = a.Add(Sample{when, v}, window)
			when, v = when.Add(time.Duration(rapid.Int64Range(1, 7200).Draw(t, "gap"))*time.Second), v+rapid.Int64Range(-2, 100).Draw(t, "advance")
			if reg.Modulus > 0 {
				v %= reg.Modulus
			}
		}
		window = newest(window)
		var samples []Sample
		for range rapid.IntRange(0, 10).Draw(t, "late") {
			samples = append(samples, Sample{time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC).Add(time.Duration(rapid.Int64Range(-100, 7200*20).Draw(t, "at")) * time.Second), rapid.Int64Range(-1, 2000).Draw(t, "value")})
		}
		got, _ := Rederive(reg, Period, window, Missing, samples)
		z, was, is := slices.Clone(window), int64(0), int64(0)
		for _, h := range got {
			z[int(h.Start.Sub(z[0].Start)/Period)] = h
		}
		for i := range z {
			was, is = was+window[i].Energy, is+z[i].Energy
		}
		if was != is {
			t.Fatalf("%d became %d", was, is)
		}
		checkHalfHours(t, reg, Period, z)
		redo(t, reg, Period, z)
	})
}
