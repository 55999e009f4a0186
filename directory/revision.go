package directory

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// How a process learns of changes to the listing: of its own at once, of those
// of its neighbours on the same database by asking for the revision, once a
// second at most. While the database is away the last listing stays up.
const (
	askEvery    = time.Second
	staleAtMost = 15 * time.Minute
)

// listingState holds the listing that is served now.
type listingState struct {
	current atomic.Pointer[listed]
	dirty   atomic.Bool  // a transaction of this process has ended since
	mu      sync.Mutex   // of those who read the database anew
	asked   atomic.Int64 // when the revision was last seen, Unix nanoseconds
	tried   time.Time    // when it was last asked for
}

// revision is a state of the listing in the database.
type revision struct {
	number, wiped int64
	at            time.Time // of the change
}

// listingChanged belongs into every transaction that changes what the public
// sees: a member, its roles, its applications, their roles or data services.
// member is whose; empty when a member was taken out.
func (s *Service) listingChanged(ctx context.Context, tx *sql.Tx, member string) error {
	var number int64
	// The row is held until the transaction ends, so revisions appear in order.
	err := tx.QueryRowContext(ctx, `UPDATE directory_listing SET revision = revision + 1, changed_at = $1 WHERE one = 1 RETURNING revision`, s.Now().Unix()).Scan(&number)
	if err != nil {
		return fmt.Errorf("directory: revision of the listing: %w", err)
	}
	if member == "" {
		_, err = tx.ExecContext(ctx, `UPDATE directory_listing SET wiped = $1 WHERE one = 1`, number)
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE directory_members SET revision = $1 WHERE id = $2`, number, member)
	return err
}

// listing gives the listing as it is now. It is immutable: whoever holds it may
// read it at leisure.
func (s *Service) listing(ctx context.Context) (*listed, error) {
	now := s.Now()
	l := s.listed.current.Load()
	if l != nil && !s.listed.dirty.Load() {
		if since := now.Sub(time.Unix(0, s.listed.asked.Load())); since >= 0 && since < askEvery {
			return l, nil
		}
	}
	s.listed.mu.Lock()
	defer s.listed.mu.Unlock()
	if l = s.listed.current.Load(); l != nil && !s.listed.dirty.Load() {
		// Another request may have asked while this one waited.
		if since := now.Sub(s.listed.tried); since >= 0 && since < askEvery {
			return l, nil
		}
	}
	s.listed.tried = now
	s.listed.dirty.Store(false) // before the reading: what ends during it is seen next time
	// Not ended by a reader who goes away: others wait for the same.
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	next, err := s.refreshed(own, l)
	if err != nil {
		s.listed.dirty.Store(true)
		if l != nil && now.Sub(time.Unix(0, s.listed.asked.Load())) < staleAtMost {
			s.listed.dirty.Store(false) // asked again in a second
			s.Logger.Warn("listing: the database does not answer, the last state is served", "revision", l.number, "error", err)
			return l, nil
		}
		return nil, err
	}
	s.listed.asked.Store(now.UnixNano())
	s.listed.current.Store(next)
	return next, nil
}

// refreshed brings a listing, nil for none, to the database's state. The
// revision is read first: what changes while the rest is read is read again
// next time.
func (s *Service) refreshed(ctx context.Context, l *listed) (*listed, error) {
	var r revision
	var at int64
	err := s.DB.QueryRowContext(ctx, `SELECT revision, wiped, changed_at FROM directory_listing WHERE one = 1`).Scan(&r.number, &r.wiped, &at)
	if err != nil {
		return nil, fmt.Errorf("directory: revision of the listing: %w", err)
	}
	r.at = time.Unix(at, 0).UTC()
	if l != nil && l.number == r.number {
		return l, nil
	}
	var entries []*memberEntry
	if l == nil || l.number < r.wiped || l.number > r.number { // the last: a backup was put back
		entries, err = loadEntries(ctx, s.DB, -1)
		l = nil
	} else {
		entries, err = loadEntries(ctx, s.DB, l.number)
	}
	if err != nil {
		return nil, fmt.Errorf("directory: listing: %w", err)
	}
	return newListed(r, l, entries), nil
}
