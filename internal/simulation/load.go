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

const segmentsPerPeriod = int64(energy.Period / segment)

// load is what flows through a meter: power that is constant over each
// segment, so that the energy up to any instant is an exact integer.
type load struct {
	kind  energy.Measure
	most  int64 // base units per hour
	noise chance
	parts []*load // what flows through sub-meters behind this one, too

	seg    int64          // the segment that now speaks of
	now    segmentStart   // of the segment that was asked for last
	bounds []segmentStart // at each half-hour boundary since epoch
}

// segmentStart is what has flowed up to the start of a segment, and what flows in it.
type segmentStart struct {
	whole int64 // base units
	part  int64 // and so many 3,600,000ths of one
	power int64 // base units per hour
}

const hourMillis = int64(time.Hour / time.Millisecond)

// total gives the whole base units from epoch up to an instant.
func (l *load) total(at time.Time) int64 {
	ms := at.Sub(epoch).Milliseconds()
	seg := max(ms, 0) / segment.Milliseconds()
	if seg != l.seg || l.bounds == nil {
		l.seek(seg)
	}
	return l.now.whole + (l.now.part+l.now.power*(ms-seg*segment.Milliseconds()))/hourMillis
}

// seek goes to a segment from the boundary before it.
func (l *load) seek(seg int64) {
	if l.bounds == nil {
		l.bounds = []segmentStart{{power: l.at(0)}}
	}
	n := int(seg / segmentsPerPeriod)
	for last := len(l.bounds) - 1; last < n; last++ {
		s := l.bounds[last]
		for i := range segmentsPerPeriod {
			s = l.after(s, int64(last)*segmentsPerPeriod+i)
		}
		l.bounds = append(l.bounds, s)
	}
	l.seg, l.now = int64(n)*segmentsPerPeriod, l.bounds[n]
	for ; l.seg < seg; l.seg++ {
		l.now = l.after(l.now, l.seg)
	}
}

// after gives the start of the segment that follows seg, which starts at s.
func (l *load) after(s segmentStart, seg int64) segmentStart {
	s.part += s.power * segment.Milliseconds()
	s.whole, s.part = s.whole+s.part/hourMillis, s.part%hourMillis
	s.power = l.at(seg + 1)
	return s
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
	power := int64(part * float64(l.most))
	for _, p := range l.parts {
		power += p.at(seg)
	}
	return power
}

// again gives a load like it, to be walked apart.
func (l *load) again() load { return load{kind: l.kind, most: l.most, noise: l.noise, parts: l.parts} }
