package config

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

const heard = `site: {name: A}
buses:
  - {id: bms, driver: mqtt, url: "mqtts://one:8883", backup: ["mqtts://two:8883"], format: udmi, user: me, password_file: pw, ca: ca.pem, stale: 5m}
  - {id: plc, driver: mqtt, url: "mqtt://plc", format: json}
  - {id: files, driver: dcc, url: "file:///var/lib/perseus-edge/drop", format: csv}
meters:
  - {id: ahu, bus: bms, device: AHU-1, serial: "77", rating: {kva: 100}, points: {import: {point: energy_total, unit: kWh, modulus: 1000000}}}
  - id: press
    bus: plc
    expect: 5m
    points:
      import: {topic: "plant/{device}/energy", value: "e.total", time: ts, time_format: unix_ms, quality: q, unit: MWh, scale: "0.1"}
      export: {topic: "plant/{device}/power", value: p, unit: kW, scale: "-1"}
  - {id: office, bus: files, measures: [import, export], mpan: "1200023305967"}
`

// A meter on a bus that speaks by itself: where its registers are in what is
// said, and what follows from units and ratings.
func TestHeard(t *testing.T) {
	c, err := Parse("f.yaml", []byte(heard))
	if err != nil {
		t.Fatal(err)
	}
	l := c.Buses[0].Listening
	if l.Format != "udmi" || len(l.URLs) != 2 || l.ClientID != "perseus-edge-bms" || l.Stale != 5*time.Minute || l.User != "me" {
		t.Errorf("%+v", l)
	}
	ahu := c.Meters[0]
	if r := ahu.Registers[0]; ahu.Device != "AHU-1" || r.Heard.Name != "energy_total" || r.Modulus != 1_000_000_000 || r.MaxPower != 200_000 || ahu.Poll != DefaultExpect {
		t.Errorf("%+v %+v", ahu, r)
	}
	press := c.Meters[1]
	if press.Device != "press" || press.Poll != 5*time.Minute || len(press.Registers) != 2 || press.Registers[0].Power || !press.Registers[1].Power || press.Registers[1].MaxGap == 0 {
		t.Errorf("%+v", press)
	}
	office := c.Meters[2]
	if ms := office.Measures(); office.Device != "1200023305967" || len(ms) != 2 || ms[1] != energy.Export || office.Poll != 3*Day || office.Registers[0].Heard == nil {
		t.Errorf("%+v", office)
	}
}

func TestHeardMistakes(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{"format: udmi", "format: udm", `f.yaml:3:92: bus bms: format: unknown "udm": did you mean "udmi"?`},
		{"user: me", "cert: c.pem", `f.yaml:3:5: bus bms: cert and key belong together: give both, or neither`},
		{"mqtts://one:8883", "http://one", `f.yaml:3:34: bus bms: url http://one: use mqtt://, mqtts://, ws:// or wss://`},
		{"file:///var", "http:///var", `f.yaml:5:35: bus files: url "http:///var/lib/perseus-edge/drop": write the folder as file:///var/lib/perseus-edge/drop`},
		{"device: AHU-1", "unit: 3", `f.yaml:7:31: meter ahu: unit is for meters that are asked over Modbus; on bus bms (mqtt) give device and points`},
		{"unit: kWh", "unit: kwh", `f.yaml:7:119: meter ahu: import: unknown unit "kwh": did you mean "kWh"?`},
		{"unit: kWh", "unit: m3", `meter ahu: import: `},
		{"points: {import: {point", "points: {imprt: {point", `meter ahu: unknown measure "imprt": did you mean "import"?`},
		{"measures: [import, export]", "device2: x", `meter`},
		{"measures: [import, export]", "measures: [import, import]", `meter office: measure import is there twice`},
		{", measures: [import, export]", "", `meter office: measures is missing: write measures: [import], [gas] and so on: what the feed brings of this meter`},
		{"rating: {kva: 100}", `ct: "200/5"`, `meter ahu: ct: what comes over mqtt is taken as primary values: use scale where it is not`},
	} {
		text := strings.Replace(heard, c.old, c.now, 1)
		if text == heard {
			t.Fatalf("%q is not there", c.old)
		}
		_, err := Parse("f.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.now, err, c.want)
		}
	}
}

// A feed of smart meters brings what the DCC has; a file may hold anything.
func TestMeasuresOfAFeed(t *testing.T) {
	file := func(format, measure string) string {
		return "site: {name: T}\nbuses: [{id: d, driver: dcc, url: \"" + map[bool]string{true: "file:///tmp/drop", false: "https://x"}[format == "csv"] + "\", format: " + format +
			", token_file: t}]\nmeters: [{id: m, bus: d, device: \"1200023305967\", measures: [" + measure + "]}]\n"
	}
	for _, measure := range []string{"heat", "water", "generation", "reactive-import"} {
		if _, err := Parse("x", []byte(file("n3rgy", measure))); err == nil || !strings.Contains(err.Error(), "measures: unknown \""+measure+"\": ") {
			t.Errorf("n3rgy, %s: %v", measure, err)
		}
		if _, err := Parse("x", []byte(strings.Replace(file("csv", measure), ", token_file: t", "", 1))); err != nil {
			t.Errorf("csv, %s: %v", measure, err)
		}
	}
	if _, err := Parse("x", []byte(file("n3rgy", "export"))); err != nil {
		t.Error(err)
	}
}
