package web

import (
	"fmt"
	"slices"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// mostReplaced is how many replaced values a meter's own page lists.
const mostReplaced = 20

// replacedView is one value of a half-hour that another one replaced.
type replacedView struct{ When, Words string }

// replacedOf lists the values that were replaced last, newest half-hour first,
// with what stands there now.
func (s *server) replacedOf(k energy.Key, old []store.Correction) (out []replacedView) {
	period := s.agent.Period()
	for _, c := range slices.Backward(old) {
		if len(out) == mostReplaced {
			break
		}
		now := energy.HalfHour{Start: c.Old.Start}
		for h, err := range s.book.HalfHours(k, c.Old.Start, c.Old.Start.Add(period)) {
			if err == nil {
				now = h
			}
		}
		out = append(out, replacedView{stretch(c.Old.Start, c.Old.Start.Add(period)),
			fmt.Sprintf("%s, until %s; now %s", valueWords(k, c.Old), minute(c.Replaced), valueWords(k, now))})
	}
	return out
}

// valueWords is a half-hour's value with its quality and the rule behind it.
func valueWords(k energy.Key, h energy.HalfHour) string {
	rule := agent.RuleName(h.Evidence.Rule)
	if h.Quality == energy.Missing {
		return "not known (" + rule + ")"
	}
	return fmt.Sprintf("%s (%s, %s)", amount(k.Measure, h.Energy), h.Quality, rule)
}
