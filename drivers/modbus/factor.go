package modbus

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// Factor is what one count of the register is in base units (W, var for a
// power point), exactly: its unit or the weight of its pulse, times Scale,
// times the transformers where the register does not have them in it already.
func (p Point) Factor() (*big.Rat, error) {
	f, err := p.unitFactor()
	if err != nil {
		return nil, err
	}
	if p.Scale != "" {
		s, err := unit.Decimal(p.Scale)
		switch {
		case p.IsPower() && (err != nil || s.Sign() == 0):
			return nil, fmt.Errorf("scale %q: use a decimal number such as 0.01, or -1 where the meter counts export as positive", p.Scale)
		case !p.IsPower() && (err != nil || s.Sign() <= 0):
			return nil, fmt.Errorf("scale %q: use a positive decimal number such as 0.01", p.Scale)
		}
		f.Mul(f, s)
	}
	ratio, err := p.Transformers()
	if err != nil {
		return nil, err
	}
	if !p.Primary {
		f.Mul(f, ratio)
	}
	return f, nil
}

// unitFactor is one of the register's unit, or one pulse, in base units.
func (p Point) unitFactor() (*big.Rat, error) {
	var u unit.Unit
	var err error
	switch {
	case p.Unit == unit.Pulse && p.Pulse == "":
		return nil, fmt.Errorf("unit pulse needs the weight of a pulse: write pulse: \"100 Wh\" or \"1000/kWh\", as the meter's label has it")
	case p.Unit == unit.Pulse:
		if u, err = unit.ParsePulse(p.Pulse); err != nil {
			return nil, err
		}
	case p.Pulse != "":
		return nil, fmt.Errorf("pulse %q is the weight of unit pulse, this register counts %s: leave it out, or write unit: pulse", p.Pulse, p.Unit)
	default:
		var ok bool
		if u, ok = unit.Named(p.Unit); !ok {
			return nil, fmt.Errorf("unit %q: use %s or %s", p.Unit, strings.Join(unit.For(p.Measure), " "), unit.Pulse)
		}
	}
	if !u.Measures(p.Measure) {
		name := "unit " + p.Unit
		if p.Unit == unit.Pulse {
			name = fmt.Sprintf("pulse %q", p.Pulse)
		}
		return nil, fmt.Errorf("%s does not measure %s, which is counted in %s", name, p.Measure, p.Measure.BaseUnit())
	}
	return u.Factor(), nil
}

// Transformers is the ratio of the current and voltage transformers, 1 where
// there are none; whether it is counted in already is Primary's to say.
func (p Point) Transformers() (*big.Rat, error) {
	f := big.NewRat(1, 1)
	if p.CT != "" {
		r, err := ParseCT(p.CT)
		if err != nil {
			return nil, err
		}
		f.Mul(f, r)
	}
	if p.VT != "" {
		r, err := ParseVT(p.VT)
		if err != nil {
			return nil, err
		}
		f.Mul(f, r)
	}
	return f, nil
}

// maxFactorBits bounds numerator and denominator of a factor, so that a raw
// value times one and divided by the other goes through 128 bits.
const maxFactorBits = 62

// setFactor works out raw -> base units as one exact fraction.
func (c *point) setFactor(p Point) error {
	f, err := p.Factor()
	if err != nil {
		return err
	}
	c.negative = f.Sign() < 0
	c.factor, _ = f.Float64()
	f.Abs(f)
	if f.Num().BitLen() > maxFactorBits || f.Denom().BitLen() > maxFactorBits {
		return fmt.Errorf("scale %q with unit %s is out of range", p.Scale, p.Unit)
	}
	c.num, c.den = f.Num().Uint64(), f.Denom().Uint64()
	return nil
}

// ParseCT reads a current transformer's ratio, "200/5", as an exact factor.
func ParseCT(s string) (*big.Rat, error) {
	if r, ok := ratio(s); ok {
		return r, nil
	}
	return nil, fmt.Errorf("ct %q: give primary and secondary amperes such as \"200/5\"", s)
}

// ParseVT reads a voltage transformer's ratio, "11000/110", as an exact factor.
func ParseVT(s string) (*big.Rat, error) {
	if r, ok := ratio(s); ok {
		return r, nil
	}
	return nil, fmt.Errorf("vt %q: give primary and secondary volts such as \"11000/110\"", s)
}

// ratio reads "a/b" with 1 <= a/b <= 100,000.
func ratio(s string) (*big.Rat, bool) {
	first, second, ok := strings.Cut(s, "/")
	a, err := unit.Decimal(first)
	if !ok || err != nil {
		return nil, false
	}
	b, err := unit.Decimal(second)
	if err != nil || b.Sign() <= 0 {
		return nil, false
	}
	r := a.Quo(a, b)
	return r, r.Cmp(big.NewRat(1, 1)) >= 0 && r.Cmp(big.NewRat(100_000, 1)) <= 0
}

// Modulus is where the register wraps to 0, in base units: the natural wrap of
// its integer type. It is 0, never, for floats, for power and for what does
// not fit. Where the wrap is not a whole number of base units it is rounded
// up, so that every value below it can be shown; a rollover is then counted to
// within one base unit.
func (p Point) Modulus() int64 {
	c, err := p.compile()
	if err != nil || c.power {
		return 0
	}
	first := new(big.Int) // the first raw value that the type cannot hold
	switch n := c.width(); c.kind {
	case unsigned:
		first.Lsh(big.NewInt(1), n)
	case signed:
		first.Lsh(big.NewInt(1), n-1)
	case bcd:
		first.Exp(big.NewInt(10), big.NewInt(int64(n/4)), nil)
	default:
		return 0
	}
	return p.ToModulus(first)
}

// ToModulus gives a wrap in raw counts as one in base units, rounded up; 0,
// never, where it is beyond what a meter counts in its life.
func (p Point) ToModulus(counts *big.Int) int64 {
	f, err := p.Factor()
	if err != nil {
		return 0
	}
	v := ceil(f.Mul(f, new(big.Rat).SetInt(counts)))
	if !v.IsInt64() || v.Int64() > maxBase {
		return 0
	}
	return v.Int64()
}

// ceil rounds a fraction up to a whole number.
func ceil(r *big.Rat) *big.Int {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

// Mantissa is how many significant bits a float register has, 24 or 53; 0 for
// the other types, which count in equal steps.
func (p Point) Mantissa() int {
	switch p.Type {
	case "float32":
		return 24
	case "float64":
		return 53
	}
	return 0
}

// One is what one count of the register is (1.0 of a float) in base units,
// rounded up: at least 1.
func (p Point) One() int64 {
	c, err := p.compile()
	if err != nil {
		return 1
	}
	return int64(min((c.num+c.den-1)/c.den, maxBase)) // num and den have 62 bits at most
}

// StepAt is the smallest step, in base units and rounded up, that the register
// can take when it stands at base (in base units): the weight of one count, or
// of the last bit of a float. It is at least 1. A float32 in kWh that stands
// at 100,000 kWh can tell no less than 8 Wh.
func (p Point) StepAt(base int64) int64 {
	c, err := p.compile()
	if err != nil || c.kind != float {
		return p.One()
	}
	raw := math.Abs(float64(base) / c.factor)
	step := math.Nextafter(raw, math.Inf(1)) - raw
	if p.Type == "float32" {
		step = float64(math.Nextafter32(float32(raw), math.MaxFloat32) - float32(raw))
	}
	return max(1, int64(math.Ceil(min(step*math.Abs(c.factor), maxBase))))
}
