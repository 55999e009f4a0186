package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Correction is a version of a half-hour that a later one replaced, or that came
// when a better one stood already.
type Correction struct {
	Old      energy.HalfHour
	Replaced time.Time // when, by Options.Now
}

// keepVersion keeps a version that does not stand: key register, start, number;
// value when (8 bytes, Unix ms), then a day of the one half-hour.
func (s *Store) keepVersion(tx *bolt.Tx, reg uint32, e entry) error {
	b := tx.Bucket(bucketFixes)
	n, err := b.NextSequence()
	if err != nil {
		return err
	}
	start := e.Start.UnixMilli()
	v := append(be64(uint64(s.o.Now().UnixMilli())), encodeDay(reg, dayOf(start), []entry{e})...)
	return b.Put(append(resealKey(reg, start), be64(n)...), v)
}

// keepBeside keeps a version that came too late to stand, unless it is the last
// one of its kind; of that, the evidence follows.
func (s *Store) keepBeside(tx *bolt.Tx, reg uint32, h energy.HalfHour) error {
	b, at := tx.Bucket(bucketFixes), resealKey(reg, h.Start.UnixMilli())
	var last, lastKey []byte
	var was energy.HalfHour
	for key, v := range walk(b, at) {
		if !bytes.HasPrefix(key, at) {
			break
		}
		if old, _, err := decodeCorrection(key, v); err == nil && rank(&old) == rank(&h) {
			was, last, lastKey = old, bytes.Clone(v), bytes.Clone(key)
		}
	}
	switch {
	case last == nil || !sameValue(&h, &was):
		return s.keepVersion(tx, reg, entry{HalfHour: h})
	case was.Evidence == h.Evidence:
		return nil
	}
	was.Evidence = h.Evidence
	return b.Put(lastKey, append(last[:8], encodeDay(reg, dayOf(h.Start.UnixMilli()), []entry{{HalfHour: was}})...))
}

// keepOld keeps a version that is about to be replaced.
func (s *Store) keepOld(tx *bolt.Tx, reg uint32, old entry) error {
	start := old.Start.UnixMilli()
	if err := s.keepVersion(tx, reg, old); err != nil {
		return err
	}
	if old.status != sealed && tx.Bucket(bucketResealed).Get(resealKey(reg, start)) == nil {
		return nil
	}
	return tx.Bucket(bucketResealed).Put(resealKey(reg, start), be64(0))
}

// Corrections gives the replaced versions of a register's half-hours with Start
// in [from, to), by Start and then in the order in which they were replaced.
func (s *Store) Corrections(k energy.Key, from, to time.Time) (found []Correction, err error) {
	lo, hi := bounds(from, to)
	err = s.view("reading corrections", func(tx *bolt.Tx) error {
		r, ok, err := findRegister(tx, k)
		if !ok || err != nil {
			return err
		}
		end := resealKey(r.id, hi)
		for key, v := range walk(tx.Bucket(bucketFixes), resealKey(r.id, lo)) {
			if bytes.Compare(key, end) >= 0 {
				return nil
			}
			old, when, err := decodeCorrection(key, v)
			if err != nil {
				return fmt.Errorf("correction of %s: %w: %w", k, ErrDamaged, err)
			}
			found = append(found, Correction{Old: old, Replaced: when})
		}
		return nil
	})
	return found, err
}

func decodeCorrection(key, v []byte) (old energy.HalfHour, when time.Time, err error) {
	if len(key) != 20 || len(v) < 8 {
		return old, when, errPacked
	}
	start := int64(binary.BigEndian.Uint64(key[4:]) ^ 1<<63)
	entries, err := decodeDay(binary.BigEndian.Uint32(key), dayOf(start), v[8:])
	if err != nil {
		return old, when, err
	}
	if len(entries) != 1 {
		return old, when, fmt.Errorf("%w: %d versions in one", errPacked, len(entries))
	}
	return entries[0].HalfHour, time.UnixMilli(int64(binary.BigEndian.Uint64(v))).UTC(), nil
}
