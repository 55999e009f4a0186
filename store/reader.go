package store

import (
	"encoding/binary"
	"time"
)

// reader takes numbers off a packed value. After the first that is not there,
// bad is set and everything reads as 0.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	return took(r, v, n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	return took(r, v, n)
}

func took[T int64 | uint64](r *reader, v T, n int) T {
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// time reads an instant given relative to base (ms).
func (r *reader) time(base int64) time.Time { return r.instant(base + r.varint()) }

// instant refuses what this package does not write: see earliest and latest.
func (r *reader) instant(ms int64) time.Time {
	if ms < earliest || ms > latest {
		r.bad = true
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// The instants that can be stored, Unix milliseconds: from the zero time.Time
// (year 1, which stands for "none") to the end of year 9999.
const (
	earliest = -62135596800000
	latest   = 253402300799999
)
