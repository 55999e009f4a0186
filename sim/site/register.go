package site

import (
	"math/big"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/bacnet"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
	"github.com/perseus-edge/perseus-edge/sim/fault"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// register is one register of a simulated meter: what has flowed, what it
// shows of that, and how it writes it.
type register struct {
	meter   string
	cfg     config.Register
	load    *meter.Load
	factor  *big.Rat // base units to one count, or to one of the source's unit
	unit    string   // in which the source speaks; "" for a count
	modulus *big.Int // counts at which it begins anew; nil: never
	dice    *fault.Dice
	shift   *big.Int                 // counts that were on it before: so that it runs over when it is to
	beside  []*register              // not nil: it is the power to check these totals by, or another sign, and has no load of its own
	phased  bool                     // a total of active energy, of a meter that shows the power of its phases
	shows   func(time.Time) *big.Rat // of a sign: what it shows, in its own unit before scale; nil: the power of the totals
}

// How much of a load is made: of a feed of half-hours from 13 months before the
// start on, what a smart meter keeps; of a register a few days. After a quarter
// the registers stand still.
const (
	historyMonths = 13
	daysBack      = 3
	ahead         = 92 * 24 * time.Hour
)

// newRegister makes a register of a meter. like is the meter whose load it has:
// its own, or that of the one that it checks.
func newRegister(m config.Meter, like string, r config.Register, from, start time.Time) (*register, error) {
	out := &register{meter: m.ID, cfg: r, shift: new(big.Int)}
	var err error
	if r.Heard != nil {
		err = out.heard()
	} else if out.factor, err = r.Factor(); err == nil {
		out.factor.Abs(out.factor)
		out.modulus = countsOf(r)
	}
	if err != nil {
		return nil, err
	}
	out.load = meter.NewLoad(like+"/"+r.Measure.String(), shapeOf(like, r), from.Truncate(24*time.Hour), start.Add(ahead))
	return out, nil
}

// newCheckPower makes the power that a meter shows beside its totals: of their
// loads, and with the sign that the file gives it.
func newCheckPower(m config.Meter, totals []*register) (*register, error) {
	out := &register{meter: m.ID, cfg: *m.CheckPower, shift: new(big.Int), beside: totals}
	if out.cfg.Heard != nil {
		return out, out.heard()
	}
	var err error
	out.factor, err = out.cfg.Factor()
	return out, err
}

// heard is how a source that speaks by itself writes the register.
func (r *register) heard() error {
	p := r.cfg.Heard
	if r.unit = p.UnitName; r.unit == "" {
		r.unit = map[string]string{"Wh": "kWh", "varh": "kvarh", "L": "m3"}[r.cfg.Measure.BaseUnit()]
		if p.Power {
			r.unit = map[string]string{"Wh": "kW", "varh": "kvar"}[r.cfg.Measure.BaseUnit()]
		}
	}
	u, ok := unit.Named(r.unit)
	if !ok {
		u, _ = unit.Named("Wh")
	}
	r.factor = u.Factor()
	if p.Scale != "" {
		s, err := bacnet.Scale(p.Scale)
		if err != nil {
			if s, err = unit.Decimal(p.Scale); err != nil {
				return err
			}
		}
		if r.beside == nil {
			s.Abs(s)
		}
		r.factor.Mul(r.factor, s)
	}
	if r.cfg.Modulus > 0 {
		r.modulus = r.counts(r.cfg.Modulus)
	}
	return nil
}

// countsOf is at how many counts a Modbus register begins anew.
func countsOf(r config.Register) *big.Int {
	bits := map[string]uint{"uint16": 16, "int16": 15, "uint32": 32, modbus.TypeSunSpec: 32, "int32": 31, "uint64": 64, "int64": 63}[r.Type]
	switch {
	case r.Power:
		return nil
	case r.Type == "bcd":
		return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(8, 2*len(r.Order)))), nil)
	case bits == 0:
		return nil
	}
	all := new(big.Int).Lsh(big.NewInt(1), bits)
	if f, err := r.Factor(); err == nil && r.Modulus > 0 { // the file may say that it runs over sooner
		sooner := new(big.Rat).Quo(big.NewRat(r.Modulus, 1), f)
		if n := new(big.Int).Quo(sooner.Num(), sooner.Denom()); n.Cmp(all) < 0 {
			return n
		}
	}
	return all
}

// flowed is what has flowed by then, in base units.
func (r *register) flowed(t time.Time) int64 { return r.load.Register(t) }

// total is what the meter shows, in base units, with all that happens to it
// but the momentary faults.
func (r *register) total(t time.Time) int64 {
	if r.dice != nil {
		for _, f := range r.dice.All("freeze") {
			if from := r.dice.Start().Add(f.At); t.After(from) && t.Before(from.Add(f.For)) {
				t = from
			}
		}
	}
	v := r.flowed(t) - r.missed(t)
	if at, ok := r.exchanged(t); ok {
		v -= r.flowed(at) - r.missed(at) - opening
	}
	return v
}

// opening is what the meter that is put in shows, in base units.
const opening = 20

// exchanged is when the meter was exchanged last, by then.
func (r *register) exchanged(t time.Time) (at time.Time, ok bool) {
	if r.dice == nil {
		return at, false
	}
	for _, f := range r.dice.All("exchange") {
		if when := r.dice.Start().Add(f.At); !t.Before(when) && when.After(at) {
			at, ok = when, true
		}
	}
	return at, ok
}

// counts is an amount in counts, rounded down, as a meter counts.
func (r *register) counts(base int64) *big.Int {
	v := new(big.Rat).Quo(big.NewRat(base, 1), r.factor)
	return new(big.Int).Quo(v.Num(), v.Denom())
}

// raw is the register in counts, run over where it runs over.
func (r *register) raw(t time.Time) *big.Int {
	n := r.counts(r.total(t))
	n.Add(n, r.shift)
	if r.modulus != nil {
		n.Mod(n, r.modulus)
	}
	return n
}

// runOver sets the register so that it begins anew at that time.
func (r *register) runOver(at time.Time) {
	if r.modulus != nil {
		r.shift.Sub(r.modulus, r.counts(r.total(at)))
		r.shift.Mod(r.shift, r.modulus)
	}
}

// flows is what flows at a time, in W, var or litres an hour.
func (r *register) flows(t time.Time) int64 { return 2 * r.load.HalfHour(t.Truncate(energy.Period)) }

// power is the flow as the meter sees it. That to check totals by is what they
// import or generate less what they export.
func (r *register) power(t time.Time) int64 {
	if r.beside == nil {
		flow := r.flows(t)
		if r.turned(t) {
			flow -= lessOf(flow)
		}
		return flow
	}
	flow := r.sum(t, (*register).power)
	if strings.HasPrefix(r.cfg.Type, "uint") || r.cfg.Type == "bcd" { // it cannot say which way
		flow = max(flow, 0)
	}
	return flow
}

// sum is what the totals beside import or generate less what they export.
func (r *register) sum(t time.Time, of func(*register, time.Time) int64) (flow int64) {
	for _, total := range r.beside {
		switch total.cfg.Measure {
		case energy.Import, energy.Generation:
			flow += of(total, t)
		case energy.Export:
			flow -= of(total, t)
		}
	}
	return flow
}

// value is the register in the source's own unit, exactly: for formats that
// write numbers.
func (r *register) value(t time.Time) *big.Rat {
	switch {
	case r.shows != nil:
		return new(big.Rat).Quo(r.shows(t), r.factor)
	case r.cfg.Power:
		return new(big.Rat).Quo(big.NewRat(r.power(t), 1), r.factor)
	}
	if r.modulus != nil {
		return new(big.Rat).SetInt(r.raw(t))
	}
	return new(big.Rat).Quo(big.NewRat(r.total(t), 1), r.factor)
}

// shown is the register as the agent should know it, in base units.
func (r *register) shown(t time.Time) int64 {
	if r.modulus == nil {
		return r.total(t)
	}
	v := new(big.Rat).Mul(new(big.Rat).SetInt(r.raw(t)), r.factor)
	return new(big.Int).Quo(v.Num(), v.Denom()).Int64()
}

// text writes a number plainly, with as many decimals as it needs, to nine.
func text(v *big.Rat) string {
	s := v.FloatString(9)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}
