package modbus

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// What is counted of a Modbus TCP connection, case by case. The question takes
// 12 bytes, the right answer 13.
func TestCountsOverTCP(t *testing.T) {
	const right = "ID 0000 0007 07 04 04 0004 0005"
	const stale = "OLD 0000 0007 07 04 04 0666 0667"
	for _, c := range []struct {
		name   string
		pieces []string
		want   drivers.Traffic
		counts drivers.ModbusCounts
	}{
		{"right", []string{right}, drivers.Traffic{Requests: 1, BytesOut: 12, BytesIn: 13}, drivers.ModbusCounts{}},
		{"two old ones first", []string{stale + stale, right}, drivers.Traffic{Requests: 1, BytesOut: 12, BytesIn: 39}, drivers.ModbusCounts{Late: 2}},
		{"nothing", nil, drivers.Traffic{Requests: 1, BytesOut: 12}, drivers.ModbusCounts{}},
		{"refused", []string{"ID 0000 0003 07 84 02"}, drivers.Traffic{Requests: 1, BytesOut: 12, BytesIn: 9}, drivers.ModbusCounts{Exceptions: 1}},
		{"another unit's", []string{"ID 0000 0007 08 04 04 0004 0005"}, drivers.Traffic{Requests: 1, BytesOut: 12, BytesIn: 13}, drivers.ModbusCounts{Late: 1}},
	} {
		b, err := New(Config{URL: "tcp://h", Devices: []Device{{Meter: "other", Unit: 3, Points: []Point{pt(4)}}, {Meter: "m", Unit: 7, Points: []Point{pt(4)}}}})
		if err != nil {
			t.Fatal(err)
		}
		r := &reply{t: t, make: func([]byte) []string { return c.pieces }}
		b.client.(*mbapClient).dial = func() (link, error) { return r, nil }
		b.Poll(t.Context(), 1, nil)
		w := b.Wire()
		if got := b.Traffic(1); got != c.want || w.Traffic != c.want || b.Traffic(0) != (drivers.Traffic{}) {
			t.Errorf("%s: %+v, the bus %+v, want %+v", c.name, got, w.Traffic, c.want)
		}
		if *w.Modbus != c.counts || w.Connects != 1 || w.Messages != nil || w.Feed != nil {
			t.Errorf("%s: %+v %+v, want %+v", c.name, w, *w.Modbus, c.counts)
		}
	}
}

// A merged read that is refused: two more questions, one split, and never
// again.
func TestCountsOfASplit(t *testing.T) {
	b, err := New(Config{URL: "tcp://h", Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4), pt(6)}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &reply{t: t, make: func(q []byte) []string {
		if q[11] > 2 {
			return []string{"ID 0000 0003 07 84 02"}
		}
		return []string{"ID 0000 0007 07 04 04 0004 0005"}
	}}
	b.client.(*mbapClient).dial = func() (link, error) { return r, nil }
	for range 3 {
		if _, err := b.Poll(t.Context(), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	w := b.Wire()
	if w.Requests != 7 || w.Modbus.Splits != 1 || w.Modbus.Exceptions != 1 || w.Connects != 1 {
		t.Errorf("%+v %+v", w, *w.Modbus)
	}
}

// On a wire whose frames do not say what they answer: a late answer is thrown
// away and counted for nobody, and the wait for silence is counted.
func TestCountsOfALateAnswer(t *testing.T) {
	c := Config{URL: "rtu:///dev/none?baud=9600", Timeout: 300 * time.Millisecond, Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4)}}}}
	script(t, c, func(s *scripted) {
		settled := func() drivers.Wire {
			s.T.Helper()
			if got, err := s.Poll(s.T.Context(), 0, nil); err != nil || got[0].Err != nil {
				s.T.Fatal(got, err)
			}
			return s.Wire()
		}
		before := settled()
		if before.Modbus.Late != 0 || before.BytesIn == 0 || before.Traffic != s.Traffic(0) || before.Modbus.QuarantineSeconds < 0.29 {
			s.T.Fatalf("%+v %+v", before, *before.Modbus) // it begins with one: an earlier program's answer may be on its way
		}
		s.on(func(n int, q []byte) []emission {
			if n == 1 {
				return after(450*time.Millisecond, plain(q))
			}
			return after(20*time.Millisecond, plain(q))
		})
		got, _ := s.Poll(s.T.Context(), 0, nil)
		if e := drivers.ReasonOf(got[0].Err); e == nil || e.Kind != drivers.Timeout || !strings.Contains(e.Hint, "unit number") {
			s.T.Fatalf("%+v", e)
		}
		after := settled()
		if after.Modbus.Late != 1 || after.BytesIn <= s.Traffic(0).BytesIn || after.Modbus.QuarantineSeconds-before.Modbus.QuarantineSeconds < 0.3 {
			s.T.Errorf("%+v %+v, before %+v", after, *after.Modbus, *before.Modbus)
		}
	})
}

// Whoever looks while the wire is in use sees counts that only grow, and holds
// nobody up (for the race detector).
func TestCountsWhileTheWireIsUsed(t *testing.T) {
	b, err := New(Config{URL: "tcp://h", Devices: []Device{{Meter: "m", Unit: 7, Points: []Point{pt(4)}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &reply{t: t, make: func([]byte) []string {
		return []string{"OLD 0000 0007 07 04 04 0666 0667", "ID 0000 0007 07 04 04 0004 0005"}
	}}
	b.client.(*mbapClient).dial = func() (link, error) { return r, nil }
	const n = 1000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range n {
			b.Poll(t.Context(), 0, nil)
		}
	}()
	var last drivers.Wire
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		w := b.Wire()
		if w.Requests < last.Requests || w.BytesIn < last.BytesIn || last.Modbus != nil && w.Modbus.Late < last.Modbus.Late {
			t.Fatalf("%+v after %+v", w, last)
		}
		last = w
	}
	if last.Requests != n || last.Modbus.Late != n || b.Traffic(0).BytesIn != n*26 {
		t.Errorf("%+v %+v", last, *last.Modbus)
	}
}
