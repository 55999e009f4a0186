package acme

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

// nonceLife is how long a nonce is good for: 1 hour.
const nonceLife = time.Hour

// nonces makes nonces that every process on the database knows for its own
// without having seen them: the time, 96 random bits, and a MAC over both under
// a key that lies in the database. Only those that were used take a row, so
// that nobody can fill the database by asking for some.
type nonces struct{ key []byte }

const (
	nonceBody = 8 + 12
	nonceMAC  = 16
)

func (n nonces) mac(body []byte) []byte {
	m := hmac.New(sha256.New, n.key)
	m.Write(body)
	return m.Sum(nil)[:nonceMAC]
}

func (n nonces) issue(now time.Time) string {
	b := make([]byte, nonceBody, nonceBody+nonceMAC)
	binary.BigEndian.PutUint64(b, uint64(now.Unix()))
	rand.Read(b[8:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(append(b, n.mac(b)...))
}

// check says whether a nonce is one of ours and not too old. That it was not
// used before is spend's to say.
func (n nonces) check(nonce string, now time.Time) error {
	b, err := decode(nonce)
	if err != nil || len(b) != nonceBody+nonceMAC || !hmac.Equal(n.mac(b[:nonceBody]), b[nonceBody:]) {
		return problemf(badNonce, http.StatusBadRequest, "The nonce is none of this server's. Use the one in the header Replay-Nonce of this answer.")
	}
	if at := time.Unix(int64(binary.BigEndian.Uint64(b)), 0); !now.Before(at.Add(nonceLife)) {
		return problemf(badNonce, http.StatusBadRequest, "The nonce is older than an hour. Use the one in the header Replay-Nonce of this answer.")
	}
	return nil
}

// decode reads base64url in the one spelling that each value has: the library
// passes over line ends, with which a nonce could be shown a second time.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(s, "\r\n"))
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// spend uses a nonce up, for all processes.
func (s *Server) spend(ctx context.Context, nonce string) error {
	res, err := s.DB.ExecContext(ctx, `INSERT INTO directory_acme_nonces (nonce, used_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, nonce, s.Now().Unix())
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return problemf(badNonce, http.StatusBadRequest, "The nonce was used before. Use the one in the header Replay-Nonce of this answer.")
	}
	return nil
}

// sweep deletes what has had its time: used nonces, allowances that are whole again,
// orders a month after their end, those without a certificate after a day, and
// accounts that have not got a certificate in a month. Errors are no request's
// concern: it is tried again.
func (s *Server) sweep(ctx context.Context) {
	now := s.Now()
	s.mu.Lock()
	due := now.Sub(s.swept) >= sweepEach
	if due {
		s.swept = now
	}
	s.mu.Unlock()
	if !due {
		return
	}
	for _, x := range []struct {
		query  string
		before int64
	}{
		// Twice their life: another process's clock may be slow.
		{`DELETE FROM directory_acme_nonces WHERE used_at < $1`, now.Add(-2 * nonceLife).Unix()},
		{`DELETE FROM directory_acme_requests WHERE whole_at < $1`, now.UnixMilli()},
		{`DELETE FROM directory_acme_orders WHERE expires_at < $1`, now.Add(-keepFor).Unix()},
		{`DELETE FROM directory_acme_orders WHERE expires_at < $1 AND issued_at = 0`, now.Add(-keepUnmet).Unix()},
		{`DELETE FROM directory_acme_accounts WHERE certified_at = 0 AND created_at < $1
			AND NOT EXISTS (SELECT 1 FROM directory_acme_orders o WHERE o.account = directory_acme_accounts.id)`, now.Add(-keepIdle).Unix()},
	} {
		if _, err := s.DB.ExecContext(ctx, x.query, x.before); err != nil {
			s.Logger.Warn("acme: old rows not deleted", "error", err)
		}
	}
}

// loadSecret reads the key under which nonces are made, and makes it the first
// time.
func loadSecret(ctx context.Context, db *sql.DB) (key []byte, err error) {
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails (crypto/rand)
	if _, err := db.ExecContext(ctx, `INSERT INTO directory_acme_secret (one, secret) VALUES (1, $1) ON CONFLICT DO NOTHING`, fresh); err != nil {
		return nil, err
	}
	return key, db.QueryRowContext(ctx, `SELECT secret FROM directory_acme_secret WHERE one = 1`).Scan(&key)
}
