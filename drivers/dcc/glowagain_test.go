package dcc

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A display says "no value" for a moment, and then shows what it showed before:
// the meter is read again, though there is nothing new to count until its next
// half-hour.
func TestGlowNoValueIsOver(t *testing.T) {
	s := newScreen(t, elec, gasOnly)
	noon := utc("2024-04-10 12:00")
	say := func(after time.Duration, kind, body string, retained bool) (said string) {
		at := noon.Add(after)
		for _, r := range s.says(displayA, kind, fmt.Sprintf(body, at.Format(time.RFC3339)), at, retained) {
			switch {
			case r.Err != nil:
				said += fmt.Sprintf("%d %s;", r.Point, kindOf(r.Err))
			case r.Again:
				said += fmt.Sprintf("%d again;", r.Point)
			default:
				said += fmt.Sprintf("%d %d;", r.Point, r.Sample.Value)
			}
		}
		return said
	}
	showsGas := func(volume string) string { return gas("%s", volume, "") }
	showsNone := `{"gasmeter":{"timestamp":"%s","energy":{"import":{"cumulative":4294967.295,"units":"kWh","cumulativevol":4294967.295,"cumulativevolunits":"m3"}}}}`
	for i, c := range []struct {
		after    time.Duration
		body     string
		retained bool
		want     string
	}{
		{0, showsGas("100"), false, ""},
		{10 * time.Second, showsGas("100.010"), false, "0 100010;"},
		{20 * time.Second, showsGas("100.010"), false, ""},
		{30 * time.Second, showsNone, false, "0 sentinel;"},
		{40 * time.Second, showsGas("100.010"), true, ""}, // what the broker kept is no sign of life
		{50 * time.Second, showsGas("100.010"), false, "0 again;"},
		{60 * time.Second, showsGas("100.010"), false, ""},
		{70 * time.Second, showsNone, false, "0 sentinel;"},
		{80 * time.Second, showsGas("100.020"), false, "0 100020;"},
		{90 * time.Second, showsGas("100.020"), false, ""},
	} {
		if got := say(c.after, "gasmeter", c.body, c.retained); got != c.want {
			t.Errorf("gas, message %d: %q, want %q", i, got, c.want)
		}
	}
	same := strings.ReplaceAll(electricity("2024-04-10T12:00:00Z", "%s", "7", ""), "%", "%%")
	shows := func(kwh string) string { return strings.ReplaceAll(same, "%%s", kwh) + "%.0s" }
	for i, c := range []struct{ body, want string }{
		{shows("5"), "0 5000;1 7000;"}, {shows("5"), ""}, {shows("0"), "0 sentinel;"}, {shows("5"), "0 again;"}, {shows("5"), ""},
	} {
		if got := say(time.Minute, "electricitymeter", c.body, false); got != c.want {
			t.Errorf("electricity, message %d: %q, want %q", i, got, c.want)
		}
	}
}
