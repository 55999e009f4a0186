package energy

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// afterReset gives the half-hours of a register whose meter was exchanged at
// some time after 00:20, and read again from 01:10 on.
func afterReset(t *testing.T) []HalfHour {
	t.Helper()
	a := NewAccumulator(Register{Measure: Import}, Period)
	var hs []HalfHour
	for _, s := range []step{
		{at: "4 23:30:00", value: 999_000}, {at: "00:00:00", value: 999_100}, {at: "00:20:00", value: 999_300},
		{at: "01:10:00", value: 110}, {at: "01:12:00", value: 130}, {at: "01:13:00", value: 140}, {at: "01:14:00", value: 150}, {at: "01:15:00", value: 160},
		{at: "01:30:00", value: 310}, {at: "02:00:00", value: 610},
	} {
		hs, _ = a.Add(Sample{at(t, s.at), s.value}, hs)
	}
	if len(hs) != 5 || hs[0].Quality != Measured || hs[1].Quality != Missing || hs[3].Quality != Missing || hs[4].Quality != Measured {
		t.Fatalf("%+v", hs)
	}
	return hs
}

// bridged has Bridge count through the one break of a window, between the
// readings in its evidence.
func bridged(r Register, window []HalfHour, xs ...MeterExchange) ([]HalfHour, error) {
	b := Break{Exchanges: xs}
	if len(window) > 2 {
		b.Last, b.First = window[1].Evidence.First, window[len(window)-2].Evidence.Last
	}
	return Bridge(r, Period, window, []Break{b})
}

func TestBridge(t *testing.T) {
	plain := Register{Measure: Import}
	rated := Register{Measure: Import, Modulus: 1_000_000, MaxPower: 2000}
	for _, c := range []struct {
		name string
		reg  Register
		at   string
		x    [2]int64
		want []hh
	}{
		{"within the gap", plain, "00:50:00", [2]int64{999_600, 10}, []hh{
			{"00:00:00", 300, 999_400, Interpolated, 2}, {"00:30:00", 250, 60, Interpolated, 0}, {"01:00:00", 250, 310, Interpolated, 0},
		}},
		{"just when the old one was last read", plain, "00:20:00", [2]int64{999_300, 10}, []hh{
			{"00:00:00", 219, 29, Estimated, 2}, {"00:30:00", 60, 89, Estimated, 0}, {"01:00:00", 221, 310, Estimated, 0}, // a millisecond after it
		}},
		{"by another clock, a period before it", plain, "4 23:50:00.001", [2]int64{999_300, 10}, []hh{
			{"00:00:00", 219, 29, Estimated, 2}, {"00:30:00", 60, 89, Estimated, 0}, {"01:00:00", 221, 310, Estimated, 0},
		}},
		{"by another clock, a period after the new one was first read", plain, "01:39:59.999", [2]int64{999_800, 110}, []hh{
			{"00:00:00", 300, 999_400, Estimated, 2}, {"00:30:00", 300, 999_700, Estimated, 0}, {"01:00:00", 300, 310, Estimated, 0},
		}},
		{"just when the new one was first read", plain, "01:10:00", [2]int64{999_800, 110}, []hh{
			{"00:00:00", 300, 999_400, Estimated, 2}, {"00:30:00", 300, 999_700, Estimated, 0}, {"01:00:00", 300, 310, Estimated, 0},
		}},
		{"on a boundary", plain, "00:30:00", [2]int64{999_400, 10}, []hh{
			{"00:00:00", 300, 999_400, Interpolated, 2}, {"00:30:00", 75, 85, Estimated, 0}, {"01:00:00", 225, 310, Estimated, 0},
		}},
		{"the old meter wrapped", rated, "00:50:00", [2]int64{200, 10}, []hh{
			{"00:00:00", 500, 999_600, Interpolated, 2}, {"00:30:00", 650, 60, Interpolated, 0}, {"01:00:00", 250, 310, Interpolated, 0},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			window := afterReset(t)
			got, err := bridged(c.reg, window, MeterExchange{at(t, c.at), c.x[0], c.x[1]})
			if err != nil {
				t.Fatal(err)
			}
			checkSettled(t, c.name, got, c.want)
			for i, h := range got {
				e := Evidence{Sample{at(t, "00:20:00"), 999_300}, Sample{at(t, "01:10:00"), 110}, window[i+1].Evidence.Start, window[i+1].Evidence.Samples, RuleExchange}
				if h.Evidence != e || !h.TakenAt.Equal(window[i+1].TakenAt) {
					t.Errorf("evidence %+v", h.Evidence)
				}
			}
		})
	}
}

// What was substituted meanwhile is bridged as what is missing.
func TestBridgeSubstitutes(t *testing.T) {
	reg := Register{Measure: Import}
	x := MeterExchange{at(t, "00:50:00"), 999_600, 10}
	want, err := bridged(reg, afterReset(t), x)
	if err != nil {
		t.Fatal(err)
	}
	for _, rules := range [][3]Rule{{RuleLinear, RuleNone, RuleProfile}, {RuleCheckMeter, RuleProfile, RuleCheckMeter}} {
		window := afterReset(t)
		for i, r := range rules {
			h := &window[i+1]
			if h.Evidence.Rule = r; r != RuleNone {
				h.Quality, h.Energy = Substituted, 77
			}
			if r == RuleCheckMeter {
				h.Evidence.First, h.Evidence.Last = Sample{h.Start, 1}, Sample{h.Start.Add(Period), 2}
			}
		}
		got, err := Bridge(reg, Period, window, []Break{{Sample{at(t, "00:20:00"), 999_300}, Sample{at(t, "01:10:00"), 110}, []MeterExchange{x}}})
		if err != nil || len(got) != len(want) {
			t.Fatalf("%v: %v", rules, err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%v: %+v, want %+v", rules, got[i], want[i])
			}
		}
	}
	// A reading on the boundary itself needs no time to get there.
	window := afterReset(t)
	for i := 1; i <= 3; i++ {
		window[i].Evidence.First = Sample{window[1].Start, 999_100}
		window[i].Evidence.Last = Sample{window[4].Start, 310}
	}
	got, err := bridged(reg, window, MeterExchange{at(t, "00:30:00"), 999_300, 10})
	if err != nil {
		t.Fatal(err)
	}
	checkSettled(t, "on the boundaries", got, []hh{
		{"00:00:00", 200, 999_300, Interpolated, 2}, {"00:30:00", 150, 160, Estimated, 0}, {"01:00:00", 150, 310, Estimated, 0},
	})
}

// An exchange that is stated afterwards gives what one that is stated in time
// gives in all, half-hour by half-hour where the same readings are known.
func TestBridgeConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reg := Register{Measure: Import}
		now := time.Date(2024, 2, 5, 10, 0, 0, 0, time.UTC)
		old, total := rapid.Int64Range(1_000_000, 2_000_000).Draw(t, "old"), int64(0)
		late := NewAccumulator(reg, Period)
		intime := NewAccumulator(reg, Period)
		var x, y []HalfHour
		step := func(most int) int64 {
			now = now.Add(time.Duration(rapid.Int64Range(1, 50*60).Draw(t, "gap")) * time.Second)
			adv := rapid.Int64Range(0, int64(most)).Draw(t, "advance")
			total += adv
			return adv
		}
		both := func(v int64) {
			x, _ = late.Add(Sample{now, v}, x)
			y, _ = intime.Add(Sample{now, v}, y)
		}
		both(old)
		for range rapid.IntRange(2, 6).Draw(t, "before") {
			old += step(500)
			both(old)
		}
		closing, value := old+step(500), rapid.Int64Range(1, 1000).Draw(t, "opening")
		ex := MeterExchange{now, closing, value}
		y, _, err := intime.Exchange(ex.At, closing, value, y)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(10, 20).Draw(t, "after") {
			value += step(500)
			both(value)
		}
		// The window: the known half-hours around the missing ones.
		first, last := -1, -1
		for i, h := range x {
			if h.Quality == Missing {
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		if first < 1 || last+1 >= len(x) {
			t.Skip("nothing to bridge")
		}
		got, err := bridged(reg, x[first-1:last+2], ex)
		if err != nil {
			t.Fatal(err)
		}
		copy(x[first:], got)
		// Both count the same: their sums differ by what their boundaries do.
		sum := [2]int64{}
		for i := range min(len(x), len(y)) {
			if !x[i].Start.Equal(y[i].Start) || x[i].Energy < 0 || x[i].Quality < Estimated || x[i].Evidence.Samples > y[i].Evidence.Samples {
				t.Fatalf("half-hour %d: %+v, in time %+v", i, x[i], y[i])
			}
			sum[0] += x[i].Energy
			sum[1] += y[i].Energy
			if (i < first || i >= last) && sum[0]-sum[1] != x[i].Cumulative-y[i].Cumulative {
				t.Fatalf("up to half-hour %d: %d, in time %d", i, sum[0], sum[1])
			}
		}
	})
}

func TestRegisterAt(t *testing.T) {
	for _, c := range [][4]int64{{0, 500, 100, 400}, {0, 100, 100, 0}, {1000, 500, 100, 400}, {1000, 100, 100, 0}, {1000, 100, 101, 999}, {1000, 5, 2010, 995}, {1000, 5, 3005, 0},
		{math.MaxInt64, 1, 0, 1}, {math.MaxInt64, 1, 2, math.MaxInt64 - 1}} {
		r := Register{Modulus: c[0]}
		if got := r.registerAt(HalfHour{Cumulative: c[1], Energy: c[2]}); got != c[3] {
			t.Errorf("%v: %d", c, got)
		}
	}
	for _, c := range [][4]int64{{1000, 5, 9, 4}, {1000, 5, 5, 0}, {1000, 990, 5, 15}, {0, 5, 9, 4}, {0, 9, 5, -4}} {
		r := Register{Modulus: c[0]}
		if got := r.ahead(c[1], c[2]); got != c[3] {
			t.Errorf("%v: %d", c, got)
		}
	}
}
