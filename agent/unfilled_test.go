package agent

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/store"
)

// The meter is replaced in the gateway's first half-hour: there is no register
// to count from. The operator is told so by a note, a finding and the status,
// also after a restart, until the half-hour is known from elsewhere. (Walked:
// the status said that all is well while half-hours stayed missing.)
func TestExchangeThatLeavesHalfHoursMissing(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		at := epoch.Add(40 * time.Minute)
		f := newFake(registers{exchanged(at, 90_000_000, 17)})
		s := openFaulty(t, path)
		time.Sleep(time.Until(epoch.Add(10 * time.Minute)))
		check(t, runFor(newAgent(t, f, site(f, 10*time.Second), s), 2*time.Hour))
		c := site(f, 10*time.Second)
		c.Meters[0].Exchanges = []config.Exchange{
			{At: at, Reads: []config.ExchangeRead{{Measure: energy.Import, Closing: 90_000_000, Opening: 17}}},
			{At: at.AddDate(-2, 0, 0), Reads: []config.ExchangeRead{{Measure: energy.Import, Closing: 5, Opening: 3}}}, // of a gateway before this one
		}
		a := newAgent(t, f, c, s)
		check(t, runFor(a, 2*time.Hour))
		missing := halfHours(t, s, key("a"))[0]
		if missing.Quality != energy.Missing {
			t.Fatalf("%+v", missing)
		}
		const why = "leaves half-hours missing: the meter was not read through the whole half-hour before them"
		var said string
		for _, n := range a.Status().Notes {
			said += n.What + "\n"
		}
		if !strings.Contains(said, why) {
			t.Errorf("notes: %s", said)
		}
		var found []string
		for k, err := range s.Findings(epoch.AddDate(-3, 0, 0), epoch.AddDate(1, 0, 0)) {
			check(t, err)
			x, err := validate.ParseFinding(k.Body)
			check(t, err)
			if x.Rule == 17 {
				found = append(found, x.String())
			}
		}
		if len(found) != 1 || !strings.Contains(found[0], "half-hours stay missing") {
			t.Errorf("findings: %q", found)
		}
		for range 2 {
			if got := a.Status().Meters[0].Unfilled; len(got) != 1 || !strings.Contains(got[0], "stated for 2000-01-01T00:40:00Z "+why) {
				t.Errorf("status: %q", got)
			}
			a = newAgent(t, f, c, s) // after a restart, too
			check(t, runFor(a, time.Minute))
		}
		missing.Quality, missing.Energy, missing.Evidence = energy.Measured, 500, energy.Evidence{Rule: energy.RuleImported}
		check(t, s.Commit(store.Round{HalfHours: []store.KeyedHalfHour{keyedHalfHour(key("a"), missing)}}))
		if got := a.Status().Meters[0].Unfilled; got != nil {
			t.Errorf("after a file told the half-hour: %q", got)
		}
		check(t, s.Close())
	})
}
