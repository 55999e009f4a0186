package store

import (
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

func (s *Store) commitSamples(tx *bolt.Tx, all []KeyedSample) error {
	if len(all) == 0 {
		return nil
	}
	groups, err := group(s, tx, all, func(k *KeyedSample) (energy.Key, int32) { return k.Key, hourOf(k.Sample.At.UnixMilli()) })
	if err != nil {
		return err
	}
	f := hourShelf(tx)
	if err := f.roll(groups[len(groups)-1].slot); err != nil {
		return err
	}
	for _, g := range groups {
		samples := make([]energy.Sample, len(g.items))
		for i, k := range g.items {
			samples[i] = k.Sample
		}
		slices.SortStableFunc(samples, func(a, b energy.Sample) int { return a.At.Compare(b.At) })
		old := f.get(g.slot, g.reg)
		v, err := appendSamples(g.reg, g.slot, old, samples)
		if err != nil {
			if err := s.putAside(tx, bucketHours, slotKey(g.slot, g.reg), old, err); err != nil {
				return err
			}
			v = encodeHour(g.reg, g.slot, samples)
		}
		if err := f.put(g.slot, g.reg, v); err != nil {
			return err
		}
	}
	return nil
}

// shedSamples gives up the oldest quarter of the hours of samples, so that half-hours
// find room when the disk is full: the pages it frees are used again. It
// reports whether anything was given up. The caller holds s.write.
func (s *Store) shedSamples() bool {
	shed := 0
	err := s.updateLocked("giving up old samples", func(tx *bolt.Tx) error {
		f := hourShelf(tx)
		keys := f.before(maxSlot)
		keys = keys[:(len(keys)+3)/4]
		for _, k := range keys {
			if err := f.delete(splitSlotKey(k)); err != nil {
				return err
			}
		}
		if shed = len(keys); shed == 0 {
			return errNothingToDo
		}
		return nil
	})
	if err != nil || shed == 0 {
		return false
	}
	s.log.Warn("the disk is full: the oldest samples were given up to make room", "path", s.path, "hours", shed)
	return true
}

// errSlot makes the error for a slot that cannot be read.
func errSlot(what string, k energy.Key, when string, err error) error {
	return fmt.Errorf("%s of %s %s: %w: %w", what, k, when, ErrDamaged, err)
}
