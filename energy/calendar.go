package energy

import (
	"fmt"
	"sync"
	"time"

	_ "time/tzdata" // a gateway without zoneinfo still knows its settlement days
)

// London is the time zone of settlement days, Europe/London.
var London = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation("Europe/London")
	if err != nil {
		// The zone is embedded in the program: this is a broken build.
		panic("energy: the embedded time zone Europe/London cannot be read: " + err.Error())
	}
	return l
})

// Day is a settlement day: a civil day of a time zone, cut into periods of
// half an hour. Where the clocks change it has 46 or 50 of them, else 48.
type Day struct {
	first   time.Time // start of period 1, UTC
	periods int
	date    string
}

// SettlementDay gives the settlement day of a civil date in Europe/London. Dates outside
// the month are normalised as time.Date does.
func SettlementDay(year int, month time.Month, day int) Day {
	return DayIn(London(), year, month, day)
}

// DayIn is SettlementDay for another time zone.
func DayIn(l *time.Location, year int, month time.Month, day int) Day {
	first := time.Date(year, month, day, 0, 0, 0, 0, l)
	next := time.Date(year, month, day+1, 0, 0, 0, 0, l)
	return Day{first: first.UTC(), periods: int(next.Sub(first) / Period), date: first.Format(time.DateOnly)}
}

// SettlementPeriod gives the settlement day that an instant falls in, and the
// number of its period, from 1.
func SettlementPeriod(t time.Time) (Day, int) {
	return PeriodIn(London(), t)
}

// PeriodIn is SettlementPeriod for another time zone.
func PeriodIn(l *time.Location, t time.Time) (Day, int) {
	y, m, d := t.In(l).Date()
	day := DayIn(l, y, m, d)
	return day, int(t.Sub(day.first)/Period) + 1
}

// Periods is how many periods the day has: 46, 48 or 50 in Europe/London.
func (d Day) Periods() int { return d.periods }

// Start is when period n (from 1) starts, UTC. Start(Periods()+1) is the
// start of the next day. It panics where n is outside 1..Periods()+1.
func (d Day) Start(n int) time.Time {
	if n < 1 || n > d.periods+1 {
		panic(fmt.Sprintf("energy: %s has %d periods, not a period %d", d.date, d.periods, n))
	}
	return d.first.Add(time.Duration(n-1) * Period)
}

// String gives the civil date, e.g. "2024-03-31".
func (d Day) String() string { return d.date }

// MonthStart is the first instant of the UTC calendar month that t falls in.
func MonthStart(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// NextMonth is the first instant of the UTC calendar month after that of t.
func NextMonth(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
}

// HalfHourStart is the start of the UTC half-hour that t falls in.
func HalfHourStart(t time.Time) time.Time { return t.UTC().Truncate(Period) }

// HalfHoursIn is how many whole half-hours lie in [from, to); 0 where to is not after from.
func HalfHoursIn(from, to time.Time) int {
	first := HalfHourStart(from.Add(Period - 1))
	return max(0, int(HalfHourStart(to).Sub(first)/Period))
}
