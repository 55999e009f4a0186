package energy

import (
	"slices"
	"time"
)

// throughExchange reports whether a half-hour has its part of an advance that was
// counted through a meter exchange over a gap (Accumulator.Exchange, Bridge).
func throughExchange(h *HalfHour) bool {
	return h.Evidence.Rule == RuleExchange && h.Quality == Estimated
}

// exchangeRun gives where the run of such half-hours ends that begins at from:
// where the register is known well between two of them another gap begins.
func exchangeRun(window []HalfHour, from int, period time.Duration) int {
	to := from + 1
	for to < len(window) && throughExchange(&window[to]) && window[to].Start.Equal(window[to-1].Start.Add(period)) &&
		window[to-1].Evidence.Last.At.Sub(window[to].Evidence.First.At) > period {
		to++
	}
	return to
}

// respreadExchange is respread for a run of half-hours that were counted through
// an exchange. On which meter each part was counted, and to what reading, stands
// in no half-hour: the rest is spread in proportion to what was counted, as
// Bridge does it, and names no register. Where what is told is what was counted,
// the others are what they were.
func (r *Register) respreadExchange(period time.Duration, window, stands []HalfHour, given []bool) (out []HalfHour) {
	if !slices.Contains(given, true) {
		return nil
	}
	left, counted, rest := int64(0), int64(0), int64(0)
	for i, h := range window {
		left += h.Energy
		if given[i] {
			left -= stands[i].Energy
		} else {
			counted, rest = counted+h.Energy, rest+1
		}
	}
	if rest == 0 || left < 0 {
		return nil
	}
	if _, ok := r.spend(0, left, int64(period)*rest); !ok {
		return nil
	}
	shares, done := int64(0), int64(0)
	for i, h := range stands {
		if given[i] {
			continue
		}
		next := h
		next.Energy, next.Cumulative, next.Quality, next.Evidence = window[i].Energy, window[i].Cumulative, Estimated, window[i].Evidence
		if left != counted {
			shares += window[i].Energy + 1 // each has a share, also where nothing seemed to flow
			upTo := int64(mulDiv(uint64(left), uint64(shares), uint64(counted+rest)))
			next.Energy, next.Cumulative, next.Evidence.Rule = upTo-done, -1, RuleProfileScaled
			done = upTo
		}
		if next.Energy != h.Energy || next.Evidence.Rule != h.Evidence.Rule {
			out = append(out, next)
		}
	}
	return out
}
