// Package energy is the meter's mathematics: what turns the readings of a
// register into half-hours that an auditor would sign.
//
// It is pure. Nothing here reads a clock, touches a wire or a disk, or starts
// a goroutine; every time is an argument. All amounts are integers in the base
// unit of their measure (Wh, varh, litre), so that any sum is exact.
package energy

import (
	"fmt"
	"strings"
	"time"
)

// Period is the length of a settlement period, the only one that the scheme
// and the uplink carry.
const Period = 30 * time.Minute

// Quality says how a half-hour's value came about, from worst to best. The
// worst of its inputs is the quality of anything derived (law 2).
type Quality uint8

// The qualities. The numbers are part of the wire and store formats.
const (
	Missing      Quality = 0 // not known; the value is null, never zero
	Substituted  Quality = 1 // not measured: put in its place by a stated rule at the operator's wish
	Estimated    Quality = 2 // the exact advance over a longer gap, spread over its half-hours; or marked E by its source
	Interpolated Quality = 3 // the samples around each boundary are at most a period apart
	Measured     Quality = 4 // a sample lies close to each boundary (boundary.go says how close); or marked actual by its source
)

var qualityNames = [...]string{"missing", "substituted", "estimated", "interpolated", "measured"}

// Valid reports whether q is one of the qualities above.
func (q Quality) Valid() bool { return q <= Measured }

// String gives the name used in APIs, e.g. "measured".
func (q Quality) String() string {
	if q.Valid() {
		return qualityNames[q]
	}
	return fmt.Sprintf("quality(%d)", uint8(q))
}

// ParseQuality reads the name of a quality.
func ParseQuality(s string) (Quality, error) {
	for i, n := range qualityNames {
		if n == s {
			return Quality(i), nil
		}
	}
	return 0, fmt.Errorf("unknown quality %q: use one of %s", s, strings.Join(qualityNames[:], ", "))
}

// MarshalText writes the quality's name.
func (q Quality) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText reads the quality's name.
func (q *Quality) UnmarshalText(b []byte) error {
	v, err := ParseQuality(string(b))
	if err == nil {
		*q = v
	}
	return err
}

// Worst returns the worse of two qualities.
func Worst(a, b Quality) Quality { return min(a, b) }

// Sample is one reading of one register.
type Sample struct {
	At    time.Time // when the device's answer arrived, UTC
	Value int64     // the register in base units, as the device showed it (it may wrap at Register.Modulus)
}

// Rule is the identifier of the rule that decided a half-hour's value. It is
// part of its evidence; the numbers are part of the wire and store formats.
type Rule uint8

// The rules. See Accumulator for what each one means.
const (
	RuleNone        Rule = 0 // nothing decided: missing
	RuleBracketed   Rule = 1 // both boundaries bracketed by samples close to them
	RuleInterpolate Rule = 2 // a boundary interpolated between samples further apart
	RuleSpread      Rule = 3 // the exact advance over a gap, spread in proportion to time
	RuleImported    Rule = 4 // taken over from a half-hourly file, marked actual there
	RuleImportedEst Rule = 5 // taken over from a half-hourly file, marked estimated there

	RulePower         Rule = 6  // integrated from power readings: there is no energy register (feeds.md 3.1, rule 7)
	RuleCheckMeter    Rule = 7  // substituted: the check meter's value (E2)
	RuleLinear        Rule = 8  // substituted: between its two neighbours (E3)
	RuleProfileScaled Rule = 9  // the exact advance over a gap, in the shape of like days (E4), or less what actual values say of other half-hours in it (see Respread)
	RuleProfile       Rule = 10 // substituted: the median of like days (E5)
	RuleExchange      Rule = 11 // across a meter exchange, by the closing and opening reads that the operator stated
	RuleSum           Rule = 12 // virtual: a sum of meters
	RuleDifference    Rule = 13 // virtual: a meter less its sub-meters
	RuleShareArea     Rule = 14 // virtual: a share by area occupied
	RuleShareHeads    Rule = 15 // virtual: a share by number of occupants
	RuleShareOther    Rule = 16 // virtual: a share on another ground
	RuleInterval      Rule = 17 // the total of an interval, as a feed gave it (not a register)
	RuleWithdrawn     Rule = 18 // missing, though a value was stated before: that is withdrawn
	RuleShareMeter    Rule = 19 // virtual: a share by additional metering
)

// Evidence lets a third party redo the sum: the register at a boundary lies
// between Last of the half-hour before it and First of the one after it. Where
// one of these two is missing, Start of the second is the other reading.
type Evidence struct {
	First, Last Sample // the samples around or nearest to the two boundaries; of a missing one those around the break
	Start       Sample // the other sample around the start, where one of the two half-hours there is missing; else none
	Samples     int    // how many samples fell in the half-hour
	Rule        Rule   // what decided
}

// HalfHour is the energy of one register over [Start, Start+Period).
type HalfHour struct {
	Start      time.Time // UTC; a multiple of the period
	Energy     int64     // base units, >= 0; 0 and meaningless when Quality is Missing
	Cumulative int64     // the register at the end boundary, base units; -1 where it is not known (imported values)
	TakenAt    time.Time // when the value was settled: after its end (scheme.md, takenAt)
	Quality    Quality
	Flags      Flags // the validation rules that spoke against it
	Evidence   Evidence
}

// Key names one register of one meter.
type Key struct {
	Meter   string
	Measure Measure
}

// String gives "meter/measure".
func (k Key) String() string { return k.Meter + "/" + k.Measure.String() }

// Span is a run of half-hours of one register: those that start in [From, To).
type Span struct {
	Key
	From, To time.Time
}

// Flags are the validation rules that spoke about a half-hour: bit n-1 stands
// for rule Vn of feeds.md 3.4. They are part of the wire and store formats.
type Flags uint32

// FlagsAll has every rule's bit, V01 to V20.
const FlagsAll Flags = 1<<20 - 1

// Has reports whether rule Vn is among them.
func (f Flags) Has(n int) bool { return n >= 1 && n <= 20 && f&(1<<(n-1)) != 0 }

// With adds rule Vn.
func (f Flags) With(n int) Flags {
	if n < 1 || n > 20 {
		return f
	}
	return f | 1<<(n-1)
}

// List gives the identifiers in order, e.g. ["V05", "V16"]; nil where there is none.
func (f Flags) List() []string {
	var out []string
	for n := 1; n <= 20; n++ {
		if f.Has(n) {
			out = append(out, fmt.Sprintf("V%02d", n))
		}
	}
	return out
}

// KeyedFinding is what a validation rule found out about a register, as it is
// stored: the rule's number, the instant it speaks of, and its JSON.
type KeyedFinding struct {
	Key
	At   time.Time
	Rule uint8 // n of Vn
	Body []byte
}

// KeyedStatement is a statement of baseline of one register, as it is stored
// and carried: its canonical JSON and the instant it speaks of.
type KeyedStatement struct {
	Key
	At   time.Time
	Body []byte
}
