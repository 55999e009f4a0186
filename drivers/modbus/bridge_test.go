package modbus

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// holes is a meter with some registers only: what it does with a question that
// touches another one is across's to say.
type holes struct {
	has      func(a uint16) bool
	across   func(a, n uint16) ([]byte, error)
	asked    int // questions, since it was set to 0
	touching int // of them, those that touched a hole
}

func (h *holes) answer(a, n uint16) ([]byte, error) {
	h.asked++
	for i := range n {
		if !h.has(a + i) {
			h.touching++
			return h.across(a, n)
		}
	}
	return device4(a, n)
}

// Registers 4, 5 and 8, 9 and 20, 21, with holes between them.
func threePoints(a uint16) bool { return slices.Contains([]uint16{4, 5, 8, 9, 20, 21}, a) }

func TestBridge(t *testing.T) {
	silent := func(uint16, uint16) ([]byte, error) { return nil, os.ErrDeadlineExceeded }
	refuses := func(uint16, uint16) ([]byte, error) { return nil, wire.ErrIllegalDataAddress }
	for _, c := range []struct {
		name     string
		across   func(a, n uint16) ([]byte, error)
		asks     []int // questions, round by round
		touching int   // of them, those that touched a hole
		closes   int
	}{
		{"it answers", device4, []int{3, 3 + 1 + 3, 1, 1}, 3, 0},
		{"it refuses", refuses, []int{3, 3 + 1 + 1 + 2 + 1, 3, 3}, 2, 0},
		{"it refuses as too many", func(uint16, uint16) ([]byte, error) { return nil, wire.ErrIllegalDataValue }, []int{3, 3 + 1 + 1 + 2 + 1, 3, 3}, 2, 0},
		{"it reads across small ones", func(a, n uint16) ([]byte, error) {
			if n > 6 {
				return nil, wire.ErrIllegalDataAddress
			}
			return device4(a, n)
		}, []int{3, 3 + 1 + 2 + 3, 2, 2}, 4, 0},
		{"it says nothing", silent, []int{3, 4, 4, 4, 3, 3}, 3, 3},
		{"it is busy", func(uint16, uint16) ([]byte, error) { return nil, wire.ErrServerDeviceBusy }, []int{3, 4, 4, 4, 3}, 3, 0},
		{"it leaves out what it lacks, and fills up", func(a, n uint16) ([]byte, error) {
			out := make([]byte, 0, 2*n)
			for i := range n {
				if threePoints(a + i) {
					one, _ := device4((a+i)&^1, 2)
					out = append(out, one[2*((a+i)&1):][:2]...)
				}
			}
			return append(out, make([]byte, 2*int(n)-len(out))...), nil
		}, []int{3, 7, 7, 7, 3}, 3, 0},
		{"it answers in full, with zeros", func(a, n uint16) ([]byte, error) { return make([]byte, 2*n), nil }, []int{3, 7, 7, 7, 3}, 3, 0},
		{"it answers short", func(a, n uint16) ([]byte, error) { return make([]byte, 2*n-2), nil }, []int{3, 4, 4, 4, 3}, 3, 3},
	} {
		h := &holes{has: threePoints, across: c.across}
		f := &fake{answer: h.answer}
		b := newFake(t, "tcp://127.0.0.1", f, pt(8), pt(20), pt(4))
		var asks []int
		for range c.asks {
			h.asked = 0
			got, err := b.Poll(t.Context(), 0, nil)
			if slices.SortFunc(got, func(a, b drivers.Reading) int { return a.Point - b.Point }); err != nil || !reflect.DeepEqual(values(got), []int64{8000, 20000, 4000}) {
				t.Fatalf("%s: %v, %v", c.name, values(got), err)
			}
			asks = append(asks, h.asked)
		}
		if !reflect.DeepEqual(asks, c.asks) || h.touching != c.touching || f.closes != c.closes {
			t.Errorf("%s: asked %v, %d across holes, %d closes; want %v, %d, %d", c.name, asks, h.touching, f.closes, c.asks, c.touching, c.closes)
		}
	}
}

// A tool that asks once, and a meter that lacks a register, are not tried.
func TestBridgeNotTried(t *testing.T) {
	h := &holes{has: func(a uint16) bool { return a < 20 && threePoints(a) }, across: func(uint16, uint16) ([]byte, error) { return nil, wire.ErrIllegalDataAddress }}
	b := newFake(t, "tcp://127.0.0.1", &fake{answer: h.answer}, pt(4), pt(8), pt(20))
	for round := range 4 {
		h.asked = 0
		if got, err := b.Poll(t.Context(), 0, nil); err != nil || !reflect.DeepEqual(values(got), []int64{4000, 8000, -1}) || h.asked != 3 {
			t.Fatalf("round %d: %v, %v, %d questions", round, values(got), err, h.asked)
		}
	}
}

// What was proved may end: another meter on the same unit, another firmware.
func TestBridgeIsRefusedLater(t *testing.T) {
	h := &holes{has: threePoints, across: device4}
	b := newFake(t, "tcp://127.0.0.1", &fake{answer: h.answer}, pt(4), pt(8), pt(20))
	for round := range 5 {
		if round == 3 {
			h.across = func(uint16, uint16) ([]byte, error) { return nil, wire.ErrIllegalDataAddress }
		}
		if got, err := b.Poll(t.Context(), 0, nil); err != nil || !reflect.DeepEqual(values(got), []int64{4000, 8000, 20000}) {
			t.Fatalf("round %d: %v, %v", round, values(got), err)
		}
	}
	if s := written(b.devices[0].requests); s != "i4+2 i8+2 i20+2" {
		t.Errorf("it is asked %s", s)
	}
}

// unbridged is for tests that say what is asked, question by question.
func unbridged(b *Bus) {
	for i := range b.devices {
		b.devices[i].bridge = nil
	}
}

// On a serial wire too, where each answer is confirmed while the wire is new.
func TestBridgeOnASerialWire(t *testing.T) {
	script(t, wired(slow, pt(0x10), pt(0x20)), func(s *scripted) {
		s.devices[0].bridge = newBridge(s.devices[0].points)
		for _, want := range [][]string{
			{"1:4/0x0010+2", "1:4/0x0020+2"},
			{"1:4/0x0010+2", "1:4/0x0020+2", "1:4/0x0010+18", "1:4/0x0010+2", "1:4/0x0020+2"},
			{"1:4/0x0010+18"},
		} {
			s.ok(0, x10, x20)
			s.asked(want...)
		}
		s.ok(1, x10, x20) // the other meter on the wire is another device
		s.asked("2:4/0x0010+2", "2:4/0x0020+2")
	})
}

// A meter that stays silent across holes is left alone until the wire is
// quiet, and the round before stands.
func TestBridgeSilentOnASerialWire(t *testing.T) {
	script(t, wired(slow, pt(0x10), pt(0x20)), func(s *scripted) {
		s.devices[0].bridge = newBridge(s.devices[0].points)
		s.on(func(_ int, q []byte) []emission {
			if q[5] > 2 && q[1] == readInput {
				return nil
			}
			return after(20*time.Millisecond, plain(q))
		})
		for range 1 + attempts {
			s.ok(0, x10, x20)
		}
		s.forget()
		s.ok(0, x10, x20)
		s.ok(0, x10, x20)
		if got := strings.Join(s.log, " "); strings.Contains(got, "+18") {
			s.Errorf("asked %s", got)
		}
	})
}

// doubted is a wire on which the rounds from one on are not believed.
type doubted struct {
	*fake
	rounds, from int
}

func (d *doubted) begin() { d.rounds++ }
func (d *doubted) believed(context.Context) error {
	if d.rounds >= d.from {
		return errShifted
	}
	return nil
}

// A proof that is not believed proves nothing, and takes no reading back.
func TestBridgeNotBelieved(t *testing.T) {
	h := &holes{has: threePoints, across: device4}
	b := newFake(t, "tcp://127.0.0.1", &fake{answer: h.answer}, pt(4), pt(8), pt(20))
	d := &doubted{fake: b.client.(*fake), from: 3}
	b.client = d
	for range 2 {
		if got, err := b.Poll(t.Context(), 0, nil); err != nil || !reflect.DeepEqual(values(got), []int64{4000, 8000, 20000}) {
			t.Fatalf("%v, %v", values(got), err)
		}
	}
	if d.rounds != 3 || len(b.devices[0].requests) != 3 || b.devices[0].bridge.failed != 1 || d.closes != 1 {
		t.Errorf("%d rounds, %d requests, %+v, %d closes", d.rounds, len(b.devices[0].requests), b.devices[0].bridge, d.closes)
	}
}

// Whatever registers a device has, and whatever it does across its holes, all
// its values are right in each round; and where it answers, it is asked no
// more than the cheapest plan asks.
func TestBridgeNeverInvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "points")
		var points []Point
		has := map[uint16]bool{}
		for i, at := 0, uint16(0); i < n; i++ {
			at += 2 * uint16(rapid.IntRange(1, 40).Draw(t, "step"))
			points = append(points, pt(at))
			has[at], has[at+1] = true, true
		}
		across := rapid.IntRange(0, 3).Draw(t, "across")
		h := &holes{has: func(a uint16) bool { return has[a] }, across: func(a, words uint16) ([]byte, error) {
			switch across {
			case 0:
				return device4(a, words)
			case 1:
				return nil, wire.ErrIllegalDataAddress
			case 2:
				return nil, os.ErrDeadlineExceeded
			}
			return make([]byte, 2*words), nil
		}}
		b, err := New(Config{URL: "tcp://127.0.0.1", Devices: []Device{{Meter: "m", Unit: 7, Points: points}}})
		if err != nil {
			t.Fatal(err)
		}
		b.client = &fake{answer: h.answer}
		for range 2 + attempts {
			h.asked = 0
			got, err := b.Poll(context.Background(), 0, nil)
			if err != nil || len(got) != n {
				t.Fatalf("%v, %v", got, err)
			}
			for _, r := range got {
				if r.Err != nil || r.Sample.Value != int64(points[r.Point].Address)*1000 {
					t.Fatalf("%+v", r)
				}
			}
		}
		least, _ := cheapest(compiled(t, points), across == 0)
		if h.asked != least {
			t.Fatalf("%d questions in a round, want %d", h.asked, least)
		}
	})
}

// Counters go on while a bridge is proved.
func TestBridgeWhileCounting(t *testing.T) {
	questions := uint16(0)
	f := &fake{answer: func(a, n uint16) ([]byte, error) {
		questions++
		out := make([]byte, 2*n)
		for i := uint16(1); i < n; i += 2 {
			out[2*i], out[2*i+1] = byte(questions>>8), byte(questions)
		}
		return out, nil
	}}
	b := newFake(t, "tcp://127.0.0.1", f, pt(4), pt(8))
	for range 3 {
		if _, err := b.Poll(t.Context(), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if s := written(b.devices[0].requests); s != "i4+6" {
		t.Errorf("it is asked %s", s)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
