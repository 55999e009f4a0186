package energy

import (
	"testing"
	"time"
)

// Whatever the bytes, restoring answers with an error or with an accumulator
// that keeps the laws and writes the same state again.
func FuzzRestoreAccumulator(f *testing.F) {
	r := Register{Measure: Import, Modulus: 1_000_000, MaxPower: 10_000}
	a := NewAccumulator(r, Period)
	f.Add(a.State(nil), int64(0), int64(60))
	start := time.Date(2024, 2, 5, 0, 10, 0, 0, time.UTC)
	for i, v := range []int64{999_000, 999_500, 999_900, 5, 7} {
		a.Add(Sample{start.Add(time.Duration(i) * 15 * time.Minute), v}, nil)
		f.Add(a.State(nil), v, int64(i*1000))
	}
	if _, _, err := a.Exchange(start.Add(80*time.Minute), 12, 400, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(a.State(nil), int64(500), int64(60))
	a.Add(Sample{start.Add(90 * time.Minute), 500}, nil)
	f.Add(a.State(nil), int64(450), int64(60)) // something to undo
	a.Break()
	f.Add(a.State(nil), int64(0), int64(4000))
	f.Fuzz(func(t *testing.T, state []byte, value, seconds int64) {
		a, err := RestoreAccumulator(r, Period, state)
		if err != nil {
			return
		}
		again, err := RestoreAccumulator(r, Period, a.State(nil))
		if err != nil || *again != *a {
			t.Fatalf("%v: %+v became %+v", err, a, again)
		}
		var hs []HalfHour
		latest, _ := a.latest()
		now := instant(max(latest, firstTime))
		for range 8 {
			now = now.Add(time.Duration(seconds%(500*86400)) * time.Second)
			hs, _ = a.Add(Sample{now, value}, hs)
			value = (value + 11) & (1<<20 - 1)
		}
		checkHalfHours(t, r, Period, newest(hs))
	})
}

// Any run of samples keeps the laws.
func FuzzAdd(f *testing.F) {
	f.Add([]byte{10, 1, 20, 2, 200, 3, 255, 0, 1, 1}, int64(1000), int64(0))
	f.Add([]byte{1, 255, 1, 255, 1, 0, 1, 255}, int64(1<<40), int64(5000))
	f.Add([]byte{180, 10, 180, 10, 180, 200, 180, 10}, int64(0), int64(1<<62))
	f.Fuzz(func(t *testing.T, steps []byte, modulus, ceiling int64) {
		r := Register{Measure: Import, Modulus: max(modulus, 0), MaxPower: max(ceiling, 0)}
		a := NewAccumulator(r, Period)
		now, value := time.Date(2024, 2, 5, 0, 10, 0, 0, time.UTC), int64(900)
		var hs []HalfHour
		for i := 0; i+1 < len(steps); i += 2 {
			now = now.Add(time.Duration(steps[i]) * 10 * time.Second)
			switch d := steps[i+1]; {
			case d < 100:
				value += int64(d)
			case d < 200:
				value -= int64(d) * int64(d)
			default:
				value = int64(d-200) << (d - 200)
			}
			hs, _ = a.Add(Sample{now, value}, hs)
		}
		checkHalfHours(t, r, Period, newest(hs))
		redo(t, r, Period, newest(hs))
	})
}
