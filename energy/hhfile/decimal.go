package hhfile

import (
	"errors"
	"strings"
)

// An amount is an exact decimal: units of 10^-12 of what the file gives (kWh,
// kvarh, m3). Files carry up to about ten decimals; further ones are noise of
// binary fractions and are rounded half to even.
type amount int64

const (
	decimals = 12
	one      = amount(1_000_000_000_000)
	perBase  = one / 1000 // one base unit: Wh of kWh, varh of kvarh, litre of m3
	largest  = 1_000_000 * one
)

var (
	errNotNumber = errors.New("is not a number")
	errTooLarge  = errors.New("is more than 1,000,000 in a half-hour, which no meter can count")
)

// parseAmount reads a decimal, with or without an exponent, times 10^power, exactly.
func parseAmount(s string, power int) (amount, error) {
	mantissa, exponent, err := cutExponent(s)
	if err != nil {
		return 0, err
	}
	negative := strings.HasPrefix(mantissa, "-")
	mantissa = strings.TrimPrefix(strings.TrimPrefix(mantissa, "-"), "+")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errNotNumber
	}
	// The value is digits * 10^scale units.
	scale := decimals - len(fraction) + exponent + power
	v, err := scaled(strings.TrimLeft(digits, "0"), scale)
	if negative {
		v = -v
	}
	return v, err
}

func cutExponent(s string) (string, int, error) {
	mantissa, e, found := strings.Cut(strings.ToLower(s), "e")
	if !found {
		return mantissa, 0, nil
	}
	sign := 1
	if strings.HasPrefix(e, "-") {
		sign = -1
	}
	e = strings.TrimLeft(e, "+-0")
	if len(e) > 3 || strings.Trim(e, "0123456789") != "" {
		return "", 0, errNotNumber
	}
	n := 0
	for _, d := range e {
		n = n*10 + int(d-'0')
	}
	return mantissa, sign * n, nil
}

// scaled is digits * 10^scale, half to even where scale cuts digits off.
func scaled(digits string, scale int) (amount, error) {
	cut := ""
	if scale < 0 { // mutate: at 0 nothing is cut off
		if -scale > len(digits) {
			return 0, nil // less than a tenth of the smallest unit
		}
		digits, cut = digits[:len(digits)+scale], digits[len(digits)+scale:]
	}
	v := amount(0)
	for i := range len(digits) + max(scale, 0) {
		if v > largest/10 {
			return 0, errTooLarge
		}
		v *= 10
		if i < len(digits) {
			v += amount(digits[i] - '0')
		}
	}
	if rest := strings.TrimRight(cut, "0"); rest > "5" || rest == "5" && v%2 == 1 {
		v++ // string order is the order of decimal fractions
	}
	if v > largest {
		return 0, errTooLarge
	}
	return v, nil
}

// A carrier turns the amounts of a day into whole base units. What a value is
// rounded by is carried to the next, so that the day's total is right to the
// base unit, and no value is off by more than one.
type carrier struct {
	rest  amount // -perBase/2 .. +perBase/2
	inUse bool   // some value had a fraction of a base unit
}

func (c *carrier) next(a amount) int64 {
	if a%perBase != 0 {
		c.inUse = true
	}
	sum := a + c.rest
	q, r := sum/perBase, sum%perBase
	if r < 0 { // mutate: at 0 the next line takes it back
		q, r = q-1, r+perBase
	}
	if r > perBase/2 || r == perBase/2 && q%2 != 0 {
		q, r = q+1, r-perBase
	}
	c.rest = r
	return int64(q)
}
