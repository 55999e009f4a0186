package simulation

import (
	"context"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// powerMeter shows nothing but a power, signed, of which the agent makes both
// import and export: one that gives no energy at all, such as a small inverter's.
type powerMeter struct {
	site     *site
	chance   chance
	date     func() time.Time // the agent's clock
	down     episodes
	faults   episodes
	in, out  load // what flows in, and what the roof gives
	limit    int64
	gap      time.Duration
	readings []watts // what the agent was given and can have taken, in the order of time
}

// watts is one reading of the power.
type watts struct {
	at, real time.Time // by the millisecond
	given    time.Time
	value    int64
	lost     bool // the agent died before it had kept it
	doubtful bool // or may have
}

// power adds the meter to the site, on a bus of its own.
func (s *site) power() {
	c := s.of("power", 0)
	p := &powerMeter{site: s, chance: c, limit: 60_000, gap: 5 * time.Minute,
		down:   s.trouble("power down", 0, 2*24*time.Hour, time.Second, 20*time.Hour),
		faults: s.trouble("power", 0, 6*time.Hour, time.Second, 30*time.Minute),
		in:     load{kind: energy.Import, most: 20_000, noise: c.of("in", 0)},
		out:    load{kind: energy.Export, most: 60_000, noise: c.of("out", 0)},
	}
	m := config.Meter{ID: "power", Bus: "power", Unit: 1, Poll: time.Minute}
	if s.Sparse {
		m.Poll, p.gap = 5*time.Minute, 12*time.Minute
	}
	for i, measure := range []energy.Measure{energy.Import, energy.Export} {
		m.Registers = append(m.Registers, config.Register{
			Point: modbus.Point{Measure: measure, Address: uint16(i), Type: "int32", Unit: "W"}, Power: true, MaxPower: p.limit, MaxGap: p.gap,
		})
		s.oracle.watch(energy.Key{Meter: m.ID, Measure: measure}, &powerOracle{of: p, sign: 1 - 2*int64(i)})
	}
	s.config.Buses = append(s.config.Buses, config.Bus{ID: m.Bus, Driver: "simulated", URL: "sim://", Timeout: time.Second})
	s.config.Meters = append(s.config.Meters, m)
	s.pollers[m.Bus] = func(date func() time.Time) drivers.Poller { p.date = date; return p }
}

// flows is the power at an instant, W.
func (p *powerMeter) flows(at time.Time) int64 {
	seg := int64(at.Sub(epoch) / segment)
	return p.in.at(seg) - p.out.at(seg) + p.chance.n(at.UnixMilli(), 400) - 200
}

// Poll answers, or not; now and then with what cannot be, or what was said before.
func (p *powerMeter) Poll(ctx context.Context, _ int, dst []drivers.Reading) ([]drivers.Reading, error) {
	p.chance.lag()
	given := time.Now()
	now := given.Truncate(time.Millisecond)
	if _, down := p.down.at(now); down || ctx.Err() != nil {
		return dst, &drivers.Error{Kind: drivers.Timeout, Op: "read", Err: errNoAnswer}
	}
	r := watts{at: p.date().Truncate(time.Millisecond), real: now, given: given, value: p.flows(now)}
	give := func(r watts) {
		for point := range 2 {
			dst = append(dst, drivers.Reading{Point: point, Sample: energy.Sample{At: r.at, Value: r.value}, Raw: uint64(r.value)})
		}
	}
	i, on := p.faults.at(now)
	if !on {
		i = -1
	}
	switch fault := p.chance.n(i, 7); {
	case i < 0:
		give(r)
	case fault == 0: // no number
		for point := range 2 {
			dst = append(dst, drivers.Reading{Point: point, Err: &drivers.Error{Kind: drivers.Sentinel, Op: "read", Err: errNoAnswer}})
		}
		return dst, nil
	case fault == 1: // beyond what can flow there, in either direction
		r.value = (p.limit + 1 + p.chance.n(now.UnixMilli(), 1<<40)) * (1 - 2*p.chance.n(i, 2))
		give(r)
		return dst, nil
	case fault == 2: // again
		give(r)
		give(r)
	case fault == 3: // and what it was before, once more
		give(r)
		if n := len(p.readings); n > 0 {
			old := p.readings[n-1]
			old.value += 7
			give(old)
		}
	case fault == 4: // two at once
		give(r)
		give(watts{at: r.at, value: -r.value})
	case fault == 5: // nothing flows
		r.value = 0
		give(r)
	default: // as much as can
		r.value = p.limit * (1 - 2*p.chance.n(now.UnixMilli(), 2))
		give(r)
	}
	if n := len(p.readings); n == 0 || r.real.After(p.readings[n-1].real) {
		p.readings = append(p.readings, r)
	}
	return dst, nil
}

// Close lets go of nothing.
func (p *powerMeter) Close() error { return nil }
