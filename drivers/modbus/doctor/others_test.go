package doctor

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// image is a device's registers, read through the real driver.
type image struct {
	input, holding map[uint16]uint16
}

func (m *image) HandleCoils(*wire.CoilsRequest) ([]bool, error) { return nil, wire.ErrIllegalFunction }
func (m *image) HandleDiscreteInputs(*wire.DiscreteInputsRequest) ([]bool, error) {
	return nil, wire.ErrIllegalFunction
}
func (m *image) HandleHoldingRegisters(r *wire.HoldingRegistersRequest) ([]uint16, error) {
	if r.IsWrite {
		return nil, wire.ErrIllegalFunction
	}
	return words(m.holding, r.Addr, r.Quantity)
}
func (m *image) HandleInputRegisters(r *wire.InputRegistersRequest) ([]uint16, error) {
	return words(m.input, r.Addr, r.Quantity)
}

func words(table map[uint16]uint16, at, n uint16) (out []uint16, err error) {
	for i := range n {
		w, ok := table[at+i]
		if !ok {
			return nil, wire.ErrIllegalDataAddress
		}
		out = append(out, w)
	}
	return out, nil
}

func put(table map[uint16]uint16, at uint16, bytes []byte, order string) {
	shuffled := make([]byte, len(bytes))
	for i := range order {
		shuffled[i] = bytes[order[i]-'A']
	}
	for i := 0; i < len(bytes); i += 2 {
		table[at+uint16(i/2)] = binary.BigEndian.Uint16(shuffled[i:])
	}
}

func float(v float32) []byte  { return binary.BigEndian.AppendUint32(nil, math.Float32bits(v)) }
func whole32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func whole64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// A device is read as configured and in each other way, once at 18342.1 kWh and
// again when it has moved on, and the mistake in the configuration is found.
func TestMisreadThroughTheDriver(t *testing.T) {
	const now, later = 18_342.127, 18_342.5
	for _, c := range []struct {
		name       string
		typ, unit  string
		order      string // as the device has it
		table      string
		address    uint16
		neighbours bool // the registers beside it are there too, and 0
		as         modbus.Point
		still      bool // it does not move meanwhile
		want       string
	}{
		{name: "right", typ: "float32", unit: "kWh", order: "ABCD", table: "input", address: 0x48, neighbours: true, as: point("float32", "kWh")},
		{name: "words swapped, float", typ: "float32", unit: "kWh", order: "CDAB", table: "input", address: 0x48, neighbours: true, as: point("float32", "kWh"), want: "write order: CDAB"},
		{name: "words swapped, whole", typ: "uint32", unit: "Wh", order: "CDAB", table: "input", address: 0x48, neighbours: true, as: point("uint32", "Wh"), want: "as configured it cannot be; order CDAB would read 18342.127 kWh, address 0x0047 would read 57.583 kWh: take the one"},
		{name: "words swapped, whole, nothing beside it", typ: "uint32", unit: "Wh", order: "CDAB", table: "input", address: 0x48, as: point("uint32", "Wh"), want: "write order: CDAB"},
		{name: "bytes swapped, float", typ: "float32", unit: "kWh", order: "BADC", table: "input", address: 0x48, neighbours: true, as: point("float32", "kWh"), want: "write order: BADC"},
		{name: "all the other way round", typ: "float32", unit: "kWh", order: "DCBA", table: "input", address: 0x48, as: point("float32", "kWh"), want: "write order: DCBA"},
		{name: "words swapped, 64 bits", typ: "uint64", unit: "Wh", order: "GHEFCDAB", table: "input", address: 0x48, neighbours: true, as: point("uint64", "Wh"), want: "write order: GHEFCDAB"},
		{name: "other table", typ: "float32", unit: "kWh", order: "ABCD", table: "holding", address: 0x48, as: point("float32", "kWh"), want: "write table: holding"},
		{name: "other table, still", typ: "float32", unit: "kWh", order: "ABCD", table: "holding", address: 0x48, as: point("float32", "kWh"), still: true, want: "write table: holding"},
		{name: "one too high, refused", typ: "float32", unit: "kWh", order: "ABCD", table: "input", address: 0x47, as: point("float32", "kWh"), want: "write address: 0x0047"},
		{name: "one too low, refused", typ: "uint64", unit: "Wh", order: "ABCDEFGH", table: "input", address: 0x49, as: point("uint64", "Wh"), want: "write address: 0x0049"},
		{name: "one too high, whole", typ: "uint32", unit: "Wh", order: "ABCD", table: "input", address: 0x47, neighbours: true, as: point("uint32", "Wh"), want: "order CDAB would read 57.583 kWh, address 0x0047 would read 18342.127 kWh"},
		{name: "one too high, float", typ: "float32", unit: "kWh", order: "ABCD", table: "input", address: 0x47, neighbours: true, as: point("float32", "kWh"), want: "write address: 0x0047"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &image{map[uint16]uint16{}, map[uint16]uint16{}}
			set := func(v float64) {
				table := m.input
				if c.table == "holding" {
					table = m.holding
				}
				if c.neighbours {
					for a := c.address - 4; a < c.address+8; a++ {
						table[a] = 0
					}
				}
				switch c.typ {
				case "float32":
					put(table, c.address, float(float32(v)), c.order)
				case "uint32":
					put(table, c.address, whole32(uint32(v*1000)), c.order)
				case "uint64":
					put(table, c.address, whole64(uint64(v*1000)), c.order)
				}
			}
			set(now)
			b := served(t, m, Others(c.as))
			one := poll(t, b)
			if !c.still {
				set(later)
			}
			two := poll(t, b)
			all := make([]Judged, 0, 8)
			for i, o := range Others(c.as) {
				j := Judged{Other: o, Seen: Seen{Point: o.Point, First: one[i]}}
				if one[i].Err == nil && two[i].Err == nil {
					j.Second, j.Apart = two[i], 30*time.Second
				}
				all = append(all, j)
			}
			got := Misread(Compare(all, 70_000))
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
				for _, j := range all {
					t.Logf("%-16s %v %v %s", j.Name(), j.First, j.Sense, j.Why)
				}
			}
		})
	}
}

func served(t *testing.T, m *image, others []Other) *modbus.Bus {
	t.Helper()
	url := "tcp://" + ports.Address(t)
	s, err := wire.NewServer(&wire.ServerConfiguration{URL: url, MaxClients: 4}, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	d := modbus.Device{Meter: "a", Unit: 1}
	for _, o := range others {
		d.Points = append(d.Points, o.Point)
	}
	b, err := modbus.New(modbus.Config{URL: url, Timeout: 5 * time.Second, Devices: []modbus.Device{d}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func poll(t *testing.T, b *modbus.Bus) map[int]Look {
	t.Helper()
	var rs []drivers.Reading
	rs, err := b.Poll(t.Context(), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]Look{}
	for _, r := range rs {
		out[r.Point] = Look{r.Sample.Value, r.Raw, r.Err}
	}
	return out
}

// Where several ways make the same sense all are named, and none where many do
// or where the configured one makes sense.
func TestCompareDoesNotGuess(t *testing.T) {
	others := Others(point("uint32", "Wh"))
	alike := func(n int) []Judged {
		all := []Judged{{Other: others[0], Seen: Seen{Point: others[0].Point}}}
		for _, o := range others[1 : 1+n] {
			all = append(all, Judged{Other: o, Seen: Seen{Point: o.Point, First: Look{Value: 5000, Raw: 5001}}})
		}
		return all
	}
	for n, want := range map[int]string{1: "as configured it is zero: write order: CDAB", 2: "order CDAB would read 5.000 kWh, order BADC would read", maxAlike: "take the one", maxAlike + 1: "", 0: ""} {
		if says := Misread(Compare(alike(n), 70_000)); (want == "") != (says == "") || !strings.Contains(says, want) {
			t.Errorf("%d alike: %q, want %q", n, says, want)
		}
	}
	all := alike(3)
	all[2].Second, all[2].Apart = Look{Value: 5001, Raw: 5002}, time.Minute // this one moves
	if says := Misread(Compare(all, 70_000)); !strings.Contains(says, "write order: "+all[2].Other.Order) {
		t.Errorf("%q", says)
	}
	all = alike(1)
	all[0].First = Look{Value: 7, Raw: 7}
	if says := Misread(Compare(all, 70_000)); says != "" {
		t.Errorf("%q, though the configured one makes sense", says)
	}
	if says := Misread(Compare(nil, 70_000)); says != "" {
		t.Errorf("%q of nothing", says)
	}
}
