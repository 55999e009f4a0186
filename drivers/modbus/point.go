package modbus

import (
	"fmt"
	"math/big"
	"math/bits"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Point is one register of a device that holds an energy or volume total.
type Point struct {
	Measure energy.Measure
	Address uint16 // the protocol address, from 0 (not the 30001/40001 style of manuals)
	Table   string // "holding" (the default) or "input"
	Type    string // int16 uint16 int32 uint32 int64 uint64 float32 float64 bcd
	Order   string // byte order, one letter a byte from the most significant, A: "ABCD" (the default), "CDAB", "BADC", "DCBA", ...
	Unit    string // Wh kWh MWh (energy), varh kvarh (reactive), L m3 ft3 (gas)
	Scale   string // decimal factor on the raw value; "" is 1
	CT      string // "200/5" where the meter shows secondary values; "" where it shows primary ones
}

// point is a Point, checked and made ready for the wire.
type point struct {
	measure  energy.Measure
	input    bool
	address  uint16
	words    uint16   // registers it takes: 1, 2 or 4
	kind     kind     // how the bits make a number
	shuffle  [8]uint8 // wire byte i goes to value byte shuffle[i], most significant first
	straight bool     // the order is ABCD..., nothing to shuffle
	num, den uint64   // raw x num / den = base units
	factor   float64  // num/den, for the float types
}

type kind uint8

const (
	unsigned kind = iota
	signed
	float
	bcd
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

// units gives each unit in base units, as an exact fraction.
var units = map[string]struct {
	base     string
	num, den int64
}{
	"Wh": {"Wh", 1, 1}, "kWh": {"Wh", 1000, 1}, "MWh": {"Wh", 1_000_000, 1},
	"varh": {"varh", 1, 1}, "kvarh": {"varh", 1000, 1},
	"L": {"L", 1, 1}, "m3": {"L", 1000, 1},
	"ft3": {"L", 28_316_846_592, 1_000_000_000}, // the international foot, cubed: exact
}

// Check says what is wrong with a point, or nil.
func (p Point) Check() error { _, err := p.compile(); return err }

// Modulus is where the register wraps to 0, in base units: the natural wrap of
// its integer type. It is 0, never, for floats and for what does not fit.
func (p Point) Modulus() int64 {
	c, err := p.compile()
	if err != nil {
		return 0
	}
	var hi, lo uint64 // the first raw value that the type cannot hold
	switch n := uint(c.words) * 16; {
	case c.kind == unsigned && n == 64:
		hi = 1
	case c.kind == unsigned:
		lo = 1 << n
	case c.kind == signed:
		lo = 1 << (n - 1)
	case c.kind == bcd:
		lo = 1
		for range n / 4 {
			lo *= 10
		}
	default:
		return 0
	}
	if hi > 0 {
		return 0 // 2^64 of anything is beyond a meter's life
	}
	h, l := bits.Mul64(lo, c.num)
	if h >= c.den {
		return 0
	}
	q, _ := bits.Div64(h, l, c.den)
	if q > maxBase {
		return 0
	}
	return int64(q)
}

func (p Point) compile() (point, error) {
	c := point{measure: p.Measure, address: p.Address}
	if !p.Measure.Valid() {
		return c, fmt.Errorf("measure %v is not one of import, export, reactive-import, reactive-export, gas", p.Measure)
	}
	switch p.Table {
	case "", "holding":
	case "input":
		c.input = true
	case "coil", "discrete":
		return c, fmt.Errorf("table %q holds single bits, not totals: use holding or input", p.Table)
	default:
		return c, fmt.Errorf("table %q: use holding or input", p.Table)
	}
	t, ok := types[p.Type]
	if !ok {
		return c, fmt.Errorf("type %q: use int16 uint16 int32 uint32 int64 uint64 float32 float64 or bcd", p.Type)
	}
	c.kind, c.words = t.kind, t.words
	if c.kind == bcd && len(p.Order) == 8 {
		c.words = 4
	}
	if int(p.Address)+int(c.words) > 0x10000 {
		return c, fmt.Errorf("address %#04x: a %s does not fit before the end of the table", p.Address, p.Type)
	}
	if err := c.setOrder(p.Order); err != nil {
		return c, err
	}
	return c, c.setFactor(p)
}

// setOrder turns "CDAB" into the place that each wire byte has in the value.
func (c *point) setOrder(order string) error {
	n := int(c.words) * 2
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
		c.shuffle[i] = uint8(k)
	}
	c.straight = order == straight
	return nil
}

// setFactor works out raw -> base units as one exact fraction.
func (c *point) setFactor(p Point) error {
	u, ok := units[p.Unit]
	switch {
	case p.Unit == "W" || p.Unit == "kW":
		return fmt.Errorf("unit %s is power, not energy: give the register that counts up", p.Unit)
	case !ok:
		return fmt.Errorf("unit %q: use Wh kWh MWh varh kvarh L m3 or ft3", p.Unit)
	case u.base != p.Measure.BaseUnit():
		return fmt.Errorf("unit %s does not measure %s, which is counted in %s", p.Unit, p.Measure, p.Measure.BaseUnit())
	}
	f := new(big.Rat).SetFrac64(u.num, u.den)
	if p.Scale != "" {
		s, ok := new(big.Rat).SetString(p.Scale)
		if !ok || strings.ContainsAny(p.Scale, "/eE") || s.Sign() <= 0 {
			return fmt.Errorf("scale %q: use a positive decimal number such as 0.01", p.Scale)
		}
		f.Mul(f, s)
	}
	if p.CT != "" {
		r, err := ParseCT(p.CT)
		if err != nil {
			return err
		}
		f.Mul(f, r)
	}
	if !f.Num().IsUint64() || !f.Denom().IsUint64() || f.Num().BitLen() > 48 || f.Denom().BitLen() > 48 {
		return fmt.Errorf("scale %q with unit %s is out of range", p.Scale, p.Unit)
	}
	c.num, c.den = f.Num().Uint64(), f.Denom().Uint64()
	c.factor, _ = f.Float64()
	return nil
}

// ParseCT reads a current transformer's ratio, "200/5", as an exact factor.
func ParseCT(s string) (*big.Rat, error) {
	r, ok := new(big.Rat).SetString(s)
	a, b, cut := strings.Cut(s, "/")
	if !ok || !cut || a == "" || b == "" || strings.ContainsAny(s, "eE") || r.Cmp(big.NewRat(1, 1)) < 0 || r.Cmp(big.NewRat(100_000, 1)) > 0 {
		return nil, fmt.Errorf("ct %q: give primary and secondary amperes such as \"200/5\"", s)
	}
	return r, nil
}
