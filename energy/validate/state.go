package validate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// stateVersion is the first byte of what State gives. Version 1 also kept a
// half-hour that waited for its check meter.
const stateVersion = 2

var errState = errors.New("state of the validation rules is damaged: they begin anew, which costs a repeated finding at most")

// State appends what the Checker needs to go on after a restart as if there
// had been none: some 30 bytes, and more while rules speak.
func (c *Checker) State(dst []byte) []byte {
	dst = append(dst, stateVersion, bit(c.seen)|bit(c.counts)<<1)
	dst = appendTime(dst, c.last.At)
	dst = binary.AppendVarint(dst, c.last.Value)
	dst = appendTime(dst, c.device)
	dst = appendTime(dst, c.fresh)
	dst = binary.AppendVarint(dst, c.power)
	dst = binary.AppendVarint(dst, c.flowed)
	dst = binary.AppendUvarint(dst, uint64(len(c.marks)))
	for _, m := range c.marks {
		dst = append(dst, byte(m.rule))
		dst = appendTime(dst, m.from)
		dst = appendTime(dst, m.to)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.slots)))
	for _, s := range c.slots {
		dst = append(dst, byte(s.rule), byte(s.level), byte(s.worst))
		dst = appendTime(dst, s.since)
		held, _ := s.held.MarshalJSON() // none where nothing is held; what cannot be written could not be stored either
		dst = binary.AppendUvarint(dst, uint64(len(held)))
		dst = append(dst, held...)
	}
	return dst
}

// Restore makes a Checker that goes on from a state. The options may be other
// ones than before.
func Restore(k energy.Key, o Options, state []byte) (*Checker, error) {
	c := New(k, o)
	r := reader{b: state}
	if v := r.byte(); v != stateVersion {
		if r.bad {
			return nil, errState
		}
		return nil, fmt.Errorf("state of the validation rules has version %d, this program reads %d", v, stateVersion)
	}
	bits := r.byte()
	c.seen, c.counts = bits&1 != 0, bits&2 != 0
	c.last.At, c.last.Value = r.time(), r.varint()
	c.device, c.fresh = r.time(), r.time()
	c.power, c.flowed = max(r.varint(), -1), max(r.varint(), 0)
	for n := r.count(Count); n > 0; n-- {
		m := mark{rule: int(r.byte()), from: r.time(), to: r.time()}
		if m.rule < 1 || m.rule > Count || !m.to.After(m.from) {
			return nil, errState
		}
		c.marks = append(c.marks, m)
	}
	for n := r.count(2 * Count); n > 0 && !r.bad; n-- {
		s := slot{rule: int(r.byte()), level: level(r.byte()), worst: Severity(r.byte()), since: r.time()}
		if held := r.bytes(r.count(MaxFinding)); len(held) > 0 {
			f, err := ParseFinding(held)
			if err != nil || f.Rule != s.rule || f.Key != k {
				return nil, errState
			}
			s.held = f
		}
		if s.rule < 1 || s.rule > Count || s.level > ofHalfHour || s.worst < Info || s.worst > Error {
			return nil, errState
		}
		c.slots = append(c.slots, s)
	}
	if r.bad || len(r.b) != 0 || bits > 3 || !slices.IsSortedFunc(c.slots, compareSlots) {
		return nil, errState
	}
	return c, nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// appendTime writes nanoseconds since 1970; the zero time as the least of them.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, -1<<63)
	}
	return binary.AppendVarint(dst, t.UnixNano())
}

// reader reads what State wrote; bad stays once something was amiss.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if !r.took(n) {
		return 0
	}
	return v
}

// took moves on by the n bytes of a number; n is not positive where there is none.
func (r *reader) took(n int) bool {
	if n <= 0 {
		r.bad, r.b = true, nil
		return false
	}
	r.b = r.b[n:]
	return true
}

// count reads a number of at most most.
func (r *reader) count(most int) int {
	v, n := binary.Uvarint(r.b)
	if !r.took(n) || v > uint64(most) {
		r.bad = true
		return 0
	}
	return int(v)
}

func (r *reader) time() time.Time {
	v := r.varint()
	if v == -1<<63 {
		return time.Time{}
	}
	return time.Unix(0, v).UTC()
}
