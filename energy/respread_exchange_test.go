package energy

import (
	"strings"
	"testing"
	"time"
)

// exchangeDay is a register that shows 60 Wh a minute; nothing answers from 00:40
// to 03:20, and the meter is exchanged at 02:10. From 04:00 to 04:25 nothing
// answers again, for no longer than a boundary is known well over.
func exchangeDay(t *testing.T, reg Register) []HalfHour {
	t.Helper()
	a := NewAccumulator(reg, Period)
	var hs []HalfHour
	read := func(clock string, v int64) { hs, _ = a.Add(Sample{at(t, clock), v}, hs) }
	for _, s := range []step{{at: "00:00:00", value: 60_000}, {at: "00:30:00", value: 61_800}, {at: "00:40:00", value: 62_400}} {
		read(s.at, s.value)
	}
	var err error
	if hs, _, err = a.Exchange(at(t, "02:10:00"), 67_800, 100, hs); err != nil {
		t.Fatal(err)
	}
	for _, s := range []step{{at: "03:20:00", value: 4_300}, {at: "03:30:00", value: 4_900}, {at: "04:00:00", value: 6_700}, {at: "04:30:00", value: 8_500}} {
		read(s.at, s.value)
	}
	return hs
}

// What a file tells of a gap with a meter exchange is taken off the others, in
// proportion to what was counted in them.
func TestRespreadThroughAnExchange(t *testing.T) {
	reg := Register{Measure: Import, MaxPower: 20_000}
	for _, c := range []struct {
		name   string
		values map[string]int64
		want   string
	}{
		{"nothing told", nil, ""},
		{"one", map[string]int64{"01:30": 1200}, "00:30 1920, 01:00 1920, 02:00 1920, 02:30 1920, 03:00 1920"},
		{"the one with the exchange", map[string]int64{"02:00": 2800}, "00:30 1600, 01:00 1600, 01:30 1600, 02:30 1600, 03:00 1600"},
		{"as it was counted", map[string]int64{"01:30": 1800}, ""},
		{"all that was counted", map[string]int64{"01:30": 6 * 1800}, "00:30 0, 01:00 0, 02:00 0, 02:30 0, 03:00 0"},
		{"more than was counted", map[string]int64{"01:30": 6*1800 + 1}, ""},
		{"less than the others can deliver", map[string]int64{"00:30": 0, "01:00": 0, "01:30": 0, "02:00": 0}, "02:30 5400, 03:00 5400"},
		{"all of it", map[string]int64{"00:30": 1, "01:00": 1, "01:30": 1, "02:00": 1, "02:30": 1, "03:00": 1}, ""},
		{"before it", map[string]int64{"00:00": 1}, ""},
	} {
		hh := exchangeDay(t, reg)
		stands, given := give(hh, c.values)
		got := Respread(reg, Period, hh, stands, given)
		if s, _ := energies(got); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
		for _, h := range got {
			if h.Quality != Estimated || h.Cumulative != -1 || h.Evidence.Rule != RuleProfileScaled {
				t.Errorf("%s: %+v", c.name, h)
			}
		}
		stands = put(stands, got)
		if again := Respread(reg, Period, hh, stands, given); len(again) > 0 {
			t.Errorf("%s, once more: %+v", c.name, again)
		}
	}
	// Where what is told turns out to be what was counted, all is as it was.
	hh := exchangeDay(t, reg)
	stands, given := give(hh, map[string]int64{"01:30": 1200})
	stands = put(stands, Respread(reg, Period, hh, stands, given))
	stands[3].Energy = 1800
	stands = put(stands, Respread(reg, Period, hh, stands, given))
	for i, h := range stands {
		if !given[i] && h != hh[i] {
			t.Errorf("%+v, was %+v", h, hh[i])
		}
	}
	// More than the rest can deliver is left as it is.
	weak := Register{Measure: Import, MaxPower: 4000}
	stands, given = give(hh, map[string]int64{"00:30": 0, "01:00": 0, "01:30": 0, "02:00": 0, "02:30": 0})
	if got := Respread(weak, Period, hh, stands, given); got != nil {
		t.Errorf("%+v", got)
	}
}

// Half-hours at which the register is known well are no part of the gap, nor is
// another gap behind a boundary that is.
func TestExchangeRun(t *testing.T) {
	hh := exchangeDay(t, Register{Measure: Import, MaxPower: 20_000})
	starts := func(hh []HalfHour) string {
		var out []string
		for _, h := range hh {
			out = append(out, h.Start.Format("15:04"))
		}
		return strings.Join(out, " ")
	}
	const all = "00:30 01:00 01:30 02:00 02:30 03:00"
	if s := starts(hh[1:exchangeRun(hh, 1, Period)]); s != all {
		t.Error(s)
	}
	if s := starts(hh[1:exchangeRun(hh[:5], 1, Period)]); s != all[:23] {
		t.Error(s)
	}
	hh[5].Quality = Interpolated
	if s := starts(hh[1:exchangeRun(hh, 1, Period)]); s != all[:23] {
		t.Error(s)
	}
	hh[5].Quality = Estimated
	for _, c := range []struct {
		apart time.Duration // of the readings around 02:30
		want  string
	}{{Period, all[:23]}, {Period + 1, all}} {
		hh[4].Evidence.Last.At = at(t, "02:40:00")
		hh[5].Evidence.First.At = hh[4].Evidence.Last.At.Add(-c.apart)
		if s := starts(hh[1:exchangeRun(hh, 1, Period)]); s != c.want {
			t.Errorf("%v apart: %s", c.apart, s)
		}
	}
	hh[3].Start = hh[3].Start.Add(time.Second)
	if s := starts(hh[1:exchangeRun(hh, 1, Period)]); s != all[:11] {
		t.Error(s)
	}
}
