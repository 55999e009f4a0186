package site

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/dcc"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// Parts is a site put together from parts: for who has no configuration yet.
// It is a flag.Value for each of its kinds.
type Parts struct {
	meters []templated
	mqtt   []string
	dcc    []string
}

// templated is a meter of a template on a Modbus wire.
type templated struct {
	wire, template string
	unit           int
}

// wires are the ways to speak Modbus that a site can play.
var wires = []string{"tcp", "rtuovertcp", "udp", "rtu"}

// Meter is the flag.Value of "[WIRE:]TEMPLATE[@UNIT]".
func (p *Parts) Meter(s string) error {
	m := templated{wire: "tcp", unit: 1}
	name := s
	if before, after, ok := strings.Cut(s, ":"); ok {
		if m.wire, name = before, after; !slices.Contains(wires, before) {
			return fmt.Errorf("meter %q: unknown wire %q: %s", s, before, fault.Suggest(before, wires))
		}
	}
	for _, other := range p.meters { // the next unit on that wire, where none is given
		if other.wire == m.wire {
			m.unit = max(m.unit, other.unit+1)
		}
	}
	name, unit, given := strings.Cut(name, "@")
	if given {
		n, err := strconv.Atoi(unit)
		if err != nil || n < 1 || n > 247 {
			return fmt.Errorf("meter %q: unit %q: use 1 to 247", s, unit)
		}
		m.unit = n
	}
	if slices.ContainsFunc(p.meters, func(o templated) bool { return o.wire == m.wire && o.unit == m.unit }) {
		return fmt.Errorf("meter %q: unit %d is on %s already", s, m.unit, m.wire)
	}
	if _, err := config.TemplateNamed(name); err != nil {
		return fmt.Errorf("meter %q: %w", s, err)
	}
	m.template = name
	p.meters = append(p.meters, m)
	return nil
}

// MQTT is the flag.Value of a format of BMS points.
func (p *Parts) MQTT(s string) error { return add(&p.mqtt, s, mqtt.Formats()) }

// DCC is the flag.Value of a format of feeds.
func (p *Parts) DCC(s string) error { return add(&p.dcc, s, dcc.Formats()) }

func add(list *[]string, s string, known []string) error {
	for one := range strings.SplitSeq(s, ",") {
		switch {
		case one == "all":
			for _, k := range known {
				if !slices.Contains(*list, k) {
					*list = append(*list, k)
				}
			}
		case !slices.Contains(known, one):
			return fmt.Errorf("unknown format %q: %s", one, fault.Suggest(one, known))
		case !slices.Contains(*list, one):
			*list = append(*list, one)
		}
	}
	return nil
}

// Empty reports whether nothing was put together.
func (p *Parts) Empty() bool { return len(p.meters)+len(p.mqtt)+len(p.dcc) == 0 }

// needed is what a template leaves to the installer: which input and what its
// pulse stands for, or the unit that the meter was set to.
func needed(template string) string {
	t, err := config.TemplateNamed(template)
	switch {
	case err != nil:
		return ""
	case t.Inputs > 0:
		return ", input: 1, pulse: 1000/kWh"
	case slices.ContainsFunc(t.Registers, func(r config.Register) bool { return r.Ask && r.Measure == energy.Water }):
		return ", counts: m3"
	case slices.ContainsFunc(t.Registers, func(r config.Register) bool { return r.Ask }):
		return ", counts: kWh"
	}
	return ""
}

// points are how each format names the register of main-FORMAT, as feeds.md
// part 1 has it. Anything can be named in the same way in a configuration.
var points = map[string]string{
	"udmi":                `device: EM-1, points: {import: {point: energy_sensor, unit: kWh}}`,
	"sparkplug":           `device: Plant/Gateway/EM-1, points: {import: {point: Energy/Import, unit: kWh}}`,
	"json":                `device: em-1, points: {import: {topic: "site/{device}/energy", value: kwh, time: at, quality: status, unit: kWh}}`,
	"bacnet-mqtt-gateway": `device: gw1/114, points: {import: {point: "2_202", unit: kWh}}`,
	"bitpool":             `device: BITPOOL_BACNET_GATEWAY/Meters, points: {import: {point: Main_kWh_AI_3, unit: kWh}}`,
	"thingsboard":         `device: Main meter, points: {import: {point: kwh, unit: kWh}}`,
	"siemens":             `points: {import: {point: E_Main, topic: plant/cc7, unit: kWh}}`,
	"niagara":             `points: {import: {point: MainEnergy, topic: niagara/out}}`,
	"homeassistant":       `points: {import: {point: main_energy}}`,
}

// The supplies of the composed site: an MPAN and an MPRN with sound check
// digits, of nobody.
const (
	somebodysMPAN = "2000000000006"
	somebodysMPRN = "7000000001"
)

// fed are the meters that a feed brings. Glow's display has gas as well.
func fed(format string) []string {
	electricity := `  - {id: dcc-` + format + `, bus: ` + format + `, mpan: "` + somebodysMPAN + `", measures: [import, export]}`
	gas := `  - {id: dcc-` + format + `-gas, bus: ` + format + `, mprn: "` + somebodysMPRN + `", measures: [gas]}`
	switch format {
	case "csv":
		return []string{electricity}
	}
	return []string{electricity, gas}
}

// YAML writes the parts as an agent's configuration.
func (p *Parts) YAML() []byte {
	var buses, meters []string
	for _, wire := range wires {
		first := true
		for _, m := range p.meters {
			if m.wire != wire {
				continue
			}
			if first {
				address := map[string]string{"tcp": "tcp://127.0.0.1:502", "rtuovertcp": "rtuovertcp://127.0.0.1:503", "udp": "udp://127.0.0.1:502", "rtu": "rtu:///dev/ttyUSB0?baud=9600"}[wire]
				buses = append(buses, fmt.Sprintf("  - {id: %s, driver: modbus, url: %q}", wire, address))
				first = false
			}
			meters = append(meters, fmt.Sprintf("  - {id: %s-%d, bus: %s, unit: %d, template: %s%s}", wire, m.unit, wire, m.unit, m.template, needed(m.template)))
		}
	}
	for _, f := range p.mqtt {
		buses = append(buses, fmt.Sprintf(`  - {id: %s, driver: mqtt, format: %s, url: "mqtt://127.0.0.1:1883"}`, f, f))
		meters = append(meters, fmt.Sprintf("  - {id: main-%s, bus: %s, %s}", f, f, points[f]))
	}
	for _, f := range p.dcc {
		address := map[string]string{"glow": "mqtt://127.0.0.1:1883", "n3rgy": "https://127.0.0.1", "glowmarkt": "https://127.0.0.1", "csv": "file:///tmp"}[f]
		buses = append(buses, fmt.Sprintf("  - {id: %s, driver: dcc, format: %s, url: %q}", f, f, address))
		meters = append(meters, fed(f)...)
	}
	return []byte("site: {name: \"Rehearsal\"}\nbuses:\n" + strings.Join(buses, "\n") + "\nmeters:\n" + strings.Join(meters, "\n") + "\n")
}
