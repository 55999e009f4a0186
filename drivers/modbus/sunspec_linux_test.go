package modbus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/sunspec"
	"github.com/perseus-edge/perseus-edge/energy"
)

// sunImage is a SunSpec device: an inverter of one maker and a meter of
// another in one map, as many sites have them.
func sunImage(base uint16) map[uint16][]uint16 {
	text := func(s string, n int) []uint16 {
		out := make([]uint16, n)
		for i := range s {
			out[i/2] |= uint16(s[i]) << (8 * (1 - i%2))
		}
		return out
	}
	var all []uint16
	model := func(id, length uint16, at map[int][]uint16) {
		m := make([]uint16, length+2)
		m[0], m[1] = id, length
		for offset, words := range at {
			copy(m[offset:], words)
		}
		all = append(all, m...)
	}
	all = append(all, 0x5375, 0x6E53)
	model(1, 66, map[int][]uint16{2: text("SolarEdge", 16), 18: text("SE10K", 16), 42: text("0004.0017", 8), 50: text("7E13A1B2", 16)})
	model(103, 50, map[int][]uint16{24: {0x0012, 0xD687}, 26: {0}})
	model(1, 65, map[int][]uint16{2: text("WattNode", 16), 18: text("WNC-3Y-400-MB", 16), 42: text("25", 8), 50: text("4066832", 16)})
	model(203, 105, map[int][]uint16{38: {0, 0}, 46: {0x0001, 0x86A0}, 54: {0}})
	return map[uint16][]uint16{base: append(all, 0xFFFF, 0)}
}

// Where things are in sunImage, from its base on.
const (
	sunSerial   = 2 + 50
	sunWH       = 2 + 68 + 24
	sunInverter = 2 + 68
	sunMeter    = 2 + 68 + 52 + 67
	sunImport   = sunMeter + 46
	sunExport   = sunMeter + 38
	sunScale    = sunMeter + 54
)

func sunPoint(m energy.Measure) Point { return Point{Measure: m, Type: TypeSunSpec, Unit: "Wh"} }

func sunDevices() []Device {
	return []Device{
		{Meter: "inverter", Unit: 1, SunSpec: &SunSpec{Kind: sunspec.Inverter}, Points: []Point{sunPoint(energy.Generation)}},
		{Meter: "meter", Unit: 1, SunSpec: &SunSpec{Kind: sunspec.Meter, Part: 1}, Points: []Point{sunPoint(energy.Import), sunPoint(energy.Export)}},
	}
}

func sunBus(t *testing.T, url string) *Bus {
	t.Helper()
	b, err := New(Config{URL: url, Timeout: 2 * time.Second, Devices: sunDevices()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// polled polls a device and gives its values; -1 where there is none, with the
// error in words.
func polled(t *testing.T, b *Bus, device int) (values []int64, why string, got []drivers.Reading) {
	t.Helper()
	got, err := b.Poll(t.Context(), device, nil)
	values = make([]int64, len(b.devices[device].points))
	for i := range values {
		values[i] = -1
	}
	for _, r := range got {
		if r.Err != nil {
			why = r.Err.Error()
			continue
		}
		values[r.Point] = r.Sample.Value
	}
	if err != nil && why == "" {
		t.Fatalf("%v without a reading that says so", err)
	}
	return values, why, got
}

// Against pymodbus, at each base address: found, read, identified, and in one
// request a round once it is known.
func TestSunSpecAgainstPymodbus(t *testing.T) {
	for _, framer := range []string{"socket", "rtu"} {
		for _, base := range sunspec.Bases() {
			if framer == "rtu" && base != 50000 {
				continue // the wire makes no difference to where the map is
			}
			t.Run(framer+" "+strings.Trim(string(rune('0'+base/10000)), " ")+"0000", func(t *testing.T) {
				t.Parallel()
				i := served(t, framer, 125, map[uint8]blocks{1: {"holding": sunImage(base)}})
				b := sunBus(t, map[string]string{"socket": "tcp://", "rtu": "rtuovertcp://"}[framer]+i.address)
				values, why, got := polled(t, b, 0)
				if values[0] != 1_234_567 || got[0].Modulus != 1<<32 || got[0].Step != 1 || got[0].Raw != 0x12D687 {
					t.Fatalf("inverter: %v %s %+v", values, why, got)
				}
				values, why, _ = polled(t, b, 1)
				if values[0] != 100_000 || values[1] != 0 {
					t.Fatalf("meter: %v %s", values, why)
				}
				if a, m := b.Identity(0), b.Identity(1); a != "7E13A1B2" || m != "4066832" {
					t.Errorf("they call themselves %q and %q", a, m)
				}
				before := b.Traffic(1).Requests
				i.set(1, 3, int(base)+sunImport+1, 0x86A5)
				if values, why, _ = polled(t, b, 1); values[0] != 100_005 {
					t.Errorf("%v %s", values, why)
				}
				if n := b.Traffic(1).Requests - before; framer == "socket" && n != 1 {
					t.Errorf("%d requests in a round", n)
				}
				if says := b.Discovered(1); !strings.Contains(says, "WattNode WNC-3Y-400-MB 25 (serial number 4066832), models 1, 103, 1, 203; its energy is in model 203") {
					t.Errorf("%q", says)
				}
				parts, err := b.SunSpecParts(t.Context(), 0)
				if err != nil || len(parts) != 2 || parts[0].Kind != sunspec.Meter || parts[0].Common.Serial != "4066832" || parts[1].Kind != sunspec.Inverter || parts[1].Common.Maker != "SolarEdge" {
					t.Errorf("%+v, %v", parts, err)
				}
			})
		}
	}
}

// What devices do in the field, one after the other.
func TestSunSpecFaults(t *testing.T) {
	i := served(t, "socket", 125, map[uint8]blocks{1: {"holding": sunImage(40000)}})
	b := sunBus(t, "tcp://"+i.address)
	meter := func(name string, want0, want1 int64, because string) {
		t.Helper()
		if got, why, _ := polled(t, b, 1); got[0] != want0 || got[1] != want1 || !strings.Contains(why, because) {
			t.Errorf("%s: %v %q, want %d %d %q", name, got, why, want0, want1, because)
		}
	}
	set := func(at int, words ...uint16) { i.set(1, 3, 40000+at, words...) }
	meter("at first", 100_000, 0, "")
	set(sunScale, 1)
	set(sunImport, 0, 10_000)
	meter("a coarser scale", 100_000, 0, "")
	set(sunImport+1, 10_001)
	meter("goes on in the coarser scale", 100_010, 0, "")
	set(sunScale, 0)
	meter("a scale that comes before its total", -1, 0, "does not go on from where it was")
	set(sunImport, 1, 0x86AB)
	meter("and its total", 100_011, 0, "")
	set(sunScale, 0x8000)
	meter("no scale", -1, -1, "scale factor is not implemented")
	set(sunScale, 0)
	set(sunImport, 0, 0)
	meter("zero all at once", -1, 0, "a reading that failed")
	set(sunImport, 0xFFFF, 0xFFFF)
	meter("no value", -1, 0, "no value there")
	set(sunImport, 1, 0x86AC)
	set(sunExport, 0, 7)
	meter("all well", 100_012, 7, "")
	i.most(40)
	meter("a device that reads no whole model", 100_012, 7, "")
	meter("and again", 100_012, 7, "")
	i.most(125)
	set(sunMeter, 204)
	meter("another model at its place", -1, -1, "no longer where they were")
	meter("is found", 100_012, 7, "")
	set(sunMeter, 64_001)
	meter("a model that counts nothing", -1, -1, "no longer where they were")
	meter("is not taken", -1, -1, "0 that count as meter")
	set(sunMeter, 203)
	meter("back", 100_012, 7, "")
	set(0, 0, 0)
	meter("the marker alone is gone", 100_012, 7, "")
}

// A zero of an inverter that has never counted is no reading, and neither is
// one of an inverter that has: night, and the devices' way to say nothing.
func TestSunSpecInverterAtNight(t *testing.T) {
	i := served(t, "socket", 125, map[uint8]blocks{1: {"holding": sunImage(40000)}})
	i.set(1, 3, 40000+sunWH, 0, 0)
	b := sunBus(t, "tcp://"+i.address)
	want := func(v int64, because string) {
		t.Helper()
		got, why, rs := polled(t, b, 0)
		var e *drivers.Error
		if got[0] != v || !strings.Contains(why, because) || v < 0 && (!errors.As(rs[0].Err, &e) || e.Kind != drivers.Sentinel) {
			t.Errorf("%v %q, want %d %q", got, why, v, because)
		}
	}
	want(-1, "also say that they do not count it")
	i.set(1, 3, 40000+sunWH, 0, 5)
	want(5, "")
	i.set(1, 3, 40000+sunWH, 0, 0)
	want(-1, "a reading that failed")
	i.set(1, 3, 40000+sunWH, 0, 6)
	want(6, "")
}

// Another device in its place is followed anew: what the old one stood at says
// nothing of it.
func TestSunSpecExchanged(t *testing.T) {
	i := served(t, "rtu", 125, map[uint8]blocks{1: {"holding": sunImage(40000)}})
	b := sunBus(t, "rtuovertcp://"+i.address)
	polled(t, b, 0)
	i.set(1, 3, 40000+sunSerial, 0x3939)
	polled(t, b, 0)
	if got := b.Identity(0); got != "9913A1B2" {
		t.Fatalf("it calls itself %q", got)
	}
	i.set(1, 3, 40000+sunWH, 0, 3)
	if got, why, _ := polled(t, b, 0); got[0] != 3 {
		t.Errorf("%v %s", got, why)
	}
}

func TestNoSunSpec(t *testing.T) {
	i := served(t, "socket", 125, map[uint8]blocks{1: {"holding": {40000: {1, 2, 3, 4}, 0: {5, 6, 7, 8}}}})
	b := sunBus(t, "tcp://"+i.address)
	got, why, _ := polled(t, b, 1)
	if got[0] != -1 || got[1] != -1 || !strings.Contains(why, "no SunSpec map at 40000, 50000 or 0") || !strings.Contains(why, "is SunSpec switched on") || b.Discovered(1) != "" {
		t.Errorf("%v %q", got, why)
	}
	if parts, err := b.SunSpecParts(t.Context(), 0); err != nil || len(parts) != 0 {
		t.Errorf("%v, %v", parts, err)
	}
}

// touched is a client to a device whose registers are read in its own way.
type touched struct {
	client
	read func(next client, address, size uint16, t wire.RegType) ([]byte, error)
}

func (c *touched) ReadRawBytes(address, size uint16, t wire.RegType) ([]byte, error) {
	return c.read(c.client, address, size, t)
}

// A device that says nothing at a base address that it does not have is found
// all the same, one silence a round; one that is silent at all is asked one
// question a round.
func TestSunSpecSilentAtOtherBases(t *testing.T) {
	i := served(t, "socket", 125, map[uint8]blocks{1: {"holding": sunImage(0)}})
	b := sunBus(t, "tcp://"+i.address)
	asked, dead := 0, false
	b.client = &touched{b.client, func(next client, address, size uint16, t wire.RegType) ([]byte, error) {
		if asked++; address >= 40000 || dead {
			return nil, wire.ErrRequestTimedOut
		}
		return next.ReadRawBytes(address, size, t)
	}}
	for round, want := range []int64{-1, -1, 100_000} {
		got, why, rs := polled(t, b, 1)
		if got[0] != want || want < 0 && drivers.KindOf(rs[0].Err) != drivers.Timeout {
			t.Errorf("round %d: %v %s", round, got, why)
		}
	}
	b.devices[1].sun.forget()
	asked, dead = 0, true
	for range 5 {
		polled(t, b, 1)
	}
	if asked != 5 {
		t.Errorf("%d questions in 5 rounds to a dead device", asked)
	}
}

// A scale factor that changes between the two looks of a round is nothing to go
// by, and neither is a round that is not believed: what was before holds.
func TestSunSpecTornRound(t *testing.T) {
	i := served(t, "socket", 125, map[uint8]blocks{1: {"holding": sunImage(40000)}})
	b := sunBus(t, "tcp://"+i.address)
	polled(t, b, 1)
	flicker, doubted := 0, false
	next := b.client
	b.client = &doubting{touched{next, func(next client, address, size uint16, kind wire.RegType) ([]byte, error) {
		data, err := next.ReadRawBytes(address, size, kind)
		if scale := 2 * (sunScale - sunMeter); flicker > 0 && err == nil && address == 40000+sunMeter && len(data) > scale+1 {
			data = append([]byte(nil), data...)
			data[scale+1] = byte(flicker)
			flicker--
		}
		return data, err
	}}, &doubted}
	flicker = 2
	if got, why, _ := polled(t, b, 1); got[0] != -1 || !strings.Contains(why, "changed while the total was read") {
		t.Errorf("%v %s", got, why)
	}
	if got, why, _ := polled(t, b, 1); got[0] != 100_000 {
		t.Errorf("%v %s", got, why)
	}
	i.set(1, 3, 40000+sunImport, 0, 9)
	i.set(1, 3, 40000+sunExport, 0, 9)
	doubted = true
	if got, _, _ := polled(t, b, 1); got[0] != -1 {
		t.Errorf("taken from a round that is not believed: %v", got)
	}
	doubted = false
	i.set(1, 3, 40000+sunImport, 1, 0x86A0)
	i.set(1, 3, 40000+sunExport, 0, 0)
	if got, why, _ := polled(t, b, 1); got[0] != 100_000 || got[1] != 0 {
		t.Errorf("the round left something behind: %v %s", got, why)
	}
}

type doubting struct {
	touched
	doubt *bool
}

func (d *doubting) believed(context.Context) error {
	if *d.doubt {
		return errShifted
	}
	return nil
}
