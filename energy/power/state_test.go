package power

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// states are the bytes that a program of this version writes; a later one must
// read them or refuse them by their version.
var states = []struct {
	name, hex string
	rs        []reading
}{
	{"empty", "51000280c8ceb40d", nil},
	{"open", "51010280c8ceb40d80bced8a93aaa606b0090000000200b009", []reading{{1, 600}}},
	{"known", "51030280c8ceb40d80d085ca9baaa606e012b60180c0d1e123000680b0b4f808b009", []reading{{0, 600}, {10, -600}, {20, 1200}}},
	{"broken", "51050280c8ceb40d80dc92e89daaa606e0123200000680bcc1960bb009", []reading{{0, 600}, {10, -600}, {25, 1200}}},
	{"second half-hour", "51030280c8ceb40d80bcf4b1a1aaa606e012b20500d8040480d4d4ab01b009", []reading{{0, 600}, {10, 600}, {20, 600}, {30, 600}, {33, 1200}}},
}

func TestStateBytes(t *testing.T) {
	for _, c := range states {
		g := New(imports(), energy.Period, 0)
		feed(g, c.rs...)
		got := hex.EncodeToString(g.State([]byte{0xAA}))
		if got != "aa"+c.hex {
			t.Errorf("%s: %s", c.name, got)
		}
		back, err := Restore(imports(), energy.Period, 0, g.State(nil))
		if err != nil || *back != *g {
			t.Errorf("%s: %v: %+v became %+v", c.name, err, g, back)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	good := New(imports(), energy.Period, 0)
	feed(good, reading{0, 600}, reading{10, 600})
	for _, c := range []struct {
		name, wrong string
		change      func(g *Integrator)
	}{
		{"nothing", "", func(g *Integrator) {}},
		{"another measure", "is of export", func(g *Integrator) { g.reg.Measure = energy.Export }},
		{"another period", "a period of 1m0s", func(g *Integrator) { g.period = 60_000_000 }},
		{"known and broken", "damaged", func(g *Integrator) { g.broken = true }},
		{"before 2000", "damaged", func(g *Integrator) { g.base.at, g.before.at = firstTime-1, firstTime-1 }},
		{"2000", "", func(g *Integrator) { g.base.at, g.before.at = firstTime, firstTime }},
		{"2200", "damaged", func(g *Integrator) { g.base.at, g.before.at = lastTime, lastTime }},
		{"just before 2200", "", func(g *Integrator) { g.base.at, g.before.at = lastTime-1, lastTime-1-1_800_000_000 }},
		{"a power too large", "damaged", func(g *Integrator) { g.base.value = maxWatts + 1 }},
		{"the largest power", "", func(g *Integrator) { g.base.value = maxWatts }},
		{"a power too low", "damaged", func(g *Integrator) { g.base.value = -maxWatts - 1 }},
		{"the lowest power", "", func(g *Integrator) { g.base.value = -maxWatts }},
		{"a first power too large", "damaged", func(g *Integrator) { g.before.value = maxWatts + 1 }},
		{"a first reading in the half-hour", "damaged", func(g *Integrator) { g.before.at++ }},
		{"which is the partial one", "", func(g *Integrator) { g.before.at++; g.known = false }},
		{"or is broken", "damaged", func(g *Integrator) { g.before.at++; g.known, g.broken = false, true }},
		{"a first reading after the last", "damaged", func(g *Integrator) { g.before.at, g.known = g.base.at+1, false }},
		{"the same reading", "", func(g *Integrator) { g.before.at, g.known = g.base.at, false }},
		{"no samples", "", func(g *Integrator) { g.samples = 0 }},
		{"less than none", "damaged", func(g *Integrator) { g.samples = -1 }},
		{"a start below 0", "damaged", func(g *Integrator) { g.from = -1 }},
		{"a start after the end", "damaged", func(g *Integrator) { g.from = g.total.wh + 1 }},
		{"a start at the end", "", func(g *Integrator) { g.from = g.total.wh }},
		{"too much counted", "damaged", func(g *Integrator) { g.total.wh = maxWh + 1 }},
		{"the most", "", func(g *Integrator) { g.total.wh = maxWh }},
		{"a rest below 0", "damaged", func(g *Integrator) { g.total.rest = -1 }},
		{"a rest of a Wh", "damaged", func(g *Integrator) { g.total.rest = perWh }},
		{"a rest of nearly a Wh", "", func(g *Integrator) { g.total.rest = perWh - 1 }},
	} {
		g := *good
		c.change(&g)
		_, err := Restore(imports(), energy.Period, 0, g.State(nil))
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, not %q", c.name, err, c.wrong)
		}
	}
	state := good.State(nil)
	for n := range state {
		if _, err := Restore(imports(), energy.Period, 0, state[:n]); err == nil {
			t.Errorf("%d of %d bytes are enough", n, len(state))
		}
	}
	for name, b := range map[string][]byte{
		"a byte too many": append(state[:len(state):len(state)], 0),
		"unknown flags":   append([]byte{stateVersion, stateAll + 1}, state[2:]...),
		"closed, known":   append([]byte{stateVersion, stateKnown}, New(imports(), energy.Period, 0).State(nil)[2:]...),
	} {
		if _, err := Restore(imports(), energy.Period, 0, b); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
	register := energy.NewAccumulator(imports(), energy.Period)
	if _, err := Restore(imports(), energy.Period, 0, register.State(nil)); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("a register's state: %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	for _, c := range states {
		g := New(imports(), energy.Period, 0)
		feed(g, c.rs...)
		f.Add(g.State(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := Restore(imports(), energy.Period, 0, b)
		if err != nil {
			return
		}
		back, err := Restore(imports(), energy.Period, 0, g.State(nil))
		if err != nil || *back != *g {
			t.Fatalf("%v: %+v became %+v", err, g, back)
		}
		if s, ok := g.Base(); ok {
			g.Add(energy.Sample{At: s.At.Add(10 * time.Minute), Value: maxWatts}, nil)
			hs, _ := g.Add(energy.Sample{At: s.At.Add(3 * time.Hour), Value: -5}, nil)
			for _, h := range hs {
				if h.Energy < 0 {
					t.Fatalf("%+v out of %+v", h, back)
				}
			}
		}
	})
}
