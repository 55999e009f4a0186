package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// Which meters hung on either side of a stretch is told from the unstated
// changes, and kept through a restart.
func TestMetersAroundAStretch(t *testing.T) {
	at := func(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }
	var h hung
	for i, serial := range []string{"", "A", "A", "B", "C"} { // at 0, 10, 20, 30 and 40 o'clock
		var device [8]byte
		if serial != "" {
			device = hash8(serial)
		}
		h.next(at(10*i), device)
	}
	h.device = hash8("D") // by a statement
	kept, rest, err := parseHung(append(h.append(nil), 1, 2))
	if err != nil || !slices.Equal(rest, []byte{1, 2}) || !slices.Equal(kept.changes, h.changes) || kept.device != h.device {
		t.Fatalf("%+v is kept as %+v, %v left (%v)", h, kept, rest, err)
	}
	for _, tc := range []struct {
		from, to      int
		before, after string
	}{
		{12, 14, "A", "A"}, {25, 31, "A", "B"}, {30, 30, "A", "B"}, {31, 39, "B", "B"}, {31, 41, "B", "D"}, {50, 60, "D", "D"},
	} {
		before, after := kept.around(at(tc.from), at(tc.to))
		if before != hash8(tc.before) || after != hash8(tc.after) {
			t.Errorf("from %d to %d: not %s and %s", tc.from, tc.to, tc.before, tc.after)
		}
	}
	for range 3 * maxChanges {
		h.next(at(100), hash8("X"))
		h.next(at(101), hash8("Y"))
	}
	if len(h.changes) != maxChanges {
		t.Errorf("%d changes are kept", len(h.changes))
	}
	for n := range len(h.append(nil)) {
		if _, _, err := parseHung(h.append(nil)[:n]); err == nil {
			t.Errorf("%d bytes of it are taken for the whole", n)
		}
	}
}

// What earlier versions kept is gone on from.
func TestKeptByEarlierVersions(t *testing.T) {
	r := newRegister()
	r.counter = energy.NewAccumulator(importRegister.Energy(), energy.Period)
	r.counter.Add(energy.Sample{At: epoch, Value: 5}, nil)
	r.counter.Add(energy.Sample{At: epoch.Add(time.Minute), Value: 7}, nil)
	r.origin.device, r.hung.device = hash8("A"), hash8("A")
	now := r.appendKept(nil)
	place := len(now) - len(r.counter.State(nil)) - 9 // of what version 2 did not have
	second := slices.Delete(slices.Clone(now), place, place+9)
	second[0] = 2
	judged := len(r.check.State(nil))
	first := slices.Delete(slices.Clone(second), place-judged-1, place) // one byte says how long that is
	first = slices.Delete(first, 17, 25)
	first[0] = 1
	for version, kept := range map[int][]byte{1: first, 2: second, 3: now} {
		again := newRegister()
		if err := again.restore(kept, &validate.Checkers{}, validate.Options{}, energy.Period, never); err != nil {
			t.Errorf("version %d: %v", version, err)
			continue
		}
		if base, ok := again.counter.Base(); !ok || base.Value != 7 {
			t.Errorf("version %d: the baseline is %v", version, base)
		}
		if known := again.hung.device == hash8("A"); known != (version > 1) {
			t.Errorf("version %d: the meter is known: %v", version, known)
		}
	}
}
