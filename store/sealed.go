package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// batch is a sealed batch as it is kept until it is acknowledged:
//
//	head (see pack.go), version 1 | hash 32 bytes |
//	count of runs uvarint | register id uvarint, from varint ms, step uvarint ms, count uvarint, .. | body
type batch struct {
	hash [32]byte
	runs []run
	body []byte
}

const batchVersion = 1

// run names half-hours of a register one by one: those that start at from,
// from+step, .. A span of time would not do: a half-hour that comes into the
// span later is not in the batch.
type run struct {
	reg        uint32
	from, step int64 // Unix ms, ms
	count      int64
}

func (r run) last() int64 { return r.from + r.step*(r.count-1) }

func (r run) holds(start int64) bool {
	return start >= r.from && start <= r.last() && (start-r.from)%r.step == 0
}

// add names one more half-hour, which comes after those named before or is of another register.
func (b *batch) add(reg uint32, start int64) {
	if n := len(b.runs); n > 0 && b.runs[n-1].reg == reg {
		r := &b.runs[n-1]
		switch {
		case r.count == 1 && start > r.from:
			r.step, r.count = start-r.from, 2
			return
		case start == r.last()+r.step:
			r.count++
			return
		}
	}
	b.runs = append(b.runs, run{reg, start, 1, 1})
}

func (b batch) encode(sequence uint64) []byte {
	v := make([]byte, packHead, 64+24*len(b.runs)+len(b.body))
	v = append(v, b.hash[:]...)
	v = binary.AppendUvarint(v, uint64(len(b.runs)))
	for _, r := range b.runs {
		v = binary.AppendUvarint(v, uint64(r.reg))
		v = binary.AppendVarint(v, r.from)
		v = binary.AppendUvarint(v, uint64(r.step))
		v = binary.AppendUvarint(v, uint64(r.count))
	}
	v = append(v, b.body...)
	return stamp(v, batchVersion, be64(sequence))
}

// decodeBatch is the inverse of encode; the key is the sequence, 8 bytes. The body is a part of v.
func decodeBatch(key, v []byte) (b batch, err error) {
	p, err := unpacked(v, batchVersion, key)
	if err != nil {
		return b, err
	}
	r := reader{b: p}
	copy(b.hash[:], r.bytes(32))
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)/4) {
		return b, fmt.Errorf("%w: it claims %d runs", errPacked, n)
	}
	b.runs = make([]run, n)
	for i := range b.runs {
		reg, from, step, count := r.uvarint(), r.varint(), r.uvarint(), r.uvarint()
		if r.bad || reg > math.MaxUint32 || from < earliest || from > latest || step == 0 || step > latest || count == 0 ||
			count-1 > uint64(latest-from)/step {
			return b, fmt.Errorf("%w: run %d of %d", errPacked, i+1, n)
		}
		b.runs[i] = run{uint32(reg), from, int64(step), int64(count)}
	}
	b.body = r.b
	return b, nil
}

// regSpan is a span of a register's half-hours, [from, to) by Start, Unix ms.
type regSpan struct {
	reg      uint32
	from, to int64
}

// eachInBatch calls f for every half-hour that the batch names.
func (s *Store) eachInBatch(tx *bolt.Tx, b batch, f func(reg uint32, e *entry) error) error {
	for _, r := range b.runs {
		if err := s.eachStatus(tx, []regSpan{{r.reg, r.from, r.last() + 1}}, func(reg uint32, e *entry) error {
			if !r.holds(e.Start.UnixMilli()) {
				return nil
			}
			return f(reg, e)
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachStatus calls f for every half-hour in the spans and stores the days whose
// statuses f changed.
func (s *Store) eachStatus(tx *bolt.Tx, spans []regSpan, f func(reg uint32, e *entry) error) error {
	days := dayShelf(tx)
	for _, span := range spans {
		if span.from >= span.to {
			continue
		}
		end := dayOf(span.to - 1)
		for day := dayOf(span.from); day <= end; day++ {
			var v []byte
			var ok bool
			if day, v, ok = days.next(span.reg, day, end); !ok {
				break
			}
			entries, err := decodeDay(span.reg, day, v)
			if err != nil {
				s.log.Error("a day of half-hours cannot be read", "path", s.path, "day", dayName(day), "cause", err)
				continue
			}
			changed := false
			for i := range entries {
				e := &entries[i]
				if t := e.Start.UnixMilli(); t < span.from || t >= span.to {
					continue
				}
				was := e.status
				if err := f(span.reg, e); err != nil {
					return err
				}
				changed = changed || e.status != was
			}
			if changed {
				if err := storeDay(tx, days, span.reg, day, entries); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// settle hands every sealed batch up to sequence to f, oldest first, and drops it.
func (s *Store) settle(tx *bolt.Tx, sequence uint64, f func(seq uint64, b batch) error) error {
	bucket := tx.Bucket(bucketSealed)
	var keys [][]byte
	for k := range walk(bucket, nil) {
		if binary.BigEndian.Uint64(k) > sequence {
			break
		}
		keys = append(keys, bytes.Clone(k))
	}
	if len(keys) == 0 {
		return errNothingToDo
	}
	for _, k := range keys {
		v := bytes.Clone(bucket.Get(k))
		b, err := decodeBatch(k, v)
		if err != nil {
			return fmt.Errorf("batch %d: %w: %w", binary.BigEndian.Uint64(k), ErrDamaged, err)
		}
		if err := f(binary.BigEndian.Uint64(k), b); err != nil {
			return err
		}
		if err := bucket.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// A half-hour that is corrected while it is in a sealed batch may get into a
// second one before the first is acknowledged. Both name it, so the bucket "resealed" remembers which of them carries the value that counts: 0 until it
// is sealed again.

func resealKey(reg uint32, start int64) []byte {
	return binary.BigEndian.AppendUint64(be32(reg), uint64(start)^1<<63)
}

// reseal notes the batch of a half-hour that was corrected while sealed.
func reseal(tx *bolt.Tx, reg uint32, start int64, sequence uint64) error {
	b, k := tx.Bucket(bucketResealed), resealKey(reg, start)
	if b.Get(k) == nil {
		return nil
	}
	return b.Put(k, be64(sequence))
}

// unmark reports whether the sealed half-hour's value is the one in the batch
// sequence, and forgets the mark if so.
func unmark(tx *bolt.Tx, reg uint32, start int64, sequence uint64) (mine bool, err error) {
	b, k := tx.Bucket(bucketResealed), resealKey(reg, start)
	v := b.Get(k)
	if v != nil && !slices.Equal(v, be64(sequence)) {
		return false, nil
	}
	return true, b.Delete(k)
}
