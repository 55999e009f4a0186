package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// since is what was committed since the last transaction of bbolt that took it
// in: states and samples of rounds that brought nothing else. Each minute there
// is such a round, and a transaction for it would cost twenty KiB of writing,
// two fsyncs and some hundred allocations; a checkpoint costs one page and one
// fsync. It lies durably in a file beside the store, and here in memory, from
// where it is read.
//
// Law 3 holds since a checkpoint counts only upon the very transaction that it
// was written upon (base). A round that brings half-hours takes what is here
// with it into its transaction; any other transaction is first given a
// checkpoint of its own, upon itself, in the slot that is not in use: whichever
// of the two a crash leaves, one slot lies upon it.
type since struct {
	on   base // the transaction in the file; its mark is zero where no version that knows checkpoints wrote it
	next uint64
	made bool // the store has said that it has a checkpoint file
	file slotPair

	doubt bool // a commit failed in such a way that on may not be in the file
	keep  [packHead + 17]byte

	mu      sync.Mutex // guards lines and index, which readers look at; writers hold Store.write
	lines   []line     // by register number
	index   map[energy.Key]int
	touched int // lines that are not empty
	scratch []energy.Sample
}

// keyBase is where the store keeps the mark of its last transaction, and
// whether there is a checkpoint file.
var keyBase = []byte("base")

// maxSpan bounds how many hours the samples of a checkpoint may span.
const maxSpan = 48

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

// stage lays a round over the lines. It reports false where a register is not
// known, or a sample does not follow.
func (c *since) stage(r *Round) bool {
	for i := range r.States {
		l := c.line(r.States[i].Key)
		if l == nil {
			return false
		}
		l.staged, l.next = true, r.States[i].State
	}
	for i := range r.Samples {
		if !c.stageSample(&r.Samples[i]) {
			return false
		}
	}
	return true
}

func (c *since) stageSample(k *KeyedSample) bool {
	l := c.line(k.Key)
	ms := k.Sample.At.UnixMilli()
	if l == nil || l.sampled || l.n > 0 && (ms <= l.at || hourOf(ms)-hourOf(l.from) > maxSpan) {
		return false
	}
	l.sampled, l.sample = true, k.Sample
	return true
}

func (c *since) line(k energy.Key) *line {
	if i, ok := c.index[k]; ok {
		return &c.lines[i]
	}
	return nil
}

func (c *since) unstage() {
	for i := range c.lines {
		l := &c.lines[i]
		l.staged, l.next, l.sampled = false, nil, false
	}
}

// settle makes what is staged what there is.
func (c *since) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touched = 0
	for i := range c.lines {
		l := &c.lines[i]
		if l.staged {
			l.state, l.has = append(l.state[:0], l.next...), true
		}
		if l.sampled {
			l.samples = l.appendSample(l.samples, &l.sample)
			l.at, l.value = l.sample.At.UnixMilli(), l.sample.Value
			if l.n == 0 {
				l.from = l.at
			}
			l.n++
		}
		l.staged, l.next, l.sampled = false, nil, false
		if !l.empty() {
			c.touched++
		}
	}
}

// clear forgets what bbolt has taken in.
func (c *since) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.lines {
		l := &c.lines[i]
		l.has, l.state, l.n, l.samples = false, l.state[:0], 0, l.samples[:0]
		l.staged, l.next, l.sampled = false, nil, false
	}
	c.touched = 0
}

// learn takes note of registers that bbolt has given a number.
func (c *since) learn(known map[energy.Key]uint32) {
	if len(known) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := make(map[uint32]energy.Key, len(c.lines)+len(known))
	for k, i := range c.index {
		keys[c.lines[i].id] = k
	}
	for k, id := range known {
		if _, ok := keys[id]; !ok {
			keys[id] = k
			c.lines = append(c.lines, line{id: id})
		}
	}
	slices.SortFunc(c.lines, func(a, b line) int { return int(int64(a.id) - int64(b.id)) })
	c.index = make(map[energy.Key]int, len(c.lines))
	for i := range c.lines {
		c.index[keys[c.lines[i].id]] = i
	}
}

// fold puts into a transaction what is here, with what is staged over it.
func (s *Store) fold(tx *bolt.Tx, samples bool) error {
	c := &s.since
	states := tx.Bucket(bucketStates)
	for i := range c.lines {
		l := &c.lines[i]
		if state, has := l.shown(); has {
			key := be32(l.id)
			if err := states.Put(key, pack(smallVersion, key, state)); err != nil {
				return err
			}
		}
	}
	if !samples {
		return nil
	}
	return s.foldSamples(tx)
}

// foldSamples puts the samples hour by hour, as the shelf wants them.
func (s *Store) foldSamples(tx *bolt.Tx) error {
	c := &s.since
	first, last, any := int32(maxSlot), int32(minSlot), false
	for i := range c.lines {
		l := &c.lines[i]
		if l.n > 0 {
			first, last, any = min(first, hourOf(l.from)), max(last, hourOf(l.at)), true
		}
		if l.sampled {
			h := hourOf(l.sample.At.UnixMilli())
			first, last, any = min(first, h), max(last, h), true
		}
	}
	if !any {
		return nil
	}
	f := hourShelf(tx)
	if err := f.roll(last); err != nil {
		return err
	}
	for hour := first; ; {
		next := last
		for i := range c.lines {
			l := &c.lines[i]
			of, after := c.ofHour(l, hour)
			next = min(next, after)
			if len(of) == 0 {
				continue
			}
			if err := s.foldHour(tx, f, l.id, hour, of); err != nil {
				return err
			}
		}
		if hour == last {
			return nil
		}
		hour = max(next, hour+1)
	}
}

// ofHour gives a register's samples of an hour, and the next hour that it has
// some of; maxSlot where it has none.
func (c *since) ofHour(l *line, hour int32) (of []energy.Sample, next int32) {
	c.scratch = l.decode(c.scratch[:0])
	if l.sampled {
		c.scratch = append(c.scratch, l.sample)
	}
	at := func(i int) int32 { return hourOf(c.scratch[i].At.UnixMilli()) }
	from := sort.Search(len(c.scratch), func(i int) bool { return at(i) >= hour })
	to := sort.Search(len(c.scratch), func(i int) bool { return at(i) > hour })
	next = maxSlot
	if to < len(c.scratch) {
		next = at(to)
	}
	return c.scratch[from:to], next
}

func (s *Store) foldHour(tx *bolt.Tx, f shelf, reg uint32, hour int32, of []energy.Sample) error {
	old := f.get(hour, reg)
	v, err := appendSamples(reg, hour, old, of)
	if err != nil {
		if err := s.putAside(tx, bucketHours, slotKey(hour, reg), old, err); err != nil {
			return err
		}
		v = encodeHour(reg, hour, of)
	}
	return f.put(hour, reg, v)
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

// stateOf gives a register's state where it is newer than the one in bbolt.
func (c *since) stateOf(k energy.Key) (state []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.line(k); l != nil && l.has {
		return append([]byte{}, l.state...), true
	}
	return nil, false
}

// samplesOf gives the samples of a register with times in [lo, hi), Unix ms.
func (c *since) samplesOf(k energy.Key, lo, hi int64) []energy.Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.line(k)
	if l == nil || l.n == 0 {
		return nil
	}
	all := l.decode(make([]energy.Sample, 0, l.n))
	return slices.DeleteFunc(all, func(s energy.Sample) bool { t := s.At.UnixMilli(); return t < lo || t >= hi })
}

func unixMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
