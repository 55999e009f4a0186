package config

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// DefaultSubstituteAfter is how long late actuals are waited for before a
// missing half-hour is filled. Feeds catch up within a day or two.
const DefaultSubstituteAfter = 2 * Day

var (
	tenRat      = big.NewRat(10, 1)
	thousandRat = big.NewRat(1000, 1)
)

// threshold is one number that a validation rule judges by.
type threshold struct {
	rule int
	key  string
	read func(p *parse, n ast.Node, what string, m *Meter, o *validate.Options)
}

// thresholds are those that the file may change; see validate.Options.
var thresholds = []threshold{
	{5, "energy", amount(func(o *validate.Options) *int64 { return &o.MaxEnergy })},
	{6, "half_hours", number(1, 17_520, func(o *validate.Options) *int { return &o.ZeroRun })},
	{7, "energy", amount(func(o *validate.Options) *int64 { return &o.StuckEnergy })},
	{8, "percent", tenths(func(o *validate.Options) *int { return &o.SumTenths })},
	{9, "class", tenths(func(o *validate.Options) *int { return &o.Class })},
	{9, "check_class", tenths(func(o *validate.Options) *int { return &o.CheckClass })},
	{11, "fine", span(time.Second, time.Hour, func(o *validate.Options) *time.Duration { return &o.FineClock })},
	{11, "lost", span(time.Minute, Day, func(o *validate.Options) *time.Duration { return &o.LostClock })},
	{12, "old", span(time.Hour, 3660*Day, func(o *validate.Options) *time.Duration { return &o.TooOld })},
	{13, "stale", span(time.Second, 31*Day, func(o *validate.Options) *time.Duration { return &o.Stale })},
	{14, "percent", number(1, 100, func(o *validate.Options) *int { return &o.MaxEstimated })},
	{16, "k", number(1, 1000, func(o *validate.Options) *int { return &o.SpikeK })},
	{16, "weeks", number(2, 26, func(o *validate.Options) *int { return &o.SpikeWeeks })},
	{20, "power_factor", hundredths(func(o *validate.Options) *int { return &o.MinPF })},
}

// thresholdKeys are the keys of one rule.
func thresholdKeys(rule int) (keys []string) {
	for _, t := range thresholds {
		if t.rule == rule {
			keys = append(keys, t.key)
		}
	}
	return keys
}

func number(lo, hi int64, field func(*validate.Options) *int) func(*parse, ast.Node, string, *Meter, *validate.Options) {
	return func(p *parse, n ast.Node, what string, _ *Meter, o *validate.Options) {
		if v, ok := p.whole(n, what, lo, hi); ok {
			*field(o) = int(v)
		}
	}
}

func tenths(field func(*validate.Options) *int) func(*parse, ast.Node, string, *Meter, *validate.Options) {
	return func(p *parse, n ast.Node, what string, _ *Meter, o *validate.Options) {
		if v, ok := p.decimal(n, what, 10, "0.1", "100"); ok {
			*field(o) = int(v)
		}
	}
}

func hundredths(field func(*validate.Options) *int) func(*parse, ast.Node, string, *Meter, *validate.Options) {
	return func(p *parse, n ast.Node, what string, _ *Meter, o *validate.Options) {
		if v, ok := p.decimal(n, what, 100, "0.01", "1"); ok {
			*field(o) = int(v)
		}
	}
}

func span(lo, hi time.Duration, field func(*validate.Options) *time.Duration) func(*parse, ast.Node, string, *Meter, *validate.Options) {
	return func(p *parse, n ast.Node, what string, _ *Meter, o *validate.Options) {
		if d, ok := p.duration(n, what, lo, hi); ok {
			*field(o) = d
		}
	}
}

// amount reads an amount with its unit, "50 kWh", of something that the meter
// measures; all its measures are held to as many base units.
func amount(field func(*validate.Options) *int64) func(*parse, ast.Node, string, *Meter, *validate.Options) {
	return func(p *parse, n ast.Node, what string, m *Meter, o *validate.Options) {
		s, ok := p.text(n, what)
		if !ok {
			return
		}
		measures, such := m.Measures(), "50 kWh"
		if len(measures) == 0 { // a virtual one, whose inputs are not all known yet
			measures = energy.Measures()
		}
		if measures[0].BaseUnit() == "L" {
			such = "5 m3"
		}
		for _, measure := range measures {
			if v, err := unit.Amount(s, measure); err == nil && v > 0 {
				*field(o) = v
				return
			}
		}
		p.at(n, "%s: %q is not an amount of what the meter measures: write a number and its unit, such as %s", what, s, such)
	}
}

// validation reads {V06: off, V16: {k: 8}}.
func (p *parse) validation(n ast.Node, name string, m *Meter) {
	if n == nil {
		return
	}
	var ids []string
	for _, r := range validate.Rules() {
		ids = append(ids, r.ID)
	}
	p.each(n, name+": validate", func(key ast.Node, word string, value ast.Node) {
		if !slices.Contains(ids, word) {
			p.at(key, "%s: validate: unknown rule %q: %s", name, word, suggestRule(word, ids))
			return
		}
		rule, _ := validate.ParseRule(word)
		what := name + ": validate: " + word
		switch value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			p.thresholds(value, what, rule, m)
			return
		case *ast.NullNode:
			p.at(key, "%s has no value: write off, or leave the key out", what)
			return
		}
		switch s, ok := p.text(value, what); {
		case !ok:
		case s == "off" || s == "false":
			m.Off = m.Off.With(rule)
		case s != "on" && s != "true":
			p.at(value, "%s: %q: write on or off%s", what, s, orKeys(rule))
		}
	})
}

// suggestRule is for V6 and v06 as well as for slips.
func suggestRule(word string, ids []string) string {
	if n, err := validate.ParseRule(word); err == nil {
		return "did you mean \"" + ids[n-1] + "\"?"
	}
	return "use V01 to " + ids[len(ids)-1]
}

func orKeys(rule int) string {
	keys := thresholdKeys(rule)
	if len(keys) == 0 {
		return ""
	}
	return ", or {" + strings.Join(keys, ": .., ") + ": ..}"
}

func (p *parse) thresholds(n ast.Node, what string, rule int, m *Meter) {
	keys := thresholdKeys(rule)
	if len(keys) == 0 {
		p.at(n, "%s: nothing about this rule can be set: write on or off", what)
		return
	}
	o := p.object(n, what, &level{keys: keys})
	for _, t := range thresholds {
		if t.rule == rule && o[t.key] != nil {
			t.read(p, o[t.key], what+": "+t.key, m, &m.Thresholds)
		}
	}
	if rule == 11 && cmp.Or(m.Thresholds.FineClock, 20*time.Second) >= cmp.Or(m.Thresholds.LostClock, 15*time.Minute) {
		p.at(n, "%s: fine must be less than lost (20s and 15m where one is not given)", what)
	}
}

// substitution reads which methods may fill what is missing.
func (p *parse) substitution(o map[string]ast.Node, name string, m *Meter) {
	for _, item := range p.listOrNil(o["substitute"], name+": substitute") {
		s, ok := p.choice(item, name+": substitute", SubstituteMethods...)
		switch {
		case !ok:
		case slices.Contains(m.Substitute, s):
			p.at(item, "%s: substitute: %s is there twice", name, s)
		case s == "check-meter" && o["check_meter"] == nil:
			p.at(item, "%s: substitute: check-meter needs check_meter: name the meter that counts the same", name)
		default:
			m.Substitute = append(m.Substitute, s)
		}
	}
	slices.SortFunc(m.Substitute, func(a, b string) int { // the order is fixed: feeds.md 3.4
		return slices.Index(SubstituteMethods, a) - slices.Index(SubstituteMethods, b)
	})
	d, given := p.duration(o["substitute_after"], name+": substitute_after", 0, 31*Day)
	switch {
	case o["substitute"] == nil && given:
		p.at(o["substitute_after"], "%s: substitute_after without substitute: say which methods are allowed: [%s]", name, strings.Join(SubstituteMethods, ", "))
	case given:
		m.SubstituteAfter = d
	case o["substitute"] != nil:
		m.SubstituteAfter = DefaultSubstituteAfter
	}
}

// identifiers reads the numbers that the market knows a meter by.
func (p *parse) identifiers(o map[string]ast.Node, name string, m *Meter) {
	if s, ok := p.text(o["mpan"], name+": mpan"); ok {
		m.MPAN = strings.ReplaceAll(s, " ", "")
		if err := energy.CheckMPAN(m.MPAN); err != nil {
			p.at(o["mpan"], "%s: %v", name, err)
		}
	}
	if s, ok := p.text(o["mprn"], name+": mprn"); ok {
		m.MPRN = strings.ReplaceAll(s, " ", "")
		if err := energy.CheckMPRN(m.MPRN); err != nil {
			p.at(o["mprn"], "%s: %v", name, err)
		}
	}
}
