package modbus

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
)

func isException(err error) bool {
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

func isMissingRegister(err error) bool {
	return errors.Is(err, wire.ErrIllegalDataAddress) || errors.Is(err, wire.ErrIllegalDataValue)
}

// explain gives an error its kind and a hint for the installer.
func (b *Bus) explain(r request, unit uint8, err error) error {
	e := &drivers.Error{Kind: drivers.Protocol, Op: r.name(unit), Err: err}
	var timeout net.Error
	switch {
	case isMissingRegister(err):
		e.Kind, e.Hint = drivers.Exception, "is the address counted from 0, and the table right?"
	case errors.Is(err, wire.ErrGWTargetFailedToRespond):
		e.Kind, e.Hint = drivers.Exception, "the converter answers, the meter behind it does not: check the unit number and the wiring"
	case isException(err):
		e.Kind = drivers.Exception
	case errors.Is(err, wire.ErrRequestTimedOut), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		e.Kind, e.Hint = drivers.Timeout, "check the unit number and the wiring; "+otherFraming(b.framed)
	case errors.Is(err, io.EOF) || strings.Contains(err.Error(), "connection reset"):
		e.Kind, e.Hint = drivers.Refused, "the device closed the connection: does another program use it?"
	}
	return e
}

// otherFraming is what to try when a box takes the connection and stays silent.
func otherFraming(framed bool) string {
	if framed {
		return "the box may speak Modbus TCP: try tcp://"
	}
	return "a converter may pass serial frames through: try rtuovertcp://"
}
