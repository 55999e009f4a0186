package config

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// A module with pulse inputs counts for meters that have no wire of their own,
// most of all gas meters. Its template says where the counters are; the meter
// says which input it is on and what its pulse stands for.

// inputs reads the part of a template that makes it one of such a module.
func (r *reader) inputs(o map[string]ast.Node, t *Template) {
	for _, key := range []string{"registers", "phases", "max_current", "transformers", "primary"} {
		if o[key] != nil {
			r.at(o[key], "%s is of a meter, and a template with inputs is a module: leave it out", key)
		}
	}
	inputs, _ := r.whole(o["inputs"], "inputs", 1, 64)
	t.Inputs = int(inputs)
	if o["counter"] == nil {
		r.at(o["inputs"], "a template with inputs needs counter: the register of the first")
		return
	}
	t.Counter = r.serialRegister(o["counter"], "counter")
	if t.Counter == nil {
		return
	}
	if err := t.Input(1, energy.Import, "1 Wh").Check(); err != nil {
		r.at(o["counter"], "counter: %v", err)
	} else if int(t.Counter.Address)+t.Inputs*t.counterWords() > 0x10000 {
		r.at(o["counter"], "counter: %d of them do not fit before the end of the table", t.Inputs)
	}
}

func (t Template) counterWords() int {
	switch t.Counter.Type {
	case "uint16":
		return 1
	case "uint64":
		return 4
	}
	return 2
}

// Input is the point of one input of a module, counted from 1.
func (t Template) Input(i int, m energy.Measure, pulse string) modbus.Point {
	return modbus.Point{Measure: m, Address: t.Counter.Address + uint16((i-1)*t.counterWords()), Table: t.Counter.Table,
		Type: t.Counter.Type, Order: t.Counter.Order, Unit: unit.Pulse, Pulse: pulse}
}

// pulses is the register of a meter on an input. What its pulse stands for
// says what it measures, as long as nobody says that it is export.
func (p *parse) pulses(n ast.Node, o map[string]ast.Node, name string, t Template) []Register {
	for _, key := range []string{"input", "pulse"} {
		if o[key] == nil {
			p.at(n, "%s: %s has %d inputs: give input (1 to %d) and pulse, such as pulse: 0.1 m3", name, t.Name, t.Inputs, t.Inputs)
			return nil
		}
	}
	i, ok := p.whole(o["input"], name+": input", 1, int64(t.Inputs))
	pulse, given := p.text(o["pulse"], name+": pulse")
	if !ok || !given {
		return nil
	}
	candidates := []energy.Measure{energy.Import, energy.ReactiveImport, energy.Gas} // water and heat have to be named
	if o["measures"] != nil {
		want := p.measuresFrom(o["measures"], name+": measures of "+t.Name, measuresLevel.keys)
		if len(want) != 1 {
			p.at(o["measures"], "%s: measures: one input counts one measure: name one, or leave the key out", name)
			return nil
		}
		for m := range want {
			candidates = []energy.Measure{m}
		}
	}
	var err error
	for _, m := range candidates {
		point := t.Input(int(i), m, pulse)
		if err = point.Check(); err == nil {
			return []Register{{Point: point}}
		}
	}
	p.at(o["pulse"], "%s: %v", name, err)
	return nil
}

// notInputs refuses what belongs to a module with inputs.
func (p *parse) notInputs(o map[string]ast.Node, name, what string) {
	for _, key := range []string{"input", "pulse"} {
		if o[key] != nil {
			p.at(o[key], "%s: %s is for %s: leave it out", name, key, what)
		}
	}
}
