package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each vector is what a meter's manual or a captured frame shows.
func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Point
		wire string
		want int64
		err  string
	}{
		{"uint64 Wh", Point{Type: "uint64", Unit: "Wh"}, "0000 0000 0001 E240", 123456, ""},
		{"uint32 in tenths of a kWh", Point{Type: "uint32", Unit: "kWh", Scale: "0.1"}, "0000 3039", 1234500, ""},
		{"float32 kWh", Point{Type: "float32", Unit: "kWh"}, "4640 E6B7", 12345679, ""}, // 12345.6787
		{"float32 low word first", Point{Type: "float32", Unit: "kWh", Order: "CDAB"}, "E6B7 4640", 12345679, ""},
		{"float64 MWh", Point{Type: "float64", Unit: "MWh"}, "3FF8 0000 0000 0000", 1500000, ""},
		{"all bytes swapped", Point{Type: "uint32", Unit: "Wh", Order: "DCBA"}, "40E2 0100", 123456, ""},
		{"bytes swapped in words", Point{Type: "uint32", Unit: "Wh", Order: "BADC"}, "0100 40E2", 123456, ""},
		{"uint64 words reversed", Point{Type: "uint64", Unit: "Wh", Order: "GHEFCDAB"}, "E240 0001 0000 0000", 123456, ""},
		{"bcd", Point{Type: "bcd", Unit: "kWh", Scale: "0.01"}, "0012 3456", 1234560, ""},
		{"bcd of 16 digits", Point{Type: "bcd", Unit: "Wh", Order: "ABCDEFGH"}, "0000 0000 0012 3456", 123456, ""},
		{"CT 200/5 on secondary values", Point{Type: "uint32", Unit: "kWh", CT: "200/5"}, "0000 0003", 120000, ""},
		{"gas in cubic feet", Point{Measure: energy.Gas, Type: "uint16", Unit: "ft3"}, "0064", 2831, ""},
		{"int32", Point{Type: "int32", Unit: "Wh"}, "7FFF FFFE", math.MaxInt32 - 1, ""},

		{"all ones", Point{Type: "uint32", Unit: "Wh"}, "FFFF FFFF", 0, "no value"},
		{"most negative", Point{Type: "int32", Unit: "Wh"}, "8000 0000", 0, "no value"},
		{"negative", Point{Type: "int32", Unit: "Wh"}, "FFFF FF00", 0, "negative"},
		{"NaN", Point{Type: "float32", Unit: "kWh"}, "7FC0 0000", 0, "NaN"},
		{"infinity", Point{Type: "float32", Unit: "kWh"}, "7F80 0000", 0, "NaN or infinity"},
		{"float below zero", Point{Type: "float32", Unit: "kWh"}, "C640 E6B7", 0, "negative"},
		{"float too large", Point{Type: "float32", Unit: "kWh"}, "7F00 0000", 0, "impossibly large"},
		{"uint64 too large", Point{Type: "uint64", Unit: "kWh"}, "7F00 0000 0000 0000", 0, "impossibly large"},
		{"not bcd", Point{Type: "bcd", Unit: "kWh"}, "00A2 3456", 0, "binary coded decimal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.p.Measure == 0 {
				c.p.Measure = energy.Import
			}
			p, err := c.p.compile()
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := p.decode(unhex(t, c.wire))
			if c.err == "" && (err != nil || got != c.want) {
				t.Fatalf("got %d, %v; want %d", got, err, c.want)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("got %d, %v; want error with %q", got, err, c.err)
			}
		})
	}
}

func TestPointCheck(t *testing.T) {
	ok := Point{Measure: energy.Import, Type: "uint32", Unit: "Wh"}
	with := func(f func(*Point)) Point { p := ok; f(&p); return p }
	for want, p := range map[string]Point{
		"":                         ok,
		"is none that meters have": with(func(p *Point) { p.Measure = 99 }),
		"holds single bits":        with(func(p *Point) { p.Table = "coil" }),
		"use holding or input":     with(func(p *Point) { p.Table = "inputs" }),
		"use int16 uint16":         with(func(p *Point) { p.Type = "uint24" }),
		"spell each of the 4":      with(func(p *Point) { p.Order = "ABCC" }),
		"such as ABCD":             with(func(p *Point) { p.Order = "ABCDEFGH" }),
		"use Wh kWh":               with(func(p *Point) { p.Unit = "kwh" }),
		"does not measure import":  with(func(p *Point) { p.Unit = "m3" }),
		"positive decimal":         with(func(p *Point) { p.Scale = "-1" }),
		"out of range":             with(func(p *Point) { p.Scale = "0.00000000000000000000001" }),
		"primary and secondary":    with(func(p *Point) { p.CT = "5/200" }),
		"does not fit":             with(func(p *Point) { p.Address = 0xFFFF }),
	} {
		err := p.Check()
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", p, err, want)
		}
	}
}

func TestBoundsOfAddressAndOrder(t *testing.T) {
	for _, c := range []struct {
		p  Point
		ok bool
	}{
		{Point{Type: "uint32", Address: 0xFFFE}, true},
		{Point{Type: "uint16", Address: 0xFFFF}, true},
		{Point{Type: "uint64", Address: 0xFFFD}, false},
		{Point{Type: "uint32", Order: "ABCE"}, false},
		{Point{Type: "uint32", Order: "AB@D"}, false},
		{Point{Type: "uint32", Order: "abcd"}, false},
		{Point{Type: "uint64", Order: "HGFEDCBA"}, true},
		{Point{Type: "uint64", Order: "HGFEDCBI"}, false},
	} {
		c.p.Measure, c.p.Unit = energy.Import, "Wh"
		if err := c.p.Check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.p, err)
		}
	}
}

func TestModulus(t *testing.T) {
	for _, c := range []struct {
		typ, unit, scale string
		want             int64
	}{
		{"uint16", "kWh", "", 65_536_000}, {"uint32", "Wh", "", 1 << 32}, {"int32", "Wh", "", 1 << 31},
		{"uint32", "kWh", "0.01", 42_949_672_960}, {"bcd", "kWh", "0.1", 10_000_000_000},
		{"uint64", "Wh", "", 0}, {"float32", "kWh", "", 0},
	} {
		p := Point{Measure: energy.Import, Type: c.typ, Unit: c.unit, Scale: c.scale}
		if got := p.Modulus(); got != c.want {
			t.Errorf("%s %s x %s: got %d, want %d", c.typ, c.unit, c.scale, got, c.want)
		}
	}
}

// Law 1 rests on this: scaling a register down never loses the remainder,
// since it is the absolute register that is rounded.
func TestScaleTelescopes(t *testing.T) {
	p, err := Point{Measure: energy.Import, Type: "uint32", Unit: "Wh", Scale: "0.3"}.compile()
	if err != nil {
		t.Fatal(err)
	}
	read := func(v uint32) int64 {
		got, _, err := p.decode(binary.BigEndian.AppendUint32(nil, v))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	rapid.Check(t, func(r *rapid.T) {
		a := rapid.Uint32Range(0, 1<<30).Draw(r, "a")
		n := rapid.IntRange(1, 50).Draw(r, "steps")
		v, sum := a, int64(0)
		for range n {
			next := v + rapid.Uint32Range(0, 1000).Draw(r, "step")
			sum += read(next) - read(v)
			v = next
		}
		if want := int64(v)*3/10 - int64(a)*3/10; sum != want {
			r.Fatalf("sum of advances %d, register's advance %d", sum, want)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, "float32", "CDAB", "kWh", "0.01")
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "uint64", "", "MWh", "")
	f.Add([]byte{0xff, 0x80, 0, 0, 0, 0, 0, 0}, "int32", "", "kW", "-0.1")
	f.Add([]byte{0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0}, "bcd", "ABCDEFGH", "Wh", "3")
	f.Fuzz(func(t *testing.T, wire []byte, typ, order, unit, scale string) {
		p, err := Point{Measure: energy.Import, Type: typ, Order: order, Unit: unit, Scale: scale}.compile()
		if err != nil || len(wire) < 8 {
			return
		}
		v, _, err := p.decode(wire)
		switch {
		case err != nil:
		case p.power && (v < -maxPower || v > maxPower), !p.power && (v < 0 || v > maxBase):
			t.Fatalf("decoded %d from %x", v, wire)
		}
	})
}
