package energy

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func utc(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestSettlementDay(t *testing.T) {
	for _, c := range []struct {
		year, month, day int
		periods          int
		first, last      string
		date             string
	}{
		{2024, 1, 1, 48, "2024-01-01T00:00:00Z", "2024-01-01T23:30:00Z", "2024-01-01"},
		{2024, 3, 31, 46, "2024-03-31T00:00:00Z", "2024-03-31T22:30:00Z", "2024-03-31"},
		{2024, 6, 1, 48, "2024-05-31T23:00:00Z", "2024-06-01T22:30:00Z", "2024-06-01"},
		{2024, 10, 27, 50, "2024-10-26T23:00:00Z", "2024-10-27T23:30:00Z", "2024-10-27"},
		{2026, 3, 29, 46, "2026-03-29T00:00:00Z", "2026-03-29T22:30:00Z", "2026-03-29"},
		{2024, 2, 30, 48, "2024-03-01T00:00:00Z", "2024-03-01T23:30:00Z", "2024-03-01"},
	} {
		d := SettlementDay(c.year, time.Month(c.month), c.day)
		if d.Periods() != c.periods || !d.Start(1).Equal(utc(c.first)) || !d.Start(c.periods).Equal(utc(c.last)) || d.String() != c.date {
			t.Errorf("%v: %d periods, %v to %v; want %+v", d, d.Periods(), d.Start(1), d.Start(d.Periods()), c)
		}
		if next := d.Start(c.periods + 1); !next.Equal(utc(c.last).Add(Period)) {
			t.Errorf("%v ends at %v", d, next)
		}
		if d.Start(1).Location() != time.UTC {
			t.Error("starts are not UTC")
		}
	}
	for _, n := range []int{0, -1, 48} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a short day has a period %d", n)
				}
			}()
			SettlementDay(2024, 3, 31).Start(n)
		}()
	}
}

// Every instant lies in just the period that SettlementPeriod says.
func TestSettlementPeriod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := utc(rapid.SampledFrom([]string{"2024-03-30T00:00:00Z", "2024-10-26T00:00:00Z", "2030-01-01T00:00:00Z"}).Draw(t, "base"))
		at := base.Add(time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(t, "after")))
		d, n := SettlementPeriod(at)
		if start := d.Start(n); at.Before(start) || !at.Before(d.Start(n+1)) || n > d.Periods() {
			t.Fatalf("%v is not in period %d of %v", at, n, d)
		}
		if d.String() != at.In(London()).Format(time.DateOnly) {
			t.Fatalf("%v is not on %v", at, d)
		}
	})
	// In summer time, period 1 starts at 23:00 UTC of the day before.
	if d, n := SettlementPeriod(utc("2024-06-30T23:00:00Z")); d.String() != "2024-07-01" || n != 1 {
		t.Errorf("%v %d", d, n)
	}
}

func TestMonths(t *testing.T) {
	for in, want := range map[string][2]string{
		"2024-02-29T23:59:59Z":      {"2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		"2024-12-01T00:00:00Z":      {"2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		"2024-07-01T00:30:00+01:00": {"2024-06-01T00:00:00Z", "2024-07-01T00:00:00Z"},
		"2024-01-31T12:00:00Z":      {"2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"},
	} {
		if m, n := MonthStart(utc(in)), NextMonth(utc(in)); m != utc(want[0]) || n != utc(want[1]) {
			t.Errorf("%s: %v to %v", in, m, n)
		}
	}
}

func TestHalfHoursIn(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     int
	}{
		{"2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", 29 * 48},
		{"2024-02-01T00:00:00Z", "2024-02-01T00:30:00Z", 1},
		{"2024-02-01T00:00:00Z", "2024-02-01T00:29:59Z", 0},
		{"2024-02-01T00:00:01Z", "2024-02-01T00:30:00Z", 0},
		{"2024-02-01T00:00:01Z", "2024-02-01T01:00:00Z", 1},
		{"2024-02-01T00:00:00Z", "2024-02-01T00:00:00Z", 0},
		{"2024-02-02T00:00:00Z", "2024-02-01T00:00:00Z", 0},
	} {
		if got := HalfHoursIn(utc(c.from), utc(c.to)); got != c.want {
			t.Errorf("HalfHoursIn(%s, %s) = %d, want %d", c.from, c.to, got, c.want)
		}
	}
	if got := HalfHourStart(utc("2024-07-01T00:59:59+01:00")); got != utc("2024-06-30T23:30:00Z") {
		t.Errorf("HalfHourStart: %v", got)
	}
}

func TestCheckMPAN(t *testing.T) {
	for in, ok := range map[string]bool{
		"2000000000006": true, "2010000000002": true, "2010000000011": true, "2010000000207": true,
		"2000000000007": false, "2010000000020": true, "2010000000029": false,
		"": false, "200000000000": false, "20000000000006": false, "200000000000x": false, "9000000000005": true, ":000000000008": false, "2000000 00006": false, "\xff00000000000": false,
	} {
		if err := CheckMPAN(in); (err == nil) != ok {
			t.Errorf("CheckMPAN(%q) = %v", in, err)
		}
	}
	// Any one wrong digit is found, since no weight is a multiple of 11 (but
	// where the sum modulo 11 is 10, the digit 0 stands for two remainders).
	missed := 0
	for i := range 13 {
		for d := byte('0'); d <= '9'; d++ {
			b := []byte("2010000000085")
			if b[i] == d {
				continue
			}
			b[i] = d
			if CheckMPAN(string(b)) == nil {
				missed++
			}
		}
	}
	if missed > 2 {
		t.Errorf("%d wrong digits were not found", missed)
	}
}
