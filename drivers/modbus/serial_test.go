package modbus

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

func TestSerialNumbers(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Serial
		wire string
		want string
	}{
		{"uint32", Serial{Type: "uint32"}, "0012 D687", "1234567"},
		{"low word first", Serial{Type: "uint32", Order: "CDAB"}, "D687 0012", "1234567"},
		{"uint16", Serial{Type: "uint16"}, "0007", "7"},
		{"uint64", Serial{Type: "uint64"}, "0000 0001 0000 0000", "4294967296"},
		{"bcd", Serial{Type: "bcd"}, "1234 5678", "12345678"},
		{"text", Serial{Type: "string", Words: 5}, "4B32 3157 3030 3337 3239", "K21W003729"},
		{"characters swapped", Serial{Type: "string", Order: "BA", Words: 5}, "324B 5731 3030 3733 3932", "K21W003729"},
		{"padded with zeros", Serial{Type: "string", Words: 3}, "4142 0000 4344", "AB"},
		{"padded with blanks", Serial{Type: "string", Words: 3}, "2041 4220 2020", "AB"},
		{"0 is none", Serial{Type: "uint32"}, "0000 0000", ""},
		{"all ones are none", Serial{Type: "uint16"}, "FFFF", ""},
		{"all ones of 64 bits", Serial{Type: "uint64"}, "FFFF FFFF FFFF FFFF", ""},
		{"half of the ones are a number", Serial{Type: "uint32"}, "0000 FFFF", "65535"},
		{"not bcd", Serial{Type: "bcd"}, "12A4 5678", ""},
		{"never programmed", Serial{Type: "string", Words: 2}, "FFFF FFFF", ""},
		{"below the printable", Serial{Type: "string", Words: 1}, "411F", ""},
		{"the last printable", Serial{Type: "string", Words: 1}, "417E", "A~"},
		{"above the printable", Serial{Type: "string", Words: 1}, "417F", ""},
	} {
		s, err := c.s.compile()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := s.decode(unhex(t, c.wire)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSerialCheck(t *testing.T) {
	for want, s := range map[string]Serial{
		"":                         {Type: "string", Words: 32, Address: 0x10000 - 32, Order: "AB", Table: "input"},
		"do not fit":               {Type: "string", Words: 32, Address: 0x10000 - 31},
		"words: 33":                {Type: "string", Words: 33},
		"words: 0":                 {Type: "string"},
		"as AB or as BA":           {Type: "string", Words: 1, Order: "ABCD"},
		"uint32 has its own":       {Type: "uint32", Words: 2},
		"a serial number is":       {Type: "float32"},
		"spell each of the 4":      {Type: "uint32", Order: "AB"},
		"holds single bits":        {Type: "string", Words: 1, Table: "coil"},
		"use holding or input":     {Type: "uint32", Table: "x"},
		"a uint32 does not fit":    {Type: "uint32", Address: 0xFFFF},
		`type "": a serial number`: {},
	} {
		if err := s.Check(); (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
	_, err := New(Config{URL: "tcp://x", Devices: []Device{{Meter: "m", Points: []Point{pt(1)}, Serial: &Serial{Address: 7}}}})
	if err == nil || !strings.Contains(err.Error(), "meter m: serial number register at 0x0007") {
		t.Error(err)
	}
}

// numbered is a device whose register 4 counts and whose register 100 is its
// serial number.
type numbered struct {
	asked     int // for the serial number
	serial    byte
	down      error // of everything
	serialErr error // of the serial number only
}

func (n *numbered) answer(a, words uint16) ([]byte, error) {
	if n.down != nil {
		return nil, n.down
	}
	if a != 100 {
		return device4(a, words)
	}
	if n.asked++; n.serialErr != nil {
		return nil, n.serialErr
	}
	return []byte{0, 0, 0, n.serial}, nil
}

func numberedBus(t *testing.T, n *numbered) (*Bus, *fake) {
	t.Helper()
	b, err := New(Config{URL: "tcp://127.0.0.1", Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4)}, Serial: &Serial{Address: 100, Type: "uint32"}}}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{answer: n.answer}
	b.client = f
	return b, f
}

func poll(t *testing.T, b *Bus) ([]drivers.Reading, error) {
	t.Helper()
	return b.Poll(t.Context(), 0, nil)
}

// Asked at the first answer, once a minute, and at the first answer after any
// silence: an exchange needs the wire to be silent.
func TestIdentity(t *testing.T) {
	for name, silence := range map[string]error{
		"no answer":                  os.ErrDeadlineExceeded,
		"the converter says so":      wire.ErrGWTargetFailedToRespond,
		"the device restarts":        wire.ErrServerDeviceFailure,
		"connection lost":            errors.New("connection reset by peer"),
		"an answer that does not do": wire.ErrProtocolError,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &numbered{serial: 1}
				b, _ := numberedBus(t, n)
				if got := b.Identity(0); got != "" {
					t.Fatalf("before the first answer: %q", got)
				}
				n.down = silence
				poll(t, b)
				if n.asked != 0 || b.Identity(0) != "" {
					t.Fatalf("a device that does not answer was asked who it is")
				}
				n.down = nil
				for range 7 { // the seventh a minute after the first
					if _, err := poll(t, b); err != nil || b.Identity(0) != "1" {
						t.Fatalf("%v, %q", err, b.Identity(0))
					}
					time.Sleep(10 * time.Second)
				}
				if n.asked != 2 {
					t.Fatalf("asked %d times in a minute, want at its start and end", n.asked)
				}
				n.down, n.serial = silence, 2
				poll(t, b)
				if b.Identity(0) != "1" {
					t.Fatalf("while it is silent: %q, want what it was last", b.Identity(0))
				}
				n.down = nil
				if got, err := poll(t, b); err != nil || len(got) != 1 || got[0].Err != nil || b.Identity(0) != "2" || n.asked != 3 {
					t.Fatalf("at its first answer: %v, %q, asked %d times", err, b.Identity(0), n.asked)
				}
			})
		})
	}
}

func TestIdentityAfterTheConnectionIsRefused(t *testing.T) {
	n := &numbered{serial: 1}
	b, f := numberedBus(t, n)
	poll(t, b)
	b.Close()
	f.openErr, n.serial = errors.New("connection refused"), 2
	poll(t, b)
	f.openErr = nil
	if poll(t, b); b.Identity(0) != "2" || n.asked != 2 {
		t.Errorf("%q, asked %d times", b.Identity(0), n.asked)
	}
}

// A device that has no such register says so each minute, and loses nothing.
func TestIdentityOfADeviceThatHasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &numbered{serialErr: wire.ErrIllegalDataAddress}
		b, f := numberedBus(t, n)
		for range 12 {
			if got, err := poll(t, b); err != nil || got[0].Err != nil {
				t.Fatal(got, err)
			}
			time.Sleep(10 * time.Second)
		}
		if n.asked != 2 || f.closes != 0 || b.Identity(0) != "" {
			t.Errorf("asked %d times in two minutes, %d closes, %q", n.asked, f.closes, b.Identity(0))
		}
	})
}

// One that falls silent at the question keeps its readings, and is left alone
// for ten minutes.
func TestIdentityOfADeviceThatFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &numbered{serial: 1}
		b, f := numberedBus(t, n)
		poll(t, b)
		n.serialErr = os.ErrDeadlineExceeded
		time.Sleep(time.Minute)
		for range 60 {
			if got, err := poll(t, b); err != nil || got[0].Err != nil {
				t.Fatal(got, err)
			}
			if b.Identity(0) != "" {
				t.Fatalf("it does not say any more, and is still %q", b.Identity(0))
			}
			time.Sleep(10 * time.Second)
		}
		if n.asked != 2 || f.closes != 1 {
			t.Errorf("asked %d times in ten minutes after it fell silent, %d closes", n.asked-1, f.closes)
		}
		n.serialErr = nil
		if poll(t, b); n.asked != 3 || b.Identity(0) != "1" {
			t.Errorf("after ten minutes: asked %d times, %q", n.asked, b.Identity(0))
		}
	})
}

// A refusal of one register is a word, not a silence: it does not make the
// serial number be asked for at each round.
func TestIdentityWithAPointThatIsRefused(t *testing.T) {
	for _, no := range []error{wire.ErrIllegalDataAddress, wire.ErrIllegalDataValue, wire.ErrIllegalFunction} {
		n := &numbered{serial: 1}
		b, err := New(Config{URL: "tcp://127.0.0.1", Devices: []Device{{Meter: "m", Points: []Point{pt(4), pt(8)}, Serial: &Serial{Address: 100, Type: "uint32"}}}})
		if err != nil {
			t.Fatal(err)
		}
		b.client = &fake{answer: func(a, words uint16) ([]byte, error) {
			if a == 8 {
				return nil, no
			}
			return n.answer(a, words)
		}}
		for range 5 {
			poll(t, b)
		}
		if n.asked != 1 || b.Identity(0) != "1" {
			t.Errorf("%v: asked %d times, %q", no, n.asked, b.Identity(0))
		}
	}
}

// A clock that is set back does not put the question off for longer.
func TestIdentityWithAClockSetBack(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	n := &numbered{serial: 1}
	b, _ := numberedBus(t, n)
	b.cfg.Now = func() time.Time { return now }
	poll(t, b)
	for step, want := range map[time.Duration]int{-time.Second: 1, identifyEvery - identifyRetry: 1, identifyEvery - identifyRetry - time.Second: 2} {
		now, n.asked = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), 0
		b.devices[0].who.next = time.Time{}
		poll(t, b)
		now = now.Add(step)
		if poll(t, b); n.asked != want {
			t.Errorf("clock set by %v: asked %d times, want %d", step, n.asked, want)
		}
	}
}

func TestPauseBeforeTheSerialNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &numbered{serial: 1}
		b, _ := numberedBus(t, n)
		b.cfg.Pause = 50 * time.Millisecond
		start := time.Now()
		if _, err := b.Poll(t.Context(), 0, nil); err != nil || time.Since(start) != 50*time.Millisecond || b.Identity(0) != "1" {
			t.Errorf("%v, %v, %q", err, time.Since(start), b.Identity(0))
		}
	})
}

// Whatever a device holds there, a serial number is what can be printed and
// compared.
func FuzzSerial(f *testing.F) {
	f.Add([]byte("K21W003729\x00\x00      "), "string", "BA", uint8(8))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1}, "uint64", "GHEFCDAB", uint8(0))
	f.Add([]byte{0x12, 0x34, 0x56, 0x7a}, "bcd", "", uint8(0))
	f.Fuzz(func(t *testing.T, wire []byte, typ, order string, words uint8) {
		s, err := Serial{Type: typ, Order: order, Words: int(words)}.compile()
		if err != nil || len(wire) < int(s.words)*2 {
			return
		}
		got := s.decode(wire)
		if len(got) > 2*maxSerialWords || got != strings.TrimSpace(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q from %x", got, wire)
		}
	})
}
