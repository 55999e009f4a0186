package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// fromFile reports whether a half-hour is what a file said.
func fromFile(h *energy.HalfHour) bool {
	return h.Evidence.Rule == energy.RuleImported || h.Evidence.Rule == energy.RuleImportedEst
}

// isOwn reports whether a half-hour was worked out of a register's readings.
func isOwn(h *energy.HalfHour) bool { return h.Quality > energy.Substituted && !fromFile(h) }

// offered notes which half-hours the register itself told well, as a round was
// committed for sure: a withdrawal takes that back.
func (w *watched) offered(h *store.KeyedHalfHour, sure bool) {
	n := index(h.HalfHour.Start)
	if own := isOwn(&h.HalfHour) && h.Quality >= energy.Interpolated; own && sure || h.Void {
		if w.told == nil {
			w.told = map[int]bool{}
		}
		w.told[n] = own && sure
	}
}

// wrong reports what is wrong with a half-hour.
func (o *oracle) wrong(w *watched, h *energy.HalfHour) func(law, format string, args ...any) {
	return func(law, format string, args ...any) {
		o.report(law, fmt.Sprintf("%s %s %s: %s", w.key, h.Start.Format("2006-01-02T15:04"), words(h), fmt.Sprintf(format, args...)))
	}
}

// filedIn reports whether files spoke of a stretch.
func (w *watched) filedIn(from, to time.Time) bool {
	for i := index(from); i <= index(to); i++ {
		if len(w.filed[i]) > 0 {
			return true
		}
	}
	return false
}

// shapedByFile reports whether a half-hour at a meter exchange has the share
// that files beside it leave, and names no register: it is not known then.
func (w *watched) shapedByFile(h *energy.HalfHour) bool {
	return throughExchange(h) && h.Cumulative < 0 && (h.Evidence.Rule == energy.RuleProfileScaled || w.filedIn(h.Evidence.First.At, h.Evidence.Last.At))
}

// checkFile holds what stands of a half-hour of which files have spoken against
// what they said: the last actual value fills what is estimated or worse, the
// last estimate what is missing or substituted, and neither takes the place of
// a reading.
func (o *oracle) checkFile(w *watched, h *energy.HalfHour, wrong func(law, format string, args ...any)) {
	of := w.filed[index(h.Start)]
	is := func(l filed) bool { return fromFile(h) && l.is(h) }
	if fromFile(h) {
		switch {
		case !slices.ContainsFunc(of, is):
			wrong("file", "no file said that")
		case w.told[index(h.Start)]:
			wrong("file", "the register was read around it, and better")
		}
	}
	var must filed
	known := false
	for _, l := range of {
		switch {
		case !l.sure: // the import broke off: it may have been taken
			return
		case !known || !l.estimated || must.estimated:
			must, known = l, true
		}
	}
	switch {
	case !known || is(must) || isOwn(h) && (h.Quality >= energy.Interpolated || must.estimated):
	default:
		wrong("file", "a file said %d, estimated %v", must.value, must.estimated)
	}
}

// checkGaps holds the half-hours of gaps that files have filled in part against
// the register on both sides: they sum to its advance.
func (o *oracle) checkGaps(s *store.Store, w *watched, now time.Time, all bool) {
	if len(w.filed) == 0 || w.own != nil || !all && now.YearDay()%5 != 0 {
		return
	}
	from := epoch
	if !all {
		from = now.AddDate(0, 0, -80)
	}
	var before *energy.HalfHour
	var gap []energy.HalfHour
	for h, err := range s.HalfHours(w.key, from, now.Add(-settledFor)) {
		if err != nil {
			return
		}
		last := before
		if len(gap) > 0 {
			last = &gap[len(gap)-1]
		}
		if last != nil && !h.Start.Equal(last.Start.Add(energy.Period)) {
			before, gap = nil, nil
		}
		spread := h.Evidence.Rule == energy.RuleSpread || h.Evidence.Rule == energy.RuleProfileScaled || throughExchange(&h)
		switch {
		case fromFile(&h) && h.Quality > energy.Estimated || spread && isOwn(&h):
			gap = append(gap, h)
		case !isOwn(&h) || h.Cumulative < 0:
			before, gap = nil, nil
		default:
			if before != nil && len(gap) > 0 {
				o.sums(w, before, gap, &h)
			}
			before, gap = &h, nil
		}
	}
}

// sums judges one gap between two half-hours of the register's own.
func (o *oracle) sums(w *watched, before *energy.HalfHour, gap []energy.HalfHour, after *energy.HalfHour) {
	var sum, told int64
	rest, bridged, right := 0, false, true
	var around [2]energy.Sample
	for i := range gap {
		h := &gap[i]
		sum += h.Energy
		switch lines := w.filed[index(h.Start)]; {
		case slices.ContainsFunc(lines, func(l filed) bool { return !l.sure }):
			return // the import broke off
		case fromFile(h):
			told += h.Energy
			was, from := w.truth(h.Start)
			is, to := w.truth(h.Start.Add(energy.Period))
			right = right && (h.Energy == w.load.total(h.Start.Add(energy.Period))-w.load.total(h.Start) || h.Energy == w.metered(is, to)-w.metered(was, from))
		case throughExchange(h):
			if bridged = true; h.Quality == energy.Estimated { // else the readings around it tell it well
				rest++
			}
		case rest > 0 && around != [2]energy.Sample{h.Evidence.First, h.Evidence.Last}:
			return // more than one gap: where two share a half-hour neither is spread anew
		default:
			rest++
			around = [2]energy.Sample{h.Evidence.First, h.Evidence.Last}
		}
	}
	start, end := gap[0].Start, after.Start
	if bridged && !ofOneExchange(gap) {
		return
	}
	if told == 0 || rest == 0 || !w.countable(start.Add(-energy.Period), end.Add(energy.Period), bridged) {
		return
	}
	from, _ := o.metered(w, start, before.Cumulative)
	to, _ := o.metered(w, end.Add(energy.Period), after.Cumulative)
	advance := to - after.Energy - from
	// Where the file says more than the register counted both stand as they are,
	// and where no meter could have delivered the rest.
	edges := w.rating
	if right {
		edges = 4 * w.step
	}
	if told > advance-edges || advance-told > int64(rest)*w.rating/2 {
		return
	}
	o.Gaps++
	if sum != advance {
		o.report("file", fmt.Sprintf("%s from %s to %s: the half-hours sum to %d, of which files told %d, and the register advanced by %d", w.key, start, end, sum, told, advance))
	}
}

// ofOneExchange reports whether all of a gap lies between the readings around the
// exchange in it. What lies beyond is of another gap, which shares a half-hour with
// that of the exchange: there what a file tells is not taken off that half-hour.
func ofOneExchange(gap []energy.HalfHour) bool {
	var from, to time.Time
	for i := range gap {
		if e := gap[i].Evidence; throughExchange(&gap[i]) {
			if from.IsZero() || e.First.At.Before(from) {
				from = e.First.At
			}
			if e.Last.At.After(to) {
				to = e.Last.At
			}
		}
	}
	return !slices.ContainsFunc(gap, func(h energy.HalfHour) bool {
		return !h.Start.Before(to) || !h.Start.Add(energy.Period).After(from)
	})
}

// countable reports whether the register tells what flowed over a stretch: it
// broke nowhere in it, or only by exchanges that are all stated and were counted
// through.
func (c *channel) countable(from, to time.Time, bridged bool) bool {
	for i := range c.fits {
		if f := &c.fits[i]; !f.removed.IsZero() && f.removed.Before(to) && c.fits[i+1].fitted.After(from) && !(bridged && f.known) {
			return false // another meter hangs there since
		}
	}
	return !slices.ContainsFunc(c.resets, func(r reset) bool {
		return r.from.Before(to) && r.until.After(from) && (!bridged || r.hole || r.was == r.fit)
	})
}
