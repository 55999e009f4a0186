package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// countsOf takes the unit that a meter was set to, where its template leaves
// that open: many heat meters count what their display shows, kWh, MWh or GJ.
func (p *parse) countsOf(n ast.Node, o map[string]ast.Node, name string, t Template, m *Meter) {
	asked := false
	for i := range m.Registers {
		r := &m.Registers[i]
		if !r.Ask {
			continue
		}
		asked = true
		var units []string
		for _, u := range unit.For(r.Measure) {
			if x, _ := unit.Named(u); !x.Power() {
				units = append(units, u)
			}
		}
		if o["counts"] == nil {
			p.at(n, "%s: a %s counts in the unit that it was set to: write counts: and the unit on its display, one of %s", name, t.Name, strings.Join(units, " "))
			return
		}
		if u, ok := p.choice(o["counts"], name+": counts", units...); ok {
			r.Unit, r.Ask = u, false
		}
	}
	if !asked {
		p.notCounts(o, name)
	}
}

// notCounts refuses what belongs to such a template.
func (p *parse) notCounts(o map[string]ast.Node, name string) {
	if o["counts"] != nil {
		p.at(o["counts"], "%s: counts is for templates of meters that count in the unit that they were set to: leave it out", name)
	}
}
