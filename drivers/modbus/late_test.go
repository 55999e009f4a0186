package modbus

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// An answer that belongs to an earlier question, or to nobody's, arrives just
// before the right one. The register must come from the right one (law 8).
func TestStaleAnswerOverTCPIsThrownAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		frame := func(id uint16, value uint32) []byte {
			b := binary.BigEndian.AppendUint16(nil, id)
			b = append(b, 0, 0, 0, 7, 7, 4, 4)
			return binary.BigEndian.AppendUint32(b, value)
		}
		q := make([]byte, 12)
		for {
			if _, err := io.ReadFull(c, q); err != nil {
				return
			}
			id, addr := binary.BigEndian.Uint16(q), binary.BigEndian.Uint16(q[8:])
			c.Write(append(append(frame(id-1, 666), frame(id+9, 667)...), frame(id, uint32(addr)*1000)...))
		}
	}()
	b, err := New(Config{URL: "tcp://" + l.Addr().String(), Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4), pt(8)}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	unbridged(b)
	var rs []drivers.Reading
	for range 50 {
		rs, err = b.Poll(t.Context(), 0, rs[:0])
		if v := values(rs); err != nil || len(v) != 2 || v[0] != 4000 || v[1] != 8000 {
			t.Fatalf("got %v, %v", v, err)
		}
	}
}
