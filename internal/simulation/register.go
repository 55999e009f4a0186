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
