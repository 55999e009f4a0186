package sunspec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

// device is an image of holding registers.
type device map[uint16]uint16

func (d device) put(address uint16, words ...uint16) uint16 {
	for i, w := range words {
		d[address+uint16(i)] = w
	}
	return address + uint16(len(words))
}

// model puts a model with its registers, by their offsets from the ID.
func (d device) model(address, id, length uint16, at map[uint16][]uint16) uint16 {
	d.put(address, make([]uint16, int(length)+2)...)
	d.put(address, id, length)
	for offset, words := range at {
		d.put(address+offset, words...)
	}
	return address + 2 + length
}

func words(s string, n int) []uint16 {
	b := make([]byte, 2*n)
	copy(b, s)
	out := make([]uint16, n)
	for i := range out {
		out[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return out
}

func (d device) common(address uint16, maker, model, version, serial string) uint16 {
	return d.model(address, 1, 66, map[uint16][]uint16{2: words(maker, 16), 18: words(model, 16), 42: words(version, 8), 50: words(serial, 16)})
}

func (d device) read(address, n uint16) ([]uint16, bool) {
	out := make([]uint16, n)
	for i := range out {
		w, ok := d[address+uint16(i)]
		if out[i] = w; !ok {
			return nil, false
		}
	}
	return out, true
}

func walk(d device) (m Map, ok bool, asked int) {
	var w Walk
	for ; ; asked++ {
		a, n, more := w.Ask()
		if !more {
			m, ok = w.Map()
			return m, ok, asked
		}
		if got, there := d.read(a, n); there {
			w.Hear(got)
		} else {
			w.Refused()
		}
	}
}

func inverterWithMeter(base uint16) device {
	d := device{}
	at := d.put(base, 0x5375, 0x6E53)
	at = d.common(at, "SolarEdge", "SE10K", "0004.0017.0030", "7E13A1B2")
	at = d.model(at, 103, 50, map[uint16][]uint16{24: {0x0012, 0xD687}, 26: {0}}) // 1,234,567 Wh
	at = d.common(at, "WattNode", "WNC-3Y-400-MB", "25", "4066832")
	at = d.model(at, 203, 105, map[uint16][]uint16{38: {0, 5000}, 46: {0x0001, 0x86A0}, 54: {1}}) // 50,000 and 1,000,000 Wh
	at = d.model(at, 213, 124, nil)
	d.put(at, 0xFFFF, 0)
	return d
}

func TestWalk(t *testing.T) {
	for _, base := range Bases() {
		m, ok, asked := walk(inverterWithMeter(base))
		if !ok || m.Base != base || m.IDs() != "1, 103, 1, 203, 213" || m.Broken != "" || asked > 9 {
			t.Errorf("%d: %+v %v, %d questions", base, m, ok, asked)
		}
		meters, inverters := m.Parts(Meter), m.Parts(Inverter)
		if len(meters) != 1 || len(inverters) != 1 || meters[0].Models[0].ID != 203 || meters[0].Models[1].ID != 213 ||
			inverters[0].Common.Address != base+2 || meters[0].Common.Address != base+2+68+52 {
			t.Errorf("%d: %+v, %+v", base, meters, inverters)
		}
	}
	for name, c := range map[string]struct {
		change func(d device)
		ids    string
		broken string
	}{
		"no length behind the end":  {func(d device) { delete(d, 40000+2+68+52+68+107+126+1) }, "1, 103, 1, 203, 213", ""},
		"no end":                    {func(d device) { end := uint16(40000 + 2 + 68 + 52 + 68 + 107 + 126); delete(d, end); delete(d, end+1) }, "1, 103, 1, 203, 213", "behind model 213"},
		"zeros behind the last":     {func(d device) { d[40000+2+68+52+68+107+126] = 0 }, "1, 103, 1, 203, 213", "behind model 213 comes no other"},
		"beyond the last register":  {func(d device) { d[40000+2+68+1] = 0xF000 }, "1", "behind model 1 would reach beyond"},
		"a marker at another place": {func(d device) { d.put(0, 0x5375, 0x6E53, 0xFFFF); delete(d, 40001) }, "", ""},
	} {
		d := inverterWithMeter(40000)
		c.change(d)
		m, ok, _ := walk(d)
		if !ok || m.IDs() != c.ids || !strings.Contains(m.Broken, c.broken) || (c.broken == "") != (m.Broken == "") {
			t.Errorf("%s: %v, %+v", name, ok, m)
		}
	}
	if m, ok, asked := walk(device{40000: 1, 40001: 2}); ok || asked != 3 || len(m.Models) != 0 {
		t.Errorf("no SunSpec: %v, %+v, %d", ok, m, asked)
	}
	loop := device{}
	loop.put(40000, 0x5375, 0x6E53)
	for a := 40002; a < 65535; a += 2 {
		loop.put(uint16(a), 64000, 0)
	}
	if m, ok, asked := walk(loop); !ok || len(m.Models) != maxModels || m.Broken == "" || asked > maxModels+2 {
		t.Errorf("a list that does not end: %d models, %q, %d", len(m.Models), m.Broken, asked)
	}
}

// A model of another length than its ID has is not read: its registers may be
// anywhere. Longer ones are, since later versions add behind.
func TestShortModelsAreNoParts(t *testing.T) {
	for id, l := range layouts {
		for _, c := range []struct {
			length uint16
			want   int
		}{{l.words() - 3, 0}, {l.words() - 2, 1}, {200, 1}} {
			m := Map{Models: []Model{{1, 40002, 66}, {id, 40070, c.length}}}
			if got := len(m.Parts(l.kind)); got != c.want {
				t.Errorf("model %d of %d registers: %d parts, want %d", id, c.length, got, c.want)
			}
		}
		if n := Block(Model{ID: id}); n > 125 || n < 27 {
			t.Errorf("model %d: %d registers in one question", id, n)
		}
		if off, n := Core(Model{ID: id}); off+n != Block(Model{ID: id}) || off < 2 {
			t.Errorf("model %d: core %d+%d of %d", id, off, n, Block(Model{ID: id}))
		}
	}
}

// The preferred model counts in integers, and finest first.
func TestRankOfModels(t *testing.T) {
	m := Map{Models: []Model{{1, 0, 66}, {113, 100, 60}, {103, 200, 50}, {701, 300, 153}, {160, 500, 48}, {1, 600, 65}, {111, 700, 60}}}
	parts := m.Parts(Inverter)
	if len(parts) != 2 || fmt.Sprint(parts[0].Models) != "[{701 300 153} {103 200 50} {113 100 60}]" || parts[1].Common.Address != 600 {
		t.Errorf("%+v", parts)
	}
}

func TestCommon(t *testing.T) {
	d := inverterWithMeter(40000)
	block, _ := d.read(40002, CommonWords)
	c, ok := ParseCommon(block)
	if !ok || c.String() != "SolarEdge SE10K 0004.0017.0030" || c.Serial != "7E13A1B2" {
		t.Errorf("%+v %v", c, ok)
	}
	if _, ok := ParseCommon(block[:CommonWords-1]); ok {
		t.Error("a short one")
	}
	block[0] = 2
	if _, ok := ParseCommon(block); ok {
		t.Error("another model")
	}
	if got := text([]uint16{0x2041, 0x0742, 0x2000, 0x4343}); got != "AB" {
		t.Errorf("%q", got)
	}
}

// Vectors by hand: what a model's registers mean.
func TestDecode(t *testing.T) {
	u64 := func(v uint64) []uint16 { return []uint16{uint16(v >> 48), uint16(v >> 32), uint16(v >> 16), uint16(v)} }
	f32 := func(v float32) []uint16 { b := math.Float32bits(v); return []uint16{uint16(b >> 16), uint16(b)} }
	sf := func(v int16) []uint16 { return []uint16{uint16(v)} }
	for _, c := range []struct {
		name           string
		id             uint16
		measure        energy.Measure
		total, scale   []uint16
		wh, step, wrap int64
		err            error
	}{
		{"inverter", 103, energy.Generation, []uint16{0x0012, 0xD687}, sf(0), 1_234_567, 1, 1 << 32, nil},
		{"one phase, tens", 101, energy.Generation, []uint16{0, 7}, sf(1), 70, 10, 10 << 32, nil},
		{"tenths", 102, energy.Generation, []uint16{0, 127}, sf(-1), 12, 1, 429_496_730, nil},
		{"meter's import", 203, energy.Import, []uint16{0x0001, 0x86A0}, sf(2), 10_000_000, 100, 100 << 32, nil},
		{"meter's export", 201, energy.Export, []uint16{0, 1}, sf(3), 1000, 1000, 1000 << 32, nil},
		{"zero", 204, energy.Export, []uint16{0, 0}, sf(0), 0, 1, 1 << 32, nil},
		{"all ones", 202, energy.Import, []uint16{0xFFFF, 0xFFFF}, sf(0), 0, 0, 0, ErrNoValue},
		{"the most negative number", 203, energy.Import, []uint16{0x8000, 0}, sf(0), 0, 0, 0, ErrNoValue},
		{"no scale", 203, energy.Import, []uint16{0, 9}, sf(-32768), 0, 0, 0, ErrNoScale},
		{"scale 11", 203, energy.Import, []uint16{0, 9}, sf(11), 0, 0, 0, ErrScale},
		{"scale -11", 203, energy.Import, []uint16{0, 9}, sf(-11), 0, 0, 0, ErrScale},
		{"scale 10", 203, energy.Import, []uint16{0, 9}, sf(10), 90_000_000_000, 10_000_000_000, 0, nil},
		{"scale 8", 203, energy.Import, []uint16{0, 9}, sf(8), 900_000_000, 100_000_000, 100_000_000 << 32, nil},
		{"too much", 203, energy.Import, []uint16{0xFFFF, 0}, sf(10), 0, 0, 0, ErrLarge},
		{"DER", 701, energy.Generation, u64(123_456_789_012), sf(0), 123_456_789_012, 1, 0, nil},
		{"DER, thousandths", 701, energy.Generation, u64(5_999), sf(-3), 5, 1, 18_446_744_073_709_552, nil},
		{"DER, hundreds of too much", 701, energy.Generation, u64(1 << 62), sf(2), 0, 0, 0, ErrLarge},
		{"DER, none", 701, energy.Generation, u64(math.MaxUint64), sf(0), 0, 0, 0, ErrNoValue},
		{"DER, negative none", 701, energy.Generation, u64(1 << 63), sf(0), 0, 0, 0, ErrNoValue},
		{"float", 113, energy.Generation, f32(1_234_567.5), nil, 1_234_568, 1, 0, nil},
		{"float of 100 MWh", 111, energy.Generation, f32(1e8), nil, 100_000_000, 8, 0, nil},
		{"float meter", 213, energy.Import, f32(2.5), nil, 2, 1, 0, nil},
		{"NaN", 213, energy.Export, []uint16{0x7FC0, 0}, nil, 0, 0, 0, ErrNoValue},
		{"infinity", 213, energy.Export, []uint16{0x7F80, 0}, nil, 0, 0, 0, ErrNoValue},
		{"negative float", 211, energy.Export, f32(-3), nil, 0, 0, 0, ErrNegative},
		{"large float", 211, energy.Export, f32(1e30), nil, 0, 0, 0, ErrLarge},
		{"an inverter has no import", 103, energy.Import, nil, nil, 0, 0, 0, ErrNoTotal},
		{"an unknown model", 160, energy.Import, nil, nil, 0, 0, 0, ErrNoTotal},
	} {
		l := layouts[c.id]
		block := make([]uint16, 125)
		copy(block[l.totals[c.measure]:], c.total)
		if c.scale != nil {
			block[l.scale] = c.scale[0]
		}
		got, err := Decode(Model{ID: c.id}, block, c.measure)
		if !errors.Is(err, c.err) || err == nil && (got.Wh != c.wh || got.Step != c.step || got.Wrap != c.wrap) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if _, err := Decode(Model{ID: c.id}, block[:20], c.measure); !errors.Is(err, ErrNoTotal) {
			t.Errorf("%s: a short block: %v", c.name, err)
		}
	}
}

func TestIs(t *testing.T) {
	m := Model{203, 40070, 105}
	if !Is(m, []uint16{203, 105, 1}) || Is(m, []uint16{203, 104}) || Is(m, []uint16{103, 105}) || Is(m, []uint16{203}) {
		t.Error("a model's head")
	}
}
