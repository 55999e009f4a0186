package consumption

import (
	"context"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// How long what is not here may still be on its way.
const (
	historyTime = 48 * time.Hour      // a gateway that was just permitted sends its history
	offlineTime = 14 * 24 * time.Hour // a gateway that says nothing may be without a line, and comes back with all of it
	behindTime  = 3 * time.Hour       // a gateway that is further behind than this is still sending its history
)

// What Retry-After asks for.
const (
	retryHistory = 5 * time.Minute
	retryLive    = 30 * time.Minute // gateways send what is new every half-hour
	retryOffline = 6 * time.Hour
	retryMost    = 24 * time.Hour
)

// arrival tells late from never: it gives after how long a client should ask
// again, 0 when nothing of the window is on its way.
//
// A gateway sends each register oldest first. What is not here when something
// later is, it does not have: that is never, and the record says Missing. With
// nothing later, what is not here is late: while history is being sent, while
// the half-hours are fresh, and for a fortnight of silence. A window that is
// there in part is served once it is not history that is still coming.
func (s *Service) arrival(ctx context.Context, a permission.Access, src source, k energy.Key, served window, first tally) (time.Duration, error) {
	now := s.c.Now()
	if served.halfHours() == 0 || first.present >= served.halfHours() {
		return 0, nil
	}
	if done := served.from.Add(energy.Period); done.After(now) {
		return min(max(done.Sub(now), retryLive), retryMost), nil
	}
	for _, err := range s.c.Store.Readings(ctx, a.Gateway, k, served.to, now) {
		return 0, err // there is something later, or a fault
	}
	end := served.to
	if now.Before(end) {
		end = now
	}
	sending := now.Before(a.Granted.Add(historyTime))
	switch {
	case !src.listed:
		return 0, nil // the gateway no longer has the meter
	case sending && (first.present == 0 || end.Sub(first.last) > behindTime):
		return retryHistory, nil
	case first.present > 0:
		return 0, nil
	case now.Before(end.Add(historyTime)):
		return retryLive, nil
	case now.Before(end.Add(offlineTime)) || now.Before(a.Granted.Add(offlineTime)):
		return retryOffline, nil
	}
	return 0, nil
}
