package simulation

import (
	"math/big"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// redo does what docs/metering.md has an auditor do: the register at the start
// of a half-hour lies between the reading before it and the one after it, which
// this half-hour and the one before it name. One of the two is known.
func (c *channel) redo(before, h *energy.HalfHour, wrong func(law, format string, args ...any)) {
	if before == nil || before.Evidence.Rule == energy.RuleProfileScaled || h.Evidence.Rule == energy.RuleProfileScaled {
		return // told by a file, too
	}
	from, to := h.Evidence.First, before.Evidence.Last
	if s := h.Evidence.Start; s.At.After(h.Start) {
		to = s
	} else if !s.At.IsZero() {
		from = s
	}
	if from.At.Equal(h.Start) {
		to = from
	}
	if from.At.After(h.Start) || to.At.Before(h.Start) {
		wrong("redo", "its start is not between %s and %s, which the evidence names", from.At, to.At)
		return
	}
	rise, register := to.Value-from.Value, from.Value
	if rise < 0 {
		rise += c.modulus
	}
	if gap := to.At.Sub(from.At).Nanoseconds(); gap > 0 {
		passed := new(big.Int).Mul(big.NewInt(rise), big.NewInt(h.Start.Sub(from.At).Nanoseconds()))
		register += passed.Div(passed, big.NewInt(gap)).Int64()
	}
	off := h.Cumulative - h.Energy - register
	if h.Quality <= energy.Substituted {
		off = before.Cumulative - register
	}
	if c.modulus > 0 {
		off %= c.modulus
	}
	if off != 0 {
		wrong("redo", "it starts %d away from the %d that its evidence says", off, register)
	}
}

// quality judges what a half-hour claims to be.
func (o *oracle) quality(w *watched, before, h, after *energy.HalfHour, wrong func(law, format string, args ...any)) {
	end := h.Start.Add(energy.Period)
	// The samples around the end are this one's last and the next one's first;
	// around the start this one's first and the one before's last.
	best := energy.Measured
	if before != nil && before.Quality > energy.Substituted {
		best = min(best, o.best(h.Start.Sub(h.Evidence.First.At), before.Evidence.Last.At.Sub(h.Start)))
	}
	if after != nil && after.Quality > energy.Substituted {
		best = min(best, o.best(end.Sub(after.Evidence.First.At), h.Evidence.Last.At.Sub(end)))
	}
	if h.Quality > best {
		wrong("quality", "its samples allow no more than %s", best)
	}
	if w.isLate(h.Evidence.First) || w.isLate(h.Evidence.Last) {
		return // what a late sample improves is judged with care
	}
	// What was bridged over an exchange names the readings around the exchange, not those around its ends.
	bridged := before != nil && throughExchange(before) || after != nil && throughExchange(after)
	if !bridged && before != nil && after != nil && before.Quality > energy.Substituted && after.Quality > energy.Substituted && h.Quality < best {
		wrong("quality", "its samples allow %s", best)
	}
}

// best is the best that a boundary can be that lies so far behind one sample
// and before the next.
func (o *oracle) best(before, after time.Duration) energy.Quality {
	switch near := min(before, after); {
	case near <= o.close/4, near <= o.close && before+after <= energy.Period:
		return energy.Measured
	case before+after <= energy.Period:
		return energy.Interpolated
	default:
		return energy.Estimated
	}
}
