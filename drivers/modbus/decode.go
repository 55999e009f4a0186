package modbus

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// maxBase bounds a register in base units: 2^60 Wh is more than the world uses
// in a decade, so anything above is a misread.
const maxBase = 1 << 60

var (
	errNaN      = errors.New("the register holds NaN or infinity")
	errNoValue  = errors.New("the register holds its \"no value\" pattern")
	errInvalid  = errors.New("the register holds a value that stands for \"no value\" in this device (invalid in the configuration)")
	errNegative = errors.New("the register is negative")
	errLarge    = errors.New("the register is impossibly large")
	errBCD      = errors.New("the register is not binary coded decimal")
)

// maxPower bounds a power in W or var: a terawatt is a misread.
const maxPower = 1 << 40

// decode turns the bytes of one point, as they came on the wire, into base
// units. It never guesses: what is not a plain number is an error, and so is
// a total below 0.
func (p *point) decode(wire []byte) (base int64, raw uint64, err error) {
	raw = p.layout.raw(wire)
	for _, v := range p.invalid {
		if raw == v {
			return 0, raw, reject(drivers.Sentinel, errInvalid, "")
		}
	}
	width := p.width()
	size, below := raw, false // absolute value and sign
	switch p.kind {
	case float:
		return p.fromFloat(raw, width)
	case signed:
		if raw == 1<<(width-1) { // SunSpec: the most negative number says that there is no such value
			return 0, raw, reject(drivers.Sentinel, errNoValue, "")
		}
		if below = raw>>(width-1) == 1; below {
			size = -raw & (math.MaxUint64 >> (64 - width))
		}
	case unsigned:
		if raw == math.MaxUint64>>(64-width) {
			return 0, raw, reject(drivers.Sentinel, errNoValue, "")
		}
	case bcd:
		if size, err = fromBCD(raw, int(width)/4); err != nil {
			return 0, raw, err
		}
	}
	if p.power {
		base, err = p.watts(size, below)
		return base, raw, err
	}
	if below {
		return 0, raw, reject(drivers.Range, errNegative, "wrong byte order, or not a total?")
	}
	base, err = p.scale(size)
	return base, raw, err
}

// scale gives raw x num / den rounded down, exactly. Rounding the absolute
// register, never a difference, keeps any sum of differences exact.
func (p *point) scale(raw uint64) (int64, error) {
	hi, lo := bits.Mul64(raw, p.num)
	if hi >= p.den {
		return 0, reject(drivers.Range, errLarge, "wrong byte order?")
	}
	q, _ := bits.Div64(hi, lo, p.den)
	if q > maxBase {
		return 0, reject(drivers.Range, errLarge, "wrong byte order?")
	}
	return int64(q), nil
}

// watts gives a power in W or var, rounded to the nearest (halves away from
// 0, so that import and export are rounded alike).
func (p *point) watts(size uint64, below bool) (int64, error) {
	hi, lo := bits.Mul64(size, p.num)
	lo, carry := bits.Add64(lo, p.den/2, 0)
	hi += carry
	if hi >= p.den {
		return 0, reject(drivers.Range, errLarge, "wrong byte order?")
	}
	q, _ := bits.Div64(hi, lo, p.den)
	if q > maxPower {
		return 0, reject(drivers.Range, errLarge, "wrong byte order?")
	}
	if below != p.negative {
		return -int64(q), nil
	}
	return int64(q), nil
}

func (p *point) fromFloat(raw uint64, width uint) (int64, uint64, error) {
	v := math.Float64frombits(raw)
	if width == 32 {
		v = float64(math.Float32frombits(uint32(raw)))
	}
	// A float32 has 24 significant bits, so that its product with any whole
	// factor below 2^29 is exact in a float64: rounding happens once, here.
	b := math.RoundToEven(v * p.factor)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, raw, reject(drivers.Sentinel, errNaN, "")
	case b < 0 && !p.power:
		return 0, raw, reject(drivers.Range, errNegative, "wrong byte order, or not a total?")
	case b > maxBase || p.power && math.Abs(b) > maxPower:
		return 0, raw, reject(drivers.Range, errLarge, "wrong byte order?")
	}
	return int64(b), raw, nil
}

func fromBCD(raw uint64, digits int) (v uint64, err error) {
	for i := digits - 1; i >= 0; i-- {
		d := raw >> (4 * i) & 0xF
		if d > 9 {
			return 0, reject(drivers.Sentinel, errBCD, "wrong type or byte order?")
		}
		v = v*10 + d
	}
	return v, nil
}

func reject(k drivers.Kind, err error, hint string) error {
	return &drivers.Error{Kind: k, Op: "decode", Err: err, Hint: hint}
}

// name describes a request for error messages, e.g. "unit 3 input 0x0156+2".
func (r request) name(unit uint8) string {
	table := "holding"
	if r.input {
		table = "input"
	}
	return fmt.Sprintf("read unit %d %s %#04x+%d", unit, table, r.address, r.words)
}
