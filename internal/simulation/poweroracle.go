package simulation

import (
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// powerOracle judges the half-hours of one direction of a power: by the
// straight lines between the readings that the agent was given and kept, in
// floating point, as energy/power does not.
type powerOracle struct {
	of   *powerMeter
	sign int64 // -1: the export
}

// died marks the readings that the agent had not kept. Of one at the very
// instant of a commit nobody knows whether it came before.
func (p *powerOracle) died(kept, maybe time.Time) {
	for i := len(p.of.readings) - 1; i >= 0 && !p.of.readings[i].given.Before(kept); i-- {
		r := &p.of.readings[i]
		r.doubtful = r.given.Equal(kept) || !r.given.After(maybe)
		r.lost = !r.doubtful
	}
}

// reach is nothing: a power cannot be known afterwards.
func (*powerOracle) reach() time.Duration { return 0 }

// judge holds half-hours that follow one another against the readings.
func (p *powerOracle) judge(o *oracle, w *watched, hh []energy.HalfHour) {
	var run float64 // what must have been counted in the known half-hours in a row so far
	var sum int64
	for i := range hh {
		h := &hh[i]
		slot, v := at(&w.sound, index(h.Start)), o.hash(h)
		fresh := *slot != v
		*slot = v
		if fresh {
			o.count(h)
		}
		wrong := func(law, format string, args ...any) {
			if fresh {
				o.report(law, fmt.Sprintf("%s %s %s: %s", w.key, h.Start.Format("2006-01-02T15:04"), words(h), fmt.Sprintf(format, args...)))
			}
		}
		if h.Quality != energy.Missing && (h.Quality != energy.Estimated || h.Evidence.Rule != energy.RulePower) {
			wrong("quality", "a power was integrated: that is an estimate, by that rule")
		}
		exact, known := p.between(o, h, wrong)
		if !known || h.Quality == energy.Missing {
			run, sum = 0, 0
			continue
		}
		if d := float64(h.Energy) - exact; math.Abs(d) > 1.001 {
			wrong("truth", "the readings make %.3f", exact)
		}
		run, sum = run+exact, sum+h.Energy
		if d := float64(sum) - run; math.Abs(d) > 1.01 {
			wrong("truth", "up to its end in a row %d was counted, and the readings make %.3f", sum, run)
		}
		if i > 0 && hh[i-1].Quality != energy.Missing && h.Cumulative-hh[i-1].Cumulative != h.Energy {
			wrong("telescope", "the count went on by %d", h.Cumulative-hh[i-1].Cumulative)
		}
	}
}

// between gives what the readings make of a half-hour, and judges its evidence,
// or why it is missing; false where it cannot be said.
func (p *powerOracle) between(o *oracle, h *energy.HalfHour, wrong func(law, format string, args ...any)) (exact float64, known bool) {
	start, end := h.Start, h.Start.Add(energy.Period)
	all := p.of.readings
	// From the last one at or before its start to the first at or after its end.
	from := sort.Search(len(all), func(i int) bool { return all[i].real.After(start.Add(o.slack)) }) - 1
	for from > 0 && all[from].lost {
		from--
	}
	to := sort.Search(len(all), func(i int) bool { return !all[i].real.Before(end.Add(-o.slack)) })
	for to < len(all)-1 && all[to].lost {
		to++
	}
	var used []watts
	for _, r := range all[max(from, 0):min(to+1, len(all))] {
		if r.doubtful {
			return 0, false
		}
		if !r.lost {
			used = append(used, r)
		}
	}
	whole := len(used) > 1 && !used[0].real.After(start.Add(o.slack)) && !used[len(used)-1].real.Before(end.Add(-o.slack))
	within := 0
	for i, r := range used {
		if !r.at.Before(start) && r.at.Before(end) {
			within++
		}
		if i > 0 {
			whole = whole && r.real.Sub(used[i-1].real) <= p.of.gap+2*o.slack
			exact += p.area(used[i-1], r, start, end)
		}
	}
	if o.slack > 0 {
		// By the wrong clock it may have begun so much earlier, and ended so much later.
		for from >= 0 && (all[from].lost || all[from].real.After(start.Add(-o.slack))) {
			from--
		}
		for to < len(all) && (all[to].lost || all[to].real.Before(end.Add(o.slack))) {
			to++
		}
		p.about(h, all[max(from-1, 0):min(to+2, len(all))], whole, wrong)
		return 0, false
	}
	switch missing := h.Quality == energy.Missing; {
	case missing && whole:
		wrong("complete", "it is missing, and was read all the time")
	case missing:
		return 0, false
	case !whole:
		wrong("invented", "it was not read for more than %s", p.of.gap)
		return 0, false
	}
	if e := h.Evidence; h.Quality != energy.Missing && (e.First != used[0].sample() || e.Last != used[len(used)-1].sample() || e.Samples != within) {
		wrong("evidence", "it was read from %s on, up to %s, %d times in it", used[0].sample(), used[len(used)-1].sample(), within)
	}
	return exact, true
}

// about judges a half-hour of a gateway of which nobody knows to the second
// when its clock had it read the power.
func (p *powerOracle) about(h *energy.HalfHour, around []watts, whole bool, wrong func(law, format string, args ...any)) {
	if h.Quality == energy.Missing {
		return
	}
	if !whole {
		wrong("invented", "it was not read for more than %s", p.of.gap)
		return
	}
	least, most := int64(math.MaxInt64), int64(0)
	for _, r := range around {
		if !r.lost {
			flows := max(p.sign*r.value, 0)
			least, most = min(least, flows), max(most, flows)
		}
	}
	if h.Energy > most/2+1 || h.Energy < least/2-1 {
		wrong("truth", "between %d and %d W flowed", least, most)
	}
}

func (r watts) sample() energy.Sample { return energy.Sample{At: r.at.UTC(), Value: r.value} }

// area is the energy of the part above zero of the line between two readings,
// within a half-hour, Wh.
func (p *powerOracle) area(a, b watts, start, end time.Time) float64 {
	hours := b.at.Sub(a.at).Hours()
	from, to := math.Max(start.Sub(a.at).Hours(), 0), math.Min(end.Sub(a.at).Hours(), hours)
	if to <= from {
		return 0
	}
	u, v := float64(p.sign*a.value), float64(p.sign*b.value)
	at := func(t float64) float64 { return u + (v-u)*t/hours }
	x, y := at(from), at(to)
	switch {
	case x <= 0 && y <= 0:
		return 0
	case x >= 0 && y >= 0:
		return (x + y) / 2 * (to - from)
	case x > 0:
		return x / 2 * (to - from) * x / (x - y)
	default:
		return y / 2 * (to - from) * y / (y - x)
	}
}

// gaps judges that every half-hour is there that was read all the time.
func (p *powerOracle) gaps(o *oracle, w *watched, from, to int) {
	for i := from; i < to; i++ {
		h := energy.HalfHour{Start: boundary(i)}
		if _, known := p.between(o, &h, func(string, string, ...any) {}); known {
			o.report("complete", fmt.Sprintf("%s: nothing at %s, and it was read all the time", w.key, h.Start))
		}
	}
}
