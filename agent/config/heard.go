package config

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/perseus-edge/perseus-edge/drivers/dcc"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/unit"
)

// listeningKeys belong to buses that speak by themselves, heardKeys to the
// meters on them, and askedKeys to meters that are asked.
var (
	listeningKeys = []string{"format", "backup", "client_id", "user", "password_file", "token_file", "ca", "cert", "key", "stale", "silent"}
	heardKeys     = []string{"device", "metadata", "points", "expect"}
	askedKeys     = []string{"unit", "template", "registers", "input", "pulse", "poll", "serial_register", "alarms", "part", "counts"}
)

// DefaultExpect is how long a meter that speaks by itself may be silent before
// that is a fault: a little more than a period.
const DefaultExpect = 35 * time.Minute

func (c *Config) bus(id string) (Bus, bool) {
	for _, b := range c.Buses {
		if b.ID == id {
			return b, true
		}
	}
	return Bus{}, false
}

// listening reads how a bus that speaks by itself is heard.
func (p *parse) listening(n ast.Node, o map[string]ast.Node, name string, b *Bus) {
	l := &Listening{Stale: mqtt.DefaultStale, ClientID: "perseus-edge-" + b.ID}
	b.Listening = l
	formats, check := mqtt.Formats(), mqtt.CheckURL
	if b.Driver == "dcc" {
		formats = dcc.Formats()
	}
	l.Format, _ = p.choice(o["format"], name+": format", formats...)
	if o["format"] == nil {
		p.at(n, "%s: format is missing: write one of %s", name, strings.Join(formats, ", "))
	}
	if b.Driver == "dcc" {
		check = func(s string) error { return dcc.CheckURL(l.Format, s) }
	}
	urls := []ast.Node{o["url"]}
	if o["url"] == nil {
		p.at(n, "%s: url is missing: write where it is heard, such as url: \"mqtt://host:1883\"", name)
		urls = nil
	}
	urls = append(urls, p.listOrNil(o["backup"], name+": backup")...)
	for _, u := range urls {
		s, ok := p.text(u, name+": url")
		if !ok {
			continue
		}
		if err := check(s); err != nil {
			p.at(u, "%s: %v", name, err)
			continue
		}
		l.URLs = append(l.URLs, s)
	}
	if len(l.URLs) > 0 {
		b.URL = l.URLs[0]
	}
	for _, f := range []struct {
		key string
		to  *string
	}{{"client_id", &l.ClientID}, {"user", &l.User}, {"password_file", &l.Password}, {"token_file", &l.Token}, {"ca", &l.CA}, {"cert", &l.Cert}, {"key", &l.Key}} {
		if o[f.key] != nil {
			*f.to, _ = p.text(o[f.key], name+": "+f.key)
		}
	}
	if (l.Cert == "") != (l.Key == "") {
		p.at(n, "%s: cert and key belong together: give both, or neither", name)
	}
	if d, ok := p.duration(o["stale"], name+": stale", time.Second, Day); ok {
		l.Stale = d
	}
	l.Silent = p.yes(o["silent"], name+": silent")
	for _, key := range []string{"timeout", "pause", "single_client"} {
		if o[key] != nil {
			p.at(o[key], "%s: %s is for buses whose meters are asked: leave it out", name, key)
		}
	}
}

// heardMeter reads a meter on a bus that speaks by itself.
func (p *parse) heardMeter(n ast.Node, o map[string]ast.Node, name string, b Bus, m *Meter) {
	for _, key := range askedKeys {
		if o[key] != nil {
			p.at(o[key], "%s: %s is for meters that are asked over Modbus; on bus %s (%s) give device and points", name, key, b.ID, b.Driver)
		}
	}
	m.Poll = DefaultExpect
	if d, ok := p.duration(o["expect"], name+": expect", time.Second, 400*Day); ok {
		m.Poll = d
	} else if b.Driver == "dcc" && b.Listening.Format != "glow" {
		m.Poll = 3 * Day // feeds of half-hours come a day late
	}
	m.Device, _ = p.text(o["device"], name+": device")
	if m.Device == "" && b.Driver == "dcc" {
		m.Device = cmp.Or(m.MPAN, m.MPRN)
	}
	m.Device = cmp.Or(m.Device, m.ID)
	m.Metadata, _ = p.text(o["metadata"], name+": metadata")
	m.Serial, _ = p.text(o["serial"], name+": serial")
	p.conversion(o, name, m)
	m.Rating = p.rating(o["rating"], name)
	for _, key := range []string{"ct", "vt", "primary"} {
		if o[key] != nil {
			p.at(o[key], "%s: %s: what comes over %s is taken as primary values: use scale where it is not", name, key, b.Driver)
		}
	}
	switch {
	case b.Driver == "dcc" && o["points"] == nil:
		m.Registers = p.fed(n, o, name, b)
	case o["points"] == nil:
		p.at(n, "%s: points is missing: write points: {import: {point: name, unit: kWh}}", name)
	case o["measures"] != nil:
		p.at(o["measures"], "%s: measures chooses from a feed: with points leave it out", name)
	default:
		p.each(o["points"], name+": points", func(key ast.Node, measure string, value ast.Node) {
			measured, err := energy.ParseMeasure(measure)
			if err != nil {
				p.at(key, "%s: unknown measure %q: %s", name, measure, pointsLevel.hint(measure))
				return
			}
			if r, ok := p.point(value, name+": "+measure, measured, b); ok {
				m.Registers = append(m.Registers, r)
			}
		})
	}
	slices.SortFunc(m.Registers, func(a, b Register) int { return cmp.Compare(a.Measure, b.Measure) })
	p.fitting(n, o, name, m)
	p.checkPowerHeard(o["check_power"], name, b, m)
	p.finishHeard(o, name, m)
	p.exchanges(o["exchanges"], name, m)
	p.validation(o["validate"], name, m)
	p.substitution(o, name, m)
	if m.CheckMeter, _ = p.text(o["check_meter"], name+": check_meter"); m.CheckMeter != "" {
		checked := *m
		p.later = append(p.later, func() { p.checkMeter(o["check_meter"], name, checked) })
	}
	p.cfg.Meters = append(p.cfg.Meters, *m)
}

// fed is what a feed that knows its own measures brings.
func (p *parse) fed(n ast.Node, o map[string]ast.Node, name string, b Bus) (out []Register) {
	brings := measuresLevel.keys
	if b.Listening.Format != "csv" { // smart meters, by way of the DCC
		brings = []string{energy.Import.String(), energy.Export.String(), energy.Gas.String()}
	}
	if o["measures"] == nil {
		p.at(n, "%s: measures is missing: write measures: [import], [gas] and so on: what the feed brings of this meter", name)
	}
	for _, item := range p.listOrNil(o["measures"], name+": measures") {
		s, ok := p.choice(item, name+": measures", brings...)
		if !ok {
			continue
		}
		m, _ := energy.ParseMeasure(s)
		if slices.ContainsFunc(out, func(r Register) bool { return r.Measure == m }) {
			p.at(item, "%s: measure %s is there twice", name, s)
			continue
		}
		out = append(out, Register{Point: modbus.Point{Measure: m}, Heard: &mqtt.Point{Measure: m}})
	}
	return out
}

// point reads where one register is in what a bus says.
func (p *parse) point(n ast.Node, name string, m energy.Measure, b Bus) (Register, bool) {
	before := len(p.problems)
	o := p.object(n, name, pointLevel)
	pt := mqtt.Point{Measure: m}
	for _, f := range []struct {
		key string
		to  *string
	}{
		{"point", &pt.Name}, {"topic", &pt.Topic}, {"each", &pt.Each}, {"value", &pt.Value}, {"time", &pt.Time}, {"time_format", &pt.TimeFormat},
		{"zone", &pt.Zone}, {"quality", &pt.Quality}, {"unit_path", &pt.Unit}, {"unit_topic", &pt.UnitTopic}, {"scale", &pt.Scale},
	} {
		*f.to, _ = p.text(o[f.key], name+": "+f.key)
	}
	for _, item := range p.listOrNil(o["good"], name+": good") {
		if s, ok := p.text(item, name+": good"); ok {
			pt.Good = append(pt.Good, s)
		}
	}
	for _, item := range p.listOrNil(o["invalid"], name+": invalid") {
		if s, ok := p.text(item, name+": invalid"); ok {
			pt.Invalid = append(pt.Invalid, s)
		}
	}
	pt.Power = p.yes(o["power"], name+": power")
	if s, ok := p.text(o["unit"], name+": unit"); ok {
		u, known := unit.Named(s)
		if !known {
			p.at(o["unit"], "%s: unknown unit %q: %s", name, s, suggest(s, unit.Names()))
		} else if pt.UnitName = s; u.Power() {
			pt.Power = true
		}
	}
	pt.Interval, _ = p.duration(o["interval"], name+": interval", time.Minute, Day)
	modulus, _ := p.whole(o["modulus"], name+": modulus", 2, 1<<62)
	if len(p.problems) > before {
		return Register{}, false
	}
	if b.Driver == "mqtt" {
		if err := pt.Check(); err != nil {
			p.at(n, "%s: %v", name, err)
			return Register{}, false
		}
	}
	return Register{Point: modbus.Point{Measure: m, Unit: pt.UnitName, Scale: pt.Scale}, Heard: &pt, Power: pt.Power, Modulus: modulus}, true
}

// finishHeard fills in what follows from the meter's rating.
func (p *parse) finishHeard(o map[string]ast.Node, name string, m *Meter) {
	rating := m.Rating.withDefaults("", "")
	gap, given := p.duration(o["max_gap"], name+": max_gap", time.Second, p.cfg.Period)
	if !given {
		gap = min(p.cfg.Period, 3*DefaultMaxGap) // messages come when something changes
	}
	for i := range m.Registers {
		r := &m.Registers[i]
		if r.Power {
			r.MaxGap = gap
		}
		if u, known := unit.Named(r.Heard.UnitName); known && r.Modulus > 0 && !u.Power() {
			f := new(big.Rat).Mul(u.Factor(), new(big.Rat).SetInt64(r.Modulus))
			if !f.IsInt() || !f.Num().IsInt64() {
				p.at(o["points"], "%s: %s: modulus %d is not a whole number of %s", name, r.Measure, r.Modulus, r.Measure.BaseUnit())
				continue
			}
			r.Modulus = f.Num().Int64()
		}
		r.MaxPower, r.MaxEnergy = rating.maxPower(r.Measure), rating.maxEnergy(r.Measure, p.cfg.Period)
	}
	if len(m.Registers) > 0 && rating.Known(m.Registers[0].Measure) {
		m.Rating = rating
	}
}
