package simulation

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// checkRelay holds what the relay has against what is stored: a half-hour that
// waits for nothing any more is there, as it is here. At the last check, after
// half a day without trouble, none may wait.
func (o *oracle) checkRelay(s *store.Store, r *relay, now time.Time, last bool) {
	sealed, _, err := s.Oldest()
	if err != nil {
		o.report("relay", err.Error())
		return
	}
	if sealed != 0 {
		if last {
			o.report("relay", fmt.Sprintf("batch %d was never delivered", sealed))
		}
		return
	}
	if !r.known(s) {
		if last {
			o.report("relay", "the gateway does not know the present permissions")
		}
		return // what was withdrawn is deleted there, and the gateway could not be told
	}
	for _, w := range o.order {
		from := max(w.sent-48, 0)
		if last {
			from = 0
		}
		waiting := map[int64]bool{}
		pending, err := s.Pending(w.key, boundary(from), now, 1<<30)
		if err != nil {
			o.report("relay", err.Error())
			continue
		}
		for _, h := range pending {
			waiting[h.Start.Unix()] = true
		}
		if last {
			for _, h := range pending {
				if h.Start.Before(now.Add(-3*time.Hour)) && r.allows(w.key, h.Start) {
					o.report("relay", fmt.Sprintf("%s %s is still not sent", w.key, h.Start))
				}
			}
		}
		held, err := r.holds(w.key, boundary(from), now)
		if err != nil {
			o.report("relay", err.Error())
			continue
		}
		for h, err := range s.HalfHours(w.key, boundary(from), now) {
			if err != nil || waiting[h.Start.Unix()] || !r.allows(w.key, h.Start) {
				continue
			}
			w.sent = max(w.sent, index(h.Start))
			v, ok := held[h.Start.Unix()]
			if h.Quality == energy.Missing {
				if ok && v.Quality != energy.Missing {
					o.report("relay", fmt.Sprintf("%s %s is missing, the relay has %v", w.key, h.Start, v))
				}
				continue
			}
			if !ok || v.Energy != h.Energy || v.Quality != h.Quality || v.Rule != h.Evidence.Rule || v.Flags != h.Flags {
				o.report("relay", fmt.Sprintf("%s %s was acknowledged as %s, the relay has %v %v", w.key, h.Start, words(&h), ok, v))
			}
		}
	}
}
