package agent

import (
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// meter is one device of a bus, with what is known of it. The bus's lock
// guards it.
type meter struct {
	cfg       config.Meter
	registers []register

	asked    time.Time // last poll
	answered time.Time // last poll with at least one good register
	took     time.Duration
	failures int       // polls in a row without any good register
	since    time.Time // when the present state began
	err      error     // why the last poll failed as a whole; nil when something came
	ever     bool      // it has answered since the start
}

// register is one register of a meter.
type register struct {
	key    energy.Key
	cfg    *config.Register
	origin origin // how it is read; see keep.go
	acc    *energy.Accumulator

	last energy.Sample // newest sample, taken or not
	raw  uint64
	err  error // why the last poll of it failed

	base    energy.Sample // newest sample that stands on the accumulator's baseline, as far as can be told
	holding bool          // the accumulator holds values that disagree with it

	seq, sent, kept uint64    // samples taken; at the last collect; at the last commit
	settled         uint64    // half-hours since the start
	newest          time.Time // start of the newest half-hour
	events          [8]uint32 // by energy.EventKind
	lastEvent       energy.EventKind
	lastEventAt     time.Time
	before          *energy.Reading // closing reading of another way of reading it, until the first sample
	breakKind       energy.StatementKind
	previous        [32]byte // hash of its last statement
}

// errNotAsked stands for points that the driver did not come to.
var errNotAsked = errors.New("not read: the connection was lost before its turn")

// state is the meter's state in one word, for status, page and metrics.
func (m *meter) state() string {
	switch {
	case m.asked.IsZero():
		return "waiting"
	case m.failures > 0:
		return "failing"
	}
	for i := range m.registers {
		if m.registers[i].err != nil {
			return "partly"
		}
	}
	return "ok"
}

// kindOf sorts an error for the metrics.
func kindOf(err error) drivers.Kind {
	if e, ok := err.(*drivers.Error); ok { // nearly always; errors.As allocates
		return e.Kind
	}
	var e *drivers.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return "other"
}
