package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
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
// no room for a new one; ErrDamaged for a corrupt file with Options.LeaveDamaged;
// anything the file system says about the folder or the
// file (no permission, not a file).
func Open(path string, o Options) (*Store, Report, error) {
	o = o.filled()
	var report Report
	for range 4 { // each turn begins again after a file came, went or was set aside
		if err := ensure(path, &report); err != nil {
			return nil, report, fmt.Errorf("the store %s cannot be opened: %w", path, err)
		}
		s, err := open(path, o)
		var bad *corruptError
		switch {
		case err == nil:
			return s, report, nil
		case errors.Is(err, errMoved):
		case errors.As(err, &bad) && o.LeaveDamaged:
			bad.close()
			return nil, report, fmt.Errorf("%w: %s: %s", ErrDamaged, path, bad.why)
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
		case errors.Is(err, errLocked), errors.Is(err, bolterrors.ErrTimeout):
			return nil, report, fmt.Errorf("%w: %s is held by %s: stop that first, or ask it instead through its page or API", ErrInUse, path, holder(path))
		default:
			return nil, report, fmt.Errorf("the store %s cannot be opened: %w", path, err)
		}
	}
	return nil, report, fmt.Errorf("the store %s cannot be opened: the file is replaced again and again by something else", path)
}

var (
	errMoved  = errors.New("the file was replaced") // the file that was opened is no longer the one at the path
	errLocked = errors.New("the file is locked")
)

// open opens a file that exists.
func open(path string, o Options) (*Store, error) {
	if err := inspect(path); err != nil {
		return nil, err
	}
	return attach(path, o)
}

// inspect looks through the file under its lock, before bbolt sees it: bbolt
// trusts what it reads, to the point of allocating what a bad page asks for.
func inspect(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if err != nil {
		return err
	}
	info, err := lock(f, path)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	why := errors.New("it is empty")
	if note, err := os.ReadFile(path + noteSuffix); err == nil {
		why = fmt.Errorf("it could not be written to: %s", note)
	} else if info.Size() > 0 {
		why = checkFile(f, info.Size())
	}
	if why != nil {
		return &corruptError{why: why.Error(), info: info, close: func() { _ = f.Close() }}
	}
	return f.Close()
}

// lock waits for the file's lock and makes sure that the file is still the one at the path.
func lock(f *os.File, path string) (fs.FileInfo, error) {
	for begun := time.Now(); ; time.Sleep(lockWait / 50) {
		ok, err := tryLock(f)
		if err != nil {
			return nil, fmt.Errorf("locking it: %w", err)
		}
		if ok {
			break
		}
		if time.Since(begun) > lockWait {
			return nil, errLocked
		}
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(there, info) {
		return nil, errMoved
	}
	return info, nil
}

// attach hands the file to bbolt.
func attach(path string, o Options) (_ *Store, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	s := &Store{path: path, o: o, log: o.Logger, offered: map[uint32]*window{}}
	var info fs.FileInfo // of the file that was opened, which may not be at the path any more
	letGo := func() {
		if s.db != nil {
			s.quietly(func() { _ = s.db.Close() })
		}
		s.since.file.close()
		_ = release(s.file) // bbolt has done so, unless it panicked
	}
	corrupt := func(why any) error {
		return &corruptError{why: fmt.Sprint(why), info: info, close: letGo}
	}
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(r)
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
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, corrupt(err)
	case err != nil:
		return nil, err
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(there, info) {
		letGo()
		return nil, errMoved
	}
	s.db.AllocSize = allocate
	s.written.size = info.Size()
	err = s.view("looking through the store", prepared)
	if err == nil {
		err = s.resume()
	}
	if err == nil {
		err = s.mend()
	}
	switch {
	case errors.Is(err, errFormat), errors.Is(err, ErrDamaged):
		return nil, corrupt(err)
	case err != nil && !errors.Is(err, ErrFull): // what cannot be mended for want of room is mended another time
		letGo()
		return nil, err
	}
	return s, nil
}
