package integration

import (
	"context"
	"encoding/csv"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
)

// siteYAML has a bus of every kind that perseus-sim plays; where they are is
// the simulator's to say. What is on each wire is polled twice a second: half a
// minute of the rehearsal.
const siteYAML = `site: {name: "Every kind"}
buses:
  - {id: gateway, driver: modbus, url: "tcp://10.0.0.5:502", timeout: 300ms}
  - {id: converter, driver: modbus, url: "rtuovertcp://10.0.0.6:4196", timeout: 300ms}
  - {id: radio, driver: modbus, url: "udp://10.0.0.7", timeout: 300ms}
%s
  - {id: udmi, driver: mqtt, format: udmi, url: "mqtts://broker.local:8883"}
  - {id: sparkplug, driver: mqtt, format: sparkplug, url: "mqtt://broker.local"}
  - {id: json, driver: mqtt, format: json, url: "mqtt://broker.local", user: bms, password_file: secret}
  - {id: bacnet, driver: mqtt, format: bacnet-mqtt-gateway, url: "mqtt://broker.local"}
  - {id: bitpool, driver: mqtt, format: bitpool, url: "mqtt://broker.local"}
  - {id: thingsboard, driver: mqtt, format: thingsboard, url: "mqtt://broker.local"}
  - {id: siemens, driver: mqtt, format: siemens, url: "mqtt://broker.local"}
  - {id: niagara, driver: mqtt, format: niagara, url: "mqtt://broker.local"}
  - {id: homeassistant, driver: mqtt, format: homeassistant, url: "mqtt://broker.local"}
  - {id: glow, driver: dcc, format: glow, url: "mqtt://broker.local"}
  - {id: n3rgy, driver: dcc, format: n3rgy, url: "https://api-v2.data.n3rgy.com", token_file: key}
  - {id: n3rgy-1, driver: dcc, format: n3rgy, url: "https://api.data.n3rgy.com?version=1", token_file: key}
  - {id: glowmarkt, driver: dcc, format: glowmarkt, url: "https://api.glowmarkt.com/api/v0-1", user: me, password_file: secret}
  - {id: files, driver: dcc, format: csv, url: "file:///var/lib/perseus-edge/drop"}
meters:
  - {id: tcp-float, bus: gateway, unit: 1, template: eastron-sdm630, poll: 500ms}
  - {id: tcp-int64, bus: gateway, unit: 2, template: schneider-iem3155, poll: 500ms}
  - {id: tcp-swapped, bus: gateway, unit: 3, template: carlo-gavazzi-em24-e1, poll: 500ms}
  - {id: line-abb, bus: converter, unit: 4, template: abb-b23, poll: 500ms}
  - {id: line-pulses, bus: converter, unit: 5, template: moxa-iologik-e1210, input: 3, pulse: 1 Wh, poll: 500ms}
  - {id: udp-exchanged, bus: radio, unit: 6, template: eastron-sdm630, poll: 500ms}
%s
  - {id: bms-udmi, bus: udmi, device: EM-1, points: {import: {point: energy_sensor, unit: kWh}}}
  - {id: bms-sparkplug, bus: sparkplug, device: Plant/Gateway/EM-1, points: {import: {point: Energy/Import, unit: kWh}, export: {point: Energy/Export, unit: kWh}}}
  - {id: bms-json, bus: json, device: em-1, points: {import: {topic: "site/{device}/energy", each: "readings[Name=main]", value: kwh, time: at, time_format: unix, quality: status, unit: kWh}}}
  - {id: bms-bacnet, bus: bacnet, device: gw1/114, points: {import: {point: "23_202", unit: kWh, scale: "0.01"}}}
  - {id: bms-bitpool, bus: bitpool, device: BITPOOL_BACNET_GATEWAY/Meters, points: {import: {point: Main_kWh_AI_3, unit: kWh}}}
  - {id: bms-thingsboard, bus: thingsboard, device: Main meter, points: {import: {point: kwh, unit: kWh}}}
  - {id: bms-siemens, bus: siemens, points: {import: {point: E_Main, topic: plant/cc7, unit: kWh}}}
  - {id: bms-niagara, bus: niagara, points: {import: {point: MainEnergy, topic: niagara/out}}}
  - {id: bms-homeassistant, bus: homeassistant, points: {import: {point: main_energy}}}
  - {id: dcc-glow, bus: glow, mpan: "2000000000006", measures: [import, export]}
  - {id: dcc-glow-gas, bus: glow, mprn: "7000000001", measures: [gas]}
  - {id: dcc-n3rgy, bus: n3rgy, mpan: "2000000000006", measures: [import, export]}
  - {id: dcc-n3rgy-gas, bus: n3rgy-1, mprn: "7000000001", measures: [gas]}
  - {id: dcc-glowmarkt, bus: glowmarkt, device: DCC Sourced, measures: [import]}
  - {id: dcc-files, bus: files, mpan: "2000000000006", measures: [import, export]}
`

// siteFaults are played by whom they suit: a quarter of all that is said is
// wrong, and things happen to devices and wires.
var siteFaults = []string{
	"late=2%,lost=2%,zero=2%,nan=2%,repeat=2%,swap=2%,foreign=2%,split=2%,short=1%,busy=1%,1970=2%,checksum=2%,stale=2%",
	"gateway:disconnect@22m+3m", "converter:rollover@50m", "radio:exchange@40m", "udmi:freeze@35m+10m,retained=2h", "sparkplug:restart@38m+6m",
	"json:disconnect@22m+3m", "bacnet:restart@70m+6m", "bitpool:exchange@40m", "glow:restart@38m+4m",
}

// The agent records a site of every kind that misbehaves as sites do, and each
// half-hour that it gives is what the meters counted.
func TestSiteWithFaultsGivesNoWrongHalfHour(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program(t, "perseus-sim") // built before the clock starts
	const speed = 60
	// A morning of its own: were it the one before now, what the meters count
	// (a sun that sets at a boundary) would be another at each hour of the day.
	end := time.Date(2026, 6, 17, 10, 0, 0, 0, time.UTC)
	clock, err := rehearsal.New(time.Now(), end.Add(-93*time.Minute), speed)
	if err != nil {
		t.Fatal(err)
	}
	serialBus, serialMeter := "", ""
	faults := siteFaults
	if serialPorts {
		serialBus = `  - {id: line, driver: modbus, url: "rtu:///dev/ttyUSB0?baud=9600", timeout: 300ms}`
		serialMeter = `  - {id: port-float, bus: line, unit: 7, template: eastron-sdm230, poll: 500ms}`
		faults = append(faults, "line:disconnect@48m+3m")
	}
	source := writeFile(t, dir, "site.yaml", fmt.Sprintf(siteYAML, serialBus, serialMeter))
	truth := filepath.Join(dir, "truth.csv")
	base, err := ports.Row(30)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"site", "--config", source, "--dir", filepath.Join(dir, "played"), "--port-base", strconv.Itoa(base), "--truth", truth, "--every", "500ms", "--rehearse", clock.String(), "--seed", "7"}
	for _, f := range faults {
		args = append(args, "--fault", f)
	}
	sim := start(t, "the site", "perseus-sim", args...)
	file := filepath.Join(dir, "played", "agent.yaml")
	until(t, time.Minute, "the site is played", []*process{sim}, func() error {
		if !strings.Contains(sim.log.String(), "the agent's configuration") {
			return fmt.Errorf("it has not said so")
		}
		return nil
	})
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	s, report, err := store.Open(cfg.Store.Path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	log := &tail{}
	a, err := agent.New(agent.Options{Config: cfg, Store: s, Opened: report, Now: clock.Now, Wall: time.Now, Logger: slog.New(record.Handler(t, slog.NewTextHandler(log, nil)))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	until(t, 5*time.Minute, "the rehearsal has come to "+end.Format(time.TimeOnly), []*process{sim}, func() error {
		if now := clock.Now(); now.Before(end.Add(3 * time.Minute)) {
			return fmt.Errorf("it is at %s", now.Format(time.TimeOnly))
		}
		return nil
	})
	cancel()
	if err := <-ran; err != nil {
		t.Fatalf("the agent's run: %v", err)
	}
	if err := sim.stop(); err != nil {
		t.Errorf("the site: %v\n%s", err, sim.log.last(20))
	}
	t.Logf("%s", playedOf(sim.log.String()))
	for line := range strings.SplitSeq(log.String(), "\n") {
		if strings.Contains(line, "answer") && strings.Contains(line, "meter") && (!strings.Contains(line, " meter=") || !strings.Contains(line, " bus=")) {
			t.Errorf("a line of the log does not say which meter on which bus: %s", line)
		}
	}
	compareSite(t, cfg, s, readTruth(t, truth), log.String())
}

func playedOf(log string) string {
	var out []string
	for line := range strings.SplitSeq(log, "\n") {
		if strings.Contains(line, " played: ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// truths are what the simulator's meters counted, by register and start.
type truths map[energy.Key]map[time.Time]int64

func readTruth(t *testing.T, path string) truths {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := truths{}
	for _, row := range rows[1:] {
		m, err1 := energy.ParseMeasure(row[1])
		at, err2 := time.Parse(time.RFC3339, row[2])
		wh, err3 := strconv.ParseInt(row[5], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatalf("truth: %v", row)
		}
		k := energy.Key{Meter: row[0], Measure: m}
		if out[k] == nil {
			out[k] = map[time.Time]int64{}
		}
		out[k][at] = wh
	}
	return out
}

// compareSite holds each half-hour against the truth. A register is read in
// steps and at moments: what flowed around a boundary, and two of its steps,
// may be on either side of it. Of the log it shows what is about a meter that
// is wrong, before it says what is wrong.
func compareSite(t *testing.T, cfg *config.Config, s *store.Store, want truths, log string) {
	t.Helper()
	registers, silent := 0, 0
	for _, m := range cfg.Meters {
		var wrong []string
		for _, r := range m.Registers {
			k := energy.Key{Meter: m.ID, Measure: r.Measure}
			compared, measured, worst := 0, 0, int64(0)
			for h, err := range s.HalfHours(k, time.Time{}, time.Now()) {
				if err != nil {
					t.Fatal(err)
				}
				truth, known := want[k][h.Start]
				if !known || h.Quality == energy.Missing {
					continue
				}
				compared++
				if h.Quality == energy.Measured {
					measured++
				}
				off, allowed := h.Energy-truth, tolerance(h, r, want[k])
				if off < 0 {
					off = -off
				}
				if worst = max(worst, off); off > allowed {
					wrong = append(wrong, fmt.Sprintf("%s %s: %d %s, the meter counted %d (%s, rule %d, %d allowed): %+v", k, h.Start.Format(time.DateTime), h.Energy, r.Measure.BaseUnit(), truth, h.Quality, h.Evidence.Rule, allowed, h))
				}
			}
			t.Logf("%s: %d of %d half-hours, %d measured, at most %d %s off", k, compared, len(want[k]), measured, worst, r.Measure.BaseUnit())
			if registers++; compared == 0 {
				silent++
			}
		}
		if len(wrong) > 0 {
			t.Logf("%s", linesOf(log, "meter="+m.ID+" ", 12))
			t.Error(strings.Join(wrong, "\n"))
		}
	}
	// What is not known is not wrong. On a machine that is busy with other tests
	// a meter may miss its boundaries; but not many do.
	if silent*4 > registers {
		t.Errorf("%d of %d registers have no half-hour at all", silent, registers)
	}
}

// linesOf gives the last lines of a log that have a word.
func linesOf(log, word string, most int) string {
	var out []string
	for line := range strings.SplitSeq(log, "\n") {
		if strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return strings.Join(out[max(len(out)-most, 0):], "\n")
}

// tolerance is how far off a half-hour may be, in base units: nothing for a
// feed of half-hours.
func tolerance(h energy.HalfHour, r config.Register, truth map[time.Time]int64) int64 {
	if h.Evidence.Rule == energy.RuleInterval {
		return 0
	}
	const near = 4 * time.Minute // of the rehearsal: 4 s of life, in which a busy machine may date a reading
	power := max(truth[h.Start], truth[h.Start.Add(-energy.Period)], truth[h.Start.Add(energy.Period)])
	return 2*power*int64(near)/int64(energy.Period) + 2*stepOf(r, h.Cumulative)
}

func stepOf(r config.Register, at int64) int64 {
	if r.Heard != nil {
		return 10 // 0.01 kWh, of the accumulator
	}
	return r.StepAt(max(at, 0))
}
