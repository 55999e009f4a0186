package site

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// noon is when these sites are played; their clock stands still.
var noon = time.Date(2026, 3, 3, 12, 10, 0, 0, time.UTC)

// play runs a site until the test ends.
func play(t *testing.T, o Options) *Site {
	t.Helper()
	base, err := ports.Row(30)
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, o.PortBase = t.TempDir(), base
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	if o.Every == 0 {
		o.Every = 20 * time.Millisecond
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for _, b := range s.buses {
		if b.at.scheme == "udp" || b.at.scheme == "rtu" || b.at.scheme == "file" {
			continue
		}
		until(t, "bus "+b.cfg.ID, func() error {
			c, err := net.Dial("tcp", b.at.address)
			if err == nil {
				err = c.Close()
			}
			return err
		})
	}
	return s
}

// until waits for something that comes soon.
func until(t *testing.T, what string, is func() error) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := is()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}

// open makes the driver of a Modbus bus of the site, as the agent does.
func open(t *testing.T, s *Site, b *bus) *modbus.Bus {
	t.Helper()
	cfg := modbus.Config{URL: b.at.url, Timeout: b.cfg.Timeout, Now: s.opt.Now}
	for _, src := range b.sources {
		d := modbus.Device{Meter: src.meter.ID, Unit: src.meter.Unit, Serial: src.meter.SerialRegister, SunSpec: src.meter.SunSpec}
		for _, r := range src.meter.Registers {
			d.Points = append(d.Points, r.Point)
		}
		cfg.Devices = append(cfg.Devices, d)
	}
	bus, err := modbus.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	return bus
}

// Each template, read through the driver, shows what the simulated meter
// counted, to its last digit, and who it is.
func TestEveryTemplate(t *testing.T) {
	all, err := config.Templates()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "site: {name: All}\nbuses:\n  - {id: all, driver: modbus, url: \"tcp://h\", timeout: 20s}\nmeters:\n")
	n := 0
	for _, m := range all {
		more := needed(m.Name)
		if m.Inputs == 0 {
			var measures []string
			for _, r := range m.Registers {
				measures = append(measures, r.Measure.String())
			}
			more += ", measures: [" + strings.Join(measures, ", ") + "]"
		}
		n++
		fmt.Fprintf(&text, "  - {id: %s, bus: all, unit: %d, template: %s%s}\n", m.Name, n, m.Name, more)
	}
	s := play(t, Options{Text: []byte(text.String())})
	b := s.buses[0]
	driver := open(t, s, b)
	until(t, "the meters", func() error { _, err := driver.Poll(t.Context(), 0, nil); return err })
	for i, src := range b.sources {
		got, err := driver.Poll(t.Context(), i, nil)
		if err != nil || len(got) != len(src.registers) {
			t.Errorf("%s: %d readings, %v", src.meter.ID, len(got), err)
			continue
		}
		for _, r := range got {
			reg := src.registers[r.Point]
			want := reg.flowed(noon)
			step := reg.cfg.StepAt(want)
			if off := r.Sample.Value - want; r.Err != nil || off > step || off < -step {
				t.Errorf("%s %s: %d, %v; the meter counted %d, in steps of %d", src.meter.ID, reg.cfg.Measure, r.Sample.Value, r.Err, want, step)
			}
		}
		if src.meter.SerialRegister != nil {
			if got := driver.Identity(i); got == "" || !strings.HasSuffix(serialOf(src.meter, ""), got) && src.meter.SerialRegister.Type != "uint16" && src.meter.SerialRegister.Type != "string" {
				t.Errorf("%s: it says that it is %q, not %s", src.meter.ID, got, serialOf(src.meter, ""))
			}
		}
	}
	if n < 60 {
		t.Errorf("%d templates", n)
	}
}

// What happens to a meter happens when it is to.
func TestThingsHappenToMeters(t *testing.T) {
	var p Parts
	for _, m := range []string{"eastron-sdm630@1", "schneider-iem3155@2"} {
		if err := p.Meter(m); err != nil {
			t.Fatal(err)
		}
	}
	var faults fault.List
	if err := faults.Set("exchange@10m,freeze@20m+5m"); err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Text: p.YAML(), Dir: t.TempDir(), PortBase: 18500, Faults: faults, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	r := s.buses[0].sources[0].registers[0]
	before, after := noon.Add(10*time.Minute-time.Second), noon.Add(10*time.Minute)
	if r.total(before) != r.flowed(before) || r.total(after) != opening {
		t.Errorf("around the exchange it shows %d and %d", r.total(before), r.total(after))
	}
	st := s.buses[0].player.(*line).stations[1]
	if st.identity(before) == st.identity(after) {
		t.Error("the new meter has the old one's number")
	}
	from, to := noon.Add(20*time.Minute), noon.Add(25*time.Minute)
	if r.total(from.Add(time.Second)) != r.total(from) || r.total(to.Add(-time.Second)) != r.total(from) || r.total(to)-r.total(from) != r.flowed(to)-r.flowed(from) {
		t.Errorf("frozen it shows %d, %d, %d and then %d", r.total(from), r.total(from.Add(time.Second)), r.total(to.Add(-time.Second)), r.total(to))
	}
}

func TestRegistersRunOver(t *testing.T) {
	var p Parts
	if err := p.Meter("carlo-gavazzi-em24-e1@1"); err != nil {
		t.Fatal(err)
	}
	var faults fault.List
	if err := faults.Set("rollover@10m"); err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Text: p.YAML(), Dir: t.TempDir(), PortBase: 18500, Faults: faults, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	r := s.buses[0].sources[0].registers[0]
	at := noon.Add(10 * time.Minute)
	if before, after := r.raw(at.Add(-time.Hour)), r.raw(at); after.Sign() != 0 || before.Cmp(r.modulus) >= 0 || r.modulus.Int64()-before.Int64() > 1000 {
		t.Errorf("%s an hour before it runs over, %s then; at %s it begins anew", before, after, r.modulus)
	}
	p = Parts{}
	if err := p.Meter("eastron-sdm630@1"); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Text: p.YAML(), Dir: t.TempDir(), PortBase: 18500, Faults: faults}); err == nil || !strings.Contains(err.Error(), "no register of bus tcp ever runs over") {
		t.Errorf("floats are to run over: %v", err)
	}
}

// The orders and types of the wire, against vectors made by hand.
func TestOrders(t *testing.T) {
	for _, c := range []struct {
		bits  uint64
		size  int
		order string
		want  []byte
	}{
		{0x0102, 2, "", []byte{1, 2}}, {0x0102, 2, "BA", []byte{2, 1}},
		{0x01020304, 4, "ABCD", []byte{1, 2, 3, 4}}, {0x01020304, 4, "CDAB", []byte{3, 4, 1, 2}}, {0x01020304, 4, "BADC", []byte{2, 1, 4, 3}}, {0x01020304, 4, "DCBA", []byte{4, 3, 2, 1}},
		{0x0102030405060708, 8, "GHEFCDAB", []byte{7, 8, 5, 6, 3, 4, 1, 2}},
	} {
		if got := ordered(c.bits, c.size, c.order); !slices.Equal(got, c.want) {
			t.Errorf("%#x in order %q: %v, want %v", c.bits, c.order, got, c.want)
		}
	}
	if got := rtu(asked{unit: 1, answer: []byte{3, 2, 0, 1}}); !slices.Equal(got, []byte{1, 3, 2, 0, 1, 0x79, 0x84}) { // Modbus over serial line 1.02, by any other implementation
		t.Errorf("% X", got)
	}
}

// Alarms are bits that are set while the fault lasts, and the other way round
// where the file says so.
func TestAlarms(t *testing.T) {
	now := noon
	dice := fault.NewDice(faultsOf(t, "alarm@10m+5m"), 1, "x", noon, func() time.Time { return now })
	st := &station{dice: dice}
	for _, a := range []modbus.Alarm{{Table: "coil", Address: 5}, {Table: "coil", Address: 7, Clear: true}, {Table: "holding", Address: 9, Bit: 10}} {
		st.alarms = append(st.alarms, config.Alarm{Alarm: a})
	}
	w := &wire{stations: map[uint8]*station{1: st}, dice: dice}
	for at, want := range map[time.Duration][2]string{0: {"01 01 04", "03 02 00 00"}, 10 * time.Minute: {"01 01 01", "03 02 04 00"}, 15 * time.Minute: {"01 01 04", "03 02 00 00"}} {
		now = noon.Add(at)
		coils := fmt.Sprintf("% X", w.answer(1, []byte{1, 0, 5, 0, 3}, now, plain))
		word := fmt.Sprintf("% X", w.answer(1, []byte{3, 0, 9, 0, 1}, now, plain))
		if coils != want[0] || word != want[1] {
			t.Errorf("after %s: %s and %s, want %v", at, coils, word, want)
		}
	}
	for _, q := range [][]byte{{1, 0, 8, 0, 3}, {2, 0, 5, 0, 1}, {1, 0, 5, 0, 0}} {
		if got := w.answer(1, q, now, plain); len(got) != 2 || got[0] != q[0]|0x80 {
			t.Errorf("% X: % X", q, got)
		}
	}
}
