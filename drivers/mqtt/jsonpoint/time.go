package jsonpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
)

// Clock says how a source writes its times.
type Clock struct {
	layouts []string // of Go's time package
	numbers bool     // counts of seconds to nanoseconds are taken, too
	unit    time.Duration
	zone    *time.Location // of times that name none
}

// The layouts that need no configuration. Seconds may have a fraction in all.
var usual = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00",
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04",
}

var units = map[string]time.Duration{"unix": time.Second, "unix_s": time.Second, "unix_ms": time.Millisecond, "unix_us": time.Microsecond, "unix_ns": time.Nanosecond}

// directives are those of strftime that a time on a wire has.
var directives = strings.NewReplacer("%Y", "2006", "%y", "06", "%m", "01", "%d", "02", "%e", "_2", "%b", "Jan", "%B", "January",
	"%H", "15", "%I", "03", "%M", "04", "%S", "05", "%p", "PM", "%f", "000000", "%z", "-0700", "%Z", "MST", "%a", "Mon", "%A", "Monday", "%T", "15:04:05", "%F", "2006-01-02", "%%", "%")

// ParseClock reads a time format: "" or auto (RFC 3339, with or without a
// zone, or a number of seconds to nanoseconds since 1970, told apart by size),
// rfc3339, unix, unix_ms, unix_us, unix_ns, a layout of Go's time package, or
// one of strftime. Several are separated by "|". The zone, such as
// Europe/London, is that of times which do not name theirs; "" is UTC.
func ParseClock(format, zone string) (Clock, error) {
	c := Clock{zone: time.UTC}
	if zone != "" {
		var err error
		if c.zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
			return c, fmt.Errorf("zone %q: use a name such as Europe/London", zone)
		}
	}
	switch {
	case format == "":
		format = "auto"
	case units[format] != 0:
		c.unit = units[format]
		return c, nil
	}
	for _, layout := range strings.Split(format, "|") {
		if layout == "auto" || layout == "rfc3339" {
			c.layouts, c.numbers = append(c.layouts, usual...), c.numbers || layout == "auto"
			continue
		}
		if strings.Contains(layout, "%") {
			layout = directives.Replace(layout)
		}
		if strings.Contains(layout, "%") || !strings.Contains(layout, "04") || !strings.Contains(layout, "2") {
			return c, fmt.Errorf("time format %q: use rfc3339, unix, unix_ms, unix_us, unix_ns, or a layout such as \"2006-01-02 15:04:05\" or \"%%Y-%%m-%%d %%H:%%M:%%S\"", format)
		}
		c.layouts = append(c.layouts, layout)
	}
	return c, nil
}

var (
	errNoTime  = errors.New("it is not a time in the format expected")
	errSkipped = errors.New("the clocks went over this hour: there was no such time")
	errTwice   = errors.New("the clocks went back over this hour: there were two such times, and none is near enough to when it came")
	errZone    = errors.New("its zone is not known: give the source's zone, or have it send UTC")
)

// Time reads a time. When it came in tells apart the two readings of a local
// time in the hour that comes twice in autumn.
func (c Clock) Time(v any, arrived time.Time) (time.Time, error) {
	switch v := v.(type) {
	case json.Number:
		return c.number(v.String())
	case string:
		s := strings.TrimSpace(v)
		if (c.numbers || c.unit != 0) && value.PlainNumber(s) {
			return c.number(s)
		}
		return c.text(s, arrived)
	}
	return time.Time{}, errNoTime
}

// number reads a count since 1970.
func (c Clock) number(s string) (time.Time, error) {
	r, err := value.Number(s)
	if err != nil || !c.numbers && c.unit == 0 {
		return time.Time{}, errNoTime
	}
	unit := c.unit
	if unit == 0 {
		// 10^11 s are 5,138 years, 10^11 ms three: what is meant is never in doubt.
		switch f, _ := r.Float64(); {
		case f < 1e11:
			unit = time.Second
		case f < 1e14:
			unit = time.Millisecond
		case f < 1e17:
			unit = time.Microsecond
		default:
			unit = time.Nanosecond
		}
	}
	r.Mul(r, big.NewRat(int64(unit), 1))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !n.IsInt64() || n.Sign() < 0 {
		return time.Time{}, errNoTime
	}
	return time.Unix(0, n.Int64()).UTC(), nil
}

func (c Clock) text(s string, arrived time.Time) (time.Time, error) {
	if len(s) > 64 {
		return time.Time{}, errNoTime
	}
	for _, layout := range c.layouts {
		if !zoned(layout) {
			if wall, err := time.Parse(layout, s); err == nil {
				return c.local(wall, arrived)
			}
			continue
		}
		t, err := time.ParseInLocation(layout, s, c.zone)
		if err == nil {
			name, offset := t.Zone()
			if strings.Contains(layout, "MST") && offset == 0 && name != "UTC" && name != "GMT" && name != "Z" {
				return time.Time{}, errZone // the package makes up an offset of 0 for a name that it does not know
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, errNoTime
}

func zoned(layout string) bool {
	return strings.Contains(layout, "Z07") || strings.Contains(layout, "-07") || strings.Contains(layout, "MST")
}

// near is how close to its arrival an ambiguous time must be.
const near = 30 * time.Minute

// local finds the one instant at which the clocks on the wall showed wall.
func (c Clock) local(wall, arrived time.Time) (time.Time, error) {
	var found []time.Time
	for _, day := range []time.Duration{-24 * time.Hour, 24 * time.Hour} { // before and after any change of the clocks
		_, offset := wall.Add(day).In(c.zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if _, is := at.In(c.zone).Zone(); is == offset && (len(found) == 0 || !found[0].Equal(at)) {
			found = append(found, at)
		}
	}
	switch {
	case len(found) == 0:
		return time.Time{}, errSkipped
	case len(found) == 1:
		return found[0], nil
	}
	best := found[0]
	if arrived.Sub(found[1]).Abs() < arrived.Sub(best).Abs() {
		best = found[1]
	}
	if arrived.Sub(best).Abs() > near {
		return time.Time{}, errTwice
	}
	return best, nil
}
