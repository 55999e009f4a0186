package energy

import (
	"testing"
	"time"
)

// After a fall a register is believed as soon as it goes on as a meter does,
// also where one of its counts is more than the meter delivers between two
// polls: 1 kWh at 5 kW, read each 10 minutes. (Simulation, seed 30009: each
// count was doubted, and an hour more than need be was missing.)
func TestCoarseRegisterIsBelievedAfterAFall(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2000, 4, 14, 4, minute, 0, 0, time.UTC) }
	for _, tc := range []struct {
		name  string
		power int64
		step  int64   // as far as it is known
		read  []int64 // each 10 minutes
		anew  int     // index of the reading at which it begins anew
	}{
		{"a rating that delivers a count in 3 minutes", 20_000, 1000, []int64{1000, 1000, 1000, 2000, 2000, 2000, 3000, 3000, 3000, 4000}, 4},
		{"a rating that delivers a count in 12 minutes", 5_000, 1000, []int64{1000, 1000, 1000, 2000, 2000, 2000, 3000, 3000, 3000, 4000}, 4},
		{"the same, and nobody knows its steps", 5_000, 0, []int64{1000, 1000, 1000, 2000, 2000, 2000, 3000, 3000, 3000, 4000}, 4},
		{"the same, of zeros at first", 5_000, 0, []int64{0, 0, 0, 0, 1000, 1000, 1000, 2000, 2000, 2000}, 8},
	} {
		a := NewAccumulator(Register{MaxPower: tc.power, Step: tc.step}, Period)
		for m := 0; m <= 130; m += 10 {
			a.Add(Sample{at(m), 844_000}, nil)
		}
		anew := -1
		for i, v := range tc.read {
			if _, e := a.Add(Sample{at(250 + 10*i), v}, nil); e.Kind == Reset && anew < 0 {
				anew = i
			}
		}
		if anew != tc.anew {
			t.Errorf("%s: it begins anew at reading %d, want %d", tc.name, anew, tc.anew)
		}
	}
}
