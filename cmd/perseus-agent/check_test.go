package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// explained is what check says about a file with these meters.
func explained(t *testing.T, meters string) string {
	t.Helper()
	c, err := config.Parse("a.yaml", []byte("site: {name: A}\nbuses: [{id: b, driver: modbus, url: \"tcp://h\"}]\nmeters:\n"+meters))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	explain(&b, c)
	return b.String()
}

func TestCheckExplains(t *testing.T) {
	for _, c := range []struct {
		name, meters string
		want         []string
		not          []string
	}{
		{"a meter of unknown size", "  - {id: m, bus: b, unit: 1, registers: {import: {address: 0, type: uint32, unit: kWh}}}\n",
			[]string{"Read 1 meter at", "nothing is known of its size, so that readings are believed up to 10000 kW: write rating: {amps: 100}"}, []string{"Make further meters", "power only"}},
		{"a gas meter of unknown size", "  - {id: m, bus: b, unit: 1, registers: {gas: {address: 0, type: uint32, unit: m3}}}\n",
			[]string{"believed up to 10000 m3/h: write rating: {qmax: 6}"}, nil},
		{"a template", "  - {id: m, bus: b, unit: 1, template: eastron-sdm630}\n",
			[]string{"readings beyond what it can deliver, 91 kW, are not believed; more than 41.5 kWh in 30m", "its serial number is read each minute"}, []string{"nothing is known", "transformers"}},
		{"seldom", "  - {id: m, bus: b, unit: 1, poll: 5m, template: eastron-sdm120}\n",
			[]string{"it is asked so seldom", "every 2m or less is better"}, []string{"serial number"}},
		{"twice a limit is not seldom", "  - {id: m, bus: b, unit: 1, poll: 4m, template: eastron-sdm120}\n", nil, []string{"seldom"}},
		{"transformers", "  - {id: m, bus: b, unit: 1, template: eastron-sdm630-mct, ct: \"200/5\", vt: \"11000/110\"}\n",
			[]string{"; times 200/5 for its current transformers and 11000/110 for its voltage transformers\n"}, []string{"primary"}},
		{"primary values", "  - {id: m, bus: b, unit: 1, template: schneider-iem3255, ct: \"200/5\"}\n",
			[]string{"; not multiplied, as its values are primary ones: 200/5 for its current transformers are in them\n"}, []string{"; times"}},
		{"power and pulses", "  - {id: m, bus: b, unit: 1, max_gap: 1m, registers: {import: {address: 0, type: int32, unit: W}}}\n  - {id: n, bus: b, unit: 2, registers: {import: {address: 0, type: uint32, unit: pulse, pulse: 100 Wh}}}\n",
			[]string{"power only: half-hours are integrals of it, always marked as estimated, and missing where it is silent for more than 1m", "uint32, pulses of 100 Wh, 0 again at 429496729.600 kWh)"}, nil},
		{"what a count is", "  - {id: m, bus: b, unit: 1, registers: {import: {address: 0, type: uint32, unit: kWh, scale: 0.01, modulus: 10000}, export: {address: 2, type: uint64, unit: Wh}}}\n  - {id: p, bus: b, unit: 2, registers: {import: {address: 0, type: int32, unit: W, scale: -1}}}\n",
			[]string{"(holding 0x0000, uint32, kWh x 0.01, 0 again at 100.000 kWh)", "(holding 0x0002, uint64, Wh)", "(holding 0x0000, int32, W x -1)"}, nil},
		{"a power that is to be filled", "  - {id: m, bus: b, unit: 1, registers: {import: {address: 0, type: int32, unit: W}}, substitute: [linear, profile]}\n  - {id: n, bus: b, unit: 2, registers: {import: {address: 0, type: int32, unit: W}}, check_meter: m, substitute: [check-meter, profile]}\n",
			[]string{"nothing fills its missing half-hours: linear and profile need half-hours that are no estimates, and those of a power alone are", "missing half-hours are filled after 2d (check-meter), and marked as substituted"}, nil},
		{"the rest", `  - {id: m, bus: b, unit: 1, template: eastron-sdm630, mpan: 2000027391990, check_meter: n, validate: {V06: off, V16: off}, substitute: [linear, profile],
     exchanges: [{at: 2026-07-04T10:20Z, import: {closing: 1, opening: 0}}]}
  - {id: n, bus: b, unit: 2, template: eastron-sdm630, measures: [import]}
  - {id: g, bus: b, unit: 3, mprn: 3938424403, corrected: true, converted_from: 2026-07-01, registers: {gas: {address: 0, type: uint32, unit: m3}}}
  - {id: v, virtual: {sum: [m, n]}}
  - {id: w, virtual: {of: m, share: 35%, method: NumberOfOccupants}}
`, []string{"Read 3 meters at", "MPAN 2000027391990: its check digit is right", "compared with meter n (V09)", "not checked for V06, V16", "filled after 2d (linear, then profile), and marked as substituted",
			"exchanged at 11:20 BST on 4 July 2026", "MPRN 3938424403: its check digits are right", "at standard conditions: no volume correction is due, from 05:00 on 1 July 2026 on",
			"Make further meters out of them:\n    v, import: the sum of m and n\n    w, import, export: a share of m by NumberOfOccupants: 35%\n"}, nil},
	} {
		got := explained(t, c.meters)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is not in:\n%s", c.name, want, got)
			}
		}
		for _, no := range c.not {
			if strings.Contains(got, no) {
				t.Errorf("%s: %q is in:\n%s", c.name, no, got)
			}
		}
	}
}

func TestCheckSaysWhoseTimeItIs(t *testing.T) {
	const one = "  - {id: m, bus: b, unit: 1, registers: {import: {address: 0, type: uint32, unit: kWh}}}\n"
	for trust, want := range map[string]string{
		"": "", "clock: {trust: auto}\n": "", "clock: {trust: always}\n": "whatever it says", "clock: {trust: synchronised}\n": "only while a time server answers for it",
	} {
		got := explained(t, one+trust)
		if want == "" && strings.Contains(got, "Take the time") || !strings.Contains(got, want) {
			t.Errorf("%q: %q is not in:\n%s", trust, want, got)
		}
	}
}

func TestProbeOfAVirtualMeter(t *testing.T) {
	code, _, errs := cli(t, "probe", "--config", "../../configs/examples/tenants.yaml", "--meter", "office-2")
	if code != usage || !strings.Contains(errs, "office-2 is on no bus: it is a share of landlord by AreaOccupied: 0.25; probe those") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestTemplatesShowTheSerialNumber(t *testing.T) {
	if code, out, errs := cli(t, "templates", "eastron-sdm630"); code != done || !strings.Contains(out, "serial number    0xfc00   holding  uint32") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if code, out, _ := cli(t, "templates", "--format", "json", "eastron-sdm630"); code != done || !strings.Contains(out, `"serialRegister": {`) {
		t.Errorf("exit %d: %s", code, out)
	}
}

// A file that a bus needs and that is not there is named before the agent
// fails to start for it.
func TestCheckNamesFilesThatCannotBeRead(t *testing.T) {
	there := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(there, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("a.yaml", []byte(`site: {name: A}
buses: [{id: bms, driver: mqtt, url: "mqtts://h", format: udmi, user: edge, password_file: "`+filepath.ToSlash(there)+`", ca: /nowhere/ca.pem}]
meters: [{id: m, bus: bms, device: d, points: {import: {point: p, unit: kWh}}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	explain(&b, c)
	if out := b.String(); !strings.Contains(out, "its ca cannot be read here and now, and without it the agent does not start: open") || strings.Contains(out, "password_file") || strings.Contains(out, "secret") {
		t.Error(out)
	}
}
