package agent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// bridge is what fills the half-hours around exchanges that were stated after
// the register had begun anew.
type bridge struct {
	filled []energy.HalfHour
	again  bool               // they take the place of what was made of fewer statements
	by     []*config.Exchange // the statements that it is made of, in the order of time
	at     []time.Time        // when each can have taken place
}

// errNothingBefore is why a stated exchange cannot be counted through.
var errNothingBefore = errors.New("the meter was not read through the whole half-hour before them, so that nothing can be counted from there")

// broken is a break of a register's series.
type broken struct {
	energy.Break
	counted bool  // an exchange that was counted when it took place
	unclear error // why nothing can be counted through it, whatever is stated
}

// breaks gives where a register's series broke, as its statements of baseline
// have it: they name every break, also where no half-hour shows it.
func (r *recorder) breaks(k energy.Key) (out []broken, err error) {
	for s, err := range r.agent.opt.Store.Statements(&k) {
		if err != nil {
			return nil, err
		}
		if out, err = breakOf(s, out); err != nil {
			return nil, err
		}
	}
	for _, s := range r.round.Statements { // settled, and not stored yet
		if s.Key == k {
			if out, err = breakOf(s, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// breakOf adds the break that a statement speaks of, if it does.
func breakOf(k energy.KeyedStatement, to []broken) ([]broken, error) {
	s, err := energy.ParseStatement(k.Body)
	if err != nil {
		return to, err
	}
	if s.Opening == nil || s.Kind == energy.RolloverStatement || s.Kind == energy.ConfigChangeStatement && s.Gap == energy.GapCounted {
		return to, nil
	}
	first := energy.Sample{At: s.Opening.ReadAt, Value: s.Opening.Value}
	b := broken{Break: energy.Break{Last: first, First: first}}
	if s.Closing != nil {
		b.Last = energy.Sample{At: s.Closing.ReadAt, Value: s.Closing.Value}
	}
	switch {
	case s.Kind == energy.ExchangeStatement && s.Gap == energy.GapCounted:
		if slices.ContainsFunc(to, func(was broken) bool { return !was.counted && !was.First.At.Before(first.At) }) {
			return to, nil // it was bridged: the break itself is there
		}
		b.counted = true
		b.Exchanges = []energy.MeterExchange{{At: first.At, Closing: b.Last.Value, Opening: first.Value}}
	case s.Closing == nil, s.Kind != energy.ExchangeStatement && s.Kind != energy.ResetStatement:
		b.unclear = fmt.Errorf("a statement of baseline (%s) of %s lies between: nothing can be counted through it", s.Kind, first.At.Format(time.RFC3339))
	}
	return append(to, b), nil
}

// meant gives which break an exchange lies in that is stated for an instant:
// the one around it, else the nearest that it can be meant for, a fitter's
// watch being a period off at most; -1 where there is none.
func meant(at time.Time, all []broken, period time.Duration) int {
	best, off := -1, time.Duration(0)
	for i, b := range all {
		when, ok := b.Place(at, period)
		if !ok || b.counted {
			continue
		}
		if d := when.Sub(at).Abs(); best < 0 || d < off {
			best, off = i, d
		}
	}
	return best
}

// bridge fills the missing half-hours around an exchange that was stated after
// the register had begun anew, once all the breaks there are stated. Nothing is
// filled where there is no such break; wait is true while what follows it is
// not known yet.
// What stands there from elsewhere stays.
func (r *recorder) bridge(m *meter, reg *register, x *config.Exchange) (out bridge, wait bool, err error) {
	period := r.agent.opt.Config.Period
	if _, known := r.past.at(reg.key, x.At.Truncate(period)); !known && x.At.After(reg.newest) {
		return out, true, nil
	}
	all, err := r.breaks(reg.key)
	if err != nil {
		return out, false, err
	}
	i := meant(x.At, all, period)
	if i < 0 {
		return out, false, r.unseen(reg, x)
	}
	// The half-hours of a break are missing, also where nothing was given of them
	// because the configuration was another one after it.
	at := func(start time.Time) (h energy.HalfHour, hole, known bool) {
		hole = slices.ContainsFunc(all, func(b broken) bool {
			return !b.counted && b.Last.At.Before(start.Add(period)) && b.First.At.After(start)
		})
		if h, known = r.past.at(reg.key, start); !known && hole {
			h = energy.HalfHour{Start: start, Cumulative: -1, TakenAt: r.agent.Now()}
		}
		return h, hole || known && h.Quality <= energy.Substituted, hole || known
	}
	from := all[i].Last.At.Truncate(period)
	to := from
	for is := true; is; {
		from = from.Add(-period)
		var known bool
		if _, is, known = at(from); !known {
			return out, false, errNothingBefore
		}
	}
	for is := true; is; {
		to = to.Add(period)
		var known bool
		if _, is, known = at(to); !known {
			return out, !to.Before(reg.newest), nil
		}
		// One that was counted does not tell what the register stood at at its start.
		is = is || slices.ContainsFunc(all, func(b broken) bool {
			return b.counted && !b.First.At.Before(to) && b.First.At.Before(to.Add(period))
		})
	}
	breaks, err := r.between(m, reg, all, from.Add(period), to, &out)
	if err != nil {
		return out, false, err
	}
	var window []energy.HalfHour
	for start := from; !start.After(to); start = start.Add(period) {
		h, _, _ := at(start)
		window = append(window, h)
	}
	out.again = slices.ContainsFunc(window[1:len(window)-1], bridged)
	here := all[i].Break
	if h, _, _ := at(here.Last.At.Truncate(period)); bridged(h) && (x.At.Before(here.Last.At) || x.At.After(here.First.At)) {
		return bridge{}, false, r.unseen(reg, x) // no more than near it, and that is explained already
	}
	out.filled, err = energy.Bridge(reg.cfg.Energy(), period, window, breaks)
	return out, false, err
}

// unseen says what is wrong where an exchange is stated in the midst of what was
// counted as one meter's, so that the operator hears of it.
func (r *recorder) unseen(reg *register, x *config.Exchange) error {
	period := r.agent.opt.Config.Period
	h, _ := r.past.at(reg.key, x.At.Truncate(period))
	if h.Quality < energy.Estimated || h.Cumulative < 0 {
		return nil
	}
	return fmt.Errorf("nothing in the readings shows another meter there, or it is counted already by another statement: what was counted stays as it is, and the half-hours from %s to %s are wrong if this is right; check the time",
		h.Evidence.First.At.Truncate(period).Format(time.RFC3339), h.Evidence.Last.At.Format(time.RFC3339))
}

// between gives the breaks of a stretch of missing half-hours, with what is
// stated of them.
func (r *recorder) between(m *meter, reg *register, all []broken, from, to time.Time, out *bridge) (breaks []energy.Break, err error) {
	period, now := r.agent.opt.Config.Period, r.agent.Now()
	for i, b := range all {
		switch {
		case b.First.At.Before(from), b.First.At.After(to), !b.counted && b.First.At.Equal(from):
			continue
		case b.unclear != nil:
			return nil, b.unclear
		}
		if !b.counted {
			var xs []*config.Exchange
			for j := range m.cfg.Exchanges {
				x := &m.cfg.Exchanges[j]
				read, ok := x.Of(reg.key.Measure)
				if !ok || x.At.After(now) || meant(x.At, all, period) != i || r.exchanges.counted(statementID(reg.key, x, read)) {
					continue
				}
				when, _ := b.Place(x.At, period)
				xs, out.at = append(xs, x), append(out.at, when)
				b.Exchanges = append(b.Exchanges, energy.MeterExchange{At: x.At, Closing: read.Closing, Opening: read.Opening})
			}
			until := to.Add(period)
			if i+1 < len(all) && all[i+1].Last.At.Before(until) {
				until = all[i+1].Last.At
			}
			if err := reg.hung.allow(xs, b.Last.At.Add(time.Millisecond), until); err != nil {
				return nil, err
			}
			out.by = append(out.by, xs...)
		}
		breaks = append(breaks, b.Break)
	}
	return breaks, nil
}
