package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
)

// head is a site and a bus, for cases that are about meters: lines 1 and 2.
const head = "site: {name: A}\nbuses: [{id: b, driver: modbus, url: \"tcp://h\"}]\n"

// tail is a bus and a meter, for cases that are about the rest.
const tail = "buses: [{id: b, driver: modbus, url: \"tcp://h\"}]\nmeters: [{id: m, bus: b, unit: 1, template: eastron-sdm120}]\n"

// mistakes are files and the whole of what is said about them.
var mistakes = []struct {
	name, file string
	want       []string
}{
	{"empty", "", []string{
		"f.yaml: the file is empty: see the examples that came with the program"}},
	{"not YAML", "site: {name: A\n", []string{
		`f.yaml:1:7: not valid YAML: could not find flow mapping end token '}'`}},
	{"not a mapping", "- a\n- b\n", []string{
		"f.yaml:1:3: the configuration must be keys and values (key: value), not a list",
		"f.yaml:1:3: site is missing: write site: {name: \"...\", outcode: SW8}",
		"f.yaml:1:3: buses is missing: say which wires to read",
		"f.yaml:1:3: meters is missing: say which meters to read"}},
	{"not text", "site: {name: \"\xff\"}\n", []string{
		"f.yaml: not UTF-8 text: save the file as UTF-8"}},
	{"several mistakes at once, in the order of lines", `site: {name: A, outcode: "SW8 2LX"}
perod: 30m
store: {pth: /x, keep_samples: 8w}
web: {listen: 8480}
buses:
  - {id: b, driver: modbus, url: "tcp://h"}
meters:
  - {id: m, bus: b, unit: 1, template: eastron-sdm120, poll: 20m}
`, []string{
		`f.yaml:1:26: site: outcode "SW8 2LX": give the first half of the postcode only, such as SW8 or CF99`,
		`f.yaml:2:1: unknown key "perod" in the configuration: did you mean "period"?`,
		`f.yaml:3:9: unknown key "pth" in store: did you mean "path"?`,
		`f.yaml:3:32: keep_samples: "8w" is not a duration: write 50ms, 10s, 30m, 12h or 400d`,
		`f.yaml:4:15: web: listen "8480": write host:port such as "127.0.0.1:8480"`,
		`f.yaml:8:62: meter m: poll: 20m is out of range: 10ms to 15m`}},
	{"duplicate keys", "site: {name: A, name: B}\n" + tail + "period: 30m\nperiod: 15m\n", []string{
		`f.yaml:1:17: "name" is in site twice: it is already in line 1`,
		`f.yaml:5:1: "period" is in the configuration twice: it is already in line 4`}},
	{"a key without a value", "site: {name: A}\nperiod:\n" + tail, []string{
		`f.yaml:2:1: period has no value: give one or leave the key out`}},
	{"no key is near", "site: {name: A}\nqwertyuiop: 1\n" + tail, []string{
		`f.yaml:2:1: unknown key "qwertyuiop" in the configuration: use site, period, store, web, uplink, clock, gas, buses or meters`}},
	{"keys of another level", `site: {name: A, perod: 30m}
listen: 127.0.0.1:1
url: "https://r"
buses: [{id: b, driver: modbus, url: "tcp://h", keep_samples: 1d}]
meters:
  - id: m
    bus: b
    unit: 1
    adress: 1
    imprt: {}
    order: ABCD
    template: eastron-sdm120
  - id: n
    bus: b
    unit: 2
    registers: {address: 1, type: uint32, polls: 1s}
  - id: o
    bus: b
    unit: 3
    registers: {import: {address: 1, type: uint32, unit: Wh, templte: x, gas: {}}}
`, []string{
		`f.yaml:1:17: unknown key "perod" in site: did you mean "period"? It belongs at the top level of the file`,
		`f.yaml:2:1: unknown key "listen" in the configuration: it belongs under web`,
		`f.yaml:3:1: unknown key "url" in the configuration: it belongs under uplink or in a bus`,
		`f.yaml:4:49: unknown key "keep_samples" in a bus: use id, driver, url, timeout, pause, single_client, format, backup, client_id, user, password_file, token_file, ca, cert, key, stale or silent`,
		`f.yaml:9:5: unknown key "adress" in a meter: did you mean "address"? It belongs under registers, inside import or another measure`,
		`f.yaml:10:5: unknown key "imprt" in a meter: did you mean "import"? It belongs under registers`,
		`f.yaml:11:5: unknown key "order" in a meter: it belongs under registers, inside import or another measure`,
		`f.yaml:16:17: meter n: unknown measure "address": it belongs under registers, inside import or another measure`,
		`f.yaml:16:29: meter n: unknown measure "type": it belongs under registers, inside import or another measure`,
		`f.yaml:16:43: meter n: unknown measure "polls": did you mean "poll"? It belongs in a meter`,
		`f.yaml:20:62: unknown key "templte" in meter o: import: did you mean "template"? It belongs in a meter`,
		`f.yaml:20:74: unknown key "gas" in meter o: import: it belongs under registers`}},
	{"period", "site: {name: A}\nperiod: 7m\n" + tail, []string{
		`f.yaml:2:9: period: 7m does not divide 24h: use 30m`}},
	{"uplink with another period", "site: {name: A, outcode: SW8}\nperiod: 15m\nuplink: {url: \"https://r\"}\n" + tail, []string{
		`f.yaml:2:9: period: the uplink carries 30m only: leave period out, or uplink`}},
	{"uplink without an outcode", "site: {name: A}\nuplink: {url: \"https://r\"}\n" + tail, []string{
		`f.yaml:1:7: site: an uplink needs the outcode, the first half of the postcode, such as {name: ..., outcode: SW8}`}},
	{"uplink not https", "site: {name: A, outcode: SW8}\nuplink: {url: \"http://r\"}\n" + tail, []string{
		`f.yaml:2:15: uplink: url "http://r": write https://host or https://host:port`}},
	{"a token", "site: {name: A, outcode: SW8}\nuplink: {key_store: \"pkcs11:tokn=x?pin-source=/p\"}\n" + tail, []string{
		`f.yaml:2:21: uplink: key_store "pkcs11:...": "tokn" is not known: use token=, serial=, then ? and module-path=, pin-source= with & between them`,
	}},
	{"enrolment", "site: {name: A, outcode: SW8}\nuplink: {directory: \"http://d\", key_store: usb}\nweb: {enroll: wan, names: [\"http://x\"]}\n" + tail, []string{
		`f.yaml:2:21: uplink: directory "http://d": write https://host or https://host:port`,
		`f.yaml:2:44: uplink: key_store "usb": use auto, file, tpm or pkcs11`,
		`f.yaml:3:15: web: enroll: unknown "wan": did you mean "lan"?`,
		`f.yaml:3:28: web: names: "http://x": write a host name such as gateway.example.org`}},
	{"buses", `site: {name: A}
buses:
  - {id: a b, driver: modbus, url: "tcp://h"}
  - {id: c, driver: modbs, url: "tpc://h2"}
  - {id: d, driver: mqtt, url: "mqtts://h", format: udm, timeout: 1s}
  - {id: e, driver: modbus, url: "rtu:///dev/ttyUSB0?baud=9601"}
  - {id: f, driver: modbus, url: "tcp://H:502"}
  - {id: f, driver: modbus, url: "tcp://g", timeout: 1h}
  - {id: g, url: "tcp://i", pause: x, format: json}
  - {id: h, driver: modbus, url: "rtu:///dev/ttyUSB1?baud=9600", single_client: true}
  - {id: i, driver: mqtt, url: "mqtts://h", format: udmi, single_client: true}
meters: [{id: m, bus: f, unit: 1, template: eastron-sdm120}]
`, []string{
		`f.yaml:3:10: bus: id "a b": use 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first`,
		`f.yaml:4:21: bus c: driver: unknown "modbs": did you mean "modbus"?`,
		`f.yaml:4:33: bus c: bus url "tpc://h2": use tcp://host:port, udp://host:port, tls://host:port?ca=..&cert=..&key=.., rtuovertcp://host:port or rtu:///dev/serial/by-id/..?baud=9600`,
		`f.yaml:5:53: bus d: format: unknown "udm": did you mean "udmi"?`,
		`f.yaml:5:67: bus d: timeout is for buses whose meters are asked: leave it out`,
		`f.yaml:6:34: bus e: bus url "rtu:///dev/ttyUSB0?baud=9601": baud "9601": use one of 300 600 1200 2400 4800 9600 19200 38400 57600 115200 230400`,
		`f.yaml:7:34: bus f: tcp://H:502 is already the url of bus a b: one wire has one owner, so put the meters of both on one bus`,
		`f.yaml:8:10: bus: id f is already taken in line 7: every bus needs its own`,
		`f.yaml:8:54: bus f: timeout: 1h is out of range: 10ms to 1m`,
		`f.yaml:9:5: bus g: driver is missing: write driver: modbus`,
		`f.yaml:9:36: bus g: pause: "x" is not a duration: write 50ms, 10s, 30m, 12h or 400d`,
		`f.yaml:9:47: bus g: format belongs to the drivers mqtt and dcc: leave it out`,
		`f.yaml:10:81: bus h: single_client is for connections that a device has few of, tcp, tls and rtuovertcp: leave it out`,
		`f.yaml:11:74: bus i: single_client is for buses whose meters are asked: leave it out`}},
	{"serial and secured buses", `site: {name: A}
buses:
  - {id: a, driver: modbus, url: "rtu:///dev/ttyUSB0?baud=9600&parity=even&stop=1"}
  - {id: b, driver: modbus, url: "rtu:///dev/ttyUSB0?baud=19200"}
  - {id: c, driver: modbus, url: "rtu://dev/ttyUSB1"}
  - {id: d, driver: modbus, url: "rtu:///dev/ttyUSB2?speed=9600"}
  - {id: e, driver: modbus, url: "rtu:///dev/ttyUSB3?parity=E"}
  - {id: f, driver: modbus, url: "tls://h?ca=/ca.pem&cert=/c.pem"}
  - {id: g, driver: modbus, url: "tls://h:502?ca=/ca.pem&cert=/c.pem&key=/k.pem"}
  - {id: h, driver: modbus, url: "rtuovertcp://H:502"}
meters: [{id: m, bus: a, unit: 1, template: eastron-sdm120}, {id: n, bus: a, unit: 0, template: eastron-sdm120}, {id: o, bus: a, unit: 255, template: eastron-sdm120}]
`, []string{
		`f.yaml:4:34: bus b: rtu:///dev/ttyUSB0?baud=19200 is already the url of bus a: one wire has one owner, so put the meters of both on one bus`,
		`f.yaml:5:34: bus c: bus url "rtu://dev/ttyUSB1": use three slashes, rtu:///dev/.., or rtu:///COM3 on Windows`,
		`f.yaml:6:34: bus d: bus url "rtu:///dev/ttyUSB2?speed=9600": unknown "speed" after the ?: rtu:// takes baud, parity, stop`,
		`f.yaml:7:34: bus e: bus url "rtu:///dev/ttyUSB3?parity=E": parity "E": use none, even or odd`,
		`f.yaml:8:34: bus f: bus url "tls://h?ca=/ca.pem&cert=/c.pem": key is missing: write ?key=/path, the PEM file of that certificate's key`,
		`f.yaml:10:34: bus h: rtuovertcp://H:502 is already the url of bus g: one wire has one owner, so put the meters of both on one bus`,
		`f.yaml:11:84: meter n: unit 0 is for all on a serial wire, and nobody answers: use 1 to 247`,
		`f.yaml:11:136: meter o: unit 255: a serial wire has addresses from 1 to 247`}},
	{"meters", head + `meters:
  - {id: m, bus: c, unit: 300, template: eastron-sdm12}
  - {id: m, bus: b, unit: 250, template: eastron-sdm230, measures: [import, exprt, import], ct: "5/200"}
  - {id: v, virtual: {of: m, share: 0.35}}
  - {id: n, bus: b, unit: 2}
  - {bus: b, unit: 3, template: eastron-sdm120, registers: {}}
  - {id: o, unit: 4, template: eastron-sdm120}
  - {id: p, bus: b, template: eastron-sdm120, measures: []}
`, []string{
		`f.yaml:4:18: meter m: unknown bus "c": use b`,
		`f.yaml:4:27: meter m: unit 300: use 0 to 247, or 255`,
		`f.yaml:4:42: meter m: unknown template "eastron-sdm12": did you mean "eastron-sdm120"?`,
		`f.yaml:5:10: meter: id m is already taken in line 4: every meter needs its own`,
		`f.yaml:5:27: meter m: unit 250: use 0 to 247, or 255`,
		`f.yaml:5:77: meter m: measures of eastron-sdm230: unknown "exprt": did you mean "export"?`,
		`f.yaml:5:84: meter m: measure import is there twice`,
		`f.yaml:5:97: meter m: ct "5/200": give primary and secondary amperes such as "200/5"`,
		`f.yaml:6:22: meter v: method is missing: say on what ground the meter is shared: AreaOccupied, NumberOfOccupants, AdditionalMetering or Other`,
		`f.yaml:7:5: meter n: give a template (see perseus-agent templates) or registers`,
		`f.yaml:8:5: meter: id is missing: give each meter a short name`,
		`f.yaml:8:60: this meter: give a template or registers, not both`,
		`f.yaml:9:5: meter o: bus is missing: write the id of the bus that it is on`,
		`f.yaml:10:5: meter p: unit is missing: write the meter's Modbus address, such as unit: 1`,
		`f.yaml:10:57: meter p: measures is empty: name some of import, export, reactive-import or reactive-export, or leave the key out`}},
	{"registers", head + `meters:
  - id: m
    bus: b
    unit: 1
    measures: [import]
    registers:
      imprt: {address: 1, type: uint32, unit: Wh}
      export: {address: 65536, table: holdin, type: unit32, unit: kW h}
      reactive-import: {adress: 0x0010, type: uint32, unit: Wh}
      reactive-export: {address: 010, type: uint32, unit: varh}
  - id: n
    bus: b
    unit: 1
    registers:
      import: {address: 1, type: uint32, order: ABCE, unit: Wh}
      export: {address: 3, type: uint32, unit: kW}
      reactive-import: {address: 5, type: uint32, unit: varh, scale: -1}
      reactive-export: {address: 7, table: coil, type: uint32, unit: varh}
  - id: o
    bus: b
    unit: 2
    registers: {import: {address: 1, type: uint32, unit: Wh, scale: 0.3, modulus: 5000000000}}
`, []string{
		`f.yaml:7:15: meter m: measures chooses from a template: with registers leave it out`,
		`f.yaml:9:7: meter m: unknown measure "imprt": did you mean "import"?`,
		`f.yaml:10:25: meter m: export: address: 65536 is out of range: 0 to 65535`,
		`f.yaml:10:39: meter m: export: table: unknown "holdin": did you mean "holding"?`,
		`f.yaml:10:53: meter m: export: type: unknown "unit32": did you mean "uint32"?`,
		`f.yaml:10:67: meter m: export: unit: unknown "kW h": did you mean "kWh"?`,
		`f.yaml:11:25: unknown key "adress" in meter m: reactive-import: did you mean "address"?`,
		`f.yaml:12:34: meter m: reactive-export: address: "010" is not a whole number: write it decimal (258) or hexadecimal (0x0102)`,
		`f.yaml:17:15: meter n: import: order "ABCE": spell each of the 4 bytes once, as they come on the wire, such as ABCD`,
		`f.yaml:19:24: meter n: reactive-import: scale "-1": use a positive decimal number such as 0.01`,
		`f.yaml:20:24: meter n: reactive-export: table "coil" holds single bits, not totals: use holding or input`,
		`f.yaml:24:83: meter o: import: modulus 5000000000: a uint32 starts again before that: leave it out`}},
	{"unit that does not fit the measure", head + "meters:\n  - {id: m, bus: b, unit: 1, registers: {gas: {address: 1, type: uint32, unit: kWh}}}\n", []string{
		`f.yaml:4:47: meter m: gas: unit kWh does not measure gas, which is counted in L`}},
	{"gas and electricity", head + "meters:\n  - {id: m, bus: b, unit: 1, registers: {gas: {address: 1, type: uint32, unit: m3}, import: {address: 9, type: uint32, unit: Wh}}}\n", []string{
		`f.yaml:4:5: meter m: gas and electricity in one meter: make it two meters`}},
	{"the same register twice", head + "meters:\n  - {id: m, bus: b, unit: 1, template: eastron-sdm120}\n  - {id: n, bus: b, unit: 1, template: eastron-sdm120, measures: [import]}\n", []string{
		`f.yaml:5:5: meter n: import at 0x0048 is already read as meter m (import): it would be counted twice`}},
	{"anchors", "site: &s {name: A}\n" + tail, []string{
		`f.yaml:1:7: site must be keys and values (key: value), not an anchor or alias (write the value out)`,
		`f.yaml:1:7: site: name is missing: write what the business calls the place`}},
	{"two documents", "site: {name: A}\n" + tail + "---\nsite: {name: B}\n", []string{
		`f.yaml:5:1: a second document (after ---): put everything into one`}},
}

func TestMistakes(t *testing.T) {
	for _, c := range mistakes {
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

// The levels that hints go by are those that are read.
func TestMeasuresOfTheLevels(t *testing.T) {
	var names []string
	for _, m := range energy.Measures() {
		names = append(names, m.String())
	}
	if !slices.Equal(measuresLevel.keys, names) {
		t.Errorf("%v, want %v", measuresLevel.keys, names)
	}
}
