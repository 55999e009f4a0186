package simulation

import "time"

// episodes are stretches of time in which something is the matter, one after
// the other, with time between them. They are asked in the order of time.
type episodes struct {
	chance
	between     time.Duration // from the end of one to the start of the next, in mean
	least, most time.Duration // how long one lasts
	calm        *calm         // when there must be none; nil: never

	i        int64
	from, to time.Time // of episode i
}

// at says whether an episode is on at an instant, and which: its number.
func (e *episodes) at(t time.Time) (i int64, on bool) {
	if e.to.IsZero() {
		e.from, e.to = epoch, epoch
	}
	for !t.Before(e.to) {
		e.i++
		e.from = e.to.Add(time.Second + e.wait(3*e.i, e.between))
		e.to = e.from.Add(e.lasting(3*e.i+1, e.least, e.most))
		e.to = e.calm.cut(e.from, e.to)
	}
	return e.i, !t.Before(e.from)
}

// calm is when nothing may be the matter: around a meter exchange, which only
// the register's fall gives away, and at the end of a simulation, so that the
// last half-hours can be settled.
type calm struct{ spans []span }

type span struct{ from, to time.Time }

// during reports whether an instant lies in the calm.
func (c *calm) during(t time.Time) bool {
	if c == nil {
		return false
	}
	for _, s := range c.spans {
		if !t.Before(s.from) && t.Before(s.to) {
			return true
		}
	}
	return false
}

// after gives t, or the end of the calm that it lies in.
func (c *calm) after(t time.Time) time.Time {
	for _, s := range c.spans {
		if !t.Before(s.from) && t.Before(s.to) {
			t = s.to
		}
	}
	return t
}

// cut ends a stretch of trouble before the first calm that it touches; in the
// calm it ends as it begins.
func (c *calm) cut(from, to time.Time) time.Time {
	if c == nil {
		return to
	}
	for _, s := range c.spans {
		if from.Before(s.to) && to.After(s.from) {
			to = s.from
		}
	}
	if to.Before(from) {
		return from
	}
	return to
}
