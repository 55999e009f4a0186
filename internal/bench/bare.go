package main

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// bareHalfHours puts into a plain bbolt file what the store puts for half-hours
// of the site, in as many transactions: under the same keys, values of the same
// size, all made beforehand. What is allocated is bbolt's own.
func bareHalfHours() (c cost, err error) {
	dir, err := os.MkdirTemp("", "perseus-bench")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	db, err := bolt.Open(filepath.Join(dir, "bare.db"), 0o600, nil)
	if err != nil {
		return c, err
	}
	db.AllocSize = 128 << 10
	defer func() { err = errors.Join(err, db.Close()) }()
	b := newBare()
	if err := db.Update(func(tx *bolt.Tx) error {
		for _, name := range b.names {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return c, err
	}
	for n := range 48 { // the file is young
		if err := b.halfHour(db, n); err != nil {
			return c, err
		}
	}
	const more = 96
	c.samples, c.halfHours = 1, more*siteMeters
	err = c.measure(func() error {
		for n := range more {
			if err := b.halfHour(db, 48+n); err != nil {
				return err
			}
		}
		return nil
	})
	c.settled = c.mallocs
	return c, err
}

type bare struct {
	names                                     [][]byte
	id, slot                                  [siteMeters][]byte
	record                                    [siteMeters][]byte // keys of the registers
	state, samples, day, mark, head, register []byte
	batch, sequence                           []byte
}

// atOnce is how many registers settle within the time in which the agent
// gathers half-hours for one transaction.
const atOnce = int(siteMeters * settleDelay / sitePoll)

// The buckets.
const (
	ofSelf = iota
	ofStates
	ofHours
	ofDays
	ofRegisters
	ofDirty
	ofSealed
)

func newBare() *bare {
	b := &bare{names: [][]byte{[]byte("self"), []byte("states"), []byte("hours"), []byte("days"), []byte("registers"), []byte("dirty"), []byte("sealed")},
		state: make([]byte, 5+140), samples: make([]byte, 25+180), day: make([]byte, 5+24*18), mark: make([]byte, 22), head: make([]byte, 45), register: make([]byte, 33),
		batch: make([]byte, 400), sequence: make([]byte, 8)}
	for i := range siteMeters {
		b.id[i] = binary.BigEndian.AppendUint32(nil, uint32(i))
		b.slot[i] = make([]byte, 8)
		copy(b.slot[i][4:], b.id[i])
		b.record[i] = append([]byte("\x01meter"), byte('0'+i))
	}
	return b
}

// at sets the keys to a day or an hour.
func (b *bare) at(slot int) {
	for i := range b.slot {
		binary.BigEndian.PutUint32(b.slot[i], uint32(slot))
	}
}

// halfHour keeps one half-hour of each register, seals a batch of them and has
// it acknowledged.
func (b *bare) halfHour(db *bolt.DB, n int) error {
	binary.BigEndian.PutUint64(b.sequence, uint64(n))
	for from := 0; from < siteMeters; from += atOnce {
		to := from + atOnce
		if err := b.update(db, func(p putter) {
			p.all(b.id[from:to], ofStates, b.state)
			b.at(n / 2)
			p.all(b.slot[from:to], ofHours, b.samples)
			b.at(n / 48)
			p.all(b.slot[from:to], ofDays, b.day)
			p.all(b.record[from:to], ofRegisters, b.register)
			p.all(b.slot[from:to], ofDirty, b.mark[:1])
		}); err != nil {
			return err
		}
	}
	for _, f := range []func(p putter){
		func(p putter) {
			p.all(b.slot[:], ofDays, b.day)
			p.delete(b.slot[:], ofDirty)
			p.put(ofSealed, b.sequence, b.batch)
			p.put(ofSelf, b.names[ofSealed], b.head)
		},
		func(p putter) {
			p.all(b.slot[:], ofDays, b.day)
			p.err(p.tx.Bucket(b.names[ofSealed]).Delete(b.sequence))
			p.put(ofSelf, b.names[ofDirty], b.head)
		},
	} {
		if err := b.update(db, f); err != nil {
			return err
		}
	}
	return nil
}

// update is one transaction, with the mark that the store gives each.
func (b *bare) update(db *bolt.DB, f func(p putter)) error {
	return db.Update(func(tx *bolt.Tx) error {
		p := putter{tx, b.names, new(error)}
		f(p)
		p.put(ofSelf, b.names[ofSelf], b.mark)
		return *p.bad
	})
}

// putter keeps the first error.
type putter struct {
	tx    *bolt.Tx
	names [][]byte
	bad   *error
}

func (p putter) err(err error) {
	if *p.bad == nil {
		*p.bad = err
	}
}

func (p putter) put(bucket int, k, v []byte) { p.err(p.tx.Bucket(p.names[bucket]).Put(k, v)) }

func (p putter) all(keys [][]byte, bucket int, v []byte) {
	for _, k := range keys {
		p.put(bucket, k, v)
	}
}

func (p putter) delete(keys [][]byte, bucket int) {
	for _, k := range keys {
		p.err(p.tx.Bucket(p.names[bucket]).Delete(k))
	}
}
