package store

import "math"

// window guards the time between Pending and Seal. The sender asks what is
// pending, signs a batch of it, and then seals the batch by naming spans of
// time. A half-hour that was committed or corrected in between lies in such a
// span but is not in the batch (or is there with its old value): it must not
// be taken for sent. The window of a register is the span that Pending last
// looked through, and what changed there since.
type window struct {
	from, upto int64 // [from, upto) was looked through, Unix ms
	changed    map[int64]bool
}

// offer notes that Pending looked through [from, upto) of a register.
func (s *Store) offer(reg uint32, from, upto int64) {
	w := s.offered[reg]
	if w == nil {
		w = &window{from: math.MaxInt64, upto: math.MinInt64, changed: map[int64]bool{}}
		s.offered[reg] = w
	}
	w.from, w.upto = min(w.from, from), max(w.upto, upto)
	for start := range w.changed {
		if start >= from && start < upto {
			delete(w.changed, start)
		}
	}
}

// noteChanges notes what a commit added or replaced in the windows.
func (s *Store) noteChanges(changed []change) {
	for _, c := range changed {
		if w := s.offered[c.reg]; w != nil && w.holds(c.start) {
			w.changed[c.start] = true
		}
	}
}

// inBatch reports whether a pending half-hour in the span of a batch can be in
// that batch. Without a window it is taken on the sender's word.
func (s *Store) inBatch(reg uint32, start int64) bool {
	w := s.offered[reg]
	return w == nil || w.holds(start) && !w.changed[start]
}

func (w *window) holds(start int64) bool { return start >= w.from && start < w.upto }
