package agent

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
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
	a.place(b, meters)
	return b, nil
}

// place makes the meters of a bus, and their registers, each in one piece of
// memory: it is a third less than one by one, and close together.
func (a *Agent) place(b *bus, meters []config.Meter) {
	n := 0
	for i := range meters {
		n += len(meters[i].Registers)
	}
	all, registers := make([]meter, len(meters)), make([]register, n)
	b.meters = make([]*meter, len(meters))
	own := a.opt.Config.Meters
	for i := range all {
		for own[0].ID != meters[i].ID { // they are in the same order
			own = own[1:]
		}
		m, mc := &all[i], &own[0]
		m.cfg, m.since = mc, a.started
		m.registers, registers = registers[:len(mc.Registers):len(mc.Registers)], registers[len(mc.Registers):]
		for j := range mc.Registers {
			rc := &mc.Registers[j]
			m.registers[j] = register{key: energy.Key{Meter: mc.ID, Measure: rc.Measure}, cfg: rc, origin: originOf(&b.cfg, mc, rc), learnt: rc.Learnt}
			a.restore(m, &m.registers[j])
		}
		b.meters[i] = m
	}
}

func (a *Agent) restore(m *meter, r *register) {
	rules := options(a.opt.Config, a.recorder.past, m.cfg, r.key.Measure)
	r.check = a.checkers.New(r.key, rules)
	kept, err := a.opt.Store.State(r.key)
	if err == nil {
		err = r.restore(kept, &a.checkers, rules, a.opt.Config.Period, func(t time.Time) bool { return a.recorder.explains(m, r.key, t) })
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
