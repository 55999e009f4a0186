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
	tx     *bolt.Tx
	hot    *bolt.Bucket
	rest   []byte // name of the finished ones; most calls need not look there
	newest *newest
}

// cold opens the bucket of the finished slots when it is first needed.
func (f shelf) cold() *bolt.Bucket {
	b := f.tx.Bucket(f.rest)
	b.FillPercent = fillPercent
	return b
}

// newest is the newest hot slot, looked up when it is first needed, and where
// the last value was found that was asked for: it is what is put back next.
type newest struct {
	known bool
	slot  int32

	key   [8]byte // of the last call; bbolt clones what it keeps
	found place
	at    [8]byte // key of what was found
}

// place is where a value lies.
type place uint8

const (
	notKnown place = iota
	nowhere
	inHot
	inCold
)

// newestHot is the newest hot slot, or the least number there is. It walks
// forwards: bbolt's Cursor.Last never ends in a bucket of several pages that
// this transaction has emptied (v1.4.3).
func (f shelf) newestHot() int32 {
	if !f.newest.known {
		f.newest.known, f.newest.slot = true, math.MinInt32
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
	f := shelf{tx: tx, hot: tx.Bucket(hot), rest: cold, newest: new(newest)}
	f.hot.FillPercent = fillPercent
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

// keyed gives the key in the shelf's own memory, until the next call.
func (f shelf) keyed(slot int32, reg uint32) []byte {
	binary.BigEndian.PutUint32(f.newest.key[:], uint32(slot)^1<<31)
	binary.BigEndian.PutUint32(f.newest.key[4:], reg)
	return f.newest.key[:]
}

// get returns the value, or nil. It is valid until the transaction ends or changes it.
func (f shelf) get(slot int32, reg uint32) []byte {
	v, _ := f.look(f.keyed(slot, reg))
	return v
}

func (f shelf) look(k []byte) (v []byte, where place) {
	if v = f.hot.Get(k); v != nil {
		where = inHot
	} else if v = f.cold().Get(k); v != nil {
		where = inCold
	} else {
		where = nowhere
	}
	f.newest.at, f.newest.found = [8]byte(k), where
	return v, where
}

// put stores a value. The caller has called roll with the newest slot it puts.
func (f shelf) put(slot int32, reg uint32, v []byte) error {
	k := f.keyed(slot, reg)
	where := f.newest.found
	if where == notKnown || f.newest.at != f.newest.key {
		_, where = f.look(k)
	}
	if where == inCold || where == nowhere && slot < f.newestHot() {
		f.newest.found = inCold
		return f.cold().Put(k, v)
	}
	f.newest.slot, f.newest.found = max(f.newestHot(), slot), inHot
	return f.hot.Put(k, v)
}

// delete drops a value wherever it lies.
func (f shelf) delete(slot int32, reg uint32) error {
	k := f.keyed(slot, reg)
	f.newest.found = notKnown
	if err := f.hot.Delete(k); err != nil {
		return err
	}
	return f.cold().Delete(k)
}

// roll moves what is older than the slot to the finished ones.
func (f shelf) roll(slot int32) error {
	f.newest.found = notKnown
	var keys, values [][]byte
	end := slotKey(slot, 0)
	for k, v := range walk(f.hot, nil) {
		if bytes.Compare(k, end) >= 0 {
			break
		}
		keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
	}
	for i, k := range keys {
		if err := f.cold().Put(k, values[i]); err != nil {
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
	b, vb, okb := f.nextIn(f.hot, reg, from, to)
	if okb && b == from { // none comes before it
		f.newest.at, f.newest.found = [8]byte(f.keyed(b, reg)), inHot
		return b, vb, true
	}
	a, va, oka := f.nextIn(f.cold(), reg, from, to)
	slot, v, ok, f.newest.found = a, va, oka, inCold
	if okb && (!oka || b < a) {
		slot, v, ok, f.newest.found = b, vb, true, inHot
	}
	f.newest.at = [8]byte(f.keyed(slot, reg))
	if !ok || oka && okb && a == b {
		f.newest.found = notKnown
	}
	return slot, v, ok
}

func (f shelf) nextIn(b *bolt.Bucket, reg uint32, from, to int32) (int32, []byte, bool) {
	c := b.Cursor()
	for from <= to {
		k, v := c.Seek(f.keyed(from, reg))
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
	for _, b := range []*bolt.Bucket{f.cold(), f.hot} {
		for k := range walk(b, nil) {
			if bytes.Compare(k, end) >= 0 {
				break
			}
			keys = append(keys, bytes.Clone(k))
		}
	}
	return keys
}
