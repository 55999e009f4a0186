package config

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// pointAt is a place on a wire: reading it for two meters would count twice.
type pointAt struct {
	bus     string
	unit    uint8
	input   bool
	address uint16
}

func (p *parse) meter(n ast.Node) {
	o := p.object(n, "a meter", meterLevel)
	m := Meter{Poll: min(DefaultPoll, p.cfg.Period), Line: line(n)}
	m.ID = p.id(n, o["id"], "meter", p.meters)
	name := called("meter", m.ID)
	if o["virtual"] != nil {
		p.at(o["virtual"], "%s: virtual meters are not in this version: leave this meter out", name)
		return
	}
	m.Bus = p.onBus(n, o["bus"], name)
	if v, ok := p.whole(o["unit"], name+": unit", 0, 255); ok {
		if m.Unit = uint8(v); v > 247 && v != 255 {
			p.at(o["unit"], "%s: unit %d: use 0 to 247, or 255", name, v)
		}
	} else if o["unit"] == nil {
		p.at(n, "%s: unit is missing: write the meter's Modbus address, such as unit: 1", name)
	}
	if d, ok := p.duration(o["poll"], name+": poll", 10*time.Millisecond, 15*time.Minute); ok {
		if m.Poll = d; d > p.cfg.Period {
			p.at(o["poll"], "%s: poll %s is longer than the period of %s", name, FormatDuration(d), FormatDuration(p.cfg.Period))
		}
	}
	m.Serial, _ = p.text(o["serial"], name+": serial")
	ct, _ := p.text(o["ct"], name+": ct")
	if ct != "" {
		if _, err := modbus.ParseCT(ct); err != nil {
			p.at(o["ct"], "%s: %v", name, err)
			ct = ""
		}
	}
	m.Template, m.Registers = p.registersOf(n, o, name, ct)
	p.mixed(n, name, m)
	p.once(n, name, m)
	p.cfg.Meters = append(p.cfg.Meters, m)
}

func (p *parse) onBus(meter, n ast.Node, name string) string {
	s, ok := p.text(n, name+": bus")
	switch {
	case n == nil:
		p.at(meter, "%s: bus is missing: write the id of the bus that it is on", name)
	case ok && p.buses[s] == 0:
		ids := make([]string, 0, len(p.buses))
		for id := range p.buses {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		p.at(n, "%s: unknown bus %q: %s", name, s, suggest(s, ids))
	}
	return s
}

// registersOf takes the registers from the template or from the file.
func (p *parse) registersOf(n ast.Node, o map[string]ast.Node, name, ct string) (string, []Register) {
	template, registers := o["template"], o["registers"]
	switch {
	case template == nil && registers == nil:
		p.at(n, "%s: give a template (see perseus-agent templates) or registers", name)
		return "", nil
	case template != nil && registers != nil:
		p.at(registers, "%s: give a template or registers, not both", name)
		return "", nil
	case registers != nil:
		if o["measures"] != nil {
			p.at(o["measures"], "%s: measures chooses from a template: with registers leave it out", name)
		}
		return "", p.registers(registers, name, ct)
	}
	s, ok := p.text(template, name+": template")
	if !ok {
		return "", nil
	}
	t, err := TemplateNamed(s)
	if err != nil {
		p.at(template, "%s: %v", name, err)
		return s, nil
	}
	return s, p.chosen(o["measures"], name, t, ct)
}

// chosen picks the measures of a template: import and export unless the file
// says otherwise.
func (p *parse) chosen(n ast.Node, name string, t Template, ct string) []Register {
	has := make([]string, len(t.Registers))
	for i, r := range t.Registers {
		has[i] = r.Measure.String()
	}
	want := map[energy.Measure]bool{}
	if n == nil {
		for _, r := range t.Registers {
			if r.Measure == energy.Import || r.Measure == energy.Export || r.Measure == energy.Gas {
				want[r.Measure] = true
			}
		}
	}
	for _, item := range p.listOrNil(n, name+": measures") {
		s, ok := p.choice(item, name+": measures of "+t.Name, has...)
		if !ok {
			continue
		}
		m, _ := energy.ParseMeasure(s)
		if want[m] {
			p.at(item, "%s: measure %s is there twice", name, s)
		}
		want[m] = true
	}
	if n != nil && len(want) == 0 {
		p.at(n, "%s: measures is empty: name some of %s, or leave the key out", name, oneOf(has))
	}
	var out []Register
	for _, r := range t.Registers {
		if want[r.Measure] {
			r.CT = ct
			out = append(out, p.complete(n, name, r, t.power(r.Measure, ct)))
		}
	}
	return out
}

func (p *parse) listOrNil(n ast.Node, what string) []ast.Node {
	if n == nil {
		return nil
	}
	return p.list(n, what)
}

// registers reads a map from measure to register.
func (r *reader) registers(n ast.Node, name, ct string) []Register {
	var out []Register
	r.each(n, name+": registers", func(key ast.Node, measure string, value ast.Node) {
		m, err := energy.ParseMeasure(measure)
		if err != nil {
			r.at(key, "%s: unknown measure %q: %s", name, measure, measuresLevel.hint(measure))
			return
		}
		if reg, ok := r.register(value, name+": "+measure, m); ok {
			reg.CT = ct
			out = append(out, r.complete(value, name, reg, 0))
		}
	})
	if len(out) == 0 && len(r.problems) == 0 {
		r.at(n, "%s: registers is empty: give at least import", name)
	}
	slices.SortFunc(out, func(a, b Register) int { return cmp.Compare(a.Measure, b.Measure) })
	return out
}

func (r *reader) register(n ast.Node, name string, m energy.Measure) (Register, bool) {
	before := len(r.problems)
	o := r.object(n, name, registerLevel)
	reg := Register{Point: modbus.Point{Measure: m, Table: "holding"}}
	if v, ok := r.whole(o["address"], name+": address", 0, 0xFFFF); ok {
		reg.Address = uint16(v)
	} else if o["address"] == nil {
		r.at(n, "%s: address is missing: write the protocol address, counted from 0", name)
	}
	if v, ok := r.choice(o["table"], name+": table", "holding", "input", "coil", "discrete"); ok {
		reg.Table = v
	}
	reg.Type, _ = r.choice(o["type"], name+": type", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "bcd")
	if o["type"] == nil {
		r.at(n, "%s: type is missing: write uint32, float32 and so on, as in the meter's manual", name)
	}
	reg.Order, _ = r.text(o["order"], name+": order")
	reg.Unit, _ = r.choice(o["unit"], name+": unit", "Wh", "kWh", "MWh", "m3", "L", "ft3", "varh", "kvarh", "W", "kW")
	if o["unit"] == nil {
		r.at(n, "%s: unit is missing: write Wh, kWh and so on: what one count of the register is", name)
	}
	reg.Scale, _ = r.text(o["scale"], name+": scale")
	if len(r.problems) > before {
		return reg, false
	}
	if err := reg.Check(); err != nil {
		r.at(n, "%s: %v", name, err)
		return reg, false
	}
	if v, ok := r.whole(o["modulus"], name+": modulus", 2, 1<<62); ok {
		reg.Modulus = v // raw counts, until complete has seen the transformers
	}
	return reg, len(r.problems) == before
}

// noMeterDelivers is the ceiling where a meter's rating is not known, in base
// units per hour: 100 MW, 100 Mvar or 100 000 m3/h is more than any meter of a
// business. It keeps a misread register (a swapped word, a stray sentinel)
// from ever becoming a half-hour.
const noMeterDelivers = 100_000_000

// complete turns a register with its transformers into what the accumulator
// needs: the modulus in base units and the most it can deliver.
func (r *reader) complete(n ast.Node, name string, reg Register, power int64) Register {
	reg.MaxPower = power
	if power == 0 {
		reg.MaxPower = noMeterDelivers
	}
	if err := reg.Check(); err != nil {
		r.at(n, "%s: %s: %v", name, reg.Measure, err)
		return reg
	}
	if reg.Modulus == 0 {
		reg.Modulus = reg.Point.Modulus()
		return reg
	}
	base := new(big.Rat).Mul(factor(reg.Point), new(big.Rat).SetInt64(reg.Modulus))
	if !base.IsInt() || !base.Num().IsInt64() {
		r.at(n, "%s: %s: modulus %d is not a whole number of %s: it is the count at which the register starts again at 0",
			name, reg.Measure, reg.Modulus, reg.Measure.BaseUnit())
		return reg
	}
	reg.Modulus = base.Num().Int64()
	return reg
}

// factor is what one count of a register is in base units, exactly.
func factor(p modbus.Point) *big.Rat {
	f := map[string]*big.Rat{
		"kWh": big.NewRat(1000, 1), "MWh": big.NewRat(1_000_000, 1), "kvarh": big.NewRat(1000, 1), "m3": big.NewRat(1000, 1),
		"ft3": big.NewRat(28_316_846_592, 1_000_000_000),
	}[p.Unit]
	if f == nil {
		f = big.NewRat(1, 1)
	}
	if s, ok := new(big.Rat).SetString(p.Scale); ok {
		f.Mul(f, s)
	}
	if r, err := modbus.ParseCT(p.CT); err == nil {
		f.Mul(f, r)
	}
	return f
}

// mixed refuses gas and electricity in one meter: they are two things to the scheme.
func (p *parse) mixed(n ast.Node, name string, m Meter) {
	gas := slices.ContainsFunc(m.Registers, func(r Register) bool { return r.Measure == energy.Gas })
	if gas && len(m.Registers) > 1 {
		p.at(n, "%s: gas and electricity in one meter: make it two meters", name)
	}
	if gas && m.Registers[0].CT != "" {
		p.at(n, "%s: a gas meter has no current transformers: leave ct out", name)
	}
}

// once refuses a register that another meter reads already.
func (p *parse) once(n ast.Node, name string, m Meter) {
	for _, r := range m.Registers {
		at := pointAt{m.Bus, m.Unit, r.Table == "input", r.Address}
		what := "meter " + m.ID + " (" + r.Measure.String() + ")"
		if other, taken := p.points[at]; taken {
			p.at(n, "%s: %s at %#04x is already read as %s: it would be counted twice", name, r.Measure, r.Address, strings.TrimSpace(other))
			continue
		}
		p.points[at] = what
	}
}
