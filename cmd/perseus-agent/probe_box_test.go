package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/scan"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// clinic probes a box in simulated time: while the prober waits the meters run.
type clinic struct {
	t   *testing.T
	now time.Time
	run func(now time.Time) // moves the meters on
}

func (c *clinic) prober(apart time.Duration) *prober {
	signs, err := scan.AllSigns()
	if err != nil {
		c.t.Fatal(err)
	}
	return &prober{apart: apart, now: func() time.Time { return c.now }, signs: signs, wait: func(ctx context.Context, d time.Duration) error {
		c.now = c.now.Add(d)
		c.run(c.now)
		return ctx.Err()
	}}
}

func parsed(t *testing.T, url, meters string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test", []byte(fmt.Sprintf("site: {name: Test}\nbuses: [{id: plant, driver: modbus, url: %q, timeout: 2s}]\nmeters:\n%s", url, meters)))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// wrongs are all that is odd: without what could not be checked, and the other
// ways that are shown for comparison.
func wrongs(found []advice) (says []string) {
	for _, a := range found {
		if a.Wrong || !strings.HasPrefix(a.Says, "not checked") && len(a.Ways) == 0 {
			says = append(says, strings.TrimSpace(a.Meter+" "+a.Measure)+": "+a.Says)
		}
	}
	return says
}

// A site is wired and configured wrongly in every way that the field knows.
// Each is found, and the right one is left in peace.
func TestDoctor(t *testing.T) {
	const sdm630 = "  - {id: m, bus: plant, unit: 1, template: eastron-sdm630}\n"
	byHand := func(what string) string {
		return "  - {id: m, bus: plant, unit: 1, rating: {amps: 100}, registers: {import: {" + what + "}}}\n"
	}
	for _, c := range []struct {
		name    string
		meters  string
		in, out float64 // what import and export count in a minute, Wh
		watts   int64
		phases  [3]int64 // where they are not a third each
		zero    bool     // the export has not counted yet
		want    []string
	}{
		{name: "right", meters: sdm630, in: 100, watts: 6000},
		{name: "right, exporting", meters: sdm630, out: 100, watts: -6000, want: []string{"m: energy flows out: export counts while import stands. Unless something generates here just now, the current transformers are turned round"}},
		{name: "right, at rest", meters: sdm630},
		{name: "word order", meters: byHand("address: 0x48, table: input, type: float32, order: CDAB, unit: kWh"), in: 100, watts: 6000, zero: true, want: []string{"m import: the byte order is wrong: order ABCD would read 18342.100 kWh, and as configured it cannot be: write order: ABCD"}},
		{name: "word order, beside a total of the same size", meters: byHand("address: 0x48, table: input, type: float32, order: CDAB, unit: kWh"), in: 100, watts: 6000, want: []string{"m import: as configured it cannot be; order ABCD would read 18342.100 kWh, address 0x0049 would read 1834.381 kWh: take the one that the meter's display shows"}},
		{name: "table", meters: byHand("address: 0x48, table: holding, type: float32, unit: kWh"), in: 100, watts: 6000, want: []string{"m import: the table is wrong: table input would read 18342.000 kWh, and as configured the meter has no such register: write table: input"}},
		{name: "off by one", meters: byHand("address: 0x49, table: input, type: float32, unit: kWh"), in: 100, watts: 6000, zero: true, want: []string{"m import: the address is off by one (manuals often count from 1, the wire from 0): address 0x0048 would read 18342."}},
		{name: "swapped", meters: "  - {id: m, bus: plant, unit: 1, rating: {amps: 100}, registers: {export: {address: 0x48, table: input, type: float32, unit: kWh}, import: {address: 0x4A, table: input, type: float32, unit: kWh}}}\n",
			in: 100, watts: 6000, want: []string{"m: export counts while import stands. Unless something generates here just now, import and export are swapped"}},
		{name: "one transformer turned", meters: sdm630, in: 66, out: 33, watts: 2000, phases: [3]int64{2000, -2000, 2000}, want: []string{"m: phase 2 (-2.000 kW) runs out while phase 1 (2.000 kW) and phase 3 (2.000 kW) runs in. Unless something generates"}},
		{name: "one transformer turned, by its totals alone", meters: byHand("address: 0x48, table: input, type: float32, unit: kWh}, export: {address: 0x4A, table: input, type: float32, unit: kWh"), in: 66, out: 33, watts: 2000, want: []string{"m: import and export both count at the same time: one phase runs the other way"}},
		{name: "transformers turned, seen by the power before a coarse register moves", meters: sdm630, watts: -6000, want: []string{"m: the meter says that energy flows out. Unless something generates here just now, the current transformers are turned round"}},
		{name: "phases", meters: sdm630, in: 100, watts: 6000, phases: [3]int64{2, 2, 2}, want: []string{"m: the phases add up to 0.006 kW, the total is 6.000 kW: one of them is in another unit (1000 times)"}},
		{name: "scale", meters: sdm630, in: 1000, watts: 60_000, phases: [3]int64{20_000, 20_000, 20_000}},
		{name: "energy against power", meters: sdm630, in: 1000, watts: 6000, want: []string{"m: import against power: it counted 1000 Wh in 1m0s, and at 6.000 kW it should have been about 100 Wh: 10 times too much"}},
		{name: "import does not count", meters: sdm630, watts: 6000, want: []string{"m: import against power: it counted 0 Wh in 1m0s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)
			b := &box{units: map[uint8]meterImage{}}
			x := &clinic{t: t, now: began}
			x.run = func(now time.Time) {
				m := imageOf(t, "eastron-sdm630", 18_342_000, c.watts)
				at := func(a uint16) modbus.Point {
					return modbus.Point{Measure: energy.Import, Address: a, Table: "input", Type: "float32", Unit: "Wh"}
				}
				m.set(t, at(0x48), 18_342+c.in/1000*now.Sub(began).Minutes()) // the register is in kWh
				export := 1_834.0
				if c.zero {
					export = 0
				}
				m.set(t, at(0x4A), export+c.out/1000*now.Sub(began).Minutes())
				if c.phases != [3]int64{} {
					for i, w := range c.phases {
						m.set(t, at(0x0C+2*uint16(i)), float64(w))
					}
				}
				b.mu.Lock()
				b.units[1] = m
				b.mu.Unlock()
			}
			x.run(began)
			p := x.prober(time.Minute)
			rows, found := p.all(t.Context(), parsed(t, "tcp://"+b.served(t), c.meters))
			got := wrongs(found)
			if len(got) != len(c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if i >= len(got) || !strings.Contains(got[i], want) {
					t.Errorf("found %q, want %q", got, want)
				}
			}
			if len(rows) == 0 || len(c.want) == 0 && rows[0].Looks != "" {
				t.Errorf("%+v", rows)
			}
		})
	}
}

// All orders are shown side by side, and the plausible one is marked; what a
// template does not hold is said.
func TestProbeShowsTheWays(t *testing.T) {
	b := &box{units: map[uint8]meterImage{1: imageOf(t, "socomec-countis-e03", 5_000_000, 0), 2: imageOf(t, "eastron-sdm120", 7_000_000, 1000)}}
	x := &clinic{t: t, now: time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC), run: func(time.Time) {}}
	p := x.prober(0)
	p.closer = true
	cfg := parsed(t, "tcp://"+b.served(t), "  - {id: a, bus: plant, unit: 1, template: socomec-countis-e03}\n  - {id: b, bus: plant, unit: 2, rating: {amps: 45}, registers: {import: {address: 0x48, table: input, type: float32, order: DCBA, unit: kWh}}}\n")
	rows, found := p.all(t.Context(), cfg)
	var out strings.Builder
	if err := printProbe(&out, "table", rows, found); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"WRONG b import: the byte order is wrong: order ABCD would read 7000.000 kWh",
		"order ABCD 7000.000 kWh <- likely", "order CDAB", "order BADC", "as configured", "table holding", "address 0x0047", "address 0x0049",
		"note a: not checked against its power and phases: the template socomec-countis-e03 does not say where they are",
		"note b: not checked against its power and phases: its registers are given by hand",
		"note a import: other ways to read it: compare with the meter's display",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := printProbe(&out, "json", rows, found); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Data   []struct{ Meter string }
		Advice []advice
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || len(got.Data) < 2 || len(got.Advice) != len(found) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// What a meter does not have is said shortly, and not once for each order.
func TestWaysOfWhatIsNotThere(t *testing.T) {
	b := &box{units: map[uint8]meterImage{1: imageOf(t, "eastron-sdm630", 18_342_000, 6000)}}
	x := &clinic{t: t, now: time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC), run: func(time.Time) {}}
	_, found := x.prober(0).all(t.Context(), parsed(t, "tcp://"+b.served(t), "  - {id: m, bus: plant, unit: 1, registers: {import: {address: 0x2000, type: float32, unit: kWh}}}\n"))
	if len(found) != 1 || found[0].Wrong || len(found[0].Ways) != 4 || found[0].Ways[0].Why != "the meter has no such register" || found[0].Ways[3].Name != "address 0x2001" {
		t.Errorf("%+v", found)
	}
}

// The same box is made by pymodbus: as TCP it is configured as RTU, and the
// other way round.
func TestDoctorKnowsTheFraming(t *testing.T) {
	units := map[uint8]meterImage{1: imageOf(t, "eastron-sdm630", 18_342_000, 6000)}
	for _, c := range []struct{ framer, configured, want string }{
		{"socket", "rtuovertcp", "this box speaks Modbus TCP, and the configuration passes it serial (RTU) frames: write url: \"tcp://"},
		{"rtu", "tcp", "this box passes serial (RTU) frames through, and the configuration speaks Modbus TCP to it: write url: \"rtuovertcp://"},
		{"socket", "tcp", ""},
		{"rtu", "rtuovertcp", ""},
	} {
		t.Run(c.framer+" as "+c.configured, func(t *testing.T) {
			t.Parallel()
			address := pymodbusBox(t, c.framer, units, nil)
			x := &clinic{t: t, now: time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC), run: func(time.Time) {}}
			rows, found := x.prober(0).all(t.Context(), parsed(t, c.configured+"://"+address, "  - {id: m, bus: plant, unit: 1, template: eastron-sdm630}\n"))
			got := strings.Join(wrongs(found), "\n")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) || (rows[0].Error == "") != (c.want == "") {
				t.Errorf("%q, %+v", got, rows[0])
			}
		})
	}
}

// A simulated meter moves between the two readings; a bus that speaks by
// itself is named and not asked.
func TestProbeTwice(t *testing.T) {
	now := time.Date(2026, 3, 3, 12, 10, 0, 0, time.UTC)
	load := meter.NewLoad("shop", meter.Shop, now.AddDate(0, -1, 0), now.AddDate(0, 1, 0))
	x := &clinic{t: t, now: now, run: func(time.Time) {}}
	url := "tcp://" + ports.Address(t)
	s, err := meter.NewServer(url, func() time.Time { return x.now }, map[uint8]meter.Unit{1: {Serial: 77, Import: load.Register}}, meter.Faults{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	cfg := parsed(t, url, "  - {id: main, bus: plant, unit: 1, serial: \"78\", serial_register: {address: 0, type: uint32}, registers: {import: {address: 0x100, type: uint64, unit: Wh}}}\n")
	cfg.Buses = append(cfg.Buses, config.Bus{ID: "bms", Driver: "mqtt", Listening: &config.Listening{}})
	cfg.Meters = append(cfg.Meters, config.Meter{ID: "heard", Bus: "bms"})
	rows, found := x.prober(time.Minute).all(t.Context(), cfg)
	want := "+" + fmt.Sprintf("0.%03d kWh", load.Register(now.Add(time.Minute))-load.Register(now))
	if len(rows) != 1 || rows[0].Moved != want || rows[0].Apart != "1m0s" || rows[0].Serial != "77" || !strings.Contains(rows[0].Looks, "serial number is 77") {
		t.Errorf("%+v, want %s", rows, want)
	}
	if len(found) != 2 || found[1].Bus != "bms" || found[1].Wrong || !strings.Contains(found[1].Says, "speaks by itself") {
		t.Errorf("%+v", found)
	}
}
