package ingest

import (
	"encoding/binary"
	"math"

	"github.com/perseus-edge/perseus-edge/energy"
)

// encodeFlags writes the flags behind a packed day that has some, and makes it
// version 2; at are the present half-hours.
func (d *day) encodeFlags(out []byte, at []int) []byte {
	var all energy.Flags
	for _, i := range at {
		all |= d.slots[i].flags
	}
	if all == 0 {
		return out
	}
	out[0] = dayFlagged
	for n := 0; n < len(at); {
		flags := d.slots[at[n]].flags
		count := run(at[n:], func(_, i int) bool { return d.slots[i].flags == flags })
		out = binary.AppendUvarint(out, uint64(count))
		out = binary.AppendUvarint(out, uint64(flags))
		n += count
	}
	return out
}

// decodeFlags reads what encodeFlags wrote and reports whether it could: runs
// for every present half-hour, with a flag somewhere.
func (d *day) decodeFlags(r *reader, at []int) bool {
	var all energy.Flags
	for n := 0; n < len(at); {
		count, flags := r.uvarint(), r.uvarint()
		if r.bad || count == 0 || count > uint64(len(at)-n) || flags > math.MaxUint32 {
			return false
		}
		all |= energy.Flags(flags)
		for range count {
			d.slots[at[n]].flags = energy.Flags(flags)
			n++
		}
	}
	return all != 0
}
