package modbus

import (
	"encoding/binary"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestFactor(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Point
		want string
	}{
		{"Wh", Point{Unit: "Wh"}, "1/1"},
		{"scaled", Point{Unit: "kWh", Scale: "0.01"}, "10/1"},
		{"a count of a joule", Point{Unit: "J"}, "1/3600"},
		{"both transformers", Point{Unit: "kWh", CT: "200/5", VT: "11000/110"}, "4000000/1"},
		{"primary values", Point{Unit: "kWh", CT: "200/5", VT: "11000/110", Primary: true}, "1000/1"},
		{"a fraction of a transformer", Point{Unit: "Wh", CT: "100/3"}, "100/3"},
		{"a decimal transformer", Point{Unit: "Wh", CT: "12.5/5"}, "5/2"},
		{"pulses", Point{Unit: "pulse", Pulse: "100 Wh"}, "100/1"},
		{"pulses behind transformers", Point{Unit: "pulse", Pulse: "1000/kWh", CT: "200/5"}, "40/1"},
		{"power", Point{Unit: "kW", Scale: "0.001", VT: "400/100"}, "4/1"},
		{"power the other way round", Point{Unit: "W", Scale: "-0.1"}, "-1/10"},
	} {
		c.p.Measure, c.p.Type = energy.Import, "uint32"
		if f, err := c.p.Factor(); err != nil || f.String() != c.want {
			t.Errorf("%s: %v, %v; want %s", c.name, f, err, c.want)
		}
		if err := c.p.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	f, err := Point{CT: "200/5", VT: "11000/110", Primary: true}.Transformers()
	if err != nil || f.Cmp(big.NewRat(4000, 1)) != 0 {
		t.Errorf("transformers: %v, %v", f, err)
	}
}

func TestRatios(t *testing.T) {
	for s, ok := range map[string]bool{
		"200/5": true, "5/5": true, "4.99/5": false, "100000/1": true, "100001/1": false, "5/200": false, "200": false, "/5": false, "200/": false,
		"200/0": false, "-200/-5": false, "2e2/5": false, "200/5/1": false, "200 / 5": false, "11000/110": true, "": false,
	} {
		_, ct := ParseCT(s)
		_, vt := ParseVT(s)
		if (ct == nil) != ok || (vt == nil) != ok {
			t.Errorf("%q: ct %v, vt %v, want taken: %v", s, ct, vt, ok)
		}
		if !ok && (!strings.HasPrefix(ct.Error(), "ct ") || !strings.Contains(vt.Error(), "volts")) {
			t.Errorf("%q: %v; %v", s, ct, vt)
		}
	}
}

// Numerator and denominator may have 62 bits, no more.
func TestFactorBounds(t *testing.T) {
	for scale, ok := range map[string]bool{"4611686018427387903": true, "4611686018427387904": false, "0.000000000000000001": true, "0.0000000000000000001": false} {
		err := Point{Measure: energy.Import, Type: "uint32", Unit: "Wh", Scale: scale}.Check()
		if (err == nil) != ok {
			t.Errorf("scale %s: %v", scale, err)
		}
	}
	for scale, ok := range map[string]bool{"0.000000000000001": true, "0.0000000000000005": false} { // 3.6 and 7.2 x 10^18
		if err := (Point{Measure: energy.Import, Type: "uint32", Unit: "J", Scale: scale}).Check(); (err == nil) != ok {
			t.Errorf("scale %s of a joule: %v", scale, err)
		}
	}
}

// Where the wrap is not a whole number of base units, each value that the
// register can show is below the modulus, and the modulus is the next.
func TestModulusOfFractions(t *testing.T) {
	for _, c := range []struct {
		p    Point
		want int64
	}{
		{Point{Type: "uint32", Unit: "J"}, 1_193_047},                            // 1,193,046.47
		{Point{Type: "uint16", Unit: "MJ"}, 18_204_445},                          // 18,204,444.4
		{Point{Type: "uint16", Unit: "pulse", Pulse: "800/kWh"}, 81_920},         // 1.25 Wh each
		{Point{Type: "uint16", Unit: "Wh", CT: "100/3"}, 2_184_534},              // 2,184,533.3
		{Point{Type: "uint16", Unit: "Wh", CT: "100/3", Primary: true}, 1 << 16}, //
		{Point{Type: "uint32", Unit: "kW"}, 0},
		{Point{Type: "int64", Unit: "MWh"}, 0},
		{Point{Type: "int64", Unit: "J", Scale: "0.01"}, 25_620_477_880_153}, // 2^63 / 360,000
	} {
		c.p.Measure = energy.Import
		if got := c.p.Modulus(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.p, got, c.want)
			continue
		}
		if c.want == 0 || c.p.Type == "int64" {
			continue
		}
		p, err := c.p.compile()
		if err != nil {
			t.Fatal(err)
		}
		top, err := p.scale(uint64(1)<<p.width() - 1)
		if err != nil || top >= c.want {
			t.Errorf("%+v: shows up to %d (%v), modulus %d", c.p, top, err, c.want)
		}
		if next, err := p.scale(uint64(1) << p.width()); err != nil || next < c.want-1 {
			t.Errorf("%+v: would go on to %d (%v), modulus %d", c.p, next, err, c.want)
		}
	}
	p := Point{Measure: energy.Import, Type: "uint64", Unit: "Wh"}
	for counts, want := range map[int64]int64{maxBase: maxBase, maxBase + 1: 0} {
		if got := p.ToModulus(big.NewInt(counts)); got != want {
			t.Errorf("modulus of %d counts: %d, want %d", counts, got, want)
		}
	}
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		p         Point
		base      int64
		one, step int64
	}{
		{Point{Type: "uint32", Unit: "Wh"}, 5, 1, 1},
		{Point{Type: "uint32", Unit: "kWh"}, 0, 1000, 1000},
		{Point{Type: "uint32", Unit: "kWh", Scale: "0.0001"}, 0, 1, 1},
		{Point{Type: "uint32", Unit: "MJ"}, 0, 278, 278}, // 277.8, rounded up
		{Point{Type: "bcd", Unit: "kWh", Scale: "0.1", CT: "200/5"}, 0, 4000, 4000},
		// A float32 of kWh: 24 bits, so 1/128 kWh from 65,536 kWh on, and 1 kWh from 8,388,608 kWh on.
		{Point{Type: "float32", Unit: "kWh"}, 0, 1000, 1},
		{Point{Type: "float32", Unit: "kWh"}, 16_000_000, 1000, 1},
		{Point{Type: "float32", Unit: "kWh"}, 65_536_000, 1000, 8},
		{Point{Type: "float32", Unit: "kWh"}, 65_535_000, 1000, 4},
		{Point{Type: "float32", Unit: "kWh"}, 100_000_000, 1000, 8},
		{Point{Type: "float32", Unit: "kWh"}, 8_388_608_000, 1000, 1000},
		{Point{Type: "float32", Unit: "kWh"}, 16_777_216_000, 1000, 2000},
		{Point{Type: "float32", Unit: "Wh"}, 100_000_000, 1, 8},
		{Point{Type: "float64", Unit: "kWh"}, 8_388_608_000, 1000, 1},
		{Point{Type: "float32", Unit: "kWh", CT: "200/5"}, 4_000_000_000, 40_000, 313}, // 100,000 kWh on the display, 7.8 Wh x 40
	} {
		c.p.Measure = energy.Import
		if one, step := c.p.One(), c.p.StepAt(c.base); one != c.one || step != c.step {
			t.Errorf("%+v at %d: one is %d, step %d; want %d, %d", c.p, c.base, one, step, c.one, c.step)
		}
	}
	for typ, want := range map[string]int{"float32": 24, "float64": 53, "uint32": 0, "bcd": 0} {
		if got := (Point{Type: typ}).Mantissa(); got != want {
			t.Errorf("%s: mantissa of %d bits, want %d", typ, got, want)
		}
	}
	bad := Point{Type: "x"}
	if bad.One() != 1 || bad.StepAt(5) != 1 {
		t.Error("of a point that is wrong anyway, a step of 1 is assumed")
	}
}

// What StepAt says is what the register does: the next float above it is
// no further away than the step.
func TestStepAtIsTheNextFloat(t *testing.T) {
	pt := Point{Measure: energy.Import, Type: "float32", Unit: "kWh"}
	p, err := pt.compile()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		f := rapid.Float32Range(0, 1e9).Draw(r, "reading in kWh")
		read := func(f float32) int64 {
			v, _, err := p.decode(binary.BigEndian.AppendUint32(nil, math.Float32bits(f)))
			if err != nil {
				r.Fatal(err)
			}
			return v
		}
		here, next := read(f), read(math.Nextafter32(f, math.MaxFloat32))
		if step := pt.StepAt(here); next-here > step {
			r.Fatalf("from %d to %d, further than a step of %d", here, next, step)
		}
	})
}
