package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// asJSON is the baseline: every sample is kept as JSON under its meter and
// time in a plain bbolt file, so many to a transaction, with bbolt's own
// settings. It makes no half-hours. To keep the measure short it takes a share
// of the samples only; what it costs is given for one sample anyway.
func (s *site) asJSON(perTransaction int) (c cost, err error) {
	dir, err := os.MkdirTemp("", "perseus-bench")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	db, err := bolt.Open(filepath.Join(dir, "naive.db"), 0o600, nil)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	name := []byte("samples")
	if err := db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket(name); return err }); err != nil {
		return c, err
	}
	samples := s.samples[:min(len(s.samples), 50*siteMeters*perTransaction)]
	if perTransaction == 1 {
		samples = s.samples[:8640]
	}
	c.samples = len(samples)
	commits := 0
	err = c.measure(func() error {
		for i := 0; i < len(samples); i += perTransaction {
			tx, err := db.Begin(true)
			if err != nil {
				return err
			}
			for n, sample := range samples[i:min(i+perTransaction, len(samples))] {
				if err := putJSON(tx.Bucket(name), s.keys[(i+n)%siteMeters], sample); err != nil {
					return errors.Join(err, tx.Rollback())
				}
			}
			if err := tx.Commit(); err != nil {
				return err
			}
			stats := tx.Stats()
			c.bytes += uint64(stats.GetPageAlloc()) + uint64(db.Info().PageSize)
			commits++
		}
		return nil
	})
	hours := float64(len(samples)) / float64(siteMeters) * sitePoll.Hours()
	c.worstHour = int(2 * float64(commits) / hours) // the same in every hour
	return c, err
}

func putJSON(b *bolt.Bucket, k energy.Key, s energy.Sample) error {
	v, err := json.Marshal(struct {
		Meter   string    `json:"meter"`
		Measure string    `json:"measure"`
		At      time.Time `json:"at"`
		Value   int64     `json:"value"`
	}{k.Meter, k.Measure.String(), s.At, s.Value})
	if err != nil {
		return err
	}
	return b.Put(fmt.Appendf(nil, "%s/%s", k, s.At.Format(time.RFC3339Nano)), v)
}
