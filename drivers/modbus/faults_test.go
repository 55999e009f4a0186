package modbus

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	packager "github.com/goburrow/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// faulty is a wire with meters on it that do to their answers what is done in
// the field. Register a of unit u and function f says who it is in its high
// word and counts in its low one, so that a value in the wrong place shows.
type faulty struct {
	rng     *rand.Rand
	timeout time.Duration // the asker's
	share   float64       // of answers with a fault
	latency time.Duration // of an answer without
	moving  bool          // the counts go on; else an answer repeated is the same bytes
	strict  bool          // refuses, with an exception, what is not in its table
	mute    bool          // is silent there
	tables  bool          // has registers in both tables
	kinds   []string
	mu      sync.Mutex // for what follows
	count   uint16
	played  map[string]int
}

func newFaulty(seed uint64, timeout time.Duration) *faulty {
	return &faulty{rng: rand.New(rand.NewPCG(seed, 4)), timeout: timeout, share: 0.25, latency: timeout / 6, moving: true, kinds: kinds, played: map[string]int{}}
}

func idOf(unit, function uint8, address uint16) uint16 {
	return uint16(unit)<<12 | uint16(function)<<8 | address&0xFF
}

// bitOf is what a coil or discrete input holds: whatever is another's differs
// in half of its bits.
func bitOf(unit, function uint8, address uint16) bool {
	return bits.OnesCount32((uint32(unit)*0x9E3779B1^uint32(function)*0x85EBCA6B^uint32(address)*0xC2B2AE35)>>7)%2 == 1
}

// emission is something that comes after a question.
type emission struct {
	after time.Duration // the one before it
	bytes []byte
	aside bool // it does not keep the meter from its next question
}

// framer puts an answer into a frame.
type framer func(unit, function uint8, data []byte) []byte

// rtuFrame is one that says nothing of the question.
func rtuFrame(unit, function uint8, data []byte) []byte {
	p := packager.NewRTUClientHandler("")
	p.SlaveId = unit
	adu, err := p.Encode(&packager.ProtocolDataUnit{FunctionCode: function, Data: data})
	if err != nil {
		panic(err)
	}
	return adu
}

var kinds = []string{
	"late", "very late", "silent", "short", "other unit", "other unit first", "other register first", "other function", "other length",
	"split", "repeated", "noise", "checksum", "exception",
}

// registers is the answer without faults: pairs of (who, count).
func (f *faulty) registers(unit, function uint8, address, words uint16) []byte {
	if function == readCoils || function == readDiscrete {
		out := make([]byte, 1+(words+7)/8)
		out[0] = byte(len(out) - 1)
		for i := range words {
			if bitOf(unit, function, address+i) {
				out[1+i/8] |= 1 << (i % 8)
			}
		}
		return out
	}
	out := []byte{byte(2 * words)}
	if f.moving {
		f.count++
	}
	for i := range words {
		v := f.count
		if (address+i)%2 == 0 {
			v = idOf(unit, function, address+i)
		}
		out = binary.BigEndian.AppendUint16(out, v)
	}
	return out
}

// play says what comes after a question.
func (f *faulty) play(q []byte, frame, stale framer) []emission {
	f.mu.Lock()
	defer f.mu.Unlock()
	unit, function := q[0], q[1]
	address, words := binary.BigEndian.Uint16(q[2:]), binary.BigEndian.Uint16(q[4:])
	if known := words == 2 && (f.tables || function == readInput); !known && f.mute {
		return nil
	} else if !known && f.strict {
		return []emission{{after: f.latency, bytes: frame(unit, function|exceptionBit, []byte{2})}}
	}
	right := frame(unit, function, f.registers(unit, function, address, words))
	wait := f.latency/2 + time.Duration(f.rng.Int64N(int64(f.latency)))
	if f.rng.Float64() >= f.share {
		return []emission{{after: wait, bytes: right}}
	}
	random := func(max time.Duration) time.Duration { return time.Duration(f.rng.Int64N(int64(max))) }
	kind := f.kinds[f.rng.IntN(len(f.kinds))]
	f.played[kind]++
	switch kind {
	case "late":
		return []emission{{after: f.timeout + random(f.timeout), bytes: right}}
	case "very late":
		return []emission{{after: f.timeout + random(5*f.timeout), bytes: right}}
	case "silent":
		return nil
	case "short":
		return []emission{{after: wait, bytes: right[:1+f.rng.IntN(len(right)-1)]}}
	case "other unit":
		return []emission{{after: wait, bytes: frame(unit^3, function, f.registers(unit^3, function, address, words))}}
	case "other unit first":
		return []emission{{after: wait / 2, bytes: frame(unit^3, function, f.registers(unit^3, function, address, words))}, {after: wait, bytes: right}}
	case "other register first":
		return []emission{{after: wait / 2, bytes: stale(unit, function, f.registers(unit, function, address^0x40, words))}, {after: random(wait), bytes: right}}
	case "other function":
		return []emission{{after: wait, bytes: frame(unit, function^7, f.registers(unit, function^7, address, words))}}
	case "other length":
		return []emission{{after: wait, bytes: frame(unit, function, f.registers(unit, function, address, words+2))}}
	case "split":
		var out []emission
		for len(right) > 0 {
			n := 1 + f.rng.IntN(min(4, len(right)))
			out = append(out, emission{after: random(f.timeout / 10), bytes: right[:n]})
			right = right[n:]
		}
		return out
	case "repeated":
		return []emission{{after: wait, bytes: right}, {after: random(2 * f.timeout), bytes: right, aside: true}}
	case "noise":
		junk := make([]byte, 1+f.rng.IntN(6))
		for i := range junk {
			junk[i] = byte(f.rng.Uint32())
		}
		return []emission{{after: wait / 2, bytes: junk}, {after: wait / 4, bytes: right}}
	case "checksum":
		right[f.rng.IntN(len(right))] ^= 1 << f.rng.IntN(8)
		return []emission{{after: wait, bytes: right}}
	}
	return []emission{{after: wait, bytes: frame(unit, function|exceptionBit, []byte{byte(1 + f.rng.IntN(12))})}}
}

// serve answers the questions that come through, one after another, until
// the wire is closed.
func (f *faulty) serve(w io.ReadWriter) {
	q := make([]byte, 8)
	for {
		if _, err := io.ReadFull(w, q); err != nil {
			return
		}
		emit(w, f.play(q, rtuFrame, rtuFrame))
	}
}

func emit(w io.Writer, es []emission) {
	for _, e := range es {
		if e.aside {
			go func() { time.Sleep(e.after); w.Write(e.bytes) }()
			continue
		}
		time.Sleep(e.after)
		w.Write(e.bytes)
	}
}

// tally is what came of many reads.
type tally struct{ good, failed, wrong int }

func (t tally) String() string {
	return fmt.Sprintf("good %d, error %d, wrong %d", t.good, t.failed, t.wrong)
}

var faultyAddresses = []uint16{0x48, 0x10, 0x80, 0x20}

func faultyBus(t *testing.T, url string, timeout time.Duration) *Bus {
	t.Helper()
	return faultyBusOf(t, url, timeout, "input", "input")
}

func faultyBusOf(t *testing.T, url string, timeout time.Duration, tables ...string) *Bus {
	t.Helper()
	var points []Point
	for i, a := range faultyAddresses {
		points = append(points, pt(a))
		points[i].Table = tables[i%2]
	}
	b, err := New(Config{URL: url, Timeout: timeout, Devices: []Device{{Meter: "a", Unit: 1, Points: points}, {Meter: "b", Unit: 2, Points: points}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readMany polls both meters in turn until so many registers were asked for.
func readMany(t *testing.T, b *Bus, reads int, idle func()) (sum tally) {
	t.Helper()
	var rs []drivers.Reading
	for i := 0; sum.good+sum.failed+sum.wrong < reads; i++ {
		unit := uint8(1 + i%2)
		rs, _ = b.Poll(t.Context(), i%2, rs[:0])
		for _, r := range rs {
			function := uint8(readHolding)
			if b.devices[i%2].points[r.Point].input {
				function = readInput
			}
			switch {
			case r.Err != nil:
				sum.failed++
			case r.Raw>>16 == uint64(idOf(unit, function, faultyAddresses[r.Point])):
				sum.good++
			default:
				sum.wrong++
				if sum.wrong < 5 {
					t.Errorf("unit %d register %#x: %#x is not its value", unit, faultyAddresses[r.Point], r.Raw)
				}
			}
		}
		idle()
	}
	return sum
}

// seen is how often each fault was played.
func (f *faulty) seen() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.played)
}

func (f *faulty) check(t *testing.T, sum tally) {
	t.Helper()
	if sum.wrong != 0 {
		t.Errorf("%v: no value may ever be in the wrong place", sum)
	}
	var missing []string
	seen := f.seen()
	for _, k := range f.kinds {
		if seen[k] == 0 {
			missing = append(missing, k)
		}
	}
	if len(missing) > 0 && sum.good+sum.failed > 2000 {
		t.Errorf("faults that did not happen: %s", strings.Join(missing, ", "))
	}
	if sum.good*10 < sum.failed { // at such a rate of faults most rounds are taken back
		t.Errorf("%v: too few were read", sum)
	}
}
