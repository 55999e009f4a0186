package agent

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// dater is a device that speaks every 10 seconds and dates what it says; late is
// how long the nth message takes.
type dater struct {
	off  time.Duration
	late func(n int) time.Duration
}

func (d dater) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	for n := 0; ; n++ {
		read := time.Now()
		v, _ := curve(1000)(read)
		at := read.Add(d.off).UTC()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(d.late(n)):
		}
		deliver(0, []drivers.Reading{{Sample: energy.Sample{At: at, Value: v}, DeviceAt: at}})
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10*time.Second - d.late(n)):
		}
	}
}

func (dater) Health() error { return nil }

// A device whose own clock is behind dates its readings wrongly: they are
// dated as ours would have, and the half-hours lie where they belong. One that is
// right is believed however late its messages come.
func TestDeviceWithAWrongClock(t *testing.T) {
	soon := func(int) time.Duration { return 100 * time.Millisecond }
	for name, c := range map[string]struct {
		device dater
		found  bool
	}{
		"right":           {dater{0, soon}, false},
		"a little behind": {dater{-15 * time.Second, soon}, false},
		"behind":          {dater{-10 * time.Minute, soon}, true},
		"far behind":      {dater{-40 * time.Minute, soon}, true},
		"hours behind":    {dater{-5 * time.Hour, soon}, true},
		"right, and its messages come late": {dater{0, func(n int) time.Duration {
			if n%3 == 0 {
				return 100 * time.Millisecond
			}
			return 9 * time.Second
		}}, false},
	} {
		path := storePath(t)
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(24 * time.Hour)
			from := time.Now()
			s := openFaulty(t, path)
			conf := site(newFake(registers{curve(0)}), time.Minute)
			conf.Buses[0].Driver = "feed"
			a, err := New(Options{Config: conf, Store: s, Logger: quietLog, Listeners: map[string]ListenerFactory{
				"feed": func(config.Bus, []config.Meter, func() time.Time, Keeper, *slog.Logger) (drivers.Listener, error) {
					return c.device, nil
				},
			}})
			check(t, err)
			check(t, runFor(a, 3*time.Hour+time.Minute))
			good := 0
			for _, h := range halfHours(t, s, key("a")) {
				if h.Start.Before(from.Add(energy.Period)) {
					continue // the first readings came before anything was known of its clock
				}
				good++
				truth, near := truthOf(curve(1000), h.Start), int64(10)
				if name == "a little behind" {
					near = 30 // 15 s of 5 kW
				}
				if off := h.Energy - truth; off < -near || off > near || h.Quality != energy.Measured || h.Flags.Has(11) != c.found {
					t.Errorf("%s: %v: %d Wh %v flags %v, %d flowed", name, h.Start, h.Energy, h.Quality, h.Flags, truth)
				}
			}
			if good != 5 {
				t.Errorf("%s: %d half-hours", name, good)
			}
			check(t, s.Close())
		})
	}
}
