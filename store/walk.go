package store

import (
	"bytes"
	"iter"

	bolt "go.etcd.io/bbolt"
)

// walk gives a bucket's keys and values from a key on (nil: from the first).
// On a damaged page bbolt's cursor can go in circles: keys that do not rise end
// the walk with a panic, which becomes ErrDamaged. The bucket must not be
// changed meanwhile.
func walk(b *bolt.Bucket, from []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		least := from // the least that the next key may be
		var own []byte
		for k, v := c.Seek(from); k != nil; k, v = c.Next() {
			if bytes.Compare(k, least) < 0 {
				panic("keys are out of order")
			}
			if !yield(k, v) {
				return
			}
			own = append(append(own[:0], k...), 0)
			least = own
		}
	}
}
