package gas

import (
	"errors"
	"strconv"
	"strings"
)

// parseDecimal reads a decimal that is not negative, with at most so many
// decimals, as an integer of its last place.
func parseDecimal(s string, places int) (int64, error) {
	whole, part, point := strings.Cut(s, ".")
	if whole == "" || point && part == "" || len(whole) > 6 || strings.Trim(whole+part, "0123456789") != "" {
		return 0, errors.New("want a decimal such as 39.5")
	}
	part = strings.TrimRight(part, "0")
	if len(part) > places {
		return 0, errors.New("has more than " + strconv.Itoa(places) + " decimals")
	}
	return strconv.ParseInt(whole+part+strings.Repeat("0", places-len(part)), 10, 64)
}

// decimal writes such an integer without trailing zeros.
func decimal(n int64, places int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	s := strconv.FormatInt(n, 10)
	if len(s) <= places {
		s = strings.Repeat("0", places+1-len(s)) + s
	}
	whole, part := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if part == "" {
		return sign + whole
	}
	return sign + whole + "." + part
}
