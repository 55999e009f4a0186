package dcc

import (
	"context"
	"encoding/json"
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
}

// What is read again, and how far back.
const (
	historyMonths = 13                  // what a SMETS2 meter keeps of active import
	reread        = 7 * 24 * time.Hour  // feeds correct themselves that late (Energy Sparks reads as much again)
	deepBack      = 30 * 24 * time.Hour // gaps that are filled in later: read again once a day
	deepEvery     = 24 * time.Hour
	patience      = 90 * 24 * time.Hour // a meter that could not be reached for so long is still waited for
	politely      = time.Second // between two requests
)

// puller asks a source for what is new, for what was corrected and, at first,
// for the history.
type puller struct {
	cfg    Config
	src    source
	series []*series
	first  int                                             // the series that is asked first
	wait   func(ctx context.Context, d time.Duration) bool // false: ctx ended

	mu  sync.Mutex
	err error
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
}

func newPuller(c Config, src source) *puller {
	p := &puller{cfg: c, src: src, wait: wait, err: errNotYet}
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
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *puller) healthIs(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
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
				if !other.next.After(now) {
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
	if now.Sub(s.newest) > fallsQuiet {
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
	deep := s.deep.IsZero() || now.Sub(s.deep) >= deepEvery || now.Before(s.deep)
	for i, w := range windows(s.read, now, p.src.span(), deep) {
		if i > 0 && !p.wait(ctx, politely) {
			return nil
		}
		all, err := p.src.fetch(ctx, s, w.from, w.to)
		if err != nil {
			return failed(op, err)
		}
		if f := p.store(s, w, tidy(all, now), now, deliver); f != nil {
			f.Op = op
			return f
		}
	}
	if deep {
		s.deep = now
	}
	return nil
}

// window is a stretch of half-hours that end in (from, to].
type window struct{ from, to time.Time }

// windows are what to ask for, the oldest first: the history where nothing was
// read yet, else what came since, and what may have been corrected; with deep,
// also what may have been filled in.
func windows(read, now time.Time, span time.Duration, deep bool) (out []window) {
	oldest := now.AddDate(0, -historyMonths, 0)
	from := oldest
	read = sensible(read, now)
	again := read.Add(-reread)
	if t := now.Add(-deepBack); deep && t.Before(again) {
		again = t
	}
	if again.After(from) {
		from = again
	}
	from = from.UTC().Truncate(24 * time.Hour)
	end := now.UTC().Truncate(energy.Period)
	for from.Before(end) {
		to := from.Add(span)
		if to.After(end) {
			to = end
		}
		out = append(out, window{from, to})
		from = to
	}
	return out
}

// store delivers what is new in a window, waits until it is kept, and moves the
// mark on.
func (p *puller) store(s *series, w window, all []half, now time.Time, deliver func(int, []drivers.Reading)) *failure {
	broken := func(err error) *failure {
		return &failure{Error: &drivers.Error{Kind: drivers.Refused, Err: err}, soon: true, all: true}
	}
	var readings []drivers.Reading
	wrong, first := 0, half{}
	news := map[int64]int64{}
	newest := s.newest
	for _, h := range all {
		if !h.end.After(w.from) || h.end.After(w.to) {
			continue // it was not asked for
		}
		v := h.value
		if h.wrong != "" {
			v = -1
		} else if h.end.After(newest) {
			newest = h.end
		}
		if old, had := s.known[h.end.Unix()]; had && old == v {
			continue
		}
		news[h.end.Unix()] = v
		if h.wrong != "" {
			if wrong++; wrong == 1 {
				first = h
			}
			continue
		}
		readings = append(readings, drivers.Reading{Point: s.point, Interval: energy.Period, Sample: energy.Sample{At: h.end, Value: h.value}})
	}
	if wrong > 0 {
		deliver(s.device, []drivers.Reading{{Point: s.point, Err: &drivers.Error{
			Kind: drivers.Sentinel, Op: "half-hour that ends " + first.end.Format(time.RFC3339), Err: fmt.Errorf("%s%s", first.wrong, more(wrong-1)),
		}}})
	}
	for len(readings) > 0 {
		n := min(len(readings), atOnce)
		deliver(s.device, readings[:n])
		readings = readings[n:]
		if err := p.cfg.Marks.Settle(); err != nil {
			return broken(fmt.Errorf("what was read cannot be stored yet: %w", err))
		}
	}
	read := s.read
	for _, t := range []time.Time{newest, earlier(w.to, now.Add(-patience))} {
		if t.After(read) {
			read = t
		}
	}
	if !read.Equal(s.read) {
		b, err := json.Marshal(marked{read})
		if err == nil {
			err = p.cfg.Marks.SetMeta(s.mark, b)
		}
		if err != nil {
			return broken(fmt.Errorf("how far it was read cannot be kept: %w", err))
		}
	}
	s.read, s.newest = read, newest
	for end, v := range news {
		s.known[end] = v
	}
	forget := earlier(read.Add(-reread), now.Add(-deepBack)).Add(-24 * time.Hour).Unix()
	for end := range s.known {
		if end < forget {
			delete(s.known, end)
		}
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more half-hours have no value)", n)
}

// marked is a mark as it is kept.
type marked struct {
	Read time.Time `json:"read"`
}

// load fetches how far a series was read. What cannot be understood is as
// nothing: it is read anew.
func (p *puller) load(s *series, now time.Time) error {
	if s.loaded {
		return nil
	}
	b, err := p.cfg.Marks.Meta(s.mark)
	if err != nil {
		return fmt.Errorf("how far it was read is not known: %w", err)
	}
	var m marked
	if len(b) > 0 {
		if err := json.Unmarshal(b, &m); err != nil {
			p.cfg.Logger.Warn("how far a feed was read is not understood: it is read anew", "mark", s.mark, "error", err)
			m = marked{}
		}
	}
	s.read, s.loaded = sensible(m.Read.UTC(), now), true
	return nil
}

// sensible judges a mark in the future: where our clock was set back a little it
// holds, else a wrong clock made it, and nobody knows what was read.
func sensible(read, now time.Time) time.Time {
	switch {
	case read.Sub(now) > 24*time.Hour:
		return time.Time{}
	case read.After(now):
		return now
	}
	return read
}
