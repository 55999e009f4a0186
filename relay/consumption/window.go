package consumption

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// compressed is the longest window that is served without compression.
const compressed = 60 * 24 * time.Hour

// earliest bounds what can be asked for: before it there are no half-hourly
// meters, and arithmetic with times stays far from its limits.
var earliest = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)

// window is the span that a client asks for: from inclusive, to exclusive.
type window struct{ from, to time.Time }

// parseWindow reads the query. The error names every bad parameter.
func parseWindow(q url.Values, now time.Time) (window, error) {
	var w window
	var bad []string
	read := func(name string, missing func() (time.Time, string)) time.Time {
		var t time.Time
		var wrong string
		switch vs := q[name]; len(vs) {
		case 0:
			t, wrong = missing()
		case 1:
			t, wrong = parseInstant(vs[0])
		default:
			wrong = "comes more than once"
		}
		if wrong != "" {
			bad = append(bad, name+" "+wrong)
		}
		return t
	}
	w.from = read("from", func() (time.Time, string) { return time.Time{}, "is missing" })
	w.to = read("to", func() (time.Time, string) { return now.UTC(), "" })
	if len(bad) == 0 && !w.from.Before(w.to) {
		bad = append(bad, "from is not before to")
	}
	if len(bad) > 0 {
		return window{}, fail(http.StatusBadRequest, "invalid_request", "%s. Use UTC times such as 2026-03-01T00:00:00Z, or dates", strings.Join(bad, "; "))
	}
	return w, nil
}

// parseInstant reads an RFC 3339 time in UTC, or a bare date as its midnight.
func parseInstant(s string) (time.Time, string) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		if t, err = time.Parse(time.RFC3339, s); err != nil || !strings.HasSuffix(s, "Z") {
			return time.Time{}, "is not a time in UTC with Z"
		}
	}
	if t.Before(earliest) || t.Year() > 2200 {
		return time.Time{}, "is out of range"
	}
	return t, ""
}

// halfHours counts the whole half-hours in the window.
func (w window) halfHours() int {
	lo, hi := ceil(w.from), w.to.Truncate(energy.Period)
	if !lo.Before(hi) {
		return 0
	}
	return int(hi.Sub(lo) / energy.Period)
}

// within cuts the window to [from, to), and to whole half-hours.
func (w window) within(from, to time.Time) window {
	if from.After(w.from) {
		w.from = from
	}
	if to.Before(w.to) {
		w.to = to
	}
	return window{ceil(w.from), w.to.Truncate(energy.Period)}
}

// ceil is the first start of a half-hour at or after t.
func ceil(t time.Time) time.Time {
	c := t.Truncate(energy.Period)
	if c.Before(t) {
		c = c.Add(energy.Period)
	}
	return c
}

// acceptsGzip reports whether a client takes a compressed answer (RFC 9110,
// section 12.5.3).
func acceptsGzip(h http.Header) bool {
	gzip, any := -1.0, -1.0
	for _, v := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(v, ",") {
			name, params, _ := strings.Cut(part, ";")
			q := 1.0
			if k, v, ok := strings.Cut(params, "="); ok && strings.EqualFold(strings.TrimSpace(k), "q") {
				f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
				if err != nil {
					continue
				}
				q = f
			}
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				gzip = q
			case "*":
				any = q
			}
		}
	}
	if gzip < 0 {
		gzip = any
	}
	return gzip > 0
}

// requireGzip refuses long windows to clients that do not take compression.
func (w window) requireGzip(h http.Header) error {
	if w.to.Sub(w.from) > compressed && !acceptsGzip(h) {
		return fail(http.StatusBadRequest, "invalid_request",
			"from and to are more than %d days apart: such a window is served compressed only, so send Accept-Encoding: gzip", compressed/(24*time.Hour))
	}
	return nil
}

func (w window) String() string { return fmt.Sprintf("%s to %s", stamp(w.from), stamp(w.to)) }
