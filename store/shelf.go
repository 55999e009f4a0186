package store

import (
	"bytes"
	"encoding/binary"
	"math"

	bolt "go.etcd.io/bbolt"
)

// shelf keeps packed values by slot (a UTC day or hour, counted from 1970) and
// register. The slot under way is rewritten again and again as it grows, which
// would leave bbolt's pages half empty if it lay among the finished ones.
// So it lies in a small bucket of its own (hot), and moves to the big one (cold),
// once, in order, when the next slot begins.
type shelf struct {
	hot, cold *bolt.Bucket
	newest    *newest
}

// newest is the newest hot slot, looked up when it is first needed.
type newest struct {
	known bool
	slot  int32
}

// newestHot is the newest hot slot, or the least number there is. It walks
// forwards: bbolt's Cursor.Last never ends in a bucket of several pages that
// this transaction has emptied (v1.4.3).
func (f shelf) newestHot() int32 {
	if !f.newest.known {
		*f.newest = newest{known: true, slot: math.MinInt32}
		for k := range walk(f.hot, nil) {
			f.newest.slot, _ = splitSlotKey(k)
		}
	}
	return f.newest.slot
}

// fillPercent is how full bbolt packs a page that it splits. Finished slots come in
// order and are then rewritten in the same size, so there is no room to leave.
const fillPercent = 1.0

func dayShelf(tx *bolt.Tx) shelf  { return newShelf(tx, bucketDayHot, bucketDays) }
func hourShelf(tx *bolt.Tx) shelf { return newShelf(tx, bucketHourHot, bucketHours) }

func newShelf(tx *bolt.Tx, hot, cold []byte) shelf {
	f := shelf{hot: tx.Bucket(hot), cold: tx.Bucket(cold), newest: new(newest)}
	f.hot.FillPercent, f.cold.FillPercent = fillPercent, fillPercent
	return f
}

// slotKey orders by slot, then by register. The offset keeps slots before 1970 in order.
func slotKey(slot int32, reg uint32) []byte {
	b := make([]byte, 0, 8)
	b = binary.BigEndian.AppendUint32(b, uint32(slot)^1<<31)
	return binary.BigEndian.AppendUint32(b, reg)
}

func splitSlotKey(b []byte) (slot int32, reg uint32) {
	return int32(binary.BigEndian.Uint32(b) ^ 1<<31), binary.BigEndian.Uint32(b[4:])
}

// get returns the value, or nil. It is valid until the transaction ends or changes it.
func (f shelf) get(slot int32, reg uint32) []byte {
	k := slotKey(slot, reg)
	if v := f.hot.Get(k); v != nil {
		return v
	}
	return f.cold.Get(k)
}

// put stores a value. The caller has called roll with the newest slot it puts.
func (f shelf) put(slot int32, reg uint32, v []byte) error {
	k := slotKey(slot, reg)
	if f.hot.Get(k) == nil && (slot < f.newestHot() || f.cold.Get(k) != nil) {
		return f.cold.Put(k, v)
	}
	f.newest.slot = max(f.newestHot(), slot)
	return f.hot.Put(k, v)
}

// delete drops a value wherever it lies.
func (f shelf) delete(slot int32, reg uint32) error {
	k := slotKey(slot, reg)
	if err := f.hot.Delete(k); err != nil {
		return err
	}
	return f.cold.Delete(k)
}

// roll moves what is older than the slot to the finished ones.
func (f shelf) roll(slot int32) error {
	var keys, values [][]byte
	end := slotKey(slot, 0)
	for k, v := range walk(f.hot, nil) {
		if bytes.Compare(k, end) >= 0 {
			break
		}
		keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
	}
	for i, k := range keys {
		if err := f.cold.Put(k, values[i]); err != nil {
			return err
		}
		if err := f.hot.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// next finds the register's first slot in [from, to]; ok is false when it has none there.
func (f shelf) next(reg uint32, from, to int32) (slot int32, v []byte, ok bool) {
	a, va, oka := nextIn(f.cold, reg, from, to)
	b, vb, okb := nextIn(f.hot, reg, from, to)
	if okb && (!oka || b < a) {
		return b, vb, true
	}
	return a, va, oka
}

func nextIn(b *bolt.Bucket, reg uint32, from, to int32) (int32, []byte, bool) {
	c := b.Cursor()
	for from <= to {
		k, v := c.Seek(slotKey(from, reg))
		if k == nil {
			break
		}
		slot, r := splitSlotKey(k)
		switch {
		case slot < from || slot == from && r < reg: // bbolt's search goes astray on a damaged page: it would for ever
			panic("keys are out of order")
		case slot > to:
			return 0, nil, false
		case r == reg:
			return slot, v, true
		case r < reg: // a later slot, other registers first
			from = slot
		case slot == math.MaxInt32:
			return 0, nil, false
		default:
			from = slot + 1
		}
	}
	return 0, nil, false
}

// before lists the keys of all slots before the given one.
func (f shelf) before(slot int32) [][]byte {
	var keys [][]byte
	end := slotKey(slot, 0)
	for _, b := range []*bolt.Bucket{f.cold, f.hot} {
		for k := range walk(b, nil) {
			if bytes.Compare(k, end) >= 0 {
				break
			}
			keys = append(keys, bytes.Clone(k))
		}
	}
	return keys
}
