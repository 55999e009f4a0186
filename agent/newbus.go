package agent

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// newBus makes a bus with its meters; nil when no meter is on it.
func (a *Agent) newBus(c config.Bus) (*bus, error) {
	meters := a.opt.Config.On(c.ID)
	if len(meters) == 0 {
		a.log.Warn("no meter is on this bus", "bus", c.ID)
		return nil, nil
	}
	b := &bus{cfg: c, log: a.log, agent: a, since: a.started, began: a.began, errs: map[drivers.Kind]uint64{}}
	var err error
	if listens := a.opt.Listeners[c.Driver]; listens != nil {
		b.listener, err = listens(c, meters, a.date, keeper{a}, a.log)
	} else if polls := a.opt.Drivers[c.Driver]; polls != nil {
		b.poller, err = polls(c, meters, a.date, a.log)
	} else {
		err = fmt.Errorf("bus %s: driver %s is not in this version", c.ID, c.Driver)
	}
	if err != nil {
		return nil, err
	}
	b.beat.Store(time.Now().UnixNano())
	for _, mc := range meters {
		m := &meter{cfg: mc, since: a.started}
		m.registers = make([]register, len(mc.Registers))
		for i := range mc.Registers {
			rc := &mc.Registers[i]
			m.registers[i] = register{key: energy.Key{Meter: mc.ID, Measure: rc.Measure}, cfg: rc, origin: originOf(c, mc, rc), learnt: rc.Learnt}
			a.restore(m, &m.registers[i])
		}
		b.meters = append(b.meters, m)
	}
	return b, nil
}

func (a *Agent) restore(m *meter, r *register) {
	rules := options(a.opt.Config, a.recorder.past, &m.cfg, r.key.Measure)
	r.check = validate.New(r.key, rules)
	kept, err := a.opt.Store.State(r.key)
	if err == nil {
		err = r.restore(kept, rules, a.opt.Config.Period, func(t time.Time) bool { return m.exchangeSince(t, m.cfg.Serial) })
	} else {
		r.counter = counterOf(r.cfg, a.opt.Config.Period)
	}
	if err != nil {
		a.log.Warn("register begins anew", "meter", r.key.Meter, "measure", r.key.Measure.String(), "reason", err)
		a.notes.add(a.started, r.key.Meter, fmt.Sprintf("%s begins anew: %v", r.key.Measure, err))
	}
	if r.previous == ([32]byte{}) {
		r.previous = lastStated(a.opt.Store, r.key)
	}
	a.restoreConversion(m, r)
}

// lastStated is the hash of a register's last statement, zero where there is
// none: of a meter that comes back into the configuration, or whose state was
// damaged, the chain goes on although nothing else does.
func lastStated(l Ledger, k energy.Key) (hash [32]byte) {
	for st, err := range l.Statements(&k) {
		if err == nil {
			hash = sha256.Sum256(st.Body)
		}
	}
	return hash
}
