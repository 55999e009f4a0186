package hhfile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// dateLayouts are the dates seen in the field. Numeric ones are British: the
// day comes first.
var dateLayouts = []string{
	"2006-01-02", "02/01/2006", "2/1/2006", "02/01/06", "2/1/06", "02-01-2006", "02.01.2006",
	"02 Jan 2006", "2 Jan 2006", "02-Jan-2006", "02-Jan-06", "Jan 2 2006", "Jan  2 2006", "2006/01/02", "20060102",
	"2 January 2006",
}

// clockLayouts are the times of day that may follow a date.
var clockLayouts = []string{"15:04:05", "15:04", "15:04:05.000", "3:04PM", "3:04:05PM", "3:04 PM", "3:04:05 PM"}

// civil is a date and a time of day as a file writes it, before any time zone.
type civil struct {
	year  int
	month time.Month
	day   int
	slot  int // half-hours since 00:00; 48 for 24:00
}

func (c civil) date() string { return fmt.Sprintf("%04d-%02d-%02d", c.year, int(c.month), c.day) }

// plus moves by n half-hours of the civil clock.
func (c civil) plus(n int) civil {
	slot := c.slot + n
	days := slot / 48
	if slot%48 < 0 {
		days--
	}
	t := time.Date(c.year, c.month, c.day+days, 0, 0, 0, 0, time.UTC)
	c.year, c.month, c.day = t.Date()
	c.slot = slot - 48*days
	return c
}

// before orders civil times.
func (c civil) before(d civil) bool {
	return c.date() < d.date() || c.date() == d.date() && c.slot < d.slot
}

// parseDate reads a date; a time of day behind it must be midnight.
func parseDate(s string) (civil, error) {
	c, err := parseCivil(s)
	if err == nil && c.slot != 0 {
		err = fmt.Errorf("%q is a time of day, not a date", s)
	}
	return c, err
}

// parseCivil reads a date and, where there is one, a time of day on the half-hour.
func parseCivil(s string) (civil, error) {
	s = strings.TrimSpace(strings.Replace(s, "T", " ", 1))
	if i := strings.Index(s, "00:00:00."); i > 0 && strings.Trim(s[i+9:], "0") == "" { // mutate: at 0 there is no date either way
		s = s[:i+8]
	}
	for _, layout := range dateLayouts {
		// Cut where a time of day can begin; dates have up to two spaces of their own.
		for i := len(s); i > 0; i = strings.LastIndexByte(s[:i], ' ') { // mutate: nothing is no date
			t, err := time.Parse(layout, strings.TrimSpace(s[:i]))
			if err != nil {
				continue
			}
			if t.Year() < 2000 || t.Year() > 2100 {
				return civil{}, fmt.Errorf("%q lies outside the years 2000 to 2100", s)
			}
			slot, err := parseSlot(strings.TrimSpace(s[i:]))
			c := civil{slot: slot}
			c.year, c.month, c.day = t.Date()
			return c, err
		}
	}
	return civil{}, fmt.Errorf("%q is not a date that is understood (for example 2024-03-31, 31/03/2024 or 31 Mar 2024; the day comes before the month)", s)
}

// parseSlot reads a time of day on the half-hour; "" is midnight, 24:00 is 48.
func parseSlot(s string) (int, error) {
	switch s {
	case "":
		return 0, nil
	case "24:00", "24:00:00":
		return 48, nil
	}
	for _, layout := range clockLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			m := t.Hour()*60 + t.Minute()
			if m%30 != 0 || t.Second() != 0 || t.Nanosecond() != 0 {
				return 0, fmt.Errorf("%q is not on the half-hour: only half-hourly values are taken", s)
			}
			return m / 30, nil
		}
	}
	return 0, fmt.Errorf("%q is not a time of day", s)
}

// columnSlot reads a column heading such as 00:30, [00:30] or 0:30.
func columnSlot(heading string) (slot int, ok bool) {
	s := strings.Trim(strings.TrimSpace(heading), "[]")
	h, m, found := strings.Cut(s, ":")
	m = strings.TrimSuffix(m, ":00")
	hour, err1 := strconv.Atoi(h)
	minute, err2 := strconv.Atoi(m)
	if !found || err1 != nil || err2 != nil || len(h) > 2 || len(m) != 2 || hour < 0 || hour > 24 || minute != 0 && minute != 30 || hour == 24 && minute != 0 {
		return 0, false
	}
	return hour*2 + minute/30, true
}
