package simulation

import (
	"math"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// beside has some meters show what flows, too, by which the agent tells that a
// register stands still.
func (s *site) beside(i int, m *meter, cfg *config.Meter) {
	if m.channels[0].key.Measure != energy.Import || s.of("beside", i).n(0, 2) == 0 {
		return
	}
	m.shows = true
	for _, c := range m.channels {
		c.powered = true
	}
	cfg.CheckPower = &config.Register{Point: modbus.Point{Measure: energy.Import, Address: 100, Type: "int32", Unit: "W"}, Power: true}
}

// flowing is what a meter's power register answers, if it does.
func (w *wire) flowing(m *meter, at, now time.Time) (r drivers.Reading, known bool) {
	r = unread(len(m.channels))
	if w.site.of("flow", 0).n(now.UnixNano(), 20) == 0 || m.channels[0].fit(now) < 0 {
		return r, false
	}
	watts := int64(0)
	for _, c := range m.channels {
		switch c.key.Measure {
		case energy.Import:
			watts += c.load.at(int64(now.Sub(epoch) / segment))
		case energy.Export:
			watts -= c.load.at(int64(now.Sub(epoch) / segment))
		}
	}
	r.Err, r.Sample, r.Raw = nil, energy.Sample{At: at, Value: watts}, uint64(watts)
	return r, true
}

// unknown stands for a power that nobody has read.
const unknown = math.MinInt64

// flows is what flows in the direction of a register, by that power.
func (c *channel) flows(watts int64, known bool) int64 {
	switch {
	case !known:
		return unknown
	case c.key.Measure == energy.Import:
		return max(watts, 0)
	case c.key.Measure == energy.Export:
		return max(-watts, 0)
	}
	return unknown
}

// standing gives the instants at which a register was read that stood still
// while 2 kWh flowed, by the smaller of the powers at both ends of each pause of
// 15 minutes at most: what the agent kept of the readings, one after the other.
func (c *channel) standing(from int) (at []time.Time) {
	var flowed float64
	last := -1
	for i := from; i < len(c.log); i++ {
		d := &c.log[i]
		if d.lost {
			last = -1
			continue
		}
		if last < 0 || d.broke || d.value != c.log[last].value {
			flowed = 0
		} else if gap := d.real.Sub(c.log[last].real); gap <= 15*time.Minute {
			if p := min(d.flows, c.log[last].flows); p > 0 {
				flowed += float64(p) * gap.Hours()
			}
		}
		if last = i; flowed > 2001 {
			at = append(at, d.real)
		}
	}
	return at
}

// checkStanding holds the half-hours in which a register was seen to stand still
// against their flags, and those of registers that never do.
func (o *oracle) checkStanding(w *watched, now time.Time) {
	if o.slack > 0 || w.own != nil || w.made != nil || len(w.log) == 0 {
		return // by a wrong clock nobody knows what was read when
	}
	from := len(w.log)
	for from > 0 && w.log[from-1].real.After(now.AddDate(0, 0, -2)) {
		from--
	}
	stood := map[int]bool{}
	for _, at := range w.standing(from) {
		stood[index(at)] = true
	}
	for h, err := range o.store.HalfHours(w.key, now.AddDate(0, 0, -2).Truncate(energy.Period), now.Add(-settledFor)) {
		if err != nil || fromFile(&h) {
			continue
		}
		stood := stood[index(h.Start)] && isOwn(&h)
		if stood {
			o.Stood++
		}
		switch {
		case stood && !h.Flags.Has(7):
			o.wrong(w, &h)("check", "the register stood still while 2 kWh flowed, and it has the flags %v", h.Flags.List())
		case h.Flags.Has(7) && w.neverStands() && w.checkedBy.Meter == "" && !w.powered:
			o.wrong(w, &h)("check", "it has V07, and never stood still")
		}
	}
}

// neverStands reports whether a register is one that does not freeze: see fault.
func (c *channel) neverStands() bool { return c.n(-2, 2) == 0 }
