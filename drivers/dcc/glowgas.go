package dcc

import "time"

// refresh dates the readings of a register that a display fetches from its
// meter now and then, and shows all the time: a gas meter wakes up every half
// hour. The time of a message is not that of the register.
//
// Where the value changes between two messages, the register has just been
// fetched. Where it stays, and has been fetched again, it was the same all the
// time until then, since a register does not go back. Of a value that is
// neither, nobody knows when it was.
type refresh struct {
	have  bool
	value int64
	since time.Time // the value was shown from then on
	seen  time.Time // the last message
	given time.Time // the newest time that a reading was dated
}

const (
	// refreshed is how long a display may show a value before it has fetched it
	// again: half an hour, and some for its radio.
	refreshed = 35 * time.Minute
	// sharp is between two messages that show when a value changed.
	sharp = 2 * time.Minute
)

// hear takes what was shown at a time, and gives the time when the register
// had that value; ok is false where that is not known, or was said before.
func (r *refresh) hear(at time.Time, v int64) (t time.Time, ok bool) {
	gap := at.Sub(r.seen)
	if r.have && gap < 0 {
		return t, false // out of order
	}
	seen := r.have
	r.seen = at
	switch {
	case !seen || v != r.value:
		r.have, r.value, r.since = true, v, at
		if !seen || gap > sharp {
			return t, false
		}
		t = at
	default:
		if t = at.Add(-refreshed); t.Before(r.since) {
			return t, false
		}
	}
	if !t.After(r.given) {
		return t, false
	}
	r.given = t
	return t, true
}
