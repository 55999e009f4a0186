package modbus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

func alarmsOf(b *Bus, device int) (out []string) {
	for _, s := range b.Alarms(device) {
		switch {
		case s.Err != nil:
			out = append(out, "unknown")
		case s.On:
			out = append(out, "on")
		default:
			out = append(out, "off")
		}
	}
	return out
}

// Coils, discrete inputs and bits of registers against pymodbus, by both kinds
// of frames: read in the same round, in as few questions as touch.
func TestAlarmsAgainstPymodbus(t *testing.T) {
	for framer, scheme := range map[string]string{"socket": "tcp://", "rtu": "rtuovertcp://"} {
		t.Run(framer, func(t *testing.T) {
			t.Parallel()
			i := served(t, framer, 125, map[uint8]blocks{1: {
				"coil": {4: {0, 1, 0}}, "discrete": {100: {1, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, "holding": {0x20: {0x8001, 0x0002}}, "input": {0: {0, 77}},
			}})
			b, err := New(Config{URL: scheme + i.address, Timeout: 2 * time.Second, Devices: []Device{{Meter: "m", Unit: 1,
				Points: []Point{{Measure: energy.Import, Address: 0, Table: "input", Type: "uint32", Unit: "Wh"}},
				Alarms: []Alarm{
					{Table: "coil", Address: 4, Invalid: true},
					{Table: "coil", Address: 5},
					{Table: "discrete", Address: 100, Clear: true},
					{Table: "discrete", Address: 109},
					{Table: "holding", Address: 0x20, Bit: 15},
					{Table: "holding", Address: 0x21, Bit: 1},
					{Table: "holding", Address: 0x21, Bit: 2},
					{Table: "coil", Address: 2000}, // it has no such coil
				}}}})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if got := fmt.Sprint(alarmsOf(b, 0)); got != "[unknown unknown unknown unknown unknown unknown unknown unknown]" {
				t.Errorf("before it was asked: %s", got)
			}
			poll := func(want string, flags energy.Flags) {
				t.Helper()
				got, err := b.Poll(t.Context(), 0, nil)
				if err != nil || len(got) != 1 || got[0].Err != nil || got[0].Sample.Value != 77 || got[0].Flags != flags {
					t.Errorf("%+v, %v", got, err)
				}
				if says := strings.Join(alarmsOf(b, 0), " "); says != want {
					t.Errorf("%s, want %s", says, want)
				}
			}
			poll("off on off on on on off unknown", 0)
			before := b.Traffic(0).Requests
			i.set(1, 1, 4, 1)
			poll("on on off on on on off unknown", energy.Flags(0).With(14))
			if n := b.Traffic(0).Requests - before; framer == "socket" && n != 6 { // its register; coils 4 and 5, coil 2000, inputs 100 and 109, the two status registers
				t.Errorf("%d questions", n)
			}
			i.set(1, 1, 4, 0)
			i.set(1, 2, 100, 0)
			i.set(1, 3, 0x21, 4)
			poll("off on on on on off on unknown", 0)
		})
	}
}

// A read that goes across what the device does not have is split for good.
func TestAlarmsApart(t *testing.T) {
	a, err := newAlarms([]Alarm{{Table: "coil", Address: 3}, {Table: "coil", Address: 1}, {Table: "coil", Address: 2}, {Table: "coil", Address: 2, Clear: true}, {Table: "discrete", Address: 4}, {Table: "coil", Address: 6}})
	if err != nil || fmt.Sprint(a.asks) != "[{1 1 3 [1 2 3 0]} {1 6 1 [5]} {2 4 1 [4]}]" {
		t.Errorf("%v, %v", a, err)
	}
	long := make([]Alarm, 4096)
	for i := range long {
		long[i] = Alarm{Table: "discrete", Address: uint16(i)}
	}
	a, _ = newAlarms(long)
	for _, ask := range a.asks {
		if ask.count > maxBits {
			t.Errorf("%d bits in one question", ask.count)
		}
	}
	if len(a.asks) != 3 {
		t.Errorf("%d questions", len(a.asks))
	}
	for _, bad := range []Alarm{{Table: "coils"}, {}, {Table: "coil", Bit: 1}, {Table: "holding", Bit: 16}, {Table: "input", Bit: -1}} {
		if _, err := New(Config{URL: "tcp://x", Devices: []Device{{Meter: "m", Unit: 1, Points: []Point{pt(0)}, Alarms: []Alarm{bad}}}}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// A meter that is silent at a table that it lacks is read all the same, and is
// asked for its alarms seldom.
func TestSilentAlarms(t *testing.T) {
	i := served(t, "socket", 125, map[uint8]blocks{1: {"input": {0: {0, 77}}, "coil": {0: {1}}}, 2: {"input": {0: {0, 78}}}})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b, err := New(Config{URL: "tcp://" + i.address, Timeout: 2 * time.Second, Now: func() time.Time { return now }, Devices: []Device{{Meter: "m", Unit: 1, Points: []Point{pt(0)},
		Alarms: []Alarm{{Table: "coil", Address: 0, Invalid: true}}, Serial: &Serial{Address: 0, Type: "uint16", Table: "input"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	deaf := &deafToBits{client: b.client}
	b.client = deaf
	for round := range 6 {
		got, err := b.Poll(t.Context(), 0, nil)
		if err != nil || len(got) != 1 || got[0].Sample.Value != 77 || got[0].Flags != 0 {
			t.Fatalf("round %d: %+v, %v", round, got, err)
		}
		if s := b.Alarms(0)[0]; s.Err == nil || drivers.KindOf(s.Err) != drivers.Timeout {
			t.Errorf("round %d: %+v", round, s)
		}
		now = now.Add(10 * time.Second)
	}
	if deaf.asked != habit {
		t.Errorf("asked %d times", deaf.asked)
	}
	now, deaf.hears = now.Add(identifyRetry), true
	if got, err := b.Poll(t.Context(), 0, nil); err != nil || len(alarmsOf(b, 0)) != 1 || alarmsOf(b, 0)[0] != "on" || !got[0].Flags.Has(14) {
		t.Errorf("%+v %v %v", got, alarmsOf(b, 0), err)
	}
}

// Bits are as safe as registers: on a wire that does what wires do in the field
// no alarm is ever another's.
func TestNoWrongAlarm(t *testing.T) {
	for name, open := range map[string]func(f *faulty) string{
		"rtu":        func(f *faulty) string { far, path := pty(t); go f.serve(far); return "rtu://" + path + "?baud=115200" },
		"rtuovertcp": func(f *faulty) string { return "rtuovertcp://" + convert(t, f) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(*seed, 40*time.Millisecond)
			f.share = 0.1 // a round has many questions
			var all []Alarm
			for _, at := range []uint16{0, 100, 200} {
				for i := range uint16(16) {
					all = append(all, Alarm{Table: "coil", Address: at + i}, Alarm{Table: "discrete", Address: at + i})
				}
			}
			b, err := New(Config{URL: open(f), Timeout: f.timeout, Devices: []Device{{Meter: "a", Unit: 1, Points: []Point{pt(0x48)}, Alarms: all}, {Meter: "b", Unit: 2, Points: []Point{pt(0x48)}, Alarms: all}}})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			known, wrong := 0, 0
			for i := range *reads {
				if _, err := b.Poll(t.Context(), i%2, nil); err != nil {
					continue
				}
				for k, s := range b.Alarms(i % 2) {
					if s.Err != nil {
						continue
					}
					if known++; s.On != bitOf(uint8(1+i%2), all[k].function(), all[k].Address) {
						wrong++
					}
				}
			}
			t.Logf("%d alarms known, %d wrong, faults %v", known, wrong, f.seen())
			if wrong > 0 || known == 0 {
				t.Errorf("%d alarms known, %d wrong", known, wrong)
			}
		})
	}
}

// deafToBits is a client to a meter that does not answer functions 1 and 2.
type deafToBits struct {
	client
	asked int
	hears bool
}

func (d *deafToBits) bits(function byte, address, count uint16) ([]byte, error) {
	if d.asked++; !d.hears {
		return nil, wire.ErrRequestTimedOut
	}
	return d.client.bits(function, address, count)
}
