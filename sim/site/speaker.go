package site

import (
	"context"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// speaker publishes what the sources of one bus say.
type speaker struct {
	broker  broker
	format  format
	sources []*source
	dice    *fault.Dice
	now     func() time.Time
	every   time.Duration // between two rounds, of life

	mu    sync.Mutex // guards what follows, and the format
	up    bool
	held  []held    // messages that go out later
	round int       // rounds so far
	told  time.Time // intervals up to then were said
}

// held is what goes out in a later round.
type held struct {
	round int
	out   []message
}

// run publishes until ctx ends.
func (s *speaker) run(ctx context.Context) error {
	s.told = s.now().Truncate(time.Minute)
	defer s.leave()
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		if err := s.once(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *speaker) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up {
		_ = s.send(s.format.left())
	}
	s.broker.down()
	s.up = false
}

// once is one round: every source says how its registers stand.
func (s *speaker) once(ctx context.Context) error {
	since, left, restarting := s.dice.On("restart")
	off := restarting && since < left
	if _, _, gone := s.dice.On("disconnect"); gone {
		s.leave()
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up {
		if err := s.come(ctx); err != nil {
			return err
		}
	}
	s.round++
	if off {
		return s.send(s.format.left())
	}
	now := s.now()
	if restarting {
		if err := s.send(s.format.connected(s.sources, now)); err != nil {
			return err
		}
	}
	for _, one := range s.sources {
		if err := s.say(one, now, restarting); err != nil {
			return err
		}
	}
	if err := s.release(); err != nil {
		return err
	}
	return s.totals(now)
}

// come goes to the broker, and leaves there what is retained from before.
func (s *speaker) come(ctx context.Context) error {
	if err := s.broker.up(ctx, s.format.listens(), s.heard); err != nil {
		return err
	}
	s.up = true
	for _, f := range s.dice.All("retained") {
		for _, one := range s.sources {
			old := s.format.messages(one.report(s.now().Add(-f.Age)))
			for i := range old {
				old[i].retain = true
			}
			if err := s.send(old); err != nil {
				return err
			}
		}
	}
	return s.send(s.format.connected(s.sources, s.now()))
}

// heard is what somebody told the sources.
func (s *speaker) heard(topic string, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up {
		_ = s.send(s.format.heard(topic, payload, s.sources, s.now()))
	}
}

// old is how old a stale value is: older than what any half-hour is still open for.
const old = energy.Period + 10*time.Minute

// say has one source speak, with what goes wrong.
func (s *speaker) say(one *source, now time.Time, restarted bool) error {
	name := s.dice.Draw()
	r := one.report(now)
	switch {
	case restarted:
		r = r.hit("zero")
	case name == "stale":
		if r = one.report(now.Add(-old)); s.format.marks() {
			r.at, r.marked = now, true
		}
	default:
		r = r.hit(name)
	}
	if len(r.values) == 0 {
		return nil
	}
	out := s.format.messages(r)
	switch name {
	case "lost":
		return nil // but the format has counted it
	case "late":
		s.held = append(s.held, held{s.round + 3, out})
		return nil
	case "swap":
		s.held = append(s.held, held{s.round + 1, out})
		return nil
	case "repeat":
		out = append(out, out...)
	case "foreign":
		out = append(s.format.foreign(one), out...)
	case "short":
		for i := range out {
			if n := len(out[i].payload); n > 1 {
				out[i].payload = out[i].payload[:1+s.dice.Int(n-1)]
			}
		}
	}
	return s.send(out)
}

// release sends what was held back, behind what is newer.
func (s *speaker) release() error {
	rest := s.held[:0]
	var due []message
	for _, h := range s.held {
		if h.round <= s.round {
			due = append(due, h.out...)
		} else {
			rest = append(rest, h)
		}
	}
	s.held = rest
	return s.send(due)
}

// totals says the intervals that have ended since the last round.
func (s *speaker) totals(now time.Time) error {
	for end := s.told.Add(time.Minute); !end.After(now); end = end.Add(time.Minute) {
		s.told = end
		for _, one := range s.sources {
			if r := one.intervals(end); len(r.values) > 0 {
				if err := s.send(s.format.messages(r)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *speaker) send(out []message) error {
	for _, m := range out {
		if err := s.broker.publish(m); err != nil {
			return err
		}
	}
	return nil
}
