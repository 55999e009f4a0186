package store

import (
	"iter"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

const (
	minSlot = math.MinInt32
	maxSlot = math.MaxInt32
)

// HalfHours gives the half-hours of a register with Start in [from, to), by
// Start. It reads one day at a time, each in a transaction of its own, so that
// it holds little memory and stands in nobody's way; half-hours committed
// meanwhile may or may not appear. A day that cannot be read yields one error
// (ErrDamaged) and the next day follows. Any other error ends it.
func (s *Store) HalfHours(k energy.Key, from, to time.Time) iter.Seq2[energy.HalfHour, error] {
	return func(yield func(energy.HalfHour, error) bool) {
		for e, err := range s.entries(k, from, to) {
			if !yield(e.HalfHour, err) {
				return
			}
		}
	}
}

func (s *Store) entries(k energy.Key, from, to time.Time) iter.Seq2[entry, error] {
	lo, hi := bounds(from, to)
	return slots(s, k, "half-hours", lo, hi, dayMillis, dayShelf, decodeDay, func(e *entry) int64 { return e.Start.UnixMilli() })
}

// Samples gives the samples of a register with At in [from, to), by time, one
// hour at a time; otherwise as HalfHours.
func (s *Store) Samples(k energy.Key, from, to time.Time) iter.Seq2[energy.Sample, error] {
	lo, hi := bounds(from, to)
	return func(yield func(energy.Sample, error) bool) {
		newer := s.since.samplesOf(k, lo, hi) // first: what leaves there is in the file by then
		for one, err := range slots(s, k, "samples", lo, hi, hourMillis, hourShelf, decodeHour, func(s *energy.Sample) int64 { return s.At.UnixMilli() }) {
			for err == nil && len(newer) > 0 && !newer[0].At.After(one.At) {
				if newer[0].At.Before(one.At) && !yield(newer[0], nil) {
					return
				}
				newer = newer[1:] // of two at one instant the first that was kept stays
			}
			if !yield(one, err) {
				return
			}
		}
		for _, one := range newer {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// bounds turns [from, to) into Unix milliseconds. A bound within a millisecond
// is rounded up, since stored times are whole ones.
func bounds(from, to time.Time) (lo, hi int64) { return ceilMillis(from), ceilMillis(to) }

func ceilMillis(t time.Time) int64 {
	switch {
	case t.Year() > 9999:
		return latest + 1
	case t.Year() < 1:
		return earliest
	}
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return ms
}

// slots walks the packed values of a register that hold [lo, hi) and yields
// what is in them.
func slots[T any](s *Store, k energy.Key, what string, lo, hi, width int64, open func(*bolt.Tx) shelf,
	decode func(uint32, int32, []byte) ([]T, error), at func(*T) int64) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if lo >= hi {
			return
		}
		slot, end := int32(floorDiv(lo, width)), int32(floorDiv(hi-1, width))
		for {
			var items []T
			var bad error
			found := false
			err := s.view("reading "+what, func(tx *bolt.Tx) error {
				r, ok, err := findRegister(tx, k)
				if !ok || err != nil {
					return err
				}
				var v []byte
				if slot, v, found = open(tx).next(r.id, slot, end); found {
					items, bad = decode(r.id, slot, v)
				}
				return nil
			})
			if err != nil {
				yield(none, err)
				return
			}
			if !found {
				return
			}
			if bad != nil {
				when := "from " + time.UnixMilli(int64(slot)*width).UTC().Format(time.RFC3339)
				if !yield(none, errSlot(what, k, when, bad)) {
					return
				}
			}
			for i := range items {
				if t := at(&items[i]); t < lo || t >= hi {
					continue
				}
				if !yield(items[i], nil) {
					return
				}
			}
			if slot >= end {
				return
			}
			slot++
		}
	}
}

// Keys lists every register that anything was ever stored for, by measure and meter.
func (s *Store) Keys() (keys []energy.Key, err error) {
	err = s.view("listing the registers", func(tx *bolt.Tx) error {
		for b := range walk(tx.Bucket(bucketRegisters), nil) {
			keys = append(keys, keyOfRegister(b))
		}
		return nil
	})
	return keys, err
}

// Bounds gives the Start of the first and of the last half-hour of a register
// and how many there are; zeros when there are none.
func (s *Store) Bounds(k energy.Key) (first, last time.Time, n int, err error) {
	err = s.view("reading the bounds of a register", func(tx *bolt.Tx) error {
		r, ok, err := findRegister(tx, k)
		if ok && r.n > 0 {
			first, last, n = time.UnixMilli(r.first).UTC(), time.UnixMilli(r.last).UTC(), int(r.n)
		}
		return err
	})
	return first, last, n, err
}

// Meta reads a named value; nil, nil when there is none. One that is damaged
// counts as none, and is logged.
func (s *Store) Meta(name string) (v []byte, err error) {
	err = s.view("reading "+name, func(tx *bolt.Tx) error {
		v = s.small(tx, bucketMeta, []byte(name))
		return nil
	})
	return v, err
}

// SetMeta keeps a named value durably; nil removes it. The name must not be empty.
func (s *Store) SetMeta(name string, v []byte) error {
	return s.update("storing "+name, func(tx *bolt.Tx) error {
		if v == nil {
			return tx.Bucket(bucketMeta).Delete([]byte(name))
		}
		return tx.Bucket(bucketMeta).Put([]byte(name), pack(smallVersion, []byte(name), v))
	})
}

// SamplesAround gives the last sample of a register at or before an instant and
// the first one after it, of those that are kept (Options.KeepSamples); a zero
// one where there is none.
func (s *Store) SamplesAround(k energy.Key, at time.Time) (before, after energy.Sample, err error) {
	_, from := bounds(at, at.Add(1)) // stored instants are whole milliseconds: this one is the first after
	slot := int32(floorDiv(from, hourMillis))
	newer := s.since.samplesOf(k, earliest, latest+1)
	err = s.view("reading samples", func(tx *bolt.Tx) error {
		r, ok, err := findRegister(tx, k)
		if !ok || err != nil {
			return err
		}
		f := hourShelf(tx)
		least := slot - int32(s.o.KeepSamples/time.Hour) - 1
		for h := slot; h >= least && before.At.IsZero(); h-- {
			all, _ := decodeHour(r.id, h, f.get(h, r.id)) // one that is not there or damaged gives nothing
			for _, one := range all {
				if one.At.UnixMilli() < from {
					before = one
				}
			}
		}
		for h := slot; after.At.IsZero(); h++ {
			at, v, ok := f.next(r.id, h, maxSlot)
			if !ok {
				break
			}
			h = at
			all, _ := decodeHour(r.id, h, v)
			for _, one := range all {
				if one.At.UnixMilli() >= from {
					after = one
					break
				}
			}
		}
		return nil
	})
	for _, one := range newer {
		switch {
		case err != nil:
		case one.At.UnixMilli() < from:
			if one.At.After(before.At) && at.Sub(one.At) <= s.o.KeepSamples+time.Hour {
				before = one
			}
		case after.At.IsZero() || one.At.Before(after.At):
			after = one
		}
	}
	return before, after, err
}
