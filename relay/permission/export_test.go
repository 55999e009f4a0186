package permission

import (
	"context"
	"database/sql"
)

// Sweep is one round of Run.
func (s *Service) Sweep(ctx context.Context) error { return s.sweep(ctx) }

// Forget is what forgetEnded does with one permission.
func (s *Service) Forget(ctx context.Context, id string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return s.forget(ctx, tx, id, s.now().Add(-s.c.KeepEnded)) })
}

// Waiting is how many requests of a gateway are held.
func (s *Service) Waiting(gateway string) int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.waiting[gateway])
}

// Uncounted is how many requests wait until another of their client is counted.
func (s *Service) Uncounted() (n int) {
	s.limits.mu.Lock()
	defer s.limits.mu.Unlock()
	for _, c := range s.limits.counting {
		n += c.waiting
	}
	return n
}

// Deliver tries every message that is due once.
func (s *Service) Deliver(ctx context.Context) error {
	d := deliveries{places: make(chan struct{}, messagesAtOnce)}
	defer d.Wait()
	return s.deliver(ctx, &d)
}

// What tests need to know of the queue.
const (
	MessageTries = messageTries
	MessageLease = messageLease
)

var (
	MessagePause   = messagePause
	RefusePrivate  = refusePrivate
	MessageAddress = messageAddress
	Accepted       = accepted
)

// RefreshTokens opens the stored copies of a permission's refresh tokens, as a
// message does that carries one.
func (s *Service) RefreshTokens(ctx context.Context, permission string) ([]string, error) {
	sealed, err := queryAll(ctx, s.db, func(rows *sql.Rows) (b []byte, err error) { return b, rows.Scan(&b) },
		`SELECT sealed FROM oauth_tokens WHERE permission = $1 AND kind = 'refresh' ORDER BY issued`, permission)
	if err != nil {
		return nil, err
	}
	tokens := make([]string, len(sealed))
	for i, b := range sealed {
		if tokens[i], err = s.seal.open(b, permission); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}
