package energy

import (
	"slices"
	"time"
)

// Respread spreads what is left of the advance over a gap once actual values of
// some of its half-hours are known from elsewhere, such as the file of a data
// collector: the register's advance less these, in proportion to time as far
// as nothing else is known. So the half-hours of the gap still sum to what the
// register advanced, exactly (law 1), and none falls below what the register
// itself counted in it before or after the gap.
//
// Window is a run of consecutive half-hours as the register gave them, spread
// ones and the ones around the gap; stands is what stands in their places now,
// and given says which of these are actual values from elsewhere. The
// half-hours that change are given, Estimated and RuleProfileScaled: their
// boundaries are no longer interpolated between the samples alone. The shape
// that stands already (of like days) is kept. Done again it changes nothing.
// Where an exchange was counted through, it is the same by the parts that were
// counted then (see respreadExchange).
//
// A gap is left as it is where the values from elsewhere exceed its advance or
// leave more than the meter can deliver in the rest (the two sources disagree,
// and neither is bent to fit the other), or where nothing is left to spread over.
// A half-hour that has a part in two gaps, or seconds in one and is known better,
// has what the register counted in it; of an actual value two gaps have their parts in proportion to
// time, unless all the rest of one is told: then it has what that leaves.
func Respread(r Register, period time.Duration, window, stands []HalfHour, given []bool) (out []HalfHour) {
	if len(window) != len(stands) || len(window) != len(given) {
		return nil
	}
	for from := 0; from < len(window); { // mutate: nothing is left to begin a run with
		to := from
		if throughExchange(&window[from]) {
			to = exchangeRun(window, from, period)
			out = append(out, r.respreadExchange(period, window[from:to], stands[from:to], given[from:to])...)
			from = to
			continue
		}
		for to < len(window) && r.derivable(&window[to], period) && (to == from || window[to].Start.Equal(window[to-1].Start.Add(period))) {
			to++
		}
		if to > from {
			out = append(out, respread(newRun(r, period, window[from:to]), stands[from:to], given[from:to])...)
		}
		from = max(to, from+1)
	}
	return out
}

// respread does it for one run of half-hours that were made of samples.
func respread(r *run, stands []HalfHour, given []bool) []HalfHour {
	now := make([]int64, len(stands)) // the energies as they come to stand
	for i := range stands {
		now[i] = stands[i].Energy
	}
	touched, even, ahead := make([]bool, len(stands)), make([]bool, len(stands)), make([]int64, len(stands)) // ahead: of where the register was taken to be at the end of each
	meets := r.meets()
	r.unshapeShared(meets, given, now, touched, even)
	r.partActuals(meets, given, now)
	for j := 1; j < len(r.knots); j++ {
		// A gap that goes on beyond the run has one of its ends between its samples.
		p, q := r.knots[j-1], r.knots[j]
		if q.at <= r.old[0].Start.UnixNano() { // mutate: one that ends there has no part in the run
			continue
		}
		if r.isGap(p, q) && !p.bound && !q.bound {
			r.fillGap(p, q, meets, stands, given, now, touched, even, ahead)
		}
	}
	var out []HalfHour
	for i, h := range stands {
		if !touched[i] || given[i] {
			continue
		}
		next := h
		next.Energy, next.Cumulative = now[i], r.reg.wrap(r.start, r.totals[i+1]+ahead[i])
		next.Quality, next.Evidence = Estimated, r.old[i].Evidence
		if !even[i] {
			next.Evidence.Rule = RuleProfileScaled
		}
		if next.Energy != h.Energy || next.Cumulative != h.Cumulative || next.Quality != h.Quality || next.Evidence.Rule != h.Evidence.Rule {
			out = append(out, next)
		}
	}
	return out
}

// meeting is what the gaps that a half-hour has a part in leave of it: gaps
// counts them, and where there are two, the first ends at before and the second
// begins at after.
type meeting struct {
	gaps          int
	before, after knot
	begins, ends  knot  // where the first of the two gaps begins, and the second one ends
	first         int64 // what the first has of an actual value
}

// meets gives the meeting in each half-hour of a run.
func (r *run) meets() []meeting {
	out := make([]meeting, len(r.old))
	start := r.old[0].Start.UnixNano()
	end := start + int64(len(r.old))*int64(r.period)
	for j := 1; j < len(r.knots); j++ {
		if p, q := r.knots[j-1], r.knots[j]; r.isGap(p, q) && q.at >= start && p.at < end { // one that is known up to start alone goes on in the first half-hour
			first, last := r.within(p, q)
			for i := first; i <= last; i++ {
				out[i].gaps++
			}
			out[first].after, out[first].ends = p, q
			out[last].before, out[last].begins = q, p
		}
	}
	return out
}

// partActuals decides what each of two gaps has of an actual value in the
// half-hour that they share: where everything else of one of them is told, what
// that leaves; else in proportion to time.
func (r *run) partActuals(meets []meeting, given []bool, now []int64) {
	for i := range meets {
		m := &meets[i]
		value := now[i] - (m.after.total - m.before.total)
		if m.gaps != 2 || !given[i] {
			continue
		}
		one, two := m.before.at-r.old[i].Start.UnixNano(), r.old[i].Start.Add(r.period).UnixNano()-m.after.at
		m.first = int64(mulDiv(uint64(max(value, -value)), uint64(one), uint64(one+two)))
		if value < 0 { // mutate: of nothing each has nothing
			m.first = -m.first // less than was counted between them: so much more is left to both
		}
		if left, told := r.leaves(m.begins, m.before, i, meets, given, now); told && left >= 0 && left <= value {
			m.first = left
		} else if left, told := r.leaves(m.after, m.ends, i, meets, given, now); told && left >= 0 && left <= value {
			m.first = value - left
		}
	}
}

// leaves gives what the actual values of a gap leave of its advance for
// half-hour i; told is false where they do not tell all the rest of it.
func (r *run) leaves(p, q knot, i int, meets []meeting, given []bool, now []int64) (left int64, told bool) {
	first, last := r.within(p, q)
	left = q.total - p.total
	for j := first; j <= last; j++ {
		_, even := r.part(j, p, q)
		switch {
		case j == i:
		case r.old[j].Evidence.Rule != RuleSpread:
			left -= even
		case given[j] && meets[j].gaps == 1:
			left -= now[j] - r.old[j].Energy + even
		default:
			return 0, false
		}
	}
	return left, true
}

// actual gives what the gap from p on has of an actual value in a half-hour that
// it shares with another.
func (m *meeting) actual(value int64, p knot) int64 {
	if p.at == m.after.at {
		return value - (m.after.total - m.before.total) - m.first
	}
	return m.first
}

// isGap reports whether the advance between two knots was spread.
func (r *run) isGap(p, q knot) bool { return q.at-p.at > int64(r.period) }

// within gives the half-hours of the run that the time between two knots has a part in.
func (r *run) within(p, q knot) (first, last int) {
	start := r.old[0].Start.UnixNano()
	return int(max(p.at-start, 0) / int64(r.period)), min(int((q.at-1-start)/int64(r.period)), len(r.old)-1)
}

// part is what lies in half-hour i of the time between two knots, and of the
// energy between them where that is spread evenly.
func (r *run) part(i int, p, q knot) (length, energy int64) {
	from := max(r.old[i].Start.UnixNano(), p.at)
	to := min(r.old[i].Start.UnixNano()+int64(r.period), q.at)
	at := func(t int64) int64 {
		return int64(mulDiv(uint64(q.total-p.total), uint64(t-p.at), uint64(q.at-p.at)))
	}
	return to - from, at(to) - at(from)
}

// fillGap spreads what is left between two knots over the half-hours there
// that nobody gave.
func (r *run) fillGap(p, q knot, meets []meeting, stands []HalfHour, given []bool, now []int64, touched, even []bool, ahead []int64) {
	first, last := r.within(p, q)
	if !slices.Contains(given[first:last+1], true) {
		r.unshape(first, last, meets, now, touched, even)
		return
	}
	left, weight, length, anew := q.total-p.total, int64(0), int64(0), false
	counted := make([]int64, last+1-first) // what the register counted outside of the gap
	weights, lengths := make([]int64, len(counted)), make([]int64, len(counted))
	more := make([]int64, len(counted)) // than an even share, that the gap has in each
	for i := first; i <= last; i++ {
		ns, even := r.part(i, p, q)
		k := i - first
		if counted[k] = r.old[i].Energy - even; r.old[i].Evidence.Rule == RuleProfileScaled || counted[k] < 0 {
			return // it was not spread evenly
		}
		switch m := &meets[i]; {
		case r.old[i].Evidence.Rule != RuleSpread:
			left -= even // seconds at an edge of the gap, and known better than that
		case m.gaps > 1 && given[i]:
			of := m.actual(now[i], p)
			left -= of
			more[k] = of - even
		case m.gaps > 1:
			left -= even
		case given[i]:
			left -= now[i] - counted[k]
			more[k] = now[i] - r.old[i].Energy
		default:
			lengths[k], weights[k] = ns, max(0, now[i]-counted[k])
			length, weight = length+ns, weight+weights[k]
			anew = anew || stands[i].Evidence.Rule == RuleSpread // it was made again since the others were shaped
		}
	}
	if left < 0 || length == 0 {
		return
	}
	if _, ok := r.reg.spend(0, left, length); !ok {
		return
	}
	if anew || evenly(weights, weight, lengths, length) {
		weights, weight = lengths, length
	}
	sum, done, beyond := int64(0), int64(0), int64(0)
	for i := first; i <= last; i++ {
		k := i - first
		if lengths[k] > 0 {
			touched[i] = true
			sum += weights[k]
			upTo := int64(mulDiv(uint64(left), uint64(sum), uint64(weight)))
			now[i], done = counted[k]+upTo-done, upTo
			more[k] = now[i] - r.old[i].Energy
		}
		beyond += more[k]
		ahead[i] += beyond
	}
}

// unshapeShared gives half-hours that have a part in two gaps back what the
// register counted in them: of a shape nothing says how much belongs to which gap.
// One that stands to its sums, and nobody tells a part of, is kept.
func (r *run) unshapeShared(meets []meeting, given []bool, now []int64, touched, even []bool) {
	left := int64(0)
	for i := range now {
		left += r.old[i].Energy - now[i]
	}
	for i, m := range meets {
		if m.gaps > 1 && !given[i] && now[i] != r.old[i].Energy && (left != 0 || slices.Contains(given, true)) {
			now[i], touched[i], even[i] = r.old[i].Energy, true, true
		}
	}
}

// unshape spreads a gap evenly again that nobody tells a part of any more, but
// for what was made of what somebody told.
func (r *run) unshape(first, last int, meets []meeting, now []int64, touched, even []bool) {
	left := int64(0)
	for i := first; i <= last; i++ {
		left += r.old[i].Energy - now[i]
	}
	for i := first; i <= last && left != 0; i++ {
		if r.old[i].Evidence.Rule == RuleSpread && meets[i].gaps == 1 {
			now[i], touched[i], even[i] = r.old[i].Energy, true, true
		}
	}
}

// evenly reports whether weights are in proportion to lengths, but for rounding:
// then they are no shape, and what was rounded away is not lost to the next sum.
func evenly(weights []int64, weight int64, lengths []int64, length int64) bool {
	for k, w := range weights {
		share := int64(mulDiv(uint64(weight), uint64(lengths[k]), uint64(length)))
		if w < share || w > share+1 {
			return false
		}
	}
	return true
}
