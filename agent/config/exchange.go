package config

import (
	"cmp"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// Exchange is the operator's statement that the meter was replaced.
type Exchange struct {
	At                   time.Time // UTC
	OldSerial, NewSerial string    // empty where not stated
	Note                 string
	Reads                []ExchangeRead // ordered by measure, at least one
	Line                 int
}

// ExchangeRead is the last reading of the old meter and the first of the new
// one, in base units and with transformers counted in, as samples have it.
type ExchangeRead struct {
	Measure          energy.Measure
	Closing, Opening int64
}

// Of gives what is stated of one measure.
func (x *Exchange) Of(m energy.Measure) (ExchangeRead, bool) {
	for _, r := range x.Reads {
		if r.Measure == m {
			return r, true
		}
	}
	return ExchangeRead{}, false
}

// exchanges reads the operator's statements of one meter.
func (p *parse) exchanges(n ast.Node, name string, m *Meter) {
	for _, item := range p.listOrNil(n, name+": exchanges") {
		e, ok := p.exchange(item, name+": exchange", m)
		if k := len(m.Exchanges); ok && k > 0 && !e.At.After(m.Exchanges[k-1].At) {
			p.at(item, "%s: exchanges must stand in the order of time: this one is not after the one before it", name)
		}
		if ok {
			m.Exchanges = append(m.Exchanges, e)
		}
	}
	if k := len(m.Exchanges); k > 0 && m.Serial != "" && m.Exchanges[k-1].NewSerial != "" && m.Serial != m.Exchanges[k-1].NewSerial {
		p.at(n, "%s: serial is %s, but the last exchange put %s in its place: which of them hangs there now?", name, m.Serial, m.Exchanges[k-1].NewSerial)
	}
}

func (p *parse) exchange(n ast.Node, name string, m *Meter) (Exchange, bool) {
	before := len(p.problems)
	e := Exchange{Line: line(n)}
	o := p.object(n, name, exchangeLevel)
	if s, ok := p.text(o["at"], name+": at"); ok {
		if e.At, ok = instant(s); !ok {
			p.at(o["at"], "%s: at %q is not an instant: write 2026-03-04T10:20Z for UTC, or 2026-07-04T11:20+01:00 for a clock in summer time", name, s)
		}
	} else if o["at"] == nil {
		p.at(n, "%s: at is missing: write when, such as 2026-03-04T10:20Z", name)
	}
	e.OldSerial, _ = p.text(o["old_serial"], name+": old_serial")
	e.NewSerial, _ = p.text(o["new_serial"], name+": new_serial")
	e.Note, _ = p.text(o["note"], name+": note")
	for _, measure := range energy.Measures() {
		if read := o[measure.String()]; read != nil {
			p.exchangeRead(read, name+": "+measure.String(), m, measure, &e)
		}
	}
	if len(e.Reads) == 0 && len(p.problems) == before {
		p.at(n, "%s: no reading: write import: {closing: 12345.67, opening: 0.02}, as the two meters showed it", name)
	}
	slices.SortFunc(e.Reads, func(a, b ExchangeRead) int { return cmp.Compare(a.Measure, b.Measure) })
	return e, len(p.problems) == before
}

func (p *parse) exchangeRead(n ast.Node, name string, m *Meter, measure energy.Measure, e *Exchange) {
	o := p.object(n, name, readLevel)
	k := slices.IndexFunc(m.Registers, func(r Register) bool { return r.Measure == measure })
	switch {
	case k < 0 && len(m.Registers) == 0: // that is a mistake of its own
		return
	case k < 0:
		p.at(n, "%s: meter %s does not read %s: leave it out", name, m.ID, measure)
		return
	case m.Registers[k].Power:
		p.at(n, "%s: this is a power, which has no readings to close with: leave it out", name)
		return
	}
	r := ExchangeRead{Measure: measure}
	for _, f := range []struct {
		key string
		to  *int64
	}{{"closing", &r.Closing}, {"opening", &r.Opening}} {
		s, ok := p.text(o[f.key], name+": "+f.key)
		if o[f.key] == nil {
			p.at(n, "%s: %s is missing: write both readings, in %s", name, f.key, displayUnit(m.Registers[k].Point))
		}
		if ok {
			*f.to = p.shown(o[f.key], name+": "+f.key, s, m.Registers[k])
		}
	}
	e.Reads = append(e.Reads, r)
}

// displayUnit is the unit in which people read a register off the meter.
func displayUnit(p modbus.Point) string {
	if p.Unit == unit.Pulse {
		return "pulses"
	}
	return p.Unit
}

// shown turns a reading off a meter's display, "12345.67" in the register's
// unit or "12345.67 kWh", into base units as samples have it: times the
// transformers, unless the meter shows primary values, and rounded down as
// registers are. The register's scale is how it counts, not how the display
// shows it.
func (p *parse) shown(n ast.Node, what, s string, r Register) int64 {
	one := r.Point
	one.Scale = ""
	if r.Learnt {
		one.Type = "uint64"
	}
	number, word, _ := strings.Cut(strings.TrimSpace(s), " ")
	if word = strings.TrimSpace(word); word != "" && word != displayUnit(r.Point) {
		one.Unit, one.Pulse = word, ""
	}
	v, err := unit.Decimal(number)
	if err == nil && one.IsPower() {
		err = errors.New("power")
	}
	if err == nil {
		err = one.Check()
	}
	if err != nil || v.Sign() < 0 {
		p.at(n, "%s: %q is not a reading: write it in %s, such as 12345.67, or with its unit, such as %s", what, s, displayUnit(r.Point), sample(r.Measure))
		return 0
	}
	f, _ := one.Factor()
	if f.Mul(f, v); f.Cmp(big.NewRat(1<<60, 1)) > 0 || r.Modulus > 0 && whole(f, false) >= r.Modulus {
		p.at(n, "%s: %s is more than this register can show", what, s)
		return 0
	}
	return whole(f, false)
}

// sample is an amount of a measure as people write it.
func sample(m energy.Measure) string {
	switch m {
	case energy.Gas, energy.Water:
		return "12345.67 m3"
	case energy.ReactiveImport, energy.ReactiveExport:
		return "12345.67 kvarh"
	}
	return "12345.67 kWh"
}

// instant reads an instant with its distance from UTC, with or without seconds.
func instant(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 2000 && t.Year() < 2200 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
