package bank

import (
	"net/url"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/emissions"
)

// Whatever a bank writes into its address, what comes of it is an error or whole
// months of the past (law 5).
func FuzzWindow(f *testing.F) {
	for _, s := range []string{"from=2026-01-01", "from=2026-01-01T00:00:00Z&to=2026-03-01", "from=2026-01-15", "from=2026-01-01T00:30:00Z", "from=2026-01-01&from=2025-01-01",
		"from=9999-12-01&to=0001-01-01", "to=2026-02-01", "from=2026-01-01T00:00:00.000000001Z", "from=2025-12-31T24:00:00Z", "from=2026-01-01T00:00:00+01:00Z"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		from, to, err := window(q, now)
		if err != nil {
			return
		}
		if !from.Equal(emissions.MonthOf(from).Start()) || !to.Equal(emissions.MonthOf(to).Start()) || !from.Before(to) || to.After(emissions.MonthOf(now).Start()) || to.Sub(from) > maxMonths*31*24*time.Hour {
			t.Errorf("%q: %v to %v", query, from, to)
		}
	})
}
