package consumption

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Late is told from never: late asks to come again, never says that it is
// missing, and signs for it.
func TestLateAndNever(t *testing.T) {
	day := func(n int) time.Time { return monday.AddDate(0, 0, n) }
	for name, c := range map[string]struct {
		granted, now time.Time
		have         [][2]time.Time // stretches of half-hours
		query        string
		source       string
		retry        string // "": served
		served       int
	}{
		"history has not begun to come":     {granted: day(0), now: day(0).Add(time.Hour), query: "from=2026-02-01&to=2026-02-02", retry: "300"},
		"history comes":                     {granted: day(0), now: day(0).Add(time.Hour), have: [][2]time.Time{{day(-30), day(-20)}}, query: "from=2026-01-31&to=2026-03-01", retry: "300"},
		"of history what is before is here": {granted: day(0), now: day(0).Add(time.Hour), have: [][2]time.Time{{day(-30), day(-20)}}, query: "from=2026-02-02&to=2026-02-04", served: 96},
		"history came, with a hole":         {granted: day(0), now: day(0).Add(time.Hour), have: [][2]time.Time{{day(-30), day(-20)}, {day(-10), day(0)}}, query: "from=2026-02-08&to=2026-02-14", served: 96},
		"all of the window is in the hole":  {granted: day(0), now: day(0).Add(time.Hour), have: [][2]time.Time{{day(-30), day(-20)}, {day(-10), day(0)}}, query: "from=2026-02-13&to=2026-02-14", served: 0},
		"history never came whole":          {granted: day(-5), now: day(0), have: [][2]time.Time{{day(-30), day(-20)}}, query: "from=2026-01-31&to=2026-03-01", served: 480},
		"the day so far":                    {granted: day(-90), now: day(0).Add(10*time.Hour + time.Minute), have: [][2]time.Time{{day(-1), day(0).Add(9*time.Hour + 30*time.Minute)}}, query: "from=2026-03-02", served: 19},
		"nothing of today yet":              {granted: day(-90), now: day(0).Add(10 * time.Minute), have: [][2]time.Time{{day(-1), day(0)}}, query: "from=2026-03-02&to=2026-03-03", retry: "1800"},
		"silent for three days":             {granted: day(-90), now: day(3), have: [][2]time.Time{{day(-9), day(-2)}}, query: "from=2026-03-01&to=2026-03-02", retry: "21600"},
		"silent for three weeks":            {granted: day(-90), now: day(21), have: [][2]time.Time{{day(-9), day(-2)}}, query: "from=2026-03-01&to=2026-03-02", served: 0},
		"next week":                         {granted: day(-90), now: day(0), have: [][2]time.Time{{day(-9), day(0)}}, query: "from=2026-03-09&to=2026-03-10", retry: "86400"},
		"in an hour":                        {granted: day(-90), now: day(0), have: [][2]time.Time{{day(-9), day(0)}}, query: "from=2026-03-02T01:00:00Z&to=2026-03-03", retry: "5400"},
		"a meter that was taken out":        {granted: day(-90), now: day(0), source: "src-old", query: "from=2026-02-28&to=2026-03-01", served: 0},
		"no half-hour lies in it":           {granted: day(-90), now: day(0), query: "from=2026-02-28T00:01:00Z&to=2026-02-28T00:20:00Z", served: 0},
	} {
		w := newWorld(t)
		w.now, w.access.Granted = c.now, c.granted
		for _, h := range c.have {
			w.store.put(mainIn, h[0], int(h[1].Sub(h[0])/energy.Period))
		}
		if c.source == "" {
			c.source = "src-main"
		}
		got := w.get("/datasources/" + c.source + "/import?" + c.query)
		if c.retry != "" {
			var body struct{ Message string }
			if err := json.Unmarshal(got.Body.Bytes(), &body); got.Code != http.StatusAccepted || got.Header().Get("Retry-After") != c.retry || err != nil || body.Message == "" || len(w.signed) > 0 {
				t.Errorf("%s: %d, Retry-After %q, want %s: %.200s", name, got.Code, got.Header().Get("Retry-After"), c.retry, got.Body)
			}
			continue
		}
		if got.Code != 200 || !strings.HasPrefix(got.Body.String(), `{"data":[`) {
			t.Errorf("%s: %d %.200s", name, got.Code, got.Body)
			continue
		}
		s := w.signed[0]
		if n := len(w.data(got.Body.Bytes()).Data); n != c.served || s.Present != c.served {
			t.Errorf("%s: %d half-hours, want %d", name, n, c.served)
		}
		wantMissing := "Missing"
		if s.Expected == c.served {
			wantMissing = "Complete"
		}
		if s.MissingData != wantMissing || (s.OriginMethod == "") != (c.served == 0) {
			t.Errorf("%s: the record says %q and %q", name, s.MissingData, s.OriginMethod)
		}
	}
}
