package store

import (
	"os"
	"syscall"
)

// dataSync makes what was written durable. The file's room is taken already, so
// that its times are all that fsync would do more.
func dataSync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
