package modbus

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// reply is a link that gives what a test makes of each question.
type reply struct {
	make func(question []byte) []string // pieces, as they come
	t    *testing.T
	in   [][]byte
	end  error // when there are no more; a time-out if nil
}

func (r *reply) write(p []byte) error {
	r.in = nil
	for _, s := range r.make(p) {
		b := unhex(r.t, strings.NewReplacer("ID", hexOf(p[:2]), "OLD", hexOf([]byte{p[0] + 1, p[1]})).Replace(s))
		r.in = append(r.in, b)
	}
	return nil
}

func hexOf(b []byte) string {
	const digits = "0123456789ABCDEF"
	var s strings.Builder
	for _, v := range b {
		s.WriteByte(digits[v>>4])
		s.WriteByte(digits[v&15])
	}
	return s.String()
}

func (r *reply) readUntil(p []byte, _ time.Time) (int, error) {
	if len(r.in) == 0 {
		if r.end != nil {
			return 0, r.end
		}
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, r.in[0])
	if r.in[0] = r.in[0][n:]; len(r.in[0]) == 0 {
		r.in = r.in[1:]
	}
	return n, nil
}

func (r *reply) close() error { return nil }

// What may come on a connection, and what is made of it. ID is the number of
// the question, OLD another.
func TestModbusTCPAnswers(t *testing.T) {
	const right = "ID 0000 0007 07 04 04 0004 0005"
	const stale = "OLD 0000 0007 07 04 04 0666 0667"
	for _, c := range []struct {
		name   string
		pieces []string
		err    error // nil: the right value
		kind   drivers.Kind
	}{
		{"right", []string{right}, nil, ""},
		{"byte by byte", strings.Split("ID 00 00 00 07 07 04 04 00 04 00 05", " "), nil, ""},
		{"an old one first", []string{stale, right}, nil, ""},
		{"an old one first, in one piece", []string{stale + right}, nil, ""},
		{"old ones before and behind", []string{stale + stale + right + stale}, nil, ""},
		{"twice", []string{right + right}, nil, ""},
		{"twice, with another value", []string{right + "ID 0000 0007 07 04 04 0004 0006"}, errTooMuch, drivers.Protocol},
		{"nothing", nil, wire.ErrRequestTimedOut, drivers.Timeout},
		{"only an old one", []string{stale}, wire.ErrRequestTimedOut, drivers.Timeout},
		{"cut short", []string{"ID 0000 0007 07 04 04 00"}, errCut, drivers.Protocol},
		{"cut short, filled up by another", []string{"ID 0000 0007 07 04 04 00", stale}, errTooMuch, drivers.Protocol},
		{"cut short in its head", []string{"ID 00", stale}, errNotModbus, drivers.Protocol},
		{"half an old one behind it", []string{right + "OLD 0000 00"}, errTooMuch, drivers.Protocol},
		{"another protocol", []string{"ID 0001 0007 07 04 04 0004 0005"}, errNotModbus, drivers.Protocol},
		{"a serial frame", []string{"07 04 04 0004 0005 1111"}, errNotModbus, drivers.Protocol},
		{"too short to be one", []string{"ID 0000 0002 07 04"}, errNotModbus, drivers.Protocol},
		{"longest", []string{"ID 0000 00FE 07" + strings.Repeat("04", 253)}, errOtherLength, drivers.Protocol},
		{"longer than the longest", []string{"ID 0000 00FF 07 04"}, errNotModbus, drivers.Protocol},
		{"another unit", []string{"ID 0000 0007 08 04 04 0004 0005"}, errOtherUnit, drivers.Protocol},
		{"unit 255", []string{"ID 0000 0007 FF 04 04 0004 0005"}, errOtherUnit, drivers.Protocol},
		{"another function", []string{"ID 0000 0007 07 03 04 0004 0005"}, errOtherFunction, drivers.Protocol},
		{"fewer registers", []string{"ID 0000 0005 07 04 02 0004"}, errOtherLength, drivers.Protocol},
		{"a wrong byte count", []string{"ID 0000 0007 07 04 02 0004 0005"}, errOtherLength, drivers.Protocol},
		{"no registers", []string{"ID 0000 0003 07 04 00"}, errOtherLength, drivers.Protocol},
		{"refused", []string{"ID 0000 0003 07 84 02"}, wire.ErrIllegalDataAddress, drivers.Exception},
		{"refused by the converter", []string{"ID 0000 0003 FF 84 0B"}, wire.ErrGWTargetFailedToRespond, drivers.Exception},
		{"refused with too much", []string{"ID 0000 0004 07 84 02 00"}, errOtherFunction, drivers.Protocol},
		{"another's refusal", []string{"ID 0000 0003 08 84 02"}, errOtherUnit, drivers.Protocol},
	} {
		b, err := New(Config{URL: "tcp://h", Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4)}}}})
		if err != nil {
			t.Fatal(err)
		}
		opened := 0
		r := &reply{t: t, make: func([]byte) []string { return c.pieces }}
		b.client.(*mbapClient).dial = func() (link, error) { opened++; return r, nil }
		got, err := b.Poll(t.Context(), 0, nil)
		if len(got) != 1 || !errors.Is(got[0].Err, c.err) || c.err == nil && (err != nil || got[0].Raw != 0x00040005) {
			t.Errorf("%s: %+v, %v, want %v", c.name, got, err, c.err)
			continue
		}
		var de *drivers.Error
		if c.err != nil && (!errors.As(got[0].Err, &de) || de.Kind != c.kind) {
			t.Errorf("%s: %v is not of kind %s", c.name, got[0].Err, c.kind)
		}
		// Whatever it was, the next answer is right, on a new connection after
		// all but a device's own words.
		r.make = func([]byte) []string { return []string{right} }
		if got, err = b.Poll(t.Context(), 0, nil); err != nil || got[0].Err != nil {
			t.Errorf("after %s: %v", c.name, err)
		}
		if want := 1; c.err != nil && c.kind != drivers.Exception {
			if want = 2; opened != want {
				t.Errorf("%s: %d connections, want %d", c.name, opened, want)
			}
		}
	}
}

// An answer in a packet does not go on in the next.
func TestCutPacket(t *testing.T) {
	b, err := New(Config{URL: "udp://h", Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4)}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &reply{t: t, make: func([]byte) []string { return []string{"ID 0000 0007 07 04 04 0004", "0005"} }}
	b.client.(*mbapClient).dial = func() (link, error) { return r, nil }
	if got, err := b.Poll(t.Context(), 0, nil); !errors.Is(err, errCut) {
		t.Errorf("%+v, %v", got, err)
	}
	r.make = func([]byte) []string {
		return []string{"OLD 0000 0007 07 04 04 0666 0667", "ID 0000 0007 07 04 04 0004 0005"}
	}
	if got, err := b.Poll(t.Context(), 0, nil); err != nil || got[0].Raw != 0x00040005 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Something strange in a round, after an answer was taken: that one may have
// been wrong too.
func TestStrangeRoundOverTCPIsTakenBack(t *testing.T) {
	b, err := New(Config{URL: "tcp://h", Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4), pt(8)}}}})
	if err != nil {
		t.Fatal(err)
	}
	second := []string{"0001 0203 0405"}
	r := &reply{t: t, make: func(q []byte) []string {
		if q[9] == 8 {
			return second
		}
		return []string{"ID 0000 0007 07 04 04 0004 0005"}
	}}
	b.client.(*mbapClient).dial = func() (link, error) { return r, nil }
	got, err := b.Poll(t.Context(), 0, nil)
	if err == nil || len(got) != 2 || !errors.Is(got[0].Err, errShifted) || !errors.Is(got[1].Err, errNotModbus) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, ending := range []error{nil, io.EOF} { // no more than that is missing
		second, r.end = nil, ending
		got, err = b.Poll(t.Context(), 0, nil)
		if err == nil || len(got) != 2 || got[0].Err != nil || got[1].Err == nil {
			t.Errorf("%v: %+v, %v", ending, got, err)
		}
	}
}

func FuzzModbusTCP(f *testing.F) {
	f.Add([]byte{0, 9, 0, 0, 0, 7, 7, 4, 4, 0, 4, 0, 5}, uint8(3))
	f.Add([]byte{0, 8, 0, 0, 0, 7, 7, 4, 4, 0, 4, 0, 5, 0, 9, 0, 0, 0, 3, 7, 0x84, 2}, uint8(13))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint8) {
		k := min(int(cut), len(stream))
		c := &mbapClient{unit: 7, number: 8, timeout: time.Second, link: &raw{[][]byte{stream[:k], stream[k:]}}}
		data, err := c.ReadRawBytes(4, 4, wire.INPUT_REGISTER)
		if err != nil {
			return
		}
		// What is believed stands there as a whole frame with the number asked for.
		want := binary.BigEndian.AppendUint16(nil, 9)
		want = append(append(want, 0, 0, 0, 7, 7, 4, 4), data...)
		if !strings.Contains(string(stream), string(want)) {
			t.Fatalf("%x of %x", data, stream)
		}
	})
}

// raw is a link from which bytes come, whatever was asked.
type raw struct{ pieces [][]byte }

func (r *raw) readUntil(p []byte, _ time.Time) (int, error) {
	for len(r.pieces) > 0 && len(r.pieces[0]) == 0 {
		r.pieces = r.pieces[1:]
	}
	if len(r.pieces) == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, r.pieces[0])
	r.pieces[0] = r.pieces[0][n:]
	return n, nil
}
func (r *raw) write([]byte) error { return nil }
func (r *raw) close() error       { return nil }
