package modbus

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	tty "github.com/goburrow/serial"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// port is a serial port that gives what a test says.
type port struct {
	reads  []error // nil: nothing, as of an adapter that is gone
	closed bool
}

func (p *port) Read([]byte) (int, error) {
	if len(p.reads) == 0 {
		return 0, nil
	}
	err := p.reads[0]
	p.reads = p.reads[1:]
	return -1, err
}
func (p *port) Write(b []byte) (int, error) { return len(b), nil }
func (p *port) Close() error                { p.closed = true; return nil }

func TestGoneAdapterIsNotReadInCircles(t *testing.T) {
	for _, reads := range [][]error{{}, {syscall.EIO}, {tty.ErrTimeout, syscall.EINTR, syscall.EAGAIN, syscall.ENXIO}} {
		p := &port{reads: reads}
		b := faultyBus(t, slow, time.Second)
		opened := 0
		b.rtu.dial = func() (link, error) { opened++; return &serialLink{p}, nil }
		b.rtu.line.until = time.Now() // no quarantine
		_, err := b.Poll(t.Context(), 0, nil)
		var de *drivers.Error
		if !errors.As(err, &de) || de.Kind != drivers.Refused || !errors.Is(err, errUnplugged) || !p.closed || opened != 1 {
			t.Errorf("%v: %v, closed %t, opened %d times", reads, err, p.closed, opened)
		}
	}
}

func TestLastingNames(t *testing.T) {
	dir := t.TempDir()
	port := filepath.Join(dir, "ttyUSB0")
	ids := filepath.Join(dir, "by-id")
	if err := errors.Join(os.WriteFile(port, nil, 0o600), os.WriteFile(port+"1", nil, 0o600), os.Mkdir(ids, 0o700),
		os.Symlink("../ttyUSB01", filepath.Join(ids, "usb-a")), os.Symlink("../gone", filepath.Join(ids, "usb-b"))); err != nil {
		t.Skip(err)
	}
	if got := lasting(ids, port); got != "" {
		t.Errorf("a port without a name: %q", got)
	}
	if err := os.Symlink("../ttyUSB0", filepath.Join(ids, "usb-c")); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(port)
	if err != nil {
		t.Fatal(err)
	}
	if got := lasting(ids, real); got != filepath.Join(ids, "usb-c") {
		t.Errorf("%q", got)
	}
	for _, path := range []string{filepath.Join(ids, "usb-c"), filepath.Join(dir, "none")} {
		if got := lasting(ids, path); got != "" {
			t.Errorf("%s: %q, want it to be kept to", path, got)
		}
	}
	if got := lasting(filepath.Join(dir, "nowhere"), real); got != "" {
		t.Errorf("without such names: %q", got)
	}
}

func TestPortHints(t *testing.T) {
	for want, err := range map[string]error{
		"dialout": &os.PathError{Err: syscall.EACCES}, "plugged in": &os.PathError{Err: syscall.ENOENT}, "another program": &os.PathError{Err: syscall.EBUSY},
		"a serial port?": &os.PathError{Err: syscall.ENOTTY},
	} {
		if got := portHint(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	b := faultyBus(t, "rtu:///dev/none/ttyUSB0", time.Second)
	_, err := b.Poll(t.Context(), 0, nil)
	if err == nil || !strings.Contains(err.Error(), "is the adapter plugged in?") || bytes.Count([]byte(err.Error()), []byte("plugged in")) != 1 {
		t.Error(err)
	}
}
