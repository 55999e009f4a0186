package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/energy"
)

// checkClock is how often the clock is looked at.
const checkClock = 2 * time.Second

// metaClock keeps what lets the next process go on with this one's trust.
const metaClock = "clock"

// shelved is a reading that waits until the clock can be believed.
type shelved struct {
	value  int64
	raw    uint64
	serial string // of the meter that answered; "" where it is not known
}

// date is the clock of the drivers: it dates readings.
func (a *Agent) date() time.Time {
	a.dating.RLock()
	defer a.dating.RUnlock()
	return a.opt.Clock.Now()
}

// generation counts the changes of the clock. A poll in which it changed has
// readings that are dated half by one clock and half by another.
func (a *Agent) generation() uint64 {
	a.dating.RLock()
	defer a.dating.RUnlock()
	return a.clockChanges
}

// runClock looks at the clock until ctx ends, and puts right what was dated by
// a wrong one.
func (a *Agent) runClock(ctx context.Context) {
	t := time.NewTicker(checkClock)
	defer t.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			a.keepClock()
			return
		case <-t.C:
		}
		a.dating.Lock()
		ch, changed := a.opt.Clock.Check()
		if changed {
			a.clockChanges++
		}
		generation := a.clockChanges
		a.dating.Unlock()
		if changed {
			a.clockChanged(ch, generation)
		}
		if changed || n%1800 == 0 {
			a.keepClock()
		}
	}
}

// keepClock lets the next process of this boot go on with this one's trust.
func (a *Agent) keepClock() {
	b := a.opt.Clock.Kept()
	if b == nil || string(b) == a.clockKept {
		return
	}
	if err := a.opt.Store.SetMeta(metaClock, b); err != nil {
		a.log.Debug("the state of the clock cannot be kept", "error", err)
		return
	}
	a.clockKept = string(b)
}

// KeptClock is what an agent kept of its clock in the store, for
// clock.Options.Kept; nil where there is nothing.
func KeptClock(s interface{ Meta(string) ([]byte, error) }) []byte {
	b, err := s.Meta(metaClock)
	if err != nil {
		return nil
	}
	return b
}

// NewestReading is when a register was read last by the agent that kept a
// store: the time of day cannot be earlier. Values from files do not count:
// their dates are somebody else's.
func NewestReading(s interface {
	Keys() ([]energy.Key, error)
	State(energy.Key) ([]byte, error)
}) (t time.Time) {
	keys, err := s.Keys()
	if err != nil {
		return t
	}
	for _, k := range keys {
		b, err := s.State(k)
		if err != nil || len(b) == 0 {
			continue
		}
		if old, err := parseKept(b); err == nil && old.base != nil {
			t = maxTime(t, old.base.ReadAt)
		}
	}
	return t
}

func (a *Agent) clockChanged(ch clock.Change, generation uint64) {
	level := slog.LevelInfo
	if ch.Kind == clock.Lost || ch.Class != clock.Fine {
		level = slog.LevelWarn
	}
	a.log.Log(context.Background(), level, "clock "+string(ch.Kind), "shift", ch.Shift, "reason", ch.Why)
	a.notes.add(ch.At, "", fmt.Sprintf("The clock is %s: %s", ch.Kind, ch.Why))
	for _, b := range a.buses {
		b.clockChanged(ch, generation)
	}
	a.recorder.wake()
}

// clockChanged takes what waited for the clock off the shelves, and looks to
// the series that a step has torn. A clock that ran evenly was as wrong when it
// dated the last reading as it was when it was put right.
func (b *bus) clockChanged(ch clock.Change, generation uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.generation = generation
	for _, m := range b.meters {
		if m.clock != nil {
			m.clock.Shifted(ch.Shift, ch.At)
		}
		for i := range m.registers {
			reg := &m.registers[i]
			base, open := reg.counter.Base()
			wrong := open && base.At.After(ch.Even) // it was dated by the clock that was put right
			switch {
			case ch.Kind == clock.Lost:
				continue
			case ch.Class != clock.Fine && (wrong || ch.Kind == clock.Stepped):
				from, to := ch.Since, ch.At
				if wrong && ch.Shift < -clock.FlaggedMost {
					from, to = ch.Even, maxTime(ch.Since, ch.At)
				}
				b.found(reg, reg.check.Step(from, to, ch.Shift, b.words[:0]))
			}
			if reg.shift = ch.Shift; wrong && ch.Shift < -clock.FlaggedMost && !reg.cfg.Power {
				// It is dated as it should have been: what comes next goes on from there,
				// however long it takes to come.
				b.takeBack(m, reg, energy.Sample{At: base.At.Add(ch.Shift).Truncate(time.Millisecond), Value: base.Value}, 0)
			}
			if ch.Kind == clock.Trusted && reg.shelf != nil {
				for at, s := range reg.shelf.Take(ch.Shift) {
					b.feed(m, reg, energy.Sample{At: at.Truncate(time.Millisecond), Value: s.value}, s.raw, s.serial)
				}
				reg.shelf = nil
			}
		}
	}
}
