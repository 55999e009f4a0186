package store

import (
	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Reopen makes the acknowledged half-hours in the spans pending again: the
// relay has deleted them (a permission was withdrawn) or lost them. What is
// sealed or pending stays so; registers that are not known are no error.
func (s *Store) Reopen(spans []energy.Span) error {
	if len(spans) == 0 {
		return nil
	}
	s.write.Lock()
	defer s.write.Unlock()
	var again []change
	err := s.updateLocked("reopening half-hours", func(tx *bolt.Tx) error {
		again = again[:0]
		var found []regSpan
		for _, span := range spans {
			r, ok, err := findRegister(tx, span.Key)
			if err != nil {
				return err
			}
			if lo, hi := bounds(span.From, span.To); ok && lo < hi {
				found = append(found, regSpan{r.id, lo, hi})
			}
		}
		err := s.eachStatus(tx, found, func(reg uint32, e *entry) error {
			if e.status == acked {
				e.status = pending
				again = append(again, change{reg, e.Start.UnixMilli()})
			}
			return nil
		})
		if err == nil && len(again) == 0 {
			return errNothingToDo
		}
		return err
	})
	if err == nil {
		s.noteChanges(again)
	}
	return err
}
