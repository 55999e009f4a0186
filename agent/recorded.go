package agent

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// kept marks the round as stored.
func (r *recorder) kept() {
	clear(r.closings)
	r.round.HalfHours, r.round.Statements, r.round.Findings = nil, nil, nil
	r.checkedTo = 0
	r.past.forget()
	for _, b := range r.agent.buses {
		b.mu.Lock()
		for _, m := range b.meters {
			for i := range m.registers {
				m.registers[i].kept = m.registers[i].sent
			}
		}
		b.mu.Unlock()
	}
	r.rest(0)
}

// rest decides whether the registers must rest.
func (r *recorder) rest(waiting int) {
	full := waiting >= r.most
	if r.resting.Swap(full) != full && full {
		r.agent.log.Error("readings cannot be stored and memory for them is full: registers rest until the store can be written", "half_hours", waiting)
		r.agent.notes.add(r.agent.Now(), "", "The disk cannot be written and memory is full: meters are read for display only. Their energy is not lost: it is spread over the gap once the disk works.")
	}
	r.mu.Lock()
	r.waiting = waiting
	r.mu.Unlock()
}

// book keeps the outcome of a commit for the status, and logs the changes.
func (r *recorder) book(err error, took time.Duration) {
	now := r.agent.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.health
	h.Took = took
	if err == nil {
		if h.Error != "" {
			r.agent.log.Info("the store can be written again", "after", now.Sub(h.Since).Round(time.Second))
			r.agent.notes.add(now, "", "The store can be written again.")
		}
		h.Commits, h.Last, h.Error, h.Since = h.Commits+1, now, "", time.Time{}
		return
	}
	if h.Error == "" {
		h.Since = now
		r.agent.log.Error("readings cannot be stored: they wait in memory", "error", err)
		r.agent.notes.add(now, "", "Readings cannot be stored and wait in memory: "+err.Error())
	}
	h.Failures, h.Error = h.Failures+1, err.Error()
}

func (r *recorder) giveUp(err error) {
	select {
	case r.fatal <- err:
	default:
	}
}

func (r *recorder) status() CommitHealth {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.health
	h.Waiting, h.Resting = r.waiting, r.resting.Load()
	return h
}

func keyedHalfHour(k energy.Key, h energy.HalfHour) store.KeyedHalfHour {
	return store.KeyedHalfHour{Key: k, HalfHour: h}
}
