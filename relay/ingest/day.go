package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/perseus-edge/perseus-edge/energy"
)

const (
	perDay     = 48
	halfHour   = 1800  // seconds
	daySeconds = 86400 // UTC days have no leap seconds in unix time
)

// slot is one stored half-hour.
type slot struct {
	energy     int64 // base units, >= 0
	cumulative int64 // register at the end; -1 unknown
	quality    energy.Quality
	rule       energy.Rule
	flags      energy.Flags
	batch      uint64 // sequence of the batch that brought the value
	taken      int64  // unix seconds; after the end of the half-hour
}

// day is the half-hours of one register on one UTC day. Absent means unknown:
// a half-hour that a gateway reports as missing is not stored.
type day struct {
	number int64  // days since 1970-01-01
	have   uint64 // bit i: slots[i] is present
	slots  [perDay]slot
}

// put stores a half-hour. The same value again keeps the batch that brought it
// first, and takes over only what the validation says of it since, and the
// register, which the first batch may not have told; another value takes its
// place. It reports whether the day changed.
func (d *day) put(i int, s slot) bool {
	old := &d.slots[i]
	if d.have&(1<<i) != 0 && old.energy == s.energy && old.quality == s.quality && old.rule == s.rule {
		if s.cumulative < 0 {
			s.cumulative = old.cumulative
		}
		changed := old.flags != s.flags || old.cumulative != s.cumulative
		old.flags, old.cumulative = s.flags, s.cumulative
		return changed
	}
	d.have |= 1 << i
	*old = s
	return true
}

// drop removes a half-hour: the gateway, which knew it once, has withdrawn it.
// It reports whether the day changed.
func (d *day) drop(i int) bool {
	if d.have&(1<<i) == 0 {
		return false
	}
	d.have &^= 1 << i
	d.slots[i] = slot{}
	return true
}

// end is the end of slot i in unix seconds.
func (d *day) end(i int) int64 { return d.number*daySeconds + int64(i+1)*halfHour }

// The packed form of a day, in columns, each over the present half-hours:
//
//	version   1 byte
//	present   6 bytes, bit set, little endian
//	energy    zigzag varint difference to the one before (the first: to 0)
//	quality   runs: uvarint count, quality, rule
//	register  runs: uvarint count<<1|known; when known uvarint register of the
//	          first, the others follow by adding their energy
//	batch     runs: uvarint (count-1)<<1|jump; jump 0: the batch before plus 1,
//	          jump 1: zigzag varint difference (the first: to 0); then zigzag
//	          varint difference of the delay (taken - end of the run's first
//	          half-hour) to that of the run before
//	flags     version 2 only: runs: uvarint count, uvarint flags
//
// A day without flags is written as version 1, byte for byte as before there
// were any: no row has to be migrated. A day that came in one batch takes about 2 bytes per half-hour, a day that
// came in 48 batches about 5.
const (
	dayVersion = 1
	dayFlagged = 2
)

// encode packs the day; nil when it is empty.
func (d *day) encode() []byte {
	if d.have == 0 {
		return nil
	}
	out := make([]byte, 1, 160)
	out[0] = dayVersion
	out = binary.LittleEndian.AppendUint64(out, d.have)[:7]
	at := d.present()
	last := int64(0)
	for _, i := range at {
		out = binary.AppendVarint(out, d.slots[i].energy-last)
		last = d.slots[i].energy
	}
	for n := 0; n < len(at); {
		first := &d.slots[at[n]]
		count := run(at[n:], func(_, i int) bool {
			return d.slots[i].quality == first.quality && d.slots[i].rule == first.rule
		})
		out = binary.AppendUvarint(out, uint64(count))
		out = append(out, byte(first.quality), byte(first.rule))
		n += count
	}
	for n := 0; n < len(at); {
		first := &d.slots[at[n]]
		known := first.cumulative >= 0
		count := run(at[n:], func(before, i int) bool {
			s := &d.slots[i]
			if !known {
				return s.cumulative < 0
			}
			return s.cumulative >= 0 && s.cumulative-s.energy == d.slots[before].cumulative
		})
		if known {
			out = binary.AppendUvarint(out, uint64(count)<<1|1)
			out = binary.AppendUvarint(out, uint64(first.cumulative))
		} else {
			out = binary.AppendUvarint(out, uint64(count)<<1)
		}
		n += count
	}
	batch, delay := uint64(0), int64(0)
	for n := 0; n < len(at); {
		first := &d.slots[at[n]]
		count := run(at[n:], func(_, i int) bool {
			return d.slots[i].batch == first.batch && d.slots[i].taken == first.taken
		})
		head := uint64(count-1) << 1
		if first.batch == batch+1 {
			out = binary.AppendUvarint(out, head)
		} else {
			out = binary.AppendUvarint(out, head|1)
			out = binary.AppendVarint(out, int64(first.batch-batch))
		}
		late := first.taken - d.end(at[n])
		out = binary.AppendVarint(out, late-delay)
		batch, delay, n = first.batch, late, n+count
	}
	return d.encodeFlags(out, at)
}

// present lists the indexes of the present half-hours.
func (d *day) present() []int {
	at := make([]int, 0, perDay)
	for have := d.have; have != 0; have &= have - 1 {
		at = append(at, bits.TrailingZeros64(have))
	}
	return at
}

// run counts how many of at, from its first, belong together.
func run(at []int, same func(before, i int) bool) int {
	n := 1
	for n < len(at) && same(at[n-1], at[n]) {
		n++
	}
	return n
}

var errDay = errors.New("stored day is damaged")

// decodeDay unpacks a day. It accepts exactly what can stand for a day: no
// missing or negative value, no spare bytes.
func decodeDay(number int64, data []byte) (*day, error) {
	r := reader{data: data}
	version := r.byte()
	if r.bad || version != dayVersion && version != dayFlagged {
		return nil, fmt.Errorf("%w: version %d", errDay, version)
	}
	d := &day{number: number}
	for i := range 6 {
		d.have |= uint64(r.byte()) << (8 * i)
	}
	at := d.present()
	if r.bad || len(at) == 0 {
		return nil, fmt.Errorf("%w: no half-hours", errDay)
	}
	last := int64(0)
	for _, i := range at {
		delta := r.varint()
		if delta > 0 && last > math.MaxInt64-delta || last+delta < 0 {
			return nil, fmt.Errorf("%w: energy", errDay)
		}
		last += delta
		d.slots[i].energy = last
	}
	for n := 0; n < len(at); {
		count, q, rule := r.uvarint(), energy.Quality(r.byte()), energy.Rule(r.byte())
		if r.bad || count == 0 || count > uint64(len(at)-n) || !q.Valid() || q == energy.Missing {
			return nil, fmt.Errorf("%w: quality", errDay)
		}
		for range count {
			d.slots[at[n]].quality, d.slots[at[n]].rule = q, rule
			n++
		}
	}
	for n := 0; n < len(at); {
		head := r.uvarint()
		count, known := head>>1, head&1 == 1
		register := int64(-1)
		if known {
			v := r.uvarint()
			if v > math.MaxInt64 {
				r.bad = true
			}
			register = int64(v)
		}
		if r.bad || count == 0 || count > uint64(len(at)-n) {
			return nil, fmt.Errorf("%w: register", errDay)
		}
		for k := range count {
			s := &d.slots[at[n]]
			if known && k > 0 {
				if register > math.MaxInt64-s.energy {
					return nil, fmt.Errorf("%w: register", errDay)
				}
				register += s.energy
			}
			s.cumulative = register
			n++
		}
	}
	batch, delay := uint64(0), int64(0)
	for n := 0; n < len(at); {
		head := r.uvarint()
		count := head>>1 + 1
		if head&1 == 0 {
			batch++
		} else {
			batch += uint64(r.varint())
		}
		delay += r.varint()
		if r.bad || batch == 0 || count > uint64(len(at)-n) {
			return nil, fmt.Errorf("%w: batch", errDay)
		}
		taken := d.end(at[n]) + delay
		for range count {
			d.slots[at[n]].batch, d.slots[at[n]].taken = batch, taken
			n++
		}
	}
	if version == dayFlagged && !d.decodeFlags(&r, at) {
		return nil, fmt.Errorf("%w: flags", errDay)
	}
	if r.bad || len(r.data) > 0 {
		return nil, fmt.Errorf("%w: %d spare bytes", errDay, len(r.data))
	}
	return d, nil
}

// reader reads varints; bad stays set after the first that is not there.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.bad = true
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}
