package uplink

import (
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// forgotten gives what the relay has deleted when one set of grants follows
// another: the half-hours of every grant that was withdrawn in between, unless
// another one covered them all the while. They were acknowledged once; a new
// permission must find them pending, or its history would have a hole.
func forgotten(before, after []grant.Grant) (spans []energy.Span) {
	for _, g := range before {
		if !g.Revoked.IsZero() {
			continue // known to be withdrawn already
		}
		i := slices.IndexFunc(after, func(n grant.Grant) bool { return n.ID == g.ID })
		if i >= 0 && after[i].Revoked.IsZero() {
			continue
		}
		var withdrawn time.Time // zero: not told any more, so any time ago
		if i >= 0 {
			withdrawn = after[i].Revoked
		}
		for _, c := range g.Covers {
			if !slices.ContainsFunc(after, func(n grant.Grant) bool { return keeps(n, g, c, withdrawn) }) {
				spans = append(spans, energy.Span{Key: energy.Key{Meter: c.Meter, Measure: c.Measure}, From: ceil(g.From), To: ceil(g.Expires)})
			}
		}
	}
	return spans
}

// keeps reports whether the relay kept the half-hours of a cover of g, because
// the grant n covered them as well when g was withdrawn.
func keeps(n, g grant.Grant, c grant.Cover, withdrawn time.Time) bool {
	return n.ID != g.ID && n.Revoked.IsZero() && slices.Contains(n.Covers, c) &&
		!n.From.After(g.From) && n.Granted.Before(withdrawn)
}

// covered gives all that the live grants cover.
func covered(live []grant.Grant) (spans []energy.Span) {
	for _, g := range live {
		for _, c := range g.Covers {
			spans = append(spans, energy.Span{Key: energy.Key{Meter: c.Meter, Measure: c.Measure}, From: ceil(g.From), To: ceil(g.Expires)})
		}
	}
	return spans
}

// reopen makes pending again what the relay does not have any more, together
// with what an earlier failure (a full disk) left undone.
func (c *Client) reopen(spans []energy.Span) error {
	c.lost = append(c.lost, spans...)
	if len(c.lost) == 0 {
		return nil
	}
	// A sealed batch may be at the relay, its answer lost: its number and hash
	// are known there, its half-hours deleted with the others. Offered again it
	// would be acknowledged for nothing, so that it is made anew.
	if err := c.out.Unseal(); err != nil {
		return fmt.Errorf("the batches that wait could not be taken back, will try again: %w", err)
	}
	if err := c.out.Reopen(c.lost); err != nil {
		return fmt.Errorf("what the relay deleted could not be noted, will try again: %w", err)
	}
	c.lost = nil
	return nil
}
