package config

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
)

// Virtual is what a virtual meter is made of: exactly one of Sum, Minus and
// Shares is not empty.
type Virtual struct {
	Measures  []energy.Measure  // what all its inputs measure (or what the file chose of it), in order
	Sum       []string          // ids of the meters that it adds up
	Of        string            // id of the meter that it is a difference or a share of
	Minus     []string          // ids of the meters that are taken off
	Shares    []Share           // in the order of From
	Method    virtual.Method    // the ground of the shares; 0 for the others
	Tolerance virtual.Tolerance // of a difference
}

// Share is a part of another meter's energy from an instant on. Before the
// first From the share is not known.
type Share struct {
	From time.Time // UTC, the start of a settlement day; zero: since ever
	Part virtual.Part
	Text string // as the file has it: 0.35
}

// Inputs are the ids of the meters that it is made of; of a difference the
// main meter comes first.
func (v *Virtual) Inputs() []string {
	var out []string
	if v.Of != "" {
		out = append(out, v.Of)
	}
	return append(append(out, v.Sum...), v.Minus...)
}

// Words say what it is, e.g. "main less a and b".
func (v *Virtual) Words() string {
	switch {
	case len(v.Sum) > 0:
		return "the sum of " + andOf(v.Sum)
	case len(v.Minus) > 0:
		return v.Of + " less " + andOf(v.Minus)
	}
	parts := make([]string, len(v.Shares))
	for i, s := range v.Shares {
		parts[i] = s.Text
		if !s.From.IsZero() {
			parts[i] += " from " + s.From.In(energy.London()).Format("2 January 2006")
		}
	}
	return fmt.Sprintf("a share of %s by %s: %s", v.Of, v.Method, andOf(parts))
}

func andOf(words []string) string {
	return strings.Replace(oneOf(words), " or ", " and ", 1)
}

// Virtuals are the definitions of the virtual meters, in the order of the
// file, as energy/virtual.New wants them. Its Plan is in order: Parse saw to it.
func (c *Config) Virtuals() []virtual.Meter {
	var out []virtual.Meter
	for _, m := range c.Meters {
		if m.Virtual != nil {
			out = append(out, m.Virtual.meter(m.ID))
		}
	}
	return out
}

func (v *Virtual) meter(id string) virtual.Meter {
	m := virtual.Meter{ID: id, Kind: virtual.Sum, Of: v.Inputs()}
	switch {
	case len(v.Minus) > 0:
		m.Kind, m.Tolerance = virtual.Difference, v.Tolerance
	case len(v.Shares) > 0:
		m.Kind, m.Method = virtual.Share, v.Method
		for _, s := range v.Shares {
			m.Shares = append(m.Shares, virtual.Dated{From: s.From, Part: s.Part})
		}
	}
	return m
}

// notVirtual are the keys that only a meter on a bus has.
var notVirtual = []string{"bus", "unit", "template", "registers", "input", "pulse", "poll", "ct", "vt", "primary", "rating", "serial", "serial_register",
	"corrected", "zone", "vcf", "converted_from", "check_meter", "check_power", "alarms", "part", "counts", "exchanges", "max_gap", "substitute", "substitute_after"}

// virtual reads what a virtual meter is made of. What it refers to is looked
// up when all meters are known: see resolve.
func (p *parse) virtual(n ast.Node, o map[string]ast.Node, name string) *Virtual {
	for _, key := range notVirtual {
		switch {
		case o[key] == nil:
		case strings.HasPrefix(key, "substitute"):
			p.at(o[key], "%s: %s: what is missing of a virtual meter is filled by its inputs: put it there", name, key)
		default:
			p.at(o[key], "%s: a virtual meter is on no bus and has no %s: leave it out", name, key)
		}
	}
	before := len(p.problems)
	def := p.object(n, name+": virtual", virtualLevel)
	v := &Virtual{Sum: p.ids(def["sum"], name+": sum"), Minus: p.ids(def["minus"], name+": minus")}
	v.Of, _ = p.text(def["of"], name+": of")
	share := def["share"] != nil || def["shares"] != nil
	kinds := 0
	for _, is := range []bool{def["sum"] != nil, def["minus"] != nil, share} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1 && len(p.problems) == before:
		p.at(n, "%s: a virtual meter is one of {sum: [a, b]}, {of: main, minus: [a, b]} and {of: main, share: 0.35, method: AreaOccupied}", name)
	case kinds != 1:
	case def["sum"] != nil && def["of"] != nil:
		p.at(def["of"], "%s: of belongs to a difference or a share: a sum has only sum", name)
	case def["sum"] == nil && def["of"] == nil:
		p.at(n, "%s: of is missing: name the meter that it is a part of", name)
	}
	if share {
		p.shares(v, n, def, name)
	} else if def["method"] != nil {
		p.at(def["method"], "%s: method is the ground of a share: leave it out", name)
	}
	p.tolerance(v, def, name)
	if len(p.problems) > before {
		return nil
	}
	return v
}

func (p *parse) ids(n ast.Node, what string) []string {
	var out []string
	for _, item := range p.listOrNil(n, what) {
		id, ok := p.text(item, what)
		switch {
		case !ok:
		case slices.Contains(out, id):
			p.at(item, "%s: %s is there twice, and would be counted twice", what, id)
		default:
			out = append(out, id)
		}
	}
	if n != nil && len(out) == 0 {
		p.at(n, "%s is empty: name at least one meter", what)
	}
	return out
}

func (p *parse) shares(v *Virtual, n ast.Node, def map[string]ast.Node, name string) {
	words := []string{}
	for m := virtual.AreaOccupied; m <= virtual.Other; m++ {
		words = append(words, m.String())
	}
	if s, ok := p.choice(def["method"], name+": method", words...); ok {
		v.Method, _ = virtual.ParseMethod(s)
	} else if def["method"] == nil {
		p.at(n, "%s: method is missing: say on what ground the meter is shared: %s", name, oneOf(words))
	}
	if def["share"] != nil && def["shares"] != nil {
		p.at(def["shares"], "%s: give share or shares, not both", name)
		return
	}
	if def["share"] != nil {
		p.share(v, def["share"], nil, name)
		return
	}
	items := p.list(def["shares"], name+": shares")
	for _, item := range items {
		s := p.object(item, name+": a share", shareLevel)
		if s["share"] == nil {
			p.at(item, "%s: share is missing: write {from: 2026-01-01, share: 0.35}", name)
			continue
		}
		p.share(v, s["share"], s["from"], name)
	}
	if len(items) == 0 && def["shares"].Type() == ast.SequenceType {
		p.at(def["shares"], "%s: shares is empty: write [{from: 2026-01-01, share: 0.35}]", name)
	}
}

func (p *parse) share(v *Virtual, n, from ast.Node, name string) {
	text, ok := p.text(n, name+": share")
	if !ok {
		return
	}
	s := Share{Text: text}
	var err error
	if s.Part, err = virtual.ParsePart(text); err != nil {
		p.at(n, "%s: %v", name, err)
	}
	if word, ok := p.text(from, name+": from"); ok {
		day, err := time.Parse(time.DateOnly, word)
		if err != nil || day.Year() < 2000 || day.Year() >= 2200 {
			p.at(from, "%s: from %q is not a day: write it as 2026-01-31", name, word)
		} else {
			s.From = energy.SettlementDay(day.Date()).Start(1)
		}
	}
	if k := len(v.Shares); k > 0 && !s.From.After(v.Shares[k-1].From) {
		at := from
		if at == nil {
			at = n
		}
		p.at(at, "%s: shares must stand in the order of their days, each with a from of its own", name)
	}
	v.Shares = append(v.Shares, s)
}

func (p *parse) tolerance(v *Virtual, def map[string]ast.Node, name string) {
	n := def["tolerance"]
	text, ok := p.text(n, name+": tolerance")
	if !ok {
		return
	}
	r, err := unit.Decimal(strings.TrimSuffix(text, "%"))
	if err != nil || r.Sign() <= 0 {
		p.at(n, "%s: tolerance %q: write it in per cent, such as 3%%", name, text)
		return
	}
	mille := r.Mul(r, tenRat)
	switch {
	case !mille.IsInt() || mille.Cmp(thousandRat) > 0:
		p.at(n, "%s: tolerance %q is out of range: 0.1%% to 100%%, in steps of 0.1", name, text)
	case def["minus"] == nil:
		p.at(n, "%s: tolerance belongs to a difference: leave it out", name)
	default:
		v.Tolerance.PerMille = mille.Num().Int64()
	}
}

// resolve looks up what meters say of each other, once all are known.
func (p *parse) resolve() {
	for _, f := range p.later {
		f()
	}
	if len(p.problems) > 0 {
		return
	}
	defs := p.cfg.Virtuals()
	plan, err := virtual.New(p.cfg.Period, defs)
	if err != nil { // said at the first meter with which it does not go on
		k := sort.Search(len(defs)-1, func(i int) bool { _, err := virtual.New(p.cfg.Period, defs[:i+1]); return err != nil })
		_, err = virtual.New(p.cfg.Period, defs[:k+1])
		p.at(p.nodes[defs[k].ID], "%s", strings.TrimPrefix(err.Error(), "virtual "))
		return
	}
	for _, id := range plan.Order() {
		p.common(id)
	}
}

// common finds out what a virtual meter measures: what all its inputs do.
func (p *parse) common(id string) {
	i := slices.IndexFunc(p.cfg.Meters, func(m Meter) bool { return m.ID == id })
	v := p.cfg.Meters[i].Virtual
	var common []energy.Measure
	for k, in := range v.Inputs() {
		m, _ := p.cfg.Meter(in)
		if k == 0 {
			common = slices.Clone(m.Measures())
			continue
		}
		common = slices.DeleteFunc(common, func(x energy.Measure) bool { return !slices.Contains(m.Measures(), x) })
	}
	if len(common) == 0 {
		p.at(p.nodes[id], "meter %s: %s measure nothing that they have in common", id, andOf(v.Inputs()))
		return
	}
	if chosen := p.chosenOf[id]; chosen != nil {
		has := make([]string, len(common))
		for k, m := range common {
			has[k] = m.String()
		}
		want := p.measuresFrom(chosen, "meter "+id+": measures", has)
		common = slices.DeleteFunc(common, func(m energy.Measure) bool { return !want[m] })
	}
	v.Measures = common
}
