package account

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// How long a session lasts: from signing in, and without a request.
const (
	SessionLife = 12 * time.Hour
	SessionIdle = time.Hour
	// Fresh is for how long after signing in the ways to sign in may be changed
	// without doing so again.
	Fresh = 10 * time.Minute
)

// tokenSize is the length of newSecret.
const tokenSize = 43

// Session is a browser that has signed in.
type Session struct {
	Account
	Begun time.Time
	hash  []byte
}

// Fresh says whether the person has signed in just now.
func (x Session) Fresh(now time.Time) bool { return now.Before(x.Begun.Add(Fresh)) }

// Start begins a session and gives its token, which nothing but the browser
// keeps. Each signing in has a token of its own: one that somebody put into a
// browser before is worth nothing.
func (s *Service) Start(ctx context.Context, account string) (token string, err error) {
	token = newSecret()
	now := s.Now()
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		if err := s.lock(ctx, tx, account); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO account_sessions (hash, account, begun, seen, expires) VALUES ($1, $2, $3, $3, $4)`,
			hashOf(token), account, now.Unix(), now.Add(SessionLife).Unix())
		return err
	})
	return token, err
}

// Session gives the session of a token. ErrNotFound: it has ended, or never was.
func (s *Service) Session(ctx context.Context, token string) (x Session, err error) {
	if len(token) != tokenSize {
		return x, ErrNotFound
	}
	now := s.Now()
	x.hash = hashOf(token)
	var begun, seen int64
	var account string
	err = s.DB.QueryRowContext(ctx, `SELECT account, begun, seen FROM account_sessions WHERE hash = $1 AND expires > $2 AND seen > $3`,
		x.hash, now.Unix(), now.Add(-SessionIdle).Unix()).Scan(&account, &begun, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, ErrNotFound
	} else if err != nil {
		return Session{}, err
	}
	if x.Account, err = find(ctx, s.DB, "id = $1", account); err != nil {
		return Session{}, err
	}
	x.Begun = time.Unix(begun, 0).UTC()
	if now.Unix()-seen >= 60 { // not a write for each request
		err = s.DB.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE account_sessions SET seen = $1 WHERE hash = $2 AND seen < $1`, now.Unix(), x.hash)
			return err
		})
	}
	return x, err
}

// Restored belongs into the transaction in which a backup has been put into a
// new database: sessions end, since some of them had ended after the backup.
func Restored(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM account_sessions`)
	return err
}

// SignOut ends a session.
func (s *Service) SignOut(ctx context.Context, x Session) error {
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM account_sessions WHERE hash = $1`, x.hash)
		return err
	})
}

// endOthers ends the sessions of the account's other browsers.
func endOthers(ctx context.Context, tx *sql.Tx, x Session) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM account_sessions WHERE account = $1 AND hash <> $2`, x.ID, x.hash)
	return err
}
