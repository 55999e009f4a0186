package simulation

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// patience is how long a half-hour may take to be settled.
func (c *channel) patience() time.Duration { return 2*time.Hour + 10*time.Minute }

// calmSince reports whether the register was read without a fault for so long
// that nothing can be held any more.
func (c *channel) calmSince(now time.Time) bool {
	if now.Sub(c.upset) < c.patience() || c.good < 0 {
		return false
	}
	first := c.good
	last := now
	for ; first >= 0; first-- {
		d := &c.log[first]
		if d.lost || last.Sub(d.real) > 32*time.Minute {
			return false
		}
		if d.good {
			last = d.real
		}
		if now.Sub(d.real) > c.patience() {
			return d.fit == c.log[c.good].fit
		}
	}
	return false
}

// isKept checks that what is stored is what was committed.
func (o *oracle) isKept(w *watched, n int, h *energy.HalfHour) {
	v := o.hash(h)
	if n >= 0 && n < len(w.kept) && w.kept[n] == v {
		return
	}
	for _, u := range w.other[n] {
		if u == v {
			return
		}
	}
	o.report("kept", fmt.Sprintf("%s %s: %s was never committed", w.key, h.Start, words(h)))
}

// hole judges half-hours that are not there at all.
func (o *oracle) hole(w *watched, from, to int) {
	if from < w.born || w.made != nil || w.own != nil || o.excused || !w.calmSince(o.now) || w.forgotten(boundary(from), boundary(to)) {
		return
	}
	o.report("complete", fmt.Sprintf("%s: nothing from %s to %s", w.key, boundary(from), boundary(to)))
}

// unknown reports whether the energy over a whole stretch, or part of it, cannot be known.
func (c *channel) unknown(from, to time.Time) bool {
	for i := len(c.resets) - 1; i >= 0; i-- {
		if r := c.resets[i]; r.from.Before(to) && r.until.After(from) {
			return true
		}
	}
	return false
}

// forgotten reports whether the agent lost what it knew about a stretch.
func (c *channel) forgotten(from, to time.Time) bool {
	for _, r := range c.resets {
		if r.hole && r.from.Add(-energy.Period).Before(to) && r.to.Add(energy.Period).After(from) {
			return true
		}
	}
	return false
}
