package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long Open waits for another process to let go of the file:
// long enough for a restart, short enough for a person.
const lockWait = 2 * time.Second

// allocate is by how much the file grows at a time. bbolt's own 16 MiB would
// be most of a small gateway's store.
const allocate = 128 << 10

// Report says what Open found.
type Report struct {
	Created  bool   // there was no store (or none that could be used): a clean one was begun
	SetAside string // where a corrupt file went; empty when there was none
	Reason   string // what was wrong with it, in plain words
}

// Open opens the store at path, and creates it, with its folder, where there is
// none. A file that is corrupt, or that no version of this program up to this
// one can have written, is renamed to <path>.corrupt-<UTC time>, and a clean
// store is begun in its place: the Report says so. The whole file is looked
// through for that, which takes as long as reading it.
//
// Errors: ErrInUse when another process holds the file; ErrFull when there is
// no room for a new one; anything the file system says about the folder or the
// file (no permission, not a file).
func Open(path string, o Options) (*Store, Report, error) {
	o = o.filled()
	var report Report
	for range 4 { // each turn begins again after a file came, went or was set aside
		if err := ensure(path, o, &report); err != nil {
			return nil, report, fmt.Errorf("the store %s cannot be opened: %w", path, err)
		}
		s, err := open(path, o)
		var bad *corruptError
		switch {
		case err == nil:
			return s, report, nil
		case errors.Is(err, errMoved):
		case errors.As(err, &bad):
			where, err := bad.setAside(path, o.Now())
			if errors.Is(err, errMoved) {
				continue
			}
			if err != nil {
				return nil, report, fmt.Errorf("the store %s is corrupt (%s) and cannot be set aside: %w", path, bad.why, err)
			}
			report.SetAside, report.Reason = where, bad.why
			o.Logger.Error("the store is corrupt: it was set aside and a clean one is begun", "path", path, "set aside", where, "cause", bad.why)
		case errors.Is(err, bolterrors.ErrTimeout):
			return nil, report, fmt.Errorf("%w: %s is held by %s: stop that first, or ask it instead through its page or API", ErrInUse, path, holder(path))
		default:
			return nil, report, fmt.Errorf("the store %s cannot be opened: %w", path, err)
		}
	}
	return nil, report, fmt.Errorf("the store %s cannot be opened: the file is replaced again and again by something else", path)
}

// errMoved says that the file that was locked is no longer the one at the path.
var errMoved = errors.New("the file was replaced")

// corruptError carries the file that was found corrupt. It is still locked
// unless bbolt let go of it, so that nobody takes its successor for it.
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
	base := path + ".corrupt-" + now.UTC().Format("20060102T150405Z")
	where := base
	for n := 2; ; n++ {
		if _, err := os.Lstat(where); errors.Is(err, fs.ErrNotExist) {
			break
		}
		where = fmt.Sprintf("%s-%d", base, n)
	}
	err := os.Rename(path, where)
	e.close()
	if err != nil { // some systems rename no file that is open
		err = os.Rename(path, where)
	}
	if err != nil {
		return "", err
	}
	return where, syncFolder(filepath.Dir(path))
}

func open(path string, o Options) (_ *Store, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	s := &Store{path: path, o: o, log: o.Logger, offered: map[uint32]*window{}}
	var info fs.FileInfo // of the file that was opened, which may not be at the path any more
	letGo := func() {
		if s.db != nil {
			s.quietly(func() { _ = s.db.Close() })
		}
		_ = s.file.Close() // bbolt has done so, unless it panicked
	}
	corrupt := func(why string) error { return &corruptError{why: why, info: info, close: letGo} }
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(fmt.Sprintf("reading it failed: %v", r))
		}
	}()
	s.db, err = bolt.Open(path, 0o600, &bolt.Options{
		Timeout: lockWait,
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			if s.file, err = os.OpenFile(name, flag&^os.O_CREATE, mode); err != nil { // creating is ensure's work
				return nil, err
			}
			info, err = s.file.Stat()
			return s.file, err
		},
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errMoved
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum):
		return nil, corrupt("it is not a store: " + err.Error())
	case errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, corrupt("it has another file format")
	case err != nil && strings.Contains(err.Error(), "file size too small"):
		return nil, corrupt("it is cut off: " + err.Error())
	case err != nil:
		return nil, err
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(there, info) {
		letGo()
		return nil, errMoved
	}
	if why, err := s.inspect(); err != nil {
		letGo()
		return nil, err
	} else if why != nil {
		return nil, corrupt(why.Error())
	}
	s.db.AllocSize = allocate
	switch err := s.mend(); {
	case errors.Is(err, ErrDamaged):
		return nil, corrupt(err.Error())
	case err != nil && !errors.Is(err, ErrFull):
		letGo()
		return nil, err
	}
	return s, nil
}

// inspect looks through the file while its lock is held. The first result is
// what is wrong with the file, the second why it could not be looked at.
func (s *Store) inspect() (why, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if why := checkFile(f, info.Size()); why != nil {
		return why, nil
	}
	return s.view("looking through the store", prepared), nil
}
