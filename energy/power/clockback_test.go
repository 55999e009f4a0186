package power

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestClockBack(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration, w int64) energy.Sample { return energy.Sample{At: noon.Add(d), Value: w} }
	begun := func() *Integrator {
		g := New(energy.Register{Measure: energy.Import}, 0, 0)
		for m := 0; m <= 125; m += 5 { // to 14:05
			g.Add(at(time.Duration(m)*time.Minute, 6000), nil)
		}
		return g
	}
	for _, c := range []struct {
		name string
		s    energy.Sample
		kind energy.EventKind
		want int // half-hours taken back
	}{
		{"into the half-hour in progress", at(2*time.Hour+time.Minute, 6000), energy.ClockBack, 0},
		{"to its start", at(2*time.Hour, 6000), energy.ClockBack, 0},
		{"into the one before", at(2*time.Hour-time.Microsecond, 6000), energy.ClockBack, 1},
		{"an hour and more", at(50*time.Minute, 6000), energy.ClockBack, 3},
		{"the same instant", at(125*time.Minute, 6000), energy.ClockBack, 0},
		{"not back at all", at(126*time.Minute, 6000), energy.Nothing, 0},
		{"a power that cannot be", at(50*time.Minute, maxWatts+1), energy.Glitch, 0},
		{"one beyond, the other way", at(50*time.Minute, -maxWatts-1), energy.Glitch, 0},
		{"the largest that can", at(50*time.Minute, maxWatts), energy.ClockBack, 3},
		{"and the other way", at(50*time.Minute, -maxWatts), energy.ClockBack, 3},
		{"a time that cannot be", energy.Sample{At: time.Unix(0, 0)}, energy.OutOfOrder, 0},
	} {
		g := begun()
		got, e := g.ClockBack(c.s, nil)
		if e.Kind != c.kind || len(got) != c.want {
			t.Errorf("%s: %v, %d half-hours; want %v, %d", c.name, e.Kind, len(got), c.kind, c.want)
		}
		for i, h := range got {
			if h.Quality != energy.Missing || h.Cumulative != -1 || !h.Start.Equal(c.s.At.Truncate(energy.Period).Add(time.Duration(i)*energy.Period)) || !h.TakenAt.After(h.Start.Add(energy.Period)) {
				t.Errorf("%s: %+v", c.name, h)
			}
		}
		if c.kind != energy.ClockBack {
			continue
		}
		// It goes on from there at once.
		var hh []energy.HalfHour
		for m := time.Duration(5); m <= 70; m += 5 {
			var e energy.Event
			if hh, e = g.Add(energy.Sample{At: c.s.At.Add(m * time.Minute), Value: 6000}, hh); e.Kind != energy.Nothing {
				t.Errorf("%s: afterwards %v", c.name, e.Kind)
			}
		}
		if len(hh) == 0 || hh[0].Energy != 3000 {
			t.Errorf("%s: afterwards %+v", c.name, hh)
		}
	}
	g := New(energy.Register{Measure: energy.Import}, 0, 0)
	if _, e := g.ClockBack(at(0, 1), nil); e.Kind != energy.Opened {
		t.Errorf("before the first reading: %v", e.Kind)
	}
}
