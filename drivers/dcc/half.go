package dcc

import (
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// half is what a feed says of one half-hour.
type half struct {
	end   time.Time
	value int64  // base units
	wrong string // why the value is none; "" where it is one
}

// No meter on the smart meter network counts as much in half an hour: 2^32
// thousandths of a Wh or of a litre, 4,294.967 kWh (8.6 MW). What is above comes
// of counters that ran over on the way to the feed: Energy Sparks' list of such
// values (bad_values.rb, after n3rgy's support), 4295.084 to 186227.0865 and the
// all-ones 4294967.295 and 2147483.647, lies there altogether. 0xFFFFFF, also
// there, is how a ZigBee meter says that it has none.
const overflow = 4_294_967

// junkPerDay is how many of them a day may have: with more, the whole day is
// left out, as Energy Sparks does (feeds.md 2.4).
const junkPerDay = 7

const (
	junk  = "it is an overflow, or the meter's way to say that it has none"
	doubt = "more than 7 other values of the day are overflows: the day is left out"
	twice = "the feed gives two values for it"
)

// sane says what is wrong with a value of a feed; "" where nothing is.
func sane(v int64) string {
	if v > overflow {
		return junk
	}
	return ""
}

// tidy puts what a feed said in order: by time, each half-hour once. Where two
// values are given, neither is taken. What is not over yet is left out.
func tidy(all []half, now time.Time) []half {
	all = slices.DeleteFunc(all, func(h half) bool { return h.end.After(now) })
	slices.SortStableFunc(all, func(a, b half) int { return a.end.Compare(b.end) })
	var out []half
	for _, h := range all {
		if n := len(out); n > 0 && out[n-1].end.Equal(h.end) {
			if out[n-1] != h {
				out[n-1] = half{end: h.end, wrong: twice}
			}
			continue
		}
		out = append(out, h)
	}
	bad := map[time.Time]int{}
	for _, h := range out {
		if h.wrong == junk {
			bad[dayOf(h.end)]++
		}
	}
	for i := range out {
		if h := &out[i]; h.wrong == "" && bad[dayOf(h.end)] > junkPerDay {
			*h = half{end: h.end, wrong: doubt}
		}
	}
	return out
}

// dayOf is the UTC day of a half-hour that ends then: the smart meter network's
// days are UTC days all year, and the last of their half-hours ends at 00:00.
func dayOf(end time.Time) time.Time {
	return end.Add(-energy.Period).UTC().Truncate(24 * time.Hour)
}

// endOf checks the end of a half-hour.
func endOf(t time.Time) (time.Time, error) {
	t = t.UTC()
	switch {
	case !t.Equal(t.Truncate(energy.Period)):
		return t, fmt.Errorf("%s is not on the half-hour", t.Format(time.RFC3339))
	case t.Year() < 2005 || t.Year() > 2100:
		return t, fmt.Errorf("%s cannot be", t.Format(time.RFC3339))
	}
	return t, nil
}
