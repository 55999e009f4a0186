package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A slot of the checkpoint file (see checkpoint.go) is
//
//	magic 8 bytes | version 1 byte | 3 bytes 0 | length of all, 4 bytes |
//	count of registers 4 bytes | number of the checkpoint 8 bytes |
//	number of the store's last transaction 8 bytes | its mark 16 bytes |
//	per register, by number:
//	  number uvarint |
//	  length of the state + 1, uvarint (0: none) | state |
//	  samples, uvarint; the first: at varint, Unix ms | value varint;
//	  each other: at - the one before, uvarint, not 0 | value - the one before, varint |
//	CRC-32C of all before it, 4 bytes
//
// all big endian, and zeros up to a whole page. The sum stands last, so that
// a slot can be written from a small buffer in one pass.
const (
	slotMagic   = "perseusK"
	slotVersion = 1
	slotHead    = 8 + 4 + 4 + 4 + 8 + 8 + 16
	slotTail    = 4
	slotPage    = 4096
)

// base is the state of the bbolt file that a checkpoint lies upon: that of one
// transaction. The mark is drawn anew for each, so that no other transaction is
// taken for it: not one that failed and was done again under the same number,
// nor one of another file.
type base struct {
	txid uint64
	mark [16]byte
}

// line is what a checkpoint holds of one register: its state, and its samples
// since that transaction.
type line struct {
	id       uint32
	n        int32 // samples
	has      bool  // there is a state
	state    []byte
	samples  []byte // packed, as in the slot
	from, at int64  // the first and the last sample's time, Unix ms
	value    int64  // of the last sample

	// What the round at hand brings. It becomes the above once it is durable.
	staged  bool
	next    []byte
	sampled bool
	sample  point
}

// point is a sample in the form in which it is stored.
type point struct{ at, value int64 }

func pointOf(s *energy.Sample) point { return point{s.At.UnixMilli(), s.Value} }

func (p point) sample() energy.Sample { return energy.Sample{At: unixMillis(p.at), Value: p.value} }

// empty reports that nothing of the register is newer than the transaction.
func (l *line) empty() bool { return !l.has && l.n == 0 && !l.staged && !l.sampled }

// shown gives the state with what is staged over it.
func (l *line) shown() (state []byte, has bool) {
	if l.staged {
		return l.next, true
	}
	return l.state, l.has
}

// appendSample packs one more sample, which must be later than the last.
func (l *line) appendSample(b []byte, p point) []byte {
	if l.n == 0 {
		return binary.AppendVarint(binary.AppendVarint(b, p.at), p.value)
	}
	return binary.AppendVarint(binary.AppendUvarint(b, uint64(p.at-l.at)), p.value-l.value)
}

// head appends what stands before the state, and tail what follows the packed
// samples; between stand the state and how many samples there are.
func (l *line) head(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(l.id))
	state, has := l.shown()
	if !has {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(len(state))+1)
}

func (l *line) count(b []byte) []byte {
	n := l.n
	if l.sampled {
		n++
	}
	return binary.AppendUvarint(b, uint64(n))
}

func (l *line) tail(b []byte) []byte {
	if !l.sampled {
		return b
	}
	return l.appendSample(b, l.sample)
}

// size is how many bytes the register takes in a slot.
func (l *line) size() int {
	var scratch [2 * binary.MaxVarintLen64]byte
	state, _ := l.shown()
	return len(l.head(scratch[:0])) + len(state) + len(l.count(scratch[:0])) + len(l.samples) + len(l.tail(scratch[:0]))
}

// slotSize gives the length of a slot of these registers, those left out that
// have nothing, and how many are in it.
func slotSize(lines []line) (length, count int) {
	length = slotHead + slotTail
	for i := range lines {
		if l := &lines[i]; !l.empty() {
			length += l.size()
			count++
		}
	}
	return length, count
}

// slot is one that was read.
type slot struct {
	number uint64
	on     base
	lines  []line
}

var (
	errTornSlot  = errors.New("a slot of the checkpoint is damaged")
	errUnwritten = errors.New("a slot of the checkpoint was never written")
)

// slotLength gives the length that the head of a slot claims.
func slotLength(head []byte) (int, error) {
	if len(head) < slotHead {
		return 0, fmt.Errorf("%w: it has %d bytes", errTornSlot, len(head))
	}
	if allZero(head[:slotHead]) {
		return 0, errUnwritten
	}
	if string(head[:8]) != slotMagic {
		return 0, fmt.Errorf("%w: it does not begin as one", errTornSlot)
	}
	if head[8] != slotVersion {
		return 0, fmt.Errorf("%w: version %d, this program knows %d", errTornSlot, head[8], slotVersion)
	}
	return int(binary.BigEndian.Uint32(head[12:])), nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// parseSlot reads a slot; what follows its length in b is not looked at. It
// never panics, and what it gives refers to b.
func parseSlot(b []byte) (s slot, err error) {
	length, err := slotLength(b)
	if err != nil {
		return s, err
	}
	if length < slotHead+slotTail || length > len(b) {
		return s, fmt.Errorf("%w: it claims %d bytes of %d", errTornSlot, length, len(b))
	}
	b = b[:length]
	if got := crc32.Checksum(b[:length-slotTail], castagnoli); got != binary.BigEndian.Uint32(b[length-slotTail:]) {
		return s, fmt.Errorf("%w: its checksum is %08x", errTornSlot, got)
	}
	n := binary.BigEndian.Uint32(b[16:])
	s.number, s.on = binary.BigEndian.Uint64(b[20:]), base{binary.BigEndian.Uint64(b[28:]), [16]byte(b[36:])}
	r := reader{b: b[slotHead : length-slotTail]}
	if uint64(n) > uint64(len(r.b)/3) {
		return slot{}, fmt.Errorf("%w: it claims %d registers", errTornSlot, n)
	}
	s.lines = make([]line, n)
	last := uint64(0)
	for i := range s.lines {
		l := &s.lines[i]
		id := r.uvarint()
		if r.bad || id > math.MaxUint32 || i > 0 && id <= last {
			return slot{}, fmt.Errorf("%w: register %d of %d", errTornSlot, i+1, n)
		}
		last, l.id = id, uint32(id)
		if size := r.uvarint(); size > 0 {
			l.state, l.has = r.bytes(size-1), true
		}
		if !l.readSamples(&r) || l.empty() {
			return slot{}, fmt.Errorf("%w: register %d of %d", errTornSlot, i+1, n)
		}
	}
	if len(r.b) != 0 {
		return slot{}, fmt.Errorf("%w: %d bytes too many", errTornSlot, len(r.b))
	}
	return s, nil
}

// readSamples takes a register's samples off a slot.
func (l *line) readSamples(r *reader) bool {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)/2) {
		return false
	}
	from := r.b
	for i := range n {
		if i == 0 {
			l.at, l.value = r.varint(), r.varint()
			l.from = l.at
		} else {
			d := r.uvarint()
			if d == 0 || d > latest {
				return false
			}
			l.at += int64(d)
			l.value += r.varint()
		}
		if r.bad || l.at < earliest || l.at > latest {
			return false
		}
	}
	l.n, l.samples = int32(n), from[:len(from)-len(r.b)]
	return true
}

// decode appends the packed samples to dst.
func (l *line) decode(dst []energy.Sample) []energy.Sample {
	r := reader{b: l.samples}
	at, value := int64(0), int64(0)
	for i := range l.n {
		if i == 0 {
			at, value = r.varint(), r.varint()
		} else {
			at += int64(r.uvarint())
			value += r.varint()
		}
		dst = append(dst, energy.Sample{At: unixMillis(at), Value: value})
	}
	return dst
}
