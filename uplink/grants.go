package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const (
	metaGrants = "uplink-grants"
	longPoll   = 50 * time.Second // what the relay is asked to wait for a change
	pollSlack  = 30 * time.Second // what an answer may take on top
	minPoll    = 5 * time.Second  // between polls of a relay that does not wait
	futureSet  = 24 * time.Hour   // a held set dated further ahead than this does not bar older ones
)

// heldSet is the set of grants in force, as it is kept in the outbox.
type heldSet struct {
	set      grant.Set
	Raw      []byte    `json:"raw"` // signed
	ETag     string    `json:"etag"`
	Received time.Time `json:"received"`
}

// loadGrants takes up the grants of the last run, so that a gateway that is
// offline still knows them. Their signer is checked as of when they came.
func (c *Client) loadGrants() {
	b, err := c.out.Meta(metaGrants)
	if err == nil && b == nil {
		return
	}
	var h heldSet
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err == nil {
		h.set, err = c.verify(h.Raw, h.Received)
	}
	if err == nil { // what is new in it was kept before it was
		_, err = c.endLocked(h.set.Grants)
	}
	if err != nil {
		c.log.Warn("the kept grants cannot be used: nothing is sent until the relay gives them again", "err", err)
		return
	}
	c.held = h
}

func (c *Client) verify(raw []byte, at time.Time) (grant.Set, error) {
	s, err := grant.Verify(raw, c.folder.root, scheme.EDP, at)
	if err == nil && s.Gateway != c.folder.Gateway {
		err = fmt.Errorf("grants: these are for %s, this gateway is %s", s.Gateway, c.folder.Gateway)
	}
	return s, err
}

// pollGrants keeps the grants up to date until ctx ends.
func (c *Client) pollGrants(ctx context.Context) {
	b := backoff{jitter: c.jitter}
	wait, etag := time.Duration(0), c.held.ETag // the first one at once
	for ctx.Err() == nil {
		began, asked := time.Now(), wait
		fresh, recalled, err := c.fetchGrants(ctx, wait, etag)
		c.keepTime()
		switch {
		case ctx.Err() != nil:
			return
		case recalled:
			wait, etag = 0, "" // whole and at once
			continue
		case err != nil:
			c.failed("grants", err)
			pause, firm := b.next(err)
			if !rest(ctx, pause, firm, c.recall) {
				return
			}
			wait, etag = 0, c.etag()
			continue
		}
		if c.succeeded("grants") || fresh {
			c.Notify() // the relay is back, or there are new grants: do not sit out a pause
		}
		b.reset()
		wait, etag = longPoll, c.etag()
		if took := time.Since(began); asked > 0 && took < minPoll && !rest(ctx, minPoll-took, 0, c.recall) {
			return
		}
	}
}

func (c *Client) etag() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held.ETag
}

// fetchGrants asks once. A recall that comes meanwhile ends it.
func (c *Client) fetchGrants(ctx context.Context, wait time.Duration, etag string) (fresh, recalled bool, err error) {
	pctx, cancel := context.WithTimeout(ctx, wait+pollSlack)
	defer cancel()
	done, said := make(chan struct{}), make(chan bool)
	go func() {
		select {
		case <-c.recall:
			cancel()
			said <- true
		case <-done:
			said <- false
		}
	}()
	h := http.Header{"Accept": {"application/json"}}
	if etag != "" {
		h.Set("If-None-Match", etag)
	}
	if wait > 0 {
		h.Set("Prefer", fmt.Sprintf("wait=%d", int(wait/time.Second)))
	}
	c.tellEnded(h)
	a, err := do(pctx, c.http, http.MethodGet, c.relay+"/gateway/v1/grants", h, nil, grant.MaxRaw)
	close(done)
	if recalled = <-said; recalled && err != nil {
		return false, true, nil
	}
	if err != nil {
		return false, false, err
	}
	c.noteClock(a.header)
	switch a.status {
	case http.StatusOK, http.StatusNotModified:
		c.hearTime(a.header)
	}
	switch a.status {
	case http.StatusOK:
		fresh, err = c.take(a.body, a.header.Get("ETag"))
		c.hearCode(fresh)
		return fresh, recalled, err
	case http.StatusNotModified:
		return false, recalled, c.reopen(nil)
	default:
		return false, recalled, a.refused(c.now())
	}
}

// take puts a set of grants in force: in memory first, so that a withdrawal
// counts even where the disk is full, then in the outbox.
func (c *Client) take(raw []byte, etag string) (fresh bool, err error) {
	now := c.now()
	s, err := c.verify(raw, now)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	if old := c.held.set.Issued; s.Issued.Before(old) && old.Before(now.Add(futureSet)) {
		c.mu.Unlock()
		return false, fmt.Errorf("grants: a set of %s came, older than the one of %s held: refused as a replay; the relay's clock may have been set back",
			s.Issued.Format(time.RFC3339), old.Format(time.RFC3339))
	}
	fresh = string(c.held.Raw) != string(raw)
	over, overErr := c.endLocked(s.Grants)
	gone := forgotten(c.held.set.Grants, s.Grants)
	c.held = heldSet{set: s, Raw: slices.Clone(raw), ETag: etag, Received: now.UTC()}
	kept, jsonErr := json.Marshal(c.held)
	if f := c.inFlight; f != nil && !permitted(s.Grants, c.instantLocked(), f.batch) {
		f.cancel(errWithdrawn)
	}
	c.mu.Unlock()
	if !fresh {
		return false, nil
	}
	c.log.Info("new grants", "grants", len(s.Grants), "issued", s.Issued)
	// Noted before the set is kept: after a crash in between the older set is
	// found again, and the same is noted once more.
	if err := c.reopen(gone); err != nil {
		return true, err
	}
	if over != nil {
		overErr = errors.Join(overErr, c.out.SetMeta(metaEnded, over))
	}
	if err := errors.Join(overErr, jsonErr, c.out.SetMeta(metaGrants, kept)); err != nil {
		return true, fmt.Errorf("the grants could not be kept, they hold until the next start: %w", err)
	}
	return true, nil
}

// live gives the grants that are live now, in the order of their identifiers,
// and what now is.
func (c *Client) live() ([]grant.Grant, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.instantLocked()
	var live []grant.Grant
	for _, g := range c.held.set.Grants {
		if g.Live(now) {
			live = append(live, g)
		}
	}
	slices.SortFunc(live, func(a, b grant.Grant) int { return strings.Compare(a.ID, b.ID) })
	return live, now
}

// permitted reports whether everything in a batch may leave at the instant now.
func permitted(grants []grant.Grant, now time.Time, b *batch.Signed) bool {
	for _, s := range b.Series {
		k := energy.Key{Meter: s.Meter, Measure: s.Measure}
		ws := windows(grants, now, k)
		// Windows are merged, so a run of half-hours lies within one or is not covered.
		if !slices.ContainsFunc(ws, func(w window) bool { return !s.First.Before(w.from) && !s.End().After(w.to) }) {
			return false
		}
	}
	for _, s := range b.Baseline {
		if !allows(grants, now, energy.Key{Meter: s.Meter, Measure: s.Measure}, s.At) {
			return false
		}
	}
	return true
}

func allows(grants []grant.Grant, now time.Time, k energy.Key, at time.Time) bool {
	return slices.ContainsFunc(grants, func(g grant.Grant) bool { return g.Allows(now, k, at) })
}

// window is a stretch of starts of half-hours that may leave: [from, to), cut
// to half-hours.
type window struct{ from, to time.Time }

// windows gives what live grants allow of a register, merged and in order.
func windows(grants []grant.Grant, now time.Time, k energy.Key) []window {
	var ws []window
	for _, g := range grants {
		covers := slices.Contains(g.Covers, grant.Cover{Meter: k.Meter, Measure: k.Measure})
		if w := (window{ceil(g.From), ceil(g.Expires)}); covers && g.Live(now) && w.from.Before(w.to) {
			ws = append(ws, w)
		}
	}
	slices.SortFunc(ws, func(a, b window) int { return a.from.Compare(b.from) })
	var out []window
	for _, w := range ws {
		if n := len(out); n > 0 && !w.from.After(out[n-1].to) {
			if w.to.After(out[n-1].to) {
				out[n-1].to = w.to
			}
			continue
		}
		out = append(out, w)
	}
	return out
}

// ceil is the first start of a half-hour at or after t.
func ceil(t time.Time) time.Time {
	if c := t.Truncate(energy.Period); c.Equal(t) {
		return c
	} else {
		return c.Add(energy.Period)
	}
}
