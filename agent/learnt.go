package agent

import (
	"fmt"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// learn takes what the device says of its register with a reading: where it
// wraps, what a count is, and that it does not go on from where it was.
func (b *bus) learn(m *meter, reg *register, r *drivers.Reading) {
	if !reg.learnt {
		return
	}
	acc, ok := reg.counter.(*energy.Accumulator)
	if r.Modulus != reg.cfg.Modulus || r.Step != reg.cfg.Step {
		c := *reg.cfg
		c.Modulus, c.Step = r.Modulus, r.Step
		reg.cfg = &c
		reg.check.Learn(c.Modulus, c.Step)
		if ok {
			acc.Learn(c.Modulus, c.Step)
		}
	}
	base, open := reg.counter.Base()
	if r.Anew == "" || !ok || !open {
		return
	}
	now := b.agent.Now()
	b.log.Warn("register begins anew", "meter", m.cfg.ID, "measure", reg.key.Measure.String(), "bus", b.cfg.ID, "reason", r.Anew)
	b.agent.notes.add(now, m.cfg.ID, fmt.Sprintf("The %s register begins anew: %s. What lies between is not known.", reg.key.Measure, r.Anew))
	b.found(reg, reg.check.Change(base.At, now, r.Anew, "a total that goes on", b.words[:0]))
	acc.Break()
}
