package modbus

import (
	"encoding/binary"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// echoing answers each question with as many registers, at once.
type echoing struct{ answer []byte }

func (e *echoing) write(q []byte) error {
	n := binary.BigEndian.Uint16(q[10:])
	e.answer = append(append(e.answer[:0], q[:8]...), byte(2*n))
	binary.BigEndian.PutUint16(e.answer[4:], 3+2*n)
	for i := range n {
		e.answer = binary.BigEndian.AppendUint16(e.answer, binary.BigEndian.Uint16(q[8:])+i)
	}
	return nil
}

func (e *echoing) readUntil(p []byte, _ time.Time) (int, error) { return copy(p, e.answer), nil }
func (e *echoing) close() error                                 { return nil }

// A steady poll over TCP allocates nothing (see the agent's test of that name).
func TestPollDoesNotAllocate(t *testing.T) {
	b, err := New(Config{URL: "tcp://127.0.0.1", Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(0x10), pt(0x12)}}}})
	if err != nil {
		t.Fatal(err)
	}
	b.client.(*mbapClient).dial = func() (link, error) { return &echoing{}, nil }
	var got []drivers.Reading
	poll := func() {
		if got, err = b.Poll(t.Context(), 0, got[:0]); err != nil || len(got) != 2 || got[1].Raw != 0x00120013 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	poll()
	if n := testing.AllocsPerRun(1000, poll); n > 0 {
		t.Errorf("%v allocations a poll, want none", n)
	}
	if _, err := b.client.ReadRawBytes(0x10, 4, wire.INPUT_REGISTER); err != nil {
		t.Error(err)
	}
}
