package agent

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// V17 speaks of all the time from the old meter's last reading to the new one's
// first, and stands beside every half-hour that is missing for it.
func TestAnotherSerialNumberAfterAnOutage(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		gone, back := epoch.Add(2*time.Hour+10*time.Minute), epoch.Add(4*time.Hour+10*time.Minute)
		meters := exchanged(gone, 50_000, 90_000)
		f := newFake(registers{func(now time.Time) (int64, error) {
			if now.After(gone) && now.Before(back) {
				return 0, errors.New("silent")
			}
			return meters(now)
		}})
		serial := func() string {
			if time.Now().Before(back) {
				return "OLD"
			}
			return "NEW"
		}
		s := openFaulty(t, path)
		a, err := New(Options{
			Config: site(f, 10*time.Second), Store: s, Logger: quietLog, Version: "test",
			Drivers: map[string]Factory{"fake": func(config.Bus, []config.Meter, func() time.Time, *slog.Logger) (drivers.Poller, error) {
				return identified{f, serial}, nil
			}},
		})
		check(t, err)
		check(t, runFor(a, 6*time.Hour))
		missing := 0
		for _, h := range halfHours(t, s, key("a")) {
			if h.Quality != energy.Missing {
				continue
			}
			if missing++; !h.Flags.Has(17) {
				t.Errorf("%v is missing without V17", h.Start)
			}
		}
		if missing < 4 {
			t.Errorf("%d half-hours are missing, want those of two hours", missing)
		}
		for x, err := range s.Findings(epoch, epoch.AddDate(1, 0, 0)) {
			check(t, err)
			if x.Rule == 17 && x.At.After(gone) {
				t.Errorf("V17 speaks from %v on, want from the old meter's last reading, before %v", x.At, gone)
			}
		}
		check(t, s.Close())
	})
}
