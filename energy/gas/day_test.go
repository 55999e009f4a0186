package gas

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"pgregory.net/rapid"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestGasDays(t *testing.T) {
	for _, c := range []struct{ instant, want string }{
		{"2026-01-15T04:59:59Z", "2026-01-14"}, {"2026-01-15T05:00:00Z", "2026-01-15"}, {"2026-01-15T23:59:59Z", "2026-01-15"}, {"2026-01-16T00:00:00Z", "2026-01-15"},
		{"2026-07-15T03:59:59Z", "2026-07-14"}, {"2026-07-15T04:00:00Z", "2026-07-15"}, // 05:00 BST
		{"2026-07-15T05:00:00+01:00", "2026-07-15"}, {"2026-07-14T23:30:00-05:00", "2026-07-15"},
		{"2026-03-29T00:59:59Z", "2026-03-28"}, {"2026-03-29T03:59:59Z", "2026-03-28"}, {"2026-03-29T04:00:00Z", "2026-03-29"},
		{"2026-10-25T04:59:59Z", "2026-10-24"}, {"2026-10-25T05:00:00Z", "2026-10-25"},
		{"2026-01-01T04:30:00Z", "2025-12-31"}, {"2024-03-01T04:30:00Z", "2024-02-29"}, {"1970-01-01T00:00:00Z", "1969-12-31"},
	} {
		if got := DayOf(at(c.instant)).String(); got != c.want {
			t.Errorf("%s: %s, not %s", c.instant, got, c.want)
		}
	}
	for _, c := range []struct {
		date, start string
		hours       float64
	}{
		{"2026-01-15", "2026-01-15T05:00:00Z", 24}, {"2026-07-15", "2026-07-15T04:00:00Z", 24},
		{"2026-03-28", "2026-03-28T05:00:00Z", 23}, {"2026-03-29", "2026-03-29T04:00:00Z", 24},
		{"2026-10-24", "2026-10-24T04:00:00Z", 25}, {"2026-10-25", "2026-10-25T05:00:00Z", 24},
		{"1969-12-31", "1969-12-31T04:00:00Z", 24}, // Britain kept summer time that winter
	} {
		d, err := ParseDay(c.date)
		if err != nil || d.String() != c.date || !d.Start().Equal(at(c.start)) || d.End().Sub(d.Start()).Hours() != c.hours {
			t.Errorf("%s: %v, from %v to %v, %v", c.date, d, d.Start(), d.End(), err)
		}
	}
	for _, s := range []string{"", "2026-02-30", "31/01/2026", "2026-1-5", "2026-01-31T00:00:00Z"} {
		_, err := ParseDay(s)
		wants(t, err, "is not a date")
	}
}

// Every half-hour lies in exactly one gas day, and the days join.
func TestGasDaysJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(0, 7_000_000_000).Draw(t, "time"), 0).Truncate(energy.Period)
		d := DayOf(start)
		if start.Before(d.Start()) || start.Add(energy.Period).After(d.End()) || DayOf(start.Add(energy.Period-1)) != d {
			t.Fatalf("%v lies in %v: %v to %v", start.UTC(), d, d.Start(), d.End())
		}
		if DayOf(d.Start()) != d || DayOf(d.Start().Add(-1)) != d-1 || !d.End().Equal((d + 1).Start()) {
			t.Fatalf("%v: %v to %v", d, d.Start(), d.End())
		}
		if back, err := ParseDay(d.String()); err != nil || back != d {
			t.Fatalf("%v became %v, %v", d, back, err)
		}
	})
}
