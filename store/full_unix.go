//go:build !windows

package store

import (
	"errors"
	"os"
	"strings"
	"syscall"
)

// isFull reports whether an error says that there is no room: on the disk, in a
// quota, or under a limit on the size of files. bbolt wraps some of its errors
// as text only, so the text is looked at too.
func isFull(err error) bool {
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// syncFolder makes a rename in the folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err // EINVAL, ENOTSUP: a file system on which folders cannot be synced
	}
	return nil
}
