package energy_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
)

const sharedData = "../../shared/data"

// Real half-hours, made into the register that counted them and read at odd
// times around each boundary (and at it), come out of the accumulator again to
// the Wh, whatever the file's mistakes and on the days when the clocks change.
func TestRealHalfHours(t *testing.T) {
	if _, err := os.Stat(sharedData); err != nil {
		t.Skip("../shared/data is absent: the files of other parties are not tested")
	}
	files, _ := filepath.Glob(sharedData + "/council/*.csv")
	files = append(files, sharedData+"/perse/half-hourly-2024-01-to-2024-06.json")
	days := map[int]int{} // by number of periods
	total := 0
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := hhfile.Parse(raw, hhfile.Options{})
		if err != nil {
			continue // TestSharedData of hhfile says which and why
		}
		for _, s := range f.Series {
			total += len(s.HalfHours)
			there := map[string]int{}
			for _, h := range s.HalfHours {
				d, _ := energy.SettlementPeriod(h.Start)
				there[d.String()]++
				if there[d.String()] == d.Periods() {
					days[d.Periods()]++
				}
			}
			through(t, filepath.Base(name)+" "+s.ID, s.Measure, s.HalfHours)
		}
	}
	if total < 15_000 || days[46] == 0 || days[48] < 250 {
		t.Errorf("%d half-hours, whole days by their number of periods: %v", total, days)
	}
}

// through runs each stretch without a hole through a register that wraps often.
func through(t *testing.T, name string, m energy.Measure, hs []energy.HalfHour) {
	t.Helper()
	reg := energy.Register{Measure: m, Modulus: 100_000_000}
	for len(hs) > 0 {
		n := 1
		for n < len(hs) && hs[n].Start.Equal(hs[n-1].Start.Add(energy.Period)) {
			n++
		}
		a := energy.NewAccumulator(reg, energy.Period)
		register := int64(99_990_001) // it wraps within the day, and hardly ever to exactly 0
		var got []energy.HalfHour
		read := func(at time.Time, v int64) {
			var e energy.Event
			got, e = a.Add(energy.Sample{At: at, Value: v % reg.Modulus}, got)
			if e.Kind != energy.Nothing && e.Kind != energy.Opened && e.Kind != energy.Rollover {
				t.Fatalf("%s: %+v", name, e)
			}
		}
		read(hs[0].Start, register)
		for i, h := range hs[:n] {
			for part := int64(1); part <= 3; part++ {
				read(h.Start.Add(time.Duration(part)*7*time.Minute+time.Duration(i%60)*time.Second), register+h.Energy*part/4)
			}
			register += h.Energy
			read(h.Start.Add(energy.Period), register)
		}
		for k := range 3 { // what is held at the end is judged
			read(hs[n-1].Start.Add(energy.Period+time.Duration(k+1)*time.Minute), register+1)
		}
		if len(got) != n {
			t.Fatalf("%s: %d half-hours became %d", name, n, len(got))
		}
		for i, h := range hs[:n] {
			if g := got[i]; !g.Start.Equal(h.Start) || g.Energy != h.Energy || g.Quality != energy.Measured {
				t.Fatalf("%s: %+v became %+v", name, h, g)
			}
		}
		hs = hs[n:]
	}
}
