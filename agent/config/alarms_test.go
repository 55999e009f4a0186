package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

func TestAlarms(t *testing.T) {
	m := parsed(t, one(`    alarms:
      - {table: discrete, address: 4, means: phase loss, severity: invalid}
      - {table: coil, address: 0x10, when: 0, means: "seal intact, else open", severity: note}
      - {table: input, address: 300, bit: 15, when: 1, means: CT open, severity: invalid}
`)).Meters[0]
	want := []Alarm{
		{modbus.Alarm{Table: "discrete", Address: 4, Invalid: true}, "phase loss"},
		{modbus.Alarm{Table: "coil", Address: 16, Clear: true}, "seal intact, else open"},
		{modbus.Alarm{Table: "input", Address: 300, Bit: 15, Invalid: true}, "CT open"},
	}
	if !reflect.DeepEqual(m.Alarms, want) || m.Alarms[0].Severity() != "invalid" || m.Alarms[1].Severity() != "note" {
		t.Errorf("%+v", m.Alarms)
	}
	for file, want := range map[string]string{
		"    alarms: {table: coil}\n":                                                                                                       "f.yaml:8:13: meter m: alarms must be a list",
		"    alarms: [{table: coils, address: 1, means: x, severity: note}]\n":                                                              `f.yaml:8:22: meter m: alarm: table: unknown "coils": did you mean "coil"?`,
		"    alarms: [{address: 1, means: x, severity: note}]\n":                                                                            `f.yaml:8:14: meter m: alarm: table is missing`,
		"    alarms: [{table: coil, means: x, severity: note}]\n":                                                                           `f.yaml:8:14: meter m: alarm: address is missing`,
		"    alarms: [{table: coil, address: 1, bit: 0, means: x, severity: note}]\n":                                                       `f.yaml:8:45: meter m: alarm: bit: a coil is a single bit: leave it out`,
		"    alarms: [{table: holding, address: 1, means: x, severity: note}]\n":                                                            `f.yaml:8:14: meter m: alarm: bit is missing`,
		"    alarms: [{table: input, address: 1, bit: 16, means: x, severity: note}]\n":                                                     `f.yaml:8:46: meter m: alarm: bit: 16 is out of range: 0 to 15`,
		"    alarms: [{table: coil, address: 1, when: on, means: x, severity: note}]\n":                                                     `f.yaml:8:46: meter m: alarm: when: unknown "on": use 0 or 1`,
		"    alarms: [{table: coil, address: 1, severity: note}]\n":                                                                         `f.yaml:8:14: meter m: alarm: means is missing`,
		"    alarms: [{table: coil, address: 1, means: \" \", severity: note}]\n":                                                           `means must have 1 to 100 characters`,
		"    alarms: [{table: coil, address: 1, means: x}]\n":                                                                               `f.yaml:8:14: meter m: alarm: severity is missing`,
		"    alarms: [{table: coil, address: 1, means: x, severity: bad}]\n":                                                                `f.yaml:8:60: meter m: alarm: severity: unknown "bad": use invalid or note`,
		"    alarms: [{table: coil, address: 1, means: x, severity: note, level: 3}]\n":                                                     `unknown key "level"`,
		"    alarms: [{table: coil, address: 1, means: x, severity: note}, {table: coil, address: 1, when: 0, means: y, severity: note}]\n": `alarm "y": its bit is that of alarm "x"`,
		"    alarms: [" + strings.Repeat("{table: coil, address: 1, means: x, severity: note}, ", 65) + "]\n":                               "65 of them: at most 64",
	} {
		_, err := Parse("f.yaml", []byte(one(file)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
	for _, file := range []string{
		"site: {name: T}\nbuses: [{id: b, driver: mqtt, url: \"mqtt://x\", format: udmi}]\nmeters: [{id: m, bus: b, device: d, points: {import: {point: e, unit: kWh}}, alarms: []}]\n",
		head + "meters: [{id: v, virtual: {sum: [m]}, alarms: []}, {id: m, bus: b, unit: 1, registers: {import: {address: 1, type: uint32, unit: Wh}}}]\n",
	} {
		if _, err := Parse("f.yaml", []byte(file)); err == nil || !strings.Contains(err.Error(), "alarms") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
