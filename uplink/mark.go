package uplink

import (
	"net/http"
	"time"
)

// The latest instant that this gateway knows to have come. Grants are judged by
// it where the clock shows less: a clock that was set back, by a hand, a flat
// battery or a start without network, must not give a grant that has run out
// another life.
//
// The gateway's own clock moves it forward, and the relay's word, which comes
// over mutual TLS, sets it either way: so a clock that was wrongly ahead locks
// the gateway out only until it has reached the relay, without which nothing
// can be sent anyway.
const (
	metaLatest = "uplink-latest"
	keepLatest = time.Hour // it is kept when it has moved by so much: not every minute, for the sake of the flash
	wordSlack  = time.Minute
)

// loadLatest takes up the mark of the last run.
func (c *Client) loadLatest() {
	b, err := c.out.Meta(metaLatest)
	var t time.Time
	if err == nil && b != nil {
		err = t.UnmarshalText(b)
	}
	if err != nil {
		c.log.Warn("the time of the last run is not known any more", "err", err)
		return
	}
	c.latest, c.keptLatest = t, t
}

// instantLocked is the time by which grants are judged: never before the mark,
// nor before the issue of the set held.
func (c *Client) instantLocked() time.Time {
	now := c.now()
	if now.After(c.latest) {
		c.latest = now.UTC().Round(0)
	}
	if c.latest.After(now) {
		now = c.latest
	}
	if c.held.set.Issued.After(now) {
		now = c.held.set.Issued
	}
	return now
}

// hearTime takes the relay's word for what time it is.
func (c *Client) hearTime(h http.Header) {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	back := c.latest.Sub(t)
	c.latest = t.UTC()
	c.mu.Unlock()
	if back > wordSlack {
		c.log.Info("the clock was ahead of the relay's: grants are judged by the relay's time", "by", back.Round(time.Second))
		c.Notify()
	}
}

// keepTime keeps the mark where it has moved far enough, forward or back.
func (c *Client) keepTime() {
	c.mu.Lock()
	c.instantLocked()
	at, moved := c.latest, c.latest.Sub(c.keptLatest)
	c.mu.Unlock()
	if moved.Abs() < keepLatest {
		return
	}
	b, err := at.MarshalText()
	if err == nil {
		err = c.out.SetMeta(metaLatest, b)
	}
	if err != nil {
		c.log.Warn("the time could not be kept, it holds until the next start", "err", err)
		return
	}
	c.mu.Lock()
	c.keptLatest = at
	c.mu.Unlock()
}
