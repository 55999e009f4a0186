package energy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// MeterExchange is the operator's statement of an exchange: when it took
// place, and at what the old and the new meter then stood, in base units.
type MeterExchange struct {
	At               time.Time
	Closing, Opening int64
}

// Break is where a register began anew: the last reading before, the first one
// after, and the exchanges that the operator states in between, in the order of
// time. One that was counted when it took place is a Break, too: of no length,
// between its own two readings.
type Break struct {
	Last, First Sample
	Exchanges   []MeterExchange
}

// Place gives when an exchange that is stated for an instant can have taken
// place in the break. One that is up to a period before the old meter's last
// reading, or after the new one's first, is taken for the nearest instant that
// can be: it was read off another clock. Else ok is false.
func (b Break) Place(at time.Time, period time.Duration) (when time.Time, ok bool) {
	if b.Last.At.Equal(b.First.At) {
		return b.Last.At, at.Equal(b.Last.At)
	}
	from, to := b.Last.At.Add(time.Duration(clockStep)), b.First.At.Add(-time.Duration(clockStep))
	if from.After(to) || at.Before(from.Add(-period)) || at.After(to.Add(period)) {
		return at, false
	}
	if at.Before(from) {
		return from, true
	}
	if at.After(to) {
		return to, true
	}
	return at, true
}

// Bridge gives the half-hours that a Reset (or Break) left Missing, now that
// the operator states that the meter was exchanged and what both meters stood
// at. The window is a run of stored half-hours of the register: a known one,
// the Missing ones (or their substitutes, or what an earlier Bridge made of
// them), a known one. Breaks are all the breaks in it, in the order of time,
// and each needs its exchanges: several, where more meters than one hung there
// unread. All the energy between the two known half-hours is counted, exactly:
// up to each closing reading, and on from the opening one. Each half-hour has
// RuleExchange; it is Interpolated where the readings around its boundaries are
// at most a period apart, else Estimated. Actual values that have come from
// elsewhere stand: what they leave of the energy is spread over the others,
// Estimated.
//
// The evidence of each is the last reading before the first break and the first
// one after the last. TakenAt stays as it was: the caller may know better.
//
// An error says why the statements do not fit the window, and what to look at.
func Bridge(r Register, period time.Duration, window []HalfHour, breaks []Break) ([]HalfHour, error) {
	if err := bridgeable(period, window, breaks); err != nil {
		return nil, fmt.Errorf("energy: meter exchange: %w", err)
	}
	missing, next := window[1:len(window)-1], window[len(window)-1]
	end := point{next.Start.UnixNano(), r.registerAt(next)}
	legs, err := r.legs(period, point{missing[0].Start.UnixNano(), window[0].Cumulative}, end, breaks)
	if err != nil {
		return nil, fmt.Errorf("energy: meter exchange: %w", err)
	}
	total := int64(0)
	for _, l := range legs {
		total += l.energy
	}
	out := make([]HalfHour, len(missing))
	counted, quality := int64(0), window[0].Quality
	for i, h := range missing {
		b := h.Start.Add(period).UnixNano()
		sum, register, q := total, end.value, next.Quality
		if i < len(missing)-1 {
			sum, register, q = r.along(legs, b, int64(period))
		}
		h.Energy, h.Cumulative = sum-counted, register
		h.Quality = Worst(Worst(quality, q), Interpolated)
		h.Evidence.First, h.Evidence.Last, h.Evidence.Rule = breaks[0].Last, breaks[len(breaks)-1].First, RuleExchange
		out[i], counted, quality = h, sum, q
	}
	if !slices.ContainsFunc(missing, elsewhere) {
		return out, nil
	}
	return r.beside(period, missing, out, legs, total)
}

// elsewhere reports whether an actual value has come from elsewhere, such as
// from a file.
func elsewhere(h HalfHour) bool { return h.Quality > Estimated && h.Cumulative < 0 }

// beside gives the half-hours of made whose places are not taken by values from
// elsewhere: what these leave of the total, in proportion to what was made.
func (r *Register) beside(period time.Duration, stands, made []HalfHour, legs []leg, total int64) (out []HalfHour, err error) {
	left, weight := total, int64(0)
	for i, h := range stands {
		if elsewhere(h) {
			left -= h.Energy
		} else {
			weight += made[i].Energy + 1 // each has a share, also where nothing seemed to flow
			out = append(out, made[i])
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	if _, ok := r.spend(0, max(left, 0), int64(period)*int64(len(out))); left < 0 || !ok {
		return nil, fmt.Errorf("energy: meter exchange: the meters counted %d %s, and the half-hours that came from elsewhere leave %d of it for the others, which cannot be: check the closing and opening readings", total, r.Measure.BaseUnit(), left)
	}
	out = out[:0]
	shares, given, sum := int64(0), int64(0), int64(0)
	for i, h := range stands {
		if elsewhere(h) {
			sum += h.Energy
			continue
		}
		h = made[i]
		shares += h.Energy + 1
		upTo := int64(mulDiv(uint64(left), uint64(shares), uint64(weight)))
		h.Energy, given, sum = upTo-given, upTo, sum+upTo-given
		h.Cumulative, h.Quality = r.after(legs, sum, h.Start.Add(period).UnixNano()), Estimated
		out = append(out, h)
	}
	return out, nil
}

// after gives the register once so much was counted along the legs, no more
// than along all of them, at an instant; -1 where the readings around the
// instant were others (perhaps another meter's), so that it cannot have shown that.
func (r *Register) after(legs []leg, energy, at int64) int64 {
	for energy > legs[0].energy || energy == legs[0].energy && at > legs[0].to.at {
		energy -= legs[0].energy
		legs = legs[1:]
	}
	l := legs[0]
	if at <= l.from.at || at > l.to.at || at == l.to.at && energy < l.energy {
		return -1
	}
	return r.wrap(l.from.value, energy)
}

// bridgeable says what is wrong with the window, or where its breaks lie.
func bridgeable(period time.Duration, window []HalfHour, breaks []Break) error {
	if len(window) < 3 || len(breaks) == 0 {
		return errors.New("there is no run of missing half-hours between two known ones")
	}
	for i, h := range window {
		outer := i == 0 || i == len(window)-1
		switch {
		case i > 0 && !h.Start.Equal(window[i-1].Start.Add(period)):
			return fmt.Errorf("half-hour %s does not follow the one before it", h.Start.Format(time.RFC3339))
		case outer && (h.Quality < Estimated || h.Cumulative < 0):
			return fmt.Errorf("the register around half-hour %s is not known: the exchange can be bridged between two that are", h.Start.Format(time.RFC3339))
		case !outer && h.Cumulative >= 0 && h.Evidence.Rule != RuleExchange: // what is missing, substituted or from elsewhere has no register
			return fmt.Errorf("half-hour %s was counted: only missing ones (and substitutes for them) are bridged", h.Start.Format(time.RFC3339))
		}
	}
	last, first := breaks[0].Last.At, breaks[len(breaks)-1].First.At
	begin, end := window[1].Start, window[len(window)-1].Start
	if last.Before(begin) || !last.Before(begin.Add(period)) {
		return fmt.Errorf("half-hour %s does not hold the last reading of the old meter", begin.Format(time.RFC3339))
	}
	if !first.After(end.Add(-period)) || first.After(end) {
		return fmt.Errorf("half-hour %s does not hold the first reading of the new meter", end.Add(-period).Format(time.RFC3339))
	}
	return nil
}

// legs gives the way of the register from start to end through all the breaks:
// on one meter each, and without a gap in time.
func (r *Register) legs(period time.Duration, start, end point, breaks []Break) ([]leg, error) {
	var legs []leg
	from, total := start, uint64(0)
	to := func(p point) error {
		energy, ok := r.leg(from, p)
		switch {
		case p.at-from.at > r.longest():
			return fmt.Errorf("the register was not read from %s to %s, for so long that it can have gone round more than once: what it counted cannot be known", instant(from.at).Format(time.RFC3339), instant(p.at).Format(time.RFC3339))
		case !ok:
			return fmt.Errorf("the register cannot have gone from %d (%s) to %d %s (%s): check the closing and opening readings and the time",
				from.value, instant(from.at).Format(time.RFC3339), p.value, r.Measure.BaseUnit(), instant(p.at).Format(time.RFC3339))
		}
		if total += uint64(energy); total > math.MaxInt64 {
			return errors.New("the energy is more than can be: check the closing and opening readings")
		}
		legs, from = append(legs, leg{from, p, energy}), p
		return nil
	}
	for _, b := range breaks {
		if len(b.Exchanges) == 0 {
			return nil, fmt.Errorf("the register began anew at %s, and no exchange is stated for that: state it too", b.First.At.Format(time.RFC3339))
		}
		if err := to(pointOf(b.Last)); err != nil {
			return nil, err
		}
		for _, x := range b.Exchanges {
			at, ok := b.Place(x.At, period)
			if !ok {
				return nil, fmt.Errorf("the old meter was last read at %s, the new one first at %s: the exchange must lie between", b.Last.At.Format(time.RFC3339), b.First.At.Format(time.RFC3339))
			}
			if !r.holds(x.Closing) || !r.holds(x.Opening) {
				return nil, errors.New("a closing or opening reading is impossible: check them")
			}
			if err := to(point{at.UnixNano(), x.Closing}); err != nil {
				return nil, err
			}
			from.value = x.Opening
		}
		if err := to(pointOf(b.First)); err != nil {
			return nil, err
		}
	}
	err := to(end)
	return legs, err
}

// leg is a stretch of time between two points at which the register is known.
type leg struct {
	from, to point
	energy   int64
}

// leg gives the energy between two points and whether that can be.
func (r *Register) leg(from, to point) (energy int64, ok bool) {
	gap := to.at - from.at
	if to.value < from.value {
		adv, ok := r.wrapped(from.value, to.value, 0, gap)
		return adv.energy, ok && gap > 0
	}
	if energy = to.value - from.value; gap <= 0 {
		return energy, energy == 0 && gap == 0
	}
	_, ok = r.spend(0, energy, gap)
	return energy, ok
}

// along gives the energy from the start of the legs to the boundary b, which
// lies within them, the register there, and how well it is known.
func (r *Register) along(legs []leg, b, period int64) (sum, register int64, q Quality) {
	for b > legs[0].to.at {
		sum += legs[0].energy
		legs = legs[1:]
	}
	l := legs[0]
	off := int64(mulDiv(uint64(l.energy), uint64(b-l.from.at), uint64(l.to.at-l.from.at)))
	return sum + off, r.wrap(l.from.value, off), boundaryQuality(b-l.from.at, l.to.at-b, period, 0)
}

// registerAt gives the register at the start of a known half-hour.
func (r *Register) registerAt(h HalfHour) int64 {
	v := h.Cumulative - h.Energy
	if r.Modulus > 0 {
		if v %= r.Modulus; v < 0 { // the sum of the two need not fit 63 bits
			v += r.Modulus
		}
	}
	return v // negative where there is no modulus and the half-hour is not one
}

func pointOf(s Sample) point { return point{s.At.UnixNano(), s.Value} }
