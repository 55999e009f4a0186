package simulation

import (
	"fmt"
	"sort"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// run checks half-hours that follow one another.
func (o *oracle) run(w *watched, hh []energy.HalfHour, now time.Time) {
	for i := range hh {
		h := &hh[i]
		n, v := index(h.Start), o.hash(h)
		slot := at(&w.sound, n)
		if *slot == v {
			o.checkFile(w, h, o.wrong(w, h)) // a file may have spoken since
			continue
		}
		*slot = v
		o.Checked++
		o.By[h.Quality]++
		var before, after *energy.HalfHour
		if i > 0 {
			before = &hh[i-1]
		}
		if i+1 < len(hh) {
			after = &hh[i+1]
		}
		if after == nil || h.Quality == energy.Substituted {
			*slot = 0 // its end is judged once the next one is there; a substitute may have to go
			o.Checked--
			o.By[h.Quality]--
		}
		o.halfHour(w, before, h, after, now)
	}
}

func words(h *energy.HalfHour) string {
	e := h.Evidence
	return fmt.Sprintf("{%d Wh to %d, %s by rule %d, taken %s, first %s %d, last %s %d, %d samples}", h.Energy, h.Cumulative, h.Quality, e.Rule,
		h.TakenAt.Format("02T15:04:05"), e.First.At.Format("01-02T15:04:05.000"), e.First.Value, e.Last.At.Format("01-02T15:04:05.000"), e.Last.Value, e.Samples)
}

// halfHour checks one half-hour between its neighbours (nil where there is none).
func (o *oracle) halfHour(w *watched, before, h, after *energy.HalfHour, now time.Time) {
	wrong := o.wrong(w, h)
	end := h.Start.Add(energy.Period)
	if h.TakenAt.Before(end) || h.TakenAt.After(now.Add(time.Second+o.slack)) {
		wrong("sane", "it was settled at %s", h.TakenAt)
	}
	o.checkFile(w, h, wrong)
	if fromFile(h) {
		return
	}
	if before != nil && fromFile(before) {
		before = nil // it says nothing of the register
	}
	if after != nil && fromFile(after) {
		after = nil
	}
	unread := h.Evidence.First.At.IsZero() // a substitute for what is not known yet: nothing was read since
	if h.Quality <= energy.Substituted && !unread && before != nil && before.Quality > energy.Substituted && !throughExchange(before) {
		w.redo(before, h, wrong)
	}
	if h.Quality == energy.Missing {
		o.Missing++
		if index(h.Start) >= w.born && !w.unknown(h.Start.Add(-energy.Period), end.Add(energy.Period)) {
			wrong("complete", "it is missing, and can be known")
		}
		if h.Cumulative != -1 {
			wrong("sane", "a missing half-hour names a register")
		}
		return
	}
	if h.Quality == energy.Substituted {
		o.substituted(w, h, wrong)
		return
	}
	if h.Energy < 0 || w.rating > 0 && h.Energy > w.rating {
		wrong("sane", "the meter cannot have delivered that: rated %d an hour", w.rating)
	}
	// What all meters at this place have counted, by the register at both ends.
	m, truth := o.metered(w, end, h.Cumulative)
	if before != nil && before.Quality > energy.Substituted && !w.shapedByFile(h) && !w.shapedByFile(before) {
		if from, _ := o.metered(w, h.Start, before.Cumulative); m-from != h.Energy {
			wrong("telescope", "the register went on by %d", m-from)
		}
	}
	exchanged := throughExchange(h)
	for i := range w.resets {
		r := &w.resets[i]
		if !r.must {
			continue
		}
		from, to := r.known, r.to
		if exchanged {
			from, to = w.dark(r)
		}
		if from.Add(o.slack).Before(end) && to.Add(-o.slack).After(h.Start) && from.Before(to) {
			wrong("invented", "nothing is known from %s to %s", from, to)
		}
	}
	if exchanged {
		o.Exchanged++
		if h.Quality > energy.Interpolated {
			wrong("quality", "a meter exchange falls into it")
		}
		return // the sum over it is fixed by the half-hours around it
	}
	// The samples around the boundaries.
	e := h.Evidence
	if e.First.At.After(h.Start) || e.Last.At.Before(end) {
		wrong("evidence", "it does not enclose the half-hour")
	}
	a, okA := o.sample(w, e.First, end)
	b, okB := o.sample(w, e.Last, h.Start)
	if !okA || !okB {
		if len(w.log) > 0 && e.First.At.Before(w.log[0].at) {
			return // too long ago to be remembered
		}
		wrong("evidence", "the register never showed that: first %v, last %v", okA, okB)
		return
	}
	if h.Evidence.Rule == energy.RuleProfileScaled && w.filedIn(e.First.At, e.Last.At) {
		return // files say where in the gap it flowed, and may contradict a reading by its step: see checkGaps
	}
	if m < a || m > b {
		wrong("truth", "at its end %d was counted here, true is %d, between samples of %d and %d", m, truth, a, b)
	} else if from := m - h.Energy; from < a || from > b {
		wrong("truth", "at its start %d was counted here, between samples of %d and %d", from, a, b)
	}
	o.quality(w, before, h, after, wrong)
	w.redo(before, h, wrong)
}

// throughExchange reports whether a half-hour was counted through a meter
// exchange, or is what files leave of what was.
func throughExchange(h *energy.HalfHour) bool {
	return h.Evidence.Rule == energy.RuleExchange || h.Evidence.Rule == energy.RuleProfileScaled && h.Cumulative < 0
}

// dark is what stays of a stretch of which nothing is known when the operator
// has stated some of the exchanges in it: up to the first of them that was not
// stated the old meters can be counted through, and from the last on the new.
func (c *channel) dark(r *reset) (from, to time.Time) {
	from, to = r.known, r.to
	first, last := r.was, r.fit-1 // exchange i lies between meters i and i+1
	for ; first <= last && c.fits[first].known; first++ {
		from = c.fits[first].swap
	}
	for ; last >= first && c.fits[last].known; last-- {
		to = c.fits[last].swap
	}
	if first > last {
		return to, to
	}
	return from, to
}

// substituted judges a half-hour that was put in place of a missing one: it
// must be asked for, and nothing better may have been known.
func (o *oracle) substituted(w *watched, h *energy.HalfHour, wrong func(law, format string, args ...any)) {
	o.Substituted++
	switch {
	case !w.fills:
		wrong("invented", "nobody asked for a substitute")
	case h.Evidence.Rule != energy.RuleLinear && h.Evidence.Rule != energy.RuleProfile:
		wrong("invented", "that is no rule for a substitute")
	case h.Cumulative != -1:
		wrong("sane", "a substitute names a register")
	case h.Energy < 0 || h.Energy > w.rating:
		wrong("sane", "the meter cannot have delivered that: rated %d an hour", w.rating)
	case !o.excused && index(h.Start) >= w.born && !w.unknown(h.Start.Add(-energy.Period), h.Start.Add(2*energy.Period)) && w.calmSince(o.now):
		wrong("complete", "it is substituted, and can be known")
	}
}

// metered is what was counted at a place when its register shows v at a
// boundary, and what it should be.
func (o *oracle) metered(w *watched, at time.Time, v int64) (m, truth int64) {
	fit, counted := w.truth(at)
	shown := w.unwrap(v, counted)
	if fit > 0 && at.Equal(w.fits[fit-1].swap) {
		// Exchanged on the boundary itself: it is named by either meter's reading.
		closes := w.fits[fit-1].closes
		if old := w.unwrap(v, closes); max(old-closes, closes-old) < max(shown-counted, counted-shown) {
			return w.metered(fit-1, old), w.metered(fit-1, closes)
		}
	}
	return w.metered(fit, shown), w.metered(fit, counted)
}

// sample gives what was counted at a place when it gave a sample that is
// evidence, and whether it did give it. With a clock that can be wrong by some
// slack, it is enough that the register showed that value around that time.
// Near is an instant of the half-hour that it is evidence for.
func (o *oracle) sample(w *watched, s energy.Sample, near time.Time) (m int64, ok bool) {
	if d := w.delivered(s); d != nil {
		return w.metered(d.fit, d.counted), d.good
	}
	if o.slack == 0 {
		return 0, false
	}
	if d := w.redated(s, o.slack); d != nil {
		return w.metered(d.fit, d.counted), true
	}
	for fit := range w.fits {
		f := &w.fits[fit]
		from, to := s.At.Add(-o.slack), s.At.Add(o.slack)
		if from.Before(f.fitted) {
			from = f.fitted
		}
		if !f.removed.IsZero() && to.After(f.removed) {
			to = f.removed
		}
		if to.Before(from) {
			continue
		}
		lo, hi := w.counted(fit, w.load.total(from)), w.counted(fit, w.load.total(to))
		if u := w.unwrap(s.Value, hi); u >= lo && u <= hi {
			return w.metered(fit, u), true
		}
	}
	return 0, false
}

// unwrap gives the counted value nearest to near that a register shows as v.
func (r *register) unwrap(v, near int64) int64 {
	if r.modulus == 0 {
		return v
	}
	u := near/r.modulus*r.modulus + v
	if u-near > r.modulus/2 {
		u -= r.modulus
	} else if near-u > r.modulus/2 {
		u += r.modulus
	}
	return u
}

// delivered finds a sample among those that the agent was given; a good one if
// there are several at that instant.
func (c *channel) delivered(s energy.Sample) *delivery {
	i := sort.Search(len(c.log), func(i int) bool { return !c.log[i].at.Before(s.At) })
	var found *delivery
	if d, ok := c.lates[s.At.UnixMilli()]; ok && d.value == s.Value {
		return &d
	}
	for ; i < len(c.log) && c.log[i].at.Equal(s.At); i++ {
		if d := &c.log[i]; d.value == s.Value && (found == nil || d.good) {
			found = d
		}
	}
	return found
}

// redated finds a good sample of that value that was given around that time:
// one that was dated by a wrong clock at first. It need not be what the register
// stood at just then: one that is frozen shows what it had hours before.
func (c *channel) redated(s energy.Sample, slack time.Duration) *delivery {
	i := sort.Search(len(c.log), func(i int) bool { return !c.log[i].real.Before(s.At.Add(-slack)) })
	for ; i < len(c.log) && !c.log[i].real.After(s.At.Add(slack)); i++ {
		if d := &c.log[i]; d.good && d.value == s.Value {
			return d
		}
	}
	return nil
}
