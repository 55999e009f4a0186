package config

import (
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/energy"
)

// checkPower reads where a meter that is asked shows the power beside its
// totals: V07 tells by it that a register stands still.
func (p *parse) checkPower(n ast.Node, name string, m *Meter) {
	if n == nil {
		return
	}
	name += ": check_power"
	r, ok := p.register(n, name, energy.Import)
	if !ok || !p.powerBeside(n, name, r, m) {
		return
	}
	r.CT, r.VT, r.Primary = m.CT, m.VT, m.Primary
	if err := r.Check(); err != nil {
		p.at(n, "%s: %v", name, err)
		return
	}
	m.CheckPower = &r
}

// checkPowerHeard is checkPower for a meter on a bus that speaks by itself.
func (p *parse) checkPowerHeard(n ast.Node, name string, b Bus, m *Meter) {
	if n == nil {
		return
	}
	name += ": check_power"
	if b.Driver != "mqtt" {
		p.at(n, "%s: a feed of driver %s has no other points: leave it out", name, b.Driver)
		return
	}
	if r, ok := p.point(n, name, energy.Import, b); ok && p.powerBeside(n, name, r, m) {
		m.CheckPower = &r
	}
}

// powerBeside sees that it is a power, and that there is a total that it can
// be held against.
func (p *parse) powerBeside(n ast.Node, name string, r Register, m *Meter) bool {
	totals := []energy.Measure{energy.Import, energy.Export, energy.Generation}
	switch {
	case !r.Power:
		p.at(n, "%s: it is held against the totals, and must be a power: unit: W or kW", name)
	case len(m.Registers) > 0 && !slices.ContainsFunc(m.Registers, func(r Register) bool { return !r.Power && slices.Contains(totals, r.Measure) }):
		p.at(n, "%s: this meter has no total of active energy that it could be held against: leave it out", name)
	default:
		return true
	}
	return false
}
