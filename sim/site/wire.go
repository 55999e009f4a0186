package site

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// wire is a Modbus bus: who is on it, and what goes wrong with answers. One
// question is under way at a time, as on a gateway's serial side.
type wire struct {
	stations map[uint8]*station
	dice     *fault.Dice
	now      func() time.Time
	timeout  time.Duration // how long the asker waits
	serial   bool          // nobody answers for a unit that is not there
	before   *asked        // the last answer
}

// asked is a question, and what is right to say to it.
type asked struct {
	unit   uint8
	number uint16 // Modbus TCP: of the question
	answer []byte // function and data
}

// emission is something that comes after a question.
type emission struct {
	after time.Duration // the one before it
	bytes []byte
	gone  bool // the connection is closed instead
}

// framer puts an answer into a frame.
type framer func(a asked) []byte

// The faults that Modbus buses can play. Frames of Modbus TCP have no checksum.
var (
	modbusFaults = []string{"late", "lost", "zero", "nan", "stale", "repeat", "swap", "foreign", "split", "short", "busy", "disconnect", "restart", "freeze", "exchange", "rollover", "alarm", "reversed"}
	rtuFaults    = append(slices.Clone(modbusFaults), "checksum")
)

// The functions and exceptions that are played (Modbus application protocol
// 1.1b3, sections 6 and 7).
const (
	readCoils       = 0x01
	readDiscrete    = 0x02
	readHolding     = 0x03
	readInput       = 0x04
	identify        = 0x2B
	illegalFunction = 0x01
	illegalAddress  = 0x02
	deviceBusy      = 0x06
	noSuchUnit      = 0x0B
	oldAnswer       = time.Minute // of a gateway that keeps answers
)

// answer is what is right to say to a question; nil for nothing.
func (w *wire) answer(unit uint8, pdu []byte, t time.Time, m moment) []byte {
	s := w.stations[unit]
	switch {
	case s == nil && w.serial:
		return nil
	case s == nil:
		return []byte{pdu[0] | 0x80, noSuchUnit}
	case pdu[0] == identify && len(pdu) == 4 && pdu[1] == 0x0E:
		return s.identification(pdu)
	case (pdu[0] == readCoils || pdu[0] == readDiscrete) && len(pdu) == 5 && len(s.alarms) > 0:
		return s.flags(pdu)
	case pdu[0] != readHolding && pdu[0] != readInput || len(pdu) != 5:
		return []byte{pdu[0] | 0x80, illegalFunction}
	}
	address, n := binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:])
	if n < 1 || n > 125 || int(address)+int(n) > 0x10000 {
		return []byte{pdu[0] | 0x80, 0x03}
	}
	data, ok := s.words(pdu[0] == readInput, address, n, t, m)
	if !ok {
		return []byte{pdu[0] | 0x80, illegalAddress}
	}
	return append([]byte{pdu[0], byte(2 * n)}, data...)
}

// flags is the answer to a question for single bits.
func (u *station) flags(pdu []byte) []byte {
	n := binary.BigEndian.Uint16(pdu[3:])
	if n < 1 || n > 2000 {
		return []byte{pdu[0] | 0x80, 0x03}
	}
	bits, ok := u.bits(word(pdu[0] == readCoils, "coil", "discrete"), binary.BigEndian.Uint16(pdu[1:]), n)
	if !ok {
		return []byte{pdu[0] | 0x80, illegalAddress}
	}
	return append([]byte{pdu[0], byte(len(bits))}, bits...)
}

// identification is the answer to 2B/0E: maker and product, basic stream only.
func (u *station) identification(pdu []byte) []byte {
	out := []byte{identify, 0x0E, pdu[2], 0x01, 0x00, 0x00, 3}
	for i, s := range []string{"Perseus Edge simulator", u.title, "1"} {
		s = s[:min(len(s), 60)]
		out = append(append(out, byte(i), byte(len(s))), s...)
	}
	return out
}

// play says what comes after a question: unit and what is asked of it. The
// frame that it is given puts an answer into the wire's own form.
func (w *wire) play(number uint16, unit uint8, pdu []byte, frame framer) []emission {
	now, m := w.now(), plain
	if since, left, on := w.dice.On("restart"); on {
		if since < left { // the first half of it
			return []emission{{gone: true}}
		}
		m = zeros
	}
	if _, _, on := w.dice.On("disconnect"); on {
		return []emission{{gone: true}}
	}
	name := w.dice.Draw()
	switch name {
	case "zero":
		m = zeros
	case "nan":
		m = nothing
	case "stale":
		now = now.Add(-oldAnswer)
	}
	right := asked{unit, number, w.answer(unit, pdu, now, m)}
	if right.answer == nil {
		return nil
	}
	before := w.before
	w.before = &right
	bytes := frame(right)
	pause := w.timeout / 10
	switch name {
	case "late":
		return []emission{{after: w.timeout + w.dice.Duration(w.timeout), bytes: bytes}}
	case "lost":
		return nil
	case "repeat":
		return []emission{{bytes: bytes}, {after: w.dice.Duration(w.timeout / 2), bytes: bytes}}
	case "swap":
		if before != nil {
			return []emission{{bytes: frame(*before)}, {after: pause / 4, bytes: bytes}}
		}
	case "foreign":
		other := asked{unit ^ 3, number, slices.Clone(right.answer)}
		out := []emission{{bytes: frame(other)}}
		if w.dice.Int(2) == 0 {
			out = append(out, emission{after: pause / 4, bytes: bytes})
		}
		return out
	case "split":
		return w.pieces(bytes, pause)
	case "short":
		return []emission{{bytes: bytes[:1+w.dice.Int(len(bytes)-1)]}}
	case "checksum":
		bytes = slices.Clone(bytes)
		bytes[w.dice.Int(len(bytes))] ^= 1 << w.dice.Int(8)
	case "busy":
		bytes = frame(asked{unit, number, []byte{pdu[0] | 0x80, deviceBusy}})
	}
	return []emission{{bytes: bytes}}
}

// pieces is an answer in some pieces.
func (w *wire) pieces(bytes []byte, pause time.Duration) (out []emission) {
	for len(bytes) > 0 {
		n := 1 + w.dice.Int(len(bytes))
		out = append(out, emission{after: w.dice.Duration(pause), bytes: bytes[:n]})
		bytes = bytes[n:]
	}
	return out
}

// rtu is the frame of a serial line: unit, answer, checksum.
func rtu(a asked) []byte {
	out := append([]byte{a.unit}, a.answer...)
	return binary.LittleEndian.AppendUint16(out, crc(out))
}

// crc is the checksum of Modbus over serial line 1.02, section 6.2.2.
func crc(b []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			odd := sum & 1
			if sum >>= 1; odd == 1 {
				sum ^= 0xA001
			}
		}
	}
	return sum
}

// mbap is the frame of Modbus TCP: number, protocol, length, unit, answer.
func mbap(a asked) []byte {
	out := binary.BigEndian.AppendUint16(nil, a.number)
	out = binary.BigEndian.AppendUint16(append(out, 0, 0), uint16(1+len(a.answer)))
	return append(append(out, a.unit), a.answer...)
}
