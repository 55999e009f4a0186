package store

import (
	"encoding/binary"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A day in which an entry's evidence has a sample at its start
// (energy.Evidence.Start: beside a missing half-hour only) is written as
// version 3. Behind its entries stand these samples, and then its flags, if any:
//
//	how many, uvarint, not 0 |
//	each: entries without one, uvarint | at - first at, varint ms | value - first value, varint
//
// Every other day is written as before.
const dayStarted = 3

// dayVersionOf gives the version under which the entries are written.
func dayVersionOf(entries []entry) byte {
	version := byte(dayVersion)
	for i := range entries {
		if !isNoSample(entries[i].Evidence.Start) {
			return dayStarted
		}
		if entries[i].Flags != 0 {
			version = dayFlagged
		}
	}
	return version
}

// appendStarts writes the samples at the start, where there are any.
func appendStarts(b []byte, entries []entry) []byte {
	n := 0
	for i := range entries {
		if !isNoSample(entries[i].Evidence.Start) {
			n++
		}
	}
	if n == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i, skip := 0, 0; i < len(entries); i++ {
		s, first := entries[i].Evidence.Start, entries[i].Evidence.First
		if isNoSample(s) {
			skip++
			continue
		}
		b = binary.AppendUvarint(b, uint64(skip))
		b = binary.AppendVarint(b, s.At.UnixMilli()-first.At.UnixMilli())
		b = binary.AppendVarint(b, s.Value-first.Value)
		skip = 0
	}
	return b
}

// readStarts reads what appendStarts wrote.
func (r *reader) readStarts(entries []entry) {
	n := r.uvarint()
	if n == 0 || n > uint64(len(entries)) {
		r.bad = true
		return
	}
	for i := uint64(0); n > 0; n-- {
		skip := r.uvarint()
		if r.bad || skip >= uint64(len(entries))-i {
			r.bad = true
			return
		}
		i += skip
		e := &entries[i].Evidence
		e.Start = energy.Sample{At: r.time(e.First.At.UnixMilli()), Value: r.varint() + e.First.Value}
		if isNoSample(e.Start) {
			r.bad = true
			return
		}
		i++
	}
}
