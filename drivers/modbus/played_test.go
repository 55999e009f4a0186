package modbus

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// played is a wire in virtual time. What is on its way when a connection is
// closed is lost, but on a serial line, where it arrives all the same.
type played struct {
	t                       *testing.T
	c                       *busCase
	mbap                    bool
	round, device, question int
	before                  []byte // the right answer to the question before
	way                     []piece
	broken                  bool
}

// piece is something on its way.
type piece struct {
	at    time.Time
	bytes []byte // nil: the end of the link
}

func (w *played) open() (link, error) {
	w.broken = false
	if w.mbap {
		w.way = nil
	}
	return w, nil
}

func (w *played) close() error { return nil }

func (w *played) readUntil(p []byte, deadline time.Time) (int, error) {
	switch {
	case w.broken:
		return 0, w.gone()
	case len(w.way) == 0 || w.way[0].at.After(deadline):
		time.Sleep(time.Until(deadline))
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(time.Until(w.way[0].at))
	if w.way[0].bytes == nil {
		w.way, w.broken = nil, true
		return 0, w.gone()
	}
	n := copy(p, w.way[0].bytes)
	if w.way[0].bytes = w.way[0].bytes[n:]; len(w.way[0].bytes) == 0 {
		w.way = w.way[1:]
	}
	return n, nil
}

func (w *played) gone() error {
	if w.mbap || strings.HasPrefix(w.c.URL, "rtuovertcp") {
		return io.EOF
	}
	return errUnplugged
}

// write takes a question, and puts on the way what comes for it.
func (w *played) write(q []byte) error {
	w.question++
	comes := []string{"RIGHT"}
	for _, x := range w.c.Wrong {
		if x.Round == w.round && x.Device == w.device && (x.Question == w.question || x.Question == 0) {
			comes = x.Comes
		}
	}
	right := w.right(q)
	at := time.Now().Add(10 * time.Millisecond)
	for _, s := range comes {
		if after, rest, ok := strings.Cut(s, " "); ok {
			if d, err := time.ParseDuration(after); err == nil {
				at, s = at.Add(d), rest
			}
		}
		if b, some := w.bytes(s, q, right); some {
			w.way = append(w.way, piece{at, b})
		}
	}
	if right != nil {
		w.before = right
	}
	return nil
}

// bytes are what a word of a case stands for; some is false for nothing.
func (w *played) bytes(s string, q, right []byte) (b []byte, some bool) {
	word, number, _ := strings.Cut(s, " ")
	n, _ := strconv.Atoi(number)
	switch word {
	case "RIGHT":
		return right, right != nil
	case "BEFORE": // the answer to the question before
		return w.before, w.before != nil
	case "NOTHING":
		return nil, false
	case "GONE":
		return nil, true
	case "FIRST": // so many bytes of the right answer
		return right[:n], true
	case "REST": // what is behind them
		return right[n:], true
	case "FLIPPED": // with a bit of that byte turned
		b = bytes.Clone(right)
		b[n] ^= 4
		return b, true
	case "REFUSED": // with an exception
		return w.frame(q, []byte{w.pdu(q)[0] | 0x80, byte(n)}), true
	case "SERIAL": // the right answer in the frame of a serial line
		return rtuFrame(q[6], right[7], right[8:]), true
	case "NUMBERED": // the right answer in the frame of Modbus TCP
		body := right[:len(right)-2]
		return append([]byte{0, 1, 0, 0, 0, byte(len(body))}, body...), true
	case "UNIT": // the right answer, as from that unit
		b = bytes.Clone(right)
		if w.mbap {
			b[6] = byte(n)
			return b, true
		}
		return rtuFrame(byte(n), right[1], right[2:len(right)-2]), true
	case "NUMBER": // the right answer with that number, which is not the question's
		b = bytes.Clone(right)
		binary.BigEndian.PutUint16(b, uint16(n))
		return b, true
	case "FEWER": // one register, however many were asked for
		return w.frame(q, []byte{w.pdu(q)[0], 2, 0, 1}), true
	case "ASKED": // somebody else's question, and its answer
		return rtuFrame(9, 4, []byte{0, 1, 0, 2}), true
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(s, "HEX "), " ", ""))
	if err != nil {
		w.t.Fatalf("%q: %v", s, err)
	}
	return b, true
}

// pdu is a question without its frame.
func (w *played) pdu(q []byte) []byte {
	if w.mbap {
		return q[7:]
	}
	return q[1 : len(q)-2]
}

func (w *played) unit(q []byte) byte {
	if w.mbap {
		return q[6]
	}
	return q[0]
}

// frame puts an answer into the frame of the wire.
func (w *played) frame(q, answer []byte) []byte {
	if w.mbap {
		b := append(bytes.Clone(q[:4]), 0, byte(1+len(answer)), q[6])
		return append(b, answer...)
	}
	return rtuFrame(q[0], answer[0], answer[1:])
}

// right is what a sound meter says; nil where there is none.
func (w *played) right(q []byte) []byte {
	pdu, unit := w.pdu(q), w.unit(q)
	prefix := fmt.Sprintf("%d/%s/", unit, map[byte]string{readHolding: "holding", readInput: "input"}[pdu[0]])
	words, known := map[uint16]string{}, false
	for place, values := range w.c.Registers {
		known = known || strings.HasPrefix(place, fmt.Sprintf("%d/", unit))
		if rest, ok := strings.CutPrefix(place, prefix); ok {
			from, err := strconv.ParseUint(rest, 0, 16)
			if err != nil {
				w.t.Fatalf("register %s: %v", place, err)
			}
			for i, word := range strings.Fields(values) {
				words[uint16(from)+uint16(i)] = word
			}
		}
	}
	switch {
	case !known:
		return nil
	case len(pdu) != 5:
		return w.frame(q, []byte{pdu[0] | 0x80, 1})
	}
	answer := []byte{pdu[0], 2 * pdu[4]}
	for i := range uint16(pdu[4]) {
		b, err := hex.DecodeString(words[binary.BigEndian.Uint16(pdu[1:])+i])
		if err != nil || len(b) != 2 {
			return w.frame(q, []byte{pdu[0] | 0x80, 2})
		}
		answer = append(answer, b...)
	}
	return w.frame(q, answer)
}
