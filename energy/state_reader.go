package energy

import "encoding/binary"

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

// upTo is a varint from 0 to most.
func (d *stateReader) upTo(most int64) int64 {
	v := d.varint()
	if v < 0 || v > most {
		d.err = errDamaged
		return 0
	}
	return v
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

// read takes what follows the head of a state.
func (a *Accumulator) read(d *stateReader, version, flags byte) {
	a.open, a.known = flags&stateOpen != 0, flags&stateKnown != 0
	a.touched, a.stated = flags&stateTouched != 0, flags&stateStated != 0
	due := int64(0)
	switch {
	case version > 1:
		due = d.upTo([...]int64{2: stateDue2, stateDue3, stateDue4}[version])
		a.anew, a.sole, a.torn = EventKind(due&(stateSole-1)), due&stateSole != 0, due&stateTorn != 0
	case a.open:
		a.anew = Nothing
	}
	if a.open {
		a.base = point{d.varint(), d.varint()}
		a.energy = d.varint()
		a.quality, a.samples = Quality(d.upTo(int64(Measured))), int(d.upTo(maxSamples))
		a.before = point{a.base.at - d.varint(), d.varint()}
		if version > 1 {
			a.ahead = d.varint()
		}
		a.readAfter(d, due&stateAfter != 0)
	}
	if flags&stateUndo != 0 {
		a.readPrev(d, flags)
	}
	if due&stateStall != 0 {
		a.readStall(d)
	}
	if flags&stateHeld == 0 {
		return
	}
	h := &a.held
	h.n, h.since = int(d.upTo(maxSamples)), a.base.at+d.varint()
	h.first = point{a.base.at + d.varint(), d.varint()}
	h.last = point{a.base.at + d.varint(), d.varint()}
	if h.n < 1 {
		d.err = errDamaged
	}
	if version == 1 && h.first.value == 0 && h.last.value > 0 {
		*h = held{n: 1, since: h.since, first: h.last, last: h.last} // see held
	}
}

func (a *Accumulator) readPrev(d *stateReader, flags byte) {
	a.undo, a.prev = true, a.progress
	p := &a.prev
	p.base = point{a.base.at - d.varint(), a.base.value - d.varint()}
	p.samples, p.ahead = a.samples-int(d.varint()), d.varint()
	p.stated = flags&statePrevStated != 0
	p.energy -= a.base.value - p.base.value
	if flags&stateCrossed != 0 {
		p.energy = d.varint()
		bits := d.upTo(2*prevAfter - 1)
		if bits&prevStated != 0 {
			d.err = errDamaged
		}
		p.take(bits)
		p.before = point{p.base.at - d.varint(), d.varint()}
		p.readAfter(d, bits&prevAfter != 0)
	}
	if (flags&stateCrossed != 0) != (p.half(a.period) != a.half()) {
		d.err = errDamaged
	}
}

func (a *Accumulator) readStall(d *stateReader) {
	s := &a.stall
	if s.dwelt = d.upTo(stallMost + 1); s.dwelt > stallMost {
		return
	}
	s.on = true
	p := &s.from
	p.base = point{a.base.at - d.varint(), a.base.value}
	p.samples, p.ahead, p.energy = int(d.upTo(maxSamples)), d.varint(), d.varint()
	bits := d.upTo(2*prevAfter - 1)
	p.take(bits)
	p.stated = bits&prevStated != 0
	p.before = point{p.base.at - d.varint(), d.varint()}
	p.readAfter(d, bits&prevAfter != 0)
}

// readAfter reads the sample after the start, where it is kept.
func (p *progress) readAfter(d *stateReader, kept bool) {
	p.after = point{}
	if kept {
		p.after = point{p.base.at - d.varint(), d.varint()}
	}
}
