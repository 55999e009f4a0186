package simulation

import (
	"fmt"
	"hash/maphash"
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
//	feed         what stands of a feed is what it said last: the actual before the estimate
//	file         what stands of a file is what one said last; it fills, and disturbs no reading; the gap sums to the advance
//	check        V07 and V09 stand where the check meter says something else, whenever it came, and V09 nowhere else
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
	store       *store.Store // that is checked
	By          [5]int       // half-hours by quality
	Gaps        int          // with values of files in them, that were held against the register's advance
	Spoken      int          // half-hours against which a check meter had to speak
	Stood       int          // half-hours in which a register stood still while power flowed
}

// watched is what the oracle knows of one channel.
type watched struct {
	*channel
	kept      []uint64         // hash of the version last committed, by half-hour since epoch; 0: none
	other     map[int][]uint64 // hashes of other versions that may stand there
	sound     []uint64         // hash of the version that was checked
	seen      []uint64         // 1 where one was found in the store
	upto      int              // all half-hours before it are there
	sent      int              // all half-hours before it were at the relay at some time
	begun     bool
	made      *config.Virtual // what it is made of, where it is a virtual meter
	checkedBy energy.Key      // its check meter's register, where it has one
	own       judge           // who judges it, where it is no register
	filed     map[int][]filed // what files said of it, by half-hour
	told      map[int]bool    // half-hours that the register itself told, interpolated or better
}

// judge is an oracle of its own for what is no register.
type judge interface {
	died(kept, maybe time.Time)                        // what was given since then was not kept, or may not have been
	judge(o *oracle, w *watched, hh []energy.HalfHour) // half-hours that follow one another
	gaps(o *oracle, w *watched, from, to int)          // these are not there
	reach() time.Duration                              // how far back half-hours come or change
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

// watch has the oracle watch what is no register.
func (o *oracle) watch(k energy.Key, own judge) *watched {
	w := &watched{channel: &channel{register: register{key: k}, good: -1}, other: map[int][]uint64{}, own: own}
	o.channels[k] = w
	o.order = append(o.order, w)
	return w
}

// count takes a half-hour into the result.
func (o *oracle) count(h *energy.HalfHour) {
	o.Checked++
	o.By[h.Quality]++
	if h.Quality == energy.Missing {
		o.Missing++
	}
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
		w.offered(&r.HalfHours[i], sure)
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
		for ; i >= 0 && (w.log[i].given.After(to.Add(o.slack)) || !w.log[i].good); i-- {
			w.log[i].lost = true
		}
		return i
	}
	for _, w := range o.order {
		if w.own != nil {
			w.own.died(kept[w.key], maybe[w.key])
			continue
		}
		to := kept[w.key]
		if maybe[w.key].After(to) {
			to = maybe[w.key]
		}
		w.good = back(w, len(w.log)-1, to)
		w.sure = back(w, w.good, kept[w.key])
		w.broke = true
	}
}

// lost forgets what was stored: the disk is gone. What the agent does not know
// any more is the register's state, so that it begins anew.
func (o *oracle) lost() {
	for _, w := range o.order {
		if w.own != nil {
			w.own.died(time.Time{}, time.Time{})
		}
		clear(w.kept)
		clear(w.seen)
		clear(w.sound)
		clear(w.other)
		clear(w.filed)
		clear(w.told)
		w.upto, w.begun, w.anew = index(time.Now()), false, true
	}
}

// check looks at all half-hours that were stored since the last time.
// While the disk is full or the clock not trusted nothing new need be there.
func (o *oracle) check(s *store.Store, now time.Time, all, excused bool) {
	o.excused, o.now, o.store = excused, now, s
	for _, w := range o.order {
		from := max(w.upto-4, 0)
		switch {
		case all:
			from = 0
		case len(w.filed) > 0 && now.YearDay()%5 == 0:
			from = max(min(from, index(now.Add(-25*24*time.Hour))), 0) // files reach that far back
		}
		if w.own != nil { // what is pruned is not there
			from = max(min(w.upto-4, index(now.Add(-w.own.reach()))), index(now.Add(-390*24*time.Hour)), 0)
		}
		o.checkChannel(s, w, from, now, excused)
		o.checkGaps(s, w, now, all)
		o.checkStanding(w, now)
	}
	o.checkVirtual(s, now, all)
	o.checkChecks(s, now, all)
}

func (o *oracle) checkChannel(s *store.Store, w *watched, from int, now time.Time, excused bool) {
	var before energy.HalfHour
	have := false
	next := w.upto // the first one that was not seen
	var fresh []energy.HalfHour
	expected := from
	flush := func() {
		switch {
		case len(fresh) == 0 || w.made != nil:
		case w.own != nil:
			w.own.judge(o, w, fresh)
		default:
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
		if w.own != nil && n > expected && !excused {
			w.own.gaps(o, w, expected, n)
		}
		expected = n + 1
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
	due := index(now.Add(-w.patience()))
	if w.own != nil && !excused {
		w.own.gaps(o, w, expected, due)
	}
	if !w.begun {
		return
	}
	if !excused && w.calmSince(now) && next < due {
		o.report("complete", fmt.Sprintf("%s: the newest half-hour is %s, and the register was read all the time since", w.key, boundary(next-1)))
	}
}
