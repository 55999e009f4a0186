package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// A meter is silent for longer than its operator waits for late values; its
// half-hours are filled from a check meter. Then another meter answers in its
// place, so that what it would have stated of them is missing. The store keeps
// the substitutes, and the sum must be made of what the store keeps.
// (Simulation, seed 50307.)
func TestVirtualIsMadeOfWhatTheStoreKeeps(t *testing.T) {
	t.Run("whole", func(t *testing.T) { virtualOfSubstitutes(t, func(*faulty) {}) })
	// What was filled while the store could not be written waits, and goes with
	// the virtual meters that were made of it.
	t.Run("store fails at night", func(t *testing.T) {
		virtualOfSubstitutes(t, func(s *faulty) {
			for day := range 6 {
				time.AfterFunc(time.Duration(day)*24*time.Hour+45*time.Minute, func() { s.fail.Store(&errCut) })
				time.AfterFunc(time.Duration(day)*24*time.Hour+5*time.Hour, func() { s.fail.Store(nil) })
			}
		})
	})
}

func virtualOfSubstitutes(t *testing.T, harm func(*faulty)) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		steady := func(offset int64) func(time.Time) (int64, error) {
			return func(t time.Time) (int64, error) { return offset + int64(t.Sub(epoch)/time.Second), nil }
		}
		silent, back := epoch.Add(50*time.Hour), epoch.Add(110*time.Hour)
		f := newFake(registers{func(at time.Time) (int64, error) {
			switch {
			case at.Before(silent):
				return steady(1_000_000)(at)
			case at.Before(back):
				return failing(at)
			}
			return steady(50)(at) // another meter, and nobody says when or at what
		}}, registers{steady(7)})
		s := openFaulty(t, path)
		harm(s)
		c := site(f, time.Minute)
		c.Meters[0].CheckMeter, c.Meters[0].Substitute, c.Meters[0].SubstituteAfter = "b", []string{"check-meter"}, 24*time.Hour
		c.Meters = append(c.Meters, config.Meter{ID: "both", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Sum: []string{"a", "b"}}})
		check(t, runFor(newAgent(t, f, c, s), 6*24*time.Hour))
		a, b, both := halfHours(t, s, key("a")), halfHours(t, s, key("b")), halfHours(t, s, key("both"))
		if len(both) != len(a) || len(both) != len(b) {
			t.Fatalf("%d half-hours of %d and %d", len(both), len(a), len(b))
		}
		filled := 0
		for i, h := range both {
			if a[i].Quality == energy.Substituted {
				filled++
			}
			if h.Quality != a[i].Quality || h.Energy != max(a[i].Energy, 0)+b[i].Energy && h.Quality != energy.Missing {
				t.Errorf("%v: %d Wh %v, of %d Wh %v and %d Wh", h.Start, h.Energy, h.Quality, a[i].Energy, a[i].Quality, b[i].Energy)
			}
		}
		if filled < 20 {
			t.Errorf("%d half-hours are substituted", filled)
		}
		check(t, s.Close())
	})
}
