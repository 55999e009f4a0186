package agent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		failures int
		limit    time.Duration
		want     time.Duration
	}{
		{0, deviceLimit, 0}, {1, deviceLimit, 2 * time.Second}, {7, deviceLimit, 14 * time.Second},
		{150, deviceLimit, 5 * time.Minute}, {151, deviceLimit, 5 * time.Minute}, {1 << 30, deviceLimit, 5 * time.Minute},
		{15, wireLimit, 30 * time.Second}, {16, wireLimit, 30 * time.Second},
	} {
		if got := backoff(c.failures, c.limit); got != c.want {
			t.Errorf("%d failures: %v, want %v", c.failures, got, c.want)
		}
	}
}

func TestScheduleKeepsToTheClock(t *testing.T) {
	start := time.Date(2026, 3, 29, 0, 58, 7, 123, time.UTC)
	s := newSchedule([]time.Duration{10 * time.Second, 10 * time.Second, 15 * time.Minute}, start)
	now, asked := start, [3]int{}
	for now.Before(start.Add(24 * time.Hour)) {
		i, due := s.next()
		if due.After(now) {
			now = due
		}
		asked[i]++
		// From its second turn on a device is asked in the round at a multiple
		// of its interval: never long after a boundary.
		if off := now.Sub(now.Truncate(s.devices[i].interval)); asked[i] > 1 && off > 150*time.Millisecond {
			t.Fatalf("device %d was asked %v after a multiple of its interval", i, off)
		}
		now = now.Add(50 * time.Millisecond) // the answer
		s.asked(i, now, 0)
	}
	if asked[0] < 8640 || asked[0] > 8642 || asked[1] < 8640 || asked[1] > 8642 || asked[2] < 96 || asked[2] > 98 {
		t.Errorf("asked in a day: %v", asked)
	}
}

// A bus that has more to do than time leaves turns out, fairly.
func TestOverloadedScheduleIsFair(t *testing.T) {
	now := epoch
	s := newSchedule([]time.Duration{time.Second, time.Second, 10 * time.Second}, now)
	asked := [3]int{}
	for now.Before(epoch.Add(time.Hour)) {
		i, due := s.next()
		if due.After(now) {
			now = due
		}
		asked[i]++
		now = now.Add(900 * time.Millisecond)
		s.asked(i, now, 0)
	}
	if asked[2] < 300 || asked[0] < 1000 || asked[1] < 1000 {
		t.Errorf("asked in an hour: %v", asked)
	}
}

// One meter is dead and takes its time over it: the others are asked as often
// as ever, and it less and less.
func TestDeadMeterDoesNotStallItsNeighbours(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		dead := func(at time.Time) (int64, error) {
			if back.Load() {
				return curve(77)(at)
			}
			return failing(at)
		}
		f := newFake(registers{dead}, registers{curve(1000)}, registers{curve(9)})
		f.takes = []time.Duration{time.Second}
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		time.AfterFunc(11*time.Hour, func() { back.Store(true) })
		time.AfterFunc(10*time.Hour, func() {
			st := a.Status()
			if m := st.Meters[0]; m.State != "failing" || m.Failures < 50 || !strings.Contains(m.Error, "no answer") || st.Meters[1].State != "ok" {
				t.Errorf("%+v", m)
			}
			if !st.Healthy {
				t.Errorf("a dead meter makes the agent unhealthy: %v", st.Reasons)
			}
		})
		check(t, runFor(a, 12*time.Hour+45*time.Minute))
		if f.polls[1] < 4580 || f.polls[2] < 4580 {
			t.Errorf("the neighbours were asked %d and %d times, want 4590", f.polls[1], f.polls[2])
		}
		if tries := f.polls[0] - 6*105; tries > 260 {
			t.Errorf("the dead meter was asked %d times", f.polls[0])
		}
		if q := conserved(t, key("b"), halfHours(t, s, key("b")), curve(1000), interpolating); q[energy.Estimated]+q[energy.Interpolated] > 0 {
			t.Errorf("a neighbour's half-hours: %v", q)
		}
		if st := a.Status().Meters[0]; st.State != "ok" || len(halfHours(t, s, key("a"))) < 1 {
			t.Errorf("after it came back: %+v", st)
		}
		check(t, s.Close())
	})
}

// The wire is down for a while, then back: it is tried again within half a
// minute, and every meter is asked again within its interval.
func TestWireDown(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)}, registers{curve(9)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		time.AfterFunc(2*time.Hour+5*time.Minute, func() { f.down.Store(true) })
		time.AfterFunc(2*time.Hour+15*time.Minute, func() {
			if st := a.Status(); st.Buses[0].State != "down" || st.Buses[0].Error == "" || st.Buses[0].Errors[drivers.Refused] == 0 {
				t.Errorf("%+v", st.Buses[0])
			}
			f.down.Store(false)
		})
		time.AfterFunc(2*time.Hour+16*time.Minute, func() {
			st := a.Status()
			if st.Buses[0].State != "ok" || st.Meters[0].State != "ok" || st.Meters[1].State != "ok" {
				t.Errorf("a minute after the wire is back: %+v %+v", st.Buses[0], st.Meters)
			}
		})
		check(t, runFor(a, 4*time.Hour))
		hs := halfHours(t, s, key("a"))
		if q := conserved(t, key("a"), hs, curve(1000), interpolating); q[energy.Measured] != len(hs) || len(hs) < 7 {
			t.Errorf("ten minutes within a half-hour cost: %v", q)
		}
		check(t, s.Close())
	})
}

// A device that serves one client at a time is let go of after each round, and
// only then; others are kept.
func TestSingleClientIsLetGoBetweenRounds(t *testing.T) {
	path := storePath(t)
	for _, single := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(registers{curve(1000)}, registers{curve(9)})
			s := openFaulty(t, path)
			cfg := site(f, 10*time.Second)
			cfg.Buses[0].Single = single
			a := newAgent(t, f, cfg, s)
			check(t, runFor(a, 10*time.Minute+5*time.Second))
			rounds, want := f.polls[0], 1 // at the end
			if single {
				want = rounds
			}
			if f.polls[1] != rounds || rounds < 60 || f.closed < want || f.closed > want+1 {
				t.Errorf("single %v: %d rounds, closed %d times, want %d", single, rounds, f.closed, want)
			}
			check(t, s.Close())
		})
	}
}

// A driver that panics costs a poll, not the program.
func TestDriverPanics(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		good, n := curve(1000), 0
		f := newFake(registers{func(at time.Time) (int64, error) {
			if n++; n%7 == 3 {
				panic("a driver's mistake")
			}
			return good(at)
		}})
		s := openFaulty(t, path)
		check(t, runFor(newAgent(t, f, site(f, 10*time.Second), s), 3*time.Hour))
		if q := conserved(t, key("a"), halfHours(t, s, key("a")), good, interpolating); q[energy.Measured] < 5 {
			t.Errorf("%v", q)
		}
		check(t, s.Close())
	})
}

// One register of a meter cannot be read: the others are, and the state says so.
func TestOneRegisterFails(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000), failing})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		check(t, runFor(a, 90*time.Minute))
		m := a.Status().Meters[0]
		if m.State != "partly" || m.Failures != 0 || m.Registers[0].Error != "" || m.Registers[1].Error == "" || m.Registers[1].Value != "" {
			t.Errorf("%+v", m)
		}
		if len(halfHours(t, s, key("a"))) < 2 {
			t.Errorf("%d half-hours of the register that works", len(halfHours(t, s, key("a"))))
		}
		check(t, s.Close())
	})
}

// The watchdog is fed while all buses live, and starves when one does not.
func TestWatchdog(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		f := newFake(registers{func(at time.Time) (int64, error) {
			if at.Sub(epoch) > time.Hour {
				<-stuck // a driver that never comes back, whatever its context says
			}
			return 1, nil
		}})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		var mu sync.Mutex
		fed, last, said := 0, time.Time{}, []string{}
		a.opt.Notify = func(state string) {
			mu.Lock()
			defer mu.Unlock()
			if state == "WATCHDOG=1" {
				fed, last = fed+1, time.Now()
			} else {
				said = append(said, state)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(3*time.Hour+5*time.Second, func() { // between two looks of the watchdog
			if h := a.Health(); len(h) != 1 || !strings.Contains(h[0], "bus bus") {
				t.Errorf("health: %v", h)
			}
			cancel()
			close(stuck)
		})
		check(t, a.Run(ctx))
		if fed < 350 || last.Sub(epoch) > time.Hour+5*time.Minute {
			t.Errorf("fed %d times, last %v after the start", fed, last.Sub(epoch))
		}
		if strings.Join(said, "|") != "READY=1|STATUS=all is well|STATUS=bus bus gives no sign of life|STOPPING=1" {
			t.Errorf("said %v", said)
		}
		check(t, s.Close())
	})
}

// A steady poll allocates nothing: a gateway with a thousand meters at a
// second has better things to do than collect garbage.
func TestPollDoesNotAllocate(t *testing.T) {
	n := int64(0)
	f := newFake(registers{func(time.Time) (int64, error) { return n / 100, nil }, failingAlways, func(time.Time) (int64, error) { return n, nil }})
	f.now = func() time.Time { return epoch.Add(time.Duration(n) * 10 * time.Second) }
	s := openFaulty(t, storePath(t))
	a := newAgent(t, f, site(f, 10*time.Second), s)
	a.opt.Clock = clock.Given(f.now)
	b := a.buses[0]
	b.pending = make([]store.KeyedHalfHour, 0, 100) // as after the first commits
	poll := func() {
		n++
		b.pollOnce(context.Background(), 0)
	}
	poll()
	poll()
	if got := testing.AllocsPerRun(1000, poll); got > 0 {
		t.Errorf("%v allocations a poll, want none", got)
	}
	check(t, s.Close())
}

var errAlways = &drivers.Error{Kind: drivers.Sentinel, Op: "decode", Err: errors.New("no value")}

func failingAlways(time.Time) (int64, error) { return 0, errAlways }
