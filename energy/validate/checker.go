package validate

import (
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Checker applies the rules to one register. It keeps little: what it needs
// of history it asks for, so that a restart changes nothing that matters
// (State carries even the counts over).
//
// The order of calls for one sample is Reading, then Accumulator.Add, then
// Event with what Add noticed, then HalfHour for each half-hour that Add gave.
//
// A Checker is not safe for use by several goroutines.
type Checker struct {
	key energy.Key
	o   *Options // with its defaults; shared, see Checkers

	last   energy.Sample // newest reading that had a value
	seen   bool          // there is one
	counts bool          // what Counts says
	device time.Time     // the device's own time in it; zero: it gave none
	fresh  time.Time     // when that time was seen first
	power  int64         // W at last, -1 not known
	flowed int64         // W x ms that flowed since the register moved

	marks []mark // spans whose half-hours will be flagged
	slots []slot // rules that spoke lately
	day   usual  // of the last day asked for
}

// mark flags the half-hours that have a share in [from, to).
type mark struct {
	rule     int
	from, to time.Time
}

// level tells findings about readings from those about half-hours: their
// times run separately, since half-hours may be imported ones of long ago.
type level uint8

const (
	ofReading  level = 0
	ofHalfHour level = 1
)

// slot bounds the repetition of one rule.
type slot struct {
	rule  int
	level level
	since time.Time // of the last finding given
	worst Severity  // given or held since then
	held  Finding   // what came after it; Count 0: nothing
}

// New makes a Checker for one register.
func New(k energy.Key, o Options) *Checker {
	o = o.withDefaults(k.Measure)
	return &Checker{key: k, o: &o, power: -1}
}

// on reports whether a rule is switched on.
func (c *Checker) on(rule int) bool { return !c.o.Off.Has(rule) }

func (c *Checker) quiet(l level) time.Duration {
	if l == ofHalfHour {
		return c.o.QuietPeriods
	}
	return c.o.QuietReadings
}

// say gives a finding, or counts it where the rule spoke a short while ago. A
// graver one is always given at once.
func (c *Checker) say(l level, at time.Time, f Finding, dst []Finding) []Finding {
	if !c.on(f.Rule) {
		return dst
	}
	f.Key, f.Count = c.key, 1
	f.From, f.To = f.From.UTC(), f.To.UTC()
	i, ok := slices.BinarySearchFunc(c.slots, slot{rule: f.Rule, level: l}, compareSlots)
	if !ok {
		c.slots = slices.Insert(c.slots, i, slot{rule: f.Rule, level: l, since: at, worst: f.Severity})
		return append(dst, f)
	}
	s := &c.slots[i]
	if f.Severity > s.worst {
		s.since, s.worst = at, f.Severity
		if s.held.Count > 0 {
			dst = append(dst, s.held)
		}
		s.held = Finding{}
		return append(dst, f)
	}
	if s.held.Count > 0 {
		f.Count = s.held.Count + 1
		f.Severity = max(f.Severity, s.held.Severity)
		if s.held.From.Before(f.From) {
			f.From = s.held.From
		}
		if s.held.To.After(f.To) {
			f.To = s.held.To
		}
	}
	s.held = f
	return dst
}

// due gives the findings whose time of quiet is over. It comes before any
// rule is asked, so that a rule that goes on speaking gives one finding for
// each time of quiet.
func (c *Checker) due(l level, at time.Time, dst []Finding) []Finding {
	if len(c.slots) == 0 {
		return dst
	}
	kept := c.slots[:0]
	for _, s := range c.slots {
		if s.level != l || at.Sub(s.since).Abs() < c.quiet(l) {
			kept = append(kept, s)
			continue
		}
		if s.held.Count > 0 {
			dst = append(dst, s.held)
			kept = append(kept, slot{rule: s.rule, level: l, since: at, worst: s.held.Severity})
		}
	}
	clear(c.slots[len(kept):])
	c.slots = kept
	return dst
}

// Flush gives what was counted and not given yet: for the end of a program
// that does not keep State.
func (c *Checker) Flush(dst []Finding) []Finding {
	for _, s := range c.slots {
		if s.held.Count > 0 {
			dst = append(dst, s.held)
		}
	}
	c.slots = nil
	return dst
}

func compareSlots(a, b slot) int {
	if a.rule != b.rule {
		return a.rule - b.rule
	}
	return int(a.level) - int(b.level)
}

// mark notes that the half-hours with a share in [from, to) get a rule's
// flag; at least the one that from falls in.
func (c *Checker) mark(rule int, from, to time.Time) {
	if !c.on(rule) {
		return
	}
	if !to.After(from) {
		to = from.Add(1)
	}
	for i := range c.marks {
		if m := &c.marks[i]; m.rule == rule {
			if from.Before(m.from) {
				m.from = from
			}
			if to.After(m.to) {
				m.to = to
			}
			return
		}
	}
	c.marks = append(c.marks, mark{rule, from, to})
}

// marked gives the flags of a half-hour and forgets marks that lie behind it.
func (c *Checker) marked(start, end time.Time) (f energy.Flags) {
	c.marks = slices.DeleteFunc(c.marks, func(m mark) bool {
		if m.from.Before(end) && m.to.After(start) {
			f = f.With(m.rule)
		}
		return !m.to.After(end)
	})
	return f
}
