package modbus

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

func pt(addr uint16) Point {
	return Point{Measure: energy.Import, Address: addr, Table: "input", Type: "uint32", Unit: "Wh"}
}

// fake answers from a script: one function for each request.
type fake struct {
	opens, closes int
	openErr       error
	units         []uint8
	answer        func(addr, n uint16) ([]byte, error)
}

func (f *fake) Open() error  { f.opens++; return f.openErr }
func (f *fake) Close() error { f.closes++; return nil }
func (f *fake) bits(byte, uint16, uint16) ([]byte, error) {
	return nil, wire.ErrIllegalFunction
}
func (f *fake) begin()                         {}
func (f *fake) believed(context.Context) error { return nil }
func (f *fake) SetUnitId(u uint8) error        { f.units = append(f.units, u); return nil }
func (f *fake) ReadRawBytes(a, n uint16, _ wire.RegType) ([]byte, error) {
	return f.answer(a, n/2)
}

// device4 answers like a meter whose register at address a holds a*1000.
func device4(a, n uint16) ([]byte, error) {
	out := make([]byte, 2*n)
	for i := uint16(0); i < n; i += 2 {
		v := uint32(a+i) * 1000
		copy(out[2*i:], []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	return out, nil
}

func newFake(t *testing.T, url string, f *fake, points ...Point) *Bus {
	t.Helper()
	b, err := New(Config{URL: url, Devices: []Device{{Meter: "m", Unit: 7, Points: points}}})
	if err != nil {
		t.Fatal(err)
	}
	b.client = f
	return b
}

func values(rs []drivers.Reading) (out []int64) {
	for _, r := range rs {
		if r.Err != nil {
			out = append(out, -1)
		} else {
			out = append(out, r.Sample.Value)
		}
	}
	return out
}

func TestPollSplitsARefusedMergeForGood(t *testing.T) {
	requests := 0
	f := &fake{answer: func(a, n uint16) ([]byte, error) {
		requests++
		if n > 2 {
			return nil, wire.ErrIllegalDataAddress
		}
		return device4(a, n)
	}}
	b := newFake(t, "tcp://127.0.0.1", f, pt(4), pt(6))
	for round := range 3 {
		got, err := b.Poll(t.Context(), 0, nil)
		if err != nil || !reflect.DeepEqual(values(got), []int64{4000, 6000}) {
			t.Fatalf("round %d: %v, %v", round, values(got), err)
		}
	}
	if requests != 1+3*2 {
		t.Errorf("made %d requests, want the merged one once and then two a round", requests)
	}
	if f.closes != 0 {
		t.Error("a device's \"no\" must not cost the connection")
	}
}

func TestPollDropsTheConnectionOnAnythingStrange(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(a, n uint16) ([]byte, error)
		kind   drivers.Kind
	}{
		{"time-out", func(uint16, uint16) ([]byte, error) { return nil, os.ErrDeadlineExceeded }, drivers.Timeout},
		{"short answer", func(a, n uint16) ([]byte, error) { return []byte{1, 2}, nil }, drivers.Protocol},
		{"long answer", func(a, n uint16) ([]byte, error) { return make([]byte, 2*n+2), nil }, drivers.Protocol},
		{"other unit", func(uint16, uint16) ([]byte, error) { return nil, wire.ErrBadUnitId }, drivers.Protocol},
	} {
		f := &fake{answer: c.answer}
		b := newFake(t, "tcp://127.0.0.1", f, pt(4), pt(8))
		got, err := b.Poll(t.Context(), 0, nil)
		var de *drivers.Error
		if !errors.As(err, &de) || de.Kind != c.kind || f.closes != 1 || len(got) != 1 || got[0].Err == nil {
			t.Errorf("%s: %v, %d closes, readings %v", c.name, err, f.closes, values(got))
		}
		f.answer = device4
		if got, err := b.Poll(t.Context(), 0, nil); err != nil || !reflect.DeepEqual(values(got), []int64{4000, 8000}) || f.opens != 2 {
			t.Errorf("%s: after it: %v, %v, %d opens", c.name, values(got), err, f.opens)
		}
	}
}

func TestPollRefused(t *testing.T) {
	f := &fake{openErr: errors.New("connection refused")}
	b := newFake(t, "tcp://127.0.0.1", f, pt(4))
	_, err := b.Poll(t.Context(), 0, nil)
	var de *drivers.Error
	if !errors.As(err, &de) || de.Kind != drivers.Refused || de.Hint == "" {
		t.Fatal(err)
	}
}

func TestPauseBetweenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		f := &fake{answer: func(a, n uint16) ([]byte, error) { at = append(at, time.Now()); return device4(a, n) }}
		b := newFake(t, "tcp://127.0.0.1", f, pt(4), pt(8), pt(12))
		b.cfg.Pause = 50 * time.Millisecond
		b.Poll(t.Context(), 0, nil)
		if len(at) != 3 || at[1].Sub(at[0]) != b.cfg.Pause || at[2].Sub(at[1]) != b.cfg.Pause {
			t.Errorf("requests at %v", at)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for want, c := range map[string]Config{
		"unit 0: a serial wire":   {URL: "rtu:///dev/ttyUSB0", Devices: []Device{{Meter: "m", Unit: 0, Points: []Point{pt(1)}}}},
		"unit 255: a serial wire": {URL: "rtu:///dev/ttyUSB0", Devices: []Device{{Meter: "m", Unit: 255, Points: []Point{pt(1)}}}},
		"use tcp://host:port":     {URL: "http://x"},
		"use tcp://host":          {URL: "tcp:///x"},
		"use 0 to 247":            {URL: "tcp://x", Devices: []Device{{Meter: "m", Unit: 250, Points: []Point{pt(1)}}}},
		"no registers to read":    {URL: "tcp://x", Devices: []Device{{Meter: "m", Unit: 1}}},
		"import register at":      {URL: "tcp://x", Devices: []Device{{Meter: "m", Unit: 1, Points: []Point{{Measure: energy.Import, Type: "x"}}}}},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
}
