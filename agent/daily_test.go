package agent

import (
	"math"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Nothing is put in place that the meter cannot have delivered, also where only
// its power is known. (Found by the simulation: an advance over two days that
// was given the shape of other days, with more in a half-hour than its rating.)
func TestMostThatIsFilled(t *testing.T) {
	for _, c := range []struct {
		energy, power int64
		period        time.Duration
		want          int64
	}{
		{0, 0, energy.Period, 0},
		{0, 5001, energy.Period, 2500},
		{0, 5000, time.Minute, 83},
		{3000, 5000, energy.Period, 3000},
		{0, math.MaxInt64, energy.Period, math.MaxInt64 / 2},
		{0, math.MaxInt64, time.Hour, math.MaxInt64},
		{0, math.MaxInt64, 2 * time.Hour, math.MaxInt64},
		{0, math.MaxInt64, 24 * time.Hour, 0},
		{0, -1, energy.Period, 0},
	} {
		if got := most(&config.Register{MaxEnergy: c.energy, MaxPower: c.power}, c.period); got != c.want {
			t.Errorf("%d Wh, %d W in %v: %d, want %d", c.energy, c.power, c.period, got, c.want)
		}
	}
}

// A gateway that never runs for an hour on end judges its days all the same.
func TestDaysAreJudgedBetweenRestarts(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		for range 3 * 24 * 2 {
			check(t, runFor(newAgent(t, f, c, s), 30*time.Minute-time.Second))
			time.Sleep(time.Second)
		}
		judged, err := s.Meta(metaJudged)
		check(t, err)
		if want := strconv.FormatInt(epoch.Add(2*24*time.Hour).Unix(), 10); string(judged) < want {
			t.Errorf("judged up to %q, want %s or later", judged, want)
		}
		check(t, s.Close())
	})
}

// In a rehearsal a day is over in minutes, and is judged then.
func TestDaysAreJudgedInARehearsal(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		const speed = 1000
		s := openFaulty(t, path)
		f := newFake(registers{curve(1000)})
		a, err := New(Options{
			Config: site(f, 100*time.Millisecond), Store: s, Drivers: f.drivers(), Logger: quietLog, Hourly: time.Hour / speed,
			Now: func() time.Time { return epoch.Add(time.Since(epoch) * speed) },
		})
		check(t, err)
		check(t, runFor(a, 50*time.Hour/speed))
		judged, err := s.Meta(metaJudged)
		check(t, err)
		if want := strconv.FormatInt(epoch.Add(2*24*time.Hour).Unix(), 10); string(judged) != want {
			t.Errorf("after 50 hours days are judged up to %q, want %s", judged, want)
		}
		check(t, s.Close())
	})
}

// A meter that is silent over nights is no day short of half-hours: it gives them
// when it is back, and then it is said of which days most are estimated. (Walked:
// V19 as an error while it was silent, and V14 never, since the day was judged.)
func TestDaysOfALongOutageAreJudgedAfterIt(t *testing.T) {
	for name, restarts := range map[string]bool{"running": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			path := storePath(t)
			synctest.Test(t, func(t *testing.T) {
				from, to := epoch.Add(34*time.Hour), epoch.Add(4*24*time.Hour+5*time.Hour)
				f := newFake(registers{func(at time.Time) (int64, error) {
					if at.After(from) && at.Before(to) {
						return failing(at)
					}
					return curve(1000)(at)
				}})
				s := openFaulty(t, path)
				c := site(f, 10*time.Second)
				if restarts {
					check(t, runFor(newAgent(t, f, c, s), 3*24*time.Hour))
				}
				check(t, runFor(newAgent(t, f, c, s), 7*24*time.Hour))
				if got, want := foundOf(t, s, "a"), []string{"V14 warning 02 00:00", "V14 warning 03 00:00", "V14 warning 04 00:00"}; !slices.Equal(got, want) {
					t.Errorf("found %v, want %v", got, want)
				}
				check(t, s.Close())
			})
		})
	}
}

// A day that is filled by substitutes is one that was not measured.
func TestDaysThatAreFilledAreJudgedAgain(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		hole := epoch.Add(2*24*time.Hour + 5*time.Hour)
		f := newFake(registers{func(at time.Time) (int64, error) {
			switch {
			case at.Before(hole):
				return curve(9_000_000)(at)
			case at.Before(hole.Add(16 * time.Hour)):
				return failing(at)
			}
			return curve(50)(at) // exchanged, and nobody says at what
		}}, registers{curve(7)})
		s := openFaulty(t, path)
		c := site(f, time.Minute)
		c.Meters[0].CheckMeter, c.Meters[0].Substitute, c.Meters[0].SubstituteAfter = "b", []string{"check-meter"}, 2*24*time.Hour
		check(t, runFor(newAgent(t, f, c, s), 8*24*time.Hour))
		if got, want := foundOf(t, s, "a"), []string{"V03 error 03 04:59", "V14 warning 03 00:00"}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		check(t, s.Close())
	})
}
