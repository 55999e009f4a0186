package config

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// DefaultMaxGap is how long a power may be unknown before the half-hours that
// the gap touches are missing: it changes within minutes, and nothing says
// afterwards what it was.
const DefaultMaxGap = 5 * time.Minute

// registers reads a map from measure to register.
func (r *reader) registers(n ast.Node, name string) []Register {
	var out []Register
	r.each(n, name+": registers", func(key ast.Node, measure string, value ast.Node) {
		m, err := energy.ParseMeasure(measure)
		if err != nil {
			r.at(key, "%s: unknown measure %q: %s", name, measure, measuresLevel.hint(measure))
			return
		}
		if reg, ok := r.register(value, name+": "+measure, m); ok {
			out = append(out, reg)
		}
	})
	if len(out) == 0 && len(r.problems) == 0 {
		r.at(n, "%s: registers is empty: give at least import", name)
	}
	slices.SortFunc(out, func(a, b Register) int { return cmp.Compare(a.Measure, b.Measure) })
	return slices.Clone(out) // of no more room than it takes: there are thousands
}

// register reads one register as it is counted: without transformers, and
// with its modulus in raw counts. finish does the rest.
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
	reg.Type, _ = r.choice(o["type"], name+": type", modbus.Types()...)
	if o["type"] == nil {
		r.at(n, "%s: type is missing: write uint32, float32 and so on, as in the meter's manual", name)
	}
	reg.Order, _ = r.text(o["order"], name+": order")
	if said, ok := o["unit"].(*ast.StringNode); ok && r.ofTemplate && said.Value == "ask" {
		reg.Ask, reg.Unit = true, unit.For(m)[0]
	} else {
		reg.Unit, _ = r.choice(o["unit"], name+": unit", unit.Names()...)
	}
	if o["unit"] == nil {
		r.at(n, "%s: unit is missing: write Wh, kWh and so on: what one count of the register is", name)
	}
	reg.Scale, _ = r.text(o["scale"], name+": scale")
	reg.Pulse, _ = r.text(o["pulse"], name+": pulse")
	for _, item := range r.listOrNil(o["invalid"], name+": invalid") {
		if v, ok := r.bits(item, name+": invalid", reg.Type); ok {
			reg.Invalid = append(reg.Invalid, v)
		}
	}
	if len(r.problems) > before {
		return reg, false
	}
	if err := reg.Check(); err != nil {
		r.at(n, "%s: %v", name, err)
		return reg, false
	}
	reg.Power = reg.IsPower()
	if v, ok := r.whole(o["modulus"], name+": modulus", 2, 1<<62); ok {
		r.modulus(o["modulus"], name, &reg, v)
	}
	return reg, len(r.problems) == before
}

// modulus takes the count at which a register wraps, where the file gives it.
func (r *reader) modulus(n ast.Node, name string, reg *Register, counts int64) {
	plain := reg.Point
	plain.CT, plain.VT = "", ""
	wrap := plain.ToModulus(big.NewInt(counts))
	switch natural := plain.Modulus(); {
	case reg.Power:
		r.at(n, "%s: modulus: a power does not count up and has none: leave it out", name)
	case wrap == 0:
		r.at(n, "%s: modulus %d is beyond what a meter counts in its life: leave it out", name, counts)
	case natural > 0 && wrap > natural:
		r.at(n, "%s: modulus %d: a %s starts again before that: leave it out", name, counts, reg.Type)
	}
	reg.Modulus = counts
}

// bits reads a raw value of a register: a whole number, below 0 for the
// signed types, or the bits as 0x...
func (r *reader) bits(n ast.Node, what, typ string) (uint64, bool) {
	s, ok := r.text(n, what)
	if !ok {
		return 0, false
	}
	if v, err := strconv.ParseUint(s, 0, 64); err == nil {
		return v, true
	}
	width, _ := strconv.Atoi(strings.TrimPrefix(typ, "int"))
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil || width == 0 || v < -1<<(width-1) {
		r.at(n, "%s: %q is not a raw value of this register: write its bits, such as 0xFFFFFFFF", what, s)
		return 0, false
	}
	return uint64(v) & (math.MaxUint64 >> (64 - width)), true
}

// finish turns the registers of a meter, with its transformers and its rating,
// into what the driver and the accumulators need.
func (p *parse) finish(n ast.Node, o map[string]ast.Node, name string, m *Meter) {
	rating := m.Rating.withDefaults(m.CT, m.VT)
	gap, given := p.duration(o["max_gap"], name+": max_gap", time.Second, Day)
	switch {
	case given && len(m.Registers) > 0 && !slices.ContainsFunc(m.Registers, func(r Register) bool { return r.Power }):
		p.at(o["max_gap"], "%s: max_gap is for registers of power: a gap in a total costs nothing: leave it out", name)
	case given && gap > p.cfg.Period:
		p.at(o["max_gap"], "%s: max_gap %s is longer than the period of %s", name, FormatDuration(gap), FormatDuration(p.cfg.Period))
	case given && gap < 2*m.Poll:
		p.at(o["max_gap"], "%s: max_gap %s is less than two polls of %s: one lost answer would cost a half-hour", name, FormatDuration(gap), FormatDuration(m.Poll))
	case !given:
		gap = min(p.cfg.Period, max(DefaultMaxGap, 3*m.Poll))
	}
	for i := range m.Registers {
		r := &m.Registers[i]
		r.CT, r.VT, r.Primary = m.CT, m.VT, m.Primary
		if err := r.Check(); err != nil {
			p.at(n, "%s: %s: %v", name, r.Measure, err)
			return
		}
		if r.Modulus > 0 {
			r.Modulus = r.ToModulus(big.NewInt(r.Modulus))
		} else {
			r.Modulus = r.Point.Modulus()
		}
		if r.Power {
			r.MaxGap = gap
		}
		if r.Mantissa = r.Point.Mantissa(); r.Mantissa == 0 {
			r.Step = r.One()
		}
		r.MaxPower, r.MaxEnergy = rating.maxPower(r.Measure), rating.maxEnergy(r.Measure, p.cfg.Period)
	}
	if len(m.Registers) > 0 && rating.Known(m.Registers[0].Measure) {
		m.Rating = rating
	}
}

// fitting refuses what does not fit together: gas and electricity in one
// meter (they are two things to the scheme), and what only the other has.
func (p *parse) fitting(n ast.Node, o map[string]ast.Node, name string, m *Meter) {
	if len(m.Registers) == 0 {
		return
	}
	kind := m.Registers[0].Measure.Kind()
	if k := slices.IndexFunc(m.Registers, func(r Register) bool { return r.Measure.Kind() != kind }); k >= 0 {
		p.at(n, "%s: %s and %s in one meter: make it two meters", name, m.Registers[k].Measure.Kind(), kind)
		return
	}
	refuse := func(key, why string) {
		if o[key] != nil {
			p.at(o[key], "%s: %s: leave %s out", name, why, key)
		}
	}
	if kind != "electricity" {
		refuse("ct", "a "+kind+" meter has no current transformers")
		refuse("vt", "a "+kind+" meter has no voltage transformers")
		refuse("mpan", "an MPAN is of an electricity supply")
	}
	if kind != "gas" {
		refuse("mprn", "an MPRN is of a gas supply")
		refuse("corrected", "corrected is for gas meters with a converter")
		refuse("zone", "a zone is of a gas supply")
		refuse("vcf", "a volume correction factor is of a gas supply")
		refuse("converted_from", "only gas is converted")
	}
	electric := m.Rating.Amps != 0 || m.Rating.Volts != 0 || m.Rating.VA != 0 || m.Rating.Phases != 0
	switch {
	case kind == "electricity" && m.Rating.QMax != 0:
		p.at(o["rating"], "%s: rating: qmax is of a gas meter: write amps or kva", name)
	case kind == "electricity" && m.Rating.KW != 0:
		p.at(o["rating"], "%s: rating: kw is of a heat meter: write amps or kva", name)
	case kind == "heat" && (electric || m.Rating.QMax != 0):
		p.at(o["rating"], "%s: rating: a heat meter is rated by its largest power: write {kw: 100}", name)
	case (kind == "gas" || kind == "water") && (electric || m.Rating.KW != 0):
		p.at(o["rating"], "%s: rating: a %s meter is rated by its largest flow: write {qmax: 6} (m3/h)", name, kind)
	}
}

// serialRegister reads where a meter keeps its serial number.
func (r *reader) serialRegister(n ast.Node, name string) *modbus.Serial {
	before := len(r.problems)
	o := r.object(n, name, serialLevel)
	s := modbus.Serial{Table: "holding"}
	if v, ok := r.whole(o["address"], name+": address", 0, 0xFFFF); ok {
		s.Address = uint16(v)
	} else if o["address"] == nil {
		r.at(n, "%s: address is missing: write the protocol address, counted from 0", name)
	}
	if v, ok := r.choice(o["table"], name+": table", "holding", "input"); ok {
		s.Table = v
	}
	s.Type, _ = r.choice(o["type"], name+": type", modbus.SerialTypes()...)
	if o["type"] == nil {
		r.at(n, "%s: type is missing: write %s", name, oneOf(modbus.SerialTypes()))
	}
	s.Order, _ = r.text(o["order"], name+": order")
	words, _ := r.whole(o["words"], name+": words", 1, 32)
	s.Words = int(words)
	if len(r.problems) > before {
		return nil
	}
	if err := s.Check(); err != nil {
		r.at(n, "%s: %v", name, err)
		return nil
	}
	return &s
}
