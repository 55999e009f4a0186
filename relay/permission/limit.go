package permission

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Rate bounds how often something may happen: Burst times at once, and
// PerSecond on the average. The zero Rate means the service's own choice.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) every() time.Duration { return time.Duration(float64(time.Second) / r.PerSecond) }

// Limits on wrong meter codes. A code has 60 random bits, so these are not
// what keeps it secret: they keep a guesser from loading the machine, and make
// one visible in the log.
var (
	addressRate = Rate{0.05, 10} // one address: one wrong code in 20 s
	overallRate = Rate{5, 200}   // everyone together, so that many addresses do not help
)

// Limits on the requests of one client. They are far above what a bank needs
// that renews 100,000 permissions in a night; they bound what a client that
// runs wild costs the others.
var (
	defaultPushRate  = Rate{20, 1000}
	defaultTokenRate = Rate{100, 2000}
	// Messages of one application: a bank whose 100,000 customers withdraw in a night.
	defaultMessageRate = Rate{20, 1000}
	// One gateway's questions for its grants. It asks once a minute, and at once
	// after each change.
	defaultGrantsRate = Rate{0.5, 100}
)

// limits counts in the database, so that its bounds hold however many processes
// share that. A row holds the instant at which all of an allowance is back (the
// "generic cell rate algorithm"): taking moves it on, in one statement.
type limits struct {
	db *database.DB

	mu       sync.Mutex
	bundles  map[string]bundle
	counting map[string]*counting // by name; those that nobody counts are not there
}

// counting is a request that is being counted in the database, and how many of
// the same client wait for what comes of it. They keep no place among the
// database's writers, which others may need: they could only wait for the row.
type counting struct {
	over    chan struct{}
	waiting int
}

// bundle is a part of a client's allowance that this process has taken already
// and not yet used: most requests then cost no statement.
type bundle struct {
	left int
	till time.Time // at which it must be used
	none time.Time // before it there is nothing to be had: what the database said last
}

const (
	bundleLife = 10 * time.Second
	maxBundles = 4096 // a bound on memory; every client is a member's application, so there are few
)

func newLimits(db *database.DB) *limits {
	return &limits{db: db, bundles: map[string]bundle{}, counting: map[string]*counting{}}
}

// take takes n from the allowance of a name, in tx. Where fewer are left it
// takes none and says how long until there will be n.
func (l *limits) take(ctx context.Context, tx *sql.Tx, name string, r Rate, n int, now time.Time) (wait time.Duration, err error) {
	t, cost := now.UnixMilli(), (time.Duration(n) * r.every()).Milliseconds()
	latest := t + (time.Duration(r.Burst) * r.every()).Milliseconds() - cost
	var fullAt int64
	err = tx.QueryRowContext(ctx, `INSERT INTO limits (name, full_at) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET full_at = CASE WHEN limits.full_at > $3 THEN limits.full_at + $4 ELSE $2 END
		WHERE limits.full_at <= $5 RETURNING full_at`, name, t+cost, t, cost, latest).Scan(&fullAt)
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `SELECT full_at FROM limits WHERE name = $1`, name).Scan(&fullAt)
	if errors.Is(err, sql.ErrNoRows) { // tidied in between
		fullAt, err = latest, nil
	}
	return max(time.Duration(fullAt-latest)*time.Millisecond, time.Millisecond), err
}

// everyone is the row of overallRate. It is never tidied away, so that a tidy
// never waits for it while one who has it waits for another.
const everyone = "codes"

// errLimited rolls back what was taken before a limit was met.
var errLimited = errors.New("permission: a limit is met")

// try takes one try of a browser's address before its meter code is looked up;
// back gives it back when the code was right. Where no try is left, back is nil
// and wait says for how long. An IPv6 host has its whole /64.
func (l *limits) try(ctx context.Context, a netip.Addr, now time.Time) (back func() error, wait time.Duration, err error) {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	key, _ := a.Prefix(bits) // the zero Prefix for the zero Addr: one key for all of those
	// Everyone's first: a flood from many addresses then leaves no rows behind.
	return l.attempt(ctx, now, []allowance{{everyone, overallRate}, {"codes from " + key.String(), addressRate}})
}

// allowance is a name in the table of limits, and what it may.
type allowance struct {
	name string
	Rate
}

// attempt takes one of each allowance, or none of them; see try.
func (l *limits) attempt(ctx context.Context, now time.Time, of []allowance) (back func() error, wait time.Duration, err error) {
	err = l.db.Write(ctx, func(tx *sql.Tx) (err error) {
		for _, a := range of {
			if wait, err = l.take(ctx, tx, a.name, a.Rate, 1, now); err == nil && wait > 0 {
				err = errLimited
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errLimited) {
		return nil, wait, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return func() error {
		return l.db.Write(ctx, func(tx *sql.Tx) error {
			for _, a := range of {
				if _, err := tx.ExecContext(ctx, `UPDATE limits SET full_at = full_at - $1 WHERE name = $2`, a.every().Milliseconds(), a.name); err != nil {
					return err
				}
			}
			return nil
		})
	}, 0, nil
}

// request counts a request of a client. Several at a time are taken from the
// database, a fiftieth of the burst, so that this costs next to nothing.
func (l *limits) request(ctx context.Context, kind, client string, r Rate, now time.Time) (wait time.Duration, err error) {
	name := kind + " by " + client
	for {
		wait, known, other := l.inHand(name, now)
		if known {
			return wait, nil
		}
		if other == nil {
			break // it is for us to count
		}
		select {
		case <-other:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(l.counting[name].over)
		delete(l.counting, name)
	}()
	n := max(r.Burst/50, 1)
	err = l.db.Write(ctx, func(tx *sql.Tx) (err error) {
		wait, err = l.take(ctx, tx, name, r, n, now)
		return err
	})
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bundles) >= maxBundles {
		clear(l.bundles)
	}
	if wait > 0 {
		l.bundles[name] = bundle{none: now.Add(wait)}
	} else {
		l.bundles[name] = bundle{left: n - 1, till: now.Add(bundleLife)}
	}
	return wait, nil
}

// inHand answers a request from what this process knows. Where that does not
// say (known is false), and another request of the name is being counted, other
// is closed once that is over; where it is nil the caller must count.
func (l *limits) inHand(name string, now time.Time) (wait time.Duration, known bool, other <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bundles[name]
	switch {
	case b.left > 0 && now.Before(b.till):
		b.left--
		l.bundles[name] = b
		return 0, true, nil
	case now.Before(b.none):
		return b.none.Sub(now), true, nil
	}
	if c := l.counting[name]; c != nil {
		c.waiting++
		return 0, false, c.over
	}
	l.counting[name] = &counting{over: make(chan struct{})}
	return 0, false, nil
}

// limited refuses a client that asks too often.
func (s *Service) limited(kind string, rate Rate, h formHandler) formHandler {
	return func(w http.ResponseWriter, r *http.Request, client identity.Peer, f url.Values) error {
		if err := s.within(r.Context(), kind, client.Application, rate); err != nil {
			return err
		}
		return h(w, r, client, f)
	}
}

// within counts a request of a client, and refuses it where there were too many.
func (s *Service) within(ctx context.Context, kind, client string, rate Rate) error {
	wait, err := s.limits.request(ctx, kind, client, rate, s.c.Now())
	if err == nil && wait > 0 {
		s.log.Warn("permission: a client asks too often", "kind", kind, "client", client)
		err = &Error{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", Retry: wait,
			Description: "this application asks too often: try again after the time in Retry-After"}
	}
	return err
}
