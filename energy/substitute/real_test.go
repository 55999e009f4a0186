package substitute

import (
	"os"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
)

const sharedData = "../../../shared/data/"

func realSeries(t *testing.T, name string) []energy.HalfHour {
	t.Helper()
	raw, err := os.ReadFile(sharedData + name)
	if err != nil {
		t.Skip("../shared/data is absent: the files of other parties are not tested")
	}
	f, err := hhfile.Parse(raw, hhfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Series[0].HalfHours
}

// How good the substitutes are, on real meters: a day is taken away, each day
// in turn, and put back by profile (advance unknown) and by scaled profile
// (advance known). The errors are of the energy of single half-hours, as a
// share of what was used; an even spread of the exact advance is the measure.
func TestRealDaysPutBack(t *testing.T) {
	for _, c := range []struct {
		name                  string
		profile, scaled, even float64 // mean absolute errors that are not exceeded, and the even spread's that is
	}{
		{"perse/half-hourly-2024-01-to-2024-06.json", 0.06, 0.043, 0.044},
		{"council/example-bad-sheffield-proper-file.csv", 0.20, 0.14, 0.70},
	} {
		hh := realSeries(t, c.name)
		var used, byProfile, byScaled, evenly, n float64
		for first := 35 * 48; first+48 < len(hh); first += 48 {
			var total int64
			for _, h := range hh[first : first+48] {
				total += h.Energy
			}
			unknown := holed(hh[:first+49], first, nil)
			known := holed(hh[:first+49], first, &total)
			a := Plan(energy.Import, unknown, Options{Methods: []Method{Profile}})
			b := Plan(energy.Import, known, Options{Methods: []Method{Scaled}})
			if len(a) != 48 || len(b) != 48 {
				continue // too little history of that kind of day
			}
			n++
			var sum int64
			for i, h := range hh[first : first+48] {
				used += float64(h.Energy)
				byProfile += abs(a[i].Energy - h.Energy)
				byScaled += abs(b[i].Energy - h.Energy)
				evenly += abs(total/48 - h.Energy)
				sum += b[i].Energy
			}
			if sum != total {
				t.Fatalf("%s: %v: %d Wh were made of %d", c.name, hh[first].Start, sum, total)
			}
		}
		t.Logf("%s: %.0f days put back: error %.1f %% by profile, %.1f %% by scaled profile, %.1f %% evenly", c.name, n, 100*byProfile/used, 100*byScaled/used, 100*evenly/used)
		if n < 40 || byProfile/used > c.profile || byScaled/used > c.scaled || evenly/used < c.even {
			t.Errorf("%s: %.0f days, errors %.3f, %.3f, evenly %.3f", c.name, n, byProfile/used, byScaled/used, evenly/used)
		}
	}
}

// holed takes a day away: what is left is missing, or the spread of a known total.
func holed(hh []energy.HalfHour, first int, total *int64) []energy.HalfHour {
	out := append([]energy.HalfHour(nil), hh...)
	for i := range out[first : first+48] {
		h := &out[first+i]
		*h = energy.HalfHour{Start: h.Start, Cumulative: -1}
		if total == nil {
			continue
		}
		upTo := *total * int64(i+1) / 48
		h.Energy, h.Cumulative, h.Quality = upTo-*total*int64(i)/48, 1000+upTo, energy.Estimated
		h.Evidence = energy.Evidence{
			First: energy.Sample{At: out[first].Start, Value: 1000},
			Last:  energy.Sample{At: out[first].Start.Add(24 * time.Hour), Value: 1000 + *total}, Rule: energy.RuleSpread,
		}
	}
	return out
}

func abs(v int64) float64 { return float64(max(v, -v)) }
