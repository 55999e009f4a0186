package modbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	wire "github.com/simonvetter/modbus"
)

// mbapClient speaks Modbus TCP, also over TLS and UDP. Its frames carry a
// number by which an answer finds its question, so that a late answer, or one
// that comes again, is known and thrown away. They have no checksum: an answer
// that is cut short would be filled up with the beginning of whatever comes
// next (github.com/simonvetter/modbus returns such values), so that all bytes
// that come must be whole frames.
type mbapClient struct {
	dial    func() (link, error)
	packets bool // UDP: no frame goes on in the next packet
	timeout time.Duration
	counts  *counts
	link    link
	unit    uint8

	number   uint16 // of the last question
	question []byte // the last one; its memory is used again
	buffer   [2 * maxMBAP]byte
	proven   bool // this connection has brought an answer
	gone     bool // it ended with no answer begun to the last question
	accepted bool // there are answers in this round
	strange  bool // and something that was no answer
}

const (
	mbapHeader = 7                // number, protocol, length, unit
	maxMBAP    = mbapHeader + 253 // Modbus messaging on TCP/IP 1.0b, section 3.1
)

func (c *mbapClient) Open() (err error) {
	if c.link, err = c.dial(); err != nil {
		return err
	}
	c.proven = false
	// Some converters give a new connection the answers to the one before it.
	c.number = uint16(rand.Uint32())
	return nil
}

func (c *mbapClient) Close() error {
	if c.link == nil {
		return nil
	}
	l := c.link
	c.link = nil
	return l.close()
}

func (c *mbapClient) SetUnitId(u uint8) error { c.unit = u; return nil }

func (c *mbapClient) begin() { c.accepted, c.strange = false, false }

func (c *mbapClient) believed(context.Context) error {
	if c.accepted && c.strange {
		return errShifted
	}
	return nil
}

// ReadRawBytes reads registers; as in the library, size counts bytes.
func (c *mbapClient) ReadRawBytes(address, size uint16, t wire.RegType) ([]byte, error) {
	function := byte(readHolding)
	if t == wire.INPUT_REGISTER {
		function = readInput
	}
	answer, err := c.exchange(function, byte(address>>8), byte(address), byte(size/2>>8), byte(size/2))
	switch {
	case err != nil:
		return nil, err
	case len(answer) != 1+int(size) || int(answer[0]) != int(size):
		return nil, c.fail(errOtherLength)
	}
	return answer[1:], nil
}

// bits reads coils or discrete inputs.
func (c *mbapClient) bits(function byte, address, count uint16) ([]byte, error) {
	data := binary.BigEndian.AppendUint16(make([]byte, 0, 4), address)
	data = binary.BigEndian.AppendUint16(data, count)
	answer, err := c.exchange(function, data...)
	n := bytesOf(function, count)
	switch {
	case err != nil:
		return nil, err
	case len(answer) != 1+n || int(answer[0]) != n:
		return nil, c.fail(errOtherLength)
	}
	return answer[1:], nil
}

func (c *mbapClient) encapsulated(data []byte) ([]byte, error) {
	return c.exchange(encapsulated, data...)
}

func (c *mbapClient) fail(err error) error {
	if isStrange(err) {
		c.strange = true
		c.counts.threw(0)
	}
	return err
}

// exchange asks the unit, and gives the answer without unit and function. It
// holds until the next exchange.
func (c *mbapClient) exchange(function byte, data ...byte) ([]byte, error) {
	answer, err := c.once(function, data)
	if !c.gone || !c.proven || c.packets {
		return answer, err
	}
	// Many devices close a connection that is idle, some after each answer. The
	// question went into a closed one: it is asked again on a new one, once.
	c.Close()
	if c.Open() != nil {
		return nil, err
	}
	c.counts.connects.Add(1)
	return c.once(function, data)
}

func (c *mbapClient) once(function byte, data []byte) ([]byte, error) {
	c.number++
	c.gone = false
	c.question = append(binary.BigEndian.AppendUint16(c.question[:0], c.number), 0, 0, 0, byte(2+len(data)), c.unit, function)
	c.question = append(c.question, data...)
	if err := c.link.write(c.question); err != nil {
		c.gone = !errors.Is(err, os.ErrDeadlineExceeded)
		return nil, err
	}
	c.counts.asked(len(c.question))
	frame, err := c.answer(time.Now().Add(c.timeout))
	if err != nil {
		return nil, c.fail(err)
	}
	unit, got, answer := frame[6], frame[7], frame[8:]
	switch {
	case unit != c.unit && (got != function|exceptionBit || unit != 255): // converters refuse as unit 255
		return nil, c.fail(errOtherUnit)
	case got == function|exceptionBit && len(answer) == 1:
		c.proven = true
		return nil, exception(answer[0])
	case got != function:
		return nil, c.fail(errOtherFunction)
	}
	c.accepted, c.proven = true, true
	return answer, nil
}

// answer reads frames until it has that of the last question.
func (c *mbapClient) answer(deadline time.Time) ([]byte, error) {
	var have []byte
	for {
		frame, rest, err := c.find(have)
		switch {
		case err != nil:
			return nil, err
		case frame != nil:
			return frame, c.whole(frame, rest)
		case c.packets && len(rest) > 0:
			return nil, errCut
		}
		have = c.buffer[:copy(c.buffer[:], rest)]
		n, err := c.link.readUntil(c.buffer[len(have):], deadline)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && len(have) > 0:
			return nil, errCut
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, wire.ErrRequestTimedOut
		case err != nil:
			c.gone = len(have) == 0
			return nil, err
		}
		have = c.buffer[:len(have)+n]
		c.counts.received(n)
	}
}

// find gives the frame that answers the last question, and what came behind
// it; nil while it is not there. It drops answers to other questions.
func (c *mbapClient) find(have []byte) (frame, rest []byte, err error) {
	for len(have) >= mbapHeader-1 {
		n := mbapHeader - 1 + int(binary.BigEndian.Uint16(have[4:]))
		if have[2]|have[3] != 0 || n < mbapHeader+2 || n > maxMBAP {
			return nil, nil, errNotModbus
		}
		if len(have) < n {
			break
		}
		if binary.BigEndian.Uint16(have) == c.number {
			return have[:n], have[n:], nil
		}
		have = have[n:]
		c.counts.threw(0)
	}
	return nil, have, nil
}

// whole says whether what came behind an answer are whole frames too: if not,
// the answer may have eaten of them. The answer once more does no harm.
func (c *mbapClient) whole(frame, rest []byte) error {
	for len(rest) > 0 {
		again, next, err := c.find(rest)
		if err != nil || again == nil && len(next) > 0 || again != nil && !bytes.Equal(again, frame) {
			return errTooMuch
		}
		rest = next
	}
	return nil
}
