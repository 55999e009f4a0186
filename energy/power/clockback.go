package power

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// ClockBack says that the clock by which the last reading was dated ran ahead,
// and s is dated by the right one: the point is opened anew at s, an earlier
// time. It appends, as Missing, every half-hour from that of s on that can
// have been given already: what is stored of them is to be withdrawn. The
// integral begins at 0 again.
//
// A reading that is not before the last one is added as any other.
func (g *Integrator) ClockBack(s energy.Sample, dst []energy.HalfHour) ([]energy.HalfHour, energy.Event) {
	p := point{s.At.UnixMicro(), s.Value}
	switch {
	case !g.open || p.at > g.base.at || s.At.Before(instant(firstTime)):
		return g.Add(s, dst)
	case p.value > g.limit || p.value < -g.limit:
		return dst, g.event(energy.Glitch, s)
	}
	e := g.event(energy.ClockBack, s)
	for b := max(p.at-p.at%g.period, g.start()-maxBreak/g.period*g.period); b < g.start(); b += g.period {
		dst = append(dst, energy.HalfHour{
			Start: instant(b), Cumulative: -1, TakenAt: instant(max(p.at, b+g.period+time.Second.Microseconds())),
			Evidence: energy.Evidence{First: p.sample(), Last: g.base.sample()},
		})
	}
	g.openAt(p)
	return dst, e
}
