package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// wall is the clock of the gateway's operating system.
func (s *site) wall() time.Time {
	if s.clock == nil {
		return time.Now()
	}
	return s.clock.wall()
}

// dating is the agent's clock; nil for one that is right and believed.
func (s *site) dating(st *store.Store) *clock.Clock {
	if s.clock == nil {
		return nil
	}
	var floor time.Time
	if keys, err := st.Keys(); err == nil {
		for _, k := range keys {
			if _, last, n, err := st.Bounds(k); err == nil && n > 0 && last.Add(energy.Period).After(floor) {
				floor = last.Add(energy.Period)
			}
		}
	}
	s.trust = clock.New(clock.Options{Wall: s.clock.wall, Mono: s.clock.mono, Sync: s.clock.sync, Floor: floor, Kept: agent.KeptClock(st), Logger: s.Logger})
	return s.trust
}

// years lives through it.
func (s *site) years() error {
	s.permission.begin(s)
	for time.Now().Before(s.end) {
		if err := s.life(); err != nil {
			return err
		}
		if s.tooMuch() {
			return nil
		}
	}
	return nil
}

func (s *site) tooMuch() bool {
	return len(s.result.Violations) >= s.Most || s.Stop > 0 && !time.Now().Before(s.begin.AddDate(0, 0, s.Stop))
}

// life runs one agent from its start to its end, and the time until the next.
func (s *site) life() error {
	s.of("begin", 0).lag()
	s.live++
	s.state()
	c, n := s.of("life", 0), s.live*8
	if !s.Quiet && s.live > 1 && c.n(n+6, 40) == 0 && !s.calm.during(time.Now()) {
		s.oracle.lost() // the card is dead: a new one is put in
		s.feed.again()
		if err := os.Remove(s.path); err != nil {
			return err
		}
		if c.n(n+7, 2) == 0 { // else the other store's checkpoint lies there
			_ = os.Remove(s.path + checkpointSuffix)
		}
		clear(s.saved)
		clear(s.maybe)
		clear(s.whole)
		s.result.Lost++
	}
	st, report, err := store.Open(s.path, store.Options{Now: s.wall, Logger: s.Logger, KeepHalfHours: s.config.Store.KeepHalfHours, KeepSamples: s.config.Store.KeepSamples})
	if err != nil {
		return err
	}
	if report.SetAside != "" {
		s.result.SetAside++
		s.report("kept", "the store was set aside: "+report.Reason)
	}
	s.result.Lives++
	now := time.Now()
	plan := death{at: s.calm.after(now.Add(time.Minute + c.wait(n, 20*time.Hour))), kind: int(c.n(n+1, waysToStop)), skip: c.n(n+2, 6),
		call: fatalCalls[c.n(n+5, int64(len(fatalCalls)))], noise: c.of("torn", int(s.live))}
	if s.Quiet || !plan.at.Before(s.end) {
		plan = death{at: s.end, kind: stopped}
	}
	s.Logger.Info("simulation: a life begins", "life", s.live, "wall", s.wall(), "plan", plan.at, "kind", plan.kind, "call", plan.call)
	s.disk = &disk{Store: st, path: s.path, plan: plan, full: &s.full, kept: s.committed, told: s.history, died: make(chan struct{})}
	if err := s.agent(plan); err != nil {
		return err
	}
	if err := st.Close(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	s.Logger.Info("simulation: a life ends", "life", s.live, "kind", plan.kind, "call", s.disk.where)
	if err := s.disk.lost; err != nil {
		return err
	}
	if left := s.disk.left; left == nil {
		maps.Copy(s.whole, s.saved)
	} else if err := s.powerGone(left, c); err != nil {
		return err
	}
	s.oracle.died(s.saved, s.maybe)
	cut := plan.kind >= cutBefore
	if down := s.downtime(c, n); time.Now().Before(s.end) {
		<-time.After(time.Until(s.calm.cut(time.Now(), time.Now().Add(down)).Add(time.Second)))
	}
	if cut && s.clock != nil {
		s.clock.reboot()
	}
	return nil
}

// powerGone puts on the disk what is there after the power was cut. Now and then
// the checkpoint has come to harm besides: then what was committed since the
// store's file took it in may be lost, and no more.
func (s *site) powerGone(left *files, c chance) error {
	if before := s.paper; !s.Quiet && len(left.checkpoint) > 0 {
		s.paper = left.checkpoint
		if noise := c.of("spoilt", int(s.live)); noise.n(1, 12) == 0 {
			left.checkpoint = spoil(left.checkpoint, before, noise)
			s.result.Spoilt++
			for k, at := range s.saved {
				if at.After(s.maybe[k]) {
					s.maybe[k] = at
				}
			}
			clear(s.saved)
			maps.Copy(s.saved, s.whole)
		}
	}
	return left.restore(s.path)
}

func (s *site) downtime(c chance, n int64) time.Duration {
	switch p := c.n(n+3, 100); {
	case p < 80:
		return c.lasting(n+4, time.Second, 10*time.Minute)
	case p < 98:
		return c.lasting(n+4, 10*time.Minute, 12*time.Hour)
	default:
		return c.lasting(n+4, 12*time.Hour, 60*24*time.Hour)
	}
}

// agent runs the agent until its life ends, and has every day checked.
func (s *site) agent(plan death) error {
	a, err := agent.New(agent.Options{
		Config: s.config, Store: s.disk, Drivers: s.drivers(), Listeners: s.listeners, Clock: s.dating(s.disk.Store), Now: s.wall, Logger: s.Logger, HTTP: s.net,
		Flush: []time.Duration{10 * time.Minute, 30 * time.Minute}[s.Seed%2] + 137*time.Millisecond + 1, Gather: agent.DefaultGather + 71*time.Millisecond + 1, Watchdog: 24 * time.Hour, Version: "simulated",
		Jitter: func(n time.Duration) time.Duration {
			return time.Duration(s.of("pause", 0).n(time.Now().UnixNano(), int64(n)))
		},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	for {
		next := time.Now().Add(-dailyAt).Truncate(24 * time.Hour).Add(24*time.Hour + dailyAt)
		if plan.kind <= killed && plan.at.Before(next) {
			next = plan.at
		}
		if s.end.Before(next) {
			next = s.end
		}
		files := s.clerk.next(s).Before(next) && s.clerk.due.Before(s.end)
		if files {
			next = s.clerk.due
		}
		t := time.NewTimer(time.Until(next))
		select {
		case err := <-ended:
			return fmt.Errorf("the agent gave up: %w", err)
		case <-s.disk.died:
		case <-t.C:
		}
		t.Stop()
		synctest.Wait()
		now, gone := time.Now(), s.disk.gone()
		if files && !gone && !now.Equal(plan.at) {
			s.clerk.work(s, a)
			continue
		}
		last := !now.Before(s.end)
		if !gone && (last || !now.Equal(plan.at)) {
			s.check(last)
			if !last && !s.tooMuch() {
				continue
			}
		}
		if plan.kind == killed && !last {
			s.disk.kill()
		}
		s.result.Ends[plan.kind]++
		cancel()
		if err := <-ended; err != nil && !s.disk.gone() && !errors.Is(err, store.ErrFull) {
			return err
		}
		return nil
	}
}

// dailyAt is when the laws are checked each day: midnight's half-hours are settled.
const dailyAt = 25 * time.Minute

func (s *site) check(last bool) {
	now := time.Now()
	s.oracle.check(s.disk.Store, now, last, now.Sub(s.disk.refused) < 3*time.Hour || now.Sub(s.doubted) < 3*time.Hour)
	s.oracle.checkRelay(s.disk.Store, s.relay, now, last)
	s.permission.daily(s, last)
}

// committed notes what the store took.
func (s *site) committed(r store.Round, sure, folded bool) {
	s.result.Commits++
	if !folded {
		s.result.Checkpoints++
	}
	s.history.round(&r, sure, folded)
	s.Trace.round(&r)
	s.oracle.committed(r, sure)
	for i := range r.Samples {
		k, at := r.Samples[i].Key, r.Samples[i].At
		if at.Before(s.begin.Add(-s.oracle.slack)) || at.After(time.Now().Add(s.oracle.slack)) {
			s.report("evidence", fmt.Sprintf("%s: a sample is kept that is dated %s", k, at))
		}
	}
	if s.trust != nil && !s.trust.Trusted() {
		return // what was read lies on a shelf
	}
	defer func() {
		if sure && folded {
			maps.Copy(s.whole, s.saved)
		}
	}()
	for i := range r.States {
		if sure {
			s.saved[r.States[i].Key] = time.Now()
		} else {
			s.maybe[r.States[i].Key] = time.Now()
		}
	}
}

func (s *site) drivers() map[string]agent.Factory {
	return map[string]agent.Factory{"simulated": func(b config.Bus, _ []config.Meter, date func() time.Time, _ *slog.Logger) (drivers.Poller, error) {
		if made := s.pollers[b.ID]; made != nil {
			return made(date), nil
		}
		i := slices.IndexFunc(s.config.Buses, func(o config.Bus) bool { return o.ID == b.ID })
		s.wires[i].date = date
		return s.wires[i], nil
	}}
}
