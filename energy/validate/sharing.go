package validate

import "github.com/perseus-edge/perseus-edge/energy"

// Checkers makes each Checker of a site, so that they share their Options where
// these are equal: there are many registers of few kinds, and Options (200
// bytes) are as large as what a Checker keeps besides. The zero value is ready.
// It is not safe for use by several goroutines; a Checker of it is used as ever.
type Checkers struct{ known map[Options]*Options }

// New is New.
func (r *Checkers) New(k energy.Key, o Options) *Checker {
	c := New(k, o)
	r.share(c)
	return c
}

// Restore is Restore.
func (r *Checkers) Restore(k energy.Key, o Options, state []byte) (*Checker, error) {
	c, err := Restore(k, o, state)
	if err == nil {
		r.share(c)
	}
	return c, err
}

func (r *Checkers) share(c *Checker) {
	if c.o.Check != nil {
		return // that of one meter only
	}
	if o := r.known[*c.o]; o != nil {
		c.o = o
		return
	}
	if r.known == nil {
		r.known = map[Options]*Options{}
	}
	r.known[*c.o] = c.o
}
