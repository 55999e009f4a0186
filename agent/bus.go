package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/store"
)

// bus is one wire. Its goroutine alone uses the driver (law 8); everything
// else is shared with the recorder and the status under mu, which is never
// held while the wire is waited for.
type bus struct {
	cfg      config.Bus
	poller   drivers.Poller   // nil where the wire speaks by itself
	listener drivers.Listener // nil where it is asked

	log   *slog.Logger
	agent *Agent
	beat  atomic.Int64 // unix nanoseconds of the last sign of life

	retry    atomic.Int64      // when the wire is tried again while it is down, unix nanoseconds
	readings []drivers.Reading // of the present poll; the goroutine's own

	mu         sync.Mutex
	meters     []*meter
	settled    []energy.HalfHour  // of the present sample
	words      []validate.Finding // of the present sample
	pending    []store.KeyedHalfHour
	said       []energy.KeyedStatement
	findings   []energy.KeyedFinding
	late       []store.KeyedSample // readings from before the newest one
	generation uint64              // of the clock that dates the readings
	down       int                 // polls in a row at which the wire could not be used
	err        error
	since      time.Time // when it began to be usable, or not
	polls      uint64
	errs       map[drivers.Kind]uint64
	busy       time.Duration // spent asking, since it began
	began      time.Time     // when the counting began, for durations
	before     drivers.Wire  // what was counted of the wire before the configuration was read again
}

// heartbeat bounds how long the goroutine sleeps without a sign of life.
const heartbeat = 15 * time.Second

// letGo is the shortest time that is worth letting go of a device for, which
// serves one client at a time.
const letGo = 100 * time.Millisecond

// run polls until ctx ends.
func (b *bus) run(ctx context.Context) {
	if b.listener != nil {
		b.listen(ctx)
		return
	}
	intervals := make([]time.Duration, len(b.meters))
	for i, m := range b.meters {
		intervals[i] = m.cfg.Poll
	}
	s := newSchedule(intervals, time.Now())
	timer := time.NewTimer(0)
	defer timer.Stop()
	held := false // the poller may have a connection
	for {
		b.beat.Store(time.Now().UnixNano())
		i, due := s.next()
		wait := time.Until(due)
		if wait > 0 {
			if b.cfg.Single && held && wait > letGo {
				b.poller.Close() // the round is over: the device is free for others
				held = false
			}
			timer.Reset(min(wait, heartbeat))
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		wasDown := b.down > 0
		b.pollOnce(ctx, i)
		held = true
		now := time.Now()
		switch {
		case b.down > 0:
			s.asked(i, now, 0)
			b.retry.Store(now.Add(backoff(b.down, wireLimit)).UnixNano())
			if !b.sleep(ctx, backoff(b.down, wireLimit)) {
				return
			}
		case wasDown:
			s.hasten(now)
			fallthrough
		default:
			s.asked(i, now, backoff(b.meters[i].failures, deviceLimit))
		}
		b.meters[i].due.Store(s.devices[i].due.UnixNano())
	}
}

// sleep waits with a heartbeat; false when ctx ended.
func (b *bus) sleep(ctx context.Context, d time.Duration) bool {
	for d > 0 {
		t := time.NewTimer(min(d, heartbeat))
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
		b.beat.Store(time.Now().UnixNano())
		d -= heartbeat
	}
	return ctx.Err() == nil
}

// pollOnce asks one device and takes what it answers. A panic inside the
// driver is a failed poll, not the end of the program (law 9).
func (b *bus) pollOnce(ctx context.Context, i int) {
	start, generation := time.Now(), b.agent.generation()
	err := b.ask(ctx, i)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return // we were stopped: that says nothing about the meter
	}
	b.take(i, time.Since(start), b.agent.Now(), generation, err)
}

// ask lets the driver poll; its panic is its error.
func (b *bus) ask(ctx context.Context, i int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the driver failed: %v", p)
			b.readings = b.readings[:0]
			b.log.Error("driver failed", "bus", b.cfg.ID, "meter", b.meters[i].cfg.ID, "panic", p, "stack", string(debug.Stack()))
			b.poller.Close()
		}
	}()
	b.readings, err = b.poller.Poll(ctx, i, b.readings[:0])
	return err
}

// take books the outcome of one poll.
func (b *bus) take(i int, took time.Duration, end time.Time, generation uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.meters[i]
	// Where the clock was put right meanwhile, nobody can say which clock dated
	// the readings: they are shown, and the next ones counted.
	dated := generation == b.generation && generation == b.agent.generation()
	b.polls++
	b.busy += took
	m.asked, m.took = end, took
	if err != nil && len(b.readings) == 0 {
		b.wireFailed(m, err, end)
		return
	}
	if b.down > 0 {
		b.log.Info("bus is back", "bus", b.cfg.ID, "failures", b.down)
		b.down, b.err, b.since = 0, nil, end
	}
	if err != nil { // the connection broke on the way: what was not reached is unread
		for j := range m.registers {
			m.registers[j].err = errNotAsked
		}
	}
	b.identify(i, m)
	b.alarms(i, m, end)
	b.checks(m, b.readings, end)
	good, first, slowest, before := 0, error(nil), time.Duration(0), (*drivers.Error)(nil)
	for k := range b.readings {
		r := &b.readings[k]
		if r.Point == len(m.registers) {
			continue // its check_power
		}
		reg := &m.registers[r.Point]
		was := reg.err
		reg.err = r.Err
		if r.Err != nil {
			b.unread(reg, r, was, end)
			b.errs[drivers.KindOf(r.Err)]++
			before = m.erred(r.Err, before)
			if first == nil {
				first = r.Err
			}
			continue
		}
		if good++; good == 1 {
			m.heardClock(r, end)
		}
		slowest = max(slowest, r.Took)
		b.sample(m, reg, r, end, dated)
	}
	if good > 0 {
		m.latency.add(slowest)
	}
	if first == nil {
		first = err // the wire broke before any register was reached
	}
	b.judge(m, good, first, end)
}

func (b *bus) wireFailed(m *meter, err error, now time.Time) {
	b.errs[drivers.KindOf(err)]++
	m.erred(err, nil)
	if b.down == 0 {
		b.since = now
		b.log.Warn("bus cannot be used", "bus", b.cfg.ID, "error", err)
	}
	b.down++
	b.err = err
	b.judge(m, 0, err, now)
}

// judge moves the meter between ok and failing, and logs only the changes.
func (b *bus) judge(m *meter, good int, err error, now time.Time) {
	before := m.state()
	if good > 0 {
		b.over(m, now)
		m.answered = now
	} else {
		m.failures++
		m.err = err
		if m.failures == 1 && b.down == 0 {
			b.log.Warn("meter gives no reading", "meter", m.cfg.ID, "bus", b.cfg.ID, "error", err)
		}
	}
	if !m.ever || m.state() != before {
		m.since = now
	}
	m.ever = true
}

// over ends a meter's failures.
func (b *bus) over(m *meter, now time.Time) {
	if m.failures > 0 {
		b.log.Info("meter is read again", "meter", m.cfg.ID, "bus", b.cfg.ID, "failures", m.failures, "after", now.Sub(m.since).Round(time.Second))
		m.since = now
	}
	m.failures, m.err = 0, nil
}

// alive reports whether the goroutine gave a sign of life in good time.
func (b *bus) alive(now time.Time) bool {
	points := 0
	for _, m := range b.meters {
		points = max(points, len(m.registers))
	}
	limit := time.Minute + heartbeat + time.Duration(points+1)*(b.cfg.Timeout*2+b.cfg.Pause)
	return now.UnixNano()-b.beat.Load() < int64(limit)
}
