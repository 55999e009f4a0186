package site

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"
)

// Heading is the first line of a file of truth: each line after it is one
// register's period. energy is what flowed in it and register what the meter
// shows at its end, both in the unit (Wh, varh or L); a power and a feed of
// half-hours have no register.
const Heading = "meter,measure,start,end,unit,energy,register"

// book writes the truth of each period when it is over, until ctx ends.
func (s *Site) book(ctx context.Context) error {
	if s.opt.Truth == "" {
		<-ctx.Done()
		return nil
	}
	file, err := os.Create(s.opt.Truth)
	if err != nil {
		return fmt.Errorf("truth: %w", err)
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, Heading)
	from := s.oldest()
	for {
		from = s.periods(w, from)
		if err := w.Flush(); err != nil {
			return fmt.Errorf("truth: %w", err)
		}
		if !wait(ctx, 100*time.Millisecond) {
			s.periods(w, from)
			return errors.Join(w.Flush(), file.Sync())
		}
	}
}

// oldest is where the truth begins: the first period of any bus.
func (s *Site) oldest() time.Time {
	from := s.start
	for _, b := range s.buses {
		if !b.history.IsZero() && b.history.Before(from) {
			from = b.history
		}
	}
	return from.Truncate(s.cfg.Period)
}

// periods writes those that have ended since, and says up to when.
func (s *Site) periods(w io.Writer, from time.Time) time.Time {
	now := s.opt.Now()
	for end := from.Add(s.cfg.Period); !end.After(now); end = end.Add(s.cfg.Period) {
		for _, b := range s.buses {
			if first := b.first(s.start); end.Add(-s.cfg.Period).Before(first) {
				continue
			}
			for _, src := range b.sources {
				for _, r := range src.registers {
					s.period(w, b, r, end)
				}
			}
		}
		from = end
	}
	return from
}

// first is when the truth of a bus begins.
func (b *bus) first(start time.Time) time.Time {
	if !b.history.IsZero() {
		return b.history
	}
	return start
}

func (s *Site) period(w io.Writer, b *bus, r *register, end time.Time) {
	start, shown := end.Add(-s.cfg.Period), ""
	interval := r.cfg.Heard != nil && r.cfg.Heard.Interval > 0
	if !r.cfg.Power && b.history.IsZero() && !interval {
		shown = fmt.Sprint(r.shown(end))
	}
	fmt.Fprintf(w, "%s,%s,%s,%s,%s,%d,%s\n", r.meter, r.cfg.Measure, start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339),
		r.cfg.Measure.BaseUnit(), r.flowed(end)-r.flowed(start), shown)
}

// prefixOf is the first part of a display's topics: the path of its broker's
// address.
func prefixOf(address string) string {
	if u, err := url.Parse(address); err == nil && strings.Trim(u.Path, "/") != "" {
		return strings.Trim(u.Path, "/")
	}
	return "glow"
}
