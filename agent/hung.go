package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// hung is which meters hung at a register's place, by the serial numbers that
// they gave themselves: an exchange that the operator states is counted only
// from the meter that was read before. (Where two were exchanged and one of
// them never answered, its closing reading would be taken for the first one's.)
type hung struct {
	device  [8]byte      // of the meter that the baseline is of; zero: it gave none
	changes []changeover // the last ones, in the order of time
}

// changeover is when another meter's first reading was taken, or an exchange
// was counted that the operator had stated.
type changeover struct {
	at  int64 // unix milliseconds
	was [8]byte
}

// maxChanges bounds what is kept: nobody states an exchange after so many more.
const maxChanges = 8

// next takes note of whose reading the baseline is now: as it was read, or as
// it was stated of the new meter.
func (h *hung) next(at time.Time, device [8]byte) {
	if h.device != ([8]byte{}) && h.device != device {
		if len(h.changes) == maxChanges {
			h.changes = slices.Delete(h.changes, 0, 1)
		}
		h.changes = append(h.changes, changeover{at.UnixMilli(), h.device})
	}
	h.device = device
}

// around gives the meters on either side of a stretch without half-hours;
// zero where they gave no serial number. They are the same one where the serial
// number changed elsewhere.
func (h *hung) around(from, to time.Time) (before, after [8]byte) {
	i := 0
	for i < len(h.changes) && h.changes[i].at < from.UnixMilli() {
		i++
	}
	before = h.before(i)
	if i < len(h.changes) && h.changes[i].at <= to.UnixMilli() {
		i++
	}
	return before, h.before(i)
}

// before is the meter that hung there up to change i.
func (h *hung) before(i int) [8]byte {
	if i < len(h.changes) {
		return h.changes[i].was
	}
	return h.device
}

// closes says why an exchange cannot be counted, of which the old meter is said
// to be the one with a serial number, and was the one that is given here.
func closes(oldSerial string, was [8]byte) error {
	switch {
	case was == ([8]byte{}), oldSerial != "" && hash8(oldSerial) == was:
		return nil
	case oldSerial == "":
		return errors.New("the meter before gave its serial number: say of which meter the closing reading is (old_serial), or it could be that of yet another which was never read")
	}
	return errors.New("the closing reading is of the meter " + oldSerial + ", and the one that was read before has another serial number: correct old_serial, or state the exchange before this one too")
}

// allow says why the exchanges that are stated for one break of the register
// cannot be counted: the first one's old meter must be the one that was read
// before, the last one's new meter the one that was read since, and each new
// meter the next one's old one.
func (h *hung) allow(xs []*config.Exchange, from, to time.Time) error {
	before, after := h.around(from, to)
	for i, x := range xs {
		if i == 0 {
			if err := closes(x.OldSerial, before); err != nil {
				return err
			}
			continue
		}
		was := xs[i-1].NewSerial
		if x.OldSerial != was && (before != ([8]byte{}) || x.OldSerial != "" && was != "") {
			return fmt.Errorf("the exchange before it, of %s, put up the meter %q, and its closing reading is of %q: name the same in both (new_serial, then old_serial), or state the exchange between them too", xs[i-1].At.Format(time.RFC3339), was, x.OldSerial)
		}
	}
	if n := len(xs); n > 0 && after != before && xs[n-1].NewSerial != "" && hash8(xs[n-1].NewSerial) != after {
		return fmt.Errorf("the opening reading is of the meter %s, and the one that was read since has another serial number: correct new_serial, or state the exchange after this one too", xs[n-1].NewSerial)
	}
	return nil
}

func (h *hung) append(dst []byte) []byte {
	dst = append(dst, h.device[:]...)
	dst = append(dst, byte(len(h.changes)))
	for _, c := range h.changes {
		dst = append(binary.AppendVarint(dst, c.at), c.was[:]...)
	}
	return dst
}

func parseHung(b []byte) (h hung, rest []byte, err error) {
	if len(b) < 9 || b[8] > maxChanges {
		return h, nil, errKept
	}
	n := int(b[8])
	copy(h.device[:], b)
	b = b[9:]
	for range n {
		at, k := binary.Varint(b)
		if k <= 0 || len(b) < k+8 {
			return h, nil, errKept
		}
		h.changes = append(h.changes, changeover{at, [8]byte(b[k:])})
		b = b[k+8:]
	}
	return h, b, nil
}
