package validate

import (
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Exceeded is what V09 finds of a difference of meters: the sub-meters counted
// more between two instants than their main meter, in base units, by more than
// the tolerance allows (feeds.md 3.2).
func Exceeded(k energy.Key, from, to time.Time, main, subs int64) Finding {
	unit := k.Measure.BaseUnit()
	return Finding{
		Rule: 9, Severity: Warning, Key: k, From: from, To: to, Count: 1,
		Found:    "the sub-meters " + written(subs, unit) + ", the main meter " + written(main, unit),
		Expected: "no more than the main meter and the tolerance",
		Note:     "what is left of the main meter is missing there",
	}
}
