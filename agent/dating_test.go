package agent

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// timeOfDay is a machine's clock that can be wrong, and a time service that
// may keep it.
type timeOfDay struct {
	mu     sync.Mutex    // the agent looks at it while a test sets it
	off    time.Duration // added to the true time
	synced bool
}

// learn lets a time service put the clock right.
func (w *timeOfDay) learn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off, w.synced = 0, true
}

// set is somebody's deed: no time service answers for it.
func (w *timeOfDay) set(off time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off, w.synced = off, false
}

func (w *timeOfDay) read() (now time.Time, synced bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.off), w.synced
}

func (w *timeOfDay) clock() *clock.Clock {
	return clock.New(clock.Options{
		Wall: func() time.Time { now, _ := w.read(); return now },
		Mono: func() time.Duration { return time.Since(epoch) },
		Sync: func() clock.Sync {
			_, synced := w.read()
			return clock.Sync{Synchronised: synced, Board: true, Boot: "one"}
		},
		Logger: quietLog,
	})
}

// dated is a fake bus whose readings are dated by the agent, as a driver's are.
func dated(f *fakeBus) map[string]Factory {
	return map[string]Factory{"fake": func(_ config.Bus, _ []config.Meter, now func() time.Time, _ *slog.Logger) (drivers.Poller, error) {
		f.now = now
		return f, nil
	}}
}

// trueTime makes a register go by the true time whatever its readings are dated.
func trueTime(curve func(time.Time) (int64, error)) func(time.Time) (int64, error) {
	return func(time.Time) (int64, error) { return curve(time.Now()) }
}

func newDated(t *testing.T, f *fakeBus, c *config.Config, s Store, k *clock.Clock) *Agent {
	t.Helper()
	a, err := New(Options{Config: c, Store: s, Drivers: dated(f), Clock: k, Now: time.Now, Logger: quietLog, Flush: 10 * time.Minute, Version: "test"})
	check(t, err)
	return a
}

// A board without a battery clock boots a year ago and learns the time after
// 40 minutes: what was read before is dated as it should have been.
func TestClockLearntLate(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour) // there is a year to be wrong by
		from := time.Now()
		w := &timeOfDay{off: -365 * 24 * time.Hour}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		if a.Status().Clock.Trusted {
			t.Fatal("trusted at once")
		}
		time.AfterFunc(40*time.Minute+7*time.Second, func() {
			if n := len(all(t, s, key("a"))); n != 0 {
				t.Errorf("%d half-hours while nobody knows the time", n)
			}
			w.learn()
		})
		check(t, runFor(a, 3*time.Hour+time.Minute))
		hs := all(t, s, key("a"))
		q := conserved(t, key("a"), hs, curve(1000), interpolating)
		if len(hs) != 6 || q[energy.Measured] != 6 || !hs[0].Start.Equal(from) {
			t.Errorf("%d half-hours from %v: %v", len(hs), hs[0].Start, q)
		}
		check(t, s.Close())
	})
}

// The power fails before the time was known: nothing was dated, and nothing is
// lost but the detail.
func TestClockNeverLearnt(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		right := &timeOfDay{synced: true}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		check(t, runFor(newDated(t, f, site(f, time.Minute), s, right.clock()), 2*time.Hour+time.Minute))
		wrong := &timeOfDay{off: -90 * 24 * time.Hour}
		check(t, runFor(newDated(t, f, site(f, time.Minute), s, wrong.clock()), 2*time.Hour))
		check(t, runFor(newDated(t, f, site(f, time.Minute), s, right.clock()), 2*time.Hour))
		hs := all(t, s, key("a"))
		q := conserved(t, key("a"), hs, curve(1000), interpolating)
		if len(hs) != 12 || q[energy.Estimated] < 4 || q[energy.Measured] < 6 {
			t.Errorf("%d half-hours: %v", len(hs), q)
		}
		check(t, s.Close())
	})
}

// A clock that ran a day ahead, and was believed, is put right: what was dated
// in the future is withdrawn, and the series goes on at once.
func TestClockSetBackADay(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		w := &timeOfDay{off: 24 * time.Hour, synced: true}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		var back time.Time
		time.AfterFunc(5*time.Hour+20*time.Second, func() { w.learn(); back = time.Now() })
		check(t, runFor(a, 10*time.Hour+time.Minute))
		good := 0
		for _, h := range all(t, s, key("a")) {
			switch {
			case h.Quality == energy.Missing:
			case h.Start.Before(back.Truncate(time.Minute)): // the reading before it is dated as it should have been
				t.Errorf("%v: %v", h.Start, h.Quality)
			default:
				good++
				want, _ := curve(1000)(h.Start.Add(energy.Period))
				if off := h.Cumulative - want; off < -interpolating || off > interpolating {
					t.Errorf("%v: register %d, the truth is %d", h.Start, h.Cumulative, want)
				}
			}
		}
		if good < 9 {
			t.Errorf("%d half-hours after the clock was put right, want 9", good)
		}
		said := statements(t, s)
		if last := said[len(said)-1]; last.Kind != energy.ClockStatement {
			t.Errorf("the last statement is %q", last.Kind)
		}
		found := 0
		for x, err := range s.Findings(epoch, epoch.AddDate(9, 0, 0)) {
			check(t, err)
			if x.Rule == 12 || x.Rule == 11 {
				found++
			}
		}
		if found < 2 {
			t.Errorf("%d findings about the clock", found)
		}
		check(t, s.Close())
	})
}

// While the clock is not to be believed no raw sample is kept either: its time
// would be a wrong one for ever.
func TestNoSampleOfAWrongClock(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		from := time.Now()
		w := &timeOfDay{off: -365 * 24 * time.Hour}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		a := newDated(t, f, site(f, 15*time.Minute), s, w.clock())
		a.opt.Flush = time.Minute
		time.AfterFunc(50*time.Minute, func() { w.learn() })
		check(t, runFor(a, 3*time.Hour))
		n := 0
		for x, err := range s.Samples(key("a"), epoch, epoch.AddDate(9, 0, 0)) {
			check(t, err)
			if n++; x.At.Before(from) {
				t.Errorf("a sample of %v is kept", x.At)
			}
		}
		if n == 0 {
			t.Error("no sample is kept at all")
		}
		check(t, s.Close())
	})
}

// A feed's marks do not move while the clock is not to be believed: what was
// delivered then was not taken.
func TestNothingSettlesByAWrongClock(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		w := &timeOfDay{off: -90 * 24 * time.Hour}
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		if err := (keeper{a}).Settle(); err == nil {
			t.Error("settled by a clock that is not to be trusted")
		}
		time.AfterFunc(10*time.Minute, func() { w.learn() })
		time.AfterFunc(20*time.Minute, func() {
			if err := (keeper{a}).Settle(); err != nil {
				t.Error(err)
			}
		})
		check(t, runFor(a, 30*time.Minute))
		check(t, s.Close())
	})
}

// While the wire is out a clock is put right that was three hours ahead; the next
// reading comes shortly after the time that the last one was dated. What was
// counted in the outage is spread over it, not over those minutes.
func TestClockSetBackInAnOutage(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		from := time.Now()
		w := &timeOfDay{off: 3 * time.Hour, synced: true}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		time.AfterFunc(5*time.Hour+20*time.Second, func() { f.down.Store(true) })
		time.AfterFunc(5*time.Hour+5*time.Minute, func() { w.learn() })
		time.AfterFunc(8*time.Hour+10*time.Minute, func() { f.down.Store(false) })
		check(t, runFor(a, 12*time.Hour+time.Minute))
		good := 0
		for _, h := range all(t, s, key("a")) {
			truth := truthOf(curve(1000), h.Start)
			switch at := h.Start.Sub(from); {
			case h.Quality == energy.Missing || at < 5*time.Hour:
			case at < 8*time.Hour+energy.Period:
				if h.Quality != energy.Estimated || !h.Flags.Has(11) || h.Energy > truth*5/4 {
					t.Errorf("%v: %d Wh %v, flags %v; %d flowed", h.Start, h.Energy, h.Quality, h.Flags, truth)
				}
			default:
				if good++; h.Quality != energy.Measured || h.Energy < truth-interpolating || h.Energy > truth+interpolating {
					t.Errorf("%v: %d Wh %v, %d flowed", h.Start, h.Energy, h.Quality, truth)
				}
			}
		}
		if good != 7 {
			t.Errorf("%d half-hours after the outage, want 7", good)
		}
		// The half-hours before the outage lie three hours late: V11 says of which time that may be so.
		said := ""
		for x, err := range s.Findings(epoch, epoch.AddDate(9, 0, 0)) {
			check(t, err)
			if x.Rule == 11 {
				said += string(x.Body)
			}
		}
		if first := `"from":"` + from.Add(3*time.Hour).UTC().Format(time.RFC3339) + `"`; strings.Count(said, `"rule"`) != 1 || !strings.Contains(said, first) {
			t.Errorf("V11 says %s", said)
		}
		check(t, s.Close())
	})
}

// Somebody sets the clock back by 20 minutes while no time service answers. What
// is read until that is believed goes on from the last reading before it.
func TestClockSetBackByHand(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		w := &timeOfDay{off: 20 * time.Minute, synced: true}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		from := time.Now()
		time.AfterFunc(5*time.Hour+3*time.Minute+20*time.Second, func() { w.set(0) })
		check(t, runFor(a, 9*time.Hour+time.Minute))
		for _, h := range all(t, s, key("a")) {
			truth := truthOf(curve(1000), h.Start)
			switch at := h.Start.Sub(from); {
			case h.Quality == energy.Missing || at < 5*time.Hour:
			case h.Energy < truth-interpolating || h.Energy > truth+interpolating:
				t.Errorf("%v: %d Wh %v flags %v, %d flowed", h.Start, h.Energy, h.Quality, h.Flags, truth)
			}
		}
		check(t, s.Close())
	})
}

// truthOf is what flows in a half-hour.
func truthOf(c func(time.Time) (int64, error), start time.Time) int64 {
	before, _ := c(start)
	after, _ := c(start.Add(energy.Period))
	return after - before
}

// A clock that is not to be believed cannot say which half-hours of a file are over.
func TestNoImportByAWrongClock(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		from := time.Now().UTC().Truncate(24 * time.Hour)
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		w := &timeOfDay{off: -90 * 24 * time.Hour}
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		request := ImportRequest{File: "f.csv", Meter: "a", Data: []byte("id,measure,start,kWh,quality\nx,import," + from.Add(-24*time.Hour).Format(time.RFC3339) + ",1,measured\n")}
		if rep, err := a.Import(request); err == nil {
			t.Errorf("taken by a clock that is not to be trusted: %+v", rep)
		}
		time.AfterFunc(10*time.Minute, func() { w.learn() })
		time.AfterFunc(20*time.Minute, func() {
			if rep, err := a.Import(request); err != nil || rep.Series[0].Taken != 1 {
				t.Errorf("%+v, %v", rep, err)
			}
		})
		check(t, runFor(a, 30*time.Minute))
		check(t, s.Close())
	})
}
