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

// keys gives the registers in an order that is always the same: what is made for
// them is stored in it.
func (t touched) keys() []energy.Key {
	if len(t) == 0 {
		return nil // as in most minutes: sorting allocates
	}
	return slices.SortedFunc(maps.Keys(t), compareKeys)
}

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
	r.define()
	if len(news) == 0 {
		return // as in most minutes
	}
	changed := map[energy.Measure]map[string]virtual.Span{}
	for k, s := range news {
		if !r.agent.measured(k) {
			continue
		}
		if changed[k.Measure] == nil {
			changed[k.Measure] = map[string]virtual.Span{}
		}
		changed[k.Measure][k.Meter] = virtual.Span{From: s.from, To: s.to}
	}
	for _, measure := range slices.Sorted(maps.Keys(changed)) {
		at := func(meter string, start time.Time) (energy.HalfHour, bool) {
			return r.past.at(energy.Key{Meter: meter, Measure: measure}, start)
		}
		plan.Update(changed[measure], at, func(v virtual.Result) {
			of := energy.Key{Meter: v.Meter, Measure: measure}
			m, ok := r.agent.opt.Config.Meter(v.Meter)
			if !ok || !slices.Contains(m.Measures(), measure) {
				return
			}
			v.Flags &^= m.Off
			// Void: a value that stands there was made of others that were corrected since.
			old, known := at(v.Meter, v.Start)
			h := store.KeyedHalfHour{Key: of, HalfHour: v.HalfHour, Void: known && old.Quality > energy.Missing}
			r.past.settle(h)
			r.round.HalfHours = append(r.round.HalfHours, h)
			r.exceeded(m, measure, v.HalfHour, old)
		})
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
	var first, last time.Time
	var keys []energy.Key
	for _, m := range r.agent.opt.Config.Meters {
		for _, measure := range m.Measures() {
			k := energy.Key{Meter: m.ID, Measure: measure}
			from, to, n, err := r.agent.opt.Store.Bounds(k)
			if err != nil || n == 0 || !r.agent.measured(k) {
				continue
			}
			if keys = append(keys, k); first.IsZero() || from.Before(first) {
				first = from
			}
			if to.After(last) {
				last = to
			}
		}
	}
	for from := first; len(keys) > 0 && !from.After(last); from = from.Add(deriveSpan) {
		news := touched{}
		for _, k := range keys {
			news.add(k, from, from.Add(deriveSpan))
		}
		r.commit.Lock()
		r.derive(news)
		r.commit.Unlock()
		if err := r.flush(); err != nil {
			r.agent.log.Warn("virtual meters cannot be made for the past yet", "error", err)
			return false
		}
	}
	return true
}
