package config

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The Saia Burgess PCD7.H104D data sheet: R28 is 13, R29 is 60383, together
// 912351 pulses, which at 2000/kWh are 456.2 kWh.
func TestAPulseInputReadsWhatWasPublished(t *testing.T) {
	d := image{"holding", map[uint16]uint16{27: 13, 28: 60383, 31: 0, 32: 250}}
	url := serve(t, d)
	m := parsed(t, head+`meters:
  - {id: a, bus: b, unit: 1, template: saia-pcd7-h104d, input: 1, pulse: 2000/kWh}
  - {id: g, bus: b, unit: 1, template: saia-pcd7-h104d, input: 3, pulse: 0.01 m3}
`).Meters
	for i, want := range map[int]struct {
		measure string
		value   int64
	}{0: {"import", 456175}, 1: {"gas", 2500}} {
		x := Template{Name: m[i].ID, Registers: m[i].Registers}
		readImage(t, "the data sheet", url, x, map[string]int64{want.measure: want.value}, "")
	}
}

func TestWhatAPulseInputMeasures(t *testing.T) {
	for keys, want := range map[string]energy.Measure{
		"pulse: 0.1 m3":                               energy.Gas,
		"pulse: 1 ft3":                                energy.Gas,
		"pulse: 10 L, measures: [water]":              energy.Water,
		"pulse: 0.5 MWh, measures: [heat]":            energy.Heat,
		"pulse: 1000/kWh":                             energy.Import,
		"pulse: 100 Wh, measures: [export]":           energy.Export,
		"pulse: 10 varh":                              energy.ReactiveImport,
		"pulse: 10 varh, measures: [reactive-export]": energy.ReactiveExport,
	} {
		m := parsed(t, head+"meters: [{id: m, bus: b, unit: 1, template: wiren-board-wb-mcm16, input: 16, "+keys+"}]\n").Meters[0]
		if r := m.Registers[0]; len(m.Registers) != 1 || r.Measure != want || r.Address != 20+4*15 || r.Table != "input" || r.Type != "uint64" {
			t.Errorf("%s: %+v", keys, m.Registers)
		}
	}
}

func TestMistakesWithPulseInputs(t *testing.T) {
	for meter, want := range map[string]string{
		"template: saia-pcd7-h104d, pulse: 0.1 m3":                                     "meter m: saia-pcd7-h104d has 4 inputs: give input (1 to 4) and pulse",
		"template: saia-pcd7-h104d, input: 1":                                          "meter m: saia-pcd7-h104d has 4 inputs: give input (1 to 4) and pulse",
		"template: saia-pcd7-h104d, input: 5, pulse: 0.1 m3":                           "meter m: input",
		"template: saia-pcd7-h104d, input: 1, pulse: 100 W":                            `meter m: pulse "100 W": write what one pulse stands for`,
		"template: saia-pcd7-h104d, input: 1, pulse: 1 Wh, measures: [gas]":            `meter m: pulse "1 Wh" does not measure gas`,
		"template: saia-pcd7-h104d, input: 1, pulse: 1 Wh, measures: [import, export]": "meter m: measures: one input counts one measure",
		"template: eastron-sdm120, input: 1":                                           "meter m: input is for a module with pulse inputs, and eastron-sdm120 is none: leave it out",
		"registers: {gas: {address: 1, type: uint32, unit: m3}}, pulse: 1 m3":          "meter m: pulse is for a template of a module with pulse inputs: leave it out",
		"template: saia-pcd7-h104d, input: 1, pulse: 0.1 m3, ct: 200/5":                "a gas meter has no current transformers",
	} {
		_, err := Parse("f.yaml", []byte(head+"meters: [{id: m, bus: b, unit: 1, "+meter+"}]\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", meter, err, want)
		}
	}
	twice := head + "meters:\n  - {id: m, bus: b, unit: 1, template: saia-pcd7-h104d, input: 1, pulse: 1 Wh}\n  - {id: n, bus: b, unit: 1, template: saia-pcd7-h104d, input: 1, pulse: 0.1 m3}\n"
	if _, err := Parse("f.yaml", []byte(twice)); err == nil || !strings.Contains(err.Error(), "it would be counted twice") {
		t.Errorf("one input for two meters: %v", err)
	}
}

func TestMistakesInATemplateWithInputs(t *testing.T) {
	const good = "title: A module\nmaker: A\nsource: [{reader: x}]\nchecked: reader\ninputs: 4\ncounter: {address: 27, type: uint32}\n"
	if _, err := parseTemplate("a.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"counter: {address: 27, type: uint32}\n", "", "a template with inputs needs counter"},
		{"inputs: 4", "inputs: 0", "inputs"},
		{"type: uint32", "type: string, words: 2", `counter: type "string"`},
		{"address: 27", "address: 0xFFFC", "counter: 4 of them do not fit"},
		{"inputs: 4", "inputs: 4\nphases: 3", "phases is of a meter, and a template with inputs is a module: leave it out"},
		{"inputs: 4", "inputs: 4\nregisters: {}", "registers is of a meter"},
	} {
		if _, err := parseTemplate("a.yaml", []byte(strings.Replace(good, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.new, err, c.want)
		}
	}
}
