// Package unit is the one table of the units in which meters count, each as an
// exact fraction of a base unit (Wh, varh and litres; W and var for power), so
// that nothing is lost on the way from a register to a half-hour.
package unit

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Unit is one unit: Num/Den of its Base.
type Unit struct {
	Name     string
	Base     string // Wh, varh, L; W, var for power
	Num, Den int64  // one of this unit is exactly Num/Den of Base, both above 0
}

// Pulse is the name of the unit of a register that counts pulses. It has no
// factor of its own: see ParsePulse.
const Pulse = "pulse"

// all is feeds.md 3.3 in exact fractions. The joule is 1/3600 Wh. The British
// thermal unit is the one of the International Steam Tables, 1055.05585262 J
// (feeds.md gives it rounded, 0.29307107 kWh for 1000 of them), and a therm is
// 100,000 of those; the therm that United Kingdom law defines,
// 105,505,585.257348 J, is 5 parts in 10^11 less. The foot is the
// international one, 0.3048 m; gas bills round 100 cubic feet to 2.83 m3, a
// meter does not.
var all = []Unit{
	{"Wh", "Wh", 1, 1},
	{"kWh", "Wh", 1_000, 1},
	{"MWh", "Wh", 1_000_000, 1},
	{"GWh", "Wh", 1_000_000_000, 1},
	{"J", "Wh", 1, 3600},
	{"kJ", "Wh", 1_000, 3600},
	{"MJ", "Wh", 1_000_000, 3600},
	{"GJ", "Wh", 1_000_000_000, 3600},
	{"kBtu", "Wh", 105_505_585_262, 360_000_000},
	{"therm", "Wh", 105_505_585_262, 3_600_000},
	{"varh", "varh", 1, 1},
	{"kvarh", "varh", 1_000, 1},
	{"Mvarh", "varh", 1_000_000, 1},
	{"L", "L", 1, 1},
	{"m3", "L", 1_000, 1},
	{"ft3", "L", 28_316_846_592, 1_000_000_000},
	{"hcf", "L", 28_316_846_592, 10_000_000}, // hundred cubic feet
	{"W", "W", 1, 1},
	{"kW", "W", 1_000, 1},
	{"MW", "W", 1_000_000, 1},
	{"var", "var", 1, 1},
	{"kvar", "var", 1_000, 1},
	{"Mvar", "var", 1_000_000, 1},
}

// Names lists every unit, and Pulse, in the order of the table.
func Names() []string {
	out := make([]string, 0, len(all)+1)
	for _, u := range all {
		out = append(out, u.Name)
	}
	return append(out, Pulse)
}

// Named finds a unit by its name, which is case-sensitive: mW is not MW.
// Pulse is not found: it needs a weight.
func Named(name string) (Unit, bool) {
	for _, u := range all {
		if u.Name == name {
			return u, true
		}
	}
	return Unit{}, false
}

// Factor is what one of the unit is in base units. The caller may change it.
func (u Unit) Factor() *big.Rat { return big.NewRat(u.Num, u.Den) }

// Power reports whether it is a unit of power (W, var), not of an amount.
func (u Unit) Power() bool { return u.Base == "W" || u.Base == "var" }

// Measures reports whether the unit counts what m measures: an amount of it,
// or the power of which it is the integral.
func (u Unit) Measures(m energy.Measure) bool {
	switch u.Base {
	case "W":
		return m.BaseUnit() == "Wh"
	case "var":
		return m.BaseUnit() == "varh"
	}
	return u.Base == m.BaseUnit()
}

// For lists the names of the units of a measure: of its amounts, then of its power.
func For(m energy.Measure) []string {
	var out []string
	for _, u := range all {
		if u.Measures(m) {
			out = append(out, u.Name)
		}
	}
	return out
}

// ParsePulse reads the weight of one pulse, as a meter's label has it:
// "100 Wh" or "0.01 m3" a pulse, or "1000/kWh" (also "1000 imp/kWh", "1000
// pulses/kWh"): so many pulses to a kWh. The result's Name is the text.
func ParsePulse(s string) (Unit, error) {
	bad := fmt.Errorf("pulse %q: write what one pulse stands for, such as \"100 Wh\" or \"0.01 m3\", or how many make one, such as \"1000/kWh\"", s)
	number, name := strings.TrimSpace(s), ""
	count, per, turned := strings.Cut(number, "/")
	if turned {
		number, name = strings.TrimSpace(count), strings.TrimSpace(per)
		for _, word := range []string{"pulses", "pulse", "imp", "p"} {
			if cut, ok := strings.CutSuffix(number, word); ok {
				number = strings.TrimSpace(cut)
				break
			}
		}
	} else if i := strings.IndexFunc(number, func(r rune) bool { return !strings.ContainsRune("0123456789.", r) }); i > 0 { // mutate: at 0 there is no number either way
		number, name = number[:i], strings.TrimSpace(number[i:])
	}
	u, ok := Named(name)
	if !ok || u.Power() {
		return Unit{}, bad
	}
	f, err := Decimal(number)
	if err != nil || f.Sign() <= 0 {
		return Unit{}, bad
	}
	if turned {
		f.Inv(f)
	}
	f.Mul(f, u.Factor())
	if f.Num().BitLen() > maxBits || f.Denom().BitLen() > maxBits {
		return Unit{}, fmt.Errorf("pulse %q is out of range", s)
	}
	return Unit{Name: s, Base: u.Base, Num: f.Num().Int64(), Den: f.Denom().Int64()}, nil
}

// maxBits bounds numerator and denominator of a pulse's weight: room for a
// scale and transformers on top, within 64 bits.
const maxBits = 40

// Decimal reads a plain decimal number such as 12345.67 exactly: an optional
// sign, digits, and at most one point with digits on both sides. Exponents,
// fractions and thousands separators are refused, since they are misread too
// easily; so are more than 40 characters.
func Decimal(s string) (*big.Rat, error) {
	bad := fmt.Errorf("%q is not a plain decimal number such as 12345.67", s)
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	whole, rest, point := strings.Cut(digits, ".")
	if len(s) > 40 || len(s)-len(digits) > 1 || !plain(whole) || point && !plain(rest) {
		return nil, bad
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, bad
	}
	return r, nil
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Amount reads an amount with its unit, "50 kWh" or "0.5 m3", as base units of
// a measure, rounded down. A power is not an amount.
func Amount(s string, m energy.Measure) (int64, error) {
	bad := fmt.Errorf("%q is not an amount of %s: write a number and a unit, such as \"50 %s\"", s, m, m.BaseUnit())
	s = strings.TrimSpace(s)
	i := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("+-0123456789.", r) })
	if i < 0 { // mutate: at 0 there is no number, which Decimal refuses in the same words
		return 0, bad
	}
	u, ok := Named(strings.TrimSpace(s[i:]))
	r, err := Decimal(s[:i])
	if !ok || err != nil || u.Power() || !u.Measures(m) || r.Sign() < 0 {
		return 0, bad
	}
	r.Mul(r, u.Factor())
	v := new(big.Int).Quo(r.Num(), r.Denom())
	if v.BitLen() > 62 {
		return 0, fmt.Errorf("%q is more than there is", s)
	}
	return v.Int64(), nil
}
