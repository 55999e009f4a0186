package modbus

import (
	"encoding/binary"
	"flag"
	"io"
	"log"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

var reads = flag.Int("reads", 50, "registers to read in each mode, in real time")

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// converter passes serial frames through: whoever is connected hears all that
// comes from the wire behind it, were it the answer to somebody before.
type converter struct {
	*io.PipeReader // questions
	mu             sync.Mutex
	conn           net.Conn
}

func (c *converter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Write(p)
	}
	return len(p), nil
}

func convert(t *testing.T, f *faulty) (address string) {
	l := listen(t)
	r, w := io.Pipe()
	c := &converter{PipeReader: r}
	go f.serve(c)
	go func() {
		defer w.Close()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conn = conn
			c.mu.Unlock()
			go func() { io.Copy(struct{ io.Writer }{w}, conn); conn.Close() }()
		}
	}()
	return l.Addr().String()
}

func TestNoWrongValueBehindAConverter(t *testing.T) {
	t.Parallel()
	f := newFaulty(*seed, 40*time.Millisecond)
	b := faultyBus(t, "rtuovertcp://"+convert(t, f), f.timeout)
	defer b.Close()
	sum := readMany(t, b, *reads, func() {})
	t.Logf("perseus rtuovertcp: %v, faults %v", sum, f.seen())
	f.check(t, sum)
}

// serveTCP answers Modbus TCP. What comes late, or again, has the number of its
// own question; TCP itself sees to it that bytes are
// whole and in order.
func (f *faulty) serveTCP(l net.Listener) {
	f.kinds = slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k == "checksum" || k == "noise" })
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			q := make([]byte, 12)
			for {
				if _, err := io.ReadFull(conn, q); err != nil {
					return
				}
				id := binary.BigEndian.Uint16(q)
				frame := func(id uint16) framer {
					return func(unit, function uint8, data []byte) []byte {
						b := binary.BigEndian.AppendUint16(nil, id)
						b = binary.BigEndian.AppendUint16(b, 0)
						b = binary.BigEndian.AppendUint16(b, uint16(2+len(data)))
						return append(append(b, unit, function), data...)
					}
				}
				emit(conn, f.play(q[6:], frame(id), frame(id-1)))
			}
		}()
	}
}

func TestNoWrongValueOverTCP(t *testing.T) {
	t.Parallel()
	l := listen(t)
	f := newFaulty(*seed, 40*time.Millisecond)
	go f.serveTCP(l)
	b := faultyBus(t, "tcp://"+l.Addr().String(), f.timeout)
	defer b.Close()
	sum := readMany(t, b, 3**reads, func() {})
	t.Logf("perseus tcp: %v, faults %v", sum, f.seen())
	f.check(t, sum)
}

// What the library makes of it by itself, with a new connection after each
// error. Over TCP it is good, but for answers cut short that another follows.
func TestPlainLibraryOverTCP(t *testing.T) {
	t.Parallel()
	l := listen(t)
	f := newFaulty(*seed, 40*time.Millisecond)
	go f.serveTCP(l)
	t.Logf("simonvetter tcp: %v", plain1000(t, "tcp://"+l.Addr().String(), f.timeout))
}

func TestPlainLibraryBehindAConverter(t *testing.T) {
	t.Parallel()
	f := newFaulty(*seed, 40*time.Millisecond)
	sum := plain1000(t, "rtuovertcp://"+convert(t, f), f.timeout)
	t.Logf("simonvetter rtuovertcp: %v", sum)
	if sum.wrong == 0 {
		t.Error("the faults did nothing to a plain library: are they still faults?")
	}
}

// plain1000 reads with the library alone.
func plain1000(t *testing.T, url string, timeout time.Duration) (sum tally) {
	t.Helper()
	c, err := wire.NewClient(&wire.ClientConfiguration{URL: url, Speed: 115200, Timeout: timeout, Logger: log.New(record.Writer(t, "errors of a server", nil), "", 0)})
	if err == nil {
		err = c.Open()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range min(2**reads, 1000) {
		unit, address := uint8(1+i/4%2), faultyAddresses[i%4]
		c.SetUnitId(unit)
		data, err := c.ReadRawBytes(address, 4, wire.INPUT_REGISTER)
		switch {
		case err != nil:
			sum.failed++
			c.Close()
			if err := c.Open(); err != nil {
				t.Fatal(err)
			}
		case binary.BigEndian.Uint16(data) == idOf(unit, readInput, address):
			sum.good++
		default:
			sum.wrong++
		}
	}
	return sum
}
