package agent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
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
	// The gap that they fall into reaches as far as the readings around it.
	if h, ok := r.past.at(k, from); ok && h.Evidence.First.At.Before(from) {
		from = h.Evidence.First.At.Truncate(period)
	}
	if h, ok := r.past.at(k, to.Add(-period)); ok && h.Evidence.Last.At.After(to) {
		to = h.Evidence.Last.At.Truncate(period).Add(period)
	}
	if to.Sub(from) > mostRederived {
		return
	}
	for _, run := range r.window(k, from.Add(-period), to.Add(period)) {
		first, end := run[0].Start, run[len(run)-1].Start.Add(period)
		mine := slices.DeleteFunc(slices.Clone(late), func(s energy.Sample) bool { return s.At.Before(first) || s.At.After(end) })
		if len(mine) == 0 {
			continue
		}
		made, err := energy.Rederive(reg.cfg.Energy(), period, run, b.boundary(reg, end), mine)
		if err != nil {
			r.agent.log.Debug("late readings", "meter", k.Meter, "measure", k.Measure.String(), "error", err)
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

// amend takes half-hours that replace earlier versions into the round.
func (r *recorder) amend(b *bus, reg *register, made []energy.HalfHour, news touched) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range made {
		b.found(reg, reg.check.HalfHour(&h, r.past.of(reg.key.Meter), b.words[:0]))
		news.add(reg.key, h.Start, h.Start.Add(r.agent.opt.Config.Period))
		k := keyedHalfHour(reg.key, h)
		k.Void = true // what stands there was made without the late readings; the evidence counts even where the value is the same
		r.past.settle(k)
		r.round.HalfHours = append(r.round.HalfHours, k)
	}
	r.round.Findings = append(r.round.Findings, b.findings...)
	b.findings = nil
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

// errNothingBefore is why a stated exchange cannot be counted through.
var errNothingBefore = errors.New("the meter was not read through the whole half-hour before them, so that nothing can be counted from there")

// bridge fills the missing half-hours around an exchange that was stated after
// the register had begun anew. There are none where the store has no such
// hole; wait is true while what follows it is not known yet.
func (r *recorder) bridge(reg *register, x *config.Exchange, read config.ExchangeRead) (filled []energy.HalfHour, wait bool, err error) {
	period := r.agent.opt.Config.Period
	hole := func(at time.Time) (is, known bool) {
		h, ok := r.past.at(reg.key, at)
		return ok && h.Quality <= energy.Substituted, ok
	}
	// A fitter's watch may be a period off.
	at := x.At.Truncate(period)
	for _, near := range []time.Time{at, at.Add(-period), at.Add(period)} {
		if is, _ := hole(near); is {
			at = near
			break
		}
	}
	if is, known := hole(at); !is {
		return nil, !known && x.At.After(reg.newest), nil
	}
	from, to := at, at
	for is := true; is; {
		from = from.Add(-period)
		var known bool
		if is, known = hole(from); !known {
			return nil, false, errNothingBefore
		}
	}
	for is := true; is; {
		to = to.Add(period)
		var known bool
		if is, known = hole(to); !known {
			return nil, !to.Before(reg.newest), nil
		}
	}
	before, after := reg.hung.around(from, to.Add(period))
	if err := closes(x.OldSerial, before); err != nil {
		return nil, false, err
	}
	if after != before && x.NewSerial != "" && hash8(x.NewSerial) != after {
		return nil, false, fmt.Errorf("the opening reading is of the meter %s, and the one that was read since has another serial number: correct new_serial, or state the exchange after this one too", x.NewSerial)
	}
	runs := r.window(reg.key, from, to.Add(period))
	if len(runs) != 1 {
		return nil, false, nil
	}
	filled, err = energy.Bridge(reg.cfg.Energy(), period, runs[0], energy.MeterExchange{At: x.At, Closing: read.Closing, Opening: read.Opening})
	return filled, false, err
}
