package drivers

import (
	"errors"
	"slices"
	"strings"
)

// Other is the kind of an error that no driver sorted.
const Other Kind = "other"

// kinds in the order in which they are counted and shown.
var kinds = [...]Kind{Timeout, Refused, Exception, Protocol, Sentinel, Range, Other}

// KindCount is how many kinds there are.
const KindCount = len(kinds)

// Kinds lists all kinds.
func Kinds() []Kind { return slices.Clone(kinds[:]) }

// Index is the place of a kind in Kinds; that of Other for one not in it.
func (k Kind) Index() int {
	for i, known := range kinds {
		if k == known {
			return i
		}
	}
	return KindCount - 1
}

// KindOf sorts an error. It does not allocate for a plain *Error.
func KindOf(err error) Kind {
	if e, ok := err.(*Error); ok { // nearly always; errors.As allocates
		return e.Kind
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Other
}

// Reason is why something cannot be read, in the parts that people and
// programs ask for.
type Reason struct {
	Kind Kind   `json:"kind"`
	Says string `json:"says"`           // what happens, in plain words
	Hint string `json:"hint,omitempty"` // what to try
}

// Verb says what a meter does that is not read for this reason: it "does not
// answer", or "gives no reading" though it answers.
func (r *Reason) Verb() string {
	if r != nil && (r.Kind == Exception || r.Kind == Protocol || r.Kind == Sentinel || r.Kind == Range) {
		return "gives no reading"
	}
	return "does not answer"
}

// says is what a kind means to who stands before the meter.
var says = map[Kind]string{
	Timeout:   "no answer in time",
	Refused:   "no connection",
	Exception: "it answers, and refuses",
	Protocol:  "what comes back is no answer to what was asked",
	Sentinel:  "it answers, and says that it has no value",
	Range:     "its value cannot be",
}

// ReasonOf takes an error apart; nil for nil.
func ReasonOf(err error) *Reason {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Reason{Kind: Other, Says: err.Error()}
	}
	r := &Reason{Kind: KindOf(err), Says: says[e.Kind], Hint: e.Hint}
	if r.Says == "" {
		r.Says = string(e.Kind)
	}
	if e.Err != nil && !tells(e.Kind, e.Err.Error()) {
		r.Says += ": " + e.Err.Error()
	}
	if e.Op != "" {
		r.Says += " (" + e.Op + ")"
	}
	return r
}

// tells reports whether a cause says nothing that its kind has not said.
func tells(k Kind, cause string) bool {
	return k == Timeout && (strings.Contains(cause, "timed out") || strings.HasSuffix(cause, "i/o timeout"))
}
