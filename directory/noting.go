package directory

import (
	"context"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// KeepNoting writes the head of the audit log to the program's log, at once, at
// the end, and every hour in which it has moved, until ctx ends. Where that log is
// kept on another machine, these lines are the notes that audit verify asks for.
func (s *Service) KeepNoting(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	var last audit.Head
	note := func(ctx context.Context) {
		h, err := audit.HeadOf(ctx, s.DB)
		if err != nil {
			s.Logger.Warn("audit log: its head cannot be read", "error", err)
		} else if h != last {
			s.Logger.Info("audit log", "head", h.String())
			last = h
		}
	}
	for {
		note(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			note(end)
			cancel()
			return nil
		}
	}
}
