package agent

import "strings"

// Shown is an exact decimal with its UN/CEFACT unit code as tables show it: in
// the unit of meters' displays (kWh, kvarh, m3), with three decimals. Nothing
// is rounded.
func Shown(value, code string) (string, string) {
	unit, ok := map[string]string{"WHR": "kWh", "K3": "kvarh", "MTQ": "m3"}[code]
	switch {
	case value == "":
		return "-", unit
	case !ok:
		return value, code
	case code != "WHR":
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
