package validate

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Checkers of like registers share what is known of them, and what one of them
// learns is not told to the others.
func TestCheckers(t *testing.T) {
	var all Checkers
	k := func(meter string, m energy.Measure) energy.Key { return energy.Key{Meter: meter, Measure: m} }
	a, b := all.New(k("a", energy.Import), Options{Step: 10}), all.New(k("b", energy.Import), Options{Step: 10})
	if a.o != b.o {
		t.Error("two like registers do not share their options")
	}
	if again, err := all.Restore(k("c", energy.Import), Options{Step: 10}, a.State(nil)); err != nil || again.o != a.o {
		t.Errorf("one that is restored does not share them (%v)", err)
	}
	if _, err := all.Restore(k("c", energy.Import), Options{}, []byte{0}); err == nil {
		t.Error("a damaged state is taken")
	}
	for name, other := range map[string]*Checker{
		"another step":    all.New(k("d", energy.Import), Options{Step: 1}),
		"another measure": all.New(k("d", energy.Export), Options{Step: 10}), // its zero run is another one
		"a check meter":   all.New(k("d", energy.Import), Options{Step: 10, Check: memory{}}),
	} {
		if other.o == a.o {
			t.Errorf("%s: the options are shared", name)
		}
	}
	a.Learn(1000, 7)
	if a.o.Modulus != 1000 || a.o.Step != 7 || b.o.Modulus != 0 || b.o.Step != 10 {
		t.Errorf("after a learnt: %d, %d; b has %d, %d", a.o.Modulus, a.o.Step, b.o.Modulus, b.o.Step)
	}
	if c := all.New(k("e", energy.Import), Options{Step: 10}); c.o != b.o {
		t.Error("a new one does not share with b")
	}
}
