package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// The half-hours of one register and one UTC day are one value:
//
//	head (see pack.go), version 1, 2 or 3 |
//	count uvarint | step uvarint, ms | entries, by Start |
//	version 3: samples at the start, see appendStarts | versions 2 and 3: flags, see appendFlags
//
// An entry is two bytes of flags, then only what the flags do not already say.
// What repeats or follows from what came before costs nothing: a Start one step
// after the last, a register that advanced by exactly the energy, a first sample
// that is the last one of the half-hour before. All arithmetic wraps, so that
// every int64 survives the round trip.
//
//	flags A: quality (3 bits) | status (2) | follows (1) | advances (1) | evidence (1)
//	flags B: rule (4; 15: in a byte of its own) | joined (1) | taken (1) | same count (1) | no register (1)
//	[rule] [Start - last Start, uvarint ms] energy [cumulative - expected]
//	[taken at - end] [first at - start, first value - opening] [last at - end, last value - cumulative] [count]
const dayVersion = 1

// status says how far a half-hour is on its way out.
type status uint8

const (
	pending status = iota // waits for a permission or for the sender
	sealed                // in a signed batch that is not acknowledged
	acked                 // the relay has it
)

// entry is a half-hour as it is stored.
type entry struct {
	energy.HalfHour
	status status
}

const (
	maskQuality   = 0x07
	shiftStatus   = 3
	maskStatus    = 0x03
	flagFollows   = 0x20 // Start is one step after the entry before (the first: at 00:00)
	flagAdvances  = 0x40 // the register advanced by the energy since the entry before
	flagEvidence  = 0x80 // there are samples
	maskRule      = 0x0f
	ruleApart     = 0x0f
	flagJoined    = 0x10 // the first sample is the last one of the entry before
	flagTaken     = 0x20 // settled when the last sample was taken
	flagSameCount = 0x40 // as many samples as the entry before
	flagNoReg     = 0x80 // the register is not known (-1)
)

const dayMillis = 24 * 60 * 60 * 1000

// dayOf is the UTC day, counted from 1970, that an instant falls in.
func dayOf(ms int64) int32 { return int32(floorDiv(ms, dayMillis)) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// basis is what an entry's deltas are taken from.
type basis struct {
	start, step int64 // ms; start of the entry before
	cumulative  int64
	last        energy.Sample
	lastAt      int64 // last.At in ms
	count       int64
}

func newBasis(day int32, step int64) basis {
	return basis{start: int64(day)*dayMillis - step, step: step, lastAt: earliest}
}

func (c *basis) move(e *energy.HalfHour, start int64) {
	c.start = start
	if e.Cumulative != -1 {
		c.cumulative = e.Cumulative
	}
	c.last, c.count = e.Evidence.Last, int64(e.Evidence.Samples)
	c.lastAt = c.last.At.UnixMilli()
}

// encodeDay packs entries, which must be of the day and in order of Start.
func encodeDay(reg uint32, day int32, entries []entry) []byte {
	step := energy.Period.Milliseconds()
	if len(entries) > 1 {
		step = entries[1].Start.UnixMilli() - entries[0].Start.UnixMilli()
	}
	b := make([]byte, packHead, 16+16*len(entries))
	b = binary.AppendUvarint(b, uint64(len(entries)))
	b = binary.AppendUvarint(b, uint64(step))
	c := newBasis(day, step)
	for i := range entries {
		b = c.append(b, &entries[i])
	}
	b = appendFlags(appendStarts(b, entries), entries)
	return stamp(b, dayVersionOf(entries), slotKey(day, reg))
}

func (c *basis) append(b []byte, e *entry) []byte {
	start, taken := e.Start.UnixMilli(), e.TakenAt.UnixMilli()
	first, last := e.Evidence.First, e.Evidence.Last
	expected, end := c.cumulative+e.Energy, start+c.step
	reg := e.Cumulative
	fa := byte(e.Quality)&maskQuality | byte(e.status)<<shiftStatus
	fb := min(byte(e.Evidence.Rule), ruleApart)
	if start == c.start+c.step {
		fa |= flagFollows
	}
	switch {
	case e.Cumulative == -1:
		fb |= flagNoReg
		reg = expected
	case e.Cumulative == expected:
		fa |= flagAdvances
	}
	if !isNoSample(first) || !isNoSample(last) {
		fa |= flagEvidence
		if first.At.UnixMilli() == c.lastAt && first.Value == c.last.Value {
			fb |= flagJoined
		}
	}
	if taken == last.At.UnixMilli() {
		fb |= flagTaken
	}
	if int64(e.Evidence.Samples) == c.count {
		fb |= flagSameCount
	}

	b = append(b, fa, fb)
	if fb&maskRule == ruleApart {
		b = append(b, byte(e.Evidence.Rule))
	}
	if fa&flagFollows == 0 {
		b = binary.AppendUvarint(b, uint64(start-c.start))
	}
	b = binary.AppendVarint(b, e.Energy)
	if fa&flagAdvances == 0 && fb&flagNoReg == 0 {
		b = binary.AppendVarint(b, e.Cumulative-expected)
	}
	if fb&flagTaken == 0 {
		b = binary.AppendVarint(b, taken-end)
	}
	if fa&flagEvidence != 0 {
		if fb&flagJoined == 0 {
			b = binary.AppendVarint(b, first.At.UnixMilli()-start)
			b = binary.AppendVarint(b, first.Value-(reg-e.Energy))
		}
		b = binary.AppendVarint(b, last.At.UnixMilli()-end)
		b = binary.AppendVarint(b, last.Value-reg)
	}
	if fb&flagSameCount == 0 {
		b = binary.AppendVarint(b, int64(e.Evidence.Samples))
	}
	c.move(&e.HalfHour, start)
	return b
}

func isNoSample(s energy.Sample) bool { return s.At.UnixMilli() == earliest && s.Value == 0 }

// The least bytes that an entry takes: what bounds an allocation by the input's length.
const leastEntry = 3

// decodeDay is the inverse of encodeDay. It never panics, allocates in
// proportion to its input, and refuses entries that are out of order or not of
// the day.
func decodeDay(reg uint32, day int32, b []byte) ([]entry, error) {
	version := byte(dayVersion)
	if len(b) > 0 && (b[0] == dayFlagged || b[0] == dayStarted) {
		version = b[0]
	}
	p, err := unpacked(b, version, slotKey(day, reg))
	if err != nil {
		return nil, err
	}
	r := reader{b: p}
	n, step := r.uvarint(), r.uvarint()
	if r.bad || n > uint64(len(r.b)/leastEntry) || step > 1<<40 {
		return nil, fmt.Errorf("%w: it claims %d half-hours", errPacked, n)
	}
	entries := make([]entry, n)
	c := newBasis(day, int64(step))
	for i := range entries {
		before := c.start
		c.read(&r, &entries[i])
		if r.bad || i > 0 && c.start <= before || dayOf(c.start) != day {
			return nil, fmt.Errorf("%w: half-hour %d of %d", errPacked, i+1, n)
		}
	}
	if version == dayStarted {
		if r.readStarts(entries); r.bad {
			return nil, fmt.Errorf("%w: the samples at its half-hours' starts", errPacked)
		}
	}
	if version == dayFlagged || version == dayStarted && len(r.b) > 0 {
		if r.readFlags(entries); r.bad {
			return nil, fmt.Errorf("%w: its flags", errPacked)
		}
	}
	if len(r.b) != 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errPacked, len(r.b))
	}
	return entries, nil
}

func (c *basis) read(r *reader, e *entry) {
	fa, fb := r.byte(), r.byte()
	e.Quality, e.status = energy.Quality(fa&maskQuality), status(fa>>shiftStatus&maskStatus)
	e.Evidence.Rule = energy.Rule(fb & maskRule)
	if fb&maskRule == ruleApart {
		e.Evidence.Rule = energy.Rule(r.byte())
	}
	start := c.start + c.step
	if fa&flagFollows == 0 {
		start = c.start + int64(r.uvarint())
	}
	end := start + c.step
	e.Energy = r.varint()
	reg := c.cumulative + e.Energy
	switch {
	case fb&flagNoReg != 0:
		e.Cumulative = -1
	case fa&flagAdvances != 0:
		e.Cumulative = reg
	default:
		e.Cumulative = reg + r.varint()
		reg = e.Cumulative
	}
	var takenDelta int64
	if fb&flagTaken == 0 {
		takenDelta = r.varint()
	}
	if fa&flagEvidence != 0 {
		if fb&flagJoined != 0 {
			e.Evidence.First = c.last
		} else {
			e.Evidence.First.At = r.time(start)
			e.Evidence.First.Value = r.varint() + reg - e.Energy
		}
		e.Evidence.Last.At = r.time(end)
		e.Evidence.Last.Value = r.varint() + reg
	}
	e.Start = time.UnixMilli(start).UTC()
	e.TakenAt = e.Evidence.Last.At
	if fb&flagTaken == 0 {
		e.TakenAt = r.instant(end + takenDelta)
	}
	count := c.count
	if fb&flagSameCount == 0 {
		count = r.varint()
	}
	if e.Evidence.Samples = int(count); int64(e.Evidence.Samples) != count || !e.Quality.Valid() || e.status > acked {
		r.bad = true
	}
	c.move(&e.HalfHour, start)
}
