// Package store is the gateway's buffer: one bbolt file that holds the samples,
// the half-hours, the accumulators' states, the statements of baseline, the
// findings of the validation and the outbox of signed batches. Beside it lies a
// checkpoint of what was read since the last half-hour: see since.
//
// What a caller can rely on:
//
//   - A method that returned nil has written durably (fsync); one Round is one
//     transaction, so that half-hours and the accumulator states that made them
//     can never disagree (law 3).
//   - Once it is closed in order, the bbolt file holds all of it.
//   - It starts (law 9): a corrupt file is set aside under another name, never
//     deleted, and a clean one is begun. See Open.
//   - No panic leaves the package. A damaged page found later becomes an error
//     that wraps ErrDamaged; a full disk one that wraps ErrFull.
//   - The order of loss when the disk is full is: raw samples, oldest first;
//     then the samples and findings of the round at hand; half-hours last of all, by refusing
//     the round so that the caller can offer it again.
//
// Times are kept to the millisecond, in UTC.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perseus-edge/perseus-edge/energy"
)

// Default retention, used where Options leaves zero.
const (
	DefaultKeepHalfHours = 400 * 24 * time.Hour
	DefaultKeepSamples   = 7 * 24 * time.Hour
)

// Options of a store. The zero value is usable.
type Options struct {
	KeepHalfHours time.Duration    // how long half-hours, statements and findings stay; 0 means 400 days
	KeepSamples   time.Duration    // how long raw samples stay; 0 means 7 days
	Now           func() time.Time // the clock that dates corrections and files set aside; nil means time.Now
	Logger        *slog.Logger     // nil means slog.Default()
	LeaveDamaged  bool             // a corrupt file is ErrDamaged and stays where it is: for those who only want to look

	wrap func(slotFile) slotFile // of tests: what stands between the store and its checkpoint file
}

func (o Options) filled() Options {
	if o.KeepHalfHours == 0 {
		o.KeepHalfHours = DefaultKeepHalfHours
	}
	if o.KeepSamples == 0 {
		o.KeepSamples = DefaultKeepSamples
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// KeyedHalfHour is a half-hour of one register.
type KeyedHalfHour struct {
	energy.Key
	energy.HalfHour
	Void bool // withdraws what is stored: it takes its place even where that is better; see successor. Normally it is Missing
}

// KeyedState is an accumulator's encoded state (energy.Accumulator.State).
type KeyedState struct {
	energy.Key
	State []byte
}

// KeyedSample is a sample of one register.
type KeyedSample struct {
	energy.Key
	energy.Sample
}

// Round is what one round of polling leaves behind. It is committed whole or
// not at all.
type Round struct {
	HalfHours  []KeyedHalfHour
	States     []KeyedState
	Samples    []KeyedSample
	Statements []energy.KeyedStatement
	Findings   []energy.KeyedFinding // what cannot be kept of them is dropped, and logged: they never hold up the rest
}

// Store is an open buffer. Its methods may be called from several goroutines.
// The outbox methods are meant for one sender: see Pending.
type Store struct {
	path string
	o    Options
	log  *slog.Logger
	db   *bolt.DB
	file *os.File // bbolt's own handle, so that the lock can be let go of even when bbolt cannot close

	write sync.Mutex            // held by the one writer
	begin sync.Mutex            // held while a transaction begins: see beginTx
	dead  atomic.Pointer[error] // set once bbolt can no longer be trusted with anything
	stuck atomic.Pointer[error] // set once bbolt can no longer be trusted with writes

	written counters
	offered map[uint32]*window // guarded by write; what Pending handed out: see window
	since   since              // guarded by write; what was committed since bbolt's last transaction
}

// Close lets go of the file. A store that was found damaged is let go of
// without touching it again. Closing twice is an error.
func (s *Store) Close() (err error) {
	s.write.Lock()
	defer s.write.Unlock()
	if !s.o.LeaveDamaged {
		s.takeIn()
	}
	defer s.since.file.close()
	dead := s.dead.Load()
	closed := fmt.Errorf("%w: %s", errClosed, s.path)
	s.begin.Lock()
	s.dead.Store(&closed)
	s.begin.Unlock()
	switch {
	case dead != nil && errors.Is(*dead, errClosed):
		return *dead
	case dead != nil || s.stuck.Load() != nil:
		return release(s.file)
	}
	defer func() {
		if r := recover(); r != nil {
			err = errors.Join(s.panicked("closing", r), release(s.file))
		}
	}()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing the store %s: %w", s.path, err)
	}
	return nil
}

// takeIn has bbolt take in what lies in the checkpoint, so that a store at rest
// is one whole file. Where it cannot, the checkpoint stays what it is.
func (s *Store) takeIn() {
	if s.since.touched == 0 || s.dead.Load() != nil || s.stuck.Load() != nil {
		return
	}
	if err := s.transact("closing the store", func(tx *bolt.Tx) error { return s.fold(tx, true) }, true); err != nil {
		s.log.Warn("the store is closed with its checkpoint beside it", "path", s.path, "cause", err)
	}
}

var errClosed = errors.New("the store is closed")

// Path is the file that holds the store.
func (s *Store) Path() string { return s.path }
