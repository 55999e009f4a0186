package uplink

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// errCrash is what every call gives once the machine has "lost its power".
var errCrash = errors.New("power cut")

// memOutbox is an Outbox in memory, as strict as the real one must be. A fuse
// makes it lose its power at some call, before or after that call took effect.
type memOutbox struct {
	mu         sync.Mutex
	hours      map[energy.Key]map[int64]*memHour
	statements []*memStatement
	seq, base  uint64 // last sealed or adopted; last acknowledged or adopted
	hash, from [32]byte
	sealed     []memBatch
	meta       map[string][]byte
	corrected  int // half-hours that were given another value

	rng  *rand.Rand
	fuse int // calls until the power goes; 0: never
	dead bool
}

type memHour struct {
	energy.HalfHour
	sealed uint64 // batch that holds it; 0: none
	acked  bool
}

type memStatement struct {
	energy.KeyedStatement
	sealed uint64
}

type memBatch struct {
	seq  uint64
	hash [32]byte
	body []byte
}

func newOutbox() *memOutbox {
	return &memOutbox{hours: map[energy.Key]map[int64]*memHour{}, meta: map[string][]byte{}}
}

// call runs one durable operation under the fuse.
func (o *memOutbox) call(f func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead {
		return errCrash
	}
	if o.fuse > 0 {
		if o.fuse--; o.fuse == 0 {
			o.dead = true
			if o.rng.IntN(2) == 0 {
				f() // it took effect, but nobody heard of it
			}
			return errCrash
		}
	}
	return f()
}

// add commits half-hours, as the agent does.
func (o *memOutbox) add(k energy.Key, hh ...energy.HalfHour) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hours[k] == nil {
		o.hours[k] = map[int64]*memHour{}
	}
	for _, h := range hh {
		old := o.hours[k][h.Start.Unix()]
		if old != nil && (old.Energy != h.Energy || old.Quality != h.Quality) {
			o.corrected++
			old = nil
		}
		if old == nil {
			o.hours[k][h.Start.Unix()] = &memHour{HalfHour: h}
		}
	}
}

func (o *memOutbox) Pending(k energy.Key, from, to time.Time, most int) (out []energy.HalfHour, err error) {
	err = o.call(func() error {
		for _, h := range o.hours[k] {
			if h.sealed == 0 && !h.acked && !h.Start.Before(from) && h.Start.Before(to) {
				out = append(out, h.HalfHour)
			}
		}
		slices.SortFunc(out, func(a, b energy.HalfHour) int { return a.Start.Compare(b.Start) })
		out = out[:min(len(out), most)]
		return nil
	})
	return out, err
}

func (o *memOutbox) PendingKeys() (out []energy.Key, err error) {
	err = o.call(func() error {
		for k, hs := range o.hours {
			for _, h := range hs {
				if h.sealed == 0 && !h.acked {
					out = append(out, k)
					break
				}
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b energy.Key) int { return -cmp.Compare(a.String(), b.String()) }) // no order is promised
	return out, err
}

func (o *memOutbox) Chain() (seq uint64, hash [32]byte, err error) {
	err = o.call(func() error { seq, hash = o.seq, o.hash; return nil })
	return seq, hash, err
}

func (o *memOutbox) Seal(seq uint64, hash [32]byte, body []byte, spans []energy.Span, statements int) error {
	return o.call(func() error {
		if seq != o.seq+1 {
			return fmt.Errorf("seal %d after %d", seq, o.seq)
		}
		for _, s := range spans {
			for at := s.From; at.Before(s.To); at = at.Add(energy.Period) {
				h := o.hours[s.Key][at.Unix()]
				if h == nil || h.sealed != 0 || h.acked {
					return fmt.Errorf("seal: %s at %v is not pending", s.Key, at)
				}
			}
		}
		for _, s := range spans {
			for at := s.From; at.Before(s.To); at = at.Add(energy.Period) {
				o.hours[s.Key][at.Unix()].sealed = seq
			}
		}
		for _, s := range o.statements {
			if s.sealed == 0 && statements > 0 {
				s.sealed = seq
				statements--
			}
		}
		if statements != 0 {
			return errors.New("seal: more statements than there are")
		}
		o.seq, o.hash = seq, hash
		o.sealed = append(o.sealed, memBatch{seq, hash, bytes.Clone(body)})
		return nil
	})
}

func (o *memOutbox) Oldest() (seq uint64, body []byte, err error) {
	err = o.call(func() error {
		if len(o.sealed) > 0 {
			seq, body = o.sealed[0].seq, bytes.Clone(o.sealed[0].body)
		}
		return nil
	})
	return seq, body, err
}

func (o *memOutbox) Acknowledge(seq uint64) error {
	return o.call(func() error {
		for len(o.sealed) > 0 && o.sealed[0].seq <= seq {
			o.base, o.from = o.sealed[0].seq, o.sealed[0].hash
			o.settle(o.sealed[0].seq, true)
			o.sealed = o.sealed[1:]
		}
		return nil
	})
}

// settle lets the half-hours of a batch go, delivered or pending again.
func (o *memOutbox) settle(seq uint64, acked bool) {
	for _, hs := range o.hours {
		for _, h := range hs {
			if h.sealed == seq {
				h.sealed, h.acked = 0, acked
			}
		}
	}
	o.statements = slices.DeleteFunc(o.statements, func(s *memStatement) bool { return acked && s.sealed == seq })
	for _, s := range o.statements {
		if s.sealed == seq {
			s.sealed = 0
		}
	}
}

func (o *memOutbox) Unseal() error {
	return o.call(func() error {
		for _, b := range o.sealed {
			o.settle(b.seq, false)
		}
		o.sealed = nil
		o.seq, o.hash = o.base, o.from
		return nil
	})
}

func (o *memOutbox) Adopt(seq uint64, hash [32]byte) error {
	return o.call(func() error {
		if len(o.sealed) > 0 {
			return errors.New("adopt: batches are sealed")
		}
		o.seq, o.hash, o.base, o.from = seq, hash, seq, hash
		return nil
	})
}

func (o *memOutbox) PendingStatements(most int) (out []energy.KeyedStatement, err error) {
	err = o.call(func() error {
		for _, s := range o.statements {
			if s.sealed == 0 && len(out) < most {
				out = append(out, s.KeyedStatement)
			}
		}
		return nil
	})
	return out, err
}

func (o *memOutbox) Meta(name string) (v []byte, err error) {
	err = o.call(func() error { v = bytes.Clone(o.meta[name]); return nil })
	return v, err
}

func (o *memOutbox) SetMeta(name string, v []byte) error {
	return o.call(func() error { o.meta[name] = bytes.Clone(v); return nil })
}

// each visits every half-hour.
func (o *memOutbox) each(f func(k energy.Key, h *memHour)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k, hs := range o.hours {
		for _, h := range hs {
			f(k, h)
		}
	}
}

// powerOn brings the machine back, with a new fuse.
func (o *memOutbox) powerOn(fuse int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dead, o.fuse = false, fuse
}

func (o *memOutbox) Reopen(spans []energy.Span) error {
	return o.call(func() error {
		for _, s := range spans {
			for at, h := range o.hours[s.Key] {
				if t := time.Unix(at, 0); !t.Before(s.From) && t.Before(s.To) {
					h.acked = false
				}
			}
		}
		return nil
	})
}
