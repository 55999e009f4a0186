package modbus

import (
	"fmt"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// Point is one register of a device: an energy or volume total, a pulse count
// or, where the device has no total, a power.
type Point struct {
	Measure energy.Measure
	Address uint16   // the protocol address, from 0 (not the 30001/40001 style of manuals)
	Table   string   // "holding" (the default) or "input"
	Type    string   // int16 uint16 int32 uint32 int64 uint64 float32 float64 bcd; TypeSunSpec on a device with SunSpec, alone with Measure and the unit Wh
	Order   string   // byte order, one letter a byte from the most significant, A: "ABCD" (the default), "CDAB", "BADC", "DCBA", ...
	Unit    string   // a unit of energy/unit that fits the measure; W, var and theirs make it a power point; "pulse" needs Pulse
	Pulse   string   // the weight of one pulse, "100 Wh" or "1000/kWh", where Unit is "pulse"
	Scale   string   // decimal factor on the raw value; "" is 1; negative only for power, where the meter's sign is the other way round
	CT      string   // current transformers, "200/5"; "" where there are none
	VT      string   // voltage transformers, "11000/110"; "" where there are none
	Primary bool     // the register has CT and VT in it already: they are for the record
	Invalid []uint64 // raw values, as many bits as the type has, by which this device says that it has no value
}

// IsPower reports whether the point is a power, in W or var and signed, of
// which the energy is yet to be integrated.
func (p Point) IsPower() bool {
	u, ok := unit.Named(p.Unit)
	return ok && u.Power()
}

// point is a Point, checked and made ready for the wire.
type point struct {
	measure  energy.Measure
	layout            // where its bits are
	invalid  []uint64 // raw values that stand for no value
	power    bool     // signed, and rounded to the nearest unit, not down
	negative bool     // the scale is below 0: num is its absolute value
	num, den uint64   // raw x num / den = base units
	factor   float64  // num/den with its sign, for the float types
}

// layout says where the bits of a value are, and how they make a number.
type layout struct {
	input    bool
	address  uint16
	words    uint16   // registers it takes
	kind     kind     //
	shuffle  [8]uint8 // wire byte i goes to value byte shuffle[i], most significant first
	straight bool     // the order is ABCD..., nothing to shuffle
}

type kind uint8

const (
	unsigned kind = iota
	signed
	float
	bcd
	learnt // TypeSunSpec: the device says how
)

var types = map[string]struct {
	kind  kind
	words uint16
}{
	"uint16": {unsigned, 1}, "uint32": {unsigned, 2}, "uint64": {unsigned, 4},
	"int16": {signed, 1}, "int32": {signed, 2}, "int64": {signed, 4},
	"float32": {float, 2}, "float64": {float, 4},
	"bcd": {bcd, 2},
}

// Types lists the types that a register can have.
func Types() []string {
	return strings.Fields("int16 uint16 int32 uint32 int64 uint64 float32 float64 bcd")
}

// Check says what is wrong with a point, or nil.
func (p Point) Check() error { _, err := p.compile(); return err }

func (p Point) compile() (point, error) {
	c := point{measure: p.Measure, power: p.IsPower(), invalid: p.Invalid}
	if !p.Measure.Valid() {
		return c, fmt.Errorf("measure %v is none that meters have", p.Measure)
	}
	if p.Type == TypeSunSpec {
		return p.compileSunSpec()
	}
	var err error
	if c.layout, err = newLayout(p.Address, p.Table, p.Type, p.Order); err != nil {
		return c, err
	}
	for _, v := range p.Invalid {
		if width := c.width(); v>>width != 0 {
			return c, fmt.Errorf("invalid %#x: this register has %d bits", v, width)
		}
	}
	return c, c.setFactor(p)
}

// width is how many bits the value has.
func (l *layout) width() uint { return uint(l.words) * 16 }

// table checks the table, and says whether it is the input registers.
func table(s string) (input bool, err error) {
	switch s {
	case "", "holding":
		return false, nil
	case "input":
		return true, nil
	case "coil", "discrete":
		return false, fmt.Errorf("table %q holds single bits, not totals: use holding or input", s)
	}
	return false, fmt.Errorf("table %q: use holding or input", s)
}

func newLayout(address uint16, where, typ, order string) (layout, error) {
	l := layout{address: address}
	var err error
	if l.input, err = table(where); err != nil {
		return l, err
	}
	t, ok := types[typ]
	if !ok {
		return l, fmt.Errorf("type %q: use %s or bcd", typ, strings.Join(Types()[:len(types)-1], " "))
	}
	l.kind, l.words = t.kind, t.words
	if l.kind == bcd && len(order) == 8 {
		l.words = 4
	}
	if int(address)+int(l.words) > 0x10000 {
		return l, fmt.Errorf("address %#04x: a %s does not fit before the end of the table", address, typ)
	}
	return l, l.setOrder(order)
}

// setOrder turns "CDAB" into the place that each wire byte has in the value.
func (l *layout) setOrder(order string) error {
	n := int(l.words) * 2
	straight := "ABCDEFGH"[:n]
	if order == "" {
		order = straight
	}
	var seen uint8
	for i := range len(order) {
		k := int(order[i]) - 'A'
		if len(order) != n || k < 0 || k >= n || seen&(1<<k) != 0 {
			return fmt.Errorf("order %q: spell each of the %d bytes once, as they come on the wire, such as %s", order, n, straight)
		}
		seen |= 1 << k
		l.shuffle[i] = uint8(k)
	}
	l.straight = order == straight
	return nil
}

// raw puts the bytes of one value, as they came on the wire, into one number.
func (l *layout) raw(wire []byte) (raw uint64) {
	n := int(l.words) * 2
	if l.straight {
		for _, b := range wire[:n] {
			raw = raw<<8 | uint64(b)
		}
		return raw
	}
	for i, b := range wire[:n] {
		raw |= uint64(b) << (8 * (n - 1 - int(l.shuffle[i])))
	}
	return raw
}
