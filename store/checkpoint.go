package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// keyBase is where the store keeps the mark of its last transaction, and
// whether there is a checkpoint file.
var keyBase = []byte("base")

// light reports whether a round may go into a checkpoint.
func (r *Round) light() bool {
	return len(r.HalfHours)+len(r.Statements)+len(r.Findings) == 0
}

// checkpoint commits a light round to the checkpoint file. It reports false
// where it cannot: nothing has happened then, and bbolt is to take the round.
func (s *Store) checkpoint(r *Round) bool {
	c := &s.since
	if c.on.mark == ([16]byte{}) || c.doubt || s.stuck.Load() != nil || s.dead.Load() != nil {
		return false
	}
	if c.file.rest > 0 {
		c.file.rest--
		return false
	}
	if !c.stage(r) {
		c.unstage()
		return false
	}
	if err := c.file.write(c.on, c.lines); err != nil {
		c.unstage()
		s.noCheckpoint(err)
		return false
	}
	s.countCheckpoint()
	c.file.flip()
	c.settle()
	return true
}

// noCheckpoint says once an hour that the file cannot be written.
func (s *Store) noCheckpoint(err error) {
	c := &s.since.file
	c.rest = restRounds
	s.log.Warn("the checkpoint beside the store cannot be written: every round goes into the store itself, which writes more", "path", c.path, "cause", err)
}

// rebase prepares the checkpoint for a transaction that is about to be
// committed and does not take in what is here: it is written upon that one.
// Where it cannot be, the transaction takes it in after all.
func (s *Store) rebase(tx *bolt.Tx, folds bool) (on base, folded bool, err error) {
	c := &s.since
	on.txid = uint64(tx.ID())
	on.mark = c.on.mark
	if c.next == 0 { // a new beginning with each opening: what a process numbers, no other does
		_, _ = rand.Read(c.keep[packHead : packHead+8])
		c.next = 1
	}
	binary.BigEndian.PutUint64(c.keep[packHead+8:], c.next)
	c.next++
	copy(on.mark[:], c.keep[packHead:])
	if c.file.f != nil {
		c.keep[packHead+16] = 1
	}
	if err := tx.Bucket(bucketSelf).Put(keyBase, stamp(c.keep[:], smallVersion, keyBase)); err != nil {
		return on, false, err
	}
	if folds || c.touched == 0 {
		return on, folds, nil
	}
	if length, _ := slotSize(c.lines); c.file.f != nil && int64(length) <= c.file.size {
		err := c.file.write(on, c.lines)
		if err == nil {
			s.countCheckpoint()
			return on, false, nil
		}
		s.noCheckpoint(err)
	}
	return on, true, s.fold(tx, true)
}

// rebased takes note that the transaction is in the file.
func (s *Store) rebased(on base, folded bool) {
	c := &s.since
	c.on, c.doubt = on, false
	switch {
	case folded:
		c.clear()
	case c.touched > 0:
		c.file.flip()
	}
}

// resume takes up the checkpoint that lies upon the store as it is. Nothing
// about that file keeps a store from being opened (law 9).
func (s *Store) resume() error {
	c := &s.since
	c.file.path, c.file.wrap = s.path+checkpointSuffix, s.o.wrap
	had := false
	err := s.view("looking for the checkpoint", func(tx *bolt.Tx) error {
		v, err := unpacked(tx.Bucket(bucketSelf).Get(keyBase), smallVersion, keyBase)
		if err == nil && len(v) == 17 {
			c.on, had = base{uint64(tx.ID()), [16]byte(v)}, v[16] != 0
		}
		return nil
	})
	if err != nil {
		return err
	}
	found, ok, amiss, err := c.file.open(c.on)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if had {
			amiss = append(amiss, "the file is not there")
		}
	case err != nil:
		amiss = append(amiss, err.Error())
		c.file.rest = restRounds
	}
	if ok {
		if err := s.load(&found); err != nil {
			amiss, ok = append(amiss, err.Error()), false
		}
	}
	if len(amiss) > 0 {
		then := "it is left out: half-hours are not concerned; the samples since the last of them may be lost, and registers go on from there"
		if ok {
			then = "the checkpoint before is taken"
		}
		s.log.Warn("something is amiss with the checkpoint beside the store: "+then, "path", c.file.path, "cause", fmt.Sprintf("%q", amiss))
	}
	return nil
}

// load takes a checkpoint into memory.
func (s *Store) load(found *slot) error {
	c := &s.since
	known := make(map[energy.Key]uint32, len(found.lines))
	if err := s.view("reading the checkpoint", func(tx *bolt.Tx) error {
		for i := range found.lines {
			k, err := keyOfID(tx, found.lines[i].id)
			if err != nil {
				return err
			}
			known[k] = found.lines[i].id
		}
		return nil
	}); err != nil {
		return err
	}
	c.lines = found.lines // by number already
	for i := range c.lines {
		l := &c.lines[i]
		l.state, l.samples = bytes.Clone(l.state), bytes.Clone(l.samples) // they grow by themselves from now on
	}
	c.index = make(map[energy.Key]int, len(known))
	for k, id := range known {
		i, _ := slices.BinarySearchFunc(c.lines, id, func(l line, id uint32) int { return int(int64(l.id) - int64(id)) })
		c.index[k] = i
	}
	c.touched = len(c.lines)
	return nil
}
