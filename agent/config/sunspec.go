package config

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/sunspec"
)

// sunSpec reads the part of a template that makes it one of SunSpec devices.
func (r *reader) sunSpec(o map[string]ast.Node, t *Template) {
	for _, key := range []string{"registers", "inputs", "counter", "serial_register", "transformers", "max_current"} {
		if o[key] != nil {
			r.at(o[key], "a SunSpec device says %s itself: leave it out", key)
		}
	}
	kind, ok := r.choice(o["sunspec"], "sunspec", string(sunspec.Meter), string(sunspec.Inverter))
	if !ok {
		return
	}
	t.SunSpec = sunspec.Kind(kind)
	for _, m := range sunspec.Measures(t.SunSpec) {
		t.Registers = append(t.Registers, Register{Learnt: true, Point: modbus.Point{Measure: m, Type: modbus.TypeSunSpec, Unit: "Wh"}})
	}
}

// mostParts is how many meters may share a SunSpec device.
const mostParts = 32

// sunSpecOf takes what a meter with a template says of a SunSpec device.
func (p *parse) sunSpecOf(o map[string]ast.Node, name string, t Template, m *Meter) {
	if t.SunSpec == "" {
		p.notPart(o, name)
		return
	}
	m.SunSpec = &modbus.SunSpec{Kind: t.SunSpec, Part: 1}
	if v, ok := p.whole(o["part"], name+": part", 1, mostParts); ok {
		m.SunSpec.Part = int(v)
	}
	for _, key := range []string{"serial_register", "check_power"} {
		if o[key] != nil {
			p.at(o[key], "%s: a SunSpec device is read by what it says itself: leave %s out", name, key)
		}
	}
}

// notPart refuses what belongs to a SunSpec device.
func (p *parse) notPart(o map[string]ast.Node, name string) {
	if o["part"] != nil {
		p.at(o["part"], "%s: part is for template: sunspec-meter or sunspec-inverter: leave it out", name)
	}
}
