package validate

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A rule that speaks at every poll gives one finding at once, and then one for
// each hour while it goes on, with a count.
func TestRepetition(t *testing.T) {
	c := New(mainImport, Options{})
	var fs []Finding
	for s := 0; s <= 3*3600; s += 10 {
		n := len(fs)
		fs = c.Reading(Facts{At: after(float64(s)), NoValue: true}, fs)
		switch {
		case s%3600 == 0 && len(fs) != n+1, s%3600 != 0 && len(fs) != n:
			t.Fatalf("%d findings at second %d", len(fs)-n, s)
		}
	}
	if said(fs) != "V01 warning, V01 warning x359, V01 warning x360, V01 warning x360" {
		t.Error(said(fs))
	}
	if last := fs[3]; !last.From.Equal(after(7200)) || !last.To.Equal(after(3*3600-10)) {
		t.Errorf("%v to %v", last.From, last.To)
	}
	wellFormed(t, fs)
	if fs = c.Flush(nil); said(fs) != "V01 warning" || !fs[0].From.Equal(after(3*3600)) {
		t.Error(fs)
	}
	if fs = c.Flush(nil); len(fs) != 0 {
		t.Error(fs)
	}
}

func TestRepetitionBounds(t *testing.T) {
	bad := func(s float64) Facts { return Facts{At: after(s), NoValue: true} }
	c := New(mainImport, Options{})
	for _, step := range []struct {
		f    Facts
		want string
	}{
		{bad(0), "V01 warning"},
		{at(3599.999, 1), ""},
		{at(3600, 2), ""},                      // nothing was held: forgotten
		{bad(3601), "V01 warning"},             // so that this one is new
		{bad(7200.999), ""},                    // less than an hour later: held
		{at(7201, 3), "V01 warning"},           // the hour is over, though the reading is good
		{bad(10800.999), ""},                   // less than an hour after that
		{at(10801, 4), "V01 warning"},          // one an hour
		{at(14401, 5), ""},                     // nothing more
		{bad(14402), "V01 warning"},            // new
		{bad(14402 - 3600.001), "V01 warning"}, // of long ago: not held with the others
	} {
		if got := said(c.Reading(step.f, nil)); got != step.want {
			t.Errorf("at %v: %q, want %q", step.f.At, got, step.want)
		}
	}
	c = New(mainImport, Options{QuietReadings: time.Minute})
	c.Reading(bad(0), nil)
	if fs := c.Reading(bad(59), nil); len(fs) != 0 {
		t.Error(fs)
	}
	if fs := c.Reading(bad(60), nil); said(fs) != "V01 warning" || !fs[0].From.Equal(after(59)) {
		t.Error(fs)
	}
}

// Rules do not hide each other, nor do findings about readings hide those
// about half-hours; a graver finding is never held back.
func TestRepetitionApart(t *testing.T) {
	c := New(mainImport, Options{MaxEnergy: 100})
	c.Reading(Facts{At: after(0), Value: 1, DeviceAt: after(60)}, nil)
	if fs := c.Reading(Facts{At: after(1), Source: flags(14)}, nil); said(fs) != "V14 warning" {
		t.Error(fs)
	}
	if fs := c.Reading(Facts{At: after(2), Value: 1, DeviceAt: after(60)}, nil); said(fs) != "" {
		t.Error(fs)
	}
	if fs := c.Reading(Facts{At: after(3), Value: 1, DeviceAt: after(9000)}, nil); said(fs) != "V11 error" {
		t.Error(fs) // the reading of second 2 was no new time
	}
	if fs := c.Reading(Facts{At: after(4), Value: 1, DeviceAt: after(9001)}, nil); said(fs) != "" {
		t.Error(fs)
	}
	c.Event(energy.Event{Kind: energy.TooFast, At: after(5), Before: 1, After: 9, BeforeAt: after(4)}, nil)
	h := measured(0, 101)
	if fs := c.HalfHour(&h, nil, nil); said(fs) != "V05 error" {
		t.Error(fs)
	}
	if fs := c.Flush(nil); said(fs) != "V11 error" {
		t.Error(fs)
	}
}

// What is held when a graver one comes is said before it.
func TestGraverFindingsFlush(t *testing.T) {
	c := New(mainImport, Options{})
	warn := Finding{Rule: 11, Severity: Warning, From: noon, To: noon, Found: "a", Expected: "b"}
	grave := warn
	grave.Severity = Error
	var fs []Finding
	for i := range 3 {
		warn.From, warn.To = after(float64(i)), after(float64(i))
		fs = c.say(ofReading, after(float64(i)), warn, fs)
	}
	fs = c.say(ofReading, after(3), grave, fs)
	fs = c.say(ofReading, after(4), warn, fs)
	fs = c.say(ofReading, after(5), grave, fs)
	fs = c.Flush(fs)
	if said(fs) != "V11 warning, V11 warning x2, V11 error, V11 error x2" {
		t.Error(said(fs))
	}
	if !fs[1].From.Equal(after(1)) || !fs[1].To.Equal(after(2)) {
		t.Error(fs[1])
	}
}

// Half-hours have a day of quiet, by their own time, so that history that is
// imported does not pour out findings.
func TestRepetitionOfHalfHours(t *testing.T) {
	c := New(mainImport, Options{MaxEnergy: 10})
	var fs []Finding
	for i := range 49 {
		h := measured(i, 11)
		fs = c.HalfHour(&h, nil, fs)
		if !h.Flags.Has(5) {
			t.Fatalf("half-hour %d is not flagged", i)
		}
	}
	if said(fs) != "V05 error, V05 error x47" || !fs[1].From.Equal(slotAt(1)) || !fs[1].To.Equal(slotAt(48)) {
		t.Error(fs)
	}
	if fs = c.Flush(nil); said(fs) != "V05 error" {
		t.Error(fs)
	}
}

// Nothing that a rule says is lost: the counts add up to the occurrences, the
// spans cover them, and no rule speaks more often than it may.
func TestRepetitionLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(mainImport, Options{})
		now := noon
		type occurrence struct {
			rule int
			at   time.Time
		}
		var all []occurrence
		var fs []Finding
		var when []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "readings") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 10, 600, 1800, 3600, 9000}).Draw(t, "gap")) * time.Second)
			f := Facts{At: now, Value: 1}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 1:
				f.NoValue = true
				all = append(all, occurrence{1, now})
			case 2:
				f.Source = flags(13)
				all = append(all, occurrence{13, now})
			case 3:
				f.Source = flags(13, 14)
				all = append(all, occurrence{13, now}, occurrence{14, now})
			}
			fs = c.Reading(f, fs)
			for len(when) < len(fs) {
				when = append(when, now)
			}
		}
		given := map[int][]time.Time{}
		for i := range fs {
			given[fs[i].Rule] = append(given[fs[i].Rule], when[i])
		}
		fs = c.Flush(fs)
		counts, want := map[int]int{}, map[int]int{}
		for _, f := range fs {
			counts[f.Rule] += f.Count
		}
		for _, o := range all {
			want[o.rule]++
			if !slices.ContainsFunc(fs, func(f Finding) bool {
				return f.Rule == o.rule && !f.From.After(o.at) && !f.To.Before(o.at)
			}) {
				t.Fatalf("V%02d at %v is in no finding", o.rule, o.at)
			}
		}
		for rule, n := range want {
			if counts[rule] != n {
				t.Fatalf("V%02d spoke %d times, findings stand for %d", rule, n, counts[rule])
			}
		}
		for rule, at := range given {
			for i := 1; i < len(at); i++ {
				if at[i].Sub(at[i-1]) < time.Hour {
					t.Fatalf("V%02d gave findings at %v and %v", rule, at[i-1], at[i])
				}
			}
		}
	})
}

// Marks of several readings join, and only what they touch is flagged.
func TestMarks(t *testing.T) {
	c := New(mainImport, Options{})
	c.mark(11, slotAt(3), slotAt(4))
	c.mark(11, slotAt(1), slotAt(2))
	c.mark(10, slotAt(2).Add(-1), slotAt(2))
	c.mark(17, slotAt(6).Add(1), slotAt(6))
	c.mark(3, slotAt(2).Add(1), slotAt(2).Add(2))
	for n, want := range []string{"", "V10 V11", "V03 V11", "V11", "", "", "V17", ""} {
		if got := flagged(c.marked(slotAt(n), slotAt(n+1))); got != want {
			t.Errorf("half-hour %d: %q, want %q", n, got, want)
		}
	}
	if len(c.marks) != 0 {
		t.Errorf("%d marks are left", len(c.marks))
	}
	// Half-hours of another time, such as imported ones, leave marks ahead of them alone.
	c.mark(11, slotAt(5), slotAt(6))
	c.marked(slotAt(1), slotAt(2))
	if got := flagged(c.marked(slotAt(5), slotAt(6))); got != "V11" {
		t.Errorf("%q", got)
	}
}
