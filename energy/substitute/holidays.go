package substitute

import "time"

// oneOff are England's bank holidays that no rule gives, and those that were
// moved ("" is a day that the rule gives but that was an ordinary one).
// Source: gov.uk/bank-holidays and the royal proclamations of those years.
var oneOff = map[[3]int]string{
	{2002, 5, 27}: "", {2002, 6, 3}: "Golden Jubilee", {2002, 6, 4}: "Spring bank holiday",
	{2011, 4, 29}: "Royal wedding",
	{2012, 5, 28}: "", {2012, 6, 4}: "Spring bank holiday", {2012, 6, 5}: "Diamond Jubilee",
	{2020, 5, 4}: "", {2020, 5, 8}: "Early May bank holiday (VE day)",
	{2022, 5, 30}: "", {2022, 6, 2}: "Spring bank holiday", {2022, 6, 3}: "Platinum Jubilee",
	{2022, 9, 19}: "State funeral of Queen Elizabeth II",
	{2023, 5, 8}:  "Coronation of King Charles III",
}

// BankHoliday gives the name of the public holiday that a civil date is in
// England, "" on any other day: the bank holidays, and Christmas Day, Boxing
// Day and New Year's Day themselves too where they fall on a week-end and
// another day stands in for them. It holds from 2000 on; a holiday proclaimed
// for one year alone must be in the table.
func BankHoliday(year int, month time.Month, day int) string {
	if name, ok := oneOff[[3]int{year, int(month), day}]; ok {
		return name
	}
	date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	year, month, day = date.Date()
	monday := date.Weekday() == time.Monday
	easter := Easter(year)
	switch {
	case date.Equal(easter.AddDate(0, 0, -2)):
		return "Good Friday"
	case date.Equal(easter.AddDate(0, 0, 1)):
		return "Easter Monday"
	case month == time.January && (day == 1 || monday && (day == 2 || day == 3)):
		return "New Year's Day"
	case month == time.May && monday && day <= 7:
		return "Early May bank holiday"
	case month == time.May && monday && day > 24:
		return "Spring bank holiday"
	case month == time.August && monday && day > 24:
		return "Summer bank holiday"
	case month == time.December:
		return christmas(day, date.Weekday())
	}
	return ""
}

// christmas gives Christmas Day and Boxing Day, and the days that stand in for
// them where they fall on a week-end: the next working days.
func christmas(day int, w time.Weekday) string {
	soon := w == time.Monday || w == time.Tuesday
	switch {
	case day == 25, day == 27 && soon:
		return "Christmas Day"
	case day == 26, day == 28 && soon:
		return "Boxing Day"
	}
	return ""
}

// Easter is Easter Sunday of the Gregorian calendar, as midnight UTC
// (the Anonymous Gregorian computus: Meeus, Astronomical Algorithms, ch. 8).
func Easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 19*l) / 433
	month := (h + l - 7*m + 90) / 25
	day := (h + l - 7*m + 33*month + 19) % 32
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}
