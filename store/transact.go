package store

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// The errors that a caller may want to tell apart.
var (
	// ErrFull says that there is no room on the disk (or none within a quota or
	// limit). Nothing of the call was stored; reading still works, and so does
	// writing once there is room.
	ErrFull = errors.New("no room left on the disk")
	// ErrDamaged says that a part of the file is not what was written. Closing
	// the store and opening it again sets the file aside and begins a clean one
	// (unless Options.LeaveDamaged is set).
	ErrDamaged = errors.New("the store is damaged")
	// ErrInUse says that another process holds the file.
	ErrInUse = errors.New("the store is in use")
	// ErrSequence says that a batch does not continue the chain.
	ErrSequence = errors.New("out of sequence")
)

// view runs f in a read transaction. Slices that f gets from bbolt must not be
// kept after it returns.
func (s *Store) view(what string, f func(*bolt.Tx) error) (err error) {
	// A page beyond the end of a truncated file is a memory fault, which only
	// this setting turns into a panic that can be recovered.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := s.beginTx(what, false)
	if err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(what, r)
		}
		_ = tx.Rollback()
	}()
	return f(tx)
}

// update runs f in a write transaction and commits it durably. It is the only
// way in which this package writes.
func (s *Store) update(what string, f func(*bolt.Tx) error) error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.updateLocked(what, f)
}

// updateLocked is update for callers that hold s.write.
func (s *Store) updateLocked(what string, f func(*bolt.Tx) error) error {
	return s.transact(what, f, false)
}

// transact runs f in a write transaction. Folds says that f takes in what was
// committed since the last one that did; else the checkpoint goes along with
// the transaction.
func (s *Store) transact(what string, f func(*bolt.Tx) error, folds bool) (err error) {
	if e := s.stuck.Load(); e != nil {
		return *e
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := s.beginTx(what, true)
	if err != nil {
		return err
	}
	committing := false
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(what, r)
			if committing { // bbolt's own bookkeeping may be half done: no more writes through it
				stuck := err
				s.stuck.Store(&stuck)
				_ = os.WriteFile(s.path+noteSuffix, fmt.Appendf(nil, "%v", r), 0o600)
			}
			s.quietly(func() { _ = tx.Rollback() })
		}
	}()
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		if errors.Is(err, errNothingToDo) {
			return nil
		}
		return err
	}
	on, folded, err := s.rebase(tx, folds)
	if err != nil {
		_ = tx.Rollback()
		return err
	}
	committing = true
	if err := checkFreelist(s.file); err != nil {
		panic(err)
	}
	if err := tx.Commit(); err != nil {
		m, unread := readMeta(s.file)
		s.since.doubt = unread != nil || m.txid != s.since.on.txid
		if isFull(err) {
			return fmt.Errorf("%s in %s: %w (%v): free some space; nothing already stored is lost", what, s.path, ErrFull, err)
		}
		return fmt.Errorf("%s in %s: %w", what, s.path, err)
	}
	s.count(tx)
	s.rebased(on, folded)
	return nil
}

// noteSuffix names the note that a commit leaves which bbolt broke off: the file
// has damage that looking through it does not show, and the next Open sets it aside.
const noteSuffix = ".damaged"

// verify looks through the file as Open does. The caller holds s.write, so that
// the file stands still. What it finds ends the writing.
func (s *Store) verify() error {
	if e := s.stuck.Load(); e != nil {
		return *e
	}
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("looking through %s: %w", s.path, err)
	}
	if why := checkFile(s.file, info.Size()); why != nil {
		err := s.panicked("looking through the store", why)
		s.stuck.Store(&err)
		return err
	}
	return nil
}

// errNothingToDo ends a write transaction that turned out to change nothing:
// it is rolled back, so that it costs no write, and the caller sees success.
var errNothingToDo = errors.New("nothing to do")

// beginTx begins a transaction. bbolt takes locks while it begins and keeps
// them if it panics there (both meta pages bad), so that the next caller would
// wait for ever. Hence one at a time, and none after a panic.
func (s *Store) beginTx(what string, writable bool) (tx *bolt.Tx, err error) {
	s.begin.Lock()
	defer s.begin.Unlock()
	if e := s.dead.Load(); e != nil {
		return nil, *e
	}
	defer func() {
		if r := recover(); r != nil {
			err = s.panicked(what, r)
			dead := err
			s.dead.Store(&dead)
		}
	}()
	tx, err = s.db.Begin(writable)
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", what, s.path, err)
	}
	return tx, nil
}

func (s *Store) panicked(what string, r any) error {
	s.log.Error("the store found a part of its file damaged", "while", what, "path", s.path, "cause", fmt.Sprint(r))
	return fmt.Errorf("%s in %s: %w (%v): restart the agent, which sets the file aside and begins a clean one", what, s.path, ErrDamaged, r)
}

// quietly runs f and lets no panic out of it.
func (s *Store) quietly(f func()) {
	defer func() { _ = recover() }()
	f()
}
