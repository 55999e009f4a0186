// Package doctor judges what registers hold: whether a reading can be the
// total that it is taken for, and what is wrong where it cannot. It reads
// nothing itself: each diagnosis is a function of readings that the caller has.
package doctor

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Look is one reading of a register.
type Look struct {
	Value int64 // base units; valid when Err is nil
	Raw   uint64
	Err   error
}

// Seen is a register that was read once, or twice some time apart.
type Seen struct {
	Point  modbus.Point
	First  Look
	Second Look
	Apart  time.Duration // 0: it was read once
}

// Sense is how well a reading can be the total that it is taken for; more is
// better.
type Sense int

// The senses.
const (
	Absent     Sense = iota // the device has no such register, or did not answer
	Impossible              // no total is like this
	Doubtful                // a total could be like this, but hardly is
	Zero
	Stands // a total can be like this; it did not move
	Moves  // it moved by what a meter of this size can count
)

// Believable reports whether something was counted.
func (s Sense) Believable() bool { return s >= Stands }

// lifetime is what meters live to count: 100 GWh is a large works for years,
// and a smaller one does not run at its ceiling for 30 years.
const (
	lifetime      = 100_000_000_000
	lifetimeHours = 24 * 365 * 30
)

// Lifetime is the most that a meter with a ceiling (base units per hour; 0:
// not known) lives to count.
func Lifetime(perHour int64) int64 {
	if perHour <= 0 || perHour > lifetime/lifetimeHours {
		return lifetime
	}
	return perHour * lifetimeHours
}

// Judge says what sense a total makes, and why where it makes little. PerHour
// is the ceiling of its register in base units per hour, 0 where it is not known.
func Judge(s Seen, perHour int64) (Sense, string) {
	sense, why := single(s.Point, s.First, perHour)
	if s.Apart <= 0 || sense < Doubtful {
		return sense, why
	}
	second, later := single(s.Point, s.Second, perHour)
	if second == Absent {
		return sense, why
	}
	if second < Doubtful {
		return second, later
	}
	most := int64(lifetime)
	if perHour > 0 { // with a tenth to spare, and a step at either end
		most = int64(float64(perHour)*s.Apart.Hours()*1.1) + 2*s.Point.StepAt(s.Second.Value)
	}
	switch d := s.Second.Value - s.First.Value; {
	case d < 0:
		return Impossible, fmt.Sprintf("it fell by %s in %s: a total only rises", Amount(-d, s.Point.Measure), s.Apart)
	case d > most:
		return Impossible, fmt.Sprintf("it rose by %s in %s: more than this connection carries", Amount(d, s.Point.Measure), s.Apart)
	case d > 0 && sense != Doubtful:
		return Moves, ""
	}
	return sense, why
}

// single judges one reading.
func single(p modbus.Point, l Look, perHour int64) (Sense, string) {
	switch {
	case !Held(l.Err):
		return Absent, l.Err.Error()
	case l.Err != nil:
		return Impossible, l.Err.Error()
	case l.Value == 0 && l.Raw != 0 && p.Mantissa() > 0:
		return Impossible, "the bits are not zero, the value is"
	case l.Value == 0:
		return Zero, ""
	case l.Value > Lifetime(perHour):
		return Impossible, "more than such a meter counts in its life"
	case p.Mantissa() == 0 && width(p) > 16 && bits.TrailingZeros64(l.Raw) >= 16:
		return Doubtful, "its last 16 bits are all 0, as they are where the words are the wrong way round"
	}
	return Stands, ""
}

func width(p modbus.Point) int { return 16 * Words(p) }

// Words is how many registers a point takes.
func Words(p modbus.Point) int {
	switch p.Type {
	case "uint16", "int16":
		return 1
	case "uint64", "int64", "float64":
		return 4
	case "bcd":
		if len(p.Order) == 8 {
			return 4
		}
	}
	return 2
}

// Held reports whether a reading's error, if any, is about what the register
// holds, so that the register is there.
func Held(err error) bool {
	var e *drivers.Error
	return err == nil || errors.As(err, &e) && (e.Kind == drivers.Sentinel || e.Kind == drivers.Range)
}

// Answered reports whether a device answered, be it with a refusal. A
// gateway's word that the device behind it is silent is no answer of it.
func Answered(err error) bool {
	var e *drivers.Error
	switch {
	case Held(err):
		return true
	case errors.Is(err, wire.ErrGWTargetFailedToRespond), errors.Is(err, wire.ErrGWPathUnavailable):
		return false
	}
	return errors.As(err, &e) && e.Kind == drivers.Exception
}

// Failing reports whether an answer is a device's (or gateway's) word that it
// failed. Some say so of every register that they lack, and some servers of
// every unit that is not there.
func Failing(err error) bool { return errors.Is(err, wire.ErrServerDeviceFailure) }

// Amount shows base units as people know them: 18342.127 kWh.
func Amount(v int64, m energy.Measure) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	unit := map[string]string{"Wh": "kWh", "varh": "kvarh", "L": "m3"}[m.BaseUnit()]
	return fmt.Sprintf("%s%d.%03d %s", sign, v/1000, v%1000, unit)
}
