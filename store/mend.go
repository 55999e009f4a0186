package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// mend looks through what the outbox cannot do without, when the store is
// opened. A damaged statement is put aside. A sealed batch that is damaged
// could be neither sent nor acknowledged, and a damaged head of the chain could
// not be continued; either would hold up everything after it. Then all sealed
// batches are forgotten: what was in them is pending again, and the relay,
// which knows what it has, takes nothing twice.
func (s *Store) mend() error {
	var sound, stated, heads bool
	look := func(tx *bolt.Tx) error {
		heads = headsSound(tx)
		stated = all(tx, bucketStatements, statementSound)
		sound = all(tx, bucketSealed, batchSound)
		return nil
	}
	if err := s.view("looking through the outbox", look); err != nil || sound && stated && heads {
		return err
	}
	return s.update("mending the outbox", func(tx *bolt.Tx) error {
		if err := s.drop(tx, bucketStatements, statementSound); err != nil {
			return err
		}
		if !heads { // the relay says where its chain is, and it is adopted
			s.log.Error("the chain of batches was damaged: it is begun anew", "path", s.path)
			for _, key := range [][]byte{keyChain, keyAcked} {
				if err := tx.Bucket(bucketSelf).Delete(key); err != nil {
					return err
				}
			}
		}
		if sound && heads {
			return nil
		}
		return s.forgetSealed(tx)
	})
}

func headsSound(tx *bolt.Tx) bool {
	_, _, chain := head(tx, keyChain)
	_, _, acked := head(tx, keyAcked)
	return chain == nil && acked == nil
}

func statementSound(_, v []byte) error {
	_, err := decodeStatement(v)
	return err
}

func batchSound(k, v []byte) error {
	if len(k) != 8 {
		return fmt.Errorf("%w: its key has %d bytes", errPacked, len(k))
	}
	_, err := decodeBatch(k, v)
	return err
}

// all reports whether every value of a bucket is sound.
func all(tx *bolt.Tx, bucket []byte, sound func(k, v []byte) error) bool {
	for k, v := range walk(tx.Bucket(bucket), nil) {
		if sound(k, v) != nil {
			return false
		}
	}
	return true
}

// drop puts aside the values of a bucket that are not sound.
func (s *Store) drop(tx *bolt.Tx, bucket []byte, sound func(k, v []byte) error) error {
	var keys [][]byte
	b := tx.Bucket(bucket)
	for k, v := range walk(b, nil) {
		if sound(k, v) != nil {
			keys = append(keys, bytes.Clone(k))
		}
	}
	for _, k := range keys {
		v := b.Get(k)
		if err := s.putAside(tx, bucket, k, v, sound(k, v)); err != nil {
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
	var spans []regSpan
	for k := range walk(tx.Bucket(bucketIDs), nil) {
		spans = append(spans, regSpan{binary.BigEndian.Uint32(k), earliest, latest + 1})
	}
	if err := s.eachStatus(tx, spans, func(_ uint32, e *entry) error {
		if e.status == sealed {
			e.status = pending
		}
		return nil
	}); err != nil {
		return err
	}
	if err := s.drop(tx, bucketSealed, batchSound); err != nil {
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
