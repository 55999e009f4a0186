package energy

import (
	"strings"
	"testing"
	"time"
)

// swap is a stated exchange in a story, or a break where at is "".
type swap struct {
	at               string
	closing, opening int64
	want             []hh
	err              string // a part of the refusal
}

func TestExchange(t *testing.T) {
	plain := Register{Measure: Import}
	rated := Register{Measure: Import, MaxPower: 10_000, Modulus: 1_000_000}
	for _, c := range []struct {
		name   string
		reg    Register
		before []step
		swap   swap
		after  []step
	}{
		{"in the middle of a half-hour", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 20}, []step{
			{"00:20:00", 70, Nothing, nil},
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 3}}},
			{"01:00:00", 470, Nothing, []hh{{"00:30:00", 300, 470, Measured, 1}}},
		}},
		{"to a meter that stands at 0", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5100, opening: 0}, []step{
			{"00:20:00", 0, Nothing, nil},
			{"00:30:00", 10, Nothing, []hh{{"00:00:00", 110, 10, Interpolated, 3}}},
		}},
		{"across boundaries, within a period", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:20:00", 5200, Nothing, nil},
		}, swap{at: "00:40:00", closing: 5400, opening: 0, want: []hh{{"00:00:00", 300, 5300, Interpolated, 2}}}, []step{
			{"01:10:00", 300, Nothing, []hh{{"00:30:00", 300, 200, Interpolated, 0}}},
			{"01:30:00", 500, Nothing, []hh{{"01:00:00", 300, 500, Interpolated, 1}}},
			{"02:00:00", 800, Nothing, []hh{{"01:30:00", 300, 800, Measured, 1}}},
		}},
		{"across boundaries, after longer gaps", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:29:00", 5290, Nothing, nil},
		}, swap{at: "01:10:00", closing: 5700, opening: 30, want: []hh{
			{"00:00:00", 300, 5300, Estimated, 2}, {"00:30:00", 300, 5600, Estimated, 0},
		}}, []step{
			{"02:10:00", 630, Nothing, []hh{{"01:00:00", 300, 230, Estimated, 0}, {"01:30:00", 300, 530, Estimated, 0}}},
			{"02:30:00", 830, Nothing, []hh{{"02:00:00", 300, 830, Estimated, 1}}},
			{"03:00:00", 1130, Nothing, []hh{{"02:30:00", 300, 1130, Measured, 1}}},
		}},
		{"on a boundary", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:29:50", 5298, Nothing, nil},
		}, swap{at: "00:30:00", closing: 5300, opening: 7, want: []hh{{"00:00:00", 300, 5300, Interpolated, 2}}}, []step{
			{"00:30:10", 9, Nothing, nil},
			{"01:00:00", 307, Nothing, []hh{{"00:30:00", 300, 307, Interpolated, 1}}},
			{"01:30:00", 607, Nothing, []hh{{"01:00:00", 300, 607, Measured, 1}}},
		}},
		{"in the first, partial half-hour", plain, []step{
			{"00:10:00", 5000, Opened, nil},
		}, swap{at: "00:15:00", closing: 5050, opening: 0}, []step{
			{"00:30:00", 150, Nothing, nil},
			{"01:00:00", 450, Nothing, []hh{{"00:30:00", 300, 450, Interpolated, 1}}}, // its start lies next to the stated reading
			{"01:30:00", 750, Nothing, []hh{{"01:00:00", 300, 750, Measured, 1}}},
		}},
		{"while the new meter's readings are held", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:20:00", 70, Nothing, nil},
			{"00:21:00", 80, Nothing, nil},
			{"00:22:00", 90, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 4}}},
		}},
		{"while one reading of the new meter is held", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:20:00", 70, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 3}}},
		}},
		{"what was held before it was the old meter's glitch", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:12:00", 70, Nothing, nil},
			{"00:22:00", 90, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 3}}},
		}},
		{"what was held just then was the old meter's", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:15:00", 70, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 2}}},
		}},
		{"what was held first just then was the old meter's", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:15:00", 70, Nothing, nil},
			{"00:16:00", 80, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 3}}},
		}},
		{"all of what was held was the old meter's", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:12:00", 70, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 2}}},
		}},
		{"zeros that are held are no readings of a meter that opened at 20", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:20:00", 0, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 2}}},
		}},
		{"zeros that are held are readings of a meter that opened at 0", rated, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:20:00", 0, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 0}, []step{
			{"00:30:00", 50, Nothing, []hh{{"00:00:00", 200, 50, Interpolated, 3}}},
		}},
		{"the old meter wrapped before it was taken away", rated, []step{
			{"00:00:00", 999_800, Opened, nil},
			{"00:10:00", 999_900, Nothing, nil},
		}, swap{at: "00:15:00", closing: 50, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 400, 170, Interpolated, 2}}},
		}},
		{"another serial number was read: missing until the next reading", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:20:00", 5100, Nothing, nil},
		}, swap{}, []step{
			{"01:10:00", 5200, Exchanged, []hh{
				{"00:00:00", 0, -1, Missing, 2}, {"00:30:00", 0, -1, Missing, 0}, {"01:00:00", 0, -1, Missing, 0},
			}},
			{"01:30:00", 5400, Nothing, nil},
			{"02:00:00", 5700, Nothing, []hh{{"01:30:00", 300, 5700, Measured, 1}}},
		}},
		{"another serial number, and zeros at first", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:20:00", 5100, Nothing, nil},
			{"00:21:00", 10, Nothing, nil},
		}, swap{}, []step{
			{"00:22:00", 0, Nothing, nil},
			{"00:23:00", 0, Nothing, nil},
			{"00:24:00", 12, Exchanged, []hh{{"00:00:00", 0, -1, Missing, 2}}},
		}},
		{"by another clock, when the new meter's readings are held", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:40:00", 5400, Nothing, []hh{{"00:00:00", 300, 5300, Interpolated, 2}}},
			{"00:50:00", 70, Nothing, nil},
		}, swap{at: "00:10:00", closing: 5450, opening: 20}, []step{
			{"01:00:00", 170, Nothing, []hh{{"00:30:00", 300, 170, Interpolated, 2}}},
		}},
		{"refused: by another clock, more than a period off", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:40:00", 5400, Nothing, []hh{{"00:00:00", 300, 5300, Interpolated, 2}}},
			{"00:50:00", 70, Nothing, nil},
		}, swap{at: "00:09:59", closing: 5450, opening: 20, err: "read and counted since then"}, nil},
		{"just when the old meter was last read, and the new one is held", plain, []step{
			{"00:00:00", 5000, Opened, nil},
			{"00:10:00", 5100, Nothing, nil},
			{"00:20:00", 70, Nothing, nil},
		}, swap{at: "00:10:00", closing: 5150, opening: 20}, []step{
			{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 3}}},
		}},
		{"refused: no time of a meter", plain, []step{{"00:00:00", 5000, Opened, nil}}, swap{at: "never", closing: 5000, err: "no time of a meter"}, nil},
		{"refused: nothing to close", plain, nil, swap{at: "00:15:00", closing: 5150, opening: 20, err: "nothing to close"}, []step{{"00:20:00", 70, Opened, nil}}},
		{"refused: read later", plain, []step{{"00:00:00", 5000, Opened, nil}, {"00:15:00", 5000, Nothing, nil}}, swap{at: "00:15:00", closing: 5150, opening: 20, err: "read and counted since then, last at 2024-02-05T00:15:00Z"}, []step{
			{"00:30:00", 5300, Nothing, []hh{{"00:00:00", 300, 5300, Measured, 2}}},
		}},
		{"refused: closing before what was read", plain, []step{{"00:00:00", 5000, Opened, nil}}, swap{at: "00:15:00", closing: 4999, opening: 20, err: "cannot have gone from 5000"}, []step{
			{"00:30:00", 5300, Nothing, []hh{{"00:00:00", 300, 5300, Measured, 1}}},
		}},
		{"refused: a leap to the closing reading", rated, []step{{"00:00:00", 5000, Opened, nil}}, swap{at: "00:15:00", closing: 12_501, opening: 20, err: "cannot have gone from 5000"}, nil},
		{"the most that the meter can have counted", rated, []step{{"00:00:00", 5000, Opened, nil}}, swap{at: "00:15:00", closing: 12_500, opening: 20}, nil},
		{"refused: the register cannot show the closing reading", rated, []step{{"00:00:00", 5000, Opened, nil}}, swap{at: "00:15:00", closing: 1_000_000, opening: 20, err: "modulus of 1000000"}, nil},
		{"refused: nor the opening reading", rated, []step{{"00:00:00", 5000, Opened, nil}}, swap{at: "00:15:00", closing: 5000, opening: -1, err: "modulus of 1000000"}, nil},
		{"refused: what is held does not go on from the opening reading", rated, []step{
			{"00:00:00", 5000, Opened, nil}, {"00:20:00", 70, Nothing, nil},
		}, swap{at: "00:15:00", closing: 5150, opening: 71, err: "from the opening reading of 71 to 70"}, []step{
			{"00:30:00", 5300, Glitch, []hh{{"00:00:00", 300, 5300, Measured, 1}}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := NewAccumulator(c.reg, Period)
			tell(t, a, c.before)
			if c.swap.at == "" {
				a.Break()
				a.Break() // once more changes nothing
			} else {
				stateExchange(t, a, c.swap)
			}
			tell(t, a, c.after)
		})
	}
}

func stateExchange(t *testing.T, a *Accumulator, s swap) {
	t.Helper()
	was := *a
	when := time.Time{}
	if s.at != "never" {
		when = at(t, s.at)
	}
	got, e, err := a.Exchange(when, s.closing, s.opening, nil)
	if s.err != "" {
		if err == nil || !strings.Contains(err.Error(), s.err) || *a != was || e.Kind != Nothing || len(got) > 0 {
			t.Errorf("%v, %+v, want %q", err, e, s.err)
		}
		return
	}
	if when.UnixNano() <= was.base.at { // it was read off another clock
		when = instant(was.base.at + clockStep)
	}
	if err != nil || e != (Event{Exchanged, when, s.closing, s.opening, when}) {
		t.Fatalf("%+v, %v", e, err)
	}
	checkSettled(t, s.at, got, s.want)
	for _, h := range got {
		if h.Evidence.Rule != RuleExchange {
			t.Errorf("rule %d", h.Evidence.Rule)
		}
	}
}

// The serial number is read first, and the operator's statement follows.
func TestExchangeAfterBreak(t *testing.T) {
	for _, when := range []string{"00:15:00", "00:05:00"} { // the latter by another clock
		a := NewAccumulator(Register{Measure: Import}, Period)
		tell(t, a, []step{{"00:00:00", 5000, Opened, nil}, {"00:10:00", 5100, Nothing, nil}})
		a.Break()
		stateExchange(t, a, swap{at: when, closing: 5150, opening: 20})
		tell(t, a, []step{{"00:30:00", 170, Nothing, []hh{{"00:00:00", 300, 170, Interpolated, 2}}}})
	}
}

// Which half-hours an exchange touches, and what their evidence is.
func TestExchangeTouches(t *testing.T) {
	a := NewAccumulator(Register{Measure: Import}, Period)
	var hs []HalfHour
	for _, s := range []step{{at: "00:00:00", value: 1000}, {at: "00:20:00", value: 1200}} {
		hs, _ = a.Add(Sample{at(t, s.at), s.value}, hs)
	}
	hs, _, err := a.Exchange(at(t, "00:40:00"), 1400, 50, hs)
	if err != nil {
		t.Fatal(err)
	}
	if base, ok := a.Base(); !ok || base != (Sample{at(t, "00:40:00"), 50}) {
		t.Errorf("base %+v", base)
	}
	for _, s := range []step{{at: "00:50:00", value: 150}, {at: "01:10:00", value: 350}, {at: "01:30:00", value: 550}} {
		hs, _ = a.Add(Sample{at(t, s.at), s.value}, hs)
	}
	stated := Sample{at(t, "00:40:00"), 1400}
	want := []Evidence{
		{Sample{at(t, "00:00:00"), 1000}, stated, Sample{}, 2, RuleExchange},                           // ends next to it
		{Sample{at(t, "00:20:00"), 1200}, Sample{at(t, "01:10:00"), 350}, Sample{}, 1, RuleExchange},   // holds it
		{Sample{at(t, "00:50:00"), 150}, Sample{at(t, "01:30:00"), 550}, Sample{}, 1, RuleInterpolate}, // does not
	}
	if len(hs) != len(want) {
		t.Fatalf("%d half-hours", len(hs))
	}
	for i := range want {
		if hs[i].Evidence != want[i] {
			t.Errorf("half-hour %d: %+v, want %+v", i, hs[i].Evidence, want[i])
		}
	}
	// On a boundary, the next half-hour's evidence begins with the opening reading.
	hs, _, err = a.Exchange(at(t, "02:00:00"), 850, 9, hs[:0])
	if err != nil {
		t.Fatal(err)
	}
	hs, _ = a.Add(Sample{at(t, "02:30:00"), 309}, hs)
	if len(hs) != 2 || hs[0].Cumulative != 850 || hs[1].Evidence.First != (Sample{at(t, "02:00:00"), 9}) {
		t.Errorf("%+v", hs)
	}
}
