package validate

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

// busy is a Checker that remembers something of everything.
func busy() *Checker {
	c := New(mainImport, Options{Check: memory{}})
	c.Reading(Facts{At: after(0), Value: 7, DeviceAt: after(60), Power: 400, PowerKnown: true}, nil)
	c.Reading(Facts{At: after(10), Value: 7, DeviceAt: after(75), Power: 400, PowerKnown: true}, nil)
	c.Reading(Facts{At: after(20), Value: 7, DeviceAt: after(85), Power: 400, PowerKnown: true}, nil)
	h := measured(-1, 1)
	c.HalfHour(&h, memory{}, nil)
	return c
}

const goldenState = "020380a0b2def1b2bac2310e80c89c83d6b6bac231"

func TestStateRoundTrip(t *testing.T) {
	c := busy()
	state := c.State(nil)
	if !strings.HasPrefix(hex.EncodeToString(state), goldenState) {
		t.Errorf("state is %x, want it to begin with %s", state, goldenState)
	}
	back, err := Restore(mainImport, Options{Check: memory{}}, state)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back.marks, c.marks) || !reflect.DeepEqual(back.slots, c.slots) || back.last != c.last || back.flowed != c.flowed {
		t.Errorf("%+v\nbecame %+v", c, back)
	}
	if again := back.State(nil); !bytes.Equal(again, state) {
		t.Errorf("%x\nbecame %x", state, again)
	}
	if empty := New(mainImport, Options{}).State(nil); len(empty) > 80 {
		t.Errorf("a Checker that knows nothing takes %d bytes", len(empty))
	}
	if got := New(mainImport, Options{}).State([]byte("x")); got[0] != 'x' || got[1] != stateVersion {
		t.Error("State does not append")
	}
}

func TestRestoreRefuses(t *testing.T) {
	state := busy().State(nil)
	for n := range state {
		if _, err := Restore(mainImport, Options{}, state[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were taken", n, len(state))
		}
	}
	if _, err := Restore(mainImport, Options{}, append(bytes.Clone(state), 0)); err == nil {
		t.Error("a byte too many was taken")
	}
	state[0] = 1
	if _, err := Restore(mainImport, Options{}, state); err == nil || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("version 1: %v", err)
	}
	if _, err := Restore(energy.Key{Meter: "other", Measure: energy.Import}, Options{}, busy().State(nil)); err == nil {
		t.Error("another register's state was taken")
	}
	for name, change := range map[string]func(*Checker){
		"mark of rule 0":  func(c *Checker) { c.marks[0].rule = 0 },
		"mark of rule 21": func(c *Checker) { c.marks[0].rule = 21 },
		"mark turned":     func(c *Checker) { c.marks[0].to = c.marks[0].from },
		"slot of rule 21": func(c *Checker) { c.slots[0] = slot{rule: 21, worst: Info} },
		"slot of rule 0":  func(c *Checker) { c.slots[0] = slot{rule: 0, worst: Info} },
		"slot of level 2": func(c *Checker) { c.slots[0].level = 2 },
		"slot severity 0": func(c *Checker) { c.slots[0].worst = 0 },
		"slot severity 4": func(c *Checker) { c.slots[0].worst = 4 },
		"slot of another": func(c *Checker) { c.slots[0].rule = 12 },
		"slots turned":    func(c *Checker) { c.slots = append(c.slots, slot{rule: 1, worst: Info}) },
		"too many marks":  func(c *Checker) { c.marks = append(c.marks, make([]mark, 20)...) },
		"too many slots":  func(c *Checker) { c.slots = append(c.slots, make([]slot, 40)...) },
	} {
		c := busy()
		change(c)
		if _, err := Restore(mainImport, Options{}, c.State(nil)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, change := range map[string]func(*Checker){
		"rules 1 and 20": func(c *Checker) {
			c.marks = []mark{{1, noon, after(1)}, {20, noon, after(1)}}
			c.slots = []slot{{rule: 1, worst: Info}, {rule: 1, level: ofHalfHour, worst: Error}, {rule: 20, worst: Warning}}
		},
		"twenty marks": func(c *Checker) {
			c.marks = nil
			for n := 1; n <= 20; n++ {
				c.marks = append(c.marks, mark{n, noon, after(1)})
			}
		},
	} {
		c := busy()
		change(c)
		if _, err := Restore(mainImport, Options{}, c.State(nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReaderCount(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want int
		bad  bool
	}{{[]byte{20}, 20, false}, {[]byte{21}, 0, true}, {nil, 0, true}, {[]byte{0x80}, 0, true}, {binary.AppendUvarint(nil, 1<<63), 0, true}} {
		r := reader{b: c.b}
		if got := r.count(20); got != c.want || r.bad != c.bad {
			t.Errorf("%x: %d, bad %v", c.b, got, r.bad)
		}
	}
}

// deed is something that happens to a register.
type deed struct {
	late    bool // half was judged already: its check meter has come since
	reading *Facts
	event   *energy.Event
	half    *energy.HalfHour
	check   *energy.HalfHour
}

// live runs deeds through a Checker. Before each one, restart says whether the
// program is started anew, from its state.
func live(deeds []deed, restart func(i int) bool) (out []Finding, flags []energy.Flags) {
	past, check := memory{}, memory{}
	o := Options{MaxEnergy: 1200, ZeroRun: 2, Step: 5, Check: check}
	c := New(mainImport, o)
	for i, d := range deeds {
		if restart(i) {
			c, _ = Restore(mainImport, o, c.State(nil))
		}
		if d.reading != nil {
			out = c.Reading(*d.reading, out)
		}
		if d.event != nil {
			out = c.Event(*d.event, out)
		}
		if d.check != nil {
			check.put(imp, *d.check)
		}
		if d.half != nil {
			h := *d.half
			if d.late {
				h, _ = past.At(imp, h.Start)
				out = c.Checked(&h, out)
			} else {
				out = c.HalfHour(&h, past, out)
			}
			past.put(imp, h)
			flags = append(flags, h.Flags)
		}
	}
	return c.Flush(out), flags
}

// A restart at any point, any number of times, changes nothing; and the same
// deeds always give the same findings.
func TestRestartChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var deeds []deed
		now := noon
		for i := range rapid.IntRange(1, 60).Draw(t, "half-hours") {
			for range rapid.IntRange(0, 3).Draw(t, "readings") {
				now = now.Add(7 * time.Minute)
				f := Facts{
					At: now, Value: rapid.Int64Range(1, 3).Draw(t, "value"), NoValue: rapid.IntRange(0, 9).Draw(t, "none") == 0,
					DeviceAt: now.Add(time.Duration(rapid.SampledFrom([]int{0, 5, 60, 3600}).Draw(t, "off")) * time.Second),
					Power:    rapid.Int64Range(0, 20_000).Draw(t, "power"), PowerKnown: rapid.Bool().Draw(t, "known"),
					Source: energy.Flags(rapid.Uint32().Draw(t, "source")) & flags(13, 14) & energy.Flags(rapid.Uint32().Draw(t, "mask")),
				}
				deeds = append(deeds, deed{reading: &f})
				if rapid.IntRange(0, 5).Draw(t, "event") == 0 {
					e := energy.Event{Kind: energy.EventKind(rapid.IntRange(0, energy.EventKinds-1).Draw(t, "kind")), At: now, Before: 5, After: rapid.Int64Range(0, 9).Draw(t, "after"), BeforeAt: now.Add(-time.Hour)}
					deeds = append(deeds, deed{event: &e})
				}
			}
			h := measured(i, rapid.SampledFrom([]int64{0, 0, 0, 1000, 1001, 1500}).Draw(t, "energy"))
			other := measured(i, rapid.SampledFrom([]int64{0, 1000, 3000}).Draw(t, "check"))
			if check := (deed{check: &other}); rapid.Bool().Draw(t, "late") {
				deeds = append(deeds, deed{half: &h}, check, deed{half: &h, late: true})
			} else {
				deeds = append(deeds, check, deed{half: &h})
			}
			if slotAt(i + 1).After(now) {
				now = slotAt(i + 1)
			}
		}
		restarts := rapid.SliceOfN(rapid.Bool(), len(deeds), len(deeds)).Draw(t, "restarts")
		want, wantFlags := live(deeds, func(int) bool { return false })
		again, _ := live(deeds, func(int) bool { return false })
		got, gotFlags := live(deeds, func(i int) bool { return restarts[i] })
		if !reflect.DeepEqual(want, again) {
			t.Fatal("the same deeds gave other findings")
		}
		if !reflect.DeepEqual(want, got) || !reflect.DeepEqual(wantFlags, gotFlags) {
			t.Fatalf("without a restart %v %v\nwith restarts %v %v", want, wantFlags, got, gotFlags)
		}
	})
}

func FuzzRestore(f *testing.F) {
	f.Add(busy().State(nil))
	f.Add(New(mainImport, Options{}).State(nil))
	f.Fuzz(func(t *testing.T, state []byte) {
		c, err := Restore(mainImport, Options{}, state)
		if err != nil {
			return
		}
		again, err := Restore(mainImport, Options{}, c.State(nil))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%x: %v", state, err)
		}
		h := measured(0, 5)
		fs := c.Reading(Facts{At: noon, Value: 1, DeviceAt: noon}, nil)
		c.Flush(c.HalfHour(&h, memory{}, fs))
	})
}
