package energy

import (
	"testing"
)

func TestBaseAndHeld(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import}, Period)
	check := func(open bool, base Sample, n int, first, last Sample) {
		t.Helper()
		if b, ok := a.Base(); ok != open || b != base {
			t.Errorf("base %+v %v, want %+v %v", b, ok, base, open)
		}
		if f, l, m := a.Held(); m != n || f != first || l != last {
			t.Errorf("held %d from %+v to %+v, want %d from %+v to %+v", m, f, l, n, first, last)
		}
	}
	none := Sample{}
	check(false, none, 0, none, none)
	zero := Sample{at(t, "00:00:00"), 0}
	a.Add(zero, nil)
	check(false, none, 1, zero, zero)
	ten, three, four := Sample{at(t, "00:10:00"), 10}, Sample{at(t, "00:20:00"), 3}, Sample{at(t, "00:21:00"), 4}
	a.Add(ten, nil)
	check(true, ten, 0, none, none)
	a.Add(three, nil)
	a.Add(four, nil)
	check(true, ten, 2, three, four)
	if a.Broken() {
		t.Error("broken before")
	}
	a.Break()
	if !a.Broken() {
		t.Error("not broken")
	}
	check(true, ten, 0, none, none)
	// Before anything is known there is nothing to break.
	b := NewAccumulator(Register{Measure: Import}, Period)
	b.Break()
	if *b != *NewAccumulator(Register{Measure: Import}, Period) {
		t.Errorf("%+v", b)
	}
}
