package store

import (
	"slices"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// since is what was committed since the last transaction of bbolt that took it
// in: states and samples of rounds that brought nothing else. Each minute there
// is such a round, and a transaction for it would cost twenty KiB of writing,
// two fsyncs and some hundred allocations; a checkpoint costs one page and one
// fsync. It lies durably in a file beside the store, and here in memory, from
// where it is read.
//
// Law 3 holds since a checkpoint counts only upon the very transaction that it
// was written upon (base). A round that brings half-hours takes what is here
// with it into its transaction; any other transaction is first given a
// checkpoint of its own, upon itself, in the slot that is not in use: whichever
// of the two a crash leaves, one slot lies upon it.
type since struct {
	on   base // the transaction in the file; its mark is zero where no version that knows checkpoints wrote it
	next uint64
	file slotPair

	doubt bool // a commit failed in such a way that on may not be in the file
	keep  [packHead + 17]byte

	mu      sync.Mutex // guards lines and index, which readers look at; writers hold Store.write
	lines   []line     // by register number
	index   map[energy.Key]int
	touched int // lines that are not empty
	scratch []energy.Sample
}

// maxSpan bounds how many hours the samples of a checkpoint may span.
const maxSpan = 48

// stage lays a round over the lines. It reports false where a register is not
// known, or a sample does not follow.
func (c *since) stage(r *Round) bool {
	for i := range r.States {
		l := c.line(r.States[i].Key)
		if l == nil {
			return false
		}
		l.staged, l.next = true, r.States[i].State
	}
	for i := range r.Samples {
		if !c.stageSample(&r.Samples[i]) {
			return false
		}
	}
	return true
}

func (c *since) stageSample(k *KeyedSample) bool {
	l := c.line(k.Key)
	ms := k.Sample.At.UnixMilli()
	if l == nil || l.sampled || l.n > 0 && (ms <= l.at || hourOf(ms)-hourOf(l.from) > maxSpan) {
		return false
	}
	l.sampled, l.sample = true, pointOf(&k.Sample)
	return true
}

func (c *since) line(k energy.Key) *line {
	if i, ok := c.index[k]; ok {
		return &c.lines[i]
	}
	return nil
}

func (c *since) unstage() {
	for i := range c.lines {
		l := &c.lines[i]
		l.staged, l.next, l.sampled = false, nil, false
	}
}

// settle makes what is staged what there is.
func (c *since) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.touched = 0
	for i := range c.lines {
		l := &c.lines[i]
		if l.staged {
			l.state, l.has = append(l.state[:0], l.next...), true
		}
		if l.sampled {
			l.samples = l.appendSample(l.samples, l.sample)
			l.at, l.value = l.sample.at, l.sample.value
			if l.n == 0 {
				l.from = l.at
			}
			l.n++
		}
		l.staged, l.next, l.sampled = false, nil, false
		if !l.empty() {
			c.touched++
		}
	}
}

// clear forgets what bbolt has taken in.
func (c *since) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.lines {
		l := &c.lines[i]
		l.has, l.state, l.n, l.samples = false, l.state[:0], 0, l.samples[:0]
		l.staged, l.next, l.sampled = false, nil, false
	}
	c.touched = 0
}

// learn takes note of registers that bbolt has given a number.
func (c *since) learn(known map[energy.Key]uint32) {
	if len(known) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := make(map[uint32]energy.Key, len(c.lines)+len(known))
	for k, i := range c.index {
		keys[c.lines[i].id] = k
	}
	for k, id := range known {
		if _, ok := keys[id]; !ok {
			keys[id] = k
			c.lines = append(c.lines, line{id: id})
		}
	}
	slices.SortFunc(c.lines, func(a, b line) int { return int(int64(a.id) - int64(b.id)) })
	c.index = make(map[energy.Key]int, len(c.lines))
	for i := range c.lines {
		c.index[keys[c.lines[i].id]] = i
	}
}

// stateOf gives a register's state where it is newer than the one in bbolt.
func (c *since) stateOf(k energy.Key) (state []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.line(k); l != nil && l.has {
		return append([]byte{}, l.state...), true
	}
	return nil, false
}

// samplesOf gives the samples of a register with times in [lo, hi), Unix ms.
func (c *since) samplesOf(k energy.Key, lo, hi int64) []energy.Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.line(k)
	if l == nil || l.n == 0 {
		return nil
	}
	all := l.decode(make([]energy.Sample, 0, l.n))
	return slices.DeleteFunc(all, func(s energy.Sample) bool { t := s.At.UnixMilli(); return t < lo || t >= hi })
}

func unixMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
