package directory

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/fault"
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
			return "", fault.Invalid("an admin token belongs to no member: leave that out, and name one in each request with X-Organization")
		}
	default:
		return "", fault.Invalid("access %q: need reader, owner or admin", access)
	}
	token, now := newToken(), s.Now()
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		s.audit(tx, audit.Event{Action: "token.issue", Subject: "token/" + mark(token), Member: member, Detail: string(access)})
		_, err := tx.ExecContext(ctx, `INSERT INTO directory_tokens (hash, member, access, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			TokenHash(token), null(member), string(access), now.Unix(), now.Add(TokenLife).Unix())
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
	return s.InTx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM directory_tokens WHERE hash = $1`, TokenHash(token))
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
func mark(token string) string { return TokenHash(token)[:8] }

// Bearer is who a live token belongs to.
type Bearer struct {
	Member string // empty for Admin, and for a person
	Owner  string // email address of the person; empty: the token is not a person's
	Access Access
}

// FindToken returns ErrNotFound for a token that is unknown or has expired.
func (s *Service) FindToken(ctx context.Context, token string) (Bearer, error) {
	var b Bearer
	err := s.DB.QueryRowContext(ctx, `SELECT COALESCE(member, ''), owner, access FROM directory_tokens WHERE hash = $1 AND expires_at > $2`,
		TokenHash(token), s.Now().Unix()).Scan(&b.Member, &b.Owner, &b.Access)
	if errors.Is(err, sql.ErrNoRows) {
		return Bearer{}, fault.ErrNotFound
	}
	return b, err
}

// Actor is how the audit log calls the bearer of a token.
func (b Bearer) Actor(token string) string {
	if b.Owner != "" {
		return "person:" + b.Owner
	}
	return "token:" + mark(token)
}

// MembersOf are the members for which a bearer may act, with their legal names
// alone, by id, from the one after an id on, at most so many.
func (s *Service) MembersOf(ctx context.Context, b Bearer, after string, most int) (out []Member, err error) {
	args := []any{after, most}
	which := ``
	switch {
	case b.Access == Admin:
	case b.Owner != "":
		which, args = ` AND id IN (SELECT member FROM directory_owners WHERE email = $3)`, append(args, b.Owner)
	default:
		which, args = ` AND id = $3`, append(args, b.Member)
	}
	rows, err := s.DB.QueryContext(ctx, `SELECT id, legal_name FROM directory_members WHERE id > $1`+which+` ORDER BY id LIMIT $2`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var m Member
		if err := rows.Scan(&m.ID, &m.LegalName); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}
