package modbus

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// exceptions are a device's own words, by their number (Modbus application
// protocol 1.1b3, section 7).
var exceptions = map[byte]error{
	1: wire.ErrIllegalFunction, 2: wire.ErrIllegalDataAddress, 3: wire.ErrIllegalDataValue, 4: wire.ErrServerDeviceFailure, 5: wire.ErrAcknowledge,
	6: wire.ErrServerDeviceBusy, 8: wire.ErrMemoryParityError, 10: wire.ErrGWPathUnavailable, 11: wire.ErrGWTargetFailedToRespond,
}

// unknownException is one that the protocol does not know.
type unknownException byte

func (e unknownException) Error() string { return fmt.Sprintf("exception %d", byte(e)) }

func exception(code byte) error {
	if err := exceptions[code]; err != nil {
		return err
	}
	return unknownException(code)
}

func isException(err error) bool {
	if err == nil { // each poll asks
		return false
	}
	if u := unknownException(0); errors.As(err, &u) {
		return true
	}
	switch {
	case errors.Is(err, wire.ErrIllegalFunction), errors.Is(err, wire.ErrIllegalDataAddress),
		errors.Is(err, wire.ErrIllegalDataValue), errors.Is(err, wire.ErrServerDeviceFailure),
		errors.Is(err, wire.ErrAcknowledge), errors.Is(err, wire.ErrServerDeviceBusy),
		errors.Is(err, wire.ErrMemoryParityError), errors.Is(err, wire.ErrGWPathUnavailable),
		errors.Is(err, wire.ErrGWTargetFailedToRespond):
		return true
	}
	return false
}

// isSilence reports whether a failure leaves it open who answers next: all but
// a device's own word that it has no such register.
func isSilence(err error) bool {
	return !isMissingRegister(err) && !errors.Is(err, wire.ErrIllegalFunction)
}

// isPassing reports whether a refusal says nothing of the registers: the device
// is busy, or a gateway cannot reach it.
func isPassing(err error) bool {
	return errors.Is(err, wire.ErrServerDeviceBusy) || errors.Is(err, wire.ErrAcknowledge) || errors.Is(err, wire.ErrGWPathUnavailable) || errors.Is(err, wire.ErrGWTargetFailedToRespond)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, wire.ErrRequestTimedOut) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func isMissingRegister(err error) bool {
	return errors.Is(err, wire.ErrIllegalDataAddress) || errors.Is(err, wire.ErrIllegalDataValue)
}

// explain gives an error its kind and a hint for the installer.
func (b *Bus) explain(op string, err error) error {
	e := &drivers.Error{Kind: drivers.Protocol, Op: op, Err: err}
	switch {
	case isMissingRegister(err):
		e.Kind, e.Hint = drivers.Exception, "is the address counted from 0, and the table right?"
	case errors.Is(err, wire.ErrGWTargetFailedToRespond):
		e.Kind, e.Hint = drivers.Exception, "the converter answers, the meter behind it does not: check the unit number and the wiring"
	case isException(err):
		e.Kind = drivers.Exception
	case isTimeout(err):
		e.Kind, e.Hint = drivers.Timeout, b.silence()
	case errors.Is(err, errUnplugged):
		e.Kind, e.Hint = drivers.Refused, unplugged
	case errors.Is(err, errChecksum) || errors.Is(err, errCut):
		e.Hint = "check the wiring, its far end's resistor and the baud rate"
	case errors.Is(err, errOtherUnit) || errors.Is(err, errOtherFunction) || errors.Is(err, errOtherLength) || errors.Is(err, errTooMuch) || errors.Is(err, errShifted):
		e.Hint = "an answer that came late, or another master on this wire? Nothing of it is used"
	case errors.Is(err, errNotModbus):
		e.Hint = "a converter may pass serial frames through: try rtuovertcp://"
	case errors.Is(err, io.EOF) || strings.Contains(err.Error(), "connection reset"):
		e.Kind, e.Hint = drivers.Refused, "the device closed the connection: does another program use it?"
	}
	return e
}

const unplugged = "is the adapter plugged in? It is opened again by itself"

// silence is what to try when nothing answers.
func (b *Bus) silence() string {
	switch b.target.scheme {
	case "rtu":
		return "check the unit number, baud, parity and stop, and whether A and B are the right way round"
	case "rtuovertcp":
		return "check the unit number and the wiring; the box may speak Modbus TCP: try tcp://"
	}
	return "check the unit number and the wiring; a converter may pass serial frames through: try rtuovertcp://"
}
