package agent

import (
	"cmp"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// another takes note of who answered. A register of another meter than before
// begins anew, unless the operator has stated the exchange.
func (b *bus) another(m *meter, reg *register, serial string) {
	if serial == "" || serial == reg.serial {
		return
	}
	before := reg.serial
	reg.serial = serial
	now := hash8(serial)
	was := reg.origin.device
	reg.origin.device = now
	reg.seq++ // so that it is kept
	if was == ([8]byte{}) || was == now {
		return
	}
	acc, ok := reg.counter.(*energy.Accumulator)
	if !ok {
		return
	}
	base, open := acc.Base()
	if !open || b.exchangedAt(m, reg, base.At, serial) {
		return
	}
	reg.oldSerial = before
	before = cmp.Or(before, "another one")
	b.log.Warn("another meter answers", "meter", m.cfg.ID, "measure", reg.key.Measure.String(), "bus", b.cfg.ID, "serial", serial, "before", before)
	b.agent.notes.add(b.agent.Now(), m.cfg.ID, fmt.Sprintf("The meter says that its serial number is %s (before: %s): %s begins anew. State the closing and opening readings under exchanges.", serial, before, reg.key.Measure))
	b.found(reg, reg.check.Change(base.At, b.agent.Now(), "serial "+serial, "serial "+before, b.words[:0]))
	acc.Break()
}

// exchangedAt reports whether the operator's statement of an exchange, to the
// meter of this serial number where one is stated, is what a register stands
// on: it was taken in, and nothing was read since.
func (b *bus) exchangedAt(m *meter, reg *register, base time.Time, serial string) bool {
	for i := range m.cfg.Exchanges {
		x := &m.cfg.Exchanges[i]
		// One stated a little before the old meter's last reading is dated just after it.
		since := base.Sub(x.At)
		if since < 0 || since > energy.Period || x.NewSerial != "" && x.NewSerial != serial {
			continue
		}
		for _, read := range x.Reads {
			if read.Measure == reg.key.Measure && b.agent.recorder.exchanges.took(statementID(reg.key, x, read)) {
				return true
			}
		}
	}
	return false
}

// explains reports whether the operator's statements say why the configuration
// has another serial number than at the time of a register's newest reading: an
// exchange since then; or one before it, where it was taken in and was the last
// of all, or where the readings show it, so that the newest is the new meter's.
func (r *recorder) explains(m *meter, k energy.Key, newest time.Time) bool {
	all, err := r.breaks(k)
	if err != nil {
		return false
	}
	for i := range m.cfg.Exchanges {
		x := &m.cfg.Exchanges[i]
		if x.NewSerial != "" && x.NewSerial != m.cfg.Serial {
			continue
		}
		read, _ := x.Of(k.Measure)
		last := x.NewSerial != "" && i == len(m.cfg.Exchanges)-1
		took := r.exchanges.took(statementID(k, x, read))
		if !x.At.Before(newest) || took && last || !took && meant(x.At, all, r.agent.opt.Config.Period) >= 0 {
			return true
		}
	}
	return false
}
