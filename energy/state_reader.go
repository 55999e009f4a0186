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
