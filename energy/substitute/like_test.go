package substitute

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// by gives history in which each half-hour's energy says what day it was: 100
// on Mondays .. 500 on Fridays, 600 on Saturdays, 700 on Sundays, 900 on
// public holidays, and the local hour on top.
func by(from, to time.Time, holiday func(time.Time) bool) (w []energy.HalfHour) {
	for t := from; t.Before(to); t = t.Add(energy.Period) {
		local := t.In(energy.London())
		y, m, d := local.Date()
		e := int64(local.Weekday()) * 100
		if e == 0 {
			e = 700
		}
		if holiday(time.Date(y, m, d, 12, 0, 0, 0, energy.London())) {
			e = 900
		}
		w = append(w, energy.HalfHour{Start: t, Energy: e + int64(local.Hour()), Cumulative: -1, Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}})
	}
	return w
}

func england(d time.Time) bool { return BankHoliday(d.Date()) != "" }

// Which days stand for which.
func TestLikeDays(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, energy.London())
		if err != nil {
			t.Fatal(err)
		}
		return v.UTC()
	}
	for name, c := range map[string]struct {
		hole    string // begins, local time
		at      string // what is asked
		o       Options
		history int // days of it; 0: 40
		want    int64
	}{
		"a Wednesday":                      {hole: "2026-07-15 12:00", at: "2026-07-15 12:00", want: 312},
		"later that day":                   {hole: "2026-07-15 12:00", at: "2026-07-15 20:30", want: 320},
		"the next day":                     {hole: "2026-07-15 12:00", at: "2026-07-16 08:00", want: 408},
		"a Saturday":                       {hole: "2026-07-15 12:00", at: "2026-07-18 08:00", want: 608},
		"a Sunday":                         {hole: "2026-07-15 12:00", at: "2026-07-19 08:00", want: 708},
		"the week after":                   {hole: "2026-07-15 12:00", at: "2026-07-22 12:00", want: 312},
		"a bank holiday: as Sundays":       {hole: "2026-08-31 00:00", at: "2026-08-31 09:00", want: 709},
		"a Monday after it":                {hole: "2026-09-07 00:00", at: "2026-09-07 09:00", want: 109},                       // not 31 August
		"a Monday after two weeks, of two": {hole: "2026-09-07 00:00", at: "2026-09-07 09:00", o: Options{Weeks: 1}, want: 359}, // no like Monday: Tuesday to Friday, and of these four the middle two
		"Boxing Day on a Saturday":         {hole: "2026-12-26 00:00", at: "2026-12-26 09:00", want: 709},
		"its Monday":                       {hole: "2026-12-28 00:00", at: "2026-12-28 09:00", want: 709},
		"an own holiday":                   {hole: "2026-07-15 00:00", at: "2026-07-15 09:00", o: Options{Holiday: func(d time.Time) bool { return d.Day() == 15 && d.Hour() == 12 }}, want: 709},
		"no bank holiday elsewhere":        {hole: "2026-08-31 00:00", at: "2026-08-31 09:00", o: Options{Holiday: func(time.Time) bool { return false }}, want: 109},
		"winter after summer: local time":  {hole: "2026-10-28 00:00", at: "2026-10-28 09:00", want: 309},
		"the hour that comes twice, first": {hole: "2026-10-25 00:00", at: "2026-10-25 01:00", want: 701},
		"before any history":               {hole: "2026-07-15 12:00", at: "2026-07-15 12:00", history: 1, want: -1},
		"days of the kind":                 {hole: "2026-07-15 12:00", at: "2026-07-15 12:00", history: 6, want: 312}, // Thu, Fri, Mon, Tue: the middle of 112, 212, 412, 512
		"Sundays of two weeks":             {hole: "2026-07-19 00:00", at: "2026-07-19 12:00", history: 15, want: 712},
		"one Sunday":                       {hole: "2026-07-19 00:00", at: "2026-07-19 12:00", history: 13, want: -1},
	} {
		t.Run(name, func(t *testing.T) {
			hole := at(c.hole)
			if c.history == 0 {
				c.history = 40
			}
			c.o.Methods = []Method{Profile}
			holiday := c.o.Holiday
			if holiday == nil {
				holiday = england
			}
			w := by(hole.AddDate(0, 0, -c.history), hole, holiday)
			start := at(c.at)
			c.o.From, c.o.To, c.o.MaxRun = start, start.Add(energy.Period), 1000
			got := Plan(energy.Import, w, c.o)
			switch {
			case c.want < 0 && len(got) != 0, c.want >= 0 && len(got) != 1:
				t.Errorf("%d half-hours: %v", len(got), got)
			case c.want >= 0 && got[0].Energy != c.want:
				t.Errorf("%d, want %d", got[0].Energy, c.want)
			}
		})
	}
}

// The night the clocks go forward has no 01:00: what is asked about that hour
// of the week after does not take another hour of that night for it. 29 March
// 2026 is that night; the Sunday after it, 5 April, is Easter Sunday.
func TestHourThatDoesNotExist(t *testing.T) {
	start := time.Date(2026, 4, 5, 0, 30, 0, 0, time.UTC) // 01:30 local
	w := by(start.AddDate(0, 0, -15), start, func(time.Time) bool { return false })
	for i := range w {
		if w[i].Start.Equal(time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)) { // 02:30 local
			w[i].Energy = 99_999
		}
	}
	o := Options{Methods: []Method{Profile}, Weeks: 2, Least: 1, To: start.Add(energy.Period), Holiday: func(time.Time) bool { return false }}
	got := Plan(energy.Import, w, o)
	if len(got) != 1 || got[0].Energy != 701 {
		t.Errorf("%+v", got)
	}
}

// Half-hours that end after the hole begins are no model for it.
func TestLikeEndsBeforeHole(t *testing.T) {
	p := planner{o: Options{Methods: all, Least: 1}.withDefaults(), measure: energy.Import}
	p.series = newSeries([]energy.HalfHour{measured(-48, 5)}, energy.Period)
	if got := p.like(slotAt(0), slotAt(-47)); len(got) != 1 {
		t.Errorf("one that ends where the hole begins is not taken: %v", got)
	}
	if got := p.like(slotAt(0), slotAt(-47).Add(-1)); len(got) != 0 {
		t.Errorf("one that ends in the hole is taken: %v", got)
	}
	// Four weeks before the hole's day is the last day that counts.
	p.series = newSeries([]energy.HalfHour{measured(-28*48, 5), measured(-35*48, 6)}, energy.Period)
	if got := p.like(slotAt(0), slotAt(0)); len(got) != 1 || got[0] != 5 {
		t.Errorf("%v", got)
	}
}
