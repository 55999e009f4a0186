package store

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The format, byte for byte: what a version of this program has written, every
// later one reads.
func TestSlotGolden(t *testing.T) {
	const want = "70657273657573 4b 01000000 00000058 00000003 0000000000000007 0000000000000102 000102030405060708090a0b0c0d0e0f" +
		"01 04 616263 00" + // register 1: a state of three bytes, no samples
		"ac02 00 02 80f08eeb9467 0e 90bf05 05" + // register 300: no state, two samples
		"ad02 01 01 80b0cdeb9467 01" + // register 301: an empty state, one sample
		"8b8b4cd0"
	on := base{0x102, [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}
	at := time.UnixMilli(1772323200000).UTC()
	two := line{id: 300, sampled: true, sample: point{at.Add(90 * time.Second).UnixMilli(), 4}}
	first := energy.Sample{At: at, Value: 7}
	two.samples, two.n, two.at, two.value = two.appendSample(nil, pointOf(&first)), 1, at.UnixMilli(), 7
	lines := []line{
		{id: 1, has: true, state: []byte("abc")},
		{id: 2}, // of which there is nothing
		two,
		{id: 301, staged: true, next: []byte{}, sampled: true, sample: point{at.Add(512 * time.Second).UnixMilli(), -1}},
	}
	file := &memory{}
	w := slotWriter{w: file, buf: make([]byte, 0, slotPage)}
	n, err := w.slot(on, 7, lines, nil)
	must(t, err)
	same(t, "bytes", n, int64(slotPage))
	length, count := slotSize(lines)
	same(t, "registers", count, 3)
	if got := hex.EncodeToString(file.b[:length]); got != strings.ReplaceAll(want, " ", "") || !allZero(file.b[length:]) {
		t.Errorf("%s\nwant\n%s", got, strings.ReplaceAll(want, " ", ""))
	}
	s, err := parseSlot(file.b)
	must(t, err)
	if s.number != 7 || s.on != on || len(s.lines) != 3 || string(s.lines[0].state) != "abc" || s.lines[1].has || !s.lines[2].has {
		t.Errorf("%+v", s)
	}
	same(t, "samples", s.lines[1].decode(nil), []energy.Sample{first, two.sample.sample()})
}

// memory is a file in memory.
type memory struct{ b []byte }

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if need := int(at) + len(b); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[at:], b), nil
}

// A slot larger than the buffer is the same as one that fits in it.
func TestSlotInPieces(t *testing.T) {
	var lines []line
	for i := range 3000 {
		lines = append(lines, line{id: uint32(i), has: true, state: bytes.Repeat([]byte{byte(i)}, i%97)})
	}
	var made [][]byte
	for _, pages := range []int{1, 3, 100} {
		file := &memory{}
		w := slotWriter{w: file, buf: make([]byte, 0, pages*slotPage)}
		_, err := w.slot(base{}, 1, lines, nil)
		must(t, err)
		made = append(made, file.b)
	}
	s, err := parseSlot(made[0])
	must(t, err)
	if len(s.lines) != 3000 || !bytes.Equal(made[0], made[1]) || !bytes.Equal(made[0], made[2]) {
		t.Errorf("%d registers; the same: %v, %v", len(s.lines), bytes.Equal(made[0], made[1]), bytes.Equal(made[0], made[2]))
	}
}

func FuzzSlot(f *testing.F) {
	file := &memory{}
	w := slotWriter{w: file, buf: make([]byte, 0, slotPage)}
	l := line{id: 3, has: true, state: []byte("s"), sampled: true, sample: point{day0.UnixMilli(), 5}}
	_, err := w.slot(base{1, [16]byte{2}}, 9, []line{{id: 1, has: true}, l}, nil)
	must(f, err)
	length, _ := slotSize([]line{{id: 1, has: true}, l})
	f.Add(file.b, false)
	f.Add(file.b[:length], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) >= slotHead+slotTail { // so that what lies behind the checksum is reached
			b = bytes.Clone(b)
			copy(b, slotMagic)
			b[8], b[9], b[10], b[11] = slotVersion, 0, 0, 0
			copy(b[12:], be32(uint32(len(b))))
			copy(b[len(b)-slotTail:], be32(crc32.Checksum(b[:len(b)-slotTail], castagnoli)))
		}
		s, err := parseSlot(b)
		if err != nil {
			return
		}
		again := &memory{}
		w := slotWriter{w: again, buf: make([]byte, 0, slotPage)}
		_, err = w.slot(s.on, s.number, s.lines, nil)
		must(t, err)
		back, err := parseSlot(again.b)
		must(t, err)
		if len(back.lines) != len(s.lines) || back.number != s.number || back.on != s.on {
			t.Fatalf("%+v is read back as %+v", s, back)
		}
		for i := range s.lines {
			a, b := &s.lines[i], &back.lines[i]
			if a.id != b.id || a.has != b.has || !bytes.Equal(a.state, b.state) || !slices.Equal(a.decode(nil), b.decode(nil)) {
				t.Fatalf("%+v is read back as %+v", a, b)
			}
			if all := a.decode(nil); len(all) > 0 && (all[0].At.UnixMilli() != a.from || all[len(all)-1].At.UnixMilli() != a.at || all[len(all)-1].Value != a.value) {
				t.Fatalf("%+v holds %v", a, all)
			}
		}
	})
}
