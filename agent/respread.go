package agent

import (
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
	"github.com/perseus-edge/perseus-edge/store"
)

// importOne takes what a file has of one register, and then sees to the gaps
// that it has filled in part.
func importOne(s ImportStore, c *config.Config, m config.Meter, x hhfile.Series, oldest time.Time, out *ImportSeries) (err error) {
	k, judge := energy.Key{Meter: m.ID, Measure: x.Measure}, judgeOf(s, c, m, x.Measure)
	if err := importSeries(s, k, x, oldest, judge, out); err != nil {
		return err
	}
	for i := range m.Registers {
		if r := &m.Registers[i]; r.Measure == x.Measure && !r.Power {
			if out.touched, out.Respread, err = respread(s, k, r.Energy(), c.Period, out.From, out.To, judge); err != nil {
				return err
			}
		}
	}
	return importChecked(s, c, k, out.From, out.To)
}

// respread spreads anew what is left of a register's advance over the gaps in
// which a file has given actual values between from and to: the half-hours
// beside these were an even share of the whole advance, and would now sum to
// something else. It gives the stretch and the number of those that changed.
func respread(s ImportStore, k energy.Key, reg energy.Register, period time.Duration, from, to time.Time, judge judge) (stretch, int, error) {
	// What was spread and then replaced shows where the gaps are; so can what was told otherwise before.
	replaced, err := s.Corrections(k, from, to)
	if err != nil {
		return stretch{}, 0, err
	}
	var around stretch
	for _, c := range replaced {
		first, last := c.Old.Evidence.First.At.Truncate(period).Add(-period), c.Old.Evidence.Last.At.Truncate(period).Add(2*period)
		switch {
		case tells(c.Old):
			first, last = c.Old.Start.Add(-period), c.Old.Start.Add(2*period)
		case c.Old.Evidence.Rule != energy.RuleSpread && !throughExchange(c.Old):
			continue
		}
		if around.from.IsZero() || first.Before(around.from) {
			around.from = first
		}
		if last.After(around.to) {
			around.to = last
		}
	}
	if around.from.IsZero() {
		return stretch{}, 0, nil
	}
	stands, counted, err := wholeGaps(around, period, func(from, to time.Time) (stands, counted []energy.HalfHour, err error) {
		for h, err := range s.HalfHours(k, from, to) {
			if err != nil {
				return nil, nil, err
			}
			stands = append(stands, h)
		}
		spread, err := spreadOf(s, k, from, to)
		if err != nil {
			return nil, nil, err
		}
		counted = asCounted(stands, spread)
		vs, err := versionsOf(s, stands, k, from, to)
		vs.layThrough(counted, period)
		return stands, counted, err
	})
	if err != nil {
		return stretch{}, 0, err
	}
	var round store.Round
	var of stretch
	for _, h := range energy.Respread(reg, period, counted, stands, tellings(stands)) {
		round.Findings = append(round.Findings, judge(&h)...)
		round.HalfHours = append(round.HalfHours, keyedHalfHour(k, h))
		if of.from.IsZero() {
			of.from = h.Start
		}
		of.to = h.Start.Add(period)
	}
	if len(round.HalfHours) == 0 {
		return stretch{}, 0, nil
	}
	return of, len(round.HalfHours), s.Commit(round)
}

// wholeGaps gives the half-hours of a stretch, as they stand and as the register
// counted them, and before and after it those of the gaps that it lies in, and of
// the gaps that share a half-hour with these: what is told of one can count for
// the next one, too. Get gives both of a stretch.
func wholeGaps(of stretch, period time.Duration, get func(from, to time.Time) (stands, counted []energy.HalfHour, err error)) (stands, counted []energy.HalfHour, err error) {
	for {
		stands, counted, err := get(of.from, of.to)
		if err != nil || len(stands) == 0 {
			return nil, nil, err
		}
		wider := of
		if h := counted[0]; h.Start.Equal(of.from) && shaped(h) && h.Evidence.First.At.Before(of.from) {
			wider.from = h.Evidence.First.At.Truncate(period).Add(-period)
		}
		if h := counted[len(counted)-1]; h.Start.Add(period).Equal(of.to) && shaped(h) && h.Evidence.Last.At.After(of.to) {
			wider.to = h.Evidence.Last.At.Truncate(period).Add(2 * period)
		}
		if length := of.to.Sub(of.from); length < mostTold { // what lies beyond what is told says what it is a part of
			if h := counted[0]; h.Start.Equal(of.from) && tells(h) {
				wider.from = of.from.Add(-length)
			}
			if h := counted[len(counted)-1]; h.Start.Add(period).Equal(of.to) && tells(h) {
				wider.to = of.to.Add(length)
			}
		}
		if wider == of || wider.to.Sub(wider.from) > mostRederived {
			return stands, counted, nil
		}
		of = wider
	}
}

// mostTold bounds how far a gap is looked for beyond what files and feeds tell.
const mostTold = 8 * aDay

// shaped reports whether a half-hour has a part of a register's advance over a gap.
func shaped(h energy.HalfHour) bool {
	return h.Evidence.Rule == energy.RuleSpread || h.Evidence.Rule == energy.RuleProfileScaled || throughExchange(h)
}

// noteGap takes note of a gap that a half-hour was spread over, or tells a part of.
func (r *recorder) noteGap(k *store.KeyedHalfHour) {
	of, period := k.HalfHour, r.agent.opt.Config.Period
	if tells(of) {
		was := of
		if of, _ = r.past.at(k.Key, of.Start); tells(of) && of.Energy != was.Energy { // whose place it takes
			r.gaps.add(k.Key, of.Start.Add(-period), of.Start.Add(2*period))
			return
		}
	}
	rule, long := of.Evidence.Rule, of.Evidence.First.At.Before(of.Start.Add(-period)) // a gap that ends seconds after its start
	if shaped(of) || long && (rule == energy.RuleBracketed || rule == energy.RuleInterpolate) {
		r.noteAround(k.Key, of)
	}
}

// noteAround takes note of what lies between the readings around a half-hour.
func (r *recorder) noteAround(k energy.Key, h energy.HalfHour) {
	period := r.agent.opt.Config.Period
	r.gaps.add(k, h.Evidence.First.At.Truncate(period).Add(-period), h.Evidence.Last.At.Truncate(period).Add(2*period))
}

// respread sees to the gaps of which a file or a feed tells a part, and that
// were spread only after it had (the meter came back then, or late readings fell
// into them), or that a feed tells of now.
func (r *recorder) respread(news touched) {
	period := r.agent.opt.Config.Period
	for _, k := range r.gaps.keys() {
		gap := r.gaps[k]
		stands, counted, err := wholeGaps(gap, period, func(from, to time.Time) (stands, counted []energy.HalfHour, err error) {
			stands = slices.Concat(r.window(k, from, to)...)
			spread, err := r.spreadOf(k, from, to)
			if err != nil {
				return nil, nil, err
			}
			counted = asCounted(stands, spread)
			vs, err := r.versionsOf(k, from, to)
			vs.layThrough(counted, period)
			return stands, counted, err
		})
		b, reg := r.agent.registerOf(k)
		if err != nil || reg == nil {
			r.agent.log.Warn("a gap that a file may tell a part of is not spread over the rest", "meter", k.Meter, "measure", k.Measure.String(), "error", err)
			continue
		}
		r.amend(b, reg, energy.Respread(reg.cfg.Energy(), period, counted, stands, tellings(stands)), news)
	}
	clear(r.gaps)
}

// spreadOf is spreadOf of the store with what stands there, which the round at
// hand may take the place of, and, newer, of that round.
func (r *recorder) spreadOf(k energy.Key, from, to time.Time) (map[int64]energy.HalfHour, error) {
	spread, err := spreadOf(r.agent.opt.Store, k, from, to)
	if err != nil {
		return nil, err
	}
	for h, err := range r.agent.opt.Store.HalfHours(k, from, to) {
		if err != nil {
			return nil, err
		}
		if h.Evidence.Rule == energy.RuleSpread {
			spread[h.Start.Unix()] = h
		}
	}
	for i := range r.round.HalfHours {
		if h := &r.round.HalfHours[i]; h.Key == k && h.Evidence.Rule == energy.RuleSpread {
			spread[h.HalfHour.Start.Unix()] = h.HalfHour
		}
	}
	return spread, nil
}

// spreadOf gives the half-hours that a register's advance over a gap was spread
// over and that another version has taken the place of, as they were, by start.
func spreadOf(s interface {
	Corrections(k energy.Key, from, to time.Time) ([]store.Correction, error)
}, k energy.Key, from, to time.Time) (map[int64]energy.HalfHour, error) {
	spread := map[int64]energy.HalfHour{}
	replaced, err := s.Corrections(k, from, to)
	for _, c := range replaced {
		if c.Old.Evidence.Rule == energy.RuleSpread {
			spread[c.Old.Start.Unix()] = c.Old
		}
	}
	return spread, err
}

// asCounted gives half-hours as the register gave them, whatever was told of
// some of them and however the rest was shaped.
func asCounted(stands []energy.HalfHour, spread map[int64]energy.HalfHour) []energy.HalfHour {
	out := slices.Clone(stands)
	for i, h := range out {
		if was, ok := spread[h.Start.Unix()]; ok && (tells(h) || h.Evidence.Rule == energy.RuleProfileScaled) {
			out[i] = was
		}
	}
	return out
}

// tells reports whether a half-hour is an actual value from elsewhere.
func tells(h energy.HalfHour) bool { return fromElsewhere(h) && h.Quality > energy.Estimated }

func tellings(hh []energy.HalfHour) []bool {
	out := make([]bool, len(hh))
	for i, h := range hh {
		out[i] = tells(h)
	}
	return out
}

// fromElsewhere reports whether a half-hour was given as a whole by a file or a feed.
func fromElsewhere(h energy.HalfHour) bool {
	switch h.Evidence.Rule {
	case energy.RuleImported, energy.RuleImportedEst, energy.RuleInterval:
		return true
	}
	return false
}
