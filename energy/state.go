package energy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// stateVersion is the first byte of every state. A change of the encoding, or
// of what the Accumulator must remember, takes the next number.
const stateVersion = 1

// Bits of the second byte.
const (
	stateOpen = 1 << iota
	stateKnown
	stateHeld
	stateAll = stateOpen | stateKnown | stateHeld
)

// State appends everything that is needed to go on exactly from here. An
// Accumulator restored from it, for the same register and period, answers
// every later sample as this one would.
//
// The encoding: version, flags, then varints: measure, period (ns), modulus;
// where open: base time and value, energy, quality, samples, the sample before
// the start (time back from base, value); where held: n, since, first, last
// (times after base).
func (a *Accumulator) State(dst []byte) []byte {
	var flags byte
	if a.open {
		flags |= stateOpen
	}
	if a.known {
		flags |= stateKnown
	}
	if a.held.n > 0 {
		flags |= stateHeld
	}
	dst = append(dst, stateVersion, flags)
	dst = binary.AppendUvarint(dst, uint64(a.reg.Measure))
	dst = binary.AppendVarint(dst, a.period)
	dst = binary.AppendVarint(dst, a.reg.Modulus)
	if !a.open {
		return dst
	}
	for _, v := range [...]int64{
		a.base.at, a.base.value, a.energy, int64(a.quality), int64(a.samples),
		a.base.at - a.before.at, a.before.value,
	} {
		dst = binary.AppendVarint(dst, v)
	}
	if h := a.held; h.n > 0 {
		for _, v := range [...]int64{
			int64(h.n), h.since - a.base.at,
			h.first.at - a.base.at, h.first.value, h.last.at - a.base.at, h.last.value,
		} {
			dst = binary.AppendVarint(dst, v)
		}
	}
	return dst
}

// RestoreAccumulator continues from a State. An error means that the state
// cannot be used for this register and period: start anew with NewAccumulator,
// whose first sample is then a new opening.
func RestoreAccumulator(r Register, period time.Duration, state []byte) (*Accumulator, error) {
	a := NewAccumulator(r, period)
	d := stateReader{b: state}
	if v := d.byte(); d.err == nil && v != stateVersion {
		return nil, fmt.Errorf("energy: state has version %d, this program reads %d: start the register anew", v, stateVersion)
	}
	flags := d.byte()
	measure, length, modulus := d.uvarint(), d.varint(), d.varint()
	switch {
	case d.err != nil:
		return nil, d.err
	case flags&^byte(stateAll) != 0 || flags&stateOpen == 0 && flags != 0:
		return nil, errDamaged
	case measure != uint64(r.Measure) || modulus != r.Modulus:
		return nil, errors.New("energy: the register's measure or modulus is not what it was when the state was kept: start the register anew")
	case length != a.period:
		return nil, fmt.Errorf("energy: the state was kept with a period of %v, not %v: start the register anew", time.Duration(length), time.Duration(a.period))
	}
	if flags&stateOpen != 0 {
		a.open, a.known = true, flags&stateKnown != 0
		a.base = point{d.varint(), d.varint()}
		a.energy = d.varint()
		quality, samples := d.varint(), d.varint()
		a.quality, a.samples = Quality(quality), int(samples)
		a.before = point{a.base.at - d.varint(), d.varint()}
		if quality < int64(Estimated) || quality > int64(Measured) || samples < 0 || samples > int64(maxSamples) {
			return nil, errDamaged
		}
	}
	if flags&stateHeld != 0 {
		n, since := d.varint(), a.base.at+d.varint()
		a.held = held{
			n: int(n), since: since,
			first: point{a.base.at + d.varint(), d.varint()},
			last:  point{a.base.at + d.varint(), d.varint()},
		}
		if n < 1 || n > int64(maxSamples) {
			return nil, errDamaged
		}
	}
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
	if !a.open {
		return true
	}
	clock := func(p point) bool {
		return p.at >= firstTime && p.at < lastTime && a.reg.holds(p.value)
	}
	if !clock(a.base) || !clock(a.before) || a.before.at > a.base.at || a.energy < 0 || a.known && a.before.at > a.start() {
		return false
	}
	h := a.held
	return h.n == 0 || clock(h.first) && clock(h.last) &&
		a.base.at < h.since && h.since <= h.first.at && h.first.at <= h.last.at && h.first.value <= h.last.value
}

// stateReader takes varints off a state; after the first error it gives zeros.
type stateReader struct {
	b   []byte
	err error
}

func (d *stateReader) byte() byte {
	if d.err != nil || len(d.b) == 0 {
		d.err = errDamaged
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *stateReader) varint() int64 {
	v, n := binary.Varint(d.b)
	return v * d.took(n)
}

func (d *stateReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	return v * uint64(d.took(n))
}

// took moves on by n bytes; it gives 1, or 0 where nothing could be read.
func (d *stateReader) took(n int) int64 {
	if d.err != nil || n <= 0 {
		d.err = errDamaged
		return 0
	}
	d.b = d.b[n:]
	return 1
}
