package rehearsal

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestClock(t *testing.T) {
	anchor := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	c, err := New(anchor, anchor.Add(-time.Hour), 121)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]time.Time{
		-time.Minute:     anchor.Add(-time.Hour),
		0:                anchor.Add(-time.Hour),
		15 * time.Second: anchor.Add(-time.Hour + 1815*time.Second),
		30 * time.Second: anchor.Add(30 * time.Second), // an hour at 120 gained seconds a second
		time.Hour:        anchor.Add(time.Hour),
	} {
		if got := c.At(anchor.Add(after)); !got.Equal(want) {
			t.Errorf("after %v: shows %v, want %v", after, got, want)
		}
	}
	if got := c.Takes(time.Hour); got != time.Hour/121 {
		t.Errorf("an hour takes %v", got)
	}
	if got := (Clock{}).Takes(time.Hour); got != time.Hour {
		t.Errorf("an hour of the time of day takes %v", got)
	}
	var d Clock
	if err := d.Set(c.String()); err != nil || d != c {
		t.Errorf("Set(String()): %v, %v", d, err)
	}
	if now := time.Now(); (Clock{}).At(now) != now {
		t.Error("the zero clock is the time of day")
	}
	for _, bad := range []string{"", "a,b,c", "2026-11-22T12:00:00Z,2026-11-22T13:00:00Z,10", "2026-11-22T12:00:00Z,2026-11-22T11:00:00Z,1"} {
		if err := d.Set(bad); err == nil {
			t.Errorf("Set(%q) was taken", bad)
		}
	}
}

func TestClockNeverGoesBackNorAhead(t *testing.T) {
	anchor := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(r *rapid.T) {
		c, err := New(anchor, anchor.Add(-time.Duration(rapid.Int64Range(1, int64(48*time.Hour)).Draw(r, "behind"))), rapid.IntRange(2, 1000).Draw(r, "speed"))
		if err != nil {
			r.Fatal(err)
		}
		now, last := anchor, time.Time{}
		for range 20 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(r, "step")))
			v := c.At(now)
			if v.Before(last) || v.After(now) {
				r.Fatalf("at %v shows %v after %v", now, v, last)
			}
			last = v
		}
	})
}
