package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// leavesMissing begins what came of a statement through which nothing can be
// counted.
const leavesMissing = "leaves half-hours missing: "

// unfilled says which exchanges are stated and leave half-hours missing all the
// same, as long as these are. The bus's lock is held.
func (b *bus) unfilled(m *meter) (out []string) {
	for i := range m.cfg.Exchanges {
		x := &m.cfg.Exchanges[i]
		for _, read := range x.Reads {
			k := energy.Key{Meter: m.cfg.ID, Measure: read.Measure}
			came := b.agent.recorder.exchanges.outcome(statementID(k, x, read))
			if strings.HasPrefix(came, leavesMissing) && b.agent.missingNear(k, x.At) {
				out = append(out, fmt.Sprintf("the exchange of %s stated for %s %s", k.Measure, x.At.Format(time.RFC3339), came))
			}
		}
	}
	return out
}

// outcome is what came of a statement that was taken in.
func (x *exchanges) outcome(id string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.done[id]
}

// missingNear reports whether one of the half-hours that an exchange can be
// meant for, its own and the two beside it, is not known.
func (a *Agent) missingNear(k energy.Key, at time.Time) bool {
	period := a.opt.Config.Period
	first, last, n, err := a.opt.Store.Bounds(k)
	if err != nil || n == 0 {
		return err != nil
	}
	from, to := at.Truncate(period).Add(-period), at.Truncate(period).Add(2*period)
	if from.Before(first) {
		from = first // before it nothing was recorded here, or it is kept no more
	}
	if end := last.Add(period); to.After(end) {
		to = end
	}
	known := time.Duration(0)
	for h, err := range a.opt.Store.HalfHours(k, from, to) {
		if err != nil || h.Quality == energy.Missing {
			return true
		}
		known += period
	}
	return known < to.Sub(from)
}
