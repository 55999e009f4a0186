package simulation

import (
	"fmt"
	"hash/maphash"
	"sort"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// Violation is a law that does not hold.
type Violation struct {
	Law  string
	When time.Time // simulated
	What string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s [%s] %s", v.When.UTC().Format("2006-01-02T15:04:05"), v.Law, v.What)
}

// oracle holds the store against the truth. The laws, by the name under which
// a violation is reported:
//
//	telescope    a half-hour's energy is the register at its end less that at its start (law 1)
//	truth        the register at each boundary lies between the true ones at the good samples around it
//	evidence     the samples that a half-hour names were given, and were not wrong ones
//	quality      a half-hour is no better than its samples allow, and no worse
//	sane         no half-hour is negative or beyond the rating; it was settled after its end
//	invented     nothing is said of a time over which nothing can be known (law 2)
//	complete     every half-hour that can be known is there
//	kept         what was committed stays (law 3)
//	virtual      sums, differences and shares are those of their inputs, to the Wh
//	relay        the relay has what was acknowledged, as it is here (law 3)
type oracle struct {
	close       time.Duration
	report      func(law, what string)
	channels    map[energy.Key]*watched
	order       []*watched
	seed        maphash.Seed
	Checked     int // half-hours
	Missing     int
	Exchanged   int // half-hours by an operator's statement
	Substituted int
	slack       time.Duration // by how much the clock that dates samples may be wrong
	excused     bool          // nothing new need be in the store
	now         time.Time
	By          [5]int // half-hours by quality
}

// watched is what the oracle knows of one channel.
type watched struct {
	*channel
	kept  []uint64         // hash of the version last committed, by half-hour since epoch; 0: none
	other map[int][]uint64 // hashes of other versions that may stand there
	sound []uint64         // hash of the version that was checked
	seen  []uint64         // 1 where one was found in the store
	upto  int              // all half-hours before it are there
	sent  int              // all half-hours before it were at the relay at some time
	begun bool
	made  *config.Virtual // what it is made of, where it is a virtual meter
}

func newOracle(channels []*channel, report func(law, what string)) *oracle {
	o := &oracle{close: energy.DefaultClose(energy.Period), report: report, channels: map[energy.Key]*watched{}, seed: maphash.MakeSeed()}
	for _, c := range channels {
		w := &watched{channel: c, other: map[int][]uint64{}}
		o.channels[c.key] = w
		o.order = append(o.order, w)
	}
	return o
}

func index(start time.Time) int { return int(start.Sub(epoch) / energy.Period) }

func boundary(i int) time.Time { return epoch.Add(time.Duration(i) * energy.Period) }

// settledFor is how long a half-hour may still be corrected because a sample
// that seemed good turned out to be a glitch.
const settledFor = 2 * time.Hour

// hash is never 0.
func (o *oracle) hash(h *energy.HalfHour) uint64 {
	if h.Quality == energy.Missing {
		return 1 // the store says itself why: see energy.RuleWithdrawn
	}
	return maphash.Comparable(o.seed, struct {
		energy, cumulative int64
		q                  energy.Quality
		r                  energy.Rule
	}{h.Energy, h.Cumulative, h.Quality, h.Evidence.Rule}) | 1
}

func at(list *[]uint64, i int) *uint64 {
	for len(*list) <= i {
		*list = append(*list, make([]uint64, i+1024-len(*list))...)
	}
	return &(*list)[i]
}

// committed notes a round that the store took, or (not sure) may have taken.
func (o *oracle) committed(r store.Round, sure bool) {
	for i := range r.HalfHours {
		h := &r.HalfHours[i].HalfHour
		w, n := o.channels[r.HalfHours[i].Key], index(h.Start)
		if w == nil || n < 0 {
			o.report("invented", fmt.Sprintf("%s %s is committed: there is no such register then", r.HalfHours[i].Key, h.Start))
			continue
		}
		slot, v := at(&w.kept, n), o.hash(h)
		if *slot == v {
			continue
		}
		if *slot != 0 || !sure {
			w.other[n] = append(w.other[n], v)
			if *slot == 0 {
				continue
			}
		}
		if sure {
			if *slot != 0 {
				w.other[n] = append(w.other[n], *slot)
			}
			*slot = v
		}
	}
	for i := range r.Samples {
		if w := o.channels[r.Samples[i].Key]; w != nil && sure {
			w.begun = true
		}
	}
}

// died marks what an agent was given and had not kept: the next one goes on
// from what was kept for sure, or from what may have been.
func (o *oracle) died(kept, maybe map[energy.Key]time.Time) {
	back := func(w *watched, i int, to time.Time) int {
		for ; i >= 0 && (w.log[i].real.After(to.Add(o.slack)) || !w.log[i].good); i-- {
			w.log[i].lost = true
		}
		return i
	}
	for _, w := range o.order {
		to := kept[w.key]
		if maybe[w.key].After(to) {
			to = maybe[w.key]
		}
		w.good = back(w, len(w.log)-1, to)
		w.sure = back(w, w.good, kept[w.key])
	}
}

// lost forgets what was stored: the disk is gone. What the agent does not know
// any more is the register's state, so that it begins anew.
func (o *oracle) lost() {
	for _, w := range o.order {
		clear(w.kept)
		clear(w.seen)
		clear(w.sound)
		clear(w.other)
		w.upto, w.begun, w.anew = index(time.Now()), false, true
	}
}

// check looks at all half-hours that were stored since the last time.
// While the disk is full or the clock not trusted nothing new need be there.
func (o *oracle) check(s *store.Store, now time.Time, all, excused bool) {
	o.excused, o.now = excused, now
	for _, w := range o.order {
		from := max(w.upto-4, 0)
		if all {
			from = 0
		}
		o.checkChannel(s, w, from, now, excused)
	}
	o.checkVirtual(s, now, all)
}

func (o *oracle) checkChannel(s *store.Store, w *watched, from int, now time.Time, excused bool) {
	var before energy.HalfHour
	have := false
	next := w.upto // the first one that was not seen
	var fresh []energy.HalfHour
	flush := func() {
		if len(fresh) > 0 && w.made == nil {
			o.run(w, fresh, now)
		}
		fresh = fresh[:0]
	}
	for h, err := range s.HalfHours(w.key, boundary(from), now.AddDate(1, 0, 0)) {
		if err != nil {
			o.report("kept", fmt.Sprintf("%s: %v", w.key, err))
			return
		}
		n := index(h.Start)
		o.isKept(w, n, &h)
		*at(&w.seen, n) = 1
		if have && n != index(before.Start)+1 {
			flush()
			o.hole(w, index(before.Start)+1, n)
		}
		before, have = h, true
		if h.TakenAt.After(now.Add(-settledFor)) {
			flush() // it may be taken back yet
		} else {
			fresh = append(fresh, h)
		}
		next = max(next, n+1)
	}
	flush()
	for i := w.upto; i < len(w.kept); i++ {
		if w.kept[i] != 0 && *at(&w.seen, i) == 0 {
			o.report("kept", fmt.Sprintf("%s %s was committed and is not there", w.key, boundary(i)))
		}
	}
	w.upto = next
	if !w.begun {
		return
	}
	if due := index(now.Add(-w.patience())); !excused && w.calmSince(now) && next < due {
		o.report("complete", fmt.Sprintf("%s: the newest half-hour is %s, and the register was read all the time since", w.key, boundary(next-1)))
	}
}

// patience is how long a half-hour may take to be settled.
func (c *channel) patience() time.Duration { return 2*time.Hour + 10*time.Minute }

// calmSince reports whether the register was read without a fault for so long
// that nothing can be held any more.
func (c *channel) calmSince(now time.Time) bool {
	if now.Sub(c.upset) < c.patience() || c.good < 0 {
		return false
	}
	first := c.good
	last := now
	for ; first >= 0; first-- {
		d := &c.log[first]
		if d.lost || last.Sub(d.real) > 32*time.Minute {
			return false
		}
		if d.good {
			last = d.real
		}
		if now.Sub(d.real) > c.patience() {
			return d.fit == c.log[c.good].fit
		}
	}
	return false
}

// isKept checks that what is stored is what was committed.
func (o *oracle) isKept(w *watched, n int, h *energy.HalfHour) {
	v := o.hash(h)
	if n >= 0 && n < len(w.kept) && w.kept[n] == v {
		return
	}
	for _, u := range w.other[n] {
		if u == v {
			return
		}
	}
	o.report("kept", fmt.Sprintf("%s %s: %s was never committed", w.key, h.Start, words(h)))
}

// hole judges half-hours that are not there at all.
func (o *oracle) hole(w *watched, from, to int) {
	if w.made != nil || o.excused || !w.calmSince(o.now) || w.forgotten(boundary(from), boundary(to)) {
		return
	}
	o.report("complete", fmt.Sprintf("%s: nothing from %s to %s", w.key, boundary(from), boundary(to)))
}

// unknown reports whether the energy over a whole stretch, or part of it, cannot be known.
func (c *channel) unknown(from, to time.Time) bool {
	for i := len(c.resets) - 1; i >= 0; i-- {
		if r := c.resets[i]; r.from.Before(to) && r.to.After(from) {
			return true
		}
	}
	return false
}

// forgotten reports whether the agent lost what it knew about a stretch.
func (c *channel) forgotten(from, to time.Time) bool {
	for _, r := range c.resets {
		if r.hole && r.from.Add(-energy.Period).Before(to) && r.to.Add(energy.Period).After(from) {
			return true
		}
	}
	return false
}

// run checks half-hours that follow one another.
func (o *oracle) run(w *watched, hh []energy.HalfHour, now time.Time) {
	for i := range hh {
		h := &hh[i]
		n, v := index(h.Start), o.hash(h)
		slot := at(&w.sound, n)
		if *slot == v {
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
	wrong := func(law, format string, args ...any) {
		o.report(law, fmt.Sprintf("%s %s %s: %s", w.key, h.Start.Format("2006-01-02T15:04"), words(h), fmt.Sprintf(format, args...)))
	}
	end := h.Start.Add(energy.Period)
	if h.TakenAt.Before(end) || h.TakenAt.After(now.Add(time.Second+o.slack)) {
		wrong("sane", "it was settled at %s", h.TakenAt)
	}
	if h.Quality == energy.Missing {
		o.Missing++
		if !w.unknown(h.Start.Add(-energy.Period), end.Add(energy.Period)) {
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
	if before != nil && before.Quality > energy.Substituted {
		if from, _ := o.metered(w, h.Start, before.Cumulative); m-from != h.Energy {
			wrong("telescope", "the register went on by %d", m-from)
		}
	}
	exchanged := h.Evidence.Rule == energy.RuleExchange
	for _, r := range w.resets {
		if r.must && r.known.Add(o.slack).Before(end) && r.to.Add(-o.slack).After(h.Start) && !(exchanged && w.fits[r.fit-1].known) {
			wrong("invented", "nothing is known from %s to %s", r.from, r.to)
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
	if m < a || m > b {
		wrong("truth", "at its end %d was counted here, true is %d, between samples of %d and %d", m, truth, a, b)
	} else if from := m - h.Energy; from < a || from > b {
		wrong("truth", "at its start %d was counted here, between samples of %d and %d", from, a, b)
	}
	o.quality(w, before, h, after, wrong)
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
	case !o.excused && !w.unknown(h.Start.Add(-energy.Period), h.Start.Add(2*energy.Period)) && w.calmSince(o.now):
		wrong("complete", "it is substituted, and can be known")
	}
}

// metered is what was counted at a place when its register shows v at a
// boundary, and what it should be.
func (o *oracle) metered(w *watched, at time.Time, v int64) (m, truth int64) {
	fit, counted := w.truth(at)
	return w.metered(fit, w.unwrap(v, counted)), w.metered(fit, counted)
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
	for fit := range w.fits {
		f := &w.fits[fit]
		from, to := s.At.Add(-o.slack-time.Hour), s.At.Add(o.slack) // a frozen register shows what it did before
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

func (c *channel) isLate(s energy.Sample) bool {
	_, late := c.lates[s.At.UnixMilli()]
	return late
}

// quality judges what a half-hour claims to be.
func (o *oracle) quality(w *watched, before, h, after *energy.HalfHour, wrong func(law, format string, args ...any)) {
	end := h.Start.Add(energy.Period)
	// The samples around the end are this one's last and the next one's first;
	// around the start this one's first and the one before's last.
	lead, tail := h.Evidence.Last.At, h.Evidence.First.At
	best := energy.Measured
	if before != nil && before.Quality != energy.Missing {
		tail = before.Evidence.Last.At
		best = min(best, o.best(h.Start.Sub(h.Evidence.First.At), tail.Sub(h.Start)))
	}
	if after != nil && after.Quality != energy.Missing {
		best = min(best, o.best(end.Sub(after.Evidence.First.At), lead.Sub(end)))
	}
	if h.Quality > best {
		wrong("quality", "its samples allow no more than %s", best)
	}
	if w.isLate(h.Evidence.First) || w.isLate(h.Evidence.Last) {
		return // what a late sample improves is judged with care
	}
	if before != nil && after != nil && before.Quality != energy.Missing && after.Quality != energy.Missing && h.Quality < best {
		wrong("quality", "its samples allow %s", best)
	}
}

// best is the best that a boundary can be that lies so far behind one sample
// and before the next.
func (o *oracle) best(before, after time.Duration) energy.Quality {
	switch near := min(before, after); {
	case near <= o.close/4, near <= o.close && before+after <= energy.Period:
		return energy.Measured
	case before+after <= energy.Period:
		return energy.Interpolated
	default:
		return energy.Estimated
	}
}

// checkRelay holds what the relay has against what is stored: a half-hour that
// waits for nothing any more is there, as it is here. At the last check, after
// half a day without trouble, none may wait.
func (o *oracle) checkRelay(s *store.Store, r *relay, now time.Time, last bool) {
	sealed, _, err := s.Oldest()
	if err != nil {
		o.report("relay", err.Error())
		return
	}
	if sealed != 0 {
		if last {
			o.report("relay", fmt.Sprintf("batch %d was never delivered", sealed))
		}
		return
	}
	if !r.known(s) {
		if last {
			o.report("relay", "the gateway does not know the present permissions")
		}
		return // what was withdrawn is deleted there, and the gateway could not be told
	}
	for _, w := range o.order {
		from := max(w.sent-48, 0)
		if last {
			from = 0
		}
		waiting := map[int64]bool{}
		pending, err := s.Pending(w.key, boundary(from), now, 1<<30)
		if err != nil {
			o.report("relay", err.Error())
			continue
		}
		for _, h := range pending {
			waiting[h.Start.Unix()] = true
		}
		if last {
			for _, h := range pending {
				if h.Start.Before(now.Add(-3*time.Hour)) && r.allows(w.key, h.Start) {
					o.report("relay", fmt.Sprintf("%s %s is still not sent", w.key, h.Start))
				}
			}
		}
		held, err := r.holds(w.key, boundary(from), now)
		if err != nil {
			o.report("relay", err.Error())
			continue
		}
		for h, err := range s.HalfHours(w.key, boundary(from), now) {
			if err != nil || waiting[h.Start.Unix()] || !r.allows(w.key, h.Start) {
				continue
			}
			w.sent = max(w.sent, index(h.Start))
			v, ok := held[h.Start.Unix()]
			if h.Quality == energy.Missing {
				if ok && v.Quality != energy.Missing {
					o.report("relay", fmt.Sprintf("%s %s is missing, the relay has %v", w.key, h.Start, v))
				}
				continue
			}
			if !ok || v.Energy != h.Energy || v.Quality != h.Quality || v.Rule != h.Evidence.Rule {
				o.report("relay", fmt.Sprintf("%s %s was acknowledged as %s, the relay has %v %v", w.key, h.Start, words(&h), ok, v))
			}
		}
	}
}
