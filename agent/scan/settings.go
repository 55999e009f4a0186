package scan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// lines are the settings that meters leave the factory with, likely first:
// 9600 baud is the commonest by far, 19200 with even parity the standard's own.
var lines = []string{
	"baud=9600", "baud=9600&parity=even", "baud=19200&parity=even", "baud=19200", "baud=2400", "baud=4800", "baud=38400", "baud=38400&parity=even",
	"baud=2400&parity=even", "baud=115200", "baud=57600", "baud=1200", "baud=4800&parity=even", "baud=115200&parity=even", "baud=9600&parity=odd", "baud=19200&parity=odd",
}

// Settings are the ways in which to speak on a wire, likely first: those of a
// serial port that is given without its settings, RTU frames after Modbus TCP
// for a box; else only the one that is given.
func Settings(url string) []string {
	switch {
	case strings.HasPrefix(url, "rtu://") && !strings.Contains(url, "?"):
		out := make([]string, len(lines))
		for i, l := range lines {
			out[i] = url + "?" + l
		}
		return out
	case strings.HasPrefix(url, "tcp://"):
		return []string{url, "rtuovertcp://" + strings.TrimPrefix(url, "tcp://")}
	}
	return []string{url}
}

// Units reads "1-10,20" and gives the unit numbers in this order, each once.
func Units(s string) ([]uint8, error) {
	var out []uint8
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || a > b || !allowed(a) || !allowed(b) || a != b && b > 247 {
			return nil, fmt.Errorf("units %q: write 1 to 247 (or 255) such as 1-10 or 1-10,20", part)
		}
		for u := a; u <= b; u++ {
			if !slices.Contains(out, uint8(u)) {
				out = append(out, uint8(u))
			}
		}
	}
	return out, nil
}

func allowed(u int) bool { return u >= 1 && u <= 247 || u == 255 }

// Span shows units shortly: 1 to 10, 255.
func Span(units []uint8) string {
	var parts []string
	for i := 0; i < len(units); {
		j := i
		for j+1 < len(units) && units[j+1] == units[j]+1 {
			j++
		}
		switch j - i {
		case 0:
			parts = append(parts, fmt.Sprint(units[i]))
		default:
			parts = append(parts, fmt.Sprintf("%d to %d", units[i], units[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
