package site

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// bus is one bus of the site.
type bus struct {
	cfg     config.Bus
	at      where
	sources []*source
	faults  fault.List
	dice    *fault.Dice
	plays   []string
	player  player
	history time.Time // its half-hours are there from then on; zero: registers only
}

// player is what plays a bus.
type player interface {
	run(ctx context.Context) error
}

// names are the scopes that mean the bus.
func (b *bus) names() []string {
	out := []string{b.cfg.ID, b.cfg.Driver}
	if b.cfg.Listening != nil {
		return append(out, b.cfg.Listening.Format)
	}
	return append(out, b.at.scheme)
}

// rollOver sets the registers so that they run over when they are to.
func (b *bus) rollOver() error {
	for _, f := range b.dice.All("rollover") {
		some := false
		for _, src := range b.sources {
			for _, r := range src.registers {
				if r.modulus != nil && !r.cfg.Power && r.modulus.BitLen() < 60 {
					r.runOver(b.dice.Start().Add(f.At))
					some = true
				}
			}
		}
		if !some {
			return fmt.Errorf("fault %s: no register of bus %s ever runs over: floats and 64 bits do not, and over MQTT only those with modulus do", f, b.cfg.ID)
		}
	}
	return nil
}

// alarms sees that there is a bit to be set.
func (b *bus) alarms() error {
	for _, f := range b.dice.All("alarm") {
		if !slices.ContainsFunc(b.sources, func(s *source) bool { return len(s.meter.Alarms) > 0 }) {
			return fmt.Errorf("fault %s: no meter of bus %s has alarms in the configuration", f, b.cfg.ID)
		}
	}
	return nil
}

// reversed sees that there is a meter with phases.
func (b *bus) reversed() error {
	for _, f := range b.dice.All("reversed") {
		if !slices.ContainsFunc(b.sources, func(s *source) bool {
			return slices.ContainsFunc(s.registers, func(r *register) bool { return r.phased })
		}) {
			return fmt.Errorf("fault %s: no meter of bus %s is known to show the power of its phases: of a template, agent/scan/signs.yaml says where; eastron-sdm630 does", f, b.cfg.ID)
		}
	}
	return nil
}

// kind finds out what the bus can play.
func (b *bus) kind(s *Site) error {
	if b.cfg.Listening == nil {
		b.plays = modbusFaults
		if b.at.scheme == "rtu" || b.at.scheme == "rtuovertcp" {
			b.plays = rtuFaults
		}
		return nil
	}
	switch b.cfg.Listening.Format {
	case "n3rgy", "glowmarkt":
		b.plays, b.history = feedFaults, s.start.AddDate(0, -historyMonths, 0)
		return nil
	case "csv":
		b.plays, b.history = dropFaults, s.start.UTC().Truncate(24*time.Hour).AddDate(0, 0, -dropDays)
		return nil
	}
	f, err := b.format()
	if err != nil {
		return err
	}
	b.plays = f.faults()
	if s.opt.Broker != "" {
		b.at.url = s.opt.Broker
		b.plays = slices.DeleteFunc(slices.Clone(b.plays), func(n string) bool { return n == "retained" }) // it would stay there
	}
	return nil
}

// format is how the sources of an MQTT broker write.
func (b *bus) format() (format, error) {
	l := b.cfg.Listening
	switch l.Format {
	case "glow":
		return glow{prefix: prefixOf(b.cfg.URL)}, nil
	case "udmi":
		return udmi{}, nil
	case "sparkplug":
		return newSparkplug(), nil
	case "json":
		return newJSON(b.sources)
	}
	p, ok := presets[l.Format]
	if !ok {
		return nil, fmt.Errorf("format %s cannot be played yet", l.Format)
	}
	for _, s := range b.sources {
		for _, r := range s.all() {
			if h := r.cfg.Heard; h.Each+h.Value+h.Time+h.Unit+h.Quality != "" {
				return nil, fmt.Errorf("meter %s: a preset is played as it comes: with paths of its own write format json", s.meter.ID)
			}
		}
	}
	return p, nil
}

// make makes the player.
func (b *bus) make(s *Site) player {
	if b.cfg.Listening == nil {
		w := &wire{stations: map[uint8]*station{}, dice: b.dice, now: s.opt.Now, timeout: b.cfg.Timeout, serial: b.at.scheme == "rtu" || b.at.scheme == "rtuovertcp"}
		for _, src := range b.sources {
			st := w.stations[src.meter.Unit]
			if st == nil {
				m := src.meter
				st = &station{number: m.Unit, title: m.Template, serial: m.SerialRegister, names: [2]string{serialOf(m, ""), serialOf(m, "exchanged")}, parts: map[*register]int{}, dice: b.dice}
				w.stations[m.Unit] = st
			}
			st.alarms = append(st.alarms, src.meter.Alarms...)
			st.signs = append(st.signs, src.signs...)
			for _, r := range src.all() {
				if st.registers = append(st.registers, r); src.meter.SunSpec != nil {
					st.parts[r] = max(1, src.meter.SunSpec.Part)
				}
			}
		}
		return &line{wire: w, scheme: b.at.scheme, address: b.at.address, conns: map[io.Closer]bool{}}
	}
	web := &page{address: b.at.address, dice: b.dice, now: s.opt.Now}
	f := feed{page: web, sources: b.sources, key: s.key}
	switch b.cfg.Listening.Format {
	case "n3rgy":
		web.answer = f.n3rgy
		return web
	case "glowmarkt":
		web.answer = f.glowmarkt
		return web
	case "csv":
		return &drop{path: b.at.address, sources: b.sources, dice: b.dice, now: s.opt.Now, every: min(s.opt.Every, time.Second)}
	}
	form, _ := b.format() // it was made before: see kind
	var to broker = &ownBroker{address: b.at.address}
	if s.opt.Broker != "" {
		to = &givenBroker{url: s.opt.Broker}
	}
	return &speaker{broker: to, format: form, sources: b.sources, dice: b.dice, now: s.opt.Now, every: s.opt.Every}
}
