package substitute

import (
	"testing"
	"time"
)

// England's bank holidays as gov.uk/bank-holidays and The Gazette give them.
var bankHolidays = map[int][]string{
	2000: {"01-03", "04-21", "04-24", "05-01", "05-29", "08-28", "12-25", "12-26"},
	2002: {"01-01", "03-29", "04-01", "05-06", "06-03", "06-04", "08-26", "12-25", "12-26"},
	2011: {"01-03", "04-22", "04-25", "04-29", "05-02", "05-30", "08-29", "12-26", "12-27"},
	2012: {"01-02", "04-06", "04-09", "05-07", "06-04", "06-05", "08-27", "12-25", "12-26"},
	2020: {"01-01", "04-10", "04-13", "05-08", "05-25", "08-31", "12-25", "12-28"},
	2021: {"01-01", "04-02", "04-05", "05-03", "05-31", "08-30", "12-27", "12-28"},
	2022: {"01-03", "04-15", "04-18", "05-02", "06-02", "06-03", "08-29", "09-19", "12-26", "12-27"},
	2023: {"01-02", "04-07", "04-10", "05-01", "05-08", "05-29", "08-28", "12-25", "12-26"},
	2024: {"01-01", "03-29", "04-01", "05-06", "05-27", "08-26", "12-25", "12-26"},
	2025: {"01-01", "04-18", "04-21", "05-05", "05-26", "08-25", "12-25", "12-26"},
	2026: {"01-01", "04-03", "04-06", "05-04", "05-25", "08-31", "12-25", "12-28"},
	2027: {"01-01", "03-26", "03-29", "05-03", "05-31", "08-30", "12-27", "12-28"},
	2028: {"01-03", "04-14", "04-17", "05-01", "05-29", "08-28", "12-25", "12-26"},
}

func TestBankHolidays(t *testing.T) {
	for year, want := range bankHolidays {
		is := map[string]bool{}
		for _, d := range want {
			is[d] = true
		}
		for d := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
			day := d.Format("01-02")
			// These three are holidays on a week-end, too.
			if (day == "01-01" || day == "12-25" || day == "12-26") && weekend(d) {
				is[day] = true
			}
			if name := BankHoliday(d.Date()); (name != "") != is[day] {
				t.Errorf("%s: %q, want a holiday: %v", d.Format(time.DateOnly), name, is[day])
			}
		}
	}
}

func weekend(d time.Time) bool { return d.Weekday() == time.Saturday || d.Weekday() == time.Sunday }

func TestBankHolidayNames(t *testing.T) {
	for date, want := range map[[3]int]string{
		{2026, 1, 1}: "New Year's Day", {2022, 1, 3}: "New Year's Day", {2026, 4, 3}: "Good Friday", {2026, 4, 6}: "Easter Monday",
		{2026, 5, 4}: "Early May bank holiday", {2026, 5, 25}: "Spring bank holiday", {2026, 8, 31}: "Summer bank holiday",
		{2026, 12, 25}: "Christmas Day", {2026, 12, 26}: "Boxing Day", {2026, 12, 28}: "Boxing Day", {2021, 12, 27}: "Christmas Day", {2021, 12, 28}: "Boxing Day",
		{2022, 12, 26}: "Boxing Day", {2022, 12, 27}: "Christmas Day", {2022, 9, 19}: "State funeral of Queen Elizabeth II",
		{2025, 13, 1}: "New Year's Day", // dates are normalised as time.Date does
		{2026, 4, 5}:  "", {2026, 12, 24}: "", {2026, 7, 15}: "",
	} {
		if got := BankHoliday(date[0], time.Month(date[1]), date[2]); got != want {
			t.Errorf("%v: %q, want %q", date, got, want)
		}
	}
}

func TestEaster(t *testing.T) {
	for _, want := range []string{
		"1818-03-22", "1961-04-02", "1981-04-19", "2000-04-23", "2008-03-23", "2011-04-24", "2016-03-27", "2019-04-21", "2024-03-31",
		"2025-04-20", "2026-04-05", "2038-04-25", "2049-04-18", "2076-04-19", "2100-03-28",
	} {
		d, _ := time.Parse(time.DateOnly, want)
		if got := Easter(d.Year()); !got.Equal(d) {
			t.Errorf("Easter is %s, want %s", got.Format(time.DateOnly), want)
		}
	}
	for y := 1600; y < 2600; y++ {
		e := Easter(y)
		if early := time.Date(y, 3, 22, 0, 0, 0, 0, time.UTC); e.Weekday() != time.Sunday || e.Before(early) || e.After(early.AddDate(0, 0, 34)) {
			t.Fatalf("Easter of %d is %v", y, e)
		}
	}
}
