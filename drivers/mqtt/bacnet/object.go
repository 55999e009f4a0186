package bacnet

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Object is a kind of BACnet object.
type Object uint16

// The objects that meet a reader of meters.
const (
	AnalogInput          Object = 0
	AnalogOutput         Object = 1
	AnalogValue          Object = 2
	BinaryInput          Object = 3
	BinaryOutput         Object = 4
	BinaryValue          Object = 5
	MultiStateInput      Object = 13
	MultiStateOutput     Object = 14
	Averaging            Object = 18
	MultiStateValue      Object = 19
	TrendLog             Object = 20
	Accumulator          Object = 23
	PulseConverter       Object = 24
	TrendLogMultiple     Object = 27
	LoadControl          Object = 28
	IntegerValue         Object = 45
	LargeAnalogValue     Object = 46
	PositiveIntegerValue Object = 48
)

var objects = map[string]Object{
	"analoginput": AnalogInput, "ai": AnalogInput, "analogoutput": AnalogOutput, "ao": AnalogOutput, "analogvalue": AnalogValue, "av": AnalogValue,
	"binaryinput": BinaryInput, "bi": BinaryInput, "binaryoutput": BinaryOutput, "bo": BinaryOutput, "binaryvalue": BinaryValue, "bv": BinaryValue,
	"multistateinput": MultiStateInput, "mi": MultiStateInput, "msi": MultiStateInput, "multistateoutput": MultiStateOutput, "mo": MultiStateOutput, "mso": MultiStateOutput,
	"multistatevalue": MultiStateValue, "mv": MultiStateValue, "msv": MultiStateValue, "averaging": Averaging, "trendlog": TrendLog, "tl": TrendLog,
	"accumulator": Accumulator, "acc": Accumulator, "pulseconverter": PulseConverter, "pc": PulseConverter, "trendlogmultiple": TrendLogMultiple, "loadcontrol": LoadControl,
	"integervalue": IntegerValue, "iv": IntegerValue, "largeanalogvalue": LargeAnalogValue, "lav": LargeAnalogValue, "positiveintegervalue": PositiveIntegerValue, "piv": PositiveIntegerValue,
}

// ParseObject reads an object type by number ("23"), name ("accumulator",
// "analog-input", "OBJECT_ANALOG_INPUT", "analogInput") or abbreviation ("ai").
func ParseObject(s string) (Object, bool) {
	if n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 10); err == nil {
		return Object(n), true
	}
	o, ok := objects[strings.TrimPrefix(plainName(s), "object")]
	return o, ok
}

var (
	errState = errors.New("it is a state, not an amount")
	errLog   = errors.New("it is a log, not a register")
	errScale = errors.New("an accumulator counts in steps of its own, which the bridge does not say: give the meter's Scale property as scale (1 where it counts whole units)")
)

// Register says what is wrong with taking an object's present value for a
// register's, or nil. An accumulator counts steps: scaled says that their size
// is known.
func (o Object) Register(scaled bool) error {
	switch o {
	case BinaryInput, BinaryOutput, BinaryValue, MultiStateInput, MultiStateOutput, MultiStateValue, LoadControl:
		return errState
	case TrendLog, TrendLogMultiple, Averaging:
		return errLog
	case Accumulator:
		if !scaled {
			return errScale
		}
	}
	return nil
}

// Scale is an accumulator's Scale property (187) as an exact factor: "0.1" for
// the choice float-scale, which multiplies, and "10^-1" for integer-scale, a
// power of ten.
func Scale(s string) (*big.Rat, error) {
	bad := fmt.Errorf("scale %q: use a positive number such as 0.1, or 10^-1 for an integer-scale of -1", s)
	if power, ok := strings.CutPrefix(s, "10^"); ok {
		n, err := strconv.Atoi(power)
		if err != nil || n < -12 || n > 12 {
			return nil, bad
		}
		r := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n, -n))), nil))
		if n < 0 {
			r.Inv(r)
		}
		return r, nil
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok || len(s) > 20 || strings.Trim(s, "0123456789.") != "" || r.Sign() <= 0 {
		return nil, bad
	}
	return r, nil
}
