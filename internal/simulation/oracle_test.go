package simulation

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// What the oracle takes for unknown at the beginning of a register: a 0 is no
// reading before it has lasted.
func TestResetBegins(t *testing.T) {
	minute := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	const wrong = -1
	type given struct{ at, value int }
	for name, c := range map[string]struct {
		given []given // the first one is of 00:10
		until int
		open  bool // it is not settled yet
	}{
		"a value at once":              {given: []given{{10, 5}, {20, 6}}, until: 10},
		"0 and then a value":           {given: []given{{10, 0}, {20, 0}, {30, 1000}, {40, 1000}}, until: 30},
		"0 for an hour":                {given: []given{{10, 0}, {25, 0}, {40, 0}, {55, 0}, {70, 0}, {80, 3}}, until: 10},
		"0 for a little less":          {given: []given{{10, 0}, {20, 0}, {30, 0}, {40, 0}, {69, 0}, {80, 3}}, until: 80},
		"0 four times":                 {given: []given{{10, 0}, {30, 0}, {60, 0}, {90, 0}, {120, 3}}, until: 120},
		"0 yet":                        {given: []given{{10, 0}, {40, 0}}, until: 40, open: true},
		"0 for an hour, with nonsense": {given: []given{{10, 0}, {40, wrong}, {70, 0}, {80, 0}}, until: 80, open: true},
		"0 for an hour after nonsense": {given: []given{{10, 0}, {40, wrong}, {50, 0}, {60, 0}, {70, 0}, {80, 0}, {110, 0}}, until: 50},
	} {
		t.Run(name, func(t *testing.T) {
			r := reset{until: minute(10)}
			if c.given[0].value == 0 {
				r.zeros, r.n = minute(10), 1
			}
			for _, g := range c.given[1:] {
				r.begins(delivery{real: minute(g.at), value: int64(g.value), good: g.value != wrong})
			}
			if !r.until.Equal(minute(c.until)) || r.zeros.IsZero() == c.open {
				t.Errorf("unknown until %s, open since %s", r.until, r.zeros)
			}
		})
	}
}

// A sample that was dated by a wrong clock at first is found by its value
// around its right time: a good one, and no other.
func TestRedated(t *testing.T) {
	c := &channel{log: []delivery{
		{at: epoch.Add(time.Hour), real: epoch.Add(10 * time.Minute), value: 7, good: true},
		{at: epoch.Add(time.Hour), real: epoch.Add(10 * time.Minute), value: 8},
		{at: epoch.Add(2 * time.Hour), real: epoch.Add(20 * time.Minute), value: 7, good: true},
	}}
	for _, x := range []struct {
		at    time.Duration
		value int64
		found bool
	}{
		{10 * time.Minute, 7, true}, {9 * time.Minute, 7, true}, {11 * time.Minute, 7, true}, {19 * time.Minute, 7, true},
		{10 * time.Minute, 8, false}, {10 * time.Minute, 9, false},
		{9*time.Minute - 1, 7, false}, {11*time.Minute + 1, 7, false}, {21*time.Minute + 1, 7, false},
	} {
		if d := c.redated(energy.Sample{At: epoch.Add(x.at), Value: x.value}, time.Minute); (d != nil) != x.found {
			t.Errorf("%d at %s: found %+v", x.value, x.at, d)
		}
	}
}

// A register at the very instant of an exchange may be the old meter's closing
// reading or the new one's opening reading: both say the same of what was counted.
// (Seed 50105 took the closing reading for the new meter's.)
func TestMeteredAtTheExchange(t *testing.T) {
	swap := epoch.Add(time.Hour)
	w := &watched{channel: &channel{register: register{modulus: 1_000_000, fits: []fitting{
		{shows: 100, closes: 161_990, swap: swap, removed: swap},
		{shows: 1_760, fitted: swap.Add(time.Minute)},
	}}}}
	for _, c := range []struct {
		at     time.Time
		shown  int64
		counts int64
	}{
		{swap, 161_990, 161_890},
		{swap, 161_980, 161_880}, // 10 Wh short of it: said as it is
		{swap, 1_760, 161_890},
		{swap, 1_770, 161_900},
		{swap.Add(1), 161_990, 161_890 + 161_990 - 1_760}, // a nanosecond later only the new one counts
	} {
		m, truth := new(oracle).metered(w, c.at, c.shown)
		if m != c.counts || truth != 161_890 {
			t.Errorf("%s, %d shown: %d counted, true %d", c.at, c.shown, m, truth)
		}
	}
}

// What stays unknown between two meters when some of the exchanges between
// them are stated.
func TestDark(t *testing.T) {
	hour := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Hour) }
	for _, c := range []struct {
		known    []bool // of the exchanges, at 1:00, 2:00 and 3:00
		from, to int
	}{
		{[]bool{false, false, false}, 0, 4},
		{[]bool{true, false, false}, 1, 4},
		{[]bool{true, true, false}, 2, 4},
		{[]bool{true, true, true}, 4, 4},
		{[]bool{false, true, true}, 0, 2},
		{[]bool{true, false, true}, 1, 3},
		{[]bool{false, true, false}, 0, 4},
	} {
		ch := &channel{}
		for i, known := range c.known {
			ch.fits = append(ch.fits, fitting{swap: hour(i + 1), known: known})
		}
		from, to := ch.dark(&reset{span: span{hour(0), hour(4)}, known: hour(0), was: 0, fit: 3})
		if !from.Equal(hour(c.from)) || !to.Equal(hour(c.to)) {
			t.Errorf("%v: from %s to %s", c.known, from, to)
		}
	}
}
