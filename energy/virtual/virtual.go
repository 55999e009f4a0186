// Package virtual makes the half-hours of meters that nobody screwed to a
// wall: the sum of several meters, a main meter less its sub-meters, and a
// tenant's share of a meter (by area, occupants, additional metering or on
// another ground).
//
// It is pure: the half-hours of the inputs go in, the half-hours of the
// virtual meter come out. The laws:
//
//   - No Wh is lost or made. A sum is the sum. The shares of one meter are cut
//     one after the other out of its register, so that they add up to the
//     meter in every half-hour (where they add up to 1), and none of them ever
//     strays from its share of the register by more than half a Wh for each
//     share cut before it (see chain). What a difference falls below zero by is
//     carried into the half-hours after it (see Tolerance).
//   - The quality is the worst of the inputs'. Where an input is missing, the
//     result is missing.
//   - Each measure by itself: nothing is netted.
package virtual

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind says how a virtual meter is made from its inputs.
type Kind uint8

// The kinds.
const (
	Sum        Kind = 1 // of all inputs
	Difference Kind = 2 // the first input (the main meter) less the others (its sub-meters)
	Share      Kind = 3 // part of the only input
)

// Method is the ground on which a meter is shared: the scheme's
// originMethodDerived (scheme.md).
type Method uint8

// The methods, named as the scheme names them.
const (
	AreaOccupied       Method = 1
	NumberOfOccupants  Method = 2
	AdditionalMetering Method = 3
	Other              Method = 4
)

var methodNames = [...]string{
	AreaOccupied: "AreaOccupied", NumberOfOccupants: "NumberOfOccupants",
	AdditionalMetering: "AdditionalMetering", Other: "Other",
}

// String gives the scheme's name.
func (m Method) String() string {
	if m >= AreaOccupied && m <= Other {
		return methodNames[m]
	}
	return fmt.Sprintf("method(%d)", uint8(m))
}

// ParseMethod reads the scheme's name of a method.
func ParseMethod(s string) (Method, error) {
	if i := slices.Index(methodNames[:], s); i >= int(AreaOccupied) {
		return Method(i), nil
	}
	return 0, fmt.Errorf("unknown method %q: use one of %s", s, strings.Join(methodNames[AreaOccupied:], ", "))
}

// Dated is a share that holds from an instant on: from the first half-hour
// that starts at From or after it, until the next one.
type Dated struct {
	From time.Time // zero: always
	Part Part
}

// Meter defines a virtual meter.
type Meter struct {
	ID        string
	Kind      Kind
	Of        []string  // the inputs; of a Difference the main meter comes first
	Method    Method    // of a Share
	Shares    []Dated   // of a Share, in the order of their dates
	Tolerance Tolerance // of a Difference
}

// check says what is wrong with a definition by itself.
func (m *Meter) check() error {
	if m.ID == "" {
		return fmt.Errorf("a virtual meter has no id")
	}
	for i, id := range m.Of {
		switch {
		case id == "":
			return fmt.Errorf("virtual meter %s: input %d has no id", m.ID, i+1)
		case slices.Contains(m.Of[:i], id):
			return fmt.Errorf("virtual meter %s: %s is named twice, and would be counted twice", m.ID, id)
		}
	}
	if m.Kind != Share && (m.Method != 0 || len(m.Shares) > 0) {
		return fmt.Errorf("virtual meter %s: only a share has a method and shares", m.ID)
	}
	switch m.Kind {
	case Sum:
		if len(m.Of) == 0 {
			return fmt.Errorf("virtual meter %s: a sum needs at least one meter", m.ID)
		}
	case Difference:
		if len(m.Of) < 2 {
			return fmt.Errorf("virtual meter %s: a difference needs a main meter and at least one to take off it", m.ID)
		}
		return m.Tolerance.check(m.ID)
	case Share:
		return m.checkShare()
	default:
		return fmt.Errorf("virtual meter %s: neither a sum, a difference nor a share", m.ID)
	}
	return nil
}

func (m *Meter) checkShare() error {
	switch {
	case len(m.Of) != 1:
		return fmt.Errorf("virtual meter %s: a share is of exactly one meter, not of %d", m.ID, len(m.Of))
	case m.Method < AreaOccupied || m.Method > Other:
		return fmt.Errorf("virtual meter %s: a share needs a method: one of %s", m.ID, strings.Join(methodNames[AreaOccupied:], ", "))
	case len(m.Shares) == 0:
		return fmt.Errorf("virtual meter %s: says nothing of how large its share is", m.ID)
	}
	for i, s := range m.Shares {
		switch {
		case !s.Part.valid():
			return fmt.Errorf("virtual meter %s: a share of %s: it lies between 0 and 1", m.ID, s.Part)
		case i > 0 && !s.From.After(m.Shares[i-1].From):
			return fmt.Errorf("virtual meter %s: the share from %s comes after that from %s: put them in the order of their dates, each date once",
				m.ID, s.From.Format(time.DateOnly), m.Shares[i-1].From.Format(time.DateOnly))
		}
	}
	return nil
}
