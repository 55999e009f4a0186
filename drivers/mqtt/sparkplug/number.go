package sparkplug

import (
	"math"
	"math/big"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
)

// Number is the metric's value as the number that its type makes of it.
// Signed integers travel in two's complement in unsigned fields, so that
// without the type, which births alone have to give, -5 is 4,294,967,291.
func (m *Metric) Number(t Type) (*big.Rat, error) {
	const op = "read metric"
	if m.Null || m.field == noField {
		return nil, value.Refused(drivers.Sentinel, op, "it is null")
	}
	switch m.field {
	case floatField:
		return value.Float(float64(math.Float32frombits(uint32(m.bits))))
	case doubleField:
		return value.Float(math.Float64frombits(m.bits))
	case stringField:
		n, _, err := value.Of(m.text)
		return n, err
	case intField, longField:
		return m.integer(t)
	}
	return nil, value.Refused(drivers.Protocol, op, "it is no number (data type %d)", t)
}

// integer reads the int or long field; implementations differ in which of the
// two they take for 32 bits.
func (m *Metric) integer(t Type) (*big.Rat, error) {
	const op = "read metric"
	var width uint
	switch t {
	case Int8, UInt8:
		width = 8
	case Int16, UInt16:
		width = 16
	case Int32, UInt32:
		width = 32
	case Int64, UInt64:
		width = 64
	case DateTime:
		return nil, value.Refused(drivers.Protocol, op, "it is a time, not an amount")
	default:
		return nil, value.Refused(drivers.Protocol, op, "data type %d is none of a whole number", t)
	}
	if t >= UInt8 {
		if width < 64 && m.bits>>width != 0 {
			return nil, value.Refused(drivers.Range, op, "%d does not fit %d bits", m.bits, width)
		}
		return new(big.Rat).SetInt(new(big.Int).SetUint64(m.bits)), nil
	}
	v := int64(m.bits)
	if m.field == intField {
		v = int64(int32(m.bits)) // sign-extended to 32 bits, as most do
	}
	if width < 64 && m.bits>>width == 0 { // two's complement of its own width
		shift := 64 - width
		v = int64(m.bits<<shift) >> shift
	}
	if width < 64 && (v < -1<<(width-1) || v >= 1<<(width-1)) {
		return nil, value.Refused(drivers.Range, op, "%d does not fit %d bits", v, width)
	}
	return new(big.Rat).SetInt64(v), nil
}
