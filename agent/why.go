package agent

import (
	"fmt"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// Neighbours is how the other meters of a bus do, as far as they have been
// asked.
type Neighbours struct{ Read, Silent int }

// Why says why a meter is not read. Where it is silent, what its neighbours do
// tells more than any general advice: one meter alone is silent through itself,
// all together through what they share.
func Why(err error, n Neighbours) *drivers.Reason {
	r := drivers.ReasonOf(err)
	if r == nil || r.Kind != drivers.Timeout {
		return r
	}
	switch {
	case n.Read == 1:
		r.Hint = "the other meter on this bus is read: look at this one, its power, its unit number or name, and its end of the wire"
	case n.Read > 1:
		r.Hint = fmt.Sprintf("%d others on this bus are read: look at this one, its power, its unit number or name, and its end of the wire", n.Read)
	case n.Silent > 0:
		all := fmt.Sprintf("none of the %d meters on this bus answers, so it is something that they share", n.Silent+1)
		if r.Hint != "" {
			all += ": " + r.Hint
		}
		r.Hint = all
	}
	return r
}
