package gas

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// dayStart is the hour, UK local time, at which a gas day begins. (Before
// 2015-10-01 it was 6; calorific values older than that are off by an hour of
// volume at either end.)
const dayStart = 5

// Day is a gas day: from 05:00 UK local time of a date to 05:00 of the next
// one. When the clocks change it has 23 or 25 hours. The number counts days
// since 1970-01-01.
type Day int32

// DayOf is the gas day that an instant falls in. A half-hour never lies in two.
func DayOf(t time.Time) Day {
	local := t.In(energy.London())
	y, m, d := local.Date()
	if local.Hour() < dayStart {
		d--
	}
	return dayOf(y, m, d)
}

func dayOf(y int, m time.Month, d int) Day {
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

// ParseDay reads a date, e.g. "2026-01-31", as the gas day that begins on it.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date such as 2026-01-31", s)
	}
	return dayOf(t.Date()), nil
}

// date is the civil date on which the day begins.
func (d Day) date() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// Start is when the day begins, UTC.
func (d Day) Start() time.Time {
	y, m, day := d.date().Date()
	return time.Date(y, m, day, dayStart, 0, 0, 0, energy.London()).UTC()
}

// End is when the next day begins, UTC.
func (d Day) End() time.Time { return (d + 1).Start() }

// String gives the date on which the day begins, e.g. "2026-01-31".
func (d Day) String() string { return d.date().Format(time.DateOnly) }

// MarshalText writes the date.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Day) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDay(string(b))
	return err
}
