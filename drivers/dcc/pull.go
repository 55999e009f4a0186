package dcc

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// source is a web API that gives half-hours when asked.
type source interface {
	span() time.Duration  // the longest that one request may ask for
	every() time.Duration // between two rounds
	// fetch gives what it has of the half-hours that end in (from, to], in any order.
	fetch(ctx context.Context, s *series, from, to time.Time) ([]half, error)
	counted() *counts
}

// What is read again, and how far back.
const (
	historyMonths = 13                  // what a SMETS2 meter keeps of active import
	reread        = 7 * 24 * time.Hour  // feeds correct themselves that late (Energy Sparks reads as much again)
	deepBack      = 30 * 24 * time.Hour // gaps that are filled in later: read again once a day
	deepEvery     = 24 * time.Hour
	patience      = 90 * 24 * time.Hour // a meter that could not be reached for so long is still waited for
	politely      = time.Second         // between two requests
)

// puller asks a source for what is new, for what was corrected and, at first,
// for the history.
type puller struct {
	*counts
	cfg    Config
	src    source
	series []*series
	first  int                                             // the series that is asked first
	wait   func(ctx context.Context, d time.Duration) bool // false: ctx ended

	health sync.Mutex
	err    error
}

// series is one measure of one device.
type series struct {
	device, point int
	name          string // of the device
	measure       energy.Measure
	mark          string
	read          time.Time       // all that ended by then was read; zero: nothing yet
	loaded        bool            // read was fetched from Marks
	newest        time.Time       // end of the newest half-hour that had a value
	known         map[int64]int64 // what was stored lately, by its end; -1: nothing, since it was no value
	deep          time.Time       // when deepBack was read again last
	next          time.Time       // when it is to be asked again
	failures      int             // in a row
	took          time.Duration   // the last request that was answered
}

func newPuller(c Config, src source) *puller {
	p := &puller{counts: src.counted(), cfg: c, src: src, wait: wait, err: errNotYet}
	for i, d := range c.Devices {
		for j, m := range d.Measures {
			p.series = append(p.series, &series{
				device: i, point: j, name: d.Name, measure: m, known: map[int64]int64{},
				mark: fmt.Sprintf("dcc/%s/%s/%s/%s", c.Format, d.Meter, d.Name, m),
			})
		}
	}
	return p
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Health says why nothing can be read; nil where at least one meter can.
func (p *puller) Health() error {
	p.health.Lock()
	defer p.health.Unlock()
	return p.err
}

func (p *puller) healthIs(err error) {
	p.health.Lock()
	defer p.health.Unlock()
	p.err = err
}

// Listen asks in rounds until ctx ends.
func (p *puller) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	for ctx.Err() == nil {
		if !p.wait(ctx, p.round(ctx, deliver)) {
			break
		}
	}
	return nil
}

// round asks for the series that are due, and says how long to wait then.
func (p *puller) round(ctx context.Context, deliver func(int, []drivers.Reading)) time.Duration {
	now := p.cfg.Now()
	var worst error
	worked := false
	for k := range p.series {
		i := (p.first + k) % len(p.series)
		s := p.series[i]
		if left := s.next.Sub(now); left > 0 && left <= maxRetry { // more: the clock was set back
			worked = worked || s.failures == 0
			continue
		}
		f := p.pull(ctx, s, deliver)
		if ctx.Err() != nil {
			return 0
		}
		now = p.cfg.Now()
		if f == nil {
			s.failures, s.next, worked = 0, now.Add(p.pace(s, now)), true
			continue
		}
		p.cfg.Logger.Debug("not read", "format", p.cfg.Format, "meter", p.cfg.Devices[s.device].Meter, "error", f.Error)
		worst = f.Error
		s.failures++
		s.next = now.Add(p.pause(s, f))
		if f.all {
			for _, other := range p.series {
				if other.next.Before(s.next) { // mutate: equal is set to equal
					other.next = s.next
				}
			}
			p.first, worked = i+1, false // the others come first then
			break
		}
		deliver(s.device, []drivers.Reading{{Point: s.point, Err: f.Error}})
	}
	switch {
	case worked || len(p.series) == 0:
		p.healthIs(nil)
	case worst != nil:
		p.healthIs(worst)
	}
	next := now.Add(p.src.every())
	for _, s := range p.series {
		if s.next.Before(next) {
			next = s.next
		}
	}
	return max(next.Sub(now), politely)
}

// The pace after failures, and of meters that give nothing new.
const (
	firstPause = time.Minute
	lastPause  = time.Hour
	slowPace   = 6 * time.Hour
	fallsQuiet = 2 * 24 * time.Hour
)

// pace is how long to wait after a success.
func (p *puller) pace(s *series, now time.Time) time.Duration {
	if now.Sub(s.newest) > fallsQuiet { // mutate: a round later is as good
		return max(slowPace, p.src.every())
	}
	return p.src.every()
}

// pause is how long to wait after a failure.
func (p *puller) pause(s *series, f *failure) time.Duration {
	if !f.soon {
		return max(slowPace, f.wait)
	}
	d := firstPause << min(s.failures-1, 10)
	return max(min(d, lastPause), f.wait)
}

// pull reads what a series has that is new, window by window.
func (p *puller) pull(ctx context.Context, s *series, deliver func(int, []drivers.Reading)) *failure {
	op := fmt.Sprintf("read %s of %s", s.measure, s.name)
	// What cannot be stored now is not asked for either: the agent says no by
	// Settle alone, as while its clock cannot be trusted.
	if err := p.cfg.Marks.Settle(); err != nil {
		return &failure{Error: &drivers.Error{Kind: drivers.Refused, Op: op, Err: fmt.Errorf("nothing can be stored yet: %w", err)}, soon: true, all: true}
	}
	now := p.cfg.Now()
	if err := p.load(s, now); err != nil {
		return &failure{Error: &drivers.Error{Kind: drivers.Refused, Op: op, Err: err}, soon: true, all: true}
	}
	deep := s.deep.IsZero() || now.Sub(s.deep) >= deepEvery || now.Before(s.deep) // mutate: a round later is as good
	for i, w := range windows(s.read, now, p.src.span(), deep) {
		if i > 0 && !p.wait(ctx, politely) {
			return nil
		}
		asked := time.Now()
		p.to = &p.tallies[s.device]
		all, err := p.src.fetch(ctx, s, w.from, w.to)
		if err != nil {
			return failed(op, err)
		}
		p.gave(now, nil)
		s.took = time.Since(asked)
		if f := p.store(s, w, tidy(all, now), now, deliver); f != nil {
			f.Op = op
			return f
		}
		p.healthIs(nil) // a first history takes minutes, in which all is well
	}
	if deep {
		s.deep = now
	}
	return nil
}
