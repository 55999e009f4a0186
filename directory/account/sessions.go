package account

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// How long a session lasts: from signing in, and without a request.
const (
	SessionLife = 12 * time.Hour
	SessionIdle = time.Hour
)

// SessionCookie is bound by its prefix to this host, to https and to the path /.
const SessionCookie = "__Host-session"

// NewSessions gives the sessions of browsers, kept in the database: only the
// hash of a browser's token is there.
func (s *Service) NewSessions() *scs.SessionManager {
	m := scs.New()
	m.Store = sessionStore{s}
	m.HashTokenInStore = true
	m.Lifetime = SessionLife // what counts is expires_at, by the directory's clock
	m.Cookie.Name = SessionCookie
	m.Cookie.Path = "/"
	m.Cookie.HttpOnly = true
	m.Cookie.Secure = true
	m.Cookie.SameSite = http.SameSiteLaxMode // Strict would sign people out who follow a link from a mail
	m.Cookie.Persist = false                 // gone when the browser is closed
	return m
}

// sessionStore is scs.CtxStore on directory_sessions. Its clock is the
// directory's, and it ends sessions that were idle. token is a hash.
type sessionStore struct{ s *Service }

func (st sessionStore) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	now := st.s.Now()
	var seen int64
	err = st.s.DB.QueryRowContext(ctx, `SELECT data, seen_at FROM directory_sessions WHERE hash = $1 AND expires_at > $2 AND seen_at > $3`,
		token, now.Unix(), now.Add(-SessionIdle).Unix()).Scan(&b, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	if now.Unix()-seen >= 60 { // not a write for each request
		_, err = st.s.DB.ExecContext(ctx, `UPDATE directory_sessions SET seen_at = $1 WHERE hash = $2`, now.Unix(), token)
	}
	return b, err == nil, err
}

// CommitCtx keeps the end that a session had at its beginning: only a new token
// begins anew. A session that was ended stays so, though a request that began
// before may come to its end after.
func (st sessionStore) CommitCtx(ctx context.Context, token string, b []byte, _ time.Time) error {
	now := st.s.Now()
	_, err := st.s.DB.ExecContext(ctx, `INSERT INTO directory_sessions (hash, data, expires_at, seen_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (hash) DO UPDATE SET data = excluded.data, seen_at = excluded.seen_at`, token, b, now.Add(SessionLife).Unix(), now.Unix())
	return err
}

func (st sessionStore) DeleteCtx(ctx context.Context, token string) error {
	// The row stays until Sweep, to keep the token from coming back.
	_, err := st.s.DB.ExecContext(ctx, `UPDATE directory_sessions SET data = $1, expires_at = 0, seen_at = $2 WHERE hash = $3`, []byte{}, st.s.Now().Unix(), token)
	return err
}

func (st sessionStore) Find(token string) ([]byte, bool, error) {
	return st.FindCtx(context.Background(), token)
}

func (st sessionStore) Commit(token string, b []byte, end time.Time) error {
	return st.CommitCtx(context.Background(), token, b, end)
}

func (st sessionStore) Delete(token string) error { return st.DeleteCtx(context.Background(), token) }
