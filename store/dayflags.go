package store

import (
	"encoding/binary"
	"math"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A day in which a validation rule spoke is written as version 2: behind its
// entries stand the flags (energy.Flags), in runs, to the end of the value:
//
//	entries without flags, uvarint | entries, uvarint, not 0 | their flags, uvarint, not 0
//
// A day without flags is written as version 1, byte for byte as before there
// were any, so that nothing stored has to be rewritten and flags cost only the
// days that have some.
const dayFlagged = 2

func appendFlags(b []byte, entries []entry) []byte {
	for i := 0; i < len(entries); {
		skip := i
		for i < len(entries) && entries[i].Flags == 0 {
			i++
		}
		if i == len(entries) {
			break
		}
		b = binary.AppendUvarint(b, uint64(i-skip))
		first := i
		for i < len(entries) && entries[i].Flags == entries[first].Flags {
			i++
		}
		b = binary.AppendUvarint(b, uint64(i-first))
		b = binary.AppendUvarint(b, uint64(entries[first].Flags))
	}
	return b
}

// readFlags reads what appendFlags wrote, to the end. A day of version 2 has at
// least one run.
func (r *reader) readFlags(entries []entry) {
	for i := 0; ; {
		skip, n, flags := r.uvarint(), r.uvarint(), r.uvarint()
		left := uint64(len(entries) - i)
		if r.bad || skip > left || n == 0 || n > left-skip || flags == 0 || flags > math.MaxUint32 {
			r.bad = true
			return
		}
		i += int(skip)
		for range n {
			entries[i].Flags = energy.Flags(flags)
			i++
		}
		if len(r.b) == 0 {
			return
		}
	}
}
