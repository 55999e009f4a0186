package energy

import "time"

// EventKind says what an Accumulator noticed about a sample.
type EventKind uint8

// The kinds of event. The zero kind means that nothing happened.
const (
	Nothing    EventKind = 0
	Opened     EventKind = 1  // the first sample: the opening reading
	Glitch     EventKind = 2  // a value that the register cannot have shown was thrown away; the baseline stands
	Rollover   EventKind = 3  // the register wrapped at its modulus; the advance through it is counted
	Reset      EventKind = 4  // the register has a new baseline; the energy of the break is not known
	OutOfOrder EventKind = 5  // a sample not after the one before it (or with an impossible time) was dropped
	TooFast    EventKind = 6  // a leap that the meter cannot have delivered is held until what follows confirms or refutes it
	Exchanged  EventKind = 7  // another meter, or another register: closing reading (Before) of the old one, opening reading (After) of the new one
	ClockBack  EventKind = 8  // the baseline was dated in the future: the register is opened anew at an earlier time
	Ambiguous  EventKind = 9  // unseen for so long that the register can have wrapped more than once: a new baseline; the energy of the gap is not known
	Retracted  EventKind = 10 // the last sample (After) turned out to be a glitch: the half-hours that it had settled are given again and take their place
	CaughtUp   EventKind = 11 // the register was frozen: it showed the same value (Before, first at BeforeAt) again and again, and leapt to where it stood meanwhile; the half-hours since then are given again and take their place
)

// EventKinds is how many kinds there are, Nothing included: the length of an
// array that counts them.
const EventKinds = 12

var eventNames = [...]string{"", "opened", "glitch", "rollover", "reset", "out-of-order", "too-fast", "exchanged", "clock-back", "ambiguous", "retracted", "caught-up"}

// String gives the name used in logs and APIs, e.g. "too-fast"; "" for Nothing.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is what an Accumulator noticed while it took a sample.
type Event struct {
	Kind     EventKind
	At       time.Time // the sample that the event speaks of, UTC
	Before   int64     // the baseline before it, base units; -1 where there was none
	After    int64     // what the sample showed, base units
	BeforeAt time.Time // when the baseline was read, UTC; zero where there was none
}
