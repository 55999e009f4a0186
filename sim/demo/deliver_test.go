package demo

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The demo must work at any hour of any day, also when the shop opens within
// it: a gateway that polls once a minute is within the tolerance at every
// half-hour of a week, and one that takes the wrong register is not.
func TestToleranceHoldsAtAnyHour(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	shop := NewSite(now).Shop
	wrong := 0
	for offset := 5 * time.Second; offset < time.Minute; offset += 10 * time.Second {
		for h := now.AddDate(0, 0, -7); h.Before(now); h = h.Add(energy.Period) {
			got := interpolated(shop.Register, h.Add(energy.Period), offset) - interpolated(shop.Register, h, offset)
			if d := abs(got - shop.HalfHour(h)); d > tolerance(shop, h) {
				t.Errorf("%v, samples %v before: %d Wh off, %d allowed", h, offset, d, tolerance(shop, h))
			}
			if d := abs(shop.HalfHour(h.Add(-energy.Period)) - shop.HalfHour(h)); d > tolerance(shop, h) {
				wrong++
			}
		}
	}
	if wrong < 6*7*48/2 {
		t.Errorf("only %d half-hours could be told from the one before", wrong)
	}
}

// interpolated is the register at a boundary between samples a minute apart.
func interpolated(register func(time.Time) int64, at time.Time, before time.Duration) int64 {
	a, b := register(at.Add(-before)), register(at.Add(time.Minute-before))
	return a + (b-a)*int64(before)/int64(time.Minute)
}

// On the first of a month the month before is not settled yet: the demo must
// work on that day too, with history enough for it.
func TestMonthsOnAnyDay(t *testing.T) {
	for now, want := range map[string]string{
		"2026-11-22T09:00:00Z": "2025-11..2026-11",
		"2026-12-01T00:30:00Z": "2025-11..2026-11",
		"2026-12-02T00:30:00Z": "2025-11..2026-11",
		"2026-12-02T01:30:00Z": "2025-12..2026-12",
		"2027-01-01T12:00:00Z": "2025-12..2026-12",
		"2028-03-01T12:00:00Z": "2027-02..2028-02",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		from, to := (&demo{now: at}).months()
		if got := from.Format("2006-01") + ".." + to.Format("2006-01"); got != want {
			t.Errorf("%s: %s, want %s", now, got, want)
		}
		if site := NewSite(at); site.From.After(from) {
			t.Errorf("%s: history begins at %v, the report at %v", now, site.From, from)
		}
		if age := at.Sub(from); age > 400*24*time.Hour {
			t.Errorf("%s: the report begins %v ago, the gateway keeps 400 days", now, age)
		}
	}
}
