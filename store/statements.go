package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A statement of baseline is stored as
//
//	head (see pack.go; without the key, since statements move), version 1 |
//	measure 1 byte | length of the meter's id uvarint | id | at varint, Unix ms | body
//
// under a number that grows, so that the order of the commits is kept. It moves
// from bucketStatements to bucketStSealed (in front of it the sequence of the
// batch, 8 bytes) to bucketStDone.
const statementVersion = 1

func encodeStatement(st energy.KeyedStatement) []byte {
	v := make([]byte, packHead, 32+len(st.Meter)+len(st.Body))
	v = append(v, byte(st.Measure))
	v = binary.AppendUvarint(v, uint64(len(st.Meter)))
	v = append(v, st.Meter...)
	v = binary.AppendVarint(v, st.At.UnixMilli())
	v = append(v, st.Body...)
	return stamp(v, statementVersion, nil)
}

func decodeStatement(v []byte) (st energy.KeyedStatement, err error) {
	p, err := unpacked(v, statementVersion, nil)
	if err != nil {
		return st, err
	}
	r := reader{b: p}
	st.Measure = energy.Measure(r.byte())
	st.Meter = string(r.bytes(r.uvarint()))
	st.At = r.time(0)
	if r.bad {
		return energy.KeyedStatement{}, fmt.Errorf("%w: statement", errPacked)
	}
	st.Body = bytes.Clone(r.b)
	return st, nil
}

// commitStatements adds statements. One that is pending already, or was sent
// word for word before, is not added again.
func commitStatements(tx *bolt.Tx, all []energy.KeyedStatement) error {
	if len(all) == 0 {
		return nil
	}
	known := map[string]bool{} // by what would be stored: whether it is there
	for _, st := range all {
		if _, err := makeRegister(tx, st.Key); err != nil {
			return err
		}
		known[string(encodeStatement(st))] = false
	}
	for bucket, skip := range statementBuckets() { // once for all of them: a new site has thousands
		for _, old := range walk(tx.Bucket(bucket), nil) {
			if len(old) >= skip {
				if _, asked := known[string(old[skip:])]; asked {
					known[string(old[skip:])] = true
				}
			}
		}
	}
	for _, st := range all {
		v := encodeStatement(st)
		if known[string(v)] {
			continue
		}
		known[string(v)] = true
		n, err := tx.Bucket(bucketStatements).NextSequence()
		if err != nil {
			return err
		}
		if err := tx.Bucket(bucketStatements).Put(be64(n), v); err != nil {
			return err
		}
	}
	return nil
}

// statementBuckets gives the buckets of statements, and how many bytes stand
// before a statement there.
func statementBuckets() func(func([]byte, int) bool) {
	return func(yield func([]byte, int) bool) {
		_ = yield(bucketStatements, 0) && yield(bucketStSealed, 8) && yield(bucketStDone, 0)
	}
}

// storedStatement is a statement where it lies. Its slices are bbolt's.
type storedStatement struct{ bucket, key, value []byte }

// of gives the register and the instant (Unix ms) without checking the
// statement; ok is false where they cannot be read.
func (s storedStatement) of() (k energy.Key, at int64, ok bool) {
	if len(s.value) < packHead {
		return k, 0, false
	}
	r := reader{b: s.value[packHead:]}
	k.Measure = energy.Measure(r.byte())
	k.Meter = string(r.bytes(r.uvarint()))
	at = r.varint()
	return k, at, !r.bad
}

// allStatements lists the statements of every bucket in the order in which they
// were committed.
func allStatements(tx *bolt.Tx) (found []storedStatement) {
	for bucket, skip := range statementBuckets() {
		for k, v := range walk(tx.Bucket(bucket), nil) {
			if len(v) >= skip {
				found = append(found, storedStatement{bucket, k, v[skip:]})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b storedStatement) int { return bytes.Compare(a.key, b.key) })
	return found
}

// Statements gives every statement that is kept, of one register or (nil) of
// all, sent or not, in the order in which they were committed. One that is
// damaged yields an error (ErrDamaged) and the next one follows; any other
// error ends it.
func (s *Store) Statements(k *energy.Key) iter.Seq2[energy.KeyedStatement, error] {
	return func(yield func(energy.KeyedStatement, error) bool) {
		type item struct {
			st  energy.KeyedStatement
			err error
		}
		var found []item
		err := s.view("reading the statements", func(tx *bolt.Tx) error {
			for _, one := range allStatements(tx) {
				if of, _, ok := one.of(); k != nil && ok && of != *k {
					continue
				}
				st, err := decodeStatement(one.value)
				if err != nil {
					err = fmt.Errorf("statement %x: %w: %w", one.key, ErrDamaged, err)
				}
				found = append(found, item{st, err})
			}
			return nil
		})
		for _, i := range found {
			if !yield(i.st, i.err) {
				return
			}
		}
		if err != nil {
			yield(energy.KeyedStatement{}, err)
		}
	}
}

// LastStatement gives the statement of a register that was committed last, of
// those that can be read; ok is false when there is none.
func (s *Store) LastStatement(k energy.Key) (last energy.KeyedStatement, ok bool, err error) {
	for st, e := range s.Statements(&k) {
		switch {
		case e == nil:
			last, ok = st, true
		case !errors.Is(e, ErrDamaged):
			return energy.KeyedStatement{}, false, e
		}
	}
	return last, ok, nil
}

// PendingStatements gives at most max statements that are not in a sealed
// batch, oldest first. One that is damaged reads as an error (ErrDamaged).
func (s *Store) PendingStatements(max int) (found []energy.KeyedStatement, err error) {
	err = s.view("reading the pending statements", func(tx *bolt.Tx) error {
		for k, v := range walk(tx.Bucket(bucketStatements), nil) {
			if len(found) >= max {
				break
			}
			st, err := decodeStatement(v)
			if err != nil {
				return fmt.Errorf("statement %x: %w: %w", k, ErrDamaged, err)
			}
			found = append(found, st)
		}
		return nil
	})
	return found, err
}

// sealStatements puts the oldest n pending statements into the batch.
func sealStatements(tx *bolt.Tx, sequence uint64, n int) error {
	if n == 0 {
		return nil
	}
	from, to := tx.Bucket(bucketStatements), tx.Bucket(bucketStSealed)
	for i := range n {
		k, v := from.Cursor().First()
		if k == nil {
			return fmt.Errorf("batch %d cannot be sealed: it names %d statements and only %d are pending", sequence, n, i)
		}
		k = bytes.Clone(k)
		if err := to.Put(k, append(be64(sequence), v...)); err != nil {
			return err
		}
		if err := from.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// moveStatements moves the statements of a batch to another bucket.
func moveStatements(tx *bolt.Tx, sequence uint64, bucket []byte) error {
	return moveSealed(tx, bucket, func(of uint64) bool { return of == sequence })
}

// unsealStatements makes the statements of every sealed batch pending again.
func unsealStatements(tx *bolt.Tx) error {
	return moveSealed(tx, bucketStatements, func(uint64) bool { return true })
}

func moveSealed(tx *bolt.Tx, bucket []byte, of func(sequence uint64) bool) error {
	from := tx.Bucket(bucketStSealed)
	var keys [][]byte
	for k, v := range walk(from, nil) {
		if len(v) >= 8 && of(binary.BigEndian.Uint64(v)) {
			keys = append(keys, bytes.Clone(k))
		}
	}
	for _, k := range keys {
		if err := tx.Bucket(bucket).Put(k, bytes.Clone(from.Get(k)[8:])); err != nil {
			return err
		}
		if err := from.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
