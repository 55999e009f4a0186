// Package value is what the formats of drivers/mqtt have in common: what a
// message says of one point, and numbers as they are written, read exactly.
// It is pure.
package value

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Value is what a message says of one point.
type Value struct {
	Number     *big.Rat     // in Unit; nil where Err says why there is none
	At         time.Time    // the source's own time of it, UTC; zero where it gives none
	Unit       string       // as the source spells it; "" where it says nothing
	Flags      energy.Flags // what the source says against it: V13 stale, V14 bad quality
	Historical bool         // sent late on purpose (a back-fill): its age says nothing against it
	Err        error        // a *drivers.Error
}

// The bounds of a number as it may be written. No register needs more; an
// exponent without a bound would make a number of gigabytes from ten bytes.
const (
	maxDigits   = 64
	maxExponent = 40
)

// Refused is the error of a value that is none.
func Refused(kind drivers.Kind, op, format string, args ...any) error {
	return &drivers.Error{Kind: kind, Op: op, Err: fmt.Errorf(format, args...)}
}

var errNumber = errors.New("not a number such as 12345.67")

// Number reads a decimal number exactly: an optional sign, digits, at most one
// point with digits on both sides, an optional exponent. Thousands separators
// and decimal commas are refused, since they are misread too easily.
func Number(s string) (*big.Rat, error) {
	mantissa, exponent, scientific := strings.Cut(strings.Replace(s, "E", "e", 1), "e")
	digits := strings.TrimLeft(mantissa, "+-")
	whole, rest, point := strings.Cut(digits, ".")
	if len(s) > maxDigits || len(mantissa)-len(digits) > 1 || !plain(whole) || point && !plain(rest) {
		return nil, errNumber
	}
	if scientific {
		if !plain(strings.TrimPrefix(strings.TrimPrefix(exponent, "-"), "+")) {
			return nil, errNumber
		}
		if n, err := strconv.Atoi(exponent); err != nil || n > maxExponent || n < -maxExponent {
			return nil, fmt.Errorf("the exponent is beyond %d", maxExponent)
		}
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, errNumber
	}
	return r, nil
}

func plain(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Float is a binary number exactly; NaN and infinity are how some devices say
// that they have none.
func Float(f float64) (*big.Rat, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, Refused(drivers.Sentinel, "read value", "it is NaN or infinity")
	}
	return new(big.Rat).SetFloat64(f), nil
}

// nothing lists what sources write where they have no value, in lower case.
var nothing = []string{"", "-", "--", "---", "null", "none", "nan", "inf", "-inf", "+inf", "infinity", "-infinity", "n/a", "na", "unknown", "unavailable", "undefined", "invalid", "offline"}

// Nothing reports whether a text is one of those that stand for no value.
func Nothing(s string) bool { return slices.Contains(nothing, strings.ToLower(strings.TrimSpace(s))) }

// Of reads a scalar of a JSON document: a number, a number written as a text,
// or such a text with its unit behind it ("1234.5 kWh"), which it returns.
func Of(v any) (n *big.Rat, unit string, err error) {
	const op = "read value"
	switch v := v.(type) {
	case nil:
		return nil, "", Refused(drivers.Sentinel, op, "it is null")
	case json.Number:
		if n, err = Number(v.String()); err != nil {
			return nil, "", Refused(drivers.Range, op, "%s: %w", clip(v.String()), err)
		}
		return n, "", nil
	case string:
		s := strings.TrimSpace(v)
		if Nothing(s) {
			return nil, "", Refused(drivers.Sentinel, op, "%q stands for no value", s)
		}
		i := strings.IndexFunc(s, func(r rune) bool { return r == ' ' || r == '\u00a0' })
		if i < 0 {
			i = len(s)
		}
		if unit = strings.Trim(s[i:], " \u00a0"); Nothing(s[:i]) {
			return nil, "", Refused(drivers.Sentinel, op, "%q stands for no value", clip(s))
		}
		// "1 019" is a thousand and nineteen to whoever wrote it, not 1 of unit 19.
		if n, err = Number(s[:i]); err == nil && strings.ContainsAny(unit[:min(1, len(unit))], "0123456789.,+-") {
			err = errNumber
		}
		if err != nil {
			return nil, "", Refused(drivers.Protocol, op, "%q: %w", clip(s), err)
		}
		return n, unit, nil
	case bool:
		return nil, "", Refused(drivers.Protocol, op, "it is %t, not a number", v)
	case []any:
		return nil, "", Refused(drivers.Protocol, op, "it is an array, not a number")
	}
	return nil, "", Refused(drivers.Protocol, op, "it is an object, not a number")
}

// clip bounds what of a foreign text is put into an error.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// PlainNumber reports whether a text is a number and nothing else.
func PlainNumber(s string) bool { _, err := Number(s); return err == nil }
