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
		switch {
		case known && must.is(h) || slices.ContainsFunc(may, func(l letter) bool { return l.is(h) }):
		case known:
			wrong("the feed said %d last, estimated %v", must.value, must.estimated)
		default:
			wrong("the feed has not said it")
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
		if !slices.ContainsFunc(said, func(l letter) bool { return l.is(&old[i].Old) }) {
			wrong("an earlier version is %s, which the feed never said", words(&old[i].Old))
		}
		next := h
		if i+1 < len(old) {
			next = &old[i+1].Old
		}
		if next.Energy == old[i].Old.Energy && next.Quality == old[i].Old.Quality && next.Flags == old[i].Old.Flags {
			wrong("the same version twice in a row: %s", words(&old[i].Old))
		}
	}
}

// gaps judges that what was said is there.
func (f *feedOracle) gaps(o *oracle, w *watched, from, to int) {
	for i := from; i < to; i++ {
		if must, known, _ := f.versions(o, i); known {
			o.report("feed", fmt.Sprintf("%s: nothing at %s, and the feed said %d", w.key, boundary(i), must.value))
		}
	}
}
