package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The heads of the chain of batches: sequence (8 bytes), hash (32).
var (
	keyChain = []byte("chain") // last sealed or adopted
	keyAcked = []byte("acked") // last acknowledged or adopted: what Unseal goes back to
)

func head(tx *bolt.Tx, key []byte) (sequence uint64, hash [32]byte, err error) {
	v := tx.Bucket(bucketSelf).Get(key)
	if v == nil {
		return 0, hash, nil
	}
	if v, err = unpacked(v, smallVersion, key); err == nil && len(v) != 40 {
		err = fmt.Errorf("%w: %d bytes", errPacked, len(v))
	}
	if err != nil {
		return 0, hash, fmt.Errorf("the outbox's %s: %w: %w", key, ErrDamaged, err)
	}
	return binary.BigEndian.Uint64(v), [32]byte(v[8:]), nil
}

func putHead(tx *bolt.Tx, key []byte, sequence uint64, hash [32]byte) error {
	return tx.Bucket(bucketSelf).Put(key, pack(smallVersion, key, append(be64(sequence), hash[:]...)))
}

// Pending gives at most max half-hours of a register with Start in [from, to)
// that are neither in a sealed batch nor acknowledged, oldest first. It reads
// only days that have some. A day that cannot be read is passed over, and
// logged, so that it does not hold up the others.
//
// Pending, Seal and the other outbox methods are meant for one sender: a
// half-hour that is committed or corrected after the last Pending stays pending
// through a Seal whose spans cover it, since it cannot be in that batch.
func (s *Store) Pending(k energy.Key, from, to time.Time, max int) (found []energy.HalfHour, err error) {
	s.write.Lock() // so that no commit comes between the reading and the window
	defer s.write.Unlock()
	lo, hi := bounds(from, to)
	if lo >= hi || max <= 0 {
		return nil, nil
	}
	var reg uint32
	upto := hi
	err = s.view("reading what is pending", func(tx *bolt.Tx) error {
		r, ok, err := findRegister(tx, k)
		if !ok || err != nil {
			return err
		}
		reg = r.id
		f := dayShelf(tx)
		for key := range walk(tx.Bucket(bucketDirty), dirtyKey(reg, dayOf(lo))) {
			id, day := splitDirtyKey(key)
			if id != reg || day > dayOf(hi-1) {
				return nil
			}
			v := f.get(day, reg)
			if v == nil {
				continue
			}
			entries, err := decodeDay(reg, day, v)
			if err != nil {
				s.log.Error("a day of half-hours cannot be read and is not sent", "path", s.path, "register", k.String(), "day", dayName(day), "cause", err)
				continue
			}
			for _, e := range entries {
				start := e.Start.UnixMilli()
				if e.status != pending || start < lo || start >= hi {
					continue
				}
				if len(found) == max {
					upto = start
					return nil
				}
				found = append(found, e.HalfHour)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if reg != 0 {
		s.offer(reg, lo, upto)
	}
	return found, nil
}

func dayName(day int32) string {
	return time.UnixMilli(int64(day) * dayMillis).UTC().Format(time.DateOnly)
}

// PendingKeys lists the registers that have pending half-hours.
func (s *Store) PendingKeys() (keys []energy.Key, err error) {
	err = s.view("listing what is pending", func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketDirty).Cursor()
		for key, _ := c.First(); key != nil; {
			id, _ := splitDirtyKey(key)
			k, err := keyOfID(tx, id)
			if err != nil {
				return err
			}
			keys = append(keys, k)
			if key, _ = c.Seek(be32(id + 1)); key != nil && bytes.Compare(key, be32(id+1)) < 0 {
				return fmt.Errorf("the index of what is pending: %w: it is out of order", ErrDamaged)
			}
		}
		return nil
	})
	return keys, err
}

// Chain gives the sequence and hash of the last batch that was sealed, or of
// the relay's head that was adopted since; zeros at first.
func (s *Store) Chain() (sequence uint64, hash [32]byte, err error) {
	err = s.view("reading the chain", func(tx *bolt.Tx) (err error) {
		sequence, hash, err = head(tx, keyChain)
		return err
	})
	return sequence, hash, err
}

// Seal keeps a batch durably before it is sent for the first time. The pending
// half-hours in its spans and the oldest pending statements, so many, count as
// in the batch from then on. The sequence must be Chain's plus one
// (ErrSequence), and there must be as many pending statements; else nothing changes.
func (s *Store) Seal(sequence uint64, hash [32]byte, body []byte, spans []energy.Span, statements int) error {
	s.write.Lock()
	defer s.write.Unlock()
	in := make([]regSpan, 0, len(spans))
	err := s.updateLocked("sealing a batch", func(tx *bolt.Tx) error {
		last, _, err := head(tx, keyChain)
		if err != nil {
			return err
		}
		if sequence != last+1 {
			return fmt.Errorf("batch %d cannot be sealed after batch %d: %w", sequence, last, ErrSequence)
		}
		out := batch{hash: hash, body: body}
		in = in[:0]
		for _, span := range spans {
			id, ok, err := s.numberOf(tx, span.Key)
			if err != nil {
				return err
			}
			if !ok {
				return fmt.Errorf("batch %d cannot be sealed: nothing is stored for %s", sequence, span.Key)
			}
			lo, hi := bounds(span.From, span.To)
			in = append(in, regSpan{id, lo, hi})
		}
		if err := s.eachStatus(tx, in, func(reg uint32, e *entry) error {
			start := e.Start.UnixMilli()
			if e.status != pending || !s.inBatch(reg, start) {
				return nil
			}
			e.status = sealed
			out.add(reg, start)
			return reseal(tx, reg, start, sequence)
		}); err != nil {
			return err
		}
		if err := sealStatements(tx, sequence, statements); err != nil {
			return err
		}
		if err := tx.Bucket(bucketSealed).Put(be64(sequence), out.encode(sequence)); err != nil {
			return err
		}
		return putHead(tx, keyChain, sequence, hash)
	})
	if err == nil {
		for i := range in {
			delete(s.offered, in[i].reg)
		}
	}
	return err
}

// Oldest gives the oldest batch that is sealed and not acknowledged; 0, nil,
// nil when there is none.
func (s *Store) Oldest() (sequence uint64, body []byte, err error) {
	err = s.view("reading the oldest batch", func(tx *bolt.Tx) error {
		k, v := tx.Bucket(bucketSealed).Cursor().First()
		if k == nil {
			return nil
		}
		b, err := decodeBatch(k, v)
		if err != nil {
			return fmt.Errorf("batch %x: %w: %w", k, ErrDamaged, err)
		}
		sequence, body = binary.BigEndian.Uint64(k), bytes.Clone(b.body)
		return nil
	})
	return sequence, body, err
}

// Acknowledge settles every sealed batch up to sequence: its half-hours and
// statements are delivered, and its body is dropped. Acknowledging what is
// settled already changes nothing; acknowledging what was never sealed is an
// error (ErrSequence).
func (s *Store) Acknowledge(sequence uint64) error {
	return s.update("acknowledging a batch", func(tx *bolt.Tx) error {
		last, _, err := head(tx, keyChain)
		if err != nil {
			return err
		}
		if sequence > last {
			return fmt.Errorf("batch %d cannot be acknowledged, the last one sealed is %d: %w", sequence, last, ErrSequence)
		}
		return s.settle(tx, sequence, func(seq uint64, b batch) error {
			if err := s.eachInBatch(tx, b, func(reg uint32, e *entry) error {
				if e.status != sealed {
					return nil
				}
				mine, err := unmark(tx, reg, e.Start.UnixMilli(), seq)
				if mine {
					e.status = acked
				}
				return err
			}); err != nil {
				return err
			}
			if err := moveStatements(tx, seq, bucketStDone); err != nil {
				return err
			}
			return putHead(tx, keyAcked, seq, b.hash)
		})
	})
}

// Unseal forgets every batch that is sealed and not acknowledged: what was in
// them is pending again, and Chain is what it was before them.
func (s *Store) Unseal() error {
	s.write.Lock()
	defer s.write.Unlock()
	var again []change
	err := s.updateLocked("unsealing", func(tx *bolt.Tx) error {
		sequence, hash, err := head(tx, keyAcked)
		if err != nil {
			return err
		}
		if err := s.settle(tx, ^uint64(0), func(seq uint64, b batch) error {
			if err := s.eachInBatch(tx, b, func(reg uint32, e *entry) error {
				if e.status == sealed {
					e.status = pending
					again = append(again, change{reg, e.Start.UnixMilli()})
				}
				return tx.Bucket(bucketResealed).Delete(resealKey(reg, e.Start.UnixMilli()))
			}); err != nil {
				return err
			}
			return moveStatements(tx, seq, bucketStatements)
		}); err != nil {
			return err
		}
		return putHead(tx, keyChain, sequence, hash)
	})
	if err == nil {
		s.noteChanges(again)
	}
	return err
}

// Adopt continues the relay's chain from its head, where this store's own was
// lost or left. It needs that nothing is sealed: call Unseal first.
func (s *Store) Adopt(sequence uint64, hash [32]byte) error {
	return s.update("adopting the relay's chain", func(tx *bolt.Tx) error {
		if k, _ := tx.Bucket(bucketSealed).Cursor().First(); k != nil {
			return errors.New("the relay's chain cannot be adopted while batches are sealed: unseal them first")
		}
		if err := putHead(tx, keyChain, sequence, hash); err != nil {
			return err
		}
		return putHead(tx, keyAcked, sequence, hash)
	})
}
