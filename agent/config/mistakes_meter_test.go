package config

import (
	"strings"
	"testing"
)

// one is a meter's keys around what a case is about: lines 1 to 7.
func one(keys string) string {
	return head + "meters:\n  - id: m\n    bus: b\n    unit: 1\n    registers: {import: {address: 0, type: uint32, unit: kWh}}\n" + keys
}

// gasMeter is the same for gas.
func gasMeter(keys string) string {
	return head + "meters:\n  - id: m\n    bus: b\n    unit: 1\n    registers: {gas: {address: 0, type: uint32, unit: m3}}\n" + keys
}

var meterMistakes = []struct {
	name, file string
	want       []string
}{
	{"clock", "clock: {trust: allways}\nsite: {name: A}\n" + tail, []string{
		`f.yaml:1:16: clock: trust: unknown "allways": did you mean "always"?`}},
	{"trust out of place", "trust: always\nsite: {name: A}\n" + tail, []string{
		`f.yaml:1:1: unknown key "trust" in the configuration: it belongs under clock`}},
	{"transformers", one("    ct: \"5/200\"\n    vt: 11000\n    primary: yes\n"), []string{
		`f.yaml:8:9: meter m: ct "5/200": give primary and secondary amperes such as "200/5"`,
		`f.yaml:9:9: meter m: vt "11000": give primary and secondary volts such as "11000/110"`,
		`f.yaml:10:14: meter m: primary: "yes": write true or false`}},
	{"primary without transformers", one("    primary: true\n"), []string{
		`f.yaml:8:14: meter m: primary says that ct and vt are counted in already: give them, or leave primary out`}},
	{"rating", one("    rating: {amps: 0, volts: 12, phases: 2, kva: 0, qmx: 6}\n"), []string{
		`f.yaml:8:13: meter m: rating: qmax is of a gas meter: write amps or kva`,
		`f.yaml:8:20: meter m: rating: amps: 0 is out of range: 1 to 100000`,
		`f.yaml:8:30: meter m: rating: volts: 12 is out of range: 50 to 500000`,
		`f.yaml:8:42: meter m: rating: phases: 1 or 3`,
		`f.yaml:8:50: meter m: rating: kva: 0 is out of range: 0.1 to 1000000`,
		`f.yaml:8:53: unknown key "qmx" in meter m: rating: did you mean "qmax"?`}},
	{"rating too fine", one("    rating: {kva: 69.0001}\n"), []string{
		`f.yaml:8:19: meter m: rating: kva: 69.0001 has more decimals than are of use: round it to 0.001`}},
	{"rating empty", one("    rating: {}\n"), []string{
		`f.yaml:8:13: meter m: rating is empty: give amps, or kva, or qmax of a gas or water meter, or kw of a heat meter`}},
	{"rating elsewhere", one("    amps: 100\n"), []string{
		`f.yaml:8:5: unknown key "amps" in a meter: it belongs under rating`}},
	{"what only gas has", one("    mprn: 3938424403\n    corrected: true\n    rating: {qmax: 6}\n"), []string{
		`f.yaml:8:11: meter m: an MPRN is of a gas supply: leave mprn out`,
		`f.yaml:9:16: meter m: corrected is for gas meters with a converter: leave corrected out`,
		`f.yaml:10:13: meter m: rating: qmax is of a gas meter: write amps or kva`}},
	{"what only electricity has", gasMeter("    mpan: 2000027391990\n    ct: \"200/5\"\n    vt: \"11000/110\"\n    rating: {amps: 100}\n"), []string{
		`f.yaml:8:11: meter m: an MPAN is of an electricity supply: leave mpan out`,
		`f.yaml:9:9: meter m: a gas meter has no current transformers: leave ct out`,
		`f.yaml:10:9: meter m: a gas meter has no voltage transformers: leave vt out`,
		`f.yaml:11:13: meter m: rating: a gas meter is rated by its largest flow: write {qmax: 6} (m3/h)`}},
	{"check digits", one("    mpan: 2000027391991\n"), []string{
		`f.yaml:8:11: meter m: MPAN "2000027391991": the check digit is 1 and should be 0: a digit is mistyped`}},
	{"check digits of gas", gasMeter("    mprn: 3938424404\n"), []string{
		`f.yaml:8:11: meter m: MPRN "3938424404": the last two digits are 04 and should be 03: a digit is mistyped`}},
	{"serial_register", one("    serial_register: {table: coil, type: text, word: 4}\n"), []string{
		`f.yaml:8:22: meter m: serial_register: address is missing: write the protocol address, counted from 0`,
		`f.yaml:8:30: meter m: serial_register: table: unknown "coil": use holding or input`,
		`f.yaml:8:42: meter m: serial_register: type: unknown "text": use uint16, uint32, uint64, bcd or string`,
		`f.yaml:8:48: unknown key "word" in meter m: serial_register: did you mean "words"?`}},
	{"serial_register without a length", one("    serial_register: {address: 1, type: string}\n"), []string{
		`f.yaml:8:22: meter m: serial_register: words: 0: a string takes 1 to 32 registers: say how many`}},
	{"serial_register without a type", one("    serial_register: {address: 1}\n"), []string{
		`f.yaml:8:22: meter m: serial_register: type is missing: write uint16, uint32, uint64, bcd or string`}},
	{"pulses", head + `meters:
  - id: m
    bus: b
    unit: 1
    registers:
      import: {address: 1, type: uint32, unit: pulse}
      export: {address: 3, type: uint32, unit: pulse, pulse: 100 W}
      reactive-import: {address: 5, type: uint32, unit: varh, pulse: 1 varh}
      reactive-export: {address: 7, type: uint32, unit: pulse, pulse: 100 Wh}
`, []string{
		`f.yaml:8:15: meter m: import: unit pulse needs the weight of a pulse: write pulse: "100 Wh" or "1000/kWh", as the meter's label has it`,
		`f.yaml:9:15: meter m: export: pulse "100 W": write what one pulse stands for, such as "100 Wh" or "0.01 m3", or how many make one, such as "1000/kWh"`,
		`f.yaml:10:24: meter m: reactive-import: pulse "1 varh" is the weight of unit pulse, this register counts varh: leave it out, or write unit: pulse`,
		`f.yaml:11:24: meter m: reactive-export: pulse "100 Wh" does not measure reactive-export, which is counted in varh`}},
	{"invalid", head + `meters:
  - id: m
    bus: b
    unit: 1
    registers:
      import: {address: 1, type: uint32, unit: Wh, invalid: [0xFFFFFFFE, -1, x]}
      export: {address: 3, type: int16, unit: Wh, invalid: [-32769, 0x18000]}
      reactive-export: {address: 3, type: int16, unit: varh, invalid: [0x18000]}
`, []string{
		`f.yaml:8:74: meter m: import: invalid: "-1" is not a raw value of this register: write its bits, such as 0xFFFFFFFF`,
		`f.yaml:8:78: meter m: import: invalid: "x" is not a raw value of this register: write its bits, such as 0xFFFFFFFF`,
		`f.yaml:9:61: meter m: export: invalid: "-32769" is not a raw value of this register: write its bits, such as 0xFFFFFFFF`,
		`f.yaml:10:24: meter m: reactive-export: invalid 0x18000: this register has 16 bits`}},
	{"power", head + `meters:
  - id: m
    bus: b
    unit: 1
    max_gap: 20s
    registers:
      import: {address: 1, type: int32, unit: kW, modulus: 1000}
      export: {address: 1, type: int32, unit: W, scale: 0}
  - {id: n, bus: b, unit: 2, max_gap: 31m, registers: {import: {address: 1, type: int32, unit: kW}}}
  - {id: o, bus: b, unit: 3, max_gap: 5m, registers: {import: {address: 1, type: int32, unit: kWh}}}
  - {id: p, bus: b, unit: 4, max_gap: 15s, registers: {import: {address: 1, type: int32, unit: kW}}}
  - {id: q, bus: b, unit: 5, registers: {gas: {address: 1, type: int32, unit: kW}}}
`, []string{
		`f.yaml:9:60: meter m: import: modulus: a power does not count up and has none: leave it out`,
		`f.yaml:10:15: meter m: export: scale "0": use a decimal number such as 0.01, or -1 where the meter counts export as positive`,
		`f.yaml:11:39: meter n: max_gap 31m is longer than the period of 30m`,
		`f.yaml:12:39: meter o: max_gap is for registers of power: a gap in a total costs nothing: leave it out`,
		`f.yaml:13:39: meter p: max_gap 15s is less than two polls of 10s: one lost answer would cost a half-hour`,
		`f.yaml:14:47: meter q: gas: unit kW does not measure gas, which is counted in L`}},
	{"one power, two meters", head + `meters:
  - {id: m, bus: b, unit: 1, registers: {import: {address: 1, type: int32, unit: kW}, export: {address: 1, type: int32, unit: kW}}}
  - {id: n, bus: b, unit: 1, registers: {export: {address: 1, type: int32, unit: kW}}}
`, []string{
		`f.yaml:5:5: meter n: export at 0x0001 is already read as power of meter m: it would be counted twice`}},
	{"modulus", head + `meters:
  - {id: m, bus: b, unit: 1, registers: {import: {address: 1, type: uint64, unit: MWh, modulus: 4000000000000000000}}}
`, []string{
		`f.yaml:4:97: meter m: import: modulus 4000000000000000000 is beyond what a meter counts in its life: leave it out`}},
	{"exchanges", one(`    serial: C
    exchanges:
      - {at: yesterday, import: {closing: 1, opening: 0}}
      - {note: x, import: {closing: 1}}
      - {at: 2026-03-04T10:20Z}
      - {at: 2026-03-04T10:20Z, imprt: {closing: 1, opening: 0}, import: {closing: -1, openin: 5000000000}}
      - {at: 2026-03-04T10:20Z, export: {closing: 1, opening: 0}}
      - {at: 2026-03-05T10:20Z, import: {closing: 1, opening: 0}}
      - {at: 2026-03-05T11:20+01:00, new_serial: B, import: {closing: "1,5", opening: 2 kW}}
      - {at: 2026-03-05T11:20+01:00, new_serial: B, import: {closing: 1.5, opening: 0}, closing: 5}
      - {at: 2026-03-05T11:20+01:00, new_serial: B, import: {closing: 1.5, opening: 0}}
`), []string{
		`f.yaml:10:9: meter m: serial is C, but the last exchange put B in its place: which of them hangs there now?`,
		`f.yaml:10:14: meter m: exchange: at "yesterday" is not an instant: write 2026-03-04T10:20Z for UTC, or 2026-07-04T11:20+01:00 for a clock in summer time`,
		`f.yaml:11:9: meter m: exchange: at is missing: write when, such as 2026-03-04T10:20Z`,
		`f.yaml:11:27: meter m: exchange: import: opening is missing: write both readings, in kWh`,
		`f.yaml:12:9: meter m: exchange: no reading: write import: {closing: 12345.67, opening: 0.02}, as the two meters showed it`,
		`f.yaml:13:33: unknown key "imprt" in meter m: exchange: did you mean "import"?`,
		`f.yaml:13:84: meter m: exchange: import: closing: "-1" is not a reading: write it in kWh, such as 12345.67, or with its unit, such as 12345.67 kWh`,
		`f.yaml:13:88: unknown key "openin" in meter m: exchange: import: did you mean "opening"?`,
		`f.yaml:13:96: meter m: exchange: import: opening: 5000000000 is more than this register can show`,
		`f.yaml:14:41: meter m: exchange: export: meter m does not read export: leave it out`,
		`f.yaml:16:71: meter m: exchange: import: closing: "1,5" is not a reading: write it in kWh, such as 12345.67, or with its unit, such as 12345.67 kWh`,
		`f.yaml:16:87: meter m: exchange: import: opening: "2 kW" is not a reading: write it in kWh, such as 12345.67, or with its unit, such as 12345.67 kWh`,
		`f.yaml:17:89: unknown key "closing" in meter m: exchange: it belongs under exchanges, inside import or another measure`,
		`f.yaml:18:9: meter m: exchanges must stand in the order of time: this one is not after the one before it`}},
	{"exchange of a power", head + `meters:
  - id: m
    bus: b
    unit: 1
    registers: {import: {address: 1, type: int32, unit: kW}}
    exchanges: [{at: 2026-03-04T10:20Z, import: {closing: 1, opening: 0}}]
`, []string{
		`f.yaml:8:49: meter m: exchange: import: this is a power, which has no readings to close with: leave it out`}},
	{"validate", one(`    validate:
      V6: off
      V21: off
      V05: {energy: 50 m3}
      V06: {k: 8}
      V07: {energy: 0 kWh}
      V08: {percent: 0.05}
      V09: {class: 1, check_class: 0.25}
      V10: {k: 1}
      V11: {fine: 20m}
      V12: 5
      V16: {k: 0, weeks: 27}
      V20: {power_factor: 1.2}
`), []string{
		`f.yaml:9:7: meter m: validate: unknown rule "V6": did you mean "V06"?`,
		`f.yaml:10:7: meter m: validate: unknown rule "V21": use V01 to V20`,
		`f.yaml:11:21: meter m: validate: V05: energy: "50 m3" is not an amount of what the meter measures: write a number and its unit, such as 50 kWh`,
		`f.yaml:12:13: unknown key "k" in meter m: validate: V06: use half_hours`,
		`f.yaml:13:21: meter m: validate: V07: energy: "0 kWh" is not an amount of what the meter measures: write a number and its unit, such as 50 kWh`,
		`f.yaml:14:22: meter m: validate: V08: percent: 0.05 is out of range: 0.1 to 100`,
		`f.yaml:15:36: meter m: validate: V09: check_class: 0.25 has more decimals than are of use: round it to 0.1`,
		`f.yaml:16:12: meter m: validate: V10: nothing about this rule can be set: write on or off`,
		`f.yaml:17:12: meter m: validate: V11: fine must be less than lost (20s and 15m where one is not given)`,
		`f.yaml:18:12: meter m: validate: V12: "5": write on or off, or {old: ..}`,
		`f.yaml:19:16: meter m: validate: V16: k: 0 is out of range: 1 to 1000`,
		`f.yaml:19:26: meter m: validate: V16: weeks: 27 is out of range: 2 to 26`,
		`f.yaml:20:27: meter m: validate: V20: power_factor: 1.2 is out of range: 0.01 to 1`}},
	{"validate without a value", one("    validate: {V06: , V07: 1}\n"), []string{
		`f.yaml:8:16: meter m: validate: V06 has no value: write off, or leave the key out`,
		`f.yaml:8:28: meter m: validate: V07: "1": write on or off, or {energy: ..}`}},
	{"substitute", one("    substitute: [linear, check-meter, linear, shape]\n    substitute_after: 32d\n"), []string{
		`f.yaml:8:26: meter m: substitute: check-meter needs check_meter: name the meter that counts the same`,
		`f.yaml:8:39: meter m: substitute: linear is there twice`,
		`f.yaml:8:47: meter m: substitute: unknown "shape": use check-meter, linear or profile`,
		`f.yaml:9:23: meter m: substitute_after: 32d is out of range: 0s to 31d`}},
	{"substitute_after alone", one("    substitute_after: 1d\n"), []string{
		`f.yaml:8:23: meter m: substitute_after without substitute: say which methods are allowed: [check-meter, linear, profile]`}},
}

func TestMeterMistakes(t *testing.T) {
	for _, c := range meterMistakes {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(c.file))
			if err == nil {
				t.Fatal("taken as correct")
			}
			if got, want := err.Error(), strings.Join(c.want, "\n"); got != want {
				t.Errorf("said:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
