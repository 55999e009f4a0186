// Package substitute fills holes in a meter's half-hours where its operator
// asks for it, in the order of feeds.md 3.4. What it gives is always marked as
// what it is (Substituted, or Estimated where the exact advance is known), and
// names the rule that it came from.
//
// It is a pure planner: the same window gives the same half-hours.
package substitute

import (
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Method is a way to fill a hole.
type Method uint8

// The methods, in the order in which they are tried. Late actual values come
// before all of them: they supersede whatever stands in their place, and
// nothing need be planned for them.
const (
	CheckMeter Method = 1 // the check meter's own half-hour (E2)
	Linear     Method = 2 // one missing half-hour: half the sum of its neighbours (E3)
	Scaled     Method = 3 // a known advance, in the shape of like days instead of evenly (E4)
	Profile    Method = 4 // an unknown advance: the median of like days (E5); takes Scaled with it
)

var methodNames = [...]string{CheckMeter: "check-meter", Linear: "linear", Scaled: "profile-scaled", Profile: "profile"}

// String gives the name used in configuration files.
func (m Method) String() string {
	if m >= CheckMeter && m <= Profile {
		return methodNames[m]
	}
	return fmt.Sprintf("method(%d)", uint8(m))
}

// ParseMethod reads the name of a method.
func ParseMethod(s string) (Method, error) {
	for m := CheckMeter; m <= Profile; m++ {
		if methodNames[m] == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("unknown way to substitute %q: use check-meter, linear, profile-scaled or profile", s)
}

// Options say what may be done.
type Options struct {
	Methods  []Method  // what the operator allows; their order does not matter
	From, To time.Time // half-hours that start in [From, To) may be filled; zero To: up to the window's end

	Check   func(start time.Time) (energy.HalfHour, bool) // the check meter's half-hours; nil: there is none
	Holiday func(date time.Time) bool                     // whether a civil day, given as its noon in Europe/London, is a public holiday; nil: England's bank holidays
	Now     time.Time                                     // TakenAt of what is filled; zero: a second after the half-hour

	Period    time.Duration // 0: energy.Period
	Modulus   int64         // of the register, base units; 0: it never wraps
	MaxEnergy int64         // nothing above it is put in place, base units; 0: no ceiling
	Weeks     int           // like days lie in so many weeks before the hole; 0: 4
	Least     int           // like values that must be known; 0: 2
	MaxRun    int           // half-hours in a row that Profile fills: the rest of a longer hole stays null; 0: 336 (a week)
}

func (o Options) withDefaults() Options {
	if o.Period <= 0 {
		o.Period = energy.Period
	}
	if o.Holiday == nil {
		o.Holiday = func(d time.Time) bool { return BankHoliday(d.Date()) != "" }
	}
	if o.Weeks <= 0 {
		o.Weeks = 4
	}
	if o.Least <= 0 {
		o.Least = 2
	}
	if o.MaxRun <= 0 {
		o.MaxRun = 336
	}
	return o
}

// Plan gives the half-hours to put in place of those of the window that are
// missing, or whose known advance was spread evenly, in the order of their
// starts. The window is what is kept of one register over the last weeks:
// history before the holes, the holes, and what came after. A half-hour that is
// not in the window at all is missing, if it lies between others or in
// [From, To).
//
//  1. Late actual values need no plan.
//  2. The check meter's half-hour where it is actual.
//  3. One missing half-hour between two actual ones: half their sum.
//  4. A known advance over two or more whole half-hours: the register at the
//     boundaries within the gap follows the shape of like days (the same
//     weekday of the weeks before, without public holidays) instead of a
//     straight line. The samples around the gap and all sums stay as they are.
//  5. An unknown advance: the median of like days.
//  6. Otherwise it stays null.
//
// Export (active and reactive) is only ever shaped from a known advance.
// Nothing is put in place of anything better: a substitute gives way only to
// one that stands earlier in this order.
func Plan(m energy.Measure, window []energy.HalfHour, o Options) []energy.HalfHour {
	if len(window) == 0 {
		return nil
	}
	o = o.withDefaults()
	p := planner{o: o, measure: m, series: newSeries(window, o.Period)}
	if o.To.IsZero() {
		p.o.To = p.series.end
	}
	p.o.From = maxTime(p.o.From, p.series.start)
	if p.allows(Scaled) || p.allows(Profile) {
		p.shape()
	}
	if m != energy.Export && m != energy.ReactiveExport && m != energy.Generation {
		p.fill()
	}
	slices.SortFunc(p.out, func(a, b energy.HalfHour) int { return a.Start.Compare(b.Start) })
	return p.out
}

// planner holds one plan while it is made.
type planner struct {
	o       Options
	measure energy.Measure
	series  series
	out     []energy.HalfHour
}

func (p *planner) allows(m Method) bool { return slices.Contains(p.o.Methods, m) }

// inside reports whether a half-hour may be filled at all.
func (p *planner) inside(start time.Time) bool {
	return !start.Before(p.o.From) && start.Before(p.o.To)
}

// put plans a half-hour in place of old.
func (p *planner) put(old energy.HalfHour, e, cumulative int64, q energy.Quality, r energy.Rule) {
	end := old.Start.Add(p.o.Period)
	taken := p.o.Now.UTC()
	if !taken.After(end) {
		taken = maxTime(end.Add(time.Second), old.TakenAt)
	}
	old.Energy, old.Cumulative, old.Quality, old.TakenAt = e, cumulative, q, taken
	old.Evidence.Rule = r
	p.out = append(p.out, old)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
