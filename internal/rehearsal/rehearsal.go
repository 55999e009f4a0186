// Package rehearsal is a clock for demonstrations: it begins in the past, runs
// faster than life until it has caught up with the present, and from then on
// is the time of day. perseus-sim and an agent that polls it share one, so
// that an hour of metering can be watched in half a minute.
package rehearsal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Clock is a rehearsal clock. The zero value is the time of day.
type Clock struct {
	anchor time.Time // the instant at which the rehearsal began
	from   time.Time // what the clock showed then
	speed  int64
}

// New makes a clock that shows from at the instant anchor and runs speed times
// as fast as life until it has caught up.
func New(anchor, from time.Time, speed int) (Clock, error) {
	if speed < 2 || speed > 1000 || !from.Before(anchor) {
		return Clock{}, errors.New("a rehearsal begins in the past and runs 2 to 1000 times as fast as life")
	}
	return Clock{anchor.UTC(), from.UTC(), int64(speed)}, nil
}

// At is what the clock shows at the instant now. It never goes back and never
// runs ahead of now.
func (c Clock) At(now time.Time) time.Time {
	if c.speed == 0 {
		return now
	}
	since := now.Sub(c.anchor)
	if behind := c.anchor.Sub(c.from); since >= behind/time.Duration(c.speed-1) {
		return now // caught up
	}
	if since < 0 {
		since = 0
	}
	return c.from.Add(since * time.Duration(c.speed))
}

// Now is what the clock shows now.
func (c Clock) Now() time.Time { return c.At(time.Now()) }

// Takes is how long it is, while the clock catches up, until it has gone on by d.
func (c Clock) Takes(d time.Duration) time.Duration { return d / time.Duration(max(c.speed, 1)) }

// CatchUp is the instant from which the clock is the time of day.
func (c Clock) CatchUp() time.Time {
	if c.speed == 0 {
		return time.Time{}
	}
	return c.anchor.Add(c.anchor.Sub(c.from) / time.Duration(c.speed-1))
}

// Set reads what String wrote: "ANCHOR,FROM,SPEED". It makes Clock a flag.Value.
func (c *Clock) Set(s string) error {
	parts := strings.Split(s, ",")
	if len(parts) != 3 {
		return fmt.Errorf("rehearsal clock %q: give ANCHOR,FROM,SPEED such as 2026-11-01T12:00:00Z,2026-11-01T11:00:00Z,120", s)
	}
	anchor, err1 := time.Parse(time.RFC3339Nano, parts[0])
	from, err2 := time.Parse(time.RFC3339Nano, parts[1])
	speed, err3 := strconv.Atoi(parts[2])
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("rehearsal clock %q: %w", s, err)
	}
	v, err := New(anchor, from, speed)
	if err == nil {
		*c = v
	}
	return err
}

// String writes the clock so that another program can share it.
func (c Clock) String() string {
	if c.speed == 0 {
		return ""
	}
	return fmt.Sprintf("%s,%s,%d", c.anchor.Format(time.RFC3339Nano), c.from.Format(time.RFC3339Nano), c.speed)
}
