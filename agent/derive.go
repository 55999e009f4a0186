package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
	"github.com/perseus-edge/perseus-edge/store"
)

// touched are the half-hours that came or changed in a round, by register.
type touched map[energy.Key]stretch

// stretch is [from, to).
type stretch struct{ from, to time.Time }

func (t touched) add(k energy.Key, from, to time.Time) {
	s, ok := t[k]
	if !ok || from.Before(s.from) {
		s.from = from
	}
	if !ok || to.After(s.to) {
		s.to = to
	}
	t[k] = s
}

// virtualPlan makes the plan of the site's virtual meters; nil where there are none.
func virtualPlan(c *config.Config) (*virtual.Plan, error) {
	defs := c.Virtuals()
	if len(defs) == 0 {
		return nil, nil
	}
	return virtual.New(c.Period, defs)
}

// derive makes the virtual meters anew for what a round has brought, and
// appends them to it. The recorder's lock is held.
func (r *recorder) derive(news touched) {
	plan := r.agent.virtual
	if plan == nil {
		return
	}
	keys := slices.SortedFunc(maps.Keys(news), compareKeys)
	for _, k := range keys {
		if !r.agent.measured(k) {
			continue
		}
		s := news[k]
		at := func(meter string, start time.Time) (energy.HalfHour, bool) {
			return r.past.at(energy.Key{Meter: meter, Measure: k.Measure}, start)
		}
		for _, v := range plan.Update(k.Meter, s.from, s.to, at) {
			of := energy.Key{Meter: v.Meter, Measure: k.Measure}
			if m, ok := r.agent.opt.Config.Meter(v.Meter); !ok || !slices.Contains(m.Measures(), k.Measure) {
				continue
			}
			// Void: what stands there was made of values that were corrected since.
			h := store.KeyedHalfHour{Key: of, HalfHour: v.HalfHour, Void: true}
			r.past.settle(h)
			r.round.HalfHours = append(r.round.HalfHours, h)
		}
	}
}

// measured reports whether a register is one of a meter on a bus: virtual ones
// are made of these, and of one another, by the plan itself.
func (a *Agent) measured(k energy.Key) bool {
	m, ok := a.opt.Config.Meter(k.Meter)
	return ok && m.Virtual == nil
}

func compareKeys(a, b energy.Key) int {
	switch {
	case a.Meter < b.Meter:
		return -1
	case a.Meter > b.Meter:
		return 1
	}
	return int(a.Measure) - int(b.Measure)
}

// deriveSpan is how much of the past is derived in one transaction.
const deriveSpan = 31 * 24 * time.Hour

// deriveAll makes the virtual meters for the whole past that is stored, as far
// as they differ: the configuration may be a new one, and history may have been
// imported while the agent was down. False: the store cannot be written, and it
// is to be done again.
func (r *recorder) deriveAll() bool {
	if r.agent.virtual == nil {
		return true
	}
	for _, m := range r.agent.opt.Config.Meters {
		if m.Virtual != nil || len(r.agent.virtual.Dependents(m.ID)) == 0 {
			continue
		}
		for _, measure := range m.Measures() {
			k := energy.Key{Meter: m.ID, Measure: measure}
			first, last, n, err := r.agent.opt.Store.Bounds(k)
			if err != nil || n == 0 {
				continue
			}
			for from := first; !from.After(last); from = from.Add(deriveSpan) {
				news := touched{}
				news.add(k, from, from.Add(deriveSpan))
				r.commit.Lock()
				r.derive(news)
				r.commit.Unlock()
				if err := r.flush(); err != nil {
					r.agent.log.Warn("virtual meters cannot be made for the past yet", "error", err)
					return false
				}
			}
		}
	}
	return true
}
