package energy

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// The encoding is kept: states written by this version must be readable by later ones.
func TestStateGolden(t *testing.T) {
	r := Register{Measure: Export, Modulus: 1_000_000, MaxPower: 10_000}
	a := NewAccumulator(r, Period)
	check := func(want string) {
		t.Helper()
		got := a.State([]byte("before"))
		if hex.EncodeToString(got[6:]) != want || string(got[:6]) != "before" {
			t.Errorf("state %x, want %s", got[6:], want)
		}
		b, err := RestoreAccumulator(r, Period, got[6:])
		if err != nil || *b != *a {
			t.Errorf("restored %+v, %v; want %+v", b, err, a)
		}
	}
	check("0400" + "02" + "80c0e285e368" + "80897a" + "02")
	a.Add(Sample{at(t, "00:29:00"), 500}, nil)
	a.Add(Sample{at(t, "00:31:00"), 520}, nil)
	a.Add(Sample{at(t, "00:32:00"), 3}, nil)
	a.Add(Sample{at(t, "00:33:00"), 4}, nil)
	check(stateGolden)
	if n := len(a.State(nil)); n > 80 {
		t.Errorf("a state of %d bytes is not compact", n)
	}
}

const (
	stateGolden = "04670280c0e285e36880897a800280a0adfdfd85e8b02f900814080280c0f588fe06e8070000900880c0f588fe06280000000800e8070480e0ba84bf0380e0ba84bf030680c0f588fe0608"
	stateOlder  = "670280c0e285e36880897a0080a0adfdfd85e8b02f900814080280c0f588fe06e8070080c0f588fe06280000000800e8070480e0ba84bf0380e0ba84bf030680c0f588fe0608" // behind its version, 2 or 3
)

// States of versions 2 and 3, which have no more than this, go on where they stood.
func TestStateVersions2And3(t *testing.T) {
	r := Register{Measure: Export, Modulus: 1_000_000, MaxPower: 10_000}
	for _, version := range []string{"02", "03"} {
		b, err := hex.DecodeString(version + stateOlder)
		if err != nil {
			t.Fatal(err)
		}
		a, err := RestoreAccumulator(r, Period, b)
		if err != nil || hex.EncodeToString(a.State(nil)) != "04"+stateOlder {
			t.Fatalf("%+v, %v", a, err)
		}
		// What came with version 4 is no part of it.
		b, _ = hex.DecodeString(version + stateGolden[2:])
		if _, err := RestoreAccumulator(r, Period, b); err == nil {
			t.Errorf("a sample after the start was taken from version %s", version)
		}
	}
	// What came with version 3 is no part of 2.
	for _, due := range []int64{stateTorn, stateStall} {
		open := NewAccumulator(r, Period)
		open.Add(Sample{at(t, "00:29:00"), 500}, nil)
		b := open.State(nil)
		i := len(b) - len(appendVarints(nil, open.base.at, 500, 0, int64(Measured), 1, 0, 500, 0)) - 1
		b = append(appendVarints(bytes.Clone(b[:i]), stateSole|due), b[i+1:]...)
		if due == stateStall {
			b = appendVarints(b, stallMost+1)
		}
		if _, err := RestoreAccumulator(r, Period, b); err != nil {
			t.Errorf("due %d: %v", due, err)
		}
		b[0] = 2
		if _, err := RestoreAccumulator(r, Period, b); err == nil {
			t.Errorf("due %d was taken", due)
		}
	}
}

// States of version 1 go on where they stood.
func TestStateVersion1(t *testing.T) {
	r := Register{Measure: Export, Modulus: 1_000_000, MaxPower: 10_000}
	restore := func(h string) *Accumulator {
		t.Helper()
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatal(err)
		}
		a, err := RestoreAccumulator(r, Period, b)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := restore("010002" + "80c0e285e368" + "80897a"); *a != *NewAccumulator(r, Period) {
		t.Errorf("never read: %+v", a)
	}
	// Read at 00:29 (500) and 00:31 (520), then 3 at 00:32 and 4 at 00:33 held.
	const held = "01070280c0e285e36880897a80a0adfdfd85e8b02f900814080280c0f588fe06e8070480e0ba84bf0380e0ba84bf030680c0f588fe0608"
	tell(t, restore(held), []step{
		{"00:34:00", 540, Glitch, nil},
		{"01:00:00", 800, Nothing, []hh{{"00:30:00", 290, 800, Measured, 2}}},
	})
	first, last, n := restore(held).Held()
	if n != 2 || first != (Sample{at(t, "00:32:00"), 3}) || last != (Sample{at(t, "00:33:00"), 4}) {
		t.Errorf("held %d from %+v to %+v", n, first, last)
	}
	// 0 at 00:32 and 4 at 00:33 held: the 0 is no reading any more.
	all := strings.Replace(held, "80e0ba84bf030680c0f588fe0608", "80e0ba84bf030080c0f588fe0600", 1)
	if _, last, n = restore(all).Held(); n != 2 || last != (Sample{at(t, "00:33:00"), 0}) {
		t.Errorf("held %d to %+v", n, last)
	}
	zeros := strings.Replace(held, "80e0ba84bf030680c0f588fe0608", "80e0ba84bf030080c0f588fe0608", 1)
	first, last, n = restore(zeros).Held()
	if n != 1 || first != last || last != (Sample{at(t, "00:33:00"), 4}) {
		t.Errorf("held %d from %+v to %+v", n, first, last)
	}
	for _, bad := range []string{
		"010802" + "80c0e285e368" + "80897a",                    // a bit of version 2
		"000002" + "80c0e285e368" + "80897a" + "02",             // no version
		"050002" + "80c0e285e368" + "80897a" + "02",             // a later one
		"010102" + "80c0e285e368" + "80897a" + "02" + held[26:], // an event that is due is of version 2
	} {
		b, _ := hex.DecodeString(bad)
		if _, err := RestoreAccumulator(r, Period, b); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	r := Register{Measure: Import, Modulus: 1000}
	a := NewAccumulator(r, Period)
	a.Add(Sample{at(t, "00:10:00"), 5}, nil)
	a.Add(Sample{at(t, "00:31:00"), 7}, nil)
	a.Add(Sample{at(t, "00:32:00"), 3}, nil)
	good := a.State(nil)
	if _, err := RestoreAccumulator(r, Period, good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := RestoreAccumulator(r, Period, good[:n]); err == nil {
			t.Errorf("a state cut to %d bytes was taken", n)
		}
	}
	if _, err := RestoreAccumulator(r, Period, append(bytes.Clone(good), 0)); err == nil {
		t.Error("a state with a byte too many was taken")
	}
	for want, c := range map[string]struct {
		r      Register
		period time.Duration
		state  []byte
	}{
		"version":           {r, Period, append([]byte{99}, good[1:]...)},
		"damaged":           {r, Period, append([]byte{1, 0x80}, good[2:]...)},
		"period":            {r, time.Hour, good},
		"measure or":        {Register{Measure: Export, Modulus: 1000}, Period, good},
		"or modulus":        {Register{Measure: Import, Modulus: 2000}, Period, good},
		"is damaged: start": {r, Period, nil},
		"damaged: start the": {r, Period, func() []byte {
			b := NewAccumulator(r, Period).State(nil)
			b[1] = stateKnown // known, but never opened
			return b
		}()},
	} {
		_, err := RestoreAccumulator(c.r, c.period, c.state)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "start the register anew") {
			t.Errorf("%s: %v", want, err)
		}
	}
	// Bytes that say what no accumulator writes.
	fresh := NewAccumulator(r, Period).State(nil)
	head := fresh[:len(fresh)-1] // without the event that is due
	open := NewAccumulator(r, Period)
	open.Add(Sample{at(t, "00:10:00"), 5}, nil)
	open.Add(Sample{at(t, "00:11:00"), 6}, nil)
	same := open.State(nil)
	crossed := appendVarints(bytes.Clone(same), 0, int64(Measured), 0, 5)
	crossed[1] |= stateCrossed
	open.Add(Sample{at(t, "00:30:00"), 7}, nil)
	other := open.State(nil)
	uncrossed := bytes.Clone(other[:len(other)-len(appendVarints(nil, 1, int64(Measured), 0, 6))])
	uncrossed[1] &^= stateCrossed
	for what, state := range map[string][]byte{
		"an event beyond a byte": appendVarints(bytes.Clone(head), 256+int64(Opened)),
		"an event too many":      appendVarints(bytes.Clone(head), EventKinds),
		"a negative event":       appendVarints(bytes.Clone(head), -1),
		"crossed within":         crossed,
		"not crossed":            uncrossed,
		"a long number":          append(bytes.Clone(head), 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
	} {
		if _, err := RestoreAccumulator(r, Period, state); err == nil {
			t.Errorf("%s was taken: %x", what, state)
		}
	}
	for _, state := range [][]byte{fresh, same, other} {
		if _, err := RestoreAccumulator(r, Period, state); err != nil {
			t.Errorf("%x: %v", state, err)
		}
		for n := range state {
			if _, err := RestoreAccumulator(r, Period, state[:n]); err == nil {
				t.Errorf("%x cut to %d bytes was taken", state, n)
			}
		}
	}
	// What no accumulator can get into is refused, too.
	for what, break_ := range map[string]func(*Accumulator){
		"no time":                  func(a *Accumulator) { a.base.at = 5 },
		"too large a value":        func(a *Accumulator) { a.base.value = 1000 },
		"negative energy":          func(a *Accumulator) { a.energy = -1 },
		"missing quality":          func(a *Accumulator) { a.quality = Missing },
		"unknown quality":          func(a *Accumulator) { a.quality = 5 },
		"negative samples":         func(a *Accumulator) { a.samples = -1 },
		"start evidence too late":  func(a *Accumulator) { a.before.at = a.base.at },
		"evidence after base":      func(a *Accumulator) { a.known, a.before.at = false, a.base.at+1 },
		"bad evidence":             func(a *Accumulator) { a.before.value = -1 },
		"held before base":         func(a *Accumulator) { a.held.since = a.base.at },
		"held first before since":  func(a *Accumulator) { a.held.since = a.held.first.at + 1 },
		"held last before first":   func(a *Accumulator) { a.held.last.at = a.held.first.at - 1 },
		"held falls":               func(a *Accumulator) { a.held.last.value = 2 },
		"held value out of bounds": func(a *Accumulator) { a.held.last.value = 1000 },
		"held first out of bounds": func(a *Accumulator) { a.held.first.value = -1 },
	} {
		b := *a
		break_(&b)
		state := b.State(nil)
		if _, err := RestoreAccumulator(r, Period, state); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

// A hold of no samples is refused: State would not have written it.
func TestRestoreRefusesEmptyHold(t *testing.T) {
	r := Register{Measure: Import}
	a := NewAccumulator(r, Period)
	a.Add(Sample{at(t, "00:10:00"), 5}, nil)
	open := a.State(nil)
	a.Add(Sample{at(t, "00:11:00"), 3}, nil)
	state := a.State(nil)
	// What is held follows the rest, the count of samples first (as a zigzag varint).
	if len(state) <= len(open) || state[len(open)] != 2 {
		t.Fatalf("%x does not go on from %x with the count", state, open)
	}
	state[len(open)] = 0
	if _, err := RestoreAccumulator(r, Period, state); err == nil {
		t.Error("it was taken")
	}
}
