package doctor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// OtherFraming is the same box spoken to the other way: RTU frames instead of
// Modbus TCP, or the reverse; "" where there is no other way.
func OtherFraming(url string) string {
	if rest, ok := strings.CutPrefix(url, "tcp://"); ok {
		return "rtuovertcp://" + rest
	}
	if rest, ok := strings.CutPrefix(url, "rtuovertcp://"); ok {
		return "tcp://" + rest
	}
	return ""
}

// Mute reports whether an error leaves it open that the box speaks another
// way: it took the connection, and gave no answer that can be understood.
func Mute(err error) bool {
	var e *drivers.Error
	if !errors.As(err, &e) || strings.HasPrefix(e.Op, "connect ") {
		return false
	}
	return e.Kind == drivers.Timeout || e.Kind == drivers.Protocol || e.Kind == drivers.Refused
}

// Framing says that a box speaks another way than configured: it was mute
// (see Mute) as configured, and answered the other way.
func Framing(url string, configured error, otherAnswered bool) string {
	other := OtherFraming(url)
	if other == "" || !Mute(configured) || !otherAnswered {
		return ""
	}
	scheme, _, _ := strings.Cut(other, "://")
	says := "this box passes serial (RTU) frames through, and the configuration speaks Modbus TCP to it"
	if scheme == "tcp" {
		says = "this box speaks Modbus TCP, and the configuration passes it serial (RTU) frames"
	}
	return fmt.Sprintf("%s: write url: %q", says, other)
}

// Settings says what to do where nobody on a serial wire could be understood.
func Settings(url string, err error) string {
	port, _, _ := strings.Cut(url, "?")
	if !strings.HasPrefix(url, "rtu://") || !Mute(err) || port == "" {
		return ""
	}
	return fmt.Sprintf("no meter on this wire could be understood as it is configured: perseus-agent scan %s finds their baud, parity and unit numbers", port)
}
