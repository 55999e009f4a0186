package agent

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/power"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// meter is one device of a bus, with what is known of it. The bus's lock
// guards it.
type meter struct {
	cfg       *config.Meter // the configuration's own: not to be changed
	registers []register

	asked    time.Time // last poll
	answered time.Time // last poll with at least one good register
	took     time.Duration
	failures int                // polls in a row without any good register
	since    time.Time          // when the present state began
	err      error              // why the last poll failed as a whole; nil when something came
	ever     bool               // it has answered since the start
	serial   string             // as the meter itself said; empty where it has not
	clock    *clock.DeviceClock // nil where the device gives no time
	alarms   []alarm            // what it says is wrong with it; nil before it was asked
	refused  []string           // the operator's statements that do not fit what was read
	flow     flow               // the power beside its registers
	latency  latency
	errs     [drivers.KindCount]uint64 // by the place of their kind, since the start
	before   drivers.Traffic           // what was counted of it before the configuration was read again
	due      atomic.Int64              // when it is asked next, unix nanoseconds of the machine's clock; 0: not known. The bus's goroutine sets it
}

// counter turns the readings of one register into half-hours: an
// energy.Accumulator, or a power.Integrator where there is only a power.
type counter interface {
	Add(energy.Sample, []energy.HalfHour) ([]energy.HalfHour, energy.Event)
	State([]byte) []byte
	Base() (energy.Sample, bool)
}

// register is one register of a meter.
type register struct {
	key     energy.Key
	cfg     *config.Register
	origin  origin // how it is read; see keep.go
	counter counter
	learnt  bool   // as cfg.Learnt, which a poll need not fetch from memory
	serial  string // of the meter that its newest readings are of, as the meter itself said
	hung    hung   // the meters before it
	check   *validate.Checker
	shelf   *clock.Shelf[shelved] // what was read while the clock could not be believed

	last        energy.Sample // newest sample, taken or not
	provisional bool          // its time is one of a clock that was not to be believed
	raw         uint64
	took        time.Duration
	deviceAt    time.Time // the device's own time of it; zero where it gives none
	err         error     // why the last poll of it failed
	refused     time.Time // when it last gave no value and the validation was told

	seq, sent, kept uint64    // samples taken; at the last collect; at the last commit
	settled         uint64    // half-hours since the start
	newest          time.Time // start of the newest half-hour
	findings        uint64    // of the validation, since the start
	events          [energy.EventKinds]uint32
	lastEvent       energy.EventKind
	lastEventAt     time.Time
	before          *energy.Reading // closing reading of another way of reading it, until the first sample
	breakKind       energy.StatementKind
	stated          *stated       // the operator's statement that the next event comes from; nil: none
	oldSerial       string        // of the meter before, by its own word, until the exchange is stated
	shift           time.Duration // by which the clock was put right last
	previous        [32]byte      // hash of its last statement
	converts        *conversionOf // of gas: by what its volume becomes energy, as a statement said last; nil: none did
	reconvert       bool          // it is configured in another way than that: to be stated
}

// counterOf makes the counter of a register that has not been read before.
func counterOf(r *config.Register, period time.Duration) counter {
	if r.Power {
		return power.New(r.Energy(), period, r.MaxGap)
	}
	return energy.NewAccumulator(r.Energy(), period)
}

// restoredCounter goes on from a state.
func restoredCounter(r *config.Register, period time.Duration, state []byte) (counter, error) {
	if r.Power {
		return power.Restore(r.Energy(), period, r.MaxGap, state)
	}
	return energy.RestoreAccumulator(r.Energy(), period, state)
}

// held reports whether the register shows a value that is not believed yet.
func (r *register) held() bool {
	if h, ok := r.counter.(interface {
		Held() (first, last energy.Sample, n int)
	}); ok {
		_, _, n := h.Held()
		return n > 0
	}
	return false
}

// options is what the validation knows of a register.
func options(c *config.Config, p *past, m *config.Meter, measure energy.Measure) validate.Options {
	o := c.Validation(*m, measure)
	if o.TooOld == 0 {
		o.TooOld = c.Store.KeepHalfHours
	}
	if m.CheckMeter == "" {
		return o
	}
	o.Check = p.of(m.CheckMeter)
	if check, ok := c.Meter(m.CheckMeter); ok {
		for _, r := range check.Registers {
			if r.Measure == measure {
				o.CheckStep = r.Step
			}
		}
	}
	return o
}

// errNotAsked stands for points that the driver did not come to.
var errNotAsked = errors.New("not read: the connection was lost before its turn")

// state is the meter's state in one word, for status, page and metrics.
func (m *meter) state() string {
	switch {
	case m.failures > 0: // also of a meter that speaks by itself and never has
		return "failing"
	case m.answered.IsZero():
		return "waiting"
	}
	for i := range m.registers {
		if m.registers[i].err != nil {
			return "partly"
		}
	}
	return "ok"
}

// erred counts an error of the meter, once for all the points that one question
// was to read: they have it in common. It returns what to pass with the next.
func (m *meter) erred(err error, before *drivers.Error) *drivers.Error {
	e, ok := err.(*drivers.Error)
	if !ok || e != before {
		m.errs[drivers.KindOf(err).Index()]++
	}
	return e
}
