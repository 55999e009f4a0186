package store

import (
	"sort"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

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
			h := hourOf(l.sample.at)
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
		c.scratch = append(c.scratch, l.sample.sample())
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
