package energy

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// MeterExchange is the operator's statement of an exchange: when it took
// place, and at what the old and the new meter then stood, in base units.
type MeterExchange struct {
	At               time.Time
	Closing, Opening int64
}

// Bridge gives the half-hours that a Reset (or Break) left Missing, now that
// the operator states that the meter was exchanged and what both meters stood
// at. The window is a run of stored half-hours of the register: a known one,
// the Missing ones (or their substitutes), a known one. All the energy between the two known
// half-hours is counted, exactly: up to the closing reading, and on from the
// opening one. Each half-hour has RuleExchange; it is Interpolated where the
// readings around its boundaries are at most a period apart, else Estimated.
//
// A stated time that is up to a period before the old meter's last reading, or
// after the new one's first, is taken for the nearest one that can be: it was
// read off another clock.
//
// The evidence of each is the last reading of the old meter and the first one
// of the new meter. TakenAt stays as it was: the caller may know better.
//
// An error says why the statement does not fit the window, and what to look at.
func Bridge(r Register, period time.Duration, window []HalfHour, x MeterExchange) ([]HalfHour, error) {
	out, err := bridge(r, period, window, x)
	if err != nil {
		return nil, fmt.Errorf("energy: meter exchange at %s: %w", x.At.UTC().Format(time.RFC3339), err)
	}
	return out, nil
}

func bridge(r Register, period time.Duration, window []HalfHour, x MeterExchange) ([]HalfHour, error) {
	if err := bridgeable(period, window); err != nil {
		return nil, err
	}
	at, ok := nanos(x.At)
	if !ok || !r.holds(x.Closing) || !r.holds(x.Opening) {
		return nil, errors.New("the time or a reading is impossible: check them")
	}
	missing, next := window[1:len(window)-1], window[len(window)-1]
	last, first, err := around(period, missing)
	if err != nil {
		return nil, err
	}
	start, end := missing[0].Start.UnixNano(), next.Start.UnixNano()
	from, to := last.At.UnixNano()+clockStep, first.At.UnixNano()-clockStep
	if at < from-int64(period) || at > to+int64(period) || from > to {
		return nil, fmt.Errorf("the old meter was last read at %s, the new one first at %s: the exchange must lie between", last.At.Format(time.RFC3339), first.At.Format(time.RFC3339))
	}
	at = min(max(at, from), to)
	legs := [...]leg{
		{from: point{start, window[0].Cumulative}, to: pointOf(last)},
		{from: pointOf(last), to: point{at, x.Closing}},
		{from: point{at, x.Opening}, to: pointOf(first)},
		{from: pointOf(first), to: point{end, r.registerAt(next)}},
	}
	var total uint64
	for i := range legs {
		l := &legs[i]
		if l.energy, ok = r.leg(l.from, l.to); !ok {
			return nil, fmt.Errorf("the register cannot have gone from %d (%s) to %d %s (%s): check the closing and opening readings and the time",
				l.from.value, instant(l.from.at).Format(time.RFC3339), l.to.value, r.Measure.BaseUnit(), instant(l.to.at).Format(time.RFC3339))
		}
		if total += uint64(l.energy); total > math.MaxInt64 {
			return nil, errors.New("the energy is more than can be: check the closing and opening readings")
		}
	}
	out := make([]HalfHour, len(missing))
	counted, quality := int64(0), window[0].Quality
	for i, h := range missing {
		b := h.Start.Add(period).UnixNano()
		sum, register, q := int64(total), legs[3].to.value, next.Quality
		if i < len(missing)-1 {
			sum, register, q = r.along(legs[:], b, int64(period))
		}
		h.Energy, h.Cumulative = sum-counted, register
		h.Quality = Worst(Worst(quality, q), Interpolated)
		h.Evidence.First, h.Evidence.Last, h.Evidence.Rule = last, first, RuleExchange
		out[i], counted, quality = h, sum, q
	}
	return out, nil
}

// bridgeable says what is wrong with the window.
func bridgeable(period time.Duration, window []HalfHour) error {
	if len(window) < 3 {
		return errors.New("there is no run of missing half-hours between two known ones")
	}
	for i, h := range window {
		outer := i == 0 || i == len(window)-1
		switch {
		case i > 0 && !h.Start.Equal(window[i-1].Start.Add(period)):
			return fmt.Errorf("half-hour %s does not follow the one before it", h.Start.Format(time.RFC3339))
		case outer && (h.Quality < Estimated || h.Cumulative < 0):
			return fmt.Errorf("the register around half-hour %s is not known: the exchange can be bridged between two that are", h.Start.Format(time.RFC3339))
		case !outer && h.Quality > Substituted:
			return fmt.Errorf("half-hour %s is known: only missing ones (and substitutes for them) are bridged", h.Start.Format(time.RFC3339))
		}
	}
	return nil
}

// around gives the last reading of the old meter and the first one of the new
// one: they are in the evidence of what is missing (see miss) and stay there
// when it is substituted, unless by the check meter, whose evidence it is then.
func around(period time.Duration, missing []HalfHour) (last, first Sample, err error) {
	begin, end := missing[0].Start, missing[len(missing)-1].Start
	for _, h := range missing {
		if h.Evidence.Rule == RuleCheckMeter {
			continue
		}
		if last.At.IsZero() {
			last = h.Evidence.First
		}
		first = h.Evidence.Last
	}
	if last.At.Before(begin) || !last.At.Before(begin.Add(period)) {
		return last, first, fmt.Errorf("half-hour %s does not hold the last reading of the old meter", begin.Format(time.RFC3339))
	}
	if !first.At.After(end) || first.At.After(end.Add(period)) {
		return last, first, fmt.Errorf("half-hour %s does not hold the first reading of the new meter", end.Format(time.RFC3339))
	}
	return last, first, nil
}

// leg is a stretch of time between two points at which the register is known.
type leg struct {
	from, to point
	energy   int64
}

// leg gives the energy between two points and whether that can be.
func (r *Register) leg(from, to point) (energy int64, ok bool) {
	if to.value < from.value {
		adv, ok := r.wrapped(from.value, to.value, 0, to.at-from.at)
		return adv.energy, ok && to.at > from.at
	}
	energy = to.value - from.value
	if to.at == from.at {
		return energy, energy == 0
	}
	_, ok = r.spend(0, energy, to.at-from.at)
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
		v = (v%r.Modulus + r.Modulus) % r.Modulus
	}
	return v // negative where there is no modulus and the half-hour is not one
}

func pointOf(s Sample) point { return point{s.At.UnixNano(), s.Value} }
