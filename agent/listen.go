package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// ListenerFactory makes the driver of a bus that speaks by itself. Device i of
// the listener is meters[i], and point j of it is meters[i].Registers[j].
type ListenerFactory func(b config.Bus, meters []config.Meter, now func() time.Time, keep Keeper, log *slog.Logger) (drivers.Listener, error)

// Keeper keeps what a driver must know after a restart. It is nil where a
// driver is only tried.
type Keeper interface {
	// Settle returns when all that was delivered so far is stored for good.
	Settle() error
	Meta(name string) ([]byte, error)
	SetMeta(name string, v []byte) error
}

// keeper is the Keeper of the drivers of an agent.
type keeper struct{ *Agent }

func (k keeper) Settle() error {
	if !k.opt.Clock.Trusted() {
		return errors.New("the clock is not to be trusted yet")
	}
	return k.recorder.flush()
}

func (k keeper) Meta(name string) ([]byte, error)    { return k.opt.Store.Meta("driver/" + name) }
func (k keeper) SetMeta(name string, v []byte) error { return k.opt.Store.SetMeta("driver/"+name, v) }

// listen takes what a wire says until ctx ends.
func (b *bus) listen(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			b.hearken(ctx)
		}
	}()
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	for {
		b.beat.Store(time.Now().UnixNano())
		select {
		case <-done:
			return
		case <-t.C:
			b.looked(b.listener.Health(), b.agent.Now())
		}
	}
}

// hearken lets the driver listen; where it panics it begins anew.
func (b *bus) hearken(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("driver failed", "bus", b.cfg.ID, "panic", p, "stack", string(debug.Stack()))
			b.looked(fmt.Errorf("the driver failed: %v", p), b.agent.Now())
			b.sleep(ctx, wireLimit)
		}
	}()
	if err := b.listener.Listen(ctx, b.hear); err != nil && ctx.Err() == nil {
		b.looked(err, b.agent.Now())
		b.sleep(ctx, wireLimit)
	}
}

// looked books how the wire does, and finds the meters that fell silent.
func (b *bus) looked(err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil && b.down == 0:
		b.since = now
		b.log.Warn("bus cannot be used", "bus", b.cfg.ID, "error", err)
		fallthrough
	case err != nil:
		b.down++
		b.err = err
	case b.down > 0:
		b.log.Info("bus is back", "bus", b.cfg.ID)
		b.down, b.err, b.since = 0, nil, now
	}
	for _, m := range b.meters {
		if since := now.Sub(maxTime(m.answered, b.agent.started)); m.cfg.Poll > 0 && since > m.cfg.Poll {
			b.judge(m, 0, &drivers.Error{Kind: drivers.Timeout, Op: "listen for it", Err: fmt.Errorf("nothing heard for %s", since.Round(time.Second)), Hint: unheard}, now)
		}
	}
}

// unheard is what to try when a device that speaks by itself says nothing.
const unheard = "does whatever publishes it run, and is its name or topic as it is published?"

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hear takes what a device said.
func (b *bus) hear(device int, readings []drivers.Reading) {
	now := b.agent.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if device < 0 || device >= len(b.meters) {
		return
	}
	m := b.meters[device]
	b.polls++
	m.asked = now
	b.checks(m, readings, now)
	good, again, first, last := 0, false, error(nil), (*drivers.Error)(nil)
	for k := range readings {
		r := &readings[k]
		if r.Point < 0 || r.Point >= len(m.registers) {
			continue
		}
		reg := &m.registers[r.Point]
		before := reg.err
		if reg.err = r.Err; r.Again {
			again = true
			continue
		}
		if r.Err == nil && r.Interval > 0 {
			reg.err = b.interval(m, reg, r, now)
		}
		if reg.err != nil {
			b.unread(reg, r, before, now)
			b.errs[drivers.KindOf(reg.err)]++
			last = m.erred(reg.err, last)
			if first == nil {
				first = reg.err
			}
			continue
		}
		if good++; good == 1 && r.Interval == 0 && live(r) {
			m.heardClock(r, now)
		}
		if good == 1 {
			m.delay(r, now)
		}
		if r.Interval == 0 {
			// A reading that its source dated says nothing of our clock: while that
			// cannot be believed, nor can the two be told apart.
			r.Sample.At = m.atOurs(r, now)
			b.sample(m, reg, r, now, r.DeviceAt.IsZero() || b.agent.opt.Clock.Trusted())
		}
	}
	switch {
	case good > 0 || first != nil:
		b.judge(m, good, first, now)
	case again && m.failures > 0 && drivers.KindOf(m.err) != drivers.Timeout:
		b.over(m, now) // it is no reading: that nothing new comes is another matter
	}
}

// live reports whether a reading is as new as its message.
func live(r *drivers.Reading) bool { return !r.History && !r.Flags.Has(13) }

// atOurs dates a reading by our clock where its source dated it by one that is
// wrong (V11): corrected by as much, or, where that is too much, by its arrival.
func (m *meter) atOurs(r *drivers.Reading, now time.Time) time.Time {
	if m.clock == nil || !live(r) || !r.Sample.At.Equal(r.DeviceAt) {
		return r.Sample.At
	}
	switch est := m.clock.Estimate(now); {
	case !est.Known || est.Class == clock.Fine:
		return r.Sample.At
	case est.Class == clock.Quarantine || est.Corrected(r.DeviceAt).After(now):
		return now
	default:
		return est.Corrected(r.DeviceAt)
	}
}

// interval takes the total of one half-hour. Later versions of it replace
// earlier ones, which are kept.
func (b *bus) interval(m *meter, reg *register, r *drivers.Reading, now time.Time) error {
	period := b.agent.opt.Config.Period
	end := r.Sample.At.UTC()
	start := end.Add(-r.Interval)
	refuse := func(kind drivers.Kind, format string, args ...any) error {
		return &drivers.Error{Kind: kind, Op: "interval that ends " + end.Format(time.RFC3339), Err: fmt.Errorf(format, args...)}
	}
	switch {
	case r.Interval != period || !start.Equal(start.Truncate(period)):
		return refuse(drivers.Range, "it is %s long from %s: only whole periods of %s can be taken", r.Interval, start.Format("15:04:05"), period)
	case r.Sample.Value < 0:
		return refuse(drivers.Range, "its energy is negative")
	}
	if !b.agent.opt.Clock.Trusted() {
		return refuse(drivers.Range, "the clock is not to be trusted yet: it is read again later")
	}
	b.found(reg, reg.check.Reading(validate.Facts{At: end, Value: r.Sample.Value, Now: now, History: true, Total: true, Unit: r.Unit, Source: r.Flags}, b.words[:0]))
	switch {
	case end.After(now):
		return refuse(drivers.Range, "it is not over yet")
	case now.Sub(start) > b.agent.opt.Config.Store.KeepHalfHours:
		return nil // older than what is kept
	}
	if reg.last.At.Before(end) {
		reg.last = energy.Sample{At: end, Value: r.Sample.Value}
	}
	if !reg.check.Counts() {
		return nil // shown, as a register's reading is
	}
	h := energy.HalfHour{
		Start: start, Energy: r.Sample.Value, Cumulative: -1, TakenAt: maxTime(now.Truncate(time.Millisecond), end.Add(time.Second)), Quality: energy.Measured,
		Evidence: energy.Evidence{First: energy.Sample{At: start}, Last: energy.Sample{At: end, Value: r.Sample.Value}, Samples: 1, Rule: energy.RuleInterval},
	}
	if r.Estimated {
		h.Quality = energy.Estimated
	}
	b.reconvertedIntervals(m, reg, start, now)
	b.pending = append(b.pending, keyedHalfHour(reg.key, h))
	reg.settled++
	if start.After(reg.newest) {
		reg.newest = start
	}
	b.agent.recorder.wake()
	return nil
}

// delay notes how long a reading took to come: to the question that it
// answers, or, where nobody asked, since the time that its source gives it. What
// is old, or dated after its arrival, says nothing of that.
func (m *meter) delay(r *drivers.Reading, arrived time.Time) {
	switch old := r.Interval > 0 || r.History || r.Flags != 0 || r.DeviceAt.IsZero(); {
	case r.Took > 0:
		m.latency.add(r.Took)
	case !old && !r.DeviceAt.After(arrived):
		m.latency.add(arrived.Sub(r.DeviceAt))
	}
}
