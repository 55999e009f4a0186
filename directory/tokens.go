package directory

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// Access is what the bearer of a token may do in the member API.
type Access string

// The kinds of access.
const (
	Reader Access = "reader" // see its member's entries
	Owner  Access = "owner"  // also make certificates and gateways of its member
	Admin  Access = "admin"  // all of that for every member
)

// TokenLife is how long a token of the member API can be used.
const TokenLife = 365 * 24 * time.Hour

// tokenPrefix lets secret scanners recognise a token that leaked.
const tokenPrefix = "pdt_"

// IssueToken makes a bearer token of the member API. The directory keeps only
// its hash. member is empty for Admin, and only then.
func (s *Service) IssueToken(ctx context.Context, member string, access Access) (string, error) {
	switch access {
	case Reader, Owner:
		if _, err := s.Member(ctx, member); err != nil {
			return "", err
		}
	case Admin:
		if member != "" {
			return "", invalid("an admin token belongs to no member: leave that out, and name one in each request with X-Organization")
		}
	default:
		return "", invalid("access %q: need reader, owner or admin", access)
	}
	token, now := newToken(), s.Now()
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		s.audit(tx, audit.Event{Action: "token.issue", Subject: "token/" + mark(token), Member: member, Detail: string(access)})
		_, err := tx.ExecContext(ctx, `INSERT INTO directory_tokens (hash, member, access, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			hash(token), null(member), string(access), now.Unix(), now.Add(TokenLife).Unix())
		return err
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

func newToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// RevokeToken ends a token at once. Ending it twice is no error.
func (s *Service) RevokeToken(ctx context.Context, token string) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM directory_tokens WHERE hash = $1`, hash(token))
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
		s.audit(tx, audit.Event{Action: "token.revoke", Subject: "token/" + mark(token)})
		return nil
	})
}

// mark names a token in logs without giving it away: the beginning of its
// hash, which is 32 of 256 bits.
func mark(token string) string { return hash(token)[:8] }

// bearer is who a live token belongs to.
type bearer struct {
	member string // empty for Admin, and for a person
	owner  string // email address of the person; empty: the token is not a person's
	access Access
}

// findToken returns ErrNotFound for a token that is unknown or has expired.
func (s *Service) findToken(ctx context.Context, token string) (bearer, error) {
	var b bearer
	err := s.DB.QueryRowContext(ctx, `SELECT COALESCE(member, ''), owner, access FROM directory_tokens WHERE hash = $1 AND expires_at > $2`,
		hash(token), s.Now().Unix()).Scan(&b.member, &b.owner, &b.access)
	if errors.Is(err, sql.ErrNoRows) {
		return bearer{}, ErrNotFound
	}
	return b, err
}
