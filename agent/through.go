package agent

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// version is a half-hour as it stood from one instant to another.
type version struct {
	energy.HalfHour
	made, until time.Time // until is zero while it stands
	again       bool      // it took the place of one that was counted through an exchange, too
}

// stood reports whether a version stood at an instant or after it. What one commit
// replaces is replaced at instants that differ a little.
func (v version) stood(at time.Time) bool {
	const oneCommit = time.Minute // and more
	return v.until.IsZero() || !v.until.Before(at.Add(-oneCommit))
}

// versions are those of a register's half-hours, by start, that say how an advance
// was counted through a meter exchange over a gap.
type versions struct {
	through map[int64]version   // the last one that was counted so
	told    map[int64][]version // what files and feeds told and told otherwise later, the oldest first
}

// throughExchange reports whether a half-hour has its part of an advance that was
// counted through a meter exchange over a gap.
func throughExchange(h energy.HalfHour) bool {
	return h.Evidence.Rule == energy.RuleExchange && h.Quality == energy.Estimated
}

// bridged reports whether a half-hour was counted through a meter exchange, or is
// what a file leaves of what was.
func bridged(h energy.HalfHour) bool {
	return h.Evidence.Rule == energy.RuleExchange || h.Evidence.Rule == energy.RuleProfileScaled && h.Cumulative < 0
}

// versionsOf gives the versions of what is stored, and of what was before.
func versionsOf(s interface {
	Corrections(k energy.Key, from, to time.Time) ([]store.Correction, error)
}, stored []energy.HalfHour, k energy.Key, from, to time.Time) (versions, error) {
	vs, before := versions{map[int64]version{}, map[int64][]version{}}, map[int64]version{}
	note := func(h energy.HalfHour, until time.Time) {
		at := h.Start.Unix()
		was := before[at]
		v := version{HalfHour: h, made: was.until, until: until, again: bridged(was.HalfHour)}
		switch {
		case throughExchange(h):
			vs.through[at] = v
		case tells(h) && !until.IsZero():
			vs.told[at] = append(vs.told[at], v)
		}
		before[at] = v
	}
	replaced, err := s.Corrections(k, from, to)
	for _, c := range replaced {
		note(c.Old, c.Replaced)
	}
	for _, h := range stored {
		note(h, time.Time{})
	}
	return vs, err
}

// versionsOf is versionsOf of the store, and, newer, of the round at hand.
func (r *recorder) versionsOf(k energy.Key, from, to time.Time) (versions, error) {
	var stored []energy.HalfHour
	again := map[int64]bool{}
	for h, err := range r.agent.opt.Store.HalfHours(k, from, to) {
		if err != nil {
			return versions{}, err
		}
		stored, again[h.Start.Unix()] = append(stored, h), bridged(h)
	}
	vs, err := versionsOf(r.agent.opt.Store, stored, k, from, to)
	for i := range r.round.HalfHours {
		if h := &r.round.HalfHours[i]; h.Key == k && throughExchange(h.HalfHour) {
			at := h.HalfHour.Start.Unix()
			vs.through[at] = version{HalfHour: h.HalfHour, made: r.agent.Now(), again: again[at]}
		}
	}
	return vs, err
}

// layThrough lays the half-hours as they were counted through an exchange over
// those of counted that a file or a feed tells, or that were shaped since.
func (vs versions) layThrough(counted []energy.HalfHour, period time.Duration) {
	for i := 0; i < len(counted) && len(vs.through) > 0; i++ {
		first := i
		for i < len(counted) && vs.has(counted[i]) {
			i++
		}
		vs.layRun(counted[first:i], period)
	}
}

// has reports whether a half-hour is or was counted through an exchange, or is
// told in its place.
func (vs versions) has(h energy.HalfHour) bool {
	_, ok := vs.through[h.Start.Unix()]
	return ok || tells(h)
}

// layRun is layThrough for half-hours that follow one another. What was told
// before the others were counted (the exchange was stated later), or counted again
// (it was stated otherwise), was taken off them then: it counts as what was told at
// that time.
func (vs versions) layRun(run []energy.HalfHour, period time.Duration) {
	var made, again time.Time // when the others were counted, and last again
	var evidence energy.Evidence
	for _, h := range run {
		if !tells(h) {
			v := vs.through[h.Start.Unix()]
			made, evidence = maxTime(made, v.made), v.Evidence
			if v.again {
				again = maxTime(again, v.made)
			}
		}
	}
	if evidence.Rule != energy.RuleExchange {
		return // all of it is told
	}
	for i, h := range run {
		v, ok := vs.through[h.Start.Unix()]
		switch {
		case ok && (!tells(h) && h.Evidence.Rule == energy.RuleProfileScaled || tells(h) && v.stood(again)):
			run[i] = v.HalfHour
		case tells(h) && h.Start.Before(evidence.Last.At) && h.Start.Add(period).After(evidence.First.At): // else it is of another gap
			for _, was := range vs.told[h.Start.Unix()] {
				if was.stood(made) {
					h.Energy = was.Energy
					break
				}
			}
			h.Quality, h.Evidence = energy.Estimated, evidence
			run[i] = h
		}
	}
}
