package energy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rederive works late samples of a register (history that was stored and
// forwarded, or came out of order) into its half-hours. The window is a run of
// consecutive stored half-hours, at best with one more on either side of the
// gap that the samples fill. Each boundary inside the window is interpolated
// anew where a late sample lies nearer to it than what it was interpolated
// from; the register at the two ends of the window stays as it is, so that the
// sum over the window is the same as before, exactly (law 1). End is how well
// the register is known at the end of the window, where there is no half-hour
// after it that could tell (see Accumulator.Boundary); else Missing.
//
// Only the half-hours that change (their value, quality or evidence) are given,
// none with a worse quality than before. Half-hours whose register is not known at both ends (missing,
// substituted, imported), and those that a meter exchange touches, are left
// alone. TakenAt, flags and the rest stay: the caller validates anew.
//
// The error names the samples that were refused and why: one that the register
// cannot have shown between those before and after it is not used. The others
// are: half-hours can be given together with an error.
func Rederive(r Register, period time.Duration, window []HalfHour, end Quality, late []Sample) ([]HalfHour, error) {
	for i := 1; i < len(window); i++ {
		if !window[i].Start.Equal(window[i-1].Start.Add(period)) {
			return nil, fmt.Errorf("energy: half-hour %s does not follow the one before it: late samples need a window without holes", window[i].Start.Format(time.RFC3339))
		}
	}
	late = slices.Clone(late)
	slices.SortStableFunc(late, func(a, b Sample) int { return a.At.Compare(b.At) })
	var out []HalfHour
	var refused []error
	for len(window) > 0 {
		n := slices.IndexFunc(window, func(h HalfHour) bool { return !r.derivable(&h, period) })
		if n < 0 {
			n = len(window)
		}
		if n == 0 {
			window = window[1:]
			continue
		}
		run := newRun(r, period, window[:n])
		window = window[n:]
		late = slices.DeleteFunc(late, func(s Sample) bool {
			mine, err := run.insert(s)
			if err != nil {
				refused = append(refused, fmt.Errorf("late reading of %d %s at %s: %w", s.Value, r.Measure.BaseUnit(), s.At.UTC().Format(time.RFC3339), err))
			}
			return mine
		})
		run.trim()
		last := Missing
		if len(window) == 0 {
			last = end
		}
		out = append(out, run.changed(last)...)
	}
	for _, s := range late {
		refused = append(refused, fmt.Errorf("late reading of %d %s at %s: the register at the ends of its half-hour is not known", s.Value, r.Measure.BaseUnit(), s.At.UTC().Format(time.RFC3339)))
	}
	return out, errors.Join(refused...)
}

// derivable reports whether a half-hour was made of the samples in its
// evidence, so that it can be made of them again.
func (r *Register) derivable(h *HalfHour, period time.Duration) bool {
	switch h.Evidence.Rule {
	case RuleBracketed, RuleInterpolate, RuleSpread, RuleProfileScaled:
	default:
		return false
	}
	first, last, start := h.Evidence.First, h.Evidence.Last, h.Evidence.Start
	return h.Quality >= Estimated && h.Energy >= 0 && r.holds(h.Cumulative) && r.holds(r.registerAt(*h)) && r.holds(first.Value) && r.holds(last.Value) &&
		!first.At.After(h.Start) && !last.At.Before(h.Start.Add(period)) && (start == Sample{} || start.At.After(h.Start) && r.holds(start.Value))
}

// knot is a point of a run at which the register is known: total is the energy
// since the start of the run (negative before it).
type knot struct {
	point
	total int64
	late  bool
	bound bool // not a sample but the register at an end of the run
}

// run is a stretch of derivable half-hours.
type run struct {
	reg    Register
	period time.Duration
	old    []HalfHour
	totals []int64 // at each boundary, len(old)+1, as they were
	knots  []knot  // in order of time
	start  int64   // register at the start
}

func newRun(reg Register, period time.Duration, old []HalfHour) *run {
	r := &run{reg: reg, period: period, old: old, totals: make([]int64, 1, len(old)+1), start: reg.registerAt(old[0])}
	total, register := int64(0), r.start
	first, end := old[0].Start.UnixNano(), old[len(old)-1].Start.Add(period).UnixNano()
	r.know(knot{point: point{first, register}, bound: true})
	for i := range old {
		h := &old[i]
		r.know(knot{point: pointOf(h.Evidence.First), total: total - reg.ahead(h.Evidence.First.Value, register)})
		if s := h.Evidence.Start; s != (Sample{}) {
			r.know(knot{point: pointOf(s), total: total + reg.ahead(register, s.Value)})
		}
		total, register = total+h.Energy, h.Cumulative
		r.know(knot{point: pointOf(h.Evidence.Last), total: total + reg.ahead(register, h.Evidence.Last.Value)})
		r.totals = append(r.totals, total)
	}
	r.know(knot{point: point{end, register}, total: total, bound: true})
	return r
}

// ahead gives how far v1 is ahead of v0, through the modulus if need be;
// negative where there is none and the register fell.
func (r *Register) ahead(v0, v1 int64) int64 {
	if v1 < v0 {
		return r.Modulus - v0 + v1
	}
	return v1 - v0
}

// find gives the index of the first knot at or after an instant.
func (r *run) find(at int64) int {
	i, _ := slices.BinarySearchFunc(r.knots, at, func(k knot, at int64) int { return cmp.Compare(k.at, at) })
	return i
}

// know adds a knot, unless there is a sample of that time already.
func (r *run) know(k knot) {
	i := r.find(k.at)
	switch {
	case i == len(r.knots) || r.knots[i].at != k.at:
		r.knots = slices.Insert(r.knots, i, k)
	case r.knots[i].bound:
		r.knots[i] = k
	}
}

// insert takes a late sample, where it lies inside the run.
func (r *run) insert(s Sample) (mine bool, err error) {
	at, ok := nanos(s.At)
	end := r.old[len(r.old)-1].Start.Add(r.period).UnixNano()
	if !ok || at < r.old[0].Start.UnixNano() || at > end {
		return false, nil
	}
	i := r.find(at)
	next := r.knots[i]
	switch {
	case next.at == at && next.value == s.Value:
		return true, nil // known already
	case next.at == at && next.bound:
		return true, nil // the ends stay
	case next.at == at:
		return true, fmt.Errorf("the register showed %d at that very time", next.value)
	case !r.reg.holds(s.Value):
		return true, errors.New("the register cannot show that")
	}
	prev := r.knots[i-1]
	k := knot{point: point{at, s.Value}, total: prev.total + r.reg.ahead(prev.value, s.Value), late: true}
	if k.total < prev.total {
		return true, fmt.Errorf("the register stood at %d before it (%s)", prev.value, instant(prev.at).Format(time.RFC3339))
	}
	if k.total > next.total {
		return true, fmt.Errorf("the register stood at %d after it (%s)", next.value, instant(next.at).Format(time.RFC3339))
	}
	_, ok1 := r.reg.spend(0, k.total-prev.total, k.at-prev.at)
	_, ok2 := r.reg.spend(0, next.total-k.total, next.at-k.at)
	if !ok1 || !ok2 {
		return true, errors.New("the meter cannot have delivered that in the time")
	}
	r.knots = slices.Insert(r.knots, i, k)
	return true, nil
}

// trim lets go of late samples between which and an end of the run, where the
// register stays as it is, a boundary lies: the samples around that one would say
// another register than the one that goes on to the end.
func (r *run) trim() {
	first, last := r.old[0].Start.Add(r.period).UnixNano(), r.old[len(r.old)-1].Start.UnixNano()
	for i := r.find(first - int64(r.period)); r.knots[i].bound && r.knots[i+1].late && r.knots[i+1].at > first; {
		r.knots = slices.Delete(r.knots, i+1, i+2)
	}
	for i := r.find(last + int64(r.period)); r.knots[i].bound && r.knots[i-1].late && r.knots[i-1].at < last; i-- {
		r.knots = slices.Delete(r.knots, i-1, i)
	}
}

// end is a boundary of a run, as it is derived.
type end struct {
	total       int64
	quality     Quality
	first, last Sample // the samples around it
	moved       bool
}

// boundary derives boundary i of the run, which is not one of its ends.
func (r *run) boundary(i int) end {
	b := r.old[i].Start.UnixNano()
	e := end{total: r.totals[i], first: r.old[i].Evidence.First, last: r.old[i-1].Evidence.Last}
	j := r.find(b)
	next := r.knots[j]
	prev := next // where it lies on the boundary
	if next.at > b {
		prev = r.knots[j-1]
	}
	if !prev.bound && prev.at > e.first.At.UnixNano() {
		e.first, e.moved = prev.sample(), true
	}
	if !next.bound && next.at < e.last.At.UnixNano() {
		e.last, e.moved = next.sample(), true
	}
	if e.moved {
		e.total = next.total
		if prev.at < next.at {
			e.total = prev.total + int64(mulDiv(uint64(next.total-prev.total), uint64(b-prev.at), uint64(next.at-prev.at)))
		}
	}
	e.quality = boundaryQuality(b-e.first.At.UnixNano(), e.last.At.UnixNano()-b, int64(r.period), r.close())
	return e
}

// startQuality says how well the register is known at the start of the run, by
// the samples that its first half-hour names.
func (r *run) startQuality() Quality {
	e, b := r.old[0].Evidence, r.old[0].Start.UnixNano()
	after := int64(r.period) + 1 // not known: too far to help
	if e.Start != (Sample{}) {
		after = e.Start.At.UnixNano() - b
	}
	return boundaryQuality(b-e.First.At.UnixNano(), after, int64(r.period), r.close())
}

func (r *run) close() int64 {
	if r.reg.Close > 0 {
		return int64(r.reg.Close)
	}
	return int64(DefaultClose(r.period))
}

// changed gives the half-hours that the late samples change. Last is how well
// the end of the run is known, where that is known at all.
func (r *run) changed(last Quality) []HalfHour {
	n := len(r.old)
	ends := make([]end, n+1)
	for i := 1; i < n; i++ {
		ends[i] = r.boundary(i)
	}
	// How well the ends of the run are known is not kept: as well as the evidence says, and at least as well as their half-hours were.
	ends[0] = end{quality: max(r.old[0].Quality, r.startQuality()), first: r.old[0].Evidence.First}
	ends[n] = end{total: r.totals[n], quality: max(r.old[n-1].Quality, last), last: r.old[n-1].Evidence.Last}
	var out []HalfHour
	for i, h := range r.old {
		if !ends[i].moved && !ends[i+1].moved {
			continue
		}
		h.Energy = ends[i+1].total - ends[i].total
		h.Cumulative = r.reg.wrap(r.start, ends[i+1].total)
		h.Quality = max(h.Quality, Worst(ends[i].quality, ends[i+1].quality))
		if h.Quality > Estimated || h.Evidence.Rule != RuleProfileScaled {
			h.Evidence.Rule = ruleOf(h.Quality)
		}
		h.Evidence.First, h.Evidence.Last = ends[i].first, ends[i+1].last
		from := h.Start.UnixNano()
		for _, k := range r.knots[r.find(from):r.find(from+int64(r.period))] {
			if k.late {
				h.Evidence.Samples++
			}
		}
		out = append(out, h)
	}
	return out
}
