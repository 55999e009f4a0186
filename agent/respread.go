package agent

import (
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
			out.touched, out.Respread, err = respread(s, k, r.Energy(), c.Period, out.From, out.To, judge)
		}
	}
	return err
}

// respread spreads anew what is left of a register's advance over the gaps in
// which a file has given actual values between from and to: the half-hours
// beside these were an even share of the whole advance, and would now sum to
// something else. It gives the stretch and the number of those that changed.
func respread(s ImportStore, k energy.Key, reg energy.Register, period time.Duration, from, to time.Time, judge judge) (stretch, int, error) {
	// What was spread and then replaced shows where the gaps are.
	replaced, err := s.Corrections(k, from, to)
	if err != nil {
		return stretch{}, 0, err
	}
	var around stretch
	for _, c := range replaced {
		if c.Old.Evidence.Rule != energy.RuleSpread {
			continue
		}
		first, last := c.Old.Evidence.First.At.Truncate(period).Add(-period), c.Old.Evidence.Last.At.Truncate(period).Add(2*period)
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
	if replaced, err = s.Corrections(k, around.from, around.to); err != nil {
		return stretch{}, 0, err
	}
	spread := map[int64]energy.HalfHour{} // as the register gave them
	for _, c := range replaced {
		if c.Old.Evidence.Rule == energy.RuleSpread {
			spread[c.Old.Start.Unix()] = c.Old
		}
	}
	var window, stands []energy.HalfHour
	var given []bool
	for h, err := range s.HalfHours(k, around.from, around.to) {
		if err != nil {
			return stretch{}, 0, err
		}
		actual := fromElsewhere(h) && h.Quality > energy.Estimated
		was, ok := spread[h.Start.Unix()]
		if !ok || !actual && h.Evidence.Rule != energy.RuleProfileScaled {
			was = h
		}
		window, stands, given = append(window, was), append(stands, h), append(given, actual)
	}
	var round store.Round
	var of stretch
	for _, h := range energy.Respread(reg, period, window, stands, given) {
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

// fromElsewhere reports whether a half-hour was given as a whole by a file or a feed.
func fromElsewhere(h energy.HalfHour) bool {
	switch h.Evidence.Rule {
	case energy.RuleImported, energy.RuleImportedEst, energy.RuleInterval:
		return true
	}
	return false
}
