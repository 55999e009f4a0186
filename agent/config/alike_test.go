package config

import (
	"fmt"
	"strings"
	"testing"
)

// Meters that are read alike share their registers, others do not, and every
// meter keeps its own words.
func TestAlike(t *testing.T) {
	var s strings.Builder
	s.WriteString("site: {name: x}\nbuses: [{id: b, driver: modbus, url: \"tcp://127.0.0.1:502\"}]\nmeters:\n")
	for i, address := range []int{0, 0, 2, 0, 4, 6, 8, 10, 12, 14, 16, 0, 2} {
		fmt.Fprintf(&s, "  - {id: m%d, bus: b, unit: %d, serial: s%d, registers: {import: {unit: Wh, address: %d, type: uint32}}}\n", i, i+1, i, address)
	}
	c, err := Parse("f.yaml", []byte(s.String()))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range c.Meters {
		if m.ID != fmt.Sprint("m", i) || m.Bus != "b" || m.Serial != fmt.Sprint("s", i) || int(m.Unit) != i+1 {
			t.Errorf("meter %d is %s on %s, unit %d, serial %s", i, m.ID, m.Bus, m.Unit, m.Serial)
		}
	}
	for _, p := range []struct {
		a, b   int
		shared bool
	}{{0, 1, true}, {1, 3, true}, {0, 2, false}, {2, 4, false}, {0, 11, false}} { // of 0 and 11 it has forgotten the first: eight kinds lie between
		if a, b := c.Meters[p.a], c.Meters[p.b]; (&a.Registers[0] == &b.Registers[0]) != p.shared {
			t.Errorf("m%d and m%d: shared %v, want %v", p.a, p.b, !p.shared, p.shared)
		}
	}
	if r := c.Meters[12].Registers[0]; r.Address != 2 {
		t.Errorf("m12 is read at %d", r.Address)
	}
}
