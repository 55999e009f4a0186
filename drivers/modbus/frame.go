package modbus

import (
	"encoding/binary"
	"errors"
)

// What is wrong with bytes that came where an answer was due.
var (
	errOtherUnit     = errors.New("another unit answered")
	errOtherFunction = errors.New("the answer is to another function")
	errOtherLength   = errors.New("the answer has another number of registers than were asked for")
	errTooMuch       = errors.New("more bytes came than the answer has")
	errCut           = errors.New("the answer ended early")
	errChecksum      = errors.New("the answer's checksum is wrong")
	errNotModbus     = errors.New("what came is not Modbus TCP")
	errNoisy         = errors.New("the wire does not fall silent")
	errShifted       = errors.New("bytes came that nobody had asked for: the answers may have been to other questions")
)

// isStrange reports whether bytes came that were no answer: then those before
// them may have been answers to other questions.
func isStrange(err error) bool {
	for _, e := range []error{errOtherUnit, errOtherFunction, errOtherLength, errTooMuch, errCut, errChecksum, errNotModbus, errShifted} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Functions that are asked (Modbus application protocol 1.1b3, section 6).
const (
	readCoils    = 0x01
	readDiscrete = 0x02
	readHolding  = 0x03
	readInput    = 0x04
	encapsulated = 0x2B // with 0x0E: read device identification
	exceptionBit = 0x80
)

// Lengths of RTU frames (Modbus over serial line 1.02, section 2.5.1).
const (
	maxFrame       = 256
	exceptionFrame = 5
	overhead       = 5 // unit, function, byte count, checksum
)

// answerLength says how long the answer to a question is, from what came of
// it so far: 0 while that cannot be said yet. An error says that this is no
// answer to this question. Both are whole RTU frames, without their checksum
// being looked at.
func answerLength(question, got []byte) (int, error) {
	switch {
	case len(got) > 0 && got[0] != question[0]:
		return 0, errOtherUnit
	case len(got) < 2:
		return 0, nil
	case got[1] == question[1]|exceptionBit:
		return exceptionFrame, nil
	case got[1] != question[1]:
		return 0, errOtherFunction
	case len(got) < 3:
		return 0, nil
	case question[1] == encapsulated:
		return identificationLength(question, got)
	case int(got[2]) != bytesOf(question[1], binary.BigEndian.Uint16(question[4:])):
		return 0, errOtherLength
	}
	return overhead + int(got[2]), nil
}

// bytesOf is how many bytes the answer to a question for so many registers, or
// bits, holds.
func bytesOf(function byte, count uint16) int {
	if function < readHolding {
		return (int(count) + 7) / 8
	}
	return 2 * int(count)
}

// identificationLength walks the objects of an answer to 2B/0E: unit,
// function, 0E, code, conformity, more, next, number; then id, length, bytes.
func identificationLength(question, got []byte) (int, error) {
	if got[2] != question[2] || len(got) > 3 && got[3] != question[3] {
		return 0, errOtherFunction
	}
	if len(got) < 8 {
		return 0, nil
	}
	n := 8
	for range got[7] {
		if len(got) < n+2 {
			return 0, nil
		}
		if n += 2 + int(got[n+1]); n+2 > maxFrame {
			return 0, errTooMuch
		}
	}
	return n + 2, nil
}
