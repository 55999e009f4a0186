package validate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Sites that no file of the shared collection has: a year of each, with
// weather, week-ends, shutdowns and a load that is added for good. At most one
// half-hour in 350 of them is spoken against, and the findings can be counted
// on the fingers.
func TestYearsOfOtherSites(t *testing.T) {
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	season := func(at time.Time) float64 { return math.Cos(2 * math.Pi * float64(at.YearDay()-15) / 365) } // 1 in January, -1 in July
	working := func(at time.Time) bool {
		l := at.In(energy.London())
		return l.Weekday() != time.Saturday && l.Weekday() != time.Sunday && l.Hour() >= 8 && l.Hour() < 18
	}
	for name, c := range map[string]struct {
		m    energy.Measure
		o    Options
		load func(at time.Time, r *rand.Rand, day float64) float64 // day: this day's weather, 0 to 1
		most int                                                   // flagged half-hours of 17,520; 0: none
	}{
		"office": {m: energy.Import, load: func(at time.Time, r *rand.Rand, day float64) float64 {
			e := 1500 + 200*r.Float64()
			shut := at.Month() == time.December && at.Day() > 23
			if working(at) && !shut {
				e += 9000 + 2000*season(at) + 3000*day + 1500*r.NormFloat64()
			}
			if at.After(start.AddDate(0, 7, 0)) {
				e += 2500 // a new server room
			}
			return e
		}},
		"solar": {m: energy.Export, load: func(at time.Time, r *rand.Rand, day float64) float64 {
			h := float64(at.Hour()) + float64(at.Minute())/60
			light := math.Cos((h-12)/12*math.Pi) - 0.45*season(at)
			return max(0, 15_000*light*(0.1+0.9*day)*(0.8+0.2*r.Float64()))
		}},
		"boiler": {m: energy.Gas, load: func(at time.Time, r *rand.Rand, day float64) float64 {
			e := 0.0
			if h := at.In(energy.London()).Hour(); h >= 6 && h < 9 || h >= 16 && h < 22 {
				e = max(0, 6000*season(at)+6000*day-2500)
			}
			if r.IntN(9) == 0 {
				e += 300 // hot water
			}
			return e
		}, most: 50}, // the first cold mornings of autumn, after a summer of hot water only
		"flat tyre shop": {m: energy.Import, load: func(at time.Time, r *rand.Rand, day float64) float64 {
			e := 120.0 + float64(r.IntN(3))
			if working(at) && r.IntN(4) == 0 {
				e += 2000 + 2500*r.Float64() // the compressor
			}
			return e
		}},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		var hh []energy.HalfHour
		day := 0.5
		for at := start; at.Before(start.AddDate(1, 0, 0)); at = at.Add(energy.Period) {
			if at.Hour() == 0 && at.Minute() == 0 {
				day = 0.6*day + 0.4*r.Float64()
			}
			hh = append(hh, energy.HalfHour{Start: at, Energy: int64(c.load(at, r, day)), Cumulative: -1, Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}})
		}
		fs, flags := judged(energy.Key{Meter: "m", Measure: c.m}, c.o, hh)
		t.Logf("%s: %d half-hours, flags by rule %v, %d findings", name, len(hh), flags, len(fs))
		n := 0
		for _, k := range flags {
			n += k
		}
		if n > c.most || len(fs) > 10 {
			t.Errorf("%s: %d half-hours are flagged, %d findings: %v", name, n, len(fs), fs)
		}
	}
}
