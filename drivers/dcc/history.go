package dcc

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

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
		readings = append(readings, drivers.Reading{Point: s.point, Took: s.took, Interval: energy.Period, Sample: energy.Sample{At: h.end, Value: h.value}})
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
		if end < forget { // mutate: a day earlier or later would do as well
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
	if len(b) > 0 { // mutate: nothing is no JSON either, and as good as nothing
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
