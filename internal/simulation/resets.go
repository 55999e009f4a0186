package simulation

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// reset is a stretch between two good samples over which the energy cannot be
// known for sure. Where it must be missing, no value whatever is right.
type reset struct {
	span
	known time.Time // from may be earlier than this, where what the agent kept is not known for sure
	must  bool
	hole  bool      // there need not even be a half-hour that says so
	was   int       // the meter before it
	fit   int       // the meter after it
	zeros time.Time // since when it showed nothing but 0, see begins; zero: that is over
	until time.Time // and up to when it did
	n     int       // of these 0 in a row, up to 5
}

// begins looks at the samples after a break, of which the register begins
// anew. While they are 0 nobody can tell them from an answer that is none
// (feeds.md 3.1, rule 5): the register is not known before its first value, or
// before 0 has lasted for two periods and five samples.
func (r *reset) begins(d delivery) {
	switch {
	case r.zeros.IsZero():
		return
	case !d.good:
		r.n = 0
		return
	case d.value > 0:
		r.until, r.zeros = d.real, time.Time{}
		return
	}
	if r.n++; r.n == 1 {
		r.zeros = d.real
	}
	r.until = d.real
	if r.n >= 5 && d.real.Sub(r.zeros) >= 2*energy.Period {
		r.until, r.zeros = r.zeros, time.Time{}
	}
}

// gap notes between which two good samples the energy cannot be known: another
// meter hangs there, or the register may have wrapped more often than once, or
// from too far below its modulus or by more than the meter can deliver in the
// time (feeds.md 3.1, rule 4).
// The agent goes on from known, or from a where its last round was not stored.
func (c *channel) gap(a, known, b delivery) {
	unknown := a.fit != b.fit
	if !unknown && c.modulus > 0 {
		adv := b.counted - a.counted
		could := int64(float64(c.rating) * (b.real.Sub(a.real).Hours() + 0.5))
		wrapped := a.value+adv >= c.modulus
		unknown = could > c.modulus/2 || wrapped && (a.value < c.modulus-c.modulus/10 || adv > c.modulus/10 || adv > could)
	}
	if unknown || c.anew || b.real.Sub(a.real) > 399*24*time.Hour {
		r := reset{span: span{a.real, b.real}, known: known.real, must: known.fit != b.fit, hole: c.anew || b.real.Sub(a.real) > 399*24*time.Hour, was: known.fit, fit: b.fit, until: b.real}
		if b.value == 0 {
			r.zeros, r.n = b.real, 1
		}
		c.resets = append(c.resets, r)
	}
	c.anew = false
}
