package clock

import (
	"iter"
	"time"
)

// ShelfSize is how many things a Shelf holds where it is not told: three hours
// of a meter that is polled every 10 s, before the first halving.
const ShelfSize = 1024

// Shelf holds what was read from one register while the clock was not trusted,
// until it can be dated. Its memory is bounded: when it is full, every other
// thing goes, and from then on only every second (fourth, eighth...) is put
// on. The first and the last are always there, so that no energy is lost; the
// longer it lasts, the coarser is what lies between.
//
// The zero value is empty and holds ShelfSize. It is not safe for use by
// several goroutines.
type Shelf[T any] struct {
	Most   int // how many; ShelfSize if below 4. Set it before the first Put
	items  []item[T]
	last   item[T] // the newest
	loose  bool    // last is not among the items
	stride int     // every so many are put on
	count  int     // how many came since the last that was put on
	came   int
}

type item[T any] struct {
	at time.Time
	v  T
}

// Put puts something on the shelf with the time that Clock.Now gave. Of two
// things of one instant the first counts, as it does without a shelf: were the
// second put on beside it, the thinning could leave that one alone.
func (s *Shelf[T]) Put(at time.Time, v T) {
	s.came++
	if s.came > 1 && at.Equal(s.last.at) {
		return
	}
	s.last, s.loose = item[T]{at, v}, true
	if s.stride == 0 {
		s.stride = 1
	}
	if s.count++; s.count < s.stride {
		return
	}
	s.count = 0
	s.items = append(s.items, s.last)
	s.loose = false
	if len(s.items) < s.most() {
		return
	}
	n := 0
	for i := 0; i < len(s.items); i += 2 {
		s.items[n] = s.items[i]
		n++
	}
	if len(s.items)%2 == 0 { // the newest is thinned out: it stays as the last
		s.loose, s.count = true, s.stride
	}
	clear(s.items[n:])
	s.items = s.items[:n]
	s.stride *= 2
}

func (s *Shelf[T]) most() int {
	if s.Most < 4 {
		return ShelfSize
	}
	return s.Most
}

// Len is how many things are on the shelf.
func (s *Shelf[T]) Len() int {
	if s.loose {
		return len(s.items) + 1
	}
	return len(s.items)
}

// Came is how many things were put on it since it was empty.
func (s *Shelf[T]) Came() int { return s.came }

// Take gives everything in order, with shift (Change.Shift) added to its
// time, and leaves the shelf empty. What is not ranged over is gone too.
func (s *Shelf[T]) Take(shift time.Duration) iter.Seq2[time.Time, T] {
	items := s.items
	if s.loose {
		items = append(items, s.last)
	}
	*s = Shelf[T]{Most: s.Most}
	return func(yield func(time.Time, T) bool) {
		for _, i := range items {
			if !yield(i.at.Add(shift), i.v) {
				return
			}
		}
	}
}
