package agent

import (
	"strings"

	"github.com/perseus-edge/perseus-edge/energy"
)

// powerCode is the UN/CEFACT code in which the status shows a power: WTT (watt)
// or D44 (var).
func powerCode(m energy.Measure) string {
	if m.BaseUnit() == "varh" {
		return "D44"
	}
	return "WTT"
}

// Shown is an exact decimal with its UN/CEFACT unit code as tables show it: in
// the unit of meters' displays (kWh, kvarh, m3, kW), with three decimals. Nothing
// is rounded.
func Shown(value, code string) (string, string) {
	unit, ok := map[string]string{"WHR": "kWh", "K3": "kvarh", "MTQ": "m3", "WTT": "kW", "D44": "kvar"}[code]
	switch {
	case value == "":
		return "-", unit
	case !ok:
		return value, code
	case code == "K3" || code == "MTQ":
		return value, unit // three decimals already
	}
	sign, digits := "", value
	if d, negative := strings.CutPrefix(value, "-"); negative {
		sign, digits = "-", d
	}
	if n := 4 - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	cut := len(digits) - 3
	return sign + digits[:cut] + "." + digits[cut:], unit
}
