// Package drivers says what a driver is: the thing that turns a wire into
// energy.Sample. Each kind of wire has its own package below this one.
//
// A driver owns its wire alone (law 8): one goroutine calls it, one request is
// in flight, and an answer that comes late is thrown away, never taken for the
// answer to the next question.
package drivers

import (
	"context"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A Poller is a wire that answers when asked, such as a Modbus bus.
// It is used by one goroutine at a time.
type Poller interface {
	// Poll reads every point of one device (an index into the devices that
	// the driver was made with) and appends one Reading per point to dst.
	// A point that could not be read has its Err set; Poll itself fails only
	// when nothing could be asked at all (the wire is down). Poll reconnects
	// by itself; after an error the next Poll is always safe.
	Poll(ctx context.Context, device int, dst []Reading) ([]Reading, error)
	// Close lets go of the wire. Poll may be called again and reopens it.
	Close() error
}

// A Listener is a wire that speaks by itself, such as an MQTT broker.
type Listener interface {
	// Listen delivers readings until ctx ends. It reconnects by itself and
	// returns only when ctx is done. Deliver is called from one goroutine at a
	// time; it keeps nothing of r.
	Listen(ctx context.Context, deliver func(device int, r []Reading)) error
	// Health says how the wire does: nil while it can be heard.
	Health() error
}

// Reading is the outcome of reading one point.
type Reading struct {
	Point  int           // index into the device's points
	Sample energy.Sample // valid when Err is nil
	Err    error         // why there is no sample: a *Error where the driver can tell the kind
	Raw    uint64        // the raw register bits, for probe and evidence
	Took   time.Duration // request to answer

	// Interval > 0: not a register but a total, the energy in base units of
	// [Sample.At - Interval, Sample.At), as feeds of half-hours give it.
	Interval  time.Duration
	Estimated bool // the source marks the value as an estimate
	Again     bool // of a Listener: the source shows what was delivered before, after something that was no value. There is nothing to count; only the error is over
	History   bool // sent later, as history: it may be old

	Modulus int64  // base units at which the device says that its register starts again at 0, where it says so with each reading (SunSpec); 0: as configured
	Step    int64  // base units that one count of it is just now; 0: as configured
	Anew    string // why the register does not go on from its last reading: what lies between is not known; "" where it does

	Unit     string       // the unit that the source named, where that is not the configured one (V02); else ""
	DeviceAt time.Time    // the device's own time of the sample, UTC; zero where it gives none
	Flags    energy.Flags // what the source itself says against it: V13 stale, V14 bad quality; such a sample is shown, never counted
}

// An Identifier is a Poller that reads who answers: the serial number of the
// device at its last successful Poll, so that an exchanged meter is noticed.
type Identifier interface {
	// Identity is "" while it is not known or the device does not say.
	Identity(device int) string
}

// An Alarmer is a Poller that reads what a device says is wrong with it.
type Alarmer interface {
	// Alarms is the state of each alarm of a device, in the order that they are
	// configured in, at its last successful Poll. It is valid until the next.
	Alarms(device int) []AlarmState
}

// AlarmState is that of one alarm.
type AlarmState struct {
	On  bool
	Err error // why that is not known
}

// Kind sorts errors for metrics and for what an installer should do next.
type Kind string

// The kinds of error.
const (
	Timeout   Kind = "timeout"   // no answer in time
	Refused   Kind = "refused"   // the connection could not be made
	Exception Kind = "exception" // the device said no (Modbus exception)
	Protocol  Kind = "protocol"  // an answer that does not fit the question
	Sentinel  Kind = "sentinel"  // the device's way of saying "no value": NaN, 0x8000.., all ones
	Range     Kind = "range"     // a value outside what a register can hold
)

// Error is a driver's error with its kind and what to do about it.
type Error struct {
	Kind Kind
	Op   string // what was being done, e.g. "read unit 3 input 0x0156+2"
	Err  error
	Hint string // what the installer should try; may be empty
}

// Error gives the operation, the cause and the hint in one line.
func (e *Error) Error() string {
	s := e.Op + ": " + string(e.Kind)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
