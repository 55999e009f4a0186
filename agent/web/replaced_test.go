package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// A meter's own page tells which values were replaced, by what, and when.
func TestReplacedValuesOnThePage(t *testing.T) {
	seed := func(s *store.Store) error {
		h := energy.HalfHour{Start: midnight.Add(-time.Hour), Energy: 1500, Cumulative: 9000, TakenAt: midnight, Quality: energy.Estimated, Evidence: energy.Evidence{Rule: energy.RuleSpread}}
		g := h
		g.Start = midnight.Add(-2 * time.Hour)
		for _, round := range []func(){
			func() {},
			func() {
				h.Energy, h.Cumulative, h.Quality, h.Evidence.Rule = 700, -1, energy.Measured, energy.RuleImported
			},
			func() { g.Energy, g.Quality, g.Evidence.Rule = 0, energy.Missing, energy.RuleNone },
		} {
			round()
			void := g.Quality == energy.Missing
			if err := s.Commit(store.Round{HalfHours: []store.KeyedHalfHour{{Key: mainImport, HalfHour: h}, {Key: mainImport, HalfHour: g, Void: void}}}); err != nil {
				return err
			}
		}
		return nil
	}
	withSeeded(t, testConfig(), seed, func(t *testing.T, ask func(string, string, ...func(*http.Request)) *http.Response) {
		b := body(t, ask("GET", "/?meter=main"))
		for _, want := range []string{
			"2 values were replaced",
			"<time>23:00 to 23:30 on 31 December 1999:</time> 1.500 kWh (estimated, spread), until 00:00 on 1 January 2000; now 0.700 kWh (measured, imported)</li>\n<li><time>22:00",
			"(estimated, spread), until 00:00 on 1 January 2000; now not known (withdrawn)",
		} {
			if !strings.Contains(strings.ReplaceAll(b, "</li><li>", "</li>\n<li>"), want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if all := body(t, ask("GET", "/")); strings.Contains(all, "withdrawn") {
			t.Error("the page of all meters lists them, too")
		}
	})
}
