package energy

import (
	"testing"
	"time"
)

func TestClockBack(t *testing.T) {
	reg := Register{Measure: Import, Modulus: 1_000_000}
	start := func() *Accumulator {
		a := NewAccumulator(reg, Period)
		tell(t, a, []step{{"10:00:00", 1000, Opened, nil}, {"12:10:00", 1300, Nothing, []hh{
			{"10:00:00", 69, 1069, Estimated, 1}, {"10:30:00", 69, 1138, Estimated, 0}, {"11:00:00", 69, 1207, Estimated, 0}, {"11:30:00", 69, 1276, Estimated, 0},
		}}})
		return a
	}
	a := start()
	got, e := a.ClockBack(Sample{at(t, "10:40:00"), 1310}, nil)
	if e != (Event{ClockBack, at(t, "10:40:00"), 1300, 1310, at(t, "12:10:00")}) {
		t.Errorf("%+v", e)
	}
	checkSettled(t, "back", got, []hh{{"10:30:00", 0, -1, Missing, 0}, {"11:00:00", 0, -1, Missing, 0}, {"11:30:00", 0, -1, Missing, 0}})
	for _, h := range got {
		if !h.TakenAt.After(h.Start.Add(Period)) {
			t.Errorf("taken at %v", h.TakenAt)
		}
	}
	tell(t, a, []step{{"11:00:00", 1320, Nothing, nil}, {"11:30:00", 1330, Nothing, []hh{{"11:00:00", 10, 1330, Measured, 1}}}})

	// On a boundary it opens there; a 0 has to last.
	a = start()
	got, _ = a.ClockBack(Sample{at(t, "11:30:00"), 1310}, nil)
	checkSettled(t, "boundary", got, []hh{{"11:30:00", 0, -1, Missing, 0}})
	tell(t, a, []step{{"12:00:00", 1320, Nothing, []hh{{"11:30:00", 10, 1320, Measured, 1}}}})
	a = start()
	got, e = a.ClockBack(Sample{at(t, "12:10:00"), 0}, nil)
	if e.Kind != ClockBack || len(got) != 0 {
		t.Errorf("%+v, %d half-hours", e, len(got))
	}
	if first, _, n := a.Held(); n != 1 || first != (Sample{at(t, "12:10:00"), 0}) {
		t.Errorf("held %d from %+v", n, first)
	}
	tell(t, a, []step{{"12:15:00", 0, Nothing, nil}, {"12:20:00", 1330, Opened, nil}})

	// What is no step back is taken as any sample; what cannot be is not taken.
	a = start()
	if got, e = a.ClockBack(Sample{at(t, "12:10:01"), 1301}, nil); e.Kind != Nothing || len(got) != 0 {
		t.Errorf("%+v", e)
	}
	if _, e = a.ClockBack(Sample{at(t, "11:00:00"), 1_000_000}, nil); e.Kind != Glitch {
		t.Errorf("%+v", e)
	}
	if _, e = a.ClockBack(Sample{time.Time{}, 5}, nil); e.Kind != OutOfOrder {
		t.Errorf("%+v", e)
	}
	if base, _ := a.Base(); base != (Sample{at(t, "12:10:01"), 1301}) {
		t.Errorf("base %+v", base)
	}
	fresh := NewAccumulator(reg, Period)
	if _, e = fresh.ClockBack(Sample{at(t, "11:00:00"), 5}, nil); e.Kind != Opened {
		t.Errorf("%+v", e)
	}
	if _, e = fresh.ClockBack(Sample{time.Time{}, 5}, nil); e.Kind != OutOfOrder {
		t.Errorf("%+v", e)
	}

	// A clock that was decades ahead: no more than what is kept is withdrawn.
	a = NewAccumulator(Register{Measure: Import}, Period)
	a.Add(Sample{time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), 5}, nil)
	got, _ = a.ClockBack(Sample{at(t, "00:10:00"), 5}, nil)
	if len(got) != 19200 || !got[19199].Start.Equal(time.Date(2098, 12, 31, 23, 30, 0, 0, time.UTC)) {
		t.Errorf("%d half-hours", len(got))
	}
}
