package store

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// mend looks through what the outbox cannot do without, when the store is
// opened. A damaged statement is put aside. A sealed batch that is damaged could be neither sent nor
// acknowledged, and would hold up everything after it. Then all sealed batches
// are forgotten: what was in them is pending again, and the relay, which knows
// what it has, takes nothing twice.
func (s *Store) mend() error {
	sound, stated := true, true
	if err := s.view("looking through the outbox", func(tx *bolt.Tx) error {
		for _, key := range [][]byte{keyChain, keyAcked} {
			if _, _, err := head(tx, key); err != nil {
				return err
			}
		}
		if err := tx.Bucket(bucketStatements).ForEach(func(_, v []byte) error {
			_, err := decodeStatement(v)
			stated = stated && err == nil
			return nil
		}); err != nil {
			return err
		}
		return tx.Bucket(bucketSealed).ForEach(func(k, v []byte) error {
			if _, err := decodeBatch(v); err != nil || len(k) != 8 {
				sound = false
			}
			return nil
		})
	}); err != nil || sound && stated {
		return err
	}
	return s.update("mending the outbox", func(tx *bolt.Tx) error {
		if !sound {
			if err := s.forgetSealed(tx); err != nil {
				return err
			}
		}
		return s.drop(tx, bucketStatements, func(v []byte) (bad error) {
			_, bad = decodeStatement(v)
			return bad
		})
	})
}

// drop empties a bucket of the values that bad objects to, and puts those aside.
func (s *Store) drop(tx *bolt.Tx, bucket []byte, bad func(v []byte) error) error {
	var keys [][]byte
	b := tx.Bucket(bucket)
	if err := b.ForEach(func(k, v []byte) error {
		if bad(v) != nil {
			keys = append(keys, bytes.Clone(k))
		}
		return nil
	}); err != nil {
		return err
	}
	for _, k := range keys {
		v := b.Get(k)
		if err := s.putAside(tx, bucket, k, v, bad(v)); err != nil {
			return err
		}
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// forgetSealed does what Unseal does without knowing what is in the batches: it
// goes through every half-hour.
func (s *Store) forgetSealed(tx *bolt.Tx) error {
	regs := map[uint32]bool{}
	if err := tx.Bucket(bucketRegisters).ForEach(func(_, v []byte) error {
		r, err := decodeRegister(v)
		regs[r.id] = true
		return err
	}); err != nil {
		return err
	}
	for reg := range regs {
		all := []regSpan{{reg, earliest, latest + 1}}
		if err := s.eachStatus(tx, all, func(_ uint32, e *entry) error {
			if e.status == sealed {
				e.status = pending
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if err := s.drop(tx, bucketSealed, func(v []byte) error {
		_, err := decodeBatch(v)
		return err
	}); err != nil {
		return err
	}
	for _, name := range [][]byte{bucketSealed, bucketResealed} {
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	if err := unsealStatements(tx); err != nil {
		return err
	}
	sequence, hash, err := head(tx, keyAcked)
	if err != nil {
		return err
	}
	return putHead(tx, keyChain, sequence, hash)
}
