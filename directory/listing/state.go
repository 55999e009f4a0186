package listing

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/registry"
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

// Server serves what the public may know.
type Server struct {
	*directory.Service
	Config
	listed  listingState
	data    datasetState
	queries *turnstile
}

// Config is what it needs besides the directory.
type Config struct {
	Terms      *registry.Terms // the registry's terms, for queries and catalogue entries. Nil: none are known
	ManagePath string          // where people of the organisations sign in, at this address. Empty: nowhere

	ClientAddress func(*http.Request) netip.Addr // from which address a request comes, for the limits on queries
}

// New makes the server of a directory.
func New(d *directory.Service, c Config) *Server {
	s := &Server{Service: d, Config: c, queries: newTurnstile()}
	d.OnChange(func() { s.listed.dirty.Store(true) })
	return s
}

// listing gives the listing as it is now. It is immutable: whoever holds it may
// read it at leisure.
func (s *Server) listing(ctx context.Context) (*listed, error) {
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
			s.Logger.Warn("listing: the database does not answer, the last state is served", "revision", l.Number, "error", err)
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
func (s *Server) refreshed(ctx context.Context, l *listed) (*listed, error) {
	r, err := s.ListingRevision(ctx)
	if err != nil {
		return nil, err
	}
	if l != nil && l.Number == r.Number {
		return l, nil
	}
	var entries []*directory.MemberEntry
	if l == nil || l.Number < r.Wiped || l.Number > r.Number { // the last: a backup was put back
		entries, err = s.Entries(ctx, -1)
		l = nil
	} else {
		entries, err = s.Entries(ctx, l.Number)
	}
	if err != nil {
		return nil, fmt.Errorf("directory: listing: %w", err)
	}
	return newListed(r, l, entries), nil
}
