package simulation

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// register is a register on the wall: what the simulator knows to be true.
type register struct {
	key     energy.Key
	modulus int64 // base units; 0: never wraps
	rating  int64 // base units per hour: the agent's plausibility ceiling
	step    int64 // base units by which it counts
	load    load
	fits    []fitting // the meters that hung here, one after the other
}

// fitting is one meter's time at its place. Between removed and the next one's
// fitted nothing counts what flows.
type fitting struct {
	fitted, removed time.Time // removed is zero for the last one
	shows           int64     // when it was fitted
	before          int64     // total of the load when it was fitted

	closes int64     // what it had counted when it was removed
	swap   time.Time // of the exchange with the next one, as the operator states it
	known  bool      // an agent was started with the statement of it
	stated time.Time // from when on the operator's statement is in the configuration; zero: never
}

// fit is the index of the fitting that hangs at an instant, or -1.
func (r *register) fit(at time.Time) int {
	for i := len(r.fits) - 1; i >= 0; i-- {
		f := &r.fits[i]
		if at.Before(f.fitted) {
			continue
		}
		if !f.removed.IsZero() && !at.Before(f.removed) {
			return -1
		}
		return i
	}
	return -1
}

// counted is what a fitting would show at an instant if it never wrapped.
func (r *register) counted(fit int, total int64) int64 {
	f := &r.fits[fit]
	return (f.shows + total - f.before) / r.step * r.step
}

// shown is what a register that has counted so much shows.
func (r *register) shown(counted int64) int64 {
	if r.modulus > 0 {
		return counted % r.modulus
	}
	return counted
}

// metered is all that was counted at this place, by all meters that hung here,
// when the one that hangs there shows a register of counted.
func (r *register) metered(fit int, counted int64) int64 {
	for i := range fit {
		counted += r.fits[i].closes - r.fits[i].shows
	}
	return counted - r.fits[fit].shows
}

// truth is what the meter that counts at an instant has counted, by the
// operator's statements where there are any: see fitting.swap.
func (r *register) truth(at time.Time) (fit int, counted int64) {
	fit = len(r.fits) - 1
	for fit > 0 && at.Before(r.fits[fit-1].swap) {
		fit--
	}
	f := &r.fits[fit]
	switch {
	case at.Before(f.fitted):
		return fit, f.shows
	case !f.removed.IsZero() && at.After(f.removed):
		return fit, f.closes
	}
	return fit, r.counted(fit, r.load.total(at))
}
