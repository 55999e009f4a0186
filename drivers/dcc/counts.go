package dcc

import (
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// counts is what a feed has given so far. Feeds are slow: a lock costs nothing.
type counts struct {
	tallies []drivers.Tally // by device

	mu   sync.Mutex
	wire drivers.Wire
	to   *drivers.Tally // of the device that is asked for; the puller's own
}

func newCounts(devices int) *counts { return &counts{tallies: make([]drivers.Tally, devices)} }

// Traffic is that of one device; see drivers.Observer.
func (c *counts) Traffic(device int) drivers.Traffic { return c.tallies[device].Traffic() }

// Wire is that of the feed; see drivers.Observer.
func (c *counts) Wire() drivers.Wire {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.wire
	if w.Feed != nil {
		f := *w.Feed
		f.Statuses = maps.Clone(f.Statuses)
		w.Feed = &f
	}
	if w.Messages != nil {
		m := *w.Messages
		w.Messages = &m
	}
	return w
}

// with lets f change what is counted of the feed as a whole.
func (c *counts) with(f func(w *drivers.Wire)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.wire)
}

// answered counts a request to a web API and its answer; status 0 is none.
// What is asked for the sake of all, such as a login, counts for the device
// whose turn it is.
func (c *counts) answered(sent, received, status int) {
	if c.to != nil {
		c.to.Asked(sent)
		c.to.Received(received)
	}
	c.with(func(w *drivers.Wire) {
		if w.Feed == nil {
			w.Feed = &drivers.FeedCounts{}
		}
		if w.Feed.Statuses == nil {
			w.Feed.Statuses = map[string]uint64{}
		}
		w.Feed.Statuses[statusKind(status)]++
		w.Traffic = w.Add(drivers.Traffic{Requests: 1, BytesOut: uint64(sent), BytesIn: uint64(received)})
	})
}

// statusKind sorts HTTP statuses: those that ask something of the installer
// have their own, so that there are never more than a few.
func statusKind(status int) string {
	switch {
	case status == 401, status == 403, status == 404, status == 429:
		return strconv.Itoa(status)
	case status >= 200 && status < 600:
		return strconv.Itoa(status/100) + "xx"
	}
	return "none"
}

// gave notes that the feed gave something.
func (c *counts) gave(now time.Time, f func(*drivers.FeedCounts)) {
	c.with(func(w *drivers.Wire) {
		if w.Feed == nil {
			w.Feed = &drivers.FeedCounts{}
		}
		w.Feed.Fetched = now.UTC()
		if f != nil {
			f(w.Feed)
		}
	})
}

var (
	_ drivers.Observer = (*puller)(nil)
	_ drivers.Observer = (*folder)(nil)
	_ drivers.Observer = (*glow)(nil)
)
