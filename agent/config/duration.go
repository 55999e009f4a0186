package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Day is 24 hours: the store works in UTC, where every day has 24.
const Day = 24 * time.Hour

// ParseDuration reads a duration such as 50ms, 10s, 30m, 12h or 400d; d is 24
// hours and comes first where it is mixed with others (1d12h).
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration: write 50ms, 10s, 30m, 12h or 400d", s)
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "", s
	}
	var total time.Duration
	if found {
		n, err := strconv.ParseUint(days, 10, 31)
		if err != nil || time.Duration(n) > math.MaxInt64/Day/2 {
			return 0, bad
		}
		total = time.Duration(n) * Day
	}
	if rest != "" || !found {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || d > math.MaxInt64/2 {
			return 0, bad
		}
		total += d
	}
	return total, nil
}

// FormatDuration writes a duration the way ParseDuration reads it, with days.
func FormatDuration(d time.Duration) string {
	var b strings.Builder
	if d >= Day {
		fmt.Fprintf(&b, "%dd", d/Day)
		if d %= Day; d == 0 {
			return b.String()
		}
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return b.String() + s
}
