package store

import (
	"bytes"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Prune drops what is older than its retention, counted back from now: samples
// by the hour, half-hours by the day (a day goes when all of it is too old),
// with their corrections, findings, and statements but for the last one before
// the oldest half-hour. What is not yet acknowledged stays as
// long as anything else, no longer: the store must not grow for ever. When
// nothing is too old, nothing is written.
//
// Before all that it looks through the file as Open does, so that a card that
// begins to fail is noticed within the hour: then it returns ErrDamaged, nothing
// more is written, and the next Open sets the file aside.
//
// It believes now. A caller that does not trust its clock should not call it.
func (s *Store) Prune(now time.Time) error {
	hour := hourOf(now.Add(-s.o.KeepSamples).UnixMilli())
	cutoff := now.Add(-s.o.KeepHalfHours).UnixMilli()
	day := dayOf(cutoff)
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.verify(); err != nil {
		return err
	}
	return s.updateLocked("dropping what is too old", func(tx *bolt.Tx) error {
		dropped := 0
		hours := hourShelf(tx)
		for _, k := range hours.before(hour) {
			if err := hours.delete(splitSlotKey(k)); err != nil {
				return err
			}
			dropped++
		}
		n, err := s.pruneDays(tx, day)
		if err != nil {
			return err
		}
		dropped += n
		for _, drop := range []func(*bolt.Tx, int64) (int, error){pruneStatements, pruneFindings} {
			n, err := drop(tx, cutoff)
			if err != nil {
				return err
			}
			dropped += n
		}
		if dropped == 0 {
			return errNothingToDo
		}
		return nil
	})
}

// pruneDays drops the days before the given one.
func (s *Store) pruneDays(tx *bolt.Tx, day int32) (int, error) {
	days := dayShelf(tx)
	keys := days.before(day)
	gone, lost := map[uint32]uint64{}, map[uint32]bool{} // half-hours dropped, and whether a day could not be read, by register
	for _, k := range keys {
		slot, reg := splitSlotKey(k)
		entries, bad := decodeDay(reg, slot, days.get(slot, reg))
		gone[reg] += uint64(len(entries))
		if bad != nil {
			lost[reg] = true
		}
		if err := days.delete(slot, reg); err != nil {
			return 0, err
		}
		if err := tx.Bucket(bucketDirty).Delete(dirtyKey(reg, slot)); err != nil {
			return 0, err
		}
	}
	for reg, n := range gone {
		shrunk := shrink(tx, days, reg, n)
		if lost[reg] {
			shrunk = recount(tx, reg)
		}
		if shrunk != nil {
			return 0, shrunk
		}
		if err := pruneCorrections(tx, reg, int64(day)*dayMillis); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// shrink takes n half-hours, the oldest, off a register's record.
func shrink(tx *bolt.Tx, days shelf, reg uint32, n uint64) error {
	k, err := keyOfID(tx, reg)
	if err != nil {
		return err
	}
	r, _, err := findRegister(tx, k)
	if err != nil {
		return err
	}
	r.n -= min(n, r.n)
	slot, v, ok := days.next(reg, minSlot, maxSlot)
	if !ok {
		r.n, r.first, r.last = 0, 0, 0
	} else if entries, err := decodeDay(reg, slot, v); err == nil && len(entries) > 0 {
		r.first = entries[0].Start.UnixMilli()
	}
	return putRegister(tx, k, r)
}

// recount makes a register's record from what can be read of its half-hours:
// after a day was lost.
func recount(tx *bolt.Tx, reg uint32) error {
	k, err := keyOfID(tx, reg)
	if err != nil {
		return err
	}
	r := register{id: reg}
	days := dayShelf(tx)
	for slot := int32(minSlot); ; slot++ {
		at, v, ok := days.next(reg, slot, maxSlot)
		if !ok {
			return putRegister(tx, k, r)
		}
		slot = at
		entries, _ := decodeDay(reg, at, v)
		for i := range entries {
			r.add(entries[i].Start.UnixMilli())
		}
	}
}

func pruneCorrections(tx *bolt.Tx, reg uint32, before int64) error {
	for _, name := range [][]byte{bucketFixes, bucketResealed} {
		b := tx.Bucket(name)
		var keys [][]byte
		end := resealKey(reg, before)
		for k := range walk(b, be32(reg)) {
			if bytes.Compare(k, end) >= 0 {
				break
			}
			keys = append(keys, bytes.Clone(k))
		}
		for _, k := range keys {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// pruneStatements drops statements of before an instant, but of each register
// the last one of them: what is kept of its half-hours is counted from there.
func pruneStatements(tx *bolt.Tx, before int64) (int, error) {
	type old struct{ bucket, key []byte }
	last, gone := map[energy.Key]old{}, []old{}
	for _, st := range allStatements(tx) {
		k, at, ok := st.of()
		if !ok || at >= before {
			continue
		}
		if o, ok := last[k]; ok {
			gone = append(gone, o)
		}
		last[k] = old{st.bucket, bytes.Clone(st.key)}
	}
	for _, o := range gone {
		if err := tx.Bucket(o.bucket).Delete(o.key); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

// Usage says how much the store holds.
type Usage struct {
	FileBytes   int64 // size of the file
	FreeBytes   int64 // of it, free for what comes next
	Registers   int
	HalfHours   int
	PendingDays int // days of a register with half-hours neither sealed nor acknowledged
	Sealed      int // batches sealed and not acknowledged
	Corrections int // replaced versions of half-hours
	Statements  int // pending ones
	Findings    int
	Damaged     int // values put aside because they were damaged
	Oldest      time.Time
	Newest      time.Time // Start of the oldest and newest half-hour; zero when there is none
}

// Usage counts what is stored. It reads indexes only.
func (s *Store) Usage() (u Usage, err error) {
	err = s.view("counting what is stored", func(tx *bolt.Tx) error {
		u.FileBytes = max(tx.Size(), 0)
		if info, err := s.file.Stat(); err == nil {
			u.FileBytes = info.Size()
		}
		stats := s.db.Stats()
		u.FreeBytes = int64(stats.FreePageN+stats.PendingPageN)*int64(s.db.Info().PageSize) + u.FileBytes - tx.Size()
		for _, c := range []struct {
			bucket []byte
			n      *int
		}{{bucketDirty, &u.PendingDays}, {bucketSealed, &u.Sealed}, {bucketFixes, &u.Corrections}, {bucketStatements, &u.Statements}, {bucketFindings, &u.Findings}, {bucketBroken, &u.Damaged}} {
			b := tx.Bucket(c.bucket)
			if b == nil {
				continue
			}
			for range walk(b, nil) {
				*c.n++
			}
		}
		var all register
		for k, v := range walk(tx.Bucket(bucketRegisters), nil) {
			r, err := decodeRegister(k, v)
			if err != nil {
				return err
			}
			u.Registers++
			if r.n > 0 {
				n := all.n + r.n
				all.add(r.first)
				all.add(r.last)
				all.n = n
			}
		}
		u.HalfHours = int(all.n)
		if all.n > 0 {
			u.Oldest, u.Newest = time.UnixMilli(all.first).UTC(), time.UnixMilli(all.last).UTC()
		}
		return nil
	})
	return u, err
}
