package modbus

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Power is signed, pulses are totals, and a device's own words for "no value"
// are never a reading.
func TestDecodeOtherKinds(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Point
		wire string
		want int64
		err  string
	}{
		{"import", Point{Type: "int32", Unit: "W"}, "0000 3039", 12345, ""},
		{"export", Point{Type: "int32", Unit: "W"}, "FFFF CFC7", -12345, ""},
		{"minus one watt", Point{Type: "int16", Unit: "W"}, "FFFF", -1, ""},
		{"export counted as positive", Point{Type: "int32", Unit: "W", Scale: "-1"}, "0000 3039", -12345, ""},
		{"and the other way round", Point{Type: "int32", Unit: "W", Scale: "-1"}, "FFFF CFC7", 12345, ""},
		{"nothing flows", Point{Type: "int32", Unit: "W", Scale: "-1"}, "0000 0000", 0, ""},
		{"hundredths of a kW", Point{Type: "int16", Unit: "kW", Scale: "0.01"}, "FF85", -1230, ""},
		{"tenths of a watt, to the nearest", Point{Type: "uint16", Unit: "W", Scale: "0.1"}, "0004", 0, ""},
		{"half a watt goes away from 0", Point{Type: "int16", Unit: "W", Scale: "0.1"}, "0005", 1, ""},
		{"on both sides", Point{Type: "int16", Unit: "W", Scale: "0.1"}, "FFFB", -1, ""},
		{"just below half", Point{Type: "int16", Unit: "W", Scale: "0.1"}, "FFFC", 0, ""},
		{"float", Point{Type: "float32", Unit: "kW"}, "C144 CCCD", -12300, ""},
		{"float the other way round", Point{Type: "float32", Unit: "kW", Scale: "-1"}, "C144 CCCD", 12300, ""},
		{"reactive", Point{Measure: energy.ReactiveImport, Type: "int16", Unit: "kvar"}, "FFFE", -2000, ""},
		{"a lone unsigned power", Point{Type: "uint16", Unit: "kW"}, "0002", 2000, ""},
		{"bcd", Point{Type: "bcd", Unit: "W"}, "0000 1234", 1234, ""},
		{"64 bits", Point{Type: "int64", Unit: "W"}, "FFFF FFFF FFFF FFFE", -2, ""},
		{"the largest power", Point{Type: "int64", Unit: "W"}, "0000 0100 0000 0000", 1 << 40, ""},
		{"a W more", Point{Type: "int64", Unit: "W"}, "0000 0100 0000 0001", 0, "impossibly large"},
		{"the largest float", Point{Type: "float64", Unit: "W"}, "C270 0000 0000 0000", -1 << 40, ""},
		{"the next float", Point{Type: "float64", Unit: "W"}, "4270 0000 0000 1000", 0, "impossibly large"},
		{"the next float below", Point{Type: "float64", Unit: "W"}, "C270 0000 0000 1000", 0, "impossibly large"},
		{"more than 64 bits of W", Point{Type: "int64", Unit: "MW"}, "7FFF FFFF FFFF FFFF", 0, "impossibly large"},
		{"a product of just 64 bits", Point{Type: "int64", Unit: "MW"}, "0000 10C6 F7A0 B5EE", 0, "impossibly large"},
		{"a total of just 64 bits", Point{Type: "uint64", Unit: "MWh"}, "0000 10C6 F7A0 B5EE", 0, "impossibly large"},
		{"the largest bcd", Point{Type: "bcd", Unit: "Wh"}, "9999 9999", 99_999_999, ""},
		{"the largest total", Point{Type: "uint64", Unit: "Wh"}, "1000 0000 0000 0000", 1 << 60, ""},
		{"a Wh more", Point{Type: "uint64", Unit: "Wh"}, "1000 0000 0000 0001", 0, "impossibly large"},
		{"the largest float total", Point{Type: "float64", Unit: "Wh"}, "43B0 0000 0000 0000", 1 << 60, ""},
		{"the next float total", Point{Type: "float64", Unit: "Wh"}, "43B0 0000 0000 0001", 0, "impossibly large"},
		{"no value, signed", Point{Type: "int16", Unit: "W"}, "8000", 0, "no value"},
		{"no value, unsigned", Point{Type: "uint16", Unit: "W"}, "FFFF", 0, "no value"},
		{"no value, float", Point{Type: "float32", Unit: "W"}, "7FC0 0000", 0, "NaN"},

		{"pulses of 100 Wh", Point{Type: "uint32", Unit: "pulse", Pulse: "100 Wh"}, "0000 0007", 700, ""},
		{"800 pulses a kWh", Point{Type: "uint32", Unit: "pulse", Pulse: "800 imp/kWh"}, "0000 0003", 3, ""}, // 3.75, rounded down
		{"gas pulses", Point{Measure: energy.Gas, Type: "uint16", Unit: "pulse", Pulse: "0.01 m3"}, "0065", 1010, ""},
		{"secondary pulses", Point{Type: "uint32", Unit: "pulse", Pulse: "1 Wh", CT: "200/5", VT: "11000/110"}, "0000 0002", 8000, ""},

		{"megajoules", Point{Type: "uint32", Unit: "MJ"}, "0000 0024", 10_000, ""},
		{"one joule short of a Wh", Point{Type: "uint32", Unit: "J"}, "0000 0E0F", 0, ""},
		{"a Wh in joules", Point{Type: "uint32", Unit: "J"}, "0000 0E10", 1, ""},
		{"therms", Point{Type: "uint16", Unit: "therm"}, "0064", 2_930_710, ""},
		{"hundreds of cubic feet", Point{Measure: energy.Gas, Type: "uint16", Unit: "hcf"}, "0001", 2831, ""},

		{"this device's sentinel", Point{Type: "uint32", Unit: "Wh", Invalid: []uint64{1, 0xFFFFFFFE}}, "FFFF FFFE", 0, `stands for "no value"`},
		{"in the order of the value, not of the wire", Point{Type: "uint32", Order: "CDAB", Unit: "Wh", Invalid: []uint64{0x00010002}}, "0002 0001", 0, `stands for "no value"`},
		{"next to it", Point{Type: "uint32", Unit: "Wh", Invalid: []uint64{0xFFFFFFFE}}, "FFFF FFFD", 0xFFFFFFFD, ""},
		{"the -8388.608 of Glow", Point{Type: "float32", Unit: "kW", Invalid: []uint64{0xC603126F}}, "C603 126F", 0, `stands for "no value"`},
		{"an int24 that fills up", Point{Type: "int32", Unit: "W", Invalid: []uint64{0xFF800000}}, "FF80 0000", 0, `stands for "no value"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.p.Measure == 0 {
				c.p.Measure = energy.Import
			}
			p, err := c.p.compile()
			if err != nil {
				t.Fatal(err)
			}
			got, raw, err := p.decode(unhex(t, c.wire))
			if c.err == "" && (err != nil || got != c.want) {
				t.Fatalf("got %d, %v; want %d", got, err, c.want)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("got %d, %v; want error with %q", got, err, c.err)
			}
			var e *drivers.Error
			if strings.Contains(c.err, "no value") && (!errors.As(err, &e) || e.Kind != drivers.Sentinel || raw == 0) {
				t.Errorf("%v (raw %#x) is not marked as a sentinel", err, raw)
			}
		})
	}
}

func TestPointCheckOfTheNewKinds(t *testing.T) {
	with := func(f func(*Point)) Point {
		p := Point{Measure: energy.Import, Type: "int16", Unit: "W"}
		f(&p)
		return p
	}
	for want, p := range map[string]Point{
		"":                                   with(func(*Point) {}),
		"decimal number such as 0.01, or -1": with(func(p *Point) { p.Scale = "0" }),
		"counts export as positive":          with(func(p *Point) { p.Scale = "1/2" }),
		"does not measure gas":               with(func(p *Point) { p.Measure = energy.Gas }),
		"unit kvar does not measure import":  with(func(p *Point) { p.Unit = "kvar" }),
		"primary and secondary volts":        with(func(p *Point) { p.VT = "110/11000" }),
		"needs the weight":                   with(func(p *Point) { p.Unit = "pulse" }),
		`pulse "1 m3" does not measure`:      with(func(p *Point) { p.Unit, p.Pulse = "pulse", "1 m3" }),
		"write what one pulse stands for":    with(func(p *Point) { p.Unit, p.Pulse = "pulse", "1" }),
		"is the weight of unit pulse":        with(func(p *Point) { p.Pulse = "1 Wh" }),
		"invalid 0x10000: this register has": with(func(p *Point) { p.Invalid = []uint64{0xFFFF, 0x10000} }),
	} {
		err := p.Check()
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", p, err, want)
		}
	}
	if err := (Point{Measure: energy.Import, Type: "int16", Unit: "Wh", Scale: "0"}).Check(); err == nil || !strings.Contains(err.Error(), "positive decimal") {
		t.Errorf("a total times 0: %v", err)
	}
	wide := Point{Measure: energy.Import, Type: "uint64", Unit: "Wh", Invalid: []uint64{1 << 63}}
	if err := wide.Check(); err != nil {
		t.Error(err)
	}
	for unit, want := range map[string]bool{"W": true, "kvar": true, "kWh": false, "pulse": false, "": false} {
		if got := (Point{Unit: unit}).IsPower(); got != want {
			t.Errorf("unit %q is power: %v", unit, got)
		}
	}
}

// The two signs of a power are treated alike, so that import and export of
// one register are.
func TestPowerIsSymmetric(t *testing.T) {
	scale := rapid.SampledFrom([]string{"", "0.1", "0.003", "7", "-0.25"})
	rapid.Check(t, func(r *rapid.T) {
		p, err := Point{Measure: energy.Import, Type: "int32", Unit: "W", Scale: scale.Draw(r, "scale")}.compile()
		if err != nil {
			r.Fatal(err)
		}
		v := rapid.Int32Range(-1<<31+1, 1<<31-1).Draw(r, "raw")
		there, _, err1 := p.decode(binary.BigEndian.AppendUint32(nil, uint32(v)))
		back, _, err2 := p.decode(binary.BigEndian.AppendUint32(nil, uint32(-v)))
		if err1 != nil || err2 != nil || there != -back {
			r.Fatalf("%d is %d (%v), %d is %d (%v)", v, there, err1, -v, back, err2)
		}
	})
}
