package main

import (
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/store"
)

// dating is the clock that dates readings; nil in a rehearsal, whose clock is
// taken as it is.
func dating(rehearse rehearsal.Clock, cfg *config.Config, s *store.Store, log *slog.Logger) *clock.Clock {
	if rehearse != (rehearsal.Clock{}) {
		return nil
	}
	return clock.New(clock.Options{
		Policy: clock.Policy(cfg.Clock.Trust), Floor: agent.NewestReading(s), Built: built(), Kept: agent.KeptClock(s), Logger: log,
	})
}

// built is when the sources that the program was built from were committed;
// zero where the Go tool does not know.
func built() (t time.Time) {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.time" {
			t, _ = time.Parse(time.RFC3339, s.Value)
		}
	}
	return t
}
