package jsonpoint

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	arrived := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		format, zone string
		in           any
		want         string // "" is refused
	}{
		{"", "", "2026-03-01T11:59:58Z", "2026-03-01T11:59:58Z"},
		{"", "", "2026-03-01T11:59:58.364123Z", "2026-03-01T11:59:58.364123Z"},
		{"", "", "2026-03-01T12:59:58+01:00", "2026-03-01T11:59:58Z"},
		{"", "", "2026-03-01T12:59:58+0100", "2026-03-01T11:59:58Z"},
		{"", "", "2026-03-01 12:59:58+01:00", "2026-03-01T11:59:58Z"},
		{"", "", "2026-03-01 11:59:58", "2026-03-01T11:59:58Z"},
		{"", "Europe/London", "2026-07-01 11:59:58", "2026-07-01T10:59:58Z"},
		{"", "Europe/London", "2026-07-01T11:59:58Z", "2026-07-01T11:59:58Z"},
		{"", "Europe/London", "2026-07-01T11:59", "2026-07-01T10:59:00Z"},
		{"", "", json.Number("1772366398"), "2026-03-01T11:59:58Z"},
		{"", "", json.Number("1772366398.25"), "2026-03-01T11:59:58.25Z"},
		{"", "", json.Number("1772366398000"), "2026-03-01T11:59:58Z"},
		{"", "", json.Number("1772366398000000"), "2026-03-01T11:59:58Z"},
		{"", "", json.Number("1772366398000000001"), "2026-03-01T11:59:58.000000001Z"},
		{"", "", "1772366398000", "2026-03-01T11:59:58Z"},
		{"", "", json.Number("99999999999"), ""},                      // s: beyond what nanoseconds hold
		{"", "", json.Number("100000000000"), "1973-03-03T09:46:40Z"}, // ms
		{"", "", json.Number("9000000000000"), "2255-03-14T16:00:00Z"}, {"", "", json.Number("99999999999999"), ""},
		{"", "", json.Number("100000000000000"), "1973-03-03T09:46:40Z"}, {"", "", json.Number("100000000000000000"), "1973-03-03T09:46:40Z"}, {"", "", json.Number("0"), "1970-01-01T00:00:00Z"}, // us, ns
		{"", "", json.Number("-1"), ""}, {"", "", json.Number("1e30"), ""}, {"", "", true, ""}, {"", "", nil, ""}, {"", "", "", ""}, {"", "", "yesterday", ""},
		{"rfc3339", "", "2026-03-01T11:59:58Z", "2026-03-01T11:59:58Z"}, {"rfc3339", "", json.Number("1772366398"), ""}, {"rfc3339", "", "1772366398", ""},
		{"unix", "", json.Number("1772366398"), "2026-03-01T11:59:58Z"}, {"unix", "", "1772366398", "2026-03-01T11:59:58Z"}, {"unix", "", "2026-03-01T11:59:58Z", ""},
		{"unix_ms", "", json.Number("1772366398250"), "2026-03-01T11:59:58.25Z"}, {"unix_us", "", json.Number("1772366398000000"), "2026-03-01T11:59:58Z"}, {"unix_ns", "", json.Number("1772366398000000000"), "2026-03-01T11:59:58Z"},
		{"02/01/2006 15:04:05", "Europe/London", "01/07/2026 12:30:00", "2026-07-01T11:30:00Z"},
		{"%d/%m/%Y %H:%M:%S", "Europe/London", "01/07/2026 12:30:00", "2026-07-01T11:30:00Z"},
		{"%d/%m/%Y %I:%M %p", "", "01/07/2026 12:30 AM", "2026-07-01T00:30:00Z"},
		{"2-Jan-06 3:04 PM MST", "Europe/London", "28-Jun-18 4:42 PM BST", "2018-06-28T15:42:00Z"},
		{"2-Jan-06 3:04 PM MST", "Europe/London", "25-Oct-26 1:30 AM BST", "2026-10-25T00:30:00Z"}, // the hour that comes twice is told apart by its zone
		{"2-Jan-06 3:04 PM MST", "Europe/London", "25-Oct-26 1:30 AM GMT", "2026-10-25T01:30:00Z"},
		{"2-Jan-06 3:04 PM MST", "", "28-Jun-18 4:42 PM BST", ""}, // might be Bangladesh's
		{"2-Jan-06 3:04 PM MST", "", "28-Jun-18 4:42 PM UTC", "2018-06-28T16:42:00Z"},
		{"2-Jan-06 3:04 PM MST", "", "28-Jun-18 4:42 PM GMT", "2018-06-28T16:42:00Z"},
		{"2006-01-02 15:04|auto", "", "2026-03-01T11:59:58Z", "2026-03-01T11:59:58Z"}, {"2006-01-02 15:04|auto", "", json.Number("1772366398"), "2026-03-01T11:59:58Z"},
		{"", "Europe/London", "2026-03-29 00:59:59", "2026-03-29T00:59:59Z"}, {"", "Europe/London", "2026-03-29 01:00:00", ""}, {"", "Europe/London", "2026-03-29 01:59:59", ""}, {"", "Europe/London", "2026-03-29 02:00:00", "2026-03-29T01:00:00Z"},
		{"", "Europe/London", "2026-10-25 00:59:59", "2026-10-24T23:59:59Z"}, {"", "Europe/London", "2026-10-25 01:00:00", ""}, {"", "Europe/London", "2026-10-25 01:59:59", ""}, {"", "Europe/London", "2026-10-25 02:00:00", "2026-10-25T02:00:00Z"},
	} {
		clock, err := ParseClock(c.format, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		got, err := clock.Time(c.in, arrived)
		if (err == nil) != (c.want != "") || err == nil && (got.Format(time.RFC3339Nano) != c.want || got.Location() != time.UTC) {
			t.Errorf("%q %s %v: %v, %v; want %s", c.format, c.zone, c.in, got, err, c.want)
		}
	}
	for _, c := range [][2]string{{"", "Nowhere"}, {"", "Local"}, {"nonsense", ""}, {"%Q", ""}, {"2006-01-02", ""}, {"15:04|x", ""}} {
		if _, err := ParseClock(c[0], c[1]); err == nil {
			t.Errorf("%v was taken", c)
		}
	}
}

// The hour that comes twice is told apart by when it came, if that is near enough.
func TestAmbiguousTime(t *testing.T) {
	clock, err := ParseClock("", "Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	first, second := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		arrived time.Time
		want    time.Time
	}{
		{first, first}, {first.Add(2 * time.Second), first}, {first.Add(29 * time.Minute), first}, {first.Add(-near), first}, {second, second}, {second.Add(near), second}, {first.Add(31 * time.Minute), second},
	} {
		if got, err := clock.Time("2026-10-25 01:30:00", c.arrived); err != nil || !got.Equal(c.want) {
			t.Errorf("came %s: %s, %v; want %s", c.arrived, got, err, c.want)
		}
	}
	for _, arrived := range []time.Time{second.Add(near + 1), first.Add(-near - 1), first.AddDate(0, 0, 1)} {
		if got, err := clock.Time("2026-10-25 01:30:00", arrived); !errors.Is(err, errTwice) {
			t.Errorf("came %s: %s, %v", arrived, got, err)
		}
	}
}

func FuzzTime(f *testing.F) {
	f.Add("", "Europe/London", "2026-10-25 01:30:00")
	f.Add("%d/%m/%Y %H:%M", "", "01/02/2026 10:11")
	f.Add("unix", "", "1772366398")
	f.Fuzz(func(t *testing.T, format, zone, s string) {
		clock, err := ParseClock(format, zone)
		if err != nil {
			return
		}
		arrived := time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)
		for _, v := range []any{s, json.Number(s)} {
			if got, err := clock.Time(v, arrived); err == nil && got.Location() != time.UTC {
				t.Fatalf("%q: %v", s, got)
			}
		}
	})
}
