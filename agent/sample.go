package agent

import (
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/store"
)

// sample takes one reading of a register. The bus's lock is held, as it is in
// all that follows here.
func (b *bus) sample(m *meter, reg *register, r *drivers.Reading, now time.Time, dated bool) {
	// The store keeps milliseconds: with the same instants here, anybody can
	// redo the sum from what it holds.
	s := energy.Sample{At: r.Sample.At.Truncate(time.Millisecond).UTC(), Value: r.Sample.Value}
	reg.last, reg.raw, reg.took, reg.deviceAt = s, r.Raw, r.Took, r.DeviceAt
	b.learn(m, reg, r)
	reg.provisional = !dated || !b.agent.opt.Clock.Trusted()
	switch {
	case !dated:
	case !b.agent.opt.Clock.Trusted():
		if r.Flags == 0 {
			if reg.shelf == nil {
				reg.shelf = new(clock.Shelf[shelved])
			}
			reg.shelf.Put(s.At, shelved{s.Value, r.Raw, m.serial})
		}
	default:
		b.found(reg, reg.check.Reading(m.facts(reg, r, s, now), b.words[:0]))
		if reg.check.Counts() {
			b.feed(m, reg, s, r.Raw, m.serial)
		}
	}
}

// facts is what the validation is told of a reading.
func (m *meter) facts(reg *register, r *drivers.Reading, s energy.Sample, now time.Time) validate.Facts {
	f := validate.Facts{At: s.At, Value: s.Value, Now: now, DeviceAt: r.DeviceAt, History: r.History, Source: r.Flags, Unit: r.Unit}
	m.flowing(reg, &f, now)
	if r.Flags.Has(14) {
		f.Word = m.alarmWord()
	}
	if !r.DeviceAt.IsZero() && m.clock != nil {
		if est := m.clock.Estimate(now); est.Known {
			f.Offset = est.Offset
		}
	}
	return f
}

// heardClock compares the device's clock with ours, once per answer.
func (m *meter) heardClock(r *drivers.Reading, arrived time.Time) {
	if r.DeviceAt.IsZero() {
		return
	}
	if m.clock == nil {
		m.clock = new(clock.DeviceClock)
	}
	m.clock.Add(r.DeviceAt, arrived)
}

// unread tells the validation of a reading that the device refused to give:
// when it begins to, and every hour while it goes on.
func (b *bus) unread(reg *register, r *drivers.Reading, before error, now time.Time) {
	if drivers.KindOf(r.Err) != drivers.Sentinel || !b.agent.opt.Clock.Trusted() || before != nil && now.Sub(reg.refused) < quiet {
		return
	}
	reg.refused = now
	b.found(reg, reg.check.Reading(validate.Facts{At: now, Now: now, NoValue: true, Word: words(r.Err)}, b.words[:0]))
}

// words is the cause of an error without what was being done.
func words(err error) string {
	var e *drivers.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

// feed gives one dated sample, of the meter of that serial number, to its
// register's counter.
func (b *bus) feed(m *meter, reg *register, s energy.Sample, raw uint64, serial string) {
	if b.agent.recorder.resting.Load() {
		// What was settled cannot be kept and memory for it has run out: the
		// register rests. Its advance over the rest is spread, as over any gap.
		return
	}
	if len(m.cfg.Exchanges) > 0 {
		b.exchangeBefore(m, reg, s.At)
	}
	b.another(m, reg, serial) // after it: only a statement that was taken in explains another serial number
	var e energy.Event
	before, _ := reg.counter.Base()
	b.settled, e = reg.counter.Add(s, b.settled[:0])
	if base, _ := reg.counter.Base(); base != before && serial != "" {
		reg.hung.next(base.At, reg.origin.device)
	}
	b.settle(m, reg, e, raw)
	b.reconverted(m, reg, before, s, raw)
	if e.Kind == energy.OutOfOrder {
		b.outOfOrder(m, reg, s, raw)
	}
}

// settle takes what a counter gave.
func (b *bus) settle(m *meter, reg *register, e energy.Event, raw uint64) {
	reg.seq++
	for _, h := range b.settled {
		k := keyedHalfHour(reg.key, h)
		// They were given before, made of a value that was none.
		k.Void = e.Kind == energy.Retracted || e.Kind == energy.CaughtUp
		b.pending = append(b.pending, k)
		reg.newest = h.Start
	}
	if n := len(b.settled); n > 0 {
		reg.settled += uint64(n)
		b.agent.recorder.wake()
	}
	if e.Kind != energy.Nothing {
		b.event(m, reg, e, raw)
	}
}

// outOfOrder decides about a reading that is older than the newest one.
func (b *bus) outOfOrder(m *meter, reg *register, s energy.Sample, raw uint64) {
	base, ok := reg.counter.Base()
	if !ok {
		return
	}
	if base.At.Sub(b.agent.Now()) > clock.FlaggedMost {
		b.takeBack(m, reg, s, raw)
		return
	}
	newest := base.At
	if acc, ok := reg.counter.(*energy.Accumulator); ok {
		if _, last, n := acc.Held(); n > 0 {
			newest = last.At // it may go on from there: the register may have gone round
		}
	}
	if s.At.Before(newest) && !s.At.Equal(base.At) && len(b.late) < mostLate {
		b.late = append(b.late, store.KeyedSample{Key: reg.key, Sample: s})
	}
}

// mostLate bounds the late readings that wait for a round.
const mostLate = 4096

// takeBack begins a series anew whose newest reading is dated far in the
// future: a wrong clock dated it. The half-hours from now on that were made of
// such readings are withdrawn.
func (b *bus) takeBack(m *meter, reg *register, s energy.Sample, raw uint64) {
	acc, ok := reg.counter.(interface {
		ClockBack(energy.Sample, []energy.HalfHour) ([]energy.HalfHour, energy.Event)
	})
	if !ok {
		return
	}
	var e energy.Event
	b.settled, e = acc.ClockBack(s, b.settled[:0])
	from := len(b.pending)
	b.settle(m, reg, e, raw)
	for i := range b.pending[from:] {
		if h := &b.pending[from+i]; e.Kind == energy.ClockBack && h.Quality == energy.Missing {
			h.Void, h.Flags = true, h.Flags.With(12)
		}
	}
}

// found keeps what the validation found.
func (b *bus) found(reg *register, fs []validate.Finding) {
	b.words = fs[:0]
	for _, f := range fs {
		reg.findings++
		k, err := f.Keyed()
		if err != nil {
			b.log.Debug("a finding cannot be kept", "error", err)
			continue
		}
		if f.Severity == validate.Error {
			b.log.Warn("validation", "finding", f.String())
		} else {
			b.log.Debug("validation", "finding", f.String())
		}
		b.findings = append(b.findings, k)
	}
}

// identify looks at who answered. The registers hear of it with their next
// readings, so that what waits for the clock is still the old meter's.
func (b *bus) identify(i int, m *meter) {
	if who, ok := b.poller.(drivers.Identifier); ok {
		if serial := who.Identity(i); serial != "" {
			m.serial = serial
		}
	}
}
