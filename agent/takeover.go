package agent

import (
	"maps"
	"reflect"
	"slices"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// takeOver goes on with what the agent before counted and knew of buses and
// meters that are read as they were: for them a configuration that is read
// again is no new start. That agent has ended.
func (a *Agent) takeOver(before *Agent) {
	before.notes.mu.Lock()
	a.notes.mu.Lock()
	// What was noted while this one was made comes after.
	a.notes.list = append(slices.Clone(before.notes.list), a.notes.list...)
	a.notes.list = a.notes.list[max(0, len(a.notes.list)-maxNotes):]
	a.notes.mu.Unlock()
	before.notes.mu.Unlock()
	for _, b := range a.buses {
		for _, old := range before.buses {
			if sameWire(b.cfg, old.cfg) {
				b.takeOver(old)
			}
		}
	}
}

// sameWire reports whether two configurations mean the same wire. How long it
// is waited for, and who logs in, may differ.
func sameWire(a, b config.Bus) bool {
	if a.ID != b.ID || a.Driver != b.Driver || a.URL != b.URL || (a.Listening == nil) != (b.Listening == nil) {
		return false
	}
	return a.Listening == nil || a.Listening.Format == b.Listening.Format && slices.Equal(a.Listening.URLs, b.Listening.URLs)
}

func (b *bus) takeOver(old *bus) {
	old.mu.Lock()
	defer old.mu.Unlock()
	b.down, b.err, b.since, b.polls, b.errs = old.down, old.err, old.since, old.polls, maps.Clone(old.errs)
	b.busy, b.began, b.before = old.busy, old.began, old.before
	observer := old.observer()
	if observer != nil {
		b.before = observer.Wire().After(old.before)
	}
	for _, m := range b.meters {
		for i, was := range old.meters {
			if !sameMeter(m, was) {
				continue
			}
			m.takeOver(was)
			if observer != nil {
				m.before = observer.Traffic(i).Add(was.before)
			}
		}
	}
}

// sameMeter reports whether a meter of one wire is still read in the same way.
func sameMeter(a, b *meter) bool {
	return a.cfg.ID == b.cfg.ID && a.cfg.Unit == b.cfg.Unit && a.cfg.Device == b.cfg.Device && slices.EqualFunc(a.registers, b.registers, func(x, y register) bool {
		return x.key == y.key && x.origin.read == y.origin.read
	})
}

func (m *meter) takeOver(old *meter) {
	m.asked, m.answered, m.took, m.since, m.ever = old.asked, old.answered, old.took, old.since, old.ever
	m.failures, m.err, m.errs, m.latency, m.clock = old.failures, old.err, old.errs, old.latency, old.clock
	if reflect.DeepEqual(m.cfg.Alarms, old.cfg.Alarms) {
		m.alarms = old.alarms // so that they are not told again
	}
	for i := range m.registers {
		m.registers[i].takeOver(&old.registers[i])
	}
}

func (r *register) takeOver(old *register) {
	r.last, r.provisional, r.raw, r.took, r.deviceAt = old.last, old.provisional, old.raw, old.took, old.deviceAt
	r.err, r.refused = old.err, old.refused
	r.settled, r.newest, r.findings = old.settled, old.newest, old.findings
	r.events, r.lastEvent, r.lastEventAt = old.events, old.lastEvent, old.lastEventAt
	r.shelf, old.shelf = old.shelf, nil // what waits for the clock goes on waiting
}
