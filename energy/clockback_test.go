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

	// Set back within the half-hour in progress: it is Missing when it is over,
	// also after a restart, and after another step.
	a = start()
	got, _ = a.ClockBack(Sample{at(t, "12:05:00"), 1310}, nil)
	checkSettled(t, "within", got, nil)
	got, _ = a.ClockBack(Sample{at(t, "12:01:00"), 1311}, nil)
	checkSettled(t, "within, again", got, nil)
	b, err := RestoreAccumulator(reg, Period, a.State(nil))
	if err != nil || *b != *a {
		t.Fatalf("restored %+v, %v; want %+v", b, err, a)
	}
	tell(t, b, []step{
		{"12:20:00", 1320, Nothing, nil},
		{"12:30:00", 1330, Nothing, []hh{{"12:00:00", 0, -1, Missing, 2}}},
		{"13:00:00", 1340, Nothing, []hh{{"12:30:00", 10, 1340, Measured, 1}}},
	})
	// It is taken back with what had ended it, and given again.
	a.ClockBack(Sample{at(t, "12:00:30"), 1311}, nil)
	tell(t, a, []step{{"12:29:00", 1320, Nothing, nil}, {"12:31:00", 1420, Nothing, []hh{{"12:00:00", 0, -1, Missing, 2}}}})
	if b, err = RestoreAccumulator(reg, Period, a.State(nil)); err != nil || *b != *a {
		t.Fatalf("restored %+v, %v; want %+v", b, err, a)
	}
	tell(t, b, []step{
		{"12:32:00", 1330, Nothing, nil}, {"12:33:00", 1330, Nothing, nil}, {"12:34:00", 1330, Nothing, nil},
		{"12:35:00", 1330, Nothing, nil}, {"12:36:00", 1330, Retracted, []hh{{"12:00:00", 0, -1, Missing, 2}}},
	})
	// Another meter hangs there before it is over.
	a = start()
	a.ClockBack(Sample{at(t, "12:05:00"), 1310}, nil)
	a.Break()
	tell(t, a, []step{{"12:40:00", 20, Exchanged, []hh{{"12:00:00", 0, -1, Missing, 1}, {"12:30:00", 0, -1, Missing, 0}}}})
	// To its very start: it is known whole.
	a = start()
	a.ClockBack(Sample{at(t, "12:00:00"), 1310}, nil)
	tell(t, a, []step{{"12:30:00", 1330, Nothing, []hh{{"12:00:00", 20, 1330, Measured, 1}}}})
	// The half-hour in which the register was opened is never given.
	a = NewAccumulator(reg, Period)
	tell(t, a, []step{{"12:10:00", 1300, Opened, nil}})
	a.ClockBack(Sample{at(t, "12:05:00"), 1310}, nil)
	tell(t, a, []step{{"12:30:00", 1330, Nothing, nil}})

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
