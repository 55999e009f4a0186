package validate

import (
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// How much history V16 and V18 need before they speak.
const (
	typicalDays  = 7  // the days before the half-hour's own that say what is typical
	typicalLeast = 48 // half-hours that must be known in them
	spikeLeast   = 4  // like half-hours that must be known
	quantumLeast = 3  // different energies that must be known before the readings' common divisor says something: a load that never changes says nothing
	usualMost    = 50 // times what is typical: more is no measure of what is usual, or one spike would hide the next
)

// usual is what a register usually counts, as of one UTC midnight. It depends
// on the history before that midnight alone, so that it is the same however
// often, and by whom, it is asked for.
type usual struct {
	of      time.Time // the UTC day it is for; zero: none
	typical int64     // median of the half-hours that are not 0; 0: not known
	largest int64     // the largest of them, without what nobody would call usual
	quantum int64     // what all of the register's readings are a multiple of
	coarse  bool      // V18
	before  bool      // V18 as of the day before
}

// usual applies V16 and V18.
func (v *view) usual() {
	c, h := v.c, v.h
	if !c.on(16) && !c.on(18) {
		return
	}
	day := h.Start.UTC().Truncate(24 * time.Hour)
	if !c.day.of.Equal(day) {
		d := v.typical(day)
		if c.day.of.Equal(day.AddDate(0, 0, -1)) {
			d.before = c.day.coarse
		} else {
			d.before = v.typical(day.AddDate(0, 0, -1)).coarse
		}
		c.day = d
	}
	v.coarse(day)
	v.spike()
}

// typical looks at the days before one UTC midnight.
func (v *view) typical(day time.Time) usual {
	c := v.c
	u := usual{of: day}
	var some []int64
	n := 0
	for at := day.AddDate(0, 0, -typicalDays); at.Before(day); at = at.Add(c.o.Period) {
		p, ok := actual(v.past, c.key.Measure, at)
		if !ok {
			continue
		}
		n++
		if p.Energy > 0 {
			some = append(some, p.Energy)
		}
		if p.Evidence.Rule == energy.RuleBracketed || p.Evidence.Rule == energy.RuleInterpolate {
			u.quantum = gcd(u.quantum, p.Evidence.Last.Value)
		}
	}
	if n < typicalLeast || len(some) == 0 {
		u.quantum = 0
		return u
	}
	slices.Sort(some)
	if different(some) < quantumLeast {
		u.quantum = 0
	}
	u.typical = median(some)
	for _, e := range some {
		if e/usualMost < u.typical {
			u.largest = e
		}
	}
	u.coarse = c.step(v.h, u.quantum) > u.typical/100
	return u
}

// step is the register's resolution: as stated, as a float register of its
// size has it, or as its readings show, whichever is the coarsest.
func (c *Checker) step(h *energy.HalfHour, quantum int64) int64 {
	s := max(c.o.Step, quantum)
	if c.o.Mantissa > 0 {
		// A float of m bits is stored in steps between v/2^m and v/2^(m-1).
		s = max(s, h.Evidence.Last.Value>>(c.o.Mantissa-1))
	}
	return s
}

// coarse is V18. It flags each half-hour, and speaks when it begins and then
// on Mondays.
func (v *view) coarse(day time.Time) {
	c := v.c
	if !c.day.coarse {
		return
	}
	f := Finding{Rule: 18}
	if v.h.Start.Equal(day) && (!c.day.before || day.Weekday() == time.Monday) {
		f.Severity, f.Found = Info, "steps of "+c.amount(c.step(v.h, c.day.quantum))
		f.Expected = fmt.Sprintf("at most 1 %% of a usual half-hour of %s", c.amount(c.day.typical))
	}
	v.flag(f)
}

// spike is V16: a half-hour far above the same weekday and time of other
// weeks, and also half as large again as anything in the week before.
//
// How far above is measured in median deviations from the median; so that a
// load that hardly varies does not make a finding of each kettle, a deviation
// counts as at least a twentieth of the median, a tenth of what is typical
// for the site, and two steps. The second condition is there for the school
// that opens after the holidays: without it each of its first 320 half-hours
// was a spike.
func (v *view) spike() {
	c, h := v.c, v.h
	if !c.on(16) || c.day.typical <= 0 || h.Quality < energy.Interpolated || h.Energy-c.day.largest <= c.day.largest/2 {
		return
	}
	like := make([]int64, 0, 32)
	local := h.Start.In(energy.London())
	for w := 1; w <= c.o.SpikeWeeks; w++ {
		if p, ok := actual(v.past, c.key.Measure, local.AddDate(0, 0, -7*w).UTC()); ok {
			like = append(like, p.Energy)
		}
	}
	if len(like) < spikeLeast {
		return
	}
	slices.Sort(like)
	mid := median(like)
	for i, e := range like {
		like[i] = max(e-mid, mid-e)
	}
	slices.Sort(like)
	dev := max(median(like), mid/20, c.day.typical/10, 2*c.o.Step)
	most := part(dev, int64(c.o.SpikeK), 1)
	if h.Energy-mid <= most {
		return
	}
	most += mid
	v.flag(Finding{
		Rule: 16, Severity: Warning, Found: c.amount(h.Energy), Note: thousand(h.Energy, c.day.largest),
		Expected: fmt.Sprintf("at most %s: the median of %d weeks is %s", c.amount(most), len(like), c.amount(mid)),
	})
}

// median of sorted values; of an even number of them the lower one.
func median(sorted []int64) int64 { return sorted[(len(sorted)-1)/2] }

// different counts the different ones of sorted values.
func different(sorted []int64) (n int) {
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			n++
		}
	}
	return n
}

func gcd(a, b int64) int64 {
	a, b = max(a, -a), max(b, -b)
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
