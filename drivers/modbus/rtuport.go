package modbus

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	tty "github.com/goburrow/serial"
)

// errUnplugged is said of an adapter that is gone: reading it gives nothing,
// at once, for ever.
var errUnplugged = errors.New("the serial adapter is gone")

// byID is where Linux names serial adapters by what they are, which stays when
// one is plugged in anew and ttyUSB0 has become ttyUSB1.
const byID = "/dev/serial/by-id"

// adapter finds the same serial adapter again.
type adapter struct {
	path string // as configured
	dir  string // byID; tests have their own
	name string // its lasting name, once it is known
}

// open opens the port under its lasting name, which it notes at the first
// time. An adapter that has one is never looked for under the other name: that
// may be another adapter by now.
func (a *adapter) open(t target, gap time.Duration) (link, error) {
	path := a.path
	if a.name != "" {
		path = a.name
	}
	t.address = path
	l, err := openSerial(t, gap)
	if err == nil && a.name == "" {
		a.name = lasting(a.dir, path)
	}
	return l, err
}

// lasting gives the name by what it is of a port that is given by its number;
// "" where there is none, or more than one (two adapters without serial
// numbers share theirs).
func lasting(dir, path string) string {
	port, err := filepath.EvalSymlinks(path)
	if err != nil || port != path {
		return "" // a link is a choice of the installer's: it is kept to
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if to, err := filepath.EvalSymlinks(name); err == nil && to == port {
			return name
		}
	}
	return ""
}

// serialLink is a port of goburrow's, whose reads end by themselves after a
// short while.
type serialLink struct{ port io.ReadWriteCloser }

func openSerial(t target, gap time.Duration) (link, error) {
	port, err := tty.Open(&tty.Config{
		Address: t.address, BaudRate: t.baud, DataBits: 8, StopBits: t.stop, Parity: t.parity,
		Timeout: min(max(gap, 2*tick), 10*tick),
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: t.address, Err: err}
	}
	return &serialLink{port}, nil
}

func (s *serialLink) readUntil(p []byte, deadline time.Time) (int, error) {
	for {
		n, err := s.port.Read(p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, errUnplugged
		case errors.Is(err, tty.ErrTimeout), errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
			if !time.Now().Before(deadline) {
				return 0, os.ErrDeadlineExceeded
			}
		default:
			return 0, fmt.Errorf("%w: %w", errUnplugged, err)
		}
	}
}

func (s *serialLink) write(p []byte) error {
	n, err := s.port.Write(p)
	if err == nil && n == len(p) {
		return nil
	}
	return fmt.Errorf("%w: wrote %d of %d bytes: %w", errUnplugged, max(n, 0), len(p), errors.Join(err, io.ErrShortWrite))
}

func (s *serialLink) close() error { return s.port.Close() }

// socketLink is a connection to a device or converter.
type socketLink struct {
	conn    net.Conn
	timeout time.Duration
	until   time.Time // till then a write may take: one timeout from its beginning, or two
}

func (s *socketLink) readUntil(p []byte, deadline time.Time) (int, error) {
	if soon := time.Now().Add(tick); deadline.Before(soon) {
		deadline = soon // a deadline that has passed fails without looking
	}
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return s.conn.Read(p)
}

func (s *socketLink) write(p []byte) error {
	if now := time.Now(); s.until.Sub(now) < s.timeout { // not for each question of a round
		s.until = now.Add(2 * s.timeout)
		if err := s.conn.SetWriteDeadline(s.until); err != nil {
			return err
		}
	}
	_, err := s.conn.Write(p)
	return err
}

func (s *socketLink) close() error { return s.conn.Close() }

// portHint says what to do about a serial port that cannot be opened.
func portHint(err error) string {
	switch {
	case errors.Is(err, os.ErrPermission):
		return "the account that runs this is not in the group dialout"
	case errors.Is(err, os.ErrNotExist):
		return unplugged
	case errors.Is(err, syscall.EBUSY):
		return "another program has it open"
	}
	return "is this a serial port?"
}
