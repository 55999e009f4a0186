package clock

import "time"

// Class says how much a clock that is wrong by some time matters (feeds.md
// 3.1, rule 8; rule V11).
type Class uint8

// The classes, from best to worst.
const (
	Fine       Class = 0 // up to 20 s: used as it is
	Flagged    Class = 1 // more than 20 s and up to 15 min: corrected and flagged with V11
	Quarantine Class = 2 // more than 15 min: its times are not used; a person should look
)

// The bounds of the classes. A value at a bound belongs to the better class.
const (
	FineMost    = 20 * time.Second
	FlaggedMost = 15 * time.Minute
)

var classNames = [...]string{"fine", "flagged", "quarantine"}

// String gives the name used in APIs.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// MarshalText writes the class's name.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Classify says how much being wrong by d matters, in either direction.
func Classify(d time.Duration) Class {
	switch {
	case d >= -FineMost && d <= FineMost:
		return Fine
	case d >= -FlaggedMost && d <= FlaggedMost:
		return Flagged
	default:
		return Quarantine
	}
}
