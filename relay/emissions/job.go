package emissions

import (
	"context"
	"time"
)

// gather is how long Run waits after a Notify for more of them to come: a
// gateway that catches up sends many batches in a row.
const gather = 2 * time.Second

// Notify makes Run look soon: new half-hours came, or somebody asked for a
// month that is not complete. It never blocks.
func (s *Service) Notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run computes what can be computed, at intervals and when notified, until
// ctx ends. What fails for one account is logged and does not keep the others.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(s.c.Every)
	defer t.Stop()
	for {
		s.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-s.wake:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(gather):
			}
			select { // what came meanwhile is part of this round
			case <-s.wake:
			default:
			}
		}
	}
}

func (s *Service) round(ctx context.Context) {
	accounts, err := s.c.Accounts(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.c.Logger.Error("emissions: cannot list the permissions, will try again", "error", err)
		}
		return
	}
	for _, a := range accounts {
		months, err := s.Refresh(ctx, a, a.From, s.c.Now())
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.c.Logger.Warn("emissions: a site's months are not up to date, will try again", "gateway", a.Gateway, "error", err)
			continue
		}
		done, pending := 0, 0
		for _, m := range months {
			if m.Result != nil {
				done++
			} else if m.Pending {
				pending++
			}
		}
		s.c.Logger.Debug("emissions: looked at a site", "gateway", a.Gateway, "months", len(months), "complete", done, "pending", pending)
	}
}
