package agent

import (
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// exceeded takes into the round what V09 finds of a difference whose sub-meters
// are beyond their main meter: of the first half-hour of a run of them, and of
// the first of each day that it goes on. h stands already; before is what stood
// in its place. The recorder's lock is held.
func (r *recorder) exceeded(m config.Meter, measure energy.Measure, h, before energy.HalfHour) {
	if len(m.Virtual.Minus) == 0 || !refused(h) || refused(before) {
		return
	}
	of := func(meter string, start time.Time) energy.HalfHour {
		x, _ := r.past.at(energy.Key{Meter: meter, Measure: measure}, start)
		return x
	}
	period := r.agent.opt.Config.Period
	day := h.Start.Truncate(aDay)
	if last := h.Start.Add(-period); refused(of(m.ID, last)) && !last.Before(day) {
		return
	}
	main, subs := of(m.Virtual.Of, h.Start), int64(0)
	for _, id := range m.Virtual.Minus {
		sub := of(id, h.Start)
		if sub.Quality == energy.Missing {
			return // that is why: the flag came with an input
		}
		subs += sub.Energy
	}
	if main.Quality == energy.Missing {
		return
	}
	f := validate.Exceeded(energy.Key{Meter: m.ID, Measure: measure}, h.Start, h.Start.Add(period), main.Energy, subs)
	if k, err := f.Keyed(); err == nil {
		r.round.Findings = append(r.round.Findings, k)
	}
	r.agent.log.Debug("validation", "finding", f.String())
}

// refused reports whether a difference is missing for a deficit beyond its tolerance.
func refused(h energy.HalfHour) bool { return h.Quality == energy.Missing && h.Flags.Has(9) }
