package simulation

import (
	"math"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// epoch is when a bubble of testing/synctest begins, and so every simulation.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// segment is how long the power of a load stays the same. It divides a
// half-hour, so that the truth at every boundary falls between two segments.
const segment = 10 * time.Minute

const segmentsPerPeriod = int(energy.Period / segment)

// load is what flows through a meter: power that is constant over each
// segment, so that the energy up to any instant is an exact integer.
type load struct {
	kind  energy.Measure
	most  int64 // base units per hour
	noise chance

	seg    int64 // the segment that past[seg%remembered] speaks of
	past   [remembered]segmentStart
	bounds []int64 // whole base units at each half-hour boundary since epoch that was passed
}

// segmentStart is what has flowed up to the start of a segment, and what flows in it.
type segmentStart struct {
	whole int64 // base units
	part  int64 // and so many 3,600,000ths of one
	power int64 // base units per hour
}

// remembered is for how many segments back instants may be asked for.
const remembered = 64

const hourMillis = int64(time.Hour / time.Millisecond)

// total gives the whole base units from epoch up to an instant, which may lie
// ten hours before the latest that was asked for.
func (l *load) total(at time.Time) int64 {
	ms := at.Sub(epoch).Milliseconds()
	seg := ms / segment.Milliseconds()
	if l.bounds == nil {
		l.bounds, l.past[0].power = []int64{0}, l.at(0)
	}
	for l.seg < seg {
		s := l.past[l.seg%remembered]
		s.part += s.power * segment.Milliseconds()
		s.whole, s.part = s.whole+s.part/hourMillis, s.part%hourMillis
		l.seg++
		s.power = l.at(l.seg)
		l.past[l.seg%remembered] = s
		if l.seg%int64(segmentsPerPeriod) == 0 {
			l.bounds = append(l.bounds, s.whole)
		}
	}
	if seg <= l.seg-remembered {
		panic("simulation: the load is asked for a time too long ago")
	}
	s := l.past[seg%remembered]
	return s.whole + (s.part+s.power*(ms-seg*segment.Milliseconds()))/hourMillis
}

// boundary gives the total at the i-th half-hour boundary since epoch.
func (l *load) boundary(i int) int64 {
	if i >= len(l.bounds) {
		l.total(epoch.Add(time.Duration(i) * energy.Period))
	}
	return l.bounds[i]
}

// at gives the power of a segment.
func (l *load) at(seg int64) int64 {
	t := float64(seg) * segment.Hours()
	day := int(t / 24)
	hour, season := math.Mod(t, 24), math.Cos(2*math.Pi*t/24/366) // 1 in January, -1 in July
	part := 0.0
	switch l.kind {
	case energy.Export: // the sun: nothing at all at night
		half := 4 - 2*season // hours of light on each side of noon, about
		part = max(0, 1-math.Pow((hour-12)/(half+1), 2)) * (0.5 - 0.3*season)
	case energy.Gas: // heating: off in summer nights
		part = max(0, 0.2+0.3*season) * (1 + math.Sin(2*math.Pi*(hour-4)/24)) / 2
	default: // a business: open by day but on Sundays
		part = 0.1
		if hour > 7 && hour < 18 && day%7 != 1 {
			part = 0.6
		}
	}
	part *= 0.5 + 0.5*l.noise.unit(seg)
	if l.noise.n(seg/300+1<<40, 40) == 0 {
		part = 0 // two days in which nothing flows
	}
	return int64(part * float64(l.most))
}
