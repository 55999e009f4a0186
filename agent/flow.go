package agent

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// flow is the power beside a meter's registers, where it has a check_power:
// rule V07 tells by it that a register stands still. It is never counted, and
// a meter whose power cannot be read is none the worse.
type flow struct {
	watts  int64 // signed; above 0 is import
	at     time.Time
	failed bool // the last time it was to be read
}

// flowHolds is how long a power is taken to go on where the wire speaks by itself.
const flowHolds = config.DefaultMaxGap

// checks takes the readings of the power beside the registers out of those of
// a device: it is the point after them. The bus's lock is held.
func (b *bus) checks(m *meter, readings []drivers.Reading, now time.Time) {
	if m.cfg.CheckPower == nil {
		return
	}
	for i := range readings {
		r := &readings[i]
		if r.Point != len(m.registers) {
			continue
		}
		if failed := r.Err != nil; failed != m.flow.failed {
			m.flow.failed = failed
			if failed {
				b.agent.notes.add(now, m.cfg.ID, fmt.Sprintf("check_power cannot be read, so that nothing tells whether a register stands still: %v", r.Err))
				b.log.Warn("check_power cannot be read", "meter", m.cfg.ID, "error", r.Err)
			}
		}
		m.flow.at = time.Time{}
		if r.Err == nil && r.Flags == 0 {
			m.flow.watts, m.flow.at = r.Sample.Value, now
		}
	}
}

// flowing tells the validation what flows in the direction of a register.
func (m *meter) flowing(reg *register, f *validate.Facts, now time.Time) {
	if m.flow.at.IsZero() || now.Sub(m.flow.at) > flowHolds || reg.cfg.Power {
		return
	}
	switch reg.key.Measure {
	case energy.Import, energy.Generation:
		f.Power, f.PowerKnown = max(m.flow.watts, 0), true
	case energy.Export:
		f.Power, f.PowerKnown = max(-m.flow.watts, 0), true
	}
}
