package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// loadDay reads a day for change. A day that is damaged (it fails its checksum)
// is put aside in the file and begun anew, so that one bad block cannot stop
// the recording.
func (s *Store) loadDay(tx *bolt.Tx, f shelf, reg uint32, day int32) ([]entry, error) {
	v := f.get(day, reg)
	if v == nil {
		return nil, nil
	}
	entries, bad := decodeDay(reg, day, v)
	if bad == nil {
		return entries, nil
	}
	if err := s.putAside(tx, bucketDays, slotKey(day, reg), v, bad); err != nil {
		return nil, err
	}
	if err := f.delete(day, reg); err != nil {
		return nil, err
	}
	return nil, recount(tx, reg)
}

// putAside keeps a damaged value under another key, for whoever wants to look.
func (s *Store) putAside(tx *bolt.Tx, bucket, key, v []byte, why error) error {
	s.log.Error("a damaged value in the store was put aside and begun anew",
		"path", s.path, "part", string(bucket), "key", fmt.Sprintf("%x", key), "cause", why)
	name := binary.BigEndian.AppendUint64(append(append(bytes.Clone(bucket), '/'), key...), uint64(tx.ID()))
	return tx.Bucket(bucketBroken).Put(name, bytes.Clone(v))
}

// storeDay writes a changed day and keeps the index of days with pending half-hours.
func storeDay(tx *bolt.Tx, f shelf, reg uint32, day int32, entries []entry) error {
	if err := f.put(day, reg, encodeDay(reg, day, entries)); err != nil {
		return err
	}
	dirty, key := tx.Bucket(bucketDirty), dirtyKey(reg, day)
	is, was := slices.ContainsFunc(entries, isPending), dirty.Get(key) != nil
	switch {
	case is && !was:
		return dirty.Put(key, []byte{1})
	case was && !is:
		return dirty.Delete(key)
	}
	return nil
}

func isPending(e entry) bool { return e.status == pending }

// dirtyKey orders by register, then by day.
func dirtyKey(reg uint32, day int32) []byte {
	return binary.BigEndian.AppendUint32(be32(reg), uint32(day)^1<<31)
}

func splitDirtyKey(b []byte) (reg uint32, day int32) {
	return binary.BigEndian.Uint32(b), int32(binary.BigEndian.Uint32(b[4:]) ^ 1<<31)
}

// commitHalfHours merges the half-hours of a round.
func (s *Store) commitHalfHours(tx *bolt.Tx, all []KeyedHalfHour) (changed []change, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	groups, err := group(s, tx, all, func(k *KeyedHalfHour) (energy.Key, int32) { return k.Key, dayOf(k.HalfHour.Start.UnixMilli()) })
	if err != nil {
		return nil, err
	}
	f := dayShelf(tx)
	if err := f.roll(groups[len(groups)-1].slot); err != nil {
		return nil, err
	}
	for _, g := range groups {
		entries, err := s.loadDay(tx, f, g.reg, g.slot)
		if err != nil {
			return nil, err
		}
		rec, _, err := findRegister(tx, g.key)
		if err != nil {
			return nil, err
		}
		dirty, known := false, rec.n
		for _, k := range g.items {
			at, found := slices.BinarySearchFunc(entries, k.HalfHour.Start, func(e entry, t time.Time) int { return e.Start.Compare(t) })
			start := k.HalfHour.Start.UnixMilli()
			switch {
			case !found:
				entries = slices.Insert(entries, at, entry{HalfHour: k.Stands(nil)})
				rec.add(start)
			default:
				next, what := successor(k, &entries[at].HalfHour)
				switch what {
				case noted:
					entries[at].HalfHour, dirty = next, true
				case beside:
					if err := s.keepBeside(tx, g.reg, k.Stands(nil)); err != nil {
						return nil, err
					}
				}
				if what != replaced {
					continue
				}
				if err := s.keepOld(tx, g.reg, entries[at]); err != nil {
					return nil, err
				}
				entries[at] = entry{HalfHour: next}
			}
			dirty = true
			changed = append(changed, change{g.reg, start})
		}
		if dirty {
			if err := storeDay(tx, f, g.reg, g.slot, entries); err != nil {
				return nil, err
			}
		}
		if rec.n != known {
			if err := putRegister(tx, g.key, rec); err != nil {
				return nil, err
			}
		}
	}
	return changed, nil
}

// change names a half-hour that a commit added or replaced.
type change struct {
	reg   uint32
	start int64
}

func (r *register) add(start int64) {
	if r.n == 0 || start < r.first {
		r.first = start
	}
	if r.n == 0 || start > r.last {
		r.last = start
	}
	r.n++
}

// normal brings a half-hour into the form in which it is read back.
func normal(h energy.HalfHour) energy.HalfHour {
	h.Start, h.TakenAt = inMillis(h.Start), inMillis(h.TakenAt)
	e := &h.Evidence
	e.First.At, e.Last.At, e.Start.At = inMillis(e.First.At), inMillis(e.Last.At), inMillis(e.Start.At)
	return h
}

func inMillis(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }
