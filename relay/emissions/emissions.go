// Package emissions turns half-hours of energy into whole months of emissions,
// by the one calculation that the scheme permits: for electricity the sum of
// each half-hour's energy times the grid's carbon intensity at the meter, for
// gas the volume times the government's factor of the year.
//
// The calculation is pure and in integers; a month has a figure only when
// every half-hour of every meter and every intensity is known (laws 1 and 2).
// Around it stand a cache of the grid's intensity (Grid), the factors, and a
// Service that keeps finished months.
package emissions

import (
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Kind is what the emissions come from, by the name that the scheme's API has.
type Kind string

// The kinds.
const (
	Electricity Kind = "electricity"
	Gas         Kind = "gas"
)

// Kinds lists the kinds.
func Kinds() []Kind { return []Kind{Electricity, Gas} }

// Measure is the measure whose half-hours count. Exports are never netted.
func (k Kind) Measure() energy.Measure {
	if k == Gas {
		return energy.Gas
	}
	return energy.Import
}

// Month is a calendar month in UTC.
type Month struct {
	Year  int
	Month time.Month
}

// MonthOf is the month that an instant lies in.
func MonthOf(t time.Time) Month {
	y, m, _ := t.UTC().Date()
	return Month{y, m}
}

// Start is the month's first instant.
func (m Month) Start() time.Time { return time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.UTC) }

// End is the first instant after the month.
func (m Month) End() time.Time { return time.Date(m.Year, m.Month+1, 1, 0, 0, 0, 0, time.UTC) }

// Next is the month after.
func (m Month) Next() Month { return MonthOf(m.End()) }

// HalfHours is how many half-hours the month has: 48 a day.
func (m Month) HalfHours() int { return int(m.End().Sub(m.Start()) / energy.Period) }

// String gives "2026-03".
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m.Year, int(m.Month)) }

// WholeMonths lists the calendar months that lie wholly in [from, to).
func WholeMonths(from, to time.Time) []Month {
	m := MonthOf(from)
	if m.Start().Before(from) {
		m = m.Next()
	}
	var out []Month
	for ; !m.End().After(to); m = m.Next() {
		out = append(out, m)
	}
	return out
}

// Mass is an exact amount of CO2 equivalent, in micrograms.
type Mass int64

// Kilograms writes the mass in kilograms with three decimals, rounded to the
// nearest gram (half up).
func (m Mass) Kilograms() string {
	g := int64(m) / 1_000_000
	if int64(m)%1_000_000 >= 500_000 {
		g++
	}
	return fmt.Sprintf("%d.%03d", g/1000, g%1000)
}
