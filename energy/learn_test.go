package energy

import (
	"testing"
	"time"
)

// A register whose device says where it wraps: the wrap is counted through,
// and is known after a restart before the device has said it again.
func TestLearntModulus(t *testing.T) {
	reg := Register{Measure: Generation, MaxPower: 100_000, Learnt: true}
	a := NewAccumulator(reg, Period)
	at := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
	a.Learn(1<<32, 1)
	if _, e := a.Add(Sample{at, 1<<32 - 10}, nil); e.Kind != Opened {
		t.Fatalf("%+v", e)
	}
	for _, m := range []int64{5, 1<<32 - 10} { // not above what it shows
		if a.Learn(m, 1); a.reg.Modulus != 1<<32 {
			t.Errorf("a modulus of %d is taken", m)
		}
	}
	back, err := RestoreAccumulator(reg, Period, a.State(nil))
	if err != nil {
		t.Fatal(err)
	}
	counted, rolled := int64(0), 0
	for i := range int64(121) {
		if i == 70 { // the scale factor changes, and the wrap with it
			back.Learn(10<<32, 10)
		}
		hh, e := back.Add(Sample{at.Add(time.Duration(i+1) * time.Minute), i}, nil)
		for _, h := range hh {
			counted += h.Energy
		}
		if e.Kind == Rollover {
			rolled++
		} else if e.Kind != Nothing {
			t.Errorf("%d: %+v", i, e)
		}
	}
	if rolled != 1 || counted != 129 { // 10 to the wrap, 119 behind it
		t.Errorf("%d Wh, wrapped %d times", counted, rolled)
	}
	if back.reg.Modulus != 10<<32 || back.reg.Step != 10 {
		t.Errorf("%+v", back.reg)
	}
	back.Learn(0, 1)
	if back.reg.Modulus != 0 {
		t.Error("no wrap")
	}
	// One that is configured is not learnt, and a state of another modulus not its own.
	reg.Learnt = false
	if _, err := RestoreAccumulator(reg, Period, a.State(nil)); err == nil {
		t.Error("a state of another modulus")
	}
	b := NewAccumulator(reg, Period)
	if b.Learn(7, 7); b.reg.Modulus != 0 || b.reg.Step != 0 {
		t.Errorf("%+v", b.reg)
	}
}

// That a device says of its register that it never wraps is kept, too.
func TestLearntThatItNeverWraps(t *testing.T) {
	reg := Register{Measure: Heat, Modulus: 1_000_000, Learnt: true}
	a := NewAccumulator(reg, Period)
	a.Learn(0, 1)
	back, err := RestoreAccumulator(reg, Period, a.State(nil))
	if err != nil || back.reg.Modulus != 0 {
		t.Errorf("modulus %v (%v)", back, err)
	}
}
