package agent

import (
	"math"
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
