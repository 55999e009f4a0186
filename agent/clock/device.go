package clock

import (
	"fmt"
	"time"
)

// DeviceClock works out by how much a device's own clock is wrong, from the
// times that the device gives with its values and the times at which these
// arrived.
//
// What arrives is never younger than it says: the difference of the two times
// is the clock's offset, less the time that the message took. So the greatest
// difference of the last hours is nearest to the truth, however late single
// messages come; and a message can be late, but not early. A single time that
// does not fit (a glitch, a message kept back) is not believed; a few that fit
// one another are a clock that was set.
//
// Give it live values only: neither history nor retained messages, nor times
// that label a period. The zero value knows nothing. It allocates nothing and
// is not safe for use by several goroutines.
type DeviceClock struct {
	buckets [deviceBuckets]bucket
	pairs   int           // since the level was begun
	coarse  time.Duration // the resolution of its times, as far as is known
	begun   bool          // coarse is known
	heard   time.Time     // when the last time arrived
	class   Class
	run     run
}

// bucket is the greatest difference in a stretch of time.
type bucket struct {
	slot int64 // which stretch; 0: empty
	best time.Duration
}

// run is a row of differences that agree with one another and not with the level.
type run struct {
	n     int
	since time.Time
	best  time.Duration
}

// What decides about a device's clock.
const (
	deviceBuckets = 8
	bucketLength  = 30 * time.Minute // times deviceBuckets: how long a difference counts
	devicePairs   = 3                // before anything is said, and before a leap ahead is believed
	deviceBack    = 5                // before a step back is believed, which lateness can look like,
	deviceBackFor = time.Minute      // and for how long at least
	deviceBurst   = time.Second      // what arrives closer together was kept back by something: one difference, its greatest
	devicePlay    = 2 * time.Second  // by how much messages may differ and still agree, besides the resolution
	deviceMost    = 100 * 365 * 24 * time.Hour
)

// Estimate is what is known about a device's clock.
type Estimate struct {
	Known      bool          // false: too little was seen, and the rest says nothing
	Offset     time.Duration // device less right time: above 0 it is ahead. Where it is below, messages that always come late look the same
	Resolution time.Duration // of its times: a minute, a second, or 0 where they are finer
	Class      Class         // Fine: use its times as they are. Flagged: correct them, with V11. Quarantine: do not use them
	Zone       time.Duration // not 0: the offset is that of a time zone, which it shows for UTC
	Pairs      int           // how many times it rests upon
}

// Add takes a time that the device gave and our time of its arrival.
func (d *DeviceClock) Add(device, arrived time.Time) {
	diff := max(-deviceMost, min(deviceMost, device.Sub(arrived)))
	d.resolve(device)
	level, any := d.level(arrived)
	play := devicePlay + d.coarse
	burst := d.pairs < devicePairs && arrived.Sub(d.heard) < deviceBurst
	d.heard = arrived
	switch {
	case !any:
		d.begin(diff, 1, arrived)
	case burst: // nothing is known yet, and this is no further proof
		d.begin(max(diff, level), d.pairs, arrived)
	case (diff - level).Abs() <= play:
		d.run = run{}
		d.pairs++
		d.put(diff, arrived)
	default:
		d.pairs++
		d.disagree(diff, level, play, arrived)
	}
	d.classify(arrived)
}

// disagree takes a difference that does not fit the level.
func (d *DeviceClock) disagree(diff, level, play time.Duration, arrived time.Time) {
	r := &d.run
	if r.n == 0 || (diff-r.best).Abs() > play {
		*r = run{1, arrived, diff}
		return
	}
	r.n++
	r.best = max(r.best, diff)
	ahead := r.best > level
	if ahead && r.n >= devicePairs || !ahead && r.n >= deviceBack && arrived.Sub(r.since) >= deviceBackFor {
		d.begin(r.best, r.n, arrived)
	}
}

// begin makes diff the level and forgets the one before.
func (d *DeviceClock) begin(diff time.Duration, pairs int, arrived time.Time) {
	d.buckets = [deviceBuckets]bucket{}
	d.run, d.pairs = run{}, pairs
	d.put(diff, arrived)
}

func (d *DeviceClock) put(diff time.Duration, arrived time.Time) {
	slot := slotOf(arrived)
	b := &d.buckets[((slot%deviceBuckets)+deviceBuckets)%deviceBuckets]
	if b.slot != slot {
		*b = bucket{slot, diff}
	}
	b.best = max(b.best, diff)
}

// slotOf numbers the stretches of time; none is 0.
func slotOf(t time.Time) int64 { return t.Unix()/int64(bucketLength/time.Second) + 1 }

// level is the greatest difference of the last hours.
func (d *DeviceClock) level(now time.Time) (best time.Duration, any bool) {
	slot := slotOf(now)
	for _, b := range d.buckets {
		if b.slot != 0 && b.slot <= slot && b.slot > slot-deviceBuckets && (!any || b.best > best) {
			best, any = b.best, true
		}
	}
	return best, any
}

// resolve learns how finely the device gives its times.
func (d *DeviceClock) resolve(device time.Time) {
	fine := time.Duration(0)
	switch {
	case device.Nanosecond() != 0:
	case device.Unix()%60 != 0:
		fine = time.Second
	default:
		fine = time.Minute
	}
	if !d.begun || fine < d.coarse {
		d.begun, d.coarse = true, fine
	}
}

// classify says what the offset means. A clock that hovers about a bound does
// not change class with every message: it leaves the worse one a tenth below.
func (d *DeviceClock) classify(now time.Time) {
	off, _ := d.level(now)
	off = max(0, off.Abs()-d.coarse)
	// At least what the offset is, at most what it was, or is and a ninth.
	d.class = max(Classify(off), min(d.class, Classify(off+off/9)))
}

// Estimate says what is known at the time now, by our clock.
func (d *DeviceClock) Estimate(now time.Time) Estimate {
	off, any := d.level(now)
	e := Estimate{Known: any && d.pairs >= devicePairs, Pairs: d.pairs}
	if !e.Known {
		return e
	}
	e.Offset, e.Resolution, e.Class, e.Zone = off, d.coarse, d.class, zone(off)
	return e
}

// zone gives the time zone's offset that d looks like: whole quarters of an
// hour, from half an hour to 14 hours, and half a minute of ordinary error.
func zone(d time.Duration) time.Duration {
	const quarter = 15 * time.Minute
	z := d.Round(quarter)
	if z.Abs() < 2*quarter || z.Abs() > 14*time.Hour || (d-z).Abs() > 30*time.Second {
		return 0
	}
	return z
}

// Corrected gives the right time for one that the device gave. Where nothing
// is known that is the device's.
func (e Estimate) Corrected(device time.Time) time.Time { return device.Add(-e.Offset) }

// String says it in plain words.
func (e Estimate) String() string {
	off := e.Offset.Abs().Round(time.Second)
	switch {
	case !e.Known:
		return "its clock is not known yet"
	case e.Zone != 0:
		return fmt.Sprintf("its clock is %s %s: it shows local time for UTC", off, aheadOrBehind(e.Offset))
	case e.Class == Fine:
		return "its clock is right"
	case e.Offset > 0:
		return fmt.Sprintf("its clock is %s ahead", off)
	}
	return fmt.Sprintf("its clock is %s behind, or its messages take that long", off)
}

func aheadOrBehind(d time.Duration) string {
	if d < 0 {
		return "behind"
	}
	return "ahead"
}

// Shifted tells it that our own clock was set by Change.Shift: what was seen
// before is the other way round by as much.
func (d *DeviceClock) Shifted(by time.Duration, now time.Time) {
	level, any := d.level(now.Add(-by))
	if !any {
		*d = DeviceClock{}
		return
	}
	pairs := d.pairs
	d.begin(max(-deviceMost, min(deviceMost, level-by)), pairs, now)
	d.classify(now)
}
