package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// corruptError carries a file that was found corrupt, still open and locked, so
// that nobody takes its successor for it.
type corruptError struct {
	why   string
	info  fs.FileInfo
	close func()
}

func (e *corruptError) Error() string { return e.why }

// setAside renames the corrupt file and lets go of it. It is errMoved when
// another process has done so already.
func (e *corruptError) setAside(path string, now time.Time) (string, error) {
	if there, err := os.Stat(path); err != nil || !os.SameFile(there, e.info) {
		e.close()
		return "", errMoved
	}
	where := free(path + ".corrupt-" + now.UTC().Format("20060102T150405Z"))
	err := os.Rename(path, where)
	if err == nil {
		moveCheckpoint(path, where)
		e.close()
	} else { // some systems rename no file that is open
		e.close()
		if err := os.Rename(path, where); err != nil {
			return "", err
		}
		moveCheckpoint(path, where)
	}
	return where, syncFolder(filepath.Dir(path))
}

// free gives a name that is not taken: the given one, or one with a number.
func free(name string) string {
	for n, try := 2, name; ; n++ {
		if _, err := os.Lstat(try); errors.Is(err, fs.ErrNotExist) {
			return try
		}
		try = fmt.Sprintf("%s-%d", name, n)
	}
}
