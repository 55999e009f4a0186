package store

import (
	"errors"
	"strings"

	"golang.org/x/sys/windows"
)

// isFull reports whether an error says that there is no room on the disk or in
// a quota. bbolt wraps some of its errors as text only, so the text is looked at too.
func isFull(err error) bool {
	for _, full := range []error{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED} {
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// syncFolder does nothing: Windows keeps renames in the file system's journal
// and does not let folders be synced.
func syncFolder(string) error { return nil }
