package dcc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// The bounds of a number as it may be written: an exponent without one would
// make a number of gigabytes from ten bytes.
const (
	maxDigits   = 64
	maxExponent = 30
	maxBase     = 1 << 60 // Wh: more than the world uses in a decade
)

var (
	errNumber   = errors.New("is not a number")
	errHuge     = errors.New("is impossibly large")
	errNegative = errors.New("is negative (import and export are never netted)")
)

// amount reads a JSON number as whole base units (factor of them to one of the
// feed's unit), exactly, then rounded to the nearest, halves up: feeds compute
// in binary fractions, so that 6613.405 kWh may come as 6613.404999.
func amount(text string, factor *big.Rat) (int64, error) {
	_, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if n, err := strconv.Atoi(exponent); len(text) > maxDigits || exponent != "" && (err != nil || n > maxExponent || n < -maxExponent) {
		return 0, errHuge
	}
	if !json.Valid([]byte(text)) || strings.Trim(text, "0123456789+-.eE") != "" || text == "" {
		return 0, errNumber
	}
	r, ok := new(big.Rat).SetString(text)
	switch {
	case !ok:
		return 0, errNumber
	case r.Sign() < 0:
		return 0, errNegative
	}
	r.Mul(r, factor)
	n := new(big.Int).Lsh(r.Num(), 1)
	n.Add(n, r.Denom())
	n.Quo(n, new(big.Int).Lsh(r.Denom(), 1))
	if !n.IsInt64() || n.Int64() > maxBase {
		return 0, errHuge
	}
	return n.Int64(), nil
}

// factorOf is what one of a feed's unit is in base units of a measure. Names
// are as the field spells them, in any case.
func factorOf(name string, m energy.Measure) (*big.Rat, error) {
	for _, known := range unit.For(m) {
		u, _ := unit.Named(known)
		if !u.Power() && strings.EqualFold(known, strings.TrimSpace(strings.ReplaceAll(name, "³", "3"))) {
			return u.Factor(), nil
		}
	}
	if u := strings.ToLower(strings.TrimSpace(name)); m == energy.Gas && (u == "kwh" || u == "wh") {
		return nil, fmt.Errorf("gas comes in %s here: it is taken in m3 only, since kWh of gas depend on a calorific value that the feed does not give", name)
	}
	return nil, fmt.Errorf("the unit %q does not measure %s", name, m)
}
