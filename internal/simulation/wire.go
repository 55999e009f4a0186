package simulation

import (
	"context"
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// wire is a bus with its meters: the driver that the agent polls.
type wire struct {
	site   *site
	date   func() time.Time // the agent's clock
	down   episodes         // nothing can be asked at all
	slow   episodes         // every answer takes its time
	meters []*meter
}

// meter is a device on a wire.
type meter struct {
	id       string
	poll     time.Duration
	silent   episodes // it does not answer
	channels []*channel
	tells    bool   // its serial number can be read
	shows    bool   // what flows, too: see beside
	serial   string // as it was read last
}

// channel is a register together with the way on which the agent reads it.
type channel struct {
	register
	chance
	calm   *calm
	faults episodes
	polls  int64
	same   int // faulty samples in a row in the present episode

	lates   map[int64]delivery // by Unix milliseconds
	log     []delivery         // what the agent was given, in the order in which it was
	good    int                // index in log of the newest good one; -1: none
	sure    int                // index in log of the newest good one that an agent has kept for sure, or that the present one was given; -1: none
	upset   time.Time          // when the agent was last given something wrong
	anew    bool               // the agent lost what it knew since the last good sample
	born    int                // before this half-hour the present store knows only what files say
	fills   bool               // the operator wants what is missing filled
	powered bool               // its meter shows what flows, too
	watts   int64              // what that is now, in its direction, or unknown
	broke   bool               // see delivery
	resets  []reset            // stretches over which the energy cannot be known, or need not
}

// delivery is a sample that the agent was given.
type delivery struct {
	at      time.Time // as the agent dated it at first
	real    time.Time // by its milliseconds, as samples have them
	given   time.Time
	value   int64 // as it was shown
	counted int64 // what the register had counted, where it is good
	fit     int   // the meter that counted
	good    bool  // the register did show this at some time since the good one before
	lost    bool  // the agent died before it had kept it
	flows   int64 // W beside it, in its direction, or unknown
	broke   bool  // something came since the one before that is not in the log, or an agent ended
}

// The faults of a register, by how often.
var faults = []fault{unanswered, zero, zeros, saturated, leap, leaps, swapped, garbage, frozen, late, stale, twice, contradicted}

type fault int

const (
	none         fault = iota
	unanswered         // this register alone gives an error
	zero               // a single 0
	zeros              // 0 for a while, as during a firmware update
	saturated          // all ones, which the driver does not know as a sentinel
	leap               // one value far too high
	leaps              // two in a row
	swapped            // the answer of another register
	garbage            // values that agree with nothing, for a while
	frozen             // the same value again and again although the register counts on
	late               // a sample that is older than the one before it
	stale              // only such a sample, and none of now
	twice              // the same sample twice
	contradicted       // two values for one instant
)

var errNoAnswer = errors.New("no answer")

// Poll answers for one meter, or fails, as the plan has it.
func (w *wire) Poll(ctx context.Context, i int, dst []drivers.Reading) ([]drivers.Reading, error) {
	w.site.of(w.meters[i].id, 0).lag()
	if ctx.Err() != nil {
		return dst, ctx.Err()
	}
	now := time.Now()
	m := w.meters[i]
	if w.site.trust != nil && !w.site.trust.Trusted() {
		w.site.doubted = now
	}
	if n, slow := w.slow.at(now); slow {
		took := time.Duration(w.slow.n(3*n+2, int64(4*time.Second)))
		select {
		case <-ctx.Done():
			return dst, ctx.Err()
		case <-time.After(took):
		}
	}
	now = time.Now().Truncate(time.Millisecond)
	if _, down := w.down.at(now); down {
		return dst, &drivers.Error{Kind: drivers.Refused, Op: "connect", Err: errNoAnswer}
	}
	_, silent := m.silent.at(now)
	if fit := m.channels[0].fit(now); !silent && fit >= 0 && m.tells {
		m.serial = serialOf(m.id, fit)
	}
	if m.shows && !silent {
		r, known := w.flowing(m, w.date().Truncate(time.Millisecond), now)
		dst = append(dst, r)
		for _, c := range m.channels {
			c.watts = c.flows(r.Sample.Value, known)
		}
	}
	for j, c := range m.channels {
		if silent {
			dst = append(dst, drivers.Reading{Point: j, Err: &drivers.Error{Kind: drivers.Timeout, Op: "read", Err: errNoAnswer}})
			continue
		}
		dst = w.read(c, j, now, dst)
	}
	return dst, nil
}

// Identity is the serial number of the meter that answered last.
func (w *wire) Identity(i int) string { return w.meters[i].serial }

// Close lets go of the wire.
func (w *wire) Close() error { return nil }

// read gives what one register answers.
func (w *wire) read(c *channel, point int, now time.Time, dst []drivers.Reading) []drivers.Reading {
	c.polls++
	at := w.date().Truncate(time.Millisecond)
	total := c.load.total(now)
	fit, f := c.fit(now), none
	give := func(s energy.Sample, good bool, counted int64) {
		dst = append(dst, drivers.Reading{Point: point, Sample: s, Raw: uint64(s.Value)})
		d := delivery{at: s.At, real: now.Add(s.At.Sub(at)), given: time.Now(), value: s.Value, counted: counted, fit: fit, good: good}
		w.site.Trace.sample(c.key, f, d)
		c.note(d)
	}
	if fit < 0 {
		return append(dst, unread(point))
	}
	counted := c.counted(fit, total)
	truth := energy.Sample{At: at, Value: c.shown(counted)}
	f, n := c.fault(now)
	switch f {
	case unanswered:
		return append(dst, unread(point))
	case frozen:
		last := c.log[c.good]
		give(energy.Sample{At: at, Value: last.value}, true, last.counted)
	case late, stale:
		if f == late {
			give(truth, true, counted)
		}
		ago := -time.Duration(c.n(n, int64(40*time.Minute))).Truncate(time.Millisecond)
		if c.fit(now.Add(ago)) == fit && now.Add(ago).After(w.site.begin) {
			old := c.counted(fit, c.load.total(now.Add(ago)))
			give(energy.Sample{At: at.Add(ago), Value: c.shown(old)}, true, old)
		}
	case twice:
		give(truth, true, counted)
		dst = append(dst, drivers.Reading{Point: point, Sample: truth, Raw: uint64(truth.Value)})
	case contradicted:
		give(truth, true, counted)
		give(energy.Sample{At: at, Value: counted + 1 + c.n(n, 1_000_000)}, false, 0)
	default:
		if v := c.wrong(f, n, w); f != none && c.glaring(v, now) {
			c.upset = now
			give(energy.Sample{At: at, Value: v}, false, 0)
			break
		}
		give(truth, true, counted)
	}
	return dst
}

func unread(point int) drivers.Reading {
	return drivers.Reading{Point: point, Err: &drivers.Error{Kind: drivers.Timeout, Op: "read", Err: errNoAnswer}}
}

// fault says what is the matter with the register's answer at this poll.
func (c *channel) fault(now time.Time) (f fault, n int64) {
	i, on := c.faults.at(now)
	if !on {
		c.same = 0
		return none, 0
	}
	if c.good < 0 || c.calm.during(now) || c.log[c.good].fit != c.fit(now) || now.Sub(c.log[c.good].real) > 2*time.Hour && c.log[c.good].value < 10*c.rating {
		return none, 0 // a first sample that is wrong cannot be told from a right one
	}
	f = faults[c.faults.n(3*i+2, int64(len(faults)))]
	if f == frozen && c.neverStands() {
		return none, 0 // half of them never freeze: these tell by their values when they were read
	}
	most := 1 << 30
	switch f {
	case zero, saturated, leap, swapped, late, stale, twice, contradicted:
		most = 1
	case leaps:
		most = 2
	}
	if c.same >= most {
		return none, 0
	}
	c.same++
	return f, i*1_000_000 + int64(c.same)
}

// wrong is the value of a fault.
func (c *channel) wrong(f fault, n int64, w *wire) int64 {
	switch f {
	case zero, zeros:
		return 0
	case saturated:
		return 1<<32 - 1
	case leap, leaps:
		return c.log[c.good].value + c.rating*1000 + c.n(n/1_000_000, 1_000_000_000)
	case swapped:
		m := w.meters[c.n(n, int64(len(w.meters)))]
		o := m.channels[c.n(n+1, int64(len(m.channels)))]
		if o.good >= 0 {
			return o.log[o.good].value
		}
	case garbage:
		return c.n(n, 1<<40)
	}
	return 0
}

// glaring reports whether anybody could tell that a value is wrong: it lies
// below the baseline and is no wrap, or above what the meter can have
// delivered since then. The baseline of an agent that was restarted can be
// older than the last sample that it was given, hence the four hours.
func (c *channel) glaring(v int64, now time.Time) bool {
	last := &c.log[c.good]
	could := int64(float64(c.rating)*now.Sub(last.real).Hours()) + 5*c.rating
	switch {
	case v < 0:
		return false
	case c.modulus > 0 && v >= c.modulus:
		return true
	case v > last.value:
		return v-last.value > could
	default:
		return last.value-v > could && (c.modulus == 0 || c.modulus-last.value+v > c.modulus/10+could)
	}
}

// note writes down what the agent was given.
func (c *channel) note(d delivery) {
	if n := len(c.log); n > 0 && d.real.Before(c.log[n-1].real) {
		c.lates[d.at.UnixMilli()] = d // the log is in the order of time
		c.broke = true
		for i := range c.resets {
			if r := &c.resets[i]; d.good && r.must && r.fit == d.fit && d.real.Before(r.to) {
				r.to = d.real // it tells what the meter had counted so much earlier
			}
		}
		return
	}
	d.flows, d.broke, c.broke = c.watts, c.broke, false
	c.log = append(c.log, d)
	if n := len(c.resets); n > 0 {
		c.resets[n-1].begins(d)
	}
	if !d.good {
		return
	}
	if c.anew || c.good < 0 {
		c.born = index(d.real) + 1
	}
	if c.good >= 0 {
		c.gap(c.log[max(c.sure, 0)], c.log[c.good], d)
	}
	c.good = len(c.log) - 1
	c.sure = c.good
}

func (c *channel) isLate(s energy.Sample) bool {
	_, late := c.lates[s.At.UnixMilli()]
	return late
}
