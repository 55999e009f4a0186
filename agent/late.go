package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// window gives the half-hours of a register in [from, to), stored or not yet,
// cut at holes.
func (r *recorder) window(k energy.Key, from, to time.Time) (runs [][]energy.HalfHour) {
	period := r.agent.opt.Config.Period
	var run []energy.HalfHour
	for at := from.Truncate(period); at.Before(to); at = at.Add(period) {
		h, ok := r.past.at(k, at)
		if ok {
			run = append(run, h)
		} else if len(run) > 0 {
			runs, run = append(runs, run), nil
		}
	}
	if len(run) > 0 {
		runs = append(runs, run)
	}
	return runs
}

// rederive works late readings into the half-hours that were made without
// them. The sums stay; what changes is kept as a new version.
func (r *recorder) rederive(late []store.KeyedSample, news touched) {
	for _, e := range r.early.over(r) {
		r.rederiveOne(e.Key, e.Late, news)
	}
	slices.SortStableFunc(late, func(a, b store.KeyedSample) int {
		return cmp.Or(compareKeys(a.Key, b.Key), a.At.Compare(b.At))
	})
	for len(late) > 0 {
		k, n := late[0].Key, 1
		for n < len(late) && late[n].Key == k {
			n++
		}
		of := make([]energy.Sample, n)
		for i := range of {
			of[i] = late[i].Sample
		}
		r.rederiveOne(k, of, news)
		late = late[n:]
	}
}

func (r *recorder) rederiveOne(k energy.Key, late []energy.Sample, news touched) {
	b, reg := r.agent.registerOf(k)
	if reg == nil {
		return
	}
	period := r.agent.opt.Config.Period
	from, to := late[0].At.Truncate(period), late[len(late)-1].At.Truncate(period).Add(period)
	spread, err := r.spreadOf(k, from, to) // a file may have told of them meanwhile
	if err != nil {
		r.agent.log.Warn("late readings", "meter", k.Meter, "measure", k.Measure.String(), "error", err)
		return
	}
	counted := func(at time.Time) energy.HalfHour {
		h, _ := r.past.at(k, at)
		return asCounted([]energy.HalfHour{h}, spread)[0]
	}
	// The gap that they fall into reaches as far as the readings around it.
	if h := counted(from); !h.Start.IsZero() && h.Evidence.First.At.Before(from) {
		from = h.Evidence.First.At.Truncate(period)
	}
	if h := counted(to.Add(-period)); h.Evidence.Last.At.After(to) {
		to = h.Evidence.Last.At.Truncate(period).Add(period)
	}
	if to.Sub(from) > mostRederived {
		return
	}
	if last := to.Add(-period); !r.over(k, last) {
		if !r.early.add(early{k, last, late}) {
			r.agent.log.Warn("late readings are not used: too many wait for their half-hours to be over", "meter", k.Meter, "measure", k.Measure.String(), "readings", len(late))
		}
		return
	}
	from, to = from.Add(-period), to.Add(period)
	// A gap beside it is looked at as a whole, where its advance was not spread evenly: a file may tell a part of it.
	if h, _ := r.past.at(k, from); h.Evidence.Rule == energy.RuleProfileScaled && to.Sub(h.Evidence.First.At) < mostRederived {
		from = h.Evidence.First.At.Truncate(period)
	}
	if h, _ := r.past.at(k, to.Add(-period)); h.Evidence.Rule == energy.RuleProfileScaled && h.Evidence.Last.At.Sub(from) < mostRederived {
		to = h.Evidence.Last.At.Truncate(period).Add(period)
	}
	if spread, err = r.spreadOf(k, from, to); err != nil {
		return
	}
	for _, run := range r.window(k, from, to) {
		if slices.ContainsFunc(run, tells) {
			run = asCounted(run, spread)
		}
		for len(run) > 1 && fromElsewhere(run[len(run)-1]) {
			run = run[:len(run)-1] // the register may not have counted it yet, and knows its start
		}
		first, end := run[0].Start, run[len(run)-1].Start.Add(period)
		mine := slices.DeleteFunc(slices.Clone(late), func(s energy.Sample) bool { return s.At.Before(first) || s.At.After(end) })
		if len(mine) == 0 {
			continue
		}
		made, err := energy.Rederive(reg.cfg.Energy(), period, run, b.boundary(reg, end), mine)
		if err != nil {
			r.agent.log.Debug("late readings", "meter", k.Meter, "measure", k.Measure.String(), "error", err)
		}
		for _, h := range made {
			if was := run[h.Start.Sub(first)/period]; shaped(was) {
				r.noteAround(k, was) // what a file told of it counts no more in its gaps
			}
		}
		r.amend(b, reg, made, news)
	}
}

// boundary gives how well a register is known at the end of its newest
// half-hour, where that is still the start of the one in progress.
func (b *bus) boundary(reg *register, end time.Time) energy.Quality {
	b.mu.Lock()
	defer b.mu.Unlock()
	if acc, ok := reg.counter.(*energy.Accumulator); ok {
		if at, q, known := acc.Boundary(); known && at.Equal(end) {
			return q
		}
	}
	return energy.Missing
}

// mostRederived bounds the stretch that is looked at for one late reading.
const mostRederived = 31 * 24 * time.Hour

// amend takes half-hours that replace earlier versions into the round. What stands
// there was made without the late readings, and its evidence counts even where the
// value is the same.
func (r *recorder) amend(b *bus, reg *register, made []energy.HalfHour, news touched) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range made {
		b.found(reg, reg.check.HalfHour(&h, r.past.of(reg.key.Meter), b.words[:0]))
		news.add(reg.key, h.Start, h.Start.Add(r.agent.opt.Config.Period))
		k := keyedHalfHour(reg.key, h)
		k.Void = r.voids(&k)
		r.noteGap(&k)
		r.past.settle(k)
		r.round.HalfHours = append(r.round.HalfHours, k)
	}
	r.round.Findings = append(r.round.Findings, b.findings...)
	b.findings = nil
}

// voids reports whether what a register counted takes the place of what stands,
// which it had not counted rightly. What a file tells is not its count, and stands
// unless the register knows.
func (r *recorder) voids(k *store.KeyedHalfHour) bool {
	stands, _ := r.past.at(k.Key, k.HalfHour.Start)
	return k.Quality > energy.Estimated || !tells(stands)
}

// registerOf finds a register and its bus; nil where the configuration has none.
func (a *Agent) registerOf(k energy.Key) (*bus, *register) {
	for _, b := range a.buses {
		if reg := b.register(k); reg != nil {
			return b, reg
		}
	}
	return nil, nil
}
