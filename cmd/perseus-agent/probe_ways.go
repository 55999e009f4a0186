package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/modbus/doctor"
	"github.com/perseus-edge/perseus-edge/energy"
)

// suspect is a register that hardly holds what it is taken for, or that is to
// be looked at closer.
type suspect struct {
	of   *patient
	reg  int // index into the meter's registers
	ways []doctor.Judged
}

// judge notes what moved and what makes no sense.
func (p *prober) judge(patients []*patient) (out []*suspect) {
	for _, pt := range patients {
		for i, r := range pt.meter.Registers {
			if r.Power {
				continue
			}
			row, seen := &pt.rows[i], pt.seen(i)
			if seen.Apart > 0 {
				row.Moved, row.Apart = movement(seen), seen.Apart.Round(100*time.Millisecond).String()
			}
			sense, why := doctor.Judge(seen, r.MaxPower)
			if doctor.Held(seen.First.Err) && sense < doctor.Zero {
				if row.Looks != "" && !strings.Contains(row.Looks, why) { // what cannot be goes before what is worth a look
					why += "; " + row.Looks
				}
				row.Looks = first(why, row.Looks)
			}
			if !doctor.Answered(seen.First.Err) {
				continue // who is silent would be silent again
			}
			if r.Learnt {
				continue // the device itself says how it is read
			}
			main := slices.Contains([]energy.Measure{energy.Import, energy.Gas, energy.Generation, energy.Heat, energy.Water}, r.Measure)
			if p.closer || sense < doctor.Zero || sense == doctor.Zero && main {
				out = append(out, &suspect{of: pt, reg: i})
			}
		}
	}
	return out
}

// compare reads each suspect in each way in which it may be meant, twice.
func (p *prober) compare(ctx context.Context, b config.Bus, suspects []*suspect) {
	devices := make([]modbus.Device, len(suspects))
	others := make([][]doctor.Other, len(suspects))
	for i, s := range suspects {
		devices[i] = modbus.Device{Meter: s.of.meter.ID, Unit: s.of.meter.Unit}
		others[i] = doctor.Others(s.of.meter.Registers[s.reg].Point)
		for _, o := range others[i] {
			devices[i].Points = append(devices[i].Points, o.Point)
		}
	}
	bus, err := p.open(b, devices)
	if err != nil || len(suspects) == 0 {
		return // each of the points was made from one that is right
	}
	defer bus.Close()
	var rounds [2][][]drivers.Reading
	for k := range rounds {
		if k > 0 && (p.apart <= 0 || p.wait(ctx, p.apart) != nil) {
			break
		}
		for i := range devices {
			got, _ := bus.Poll(ctx, i, nil) // what was not read has its error
			rounds[k] = append(rounds[k], byPoint(got, len(devices[i].Points)))
		}
	}
	for i, s := range suspects {
		all := make([]doctor.Judged, len(others[i]))
		for k, o := range others[i] {
			var second []drivers.Reading
			if i < len(rounds[1]) {
				second = rounds[1][i]
			}
			all[k] = doctor.Judged{Other: o, Seen: seenOf(o.Point, rounds[0][i][k], second, k)}
		}
		r := s.of.meter.Registers[s.reg]
		s.ways = doctor.Compare(all, r.MaxPower)
		if says := doctor.Misread(s.ways); says != "" {
			s.of.rows[s.reg].Looks = says
		}
	}
}

// advice is what comparing came to.
func (s *suspect) advice(bus string) advice {
	says := doctor.Misread(s.ways)
	return advice{
		Bus: bus, Meter: s.of.meter.ID, Measure: s.of.meter.Registers[s.reg].Measure.String(),
		Says: first(says, "other ways to read it: compare with the meter's display"), Wrong: says != "", Ways: ways(s.ways),
	}
}

// ways are those that are worth comparing: where the meter has no such
// register, no order of its bytes is.
func ways(all []doctor.Judged) []way {
	out := make([]way, 0, len(all))
	for i, j := range all {
		w := way{Name: j.Name(), Why: j.Why, Likely: j.Likely}
		switch {
		case i == 0:
			w.Name = "as configured"
		case j.Sense == doctor.Absent && j.How == doctor.OtherOrder:
			continue
		}
		switch {
		case j.First.Err == nil:
			w.Value = doctor.Amount(j.First.Value, j.Other.Measure)
		case j.Sense == doctor.Absent && doctor.Answered(j.First.Err):
			w.Why = "the meter has no such register"
		case j.Sense == doctor.Absent:
			w.Why = "no answer"
		}
		if j.Apart > 0 {
			w.Moved = movement(j.Seen)
		}
		out = append(out, w)
	}
	return out
}

// movement shows what a register moved by.
func movement(s doctor.Seen) string {
	d := s.Second.Value - s.First.Value
	if d > 0 {
		return "+" + doctor.Amount(d, s.Point.Measure)
	}
	return doctor.Amount(d, s.Point.Measure)
}
