package energy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// stateVersion is the first byte of every state. A change of the encoding, or
// of what the Accumulator must remember, takes the next number. States of
// version 1 (which end before what is new in 2), of version 2 (which know
// nothing of a half-hour that is torn, nor of a stall) and of version 3 (which
// know nothing of the sample after the start) are still read.
const stateVersion = 4

// Bits of the second byte. Version 1 has the first three only.
const (
	stateOpen = 1 << iota
	stateKnown
	stateHeld
	stateTouched
	stateStated
	stateUndo       // there is a prev
	stateCrossed    // and it is of another half-hour than base
	statePrevStated // and its base was stated
	stateAll1       = stateOpen | stateKnown | stateHeld
)

// The bits above the event that is due. Version 2 has the first one only,
// version 3 all but the last.
const (
	stateSole = 1 << (4 + iota)
	stateTorn
	stateStall // the register has shown the same value again
	stateAfter // the sample after the start is kept
	stateDue2  = 2*stateSole - 1
	stateDue3  = 2*stateStall - 1
	stateDue4  = 2*stateAfter - 1
)

// Bits above the quality of a prev of another half-hour.
const (
	prevKnown = 1 << (3 + iota)
	prevTouched
	prevTorn
	prevStated // of a stall only
	prevAfter
)

// State appends everything that is needed to go on exactly from here. An
// Accumulator restored from it, for the same register and period, answers
// every later sample as this one would.
//
// The encoding: version, flags, then varints: measure, period (ns), modulus,
// the event that is due, whether the baseline is sole and the half-hour torn; where open: base time and value, energy, quality,
// samples, the sample before the start (time back from base, value), ahead
// (ns), and where it is kept the sample after the start, likewise; where there
// is a prev: how far back it is in time, value, samples, its
// ahead, and where it is of another half-hour: its energy, quality and bits,
// the samples around its start (time back from prev, value); where there is a
// stall: its time and, unless that is too long, how far back it began, samples,
// ahead, energy, quality and bits, the samples around its start; where held: n,
// since, first, last (times after base, or since 1970 where there is none).
func (a *Accumulator) State(dst []byte) []byte {
	var flags byte
	crossed := a.undo && a.prev.half(a.period) != a.half()
	for bit, on := range [...]bool{a.open, a.known, a.held.n > 0, a.touched, a.stated, a.undo, crossed, a.prev.stated} {
		if on {
			flags |= 1 << bit
		}
	}
	dst = append(dst, stateVersion, flags)
	dst = binary.AppendUvarint(dst, uint64(a.reg.Measure))
	due := int64(a.anew)
	if a.sole {
		due |= stateSole
	}
	if a.torn {
		due |= stateTorn
	}
	if a.stall != (stall{}) {
		due |= stateStall
	}
	if a.after != (point{}) {
		due |= stateAfter
	}
	dst = appendVarints(dst, a.period, a.reg.Modulus, due)
	if a.open {
		dst = appendVarints(dst, a.base.at, a.base.value, a.energy, int64(a.quality), int64(a.samples),
			a.base.at-a.before.at, a.before.value, a.ahead)
		dst = a.appendAfter(dst)
	}
	if p := &a.prev; a.undo {
		dst = appendVarints(dst, a.base.at-p.base.at, a.base.value-p.base.value, int64(a.samples-p.samples), p.ahead)
		if crossed {
			dst = p.appendAfter(appendVarints(dst, p.energy, p.bits(false), p.base.at-p.before.at, p.before.value))
		}
	}
	if s := &a.stall; *s != (stall{}) {
		dst = appendVarints(dst, s.dwelt)
		if p := &s.from; s.on {
			dst = p.appendAfter(appendVarints(dst, a.base.at-p.base.at, int64(p.samples), p.ahead, p.energy, p.bits(p.stated), p.base.at-p.before.at, p.before.value))
		}
	}
	if h := &a.held; h.n > 0 {
		dst = appendVarints(dst, int64(h.n), h.since-a.base.at,
			h.first.at-a.base.at, h.first.value, h.last.at-a.base.at, h.last.value)
	}
	return dst
}

// bits are a progress's quality and what is true of it.
func (p *progress) bits(stated bool) int64 {
	bits := int64(p.quality)
	for bit, on := range [...]bool{p.known, p.touched, p.torn, stated, p.after != point{}} {
		if on {
			bits |= prevKnown << bit
		}
	}
	return bits
}

// appendAfter writes the sample after the start, where it is kept.
func (p *progress) appendAfter(dst []byte) []byte {
	if p.after == (point{}) {
		return dst
	}
	return appendVarints(dst, p.base.at-p.after.at, p.after.value)
}

func (p *progress) take(bits int64) {
	p.known, p.touched, p.torn, p.quality = bits&prevKnown != 0, bits&prevTouched != 0, bits&prevTorn != 0, Quality(bits&(prevKnown-1))
}

func appendVarints(dst []byte, vs ...int64) []byte {
	for _, v := range vs {
		dst = binary.AppendVarint(dst, v)
	}
	return dst
}

// RestoreAccumulator continues from a State. An error means that the state
// cannot be used for this register and period: start anew with NewAccumulator,
// whose first sample is then a new opening.
func RestoreAccumulator(r Register, period time.Duration, state []byte) (*Accumulator, error) {
	a := NewAccumulator(r, period)
	d := stateReader{b: state}
	version := d.byte()
	if d.err == nil && (version < 1 || version > stateVersion) {
		return nil, fmt.Errorf("energy: state has version %d, this program reads 1 to %d: start the register anew", version, stateVersion)
	}
	flags := d.byte()
	measure, length, modulus := d.uvarint(), d.varint(), d.varint()
	switch {
	case d.err != nil:
		return nil, d.err
	case version == 1 && flags&^stateAll1 != 0:
		return nil, errDamaged
	case measure != uint64(r.Measure) || modulus != r.Modulus && !(r.Learnt && modulus >= 0):
		return nil, errors.New("energy: the register's measure or modulus is not what it was when the state was kept: start the register anew")
	case length != a.period:
		return nil, fmt.Errorf("energy: the state was kept with a period of %v, not %v: start the register anew", time.Duration(length), time.Duration(a.period))
	}
	a.reg.Modulus = modulus
	a.longest = a.reg.longest()
	a.read(&d, version, flags)
	if d.err != nil {
		return nil, d.err
	}
	if len(d.b) != 0 || !a.sound() {
		return nil, errDamaged
	}
	return a, nil
}

const maxSamples = 1<<31 - 1

var errDamaged = errors.New("energy: the state is damaged: start the register anew")

// sound reports whether the accumulator is in a state that it can get into.
func (a *Accumulator) sound() bool {
	h := &a.held
	if h.n > 0 {
		zeros := h.last.value == 0
		if !a.clocked(h.first) || !a.clocked(h.last) || h.since < firstTime || h.since > h.first.at || h.first.at > h.last.at || h.first.value > h.last.value ||
			h.first.value == 0 && !zeros || a.anew != Nothing && !zeros || a.open && h.since <= a.base.at {
			return false
		}
	}
	if !a.open {
		return a.anew == Opened && !a.sole && !a.undo && a.progress == progress{} && a.stall == stall{}
	}
	switch a.anew {
	case Nothing:
	case Reset, Exchanged, Ambiguous:
		if a.undo || a.stall != (stall{}) {
			return false
		}
	default:
		return false
	}
	if s := &a.stall; s.on && (!a.counts(&s.from) || s.from.base.at >= a.base.at) {
		return false
	}
	return a.counts(&a.progress) && (!a.undo || a.counts(&a.prev) && a.prev.base.at < a.base.at && a.prev.base.value < a.base.value)
}

// counts reports whether p is a progress that there can be.
func (a *Accumulator) counts(p *progress) bool {
	return a.clocked(p.base) && a.clocked(p.before) && p.before.at <= p.base.at && (!p.known || p.before.at <= p.half(a.period)) &&
		(p.after == point{} || a.clocked(p.after) && p.known && p.after.at > p.half(a.period) && p.after.at <= p.base.at) &&
		p.energy >= 0 && p.ahead >= 0 && p.ahead <= grace && p.samples >= 0 && p.samples <= maxSamples &&
		p.quality >= Estimated && p.quality <= Measured && (p.touched || !p.stated) && !(p.known && p.torn)
}

// clocked reports whether a register can have shown p at such a time.
func (a *Accumulator) clocked(p point) bool {
	return p.at >= firstTime && p.at < lastTime && a.reg.holds(p.value)
}
