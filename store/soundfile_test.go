package store

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// The check at opening must never call a sound file damaged: that would set
// a good store aside. bbolt is made to split, merge and empty pages at random,
// at several fill levels, in nested buckets and with values of all sizes, and
// every file that it leaves behind must pass.
func TestSoundFilesPassTheCheck(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 7))
		path := filepath.Join(t.TempDir(), "x.db")
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoFreelistSync: seed%2 == 1})
		must(t, err)
		for round := range 120 {
			must(t, db.Update(func(tx *bolt.Tx) error {
				for _, name := range []string{"a", "b", "c"} {
					b, err := tx.CreateBucketIfNotExists([]byte(name))
					if err != nil {
						return err
					}
					b.FillPercent = []float64{0.5, 0.9, 1.0}[rng.IntN(3)]
					if b, err = b.CreateBucketIfNotExists([]byte("nested")); name == "c" && err != nil {
						return err
					} else if name != "c" {
						b = tx.Bucket([]byte(name))
					}
					emptying := round%17 == 16
					for range rng.IntN(400) {
						k := make([]byte, 1+rng.IntN(12))
						for i := range k {
							k[i] = byte(rng.IntN(6))
						}
						if b.Get(k) == nil && string(k) == "nested" {
							continue
						}
						if rng.IntN(3) == 0 {
							err = b.Delete(k)
						} else {
							err = b.Put(k, make([]byte, rng.IntN([]int{20, 900, 6000}[rng.IntN(3)])))
						}
						if err != nil {
							return err
						}
					}
					if emptying {
						var all [][]byte
						c := b.Cursor()
						for k, v := c.First(); k != nil; k, v = c.Next() {
							if v != nil && rng.IntN(20) > 0 {
								all = append(all, append([]byte(nil), k...))
							}
						}
						for _, k := range all {
							if err := b.Delete(k); err != nil {
								return err
							}
						}
					}
				}
				return nil
			}))
			f, err := os.Open(path)
			must(t, err)
			fi, err := f.Stat()
			must(t, err)
			if err := checkFile(f, fi.Size()); err != nil {
				t.Fatalf("seed %d, round %d: a sound file is called damaged: %v", seed, round, err)
			}
			f.Close()
		}
		must(t, db.View(func(tx *bolt.Tx) error {
			for err := range tx.Check() {
				t.Errorf("bbolt's own check: %v", err)
			}
			return nil
		}))
		must(t, db.Close())
	}
}
