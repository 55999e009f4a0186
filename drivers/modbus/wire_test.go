package modbus

import (
	"flag"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

var seed = flag.Uint64("seed", 1, "of the faults on the wires")

// memory is a wire in memory; under synctest its time is virtual.
type memory struct {
	in   chan []byte // from the meters
	out  chan []byte // to them
	rest []byte
}

func (m *memory) readUntil(p []byte, deadline time.Time) (int, error) {
	if len(m.rest) == 0 {
		select {
		case m.rest = <-m.in:
		default:
			late := time.NewTimer(time.Until(deadline))
			defer late.Stop()
			select {
			case m.rest = <-m.in:
			case <-late.C:
				return 0, os.ErrDeadlineExceeded
			}
		}
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func (m *memory) write(p []byte) error { m.out <- append([]byte(nil), p...); return nil }
func (m *memory) close() error         { return nil }

// farEnd is where the meters are.
type farEnd struct {
	*memory
	got []byte
}

func (m *farEnd) Read(p []byte) (int, error) {
	if len(m.got) == 0 {
		var ok bool
		if m.got, ok = <-m.out; !ok {
			return 0, io.EOF
		}
	}
	n := copy(p, m.got)
	m.got = m.got[n:]
	return n, nil
}

func (m *farEnd) Write(p []byte) (int, error) { m.in <- append([]byte(nil), p...); return len(p), nil }

// onWire runs a test with meters on a wire in memory.
func onWire(t *testing.T, f *faulty, url string, timeout time.Duration, run func(b *Bus)) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{in: make(chan []byte, 1000), out: make(chan []byte, 1000)}
		go f.serve(&farEnd{memory: m})
		b := faultyBusOf(t, url, timeout, "input", map[bool]string{true: "holding", false: "input"}[f.tables])
		b.rtu.dial = func() (link, error) { return m, nil }
		run(b)
		close(m.out)
		time.Sleep(10 * timeout) // what is on its way arrives
	})
}

// Nothing that meters do to their answers may put a value into the wrong
// register: 20,000 reads at real speeds, in virtual time.
func TestNoWrongValueOnSerialWires(t *testing.T) {
	for name, c := range map[string]struct {
		url  string
		edit func(*faulty)
		idle time.Duration
	}{
		"rtu, one round after the other":        {"rtu:///dev/x?baud=9600", func(*faulty) {}, 0},
		"rtu, a pause between rounds":           {"rtu:///dev/x?baud=9600", func(*faulty) {}, 700 * time.Millisecond},
		"rtu, values that stand still":          {"rtu:///dev/x?baud=115200", func(f *faulty) { f.moving = false }, 0},
		"rtu, meters that refuse proofs":        {"rtu:///dev/x?baud=19200", func(f *faulty) { f.strict = true }, 0},
		"rtu, meters that are silent at proofs": {"rtu:///dev/x?baud=19200", func(f *faulty) { f.mute = true }, 0},
		"rtu, meters with two tables":           {"rtu:///dev/x?baud=9600", func(f *faulty) { f.tables = true }, 0},
		"rtu, two tables, and no proofs":        {"rtu:///dev/x?baud=9600", func(f *faulty) { f.tables, f.strict = true, true }, 0},
		"rtuovertcp":                            {"rtuovertcp://converter:4001", func(*faulty) {}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(*seed, 300*time.Millisecond)
			c.edit(f)
			onWire(t, f, c.url, f.timeout, func(b *Bus) {
				began := time.Now()
				sum := readMany(t, b, 20_000, func() { time.Sleep(c.idle) })
				t.Logf("%v in %v, faults %v", sum, time.Since(began).Round(time.Second), f.seen())
				f.check(t, sum)
			})
		})
	}
}
