package config

import (
	"fmt"
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
	sunSpec string // part of the device and measure, where it says the address itself; else ""
}

func (p *parse) meter(n ast.Node) {
	o := p.object(n, "a meter", meterLevel)
	m := Meter{Line: line(n)}
	m.ID = p.id(n, o["id"], "meter", p.meters)
	name := called("meter", m.ID)
	p.identifiers(o, name, &m)
	if o["virtual"] != nil {
		p.virtualMeter(n, o, name, &m)
		return
	}
	m.Bus = p.onBus(n, o["bus"], name)
	if b, ok := p.cfg.bus(m.Bus); ok && b.Listening != nil {
		p.heardMeter(n, o, name, b, &m)
		return
	}
	for _, key := range heardKeys {
		if o[key] != nil {
			p.at(o[key], "%s: %s is for meters on a bus that speaks by itself (mqtt, dcc): leave it out", name, key)
		}
	}
	m.Unit = p.unit(n, o["unit"], name, m.Bus)
	m.Poll = min(DefaultPoll, p.cfg.Period)
	if d, ok := p.duration(o["poll"], name+": poll", 10*time.Millisecond, 15*time.Minute); ok {
		if m.Poll = d; d > p.cfg.Period {
			p.at(o["poll"], "%s: poll %s is longer than the period of %s", name, FormatDuration(d), FormatDuration(p.cfg.Period))
		}
	}
	m.Serial, _ = p.text(o["serial"], name+": serial")
	m.CT = p.ratio(o["ct"], name+": ct", modbus.ParseCT)
	m.VT = p.ratio(o["vt"], name+": vt", modbus.ParseVT)
	m.Primary = p.yes(o["primary"], name+": primary")
	if m.Primary && o["ct"] == nil && o["vt"] == nil {
		p.at(o["primary"], "%s: primary says that ct and vt are counted in already: give them, or leave primary out", name)
	}
	p.conversion(o, name, &m)
	m.Rating = p.rating(o["rating"], name)
	p.registersOf(n, o, name, &m)
	if o["serial_register"] != nil {
		m.SerialRegister = p.serialRegister(o["serial_register"], name+": serial_register")
	}
	p.fitting(n, o, name, &m)
	p.checkPower(o["check_power"], name, &m)
	p.finish(n, o, name, &m)
	p.once(n, name, m)
	p.exchanges(o["exchanges"], name, &m)
	p.validation(o["validate"], name, &m)
	p.substitution(o, name, &m)
	p.alarms(o["alarms"], name, &m)
	m.CheckMeter, _ = p.text(o["check_meter"], name+": check_meter")
	if m.CheckMeter != "" {
		p.later = append(p.later, func() { p.checkMeter(o["check_meter"], name, m) })
	}
	m.Registers = p.alike.share(m.Registers)
	p.cfg.Meters = append(p.cfg.Meters, m)
}

// virtualMeter reads a meter that is made of others.
func (p *parse) virtualMeter(n ast.Node, o map[string]ast.Node, name string, m *Meter) {
	m.Virtual = p.virtual(o["virtual"], o, name)
	p.validation(o["validate"], name, m)
	if m.Virtual == nil {
		return
	}
	p.nodes[m.ID], p.chosenOf[m.ID] = o["virtual"], o["measures"]
	id := m.ID
	p.later = append(p.later, func() {
		for _, in := range m.Virtual.Inputs() {
			switch {
			case in == id:
				p.at(o["virtual"], "%s: it cannot be made of itself", name)
			case p.meters[in] == 0:
				p.at(o["virtual"], "%s: unknown meter %q: %s", name, in, p.suggestMeter(in, id))
			}
		}
	})
	p.cfg.Meters = append(p.cfg.Meters, *m)
}

// suggestMeter says which meter may have been meant, other than the one that asks.
func (p *parse) suggestMeter(word, but string) string {
	var ids []string
	for _, m := range p.cfg.Meters {
		if m.ID != but {
			ids = append(ids, m.ID)
		}
	}
	if nearest(word, ids) == "" && len(ids) > 8 {
		return "it is not among the meters of this file"
	}
	return suggest(word, ids)
}

// checkMeter sees that a check meter can check: it is another one, measures
// something of the same, and is not made of the meter that it is to check.
func (p *parse) checkMeter(n ast.Node, name string, m Meter) {
	other, ok := p.cfg.Meter(m.CheckMeter)
	switch {
	case m.CheckMeter == m.ID:
		p.at(n, "%s: check_meter: a meter cannot check itself", name)
	case p.meters[m.CheckMeter] == 0:
		p.at(n, "%s: check_meter: unknown meter %q: %s", name, m.CheckMeter, p.suggestMeter(m.CheckMeter, m.ID))
	case !ok: // it has a mistake of its own
	case p.madeOf(other, m.ID, map[string]bool{}):
		p.at(n, "%s: check_meter: %s is made of this meter, and would agree with whatever it says", name, m.CheckMeter)
	case other.Virtual == nil && len(other.Registers) > 0 && !slices.ContainsFunc(m.Measures(), func(x energy.Measure) bool { return slices.Contains(other.Measures(), x) }):
		p.at(n, "%s: check_meter: %s measures nothing that this meter measures", name, m.CheckMeter)
	}
}

func (p *parse) madeOf(m Meter, id string, seen map[string]bool) bool {
	if m.Virtual == nil || seen[m.ID] {
		return false
	}
	seen[m.ID] = true
	return slices.ContainsFunc(m.Virtual.Inputs(), func(in string) bool {
		other, _ := p.cfg.Meter(in)
		return in == id || p.madeOf(other, id, seen)
	})
}

// ratio reads the ratio of a transformer; "" where it is none.
func (p *parse) ratio(n ast.Node, what string, check func(string) (*big.Rat, error)) string {
	s, ok := p.text(n, what)
	if !ok {
		return ""
	}
	if _, err := check(s); err != nil {
		p.at(n, "%s: %v", strings.TrimSuffix(strings.TrimSuffix(what, ": ct"), ": vt"), err)
		return ""
	}
	return s
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

// registersOf takes the registers from the template or from the file, as they
// are counted: see finish.
func (p *parse) registersOf(n ast.Node, o map[string]ast.Node, name string, m *Meter) {
	template, registers := o["template"], o["registers"]
	if template == nil {
		p.notInputs(o, name, "a template of a module with pulse inputs")
		p.notPart(o, name)
		p.notCounts(o, name)
	}
	switch {
	case template == nil && registers == nil:
		p.at(n, "%s: give a template (see perseus-agent templates) or registers", name)
		return
	case template != nil && registers != nil:
		p.at(registers, "%s: give a template or registers, not both", name)
		return
	case registers != nil:
		if o["measures"] != nil {
			p.at(o["measures"], "%s: measures chooses from a template: with registers leave it out", name)
		}
		m.Registers = p.registers(registers, name)
		return
	}
	s, ok := p.text(template, name+": template")
	if !ok {
		return
	}
	m.Template = s
	t, err := TemplateNamed(s)
	if err != nil {
		p.at(template, "%s: %v", name, err)
		return
	}
	m.SerialRegister = t.SerialRegister
	p.sunSpecOf(o, name, t, m)
	defer p.countsOf(n, o, name, t, m)
	if t.Inputs > 0 {
		m.Registers = p.pulses(n, o, name, t)
		return
	}
	p.notInputs(o, name, "a module with pulse inputs, and "+t.Name+" is none")
	m.Registers = p.chosen(o["measures"], name, t)
	if o["primary"] == nil && (m.CT != "" || m.VT != "") {
		m.Primary = t.Primary
	}
	if m.Rating.Phases == 0 {
		m.Rating.Phases = t.Phases
	}
	if m.Rating.Amps == 0 && m.CT == "" {
		m.Rating.Amps = t.MaxCurrent
	}
}

// chosen picks the measures of a template: all but reactive energy unless the
// file says otherwise.
func (p *parse) chosen(n ast.Node, name string, t Template) []Register {
	has := make([]string, len(t.Registers))
	for i, r := range t.Registers {
		has[i] = r.Measure.String()
	}
	want := map[energy.Measure]bool{}
	for _, m := range energy.Measures() {
		want[m] = m != energy.ReactiveImport && m != energy.ReactiveExport
	}
	if n != nil {
		want = p.measuresFrom(n, name+": measures of "+t.Name, has)
	}
	if n != nil && len(want) == 0 {
		p.at(n, "%s: measures is empty: name some of %s, or leave the key out", name, oneOf(has))
	}
	var out []Register
	for _, r := range t.Registers {
		if want[r.Measure] {
			out = append(out, r)
		}
	}
	return out
}

// measuresFrom reads a list of measures out of those that there are.
func (p *parse) measuresFrom(n ast.Node, what string, has []string) map[energy.Measure]bool {
	want := map[energy.Measure]bool{}
	for _, item := range p.listOrNil(n, what) {
		s, ok := p.choice(item, what, has...)
		if !ok {
			continue
		}
		m, _ := energy.ParseMeasure(s)
		if want[m] {
			before, _, _ := strings.Cut(what, ": ")
			p.at(item, "%s: measure %s is there twice", before, s)
		}
		want[m] = true
	}
	return want
}

// once refuses a register that another meter reads already.
func (p *parse) once(n ast.Node, name string, m Meter) {
	for _, r := range m.Registers {
		at := pointAt{m.Bus, m.Unit, r.Table == "input", r.Address, ""}
		if m.SunSpec != nil {
			at.sunSpec = fmt.Sprint(*m.SunSpec, r.Measure)
		}
		what := "meter " + m.ID + " (" + r.Measure.String() + ")"
		if other, taken := p.points[at]; taken && !(r.Power && other == "power of meter "+m.ID) {
			where := fmt.Sprintf("%#04x", r.Address)
			if m.SunSpec != nil {
				where = "this unit"
			}
			p.at(n, "%s: %s at %s is already read as %s: it would be counted twice", name, r.Measure, where, strings.TrimSpace(other))
			continue
		}
		if r.Power { // its import and export are the two signs of one register
			what = "power of meter " + m.ID
		}
		p.points[at] = what
	}
}
