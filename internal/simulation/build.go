package simulation

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// trouble makes the episodes of a component.
func (s *site) trouble(name string, i int, between, least, most time.Duration) episodes {
	if s.Quiet {
		between = 250 * 365 * 24 * time.Hour
	}
	return episodes{chance: s.of(name, i), between: between, least: least, most: most, calm: s.calm}
}

// build makes meters and wires from the seed.
func (s *site) build() {
	const perWire = 8
	day := 24 * time.Hour
	for i := range s.Meters {
		c := s.of("meter", i)
		if i%perWire == 0 {
			n := len(s.wires)
			s.wires = append(s.wires, &wire{site: s,
				down: s.trouble("wire", n, 40*day, 2*time.Second, 30*day),
				slow: s.trouble("slow wire", n, 10*day, time.Minute, day),
			})
			s.config.Buses = append(s.config.Buses, config.Bus{ID: fmt.Sprintf("bus%d", n), Driver: "simulated", URL: "sim://", Timeout: time.Second})
		}
		w := s.wires[len(s.wires)-1]
		m := &meter{id: fmt.Sprintf("m%d", i), silent: s.trouble("silent", i, 6*day, 2*time.Second, 6*day)}
		polls := []time.Duration{30 * time.Second, time.Minute, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}
		if s.Sparse {
			polls = []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute}
		}
		m.poll = polls[c.n(0, int64(len(polls)))]
		measures := [][]energy.Measure{{energy.Import}, {energy.Import, energy.Export}, {energy.Gas}, {energy.Import, energy.ReactiveImport}}[c.n(1, 4)]
		if i < 3 {
			measures = measures[:1] // a main meter and two behind it
			measures[0] = energy.Import
		}
		cfg := config.Meter{ID: m.id, Bus: s.config.Buses[len(s.config.Buses)-1].ID, Unit: uint8(i%perWire + 1), Poll: m.poll}
		fills := c.n(7, 3) == 0
		if fills {
			cfg.Substitute, cfg.SubstituteAfter = []string{"linear", "profile"}, 48*time.Hour
		}
		for j, measure := range measures {
			ch := s.channel(i, j, m.id, measure)
			ch.fills = fills
			m.channels = append(m.channels, ch)
			s.channels = append(s.channels, ch)
			cfg.Registers = append(cfg.Registers, config.Register{
				Point:   modbus.Point{Measure: measure, Address: uint16(4 * j), Type: "uint64", Unit: measure.BaseUnit()},
				Modulus: ch.modulus, MaxPower: ch.rating,
			})
		}
		s.beside(i, m, &cfg)
		if i == 2 {
			s.behind(s.channels[0], s.channels[1], s.channels[2])
		}
		if i >= 2 {
			s.exchange(i, m)
		}
		s.meters[m.id] = m
		w.meters = append(w.meters, m)
		s.config.Meters = append(s.config.Meters, cfg)
	}
}

// behind puts two meters behind a main one.
func (s *site) behind(main, a, b *channel) {
	main.load.parts = []*load{&a.load, &b.load}
	main.rating += a.rating + b.rating
	main.modulus = 0
	m, _ := s.config.Meter(main.key.Meter)
	m.Registers[0].MaxPower, m.Registers[0].Modulus = main.rating, 0
	for i, meter := range []string{main.key.Meter, a.key.Meter} {
		s.exchange(i, s.meters[meter])
	}
}

func (s *site) channel(i, j int, meter string, measure energy.Measure) *channel {
	c := s.of("register", i*8+j)
	rating := []int64{5_000, 20_000, 70_000, 250_000, 2_000_000}[c.n(0, 5)]
	modulus := []int64{0, 0, 10_000_000, 1_000_000_000, 1 << 32, 1 << 48}[c.n(1, 6)]
	if modulus > 0 && modulus < 200*rating {
		modulus = 0
	}
	step := []int64{1, 1, 10, 100, 1000}[c.n(2, 5)]
	r := register{key: energy.Key{Meter: meter, Measure: measure}, modulus: modulus, rating: rating, step: step,
		load: load{kind: measure, most: rating * 4 / 5, noise: c.of("load", 0)}}
	first := c.n(3, 1_000_000_000)
	if modulus > 0 {
		first = c.n(3, modulus)
	}
	load := r.load.again()
	r.fits = []fitting{{fitted: s.begin, shows: first / step * step, before: load.total(s.begin)}}
	day := 24 * time.Hour
	return &channel{register: r, chance: c, calm: s.calm, good: -1, sure: -1, lates: map[int64]delivery{},
		faults: s.trouble("register", i*8+j, day, time.Second, 40*time.Minute)}
}

// exchange plans when the meter is taken down and another one hung up, whose
// registers begin near 0. Where the meter does not tell its serial number,
// only the fall gives that away: then the old one must have counted enough,
// and stand away from a wrap, and nothing else may happen at the time.
func (s *site) exchange(i int, m *meter) {
	c := s.of("exchange", i)
	m.tells = c.n(-1, 2) == 0
	for at, n := s.begin, int64(0); !s.Quiet; n += 8 {
		at = at.Add(72*time.Hour + c.wait(n, 90*24*time.Hour)).Truncate(time.Second)
		back := at.Add(c.lasting(n+1, 5*time.Minute, 5*time.Hour)).Truncate(time.Second)
		if back.Add(48 * time.Hour).After(s.end) {
			return
		}
		swap := at.Add(time.Duration(c.n(n+4, int64(back.Sub(at))))).Truncate(time.Second)
		var closed, fits []fitting
		for _, ch := range m.channels {
			plan := ch.load.again()
			last := len(ch.fits) - 1
			old := ch.fits[last]
			old.removed, old.swap, old.closes = at, swap, ch.counted(last, plan.total(at))
			if shown := ch.shown(old.closes); !m.tells && (shown < 48*ch.rating || ch.modulus > 0 && shown > ch.modulus*8/10) {
				break
			}
			if c.n(n+5, 2) == 0 {
				old.stated = swap.Add(c.lasting(n+6, time.Hour, 20*24*time.Hour) - 24*time.Hour)
			}
			closed = append(closed, old)
			shows := c.n(n+2, 3) * c.n(n+3, 2000)
			if m.tells && c.n(n+7, 3) == 0 {
				shows = ch.shown(old.closes) + c.n(n+3, ch.rating) // only its serial number gives it away
			}
			fits = append(fits, fitting{fitted: back, shows: ch.shown(shows / ch.step * ch.step), before: plan.total(back)})
		}
		if len(fits) < len(m.channels) {
			continue
		}
		for j, ch := range m.channels {
			ch.fits = append(ch.fits[:len(ch.fits)-1], closed[j], fits[j])
		}
		if !m.tells {
			s.calm.spans = append(s.calm.spans, span{at.Add(-3 * time.Hour), back.Add(24 * time.Hour)})
		}
		s.result.Exchanges++
	}
}

// longestOutage is how long a meter can go unread.
const longestOutage = 62 * 24 * time.Hour

// mayOmit reports whether the operator can leave out the new meter's serial
// number in the statement of exchange k, which half of them do. Where the next
// exchange can fall into the same outage only the number tells which of the two
// meters answers after it: a statement without it would be taken for the whole
// truth, and nobody could know better.
func (s *site) mayOmit(c *channel, k int) bool {
	alone := k+2 >= len(c.fits) || c.fits[k+1].removed.Sub(c.fits[k].removed) > longestOutage
	return alone && s.of("serial", 0).n(c.fits[k].swap.Unix(), 2) == 0
}

// silentOfOld reports whether the operator leaves out whose closing reading it
// is: then the agent counts nothing, where the meter has said its own number.
func (s *site) silentOfOld(c *channel, k int) bool {
	return s.of("serial", 1).n(c.fits[k].swap.Unix(), 8) == 0
}

func serialOf(meter string, fit int) string { return fmt.Sprintf("%s-%d", meter, fit) }

// state puts the exchanges that the operator has stated by now into the
// configuration, which the agent reads when it starts.
func (s *site) state() {
	for i := range s.config.Meters {
		cfg := &s.config.Meters[i]
		m, ok := s.meters[cfg.ID]
		if !ok {
			continue
		}
		cfg.Exchanges = nil
		for k := range m.channels[0].fits {
			f := m.channels[0].fits[k]
			if f.stated.IsZero() || time.Now().Before(f.stated) {
				continue
			}
			x := config.Exchange{At: f.swap}
			if m.tells && !s.mayOmit(m.channels[0], k) {
				x.NewSerial = serialOf(m.id, k+1)
			}
			if m.tells && !s.silentOfOld(m.channels[0], k) {
				x.OldSerial = serialOf(m.id, k)
			}
			for _, ch := range m.channels {
				ch.fits[k].known = true
				x.Reads = append(x.Reads, config.ExchangeRead{Measure: ch.key.Measure, Closing: ch.shown(ch.fits[k].closes), Opening: ch.shown(ch.fits[k+1].shows)})
			}
			cfg.Exchanges = append(cfg.Exchanges, x)
		}
	}
}
