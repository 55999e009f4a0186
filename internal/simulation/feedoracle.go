package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// feedOracle holds what stands of a feed against what the feed has said.
type feedOracle struct {
	of     *feed
	meter  *fed
	when   time.Time // of the check at hand
	stored int       // and up to which hour the feed was read and stored then
}

func (*feedOracle) died(kept, maybe time.Time) {}

func (*feedOracle) reach() time.Duration { return 45 * 24 * time.Hour }

// best is what must stand of letters: the last of the actual ones, else the
// last estimate; false where there are none.
func best(letters []letter) (l letter, ok bool) {
	for _, x := range letters {
		if !ok || !x.estimated || l.estimated {
			l, ok = x, true
		}
	}
	return l, ok
}

// versions are what may stand of a half-hour: what the feed had said by the
// mark that is stored, or any of what was offered since.
func (f *feedOracle) versions(o *oracle, at int) (must letter, known bool, may []letter) {
	if f.when != o.now {
		f.when, f.stored = o.now, f.of.mark(func(name string) ([]byte, error) { return o.store.Meta("driver/" + name) })
	}
	f.of.mu.Lock()
	offered := f.of.offered
	f.of.mu.Unlock()
	all := f.meter.said[at]
	n, _ := slices.BinarySearchFunc(all, f.stored, func(l letter, hour int) int { return l.hour - hour })
	must, known = best(all[:n])
	for _, l := range all[n:] {
		if l.hour < offered {
			may = append(may, l)
		}
	}
	return must, known, may
}

// stands reports whether what the feed said last can stand beside what files
// said: an actual value gives way to a later one, an estimate to any.
func (f *feedOracle) stands(o *oracle, l letter, lines []filed) bool {
	_, to := f.of.when(l.hour, o.now)
	return !slices.ContainsFunc(lines, func(x filed) bool {
		return x.sure && (x.value != l.value || x.estimated != l.estimated) && (!x.estimated || l.estimated) && (l.estimated && !x.estimated || x.when.After(to))
	})
}

// standsOf reports the same of what a file said, beside other files and the feed.
func (f *feedOracle) standsOf(o *oracle, l filed, lines []filed, must letter, known bool) bool {
	if from, _ := f.of.when(must.hour, o.now); known && (!must.estimated || l.estimated) && (l.estimated && !must.estimated || from.After(l.when)) {
		return false
	}
	return !slices.ContainsFunc(lines, func(x filed) bool {
		return x.sure && (!x.estimated || l.estimated) && (l.estimated && !x.estimated || x.when.After(l.when))
	})
}

func (l letter) is(h *energy.HalfHour) bool {
	q := energy.Measured
	if l.estimated {
		q = energy.Estimated
	}
	return h.Energy == l.value && h.Quality == q
}

// judge holds each half-hour against the letters.
func (f *feedOracle) judge(o *oracle, w *watched, hh []energy.HalfHour) {
	for i := range hh {
		h := &hh[i]
		slot, v := at(&w.sound, index(h.Start)), o.hash(h)
		fresh := *slot != v
		if *slot = v; fresh {
			o.count(h)
		}
		wrong := func(format string, args ...any) {
			o.report("feed", fmt.Sprintf("%s %s %s: %s", w.key, h.Start.Format("2006-01-02T15:04"), words(h), fmt.Sprintf(format, args...)))
		}
		must, known, may := f.versions(o, index(h.Start))
		lines := w.filed[index(h.Start)]
		switch {
		case known && must.is(h) && f.stands(o, must, lines) || slices.ContainsFunc(may, func(l letter) bool { return l.is(h) }):
		case slices.ContainsFunc(lines, func(l filed) bool { return l.is(h) && f.standsOf(o, l, lines, must, known) }):
		default:
			wrong("the feed said %d last (%v), estimated %v, and files %+v", must.value, known, must.estimated, lines)
		}
		if fromFile(h) {
			if !slices.ContainsFunc(lines, func(l filed) bool { return l.is(h) }) {
				wrong("no file said that")
			}
			continue
		}
		if h.Evidence.Rule != energy.RuleInterval || h.Cumulative != -1 || !h.Evidence.First.At.Equal(h.Start) || !h.Evidence.Last.At.Equal(h.Start.Add(energy.Period)) {
			wrong("its evidence is the feed's word for that very half-hour")
		}
		if fresh {
			f.history(o, w, h, wrong)
		}
	}
}

// history judges that each value that stood is among the versions that were
// replaced, or stands, and that none was invented.
func (f *feedOracle) history(o *oracle, w *watched, h *energy.HalfHour, wrong func(string, ...any)) {
	old, err := o.store.Corrections(w.key, h.Start, h.Start.Add(energy.Period))
	if err != nil {
		wrong("its history: %v", err)
	}
	said := f.meter.said[index(h.Start)]
	for i := range old {
		if was := &old[i].Old; fromFile(was) && !slices.ContainsFunc(w.filed[index(h.Start)], func(l filed) bool { return l.is(was) }) ||
			!fromFile(was) && !slices.ContainsFunc(said, func(l letter) bool { return l.is(was) }) {
			wrong("an earlier version is %s, which nobody said", words(was))
		}
		next := h
		if i+1 < len(old) {
			next = &old[i+1].Old
		}
		if next.Energy == old[i].Old.Energy && next.Quality == old[i].Old.Quality && next.Flags == old[i].Old.Flags && next.Evidence.Rule == old[i].Old.Evidence.Rule {
			wrong("the same version twice in a row: %s", words(&old[i].Old))
		}
	}
}

// gaps judges that what was said is there.
func (f *feedOracle) gaps(o *oracle, w *watched, from, to int) {
	for i := from; i < to; i++ {
		must, known, _ := f.versions(o, i)
		if known || slices.ContainsFunc(w.filed[i], func(l filed) bool { return l.sure }) {
			o.report("feed", fmt.Sprintf("%s: nothing at %s, and the feed said %d, files %+v", w.key, boundary(i), must.value, w.filed[i]))
		}
	}
}
