package doctor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

func point(typ, unit string) modbus.Point {
	return modbus.Point{Measure: energy.Import, Address: 0x48, Table: "input", Type: typ, Unit: unit}
}

func failed(k drivers.Kind, op string, err error) error {
	return &drivers.Error{Kind: k, Op: op, Err: err}
}

func TestJudge(t *testing.T) {
	absent := Look{Err: failed(drivers.Exception, "read", wire.ErrIllegalDataAddress)}
	nan := Look{Err: failed(drivers.Sentinel, "decode", errors.New("NaN")), Raw: 0x7FC00000}
	ok := func(v int64) Look { return Look{Value: v, Raw: uint64(v)<<8 | 1} }
	f, u := point("float32", "kWh"), point("uint32", "Wh")
	const kW70 = 70_000
	most := int64(kW70*1.1) + 2 // in an hour: a tenth more, and a step of 1 Wh at either end
	for _, c := range []struct {
		name          string
		p             modbus.Point
		first, second Look
		apart         time.Duration
		perHour       int64
		want          Sense
		why           string
	}{
		{"absent", f, absent, Look{}, 0, kW70, Absent, "illegal data address"},
		{"no value", f, nan, Look{}, 0, kW70, Impossible, "NaN"},
		{"tiny float", f, Look{Raw: 0x4148}, Look{}, 0, kW70, Impossible, "the bits are not zero"},
		{"zero", f, Look{}, Look{}, 0, kW70, Zero, ""},
		{"integer that rounds to zero", u, Look{Raw: 3}, Look{}, 0, kW70, Zero, ""},
		{"stands", f, ok(18_342_127), Look{}, 0, kW70, Stands, ""},
		{"a life", u, ok(kW70 * lifetimeHours), Look{}, 0, kW70, Stands, ""},
		{"more than a life", u, ok(kW70*lifetimeHours + 1), Look{}, 0, kW70, Impossible, "in its life"},
		{"more than any life", u, ok(lifetime + 1), Look{}, 0, 0, Impossible, "in its life"},
		{"low word zero", u, Look{Value: 0x47A60000, Raw: 0x47A60000}, Look{}, 0, 0, Doubtful, "the wrong way round"},
		{"low bit of the high word", u, Look{Value: 0x8000, Raw: 0x8000}, Look{}, 0, 0, Stands, ""},
		{"low word zero of one word", point("uint16", "kWh"), Look{Value: 1, Raw: 0x10000}, Look{}, 0, 0, Stands, ""},
		{"low word zero of a float", f, Look{Value: 4_096_000, Raw: 0x45800000}, Look{}, 0, 0, Stands, ""},
		{"moves", u, ok(1000), ok(1001), time.Hour, kW70, Moves, ""},
		{"moves as far as it can", u, ok(1000), ok(1000 + most), time.Hour, kW70, Moves, ""},
		{"moves too far", u, ok(1000), ok(1000 + most + 1), time.Hour, kW70, Impossible, "more than this connection carries"},
		{"moves, ceiling not known", u, ok(1000), ok(1_000_000), time.Second, 0, Moves, ""},
		{"moves from zero", u, Look{}, ok(1), time.Second, kW70, Moves, ""},
		{"does not move", u, ok(1000), ok(1000), time.Hour, kW70, Stands, ""},
		{"falls", u, ok(1000), ok(999), time.Hour, kW70, Impossible, "fell by 0.001 kWh in 1h0m0s"},
		{"second lost", u, ok(1000), absent, time.Hour, kW70, Stands, ""},
		{"second senseless", f, ok(1000), nan, time.Hour, kW70, Impossible, "NaN"},
		{"doubtful and falls", u, Look{Value: 0x20000, Raw: 0x20000}, Look{Value: 0x10000, Raw: 0x10000}, time.Hour, 0, Impossible, "it fell"},
		{"moves to a round number", u, Look{Value: 0xFFFF, Raw: 0xFFFF}, Look{Value: 0x10000, Raw: 0x10000}, time.Hour, kW70, Moves, ""},
		{"doubt stays", u, Look{Value: 0x10000, Raw: 0x10000}, Look{Value: 0x10001, Raw: 0x10001}, time.Hour, 0, Doubtful, "wrong way round"},
	} {
		got, why := Judge(Seen{c.p, c.first, c.second, c.apart}, c.perHour)
		if got != c.want || (c.why == "") != (why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v, %q; want %v, %q", c.name, got, why, c.want, c.why)
		}
	}
}

func TestLifetime(t *testing.T) {
	for in, want := range map[int64]int64{0: lifetime, -1: lifetime, 1: lifetimeHours, 70_000: 70_000 * lifetimeHours, lifetime / lifetimeHours: lifetime / lifetimeHours * lifetimeHours, lifetime/lifetimeHours + 1: lifetime, 1 << 62: lifetime} {
		if got := Lifetime(in); got != want {
			t.Errorf("%d: %d, want %d", in, got, want)
		}
	}
}

func TestAnsweredHeldMute(t *testing.T) {
	for _, c := range []struct {
		err                  error
		answered, held, mute bool
	}{
		{nil, true, true, false},
		{failed(drivers.Sentinel, "decode", nil), true, true, false},
		{failed(drivers.Range, "decode", nil), true, true, false},
		{failed(drivers.Exception, "read", wire.ErrIllegalFunction), true, false, false},
		{failed(drivers.Exception, "read", wire.ErrGWTargetFailedToRespond), false, false, false},
		{failed(drivers.Exception, "read", wire.ErrGWPathUnavailable), false, false, false},
		{failed(drivers.Timeout, "read", wire.ErrRequestTimedOut), false, false, true},
		{failed(drivers.Protocol, "read", errors.New("x")), false, false, true},
		{failed(drivers.Refused, "read unit 1", errors.New("EOF")), false, false, true},
		{failed(drivers.Refused, "connect to tcp://x", errors.New("refused")), false, false, false},
		{errors.New("other"), false, false, false},
	} {
		if Answered(c.err) != c.answered || Held(c.err) != c.held || Mute(c.err) != c.mute {
			t.Errorf("%v: answered %v, held %v, mute %v", c.err, Answered(c.err), Held(c.err), Mute(c.err))
		}
	}
}

func TestFailing(t *testing.T) {
	for err, want := range map[error]bool{failed(drivers.Exception, "read", wire.ErrServerDeviceFailure): true, failed(drivers.Exception, "read", wire.ErrServerDeviceBusy): false, nil: false} {
		if Failing(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}

func TestFraming(t *testing.T) {
	silent, gone := failed(drivers.Timeout, "read", nil), failed(drivers.Refused, "connect to x", nil)
	for _, c := range []struct {
		url      string
		err      error
		answered bool
		want     string
	}{
		{"tcp://a:502", silent, true, `passes serial (RTU) frames through, and the configuration speaks Modbus TCP to it: write url: "rtuovertcp://a:502"`},
		{"rtuovertcp://a:502", silent, true, `speaks Modbus TCP, and the configuration passes it serial (RTU) frames: write url: "tcp://a:502"`},
		{"tcp://a:502", silent, false, ""},
		{"tcp://a:502", gone, true, ""},
		{"tcp://a:502", nil, true, ""},
		{"udp://a:502", silent, true, ""},
		{"rtu:///dev/ttyUSB0", silent, true, ""},
	} {
		if got := Framing(c.url, c.err, c.answered); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestSettingsHint(t *testing.T) {
	silent := failed(drivers.Timeout, "read", nil)
	for _, c := range []struct {
		url  string
		err  error
		want string
	}{
		{"rtu:///dev/ttyUSB0?baud=9600", silent, "perseus-agent scan rtu:///dev/ttyUSB0 finds"},
		{"rtu:///dev/ttyUSB0", silent, "perseus-agent scan rtu:///dev/ttyUSB0 finds"},
		{"rtu:///dev/ttyUSB0", failed(drivers.Refused, "connect to rtu:///dev/ttyUSB0", nil), ""},
		{"tcp://a", silent, ""},
	} {
		if got := Settings(c.url, c.err); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.url, got)
		}
	}
}

func TestAmount(t *testing.T) {
	for _, c := range []struct {
		v    int64
		m    energy.Measure
		want string
	}{{18_342_127, energy.Import, "18342.127 kWh"}, {-1, energy.Export, "-0.001 kWh"}, {0, energy.ReactiveImport, "0.000 kvarh"}, {1500, energy.Gas, "1.500 m3"}} {
		if got := Amount(c.v, c.m); got != c.want {
			t.Errorf("%d: %q, want %q", c.v, got, c.want)
		}
	}
}

func TestWords(t *testing.T) {
	for typ, want := range map[string]int{"uint16": 1, "int16": 1, "uint32": 2, "float32": 2, "int32": 2, "bcd": 2, "uint64": 4, "int64": 4, "float64": 4} {
		if got := Words(modbus.Point{Type: typ}); got != want {
			t.Errorf("%s: %d", typ, got)
		}
	}
	if Words(modbus.Point{Type: "bcd", Order: "ABCDEFGH"}) != 4 {
		t.Error("a bcd of 8 bytes has 4 registers")
	}
}

// Each other way of reading is one that the driver takes, differs in one thing,
// and none is there twice.
func TestOthers(t *testing.T) {
	for _, typ := range modbus.Types() {
		for _, address := range []uint16{0, 1, 0x48, 0xFFFA, 0xFFFB, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF} {
			p := point(typ, "kWh")
			p.Address = address
			if p.Check() != nil {
				continue
			}
			seen := map[string]bool{}
			count := map[How]int{}
			for i, o := range Others(p) {
				if err := o.Check(); err != nil {
					t.Errorf("%s at %#x: %+v: %v", typ, address, o, err)
				}
				key := fmt.Sprint(o.Address, o.Table, o.Order)
				if seen[key] || (i == 0) != (o.How == AsConfigured) {
					t.Errorf("%s at %#x: %+v is there twice, or in the wrong place", typ, address, o)
				}
				seen[key] = true
				count[o.How]++
			}
			beside := 2
			if address == 0 || int(address)+Words(p) == 0x10000 {
				beside = 1
			}
			if count[OtherTable] != 1 || count[OffByOne] != beside || count[OtherOrder] < 1 {
				t.Errorf("%s at %#x: %v", typ, address, count)
			}
		}
	}
}
