package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// runPort answers on a serial port without an adapter: a pseudo-terminal, to
// which address, a link, leads. While the wire is gone so is the port, as when
// the adapter is pulled.
func (l *line) runPort(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := l.plugIn(ctx); err != nil {
			return err
		}
		for ctx.Err() == nil && l.away() {
			wait(ctx, 20*time.Millisecond)
		}
	}
	return nil
}

// away reports whether the wire is gone.
func (l *line) away() bool {
	since, left, off := l.dice.On("restart")
	_, _, gone := l.dice.On("disconnect")
	return gone || off && since < left
}

// plugIn makes the port and answers on it until ctx ends or it is pulled.
func (l *line) plugIn(ctx context.Context) error {
	far, near, path, err := terminal()
	if err != nil {
		return fmt.Errorf("a serial port to play on: %w", err)
	}
	defer near.Close()
	defer far.Close()
	if err := os.Remove(l.address); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(path, l.address); err != nil {
		return err
	}
	defer os.Remove(l.address)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// It may be pulled while nobody asks.
	go func() {
		for wait(ctx, 20*time.Millisecond) {
			if l.away() {
				break
			}
		}
		far.Close()
	}()
	l.serve(ctx, far, far)
	return nil
}

// terminal makes a pseudo-terminal: what is written to the far end comes out
// of the port at path, and the other way round. The near end is held open so
// that the far end hears nothing but questions while the port is closed.
func terminal() (far, near *os.File, path string, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, "", os.NewSyscallError("open /dev/ptmx", err)
	}
	far = os.NewFile(uintptr(fd), "/dev/ptmx") // not blocking: closing it ends a read
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		far.Close()
		return nil, nil, "", err
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		far.Close()
		return nil, nil, "", err
	}
	path = fmt.Sprintf("/dev/pts/%d", n)
	if near, err = os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		far.Close()
		return nil, nil, "", err
	}
	raw := &unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B9600} // else it would echo
	raw.Cc[unix.VMIN] = 1                                                         // a read waits
	if err := unix.IoctlSetTermios(int(near.Fd()), unix.TCSETS, raw); err != nil {
		near.Close()
		far.Close()
		return nil, nil, "", err
	}
	return far, near, path, nil
}
