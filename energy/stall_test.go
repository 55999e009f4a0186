package energy

import (
	"testing"
	"time"
)

// frozen is told to a register of 10 kW that shows 51,000 from 00:10 to 00:55.
func frozen(after ...step) []step {
	return append([]step{
		{"00:00:00", 50_000, Opened, nil},
		{"00:10:00", 51_000, Nothing, nil},
		{"00:25:00", 51_000, Nothing, nil},
		{"00:40:00", 51_000, Nothing, []hh{{"00:00:00", 1000, 51_000, Interpolated, 3}}},
		{"00:55:00", 51_000, Nothing, nil},
	}, after...)
}

// settles is what follows a leap to v at 01:00 until it is clear.
func settles(v int64, last step) []step {
	return []step{
		{"01:00:00", v, TooFast, nil},
		{"01:01:00", v, Nothing, nil},
		{"01:02:00", v, Nothing, nil},
		{"01:03:00", v, Nothing, nil},
		last,
	}
}

// A register that is frozen and then catches up all at once. (Found by the
// simulation: it was taken for another register, and the energy for unknown.)
func TestFrozen(t *testing.T) {
	rated := Register{Measure: Import, MaxPower: 10_000}
	for _, c := range []struct {
		name  string
		reg   Register
		steps []step
	}{
		{"and catches up", rated, frozen(settles(58_000, step{"01:04:00", 58_010, CaughtUp, []hh{
			{"00:00:00", 3800, 53_800, Estimated, 2}, {"00:30:00", 4200, 58_000, Estimated, 0},
		}})...)},
		{"and goes on from there", rated, append(frozen(settles(58_000, step{"01:04:00", 58_010, CaughtUp, []hh{
			{"00:00:00", 3800, 53_800, Estimated, 2}, {"00:30:00", 4200, 58_000, Estimated, 0},
		}})...), step{"01:30:00", 59_000, Nothing, []hh{{"01:00:00", 1000, 59_000, Measured, 2}}})},
		{"and catches up as fast as can be", rated, frozen(settles(64_333, step{"01:04:00", 64_333, CaughtUp, []hh{ // 80 min
			{"00:00:00", 6333, 56_333, Estimated, 2}, {"00:30:00", 8000, 64_333, Estimated, 0},
		}})...)},
		{"and leaps further than can be", rated, frozen(settles(64_334, step{"01:04:00", 64_334, Reset, []hh{
			{"00:30:00", 0, -1, Missing, 2},
		}})...)},
		{"and leaps no further than since it was read last", rated, frozen(step{"01:00:00", 56_833, Nothing, []hh{{"00:30:00", 5833, 56_833, Interpolated, 2}}})},
		{"and falls", rated, frozen([]step{
			{"01:00:00", 7000, Nothing, nil}, {"01:01:00", 7000, Nothing, nil}, {"01:02:00", 7000, Nothing, nil}, {"01:03:00", 7000, Nothing, nil},
			{"01:04:00", 7000, Reset, []hh{{"00:30:00", 0, -1, Missing, 2}}},
		}...)},
		{"and a leap that comes back, and then it catches up", rated, frozen([]step{
			{"01:00:00", 58_000, TooFast, nil},
			{"01:01:00", 51_000, Glitch, []hh{{"00:30:00", 0, 51_000, Interpolated, 2}}},
			{"01:02:00", 58_000, TooFast, nil}, {"01:03:00", 58_000, Nothing, nil}, {"01:04:00", 58_000, Nothing, nil}, {"01:05:00", 58_000, Nothing, nil},
			{"01:06:00", 58_000, CaughtUp, []hh{{"00:00:00", 3692, 53_692, Estimated, 2}, {"00:30:00", 4038, 57_730, Estimated, 0}}},
		}...)},
		{"not: it moved", rated, []step{
			{"00:00:00", 50_000, Opened, nil},
			{"00:10:00", 51_000, Nothing, nil},
			{"00:55:00", 51_001, Nothing, []hh{{"00:00:00", 1000, 51_000, Estimated, 2}}},
			{"01:00:00", 58_001, TooFast, nil}, {"01:01:00", 58_001, Nothing, nil}, {"01:02:00", 58_001, Nothing, nil}, {"01:03:00", 58_001, Nothing, nil},
			{"01:04:00", 58_001, Reset, []hh{{"00:30:00", 0, -1, Missing, 1}}},
		}},
		{"within a half-hour", Register{Measure: Import, MaxPower: 1000}, []step{
			{"00:00:00", 50_000, Opened, nil},
			{"00:01:00", 50_010, Nothing, nil}, {"00:02:00", 50_010, Nothing, nil}, {"00:21:00", 50_010, Nothing, nil},
			{"00:22:00", 50_600, TooFast, nil}, {"00:23:00", 50_600, Nothing, nil}, {"00:24:00", 50_600, Nothing, nil}, {"00:25:00", 50_600, Nothing, nil},
			{"00:26:00", 50_600, CaughtUp, nil},
			{"00:30:00", 50_610, Nothing, []hh{{"00:00:00", 610, 50_610, Measured, 4}}},
		}},
		{"for an outage and a while after it", rated, []step{
			{"00:00:00", 50_000, Opened, nil},
			{"02:00:00", 50_000, Nothing, []hh{
				{"00:00:00", 0, 50_000, Estimated, 1}, {"00:30:00", 0, 50_000, Estimated, 0}, {"01:00:00", 0, 50_000, Estimated, 0}, {"01:30:00", 0, 50_000, Estimated, 0},
			}},
			{"02:01:00", 60_000, TooFast, nil}, {"02:02:00", 60_000, Nothing, nil}, {"02:03:00", 60_000, Nothing, nil}, {"02:04:00", 60_000, Nothing, nil},
			{"02:05:00", 60_000, CaughtUp, []hh{
				{"00:00:00", 2479, 52_479, Estimated, 1}, {"00:30:00", 2479, 54_958, Estimated, 0}, {"01:00:00", 2480, 57_438, Estimated, 0}, {"01:30:00", 2479, 59_917, Estimated, 0},
			}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { tell(t, NewAccumulator(c.reg, Period), c.steps) })
	}
}

// What was idle for more than a day was not frozen, unless it was since an
// outage.
func TestFrozenForADay(t *testing.T) {
	idle := func(last time.Duration) (*Accumulator, time.Time) {
		a := NewAccumulator(Register{Measure: Import, MaxPower: 10_000}, Period)
		now := at(t, "00:00:00")
		for range 49 { // the first is the opening
			a.Add(Sample{now, 50_000}, nil)
			now = now.Add(Period)
		}
		now = now.Add(last - Period)
		if last > 0 {
			a.Add(Sample{now, 50_000}, nil)
		}
		return a, now
	}
	leap := func(a *Accumulator, now time.Time) (e Event) {
		for i := range 5 {
			b, err := RestoreAccumulator(a.reg, Period, a.State(nil))
			if err != nil || *b != *a {
				t.Fatalf("restored %+v, %v; want %+v", b, err, a)
			}
			_, e = a.Add(Sample{now.Add(time.Duration(i+1) * time.Minute), 60_000}, nil)
		}
		return e
	}
	a, now := idle(0)
	if e := leap(a, now); e != (Event{CaughtUp, now.Add(time.Minute), 50_000, 60_000, at(t, "00:00:00")}) {
		t.Errorf("after a day: %+v", e)
	}
	a, now = idle(1)
	if e := leap(a, now); e.Kind != Reset {
		t.Errorf("after more than a day: %+v", e)
	}
	a, now = idle(time.Second)
	a.Add(Sample{now.Add(Period), 50_000}, nil)
	if e := leap(a, now.Add(Period)); e.Kind != Reset {
		t.Errorf("a period is no outage: %+v", e)
	}
	a, now = idle(time.Second)
	since := now
	now = now.Add(Period + 1)
	a.Add(Sample{now, 50_000}, nil)
	if e := leap(a, now); e.Kind != CaughtUp || !e.BeforeAt.Equal(since) {
		t.Errorf("after an outage: %+v", e)
	}
	// Another outage, while it can be frozen yet, is part of it.
	a, now = idle(time.Second)
	a.Add(Sample{now.Add(Period + 1), 50_000}, nil)
	a.Add(Sample{now.Add(3 * Period), 50_000}, nil)
	if e := leap(a, now.Add(3*Period)); e.Kind != CaughtUp || !e.BeforeAt.Equal(since) {
		t.Errorf("after two outages: %+v", e)
	}
	// Another meter is not the one that was frozen; nor does a ceiling that is
	// not known say anything.
	a, now = idle(0)
	a.Break()
	if a.stall != (stall{}) {
		t.Errorf("%+v", a.stall)
	}
	a = NewAccumulator(Register{Measure: Import}, Period)
	a.Add(Sample{now, 5}, nil)
	a.Add(Sample{now.Add(time.Minute), 5}, nil)
	if a.stall != (stall{}) {
		t.Errorf("%+v", a.stall)
	}
}
