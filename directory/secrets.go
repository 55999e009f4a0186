package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/identity"
)

// Issued is a certificate as its member sees it in a list.
type Issued struct {
	Serial              string // decimal
	Hierarchy           ca.Hierarchy
	Label               string // the member's
	NotBefore, NotAfter time.Time
	Revoked             time.Time // zero: it is not
}

// Certificates lists the certificates of an application, the newest first, at
// most 100.
func (s *Service) Certificates(ctx context.Context, application string) (out []Issued, err error) {
	err = each(ctx, s.DB, `SELECT serial, hierarchy, label, not_before, not_after, revoked_at FROM directory_certificates
		WHERE application = $1 ORDER BY not_before DESC, serial LIMIT `+strconv.Itoa(certificatesListed), application, func(scan func(...any) error) error {
		var v Issued
		var before, after int64
		var revoked sql.NullInt64
		err := scan(&v.Serial, &v.Hierarchy, &v.Label, &before, &after, &revoked)
		v.NotBefore, v.NotAfter = time.Unix(before, 0).UTC(), time.Unix(after, 0).UTC()
		if revoked.Valid {
			v.Revoked = time.Unix(revoked.Int64, 0).UTC()
		}
		out = append(out, v)
		return err
	})
	return out, err
}

// IssueTo issues a client or signing certificate (12 months) to an application
// of a member. Of the request (PEM) only the key counts. label is the member's
// own, may be empty.
func (s *Service) IssueTo(ctx context.Context, member, application string, h ca.Hierarchy, label string, csr []byte) (Certificate, error) {
	if h != ca.Client && h != ca.Signing {
		return Certificate{}, fault.Invalid(`type: need "client" or "signing"`)
	}
	if err := form.OptionalText("name", label, 200); err != nil {
		return Certificate{}, err
	}
	a, err := s.ApplicationOf(ctx, member, application)
	if err != nil {
		return Certificate{}, err
	}
	return s.issueApplication(ctx, h, a.ID, label, csr)
}

// CertificateFile gives a certificate of a member with its issuer (PEM), and a
// name for the file. serial is decimal.
func (s *Service) CertificateFile(ctx context.Context, member, serial string) (name string, pem []byte, err error) {
	n, err := serialNumber(serial)
	if err != nil {
		return "", nil, err
	}
	var h ca.Hierarchy
	var leaf, holder string
	err = s.DB.QueryRowContext(ctx, `SELECT hierarchy, pem, COALESCE(application, gateway, 'member') FROM directory_certificates WHERE serial = $1 AND member = $2`,
		n.String(), member).Scan(&h, &leaf, &holder)
	if err != nil {
		return "", nil, missing(err, "certificate", serial)
	}
	return fmt.Sprintf("%s-%s-%s.pem", holder, h, serial), append([]byte(leaf), s.issuerOf(h, leaf)...), nil
}

// RevokeOf revokes a certificate of a member for good; another's is as unknown
// as none. serial is decimal.
func (s *Service) RevokeOf(ctx context.Context, member, serial string) error {
	n, err := serialNumber(serial)
	if err != nil {
		return err
	}
	if member == "" {
		return fmt.Errorf("certificate %s: %w", form.Cut(serial, 64), fault.ErrNotFound)
	}
	return s.revoke(ctx, n, member)
}

// Token is a bearer token of the member API as its member sees it in a list.
// The token itself is nowhere: only its hash is kept.
type Token struct {
	ID               string // the beginning of its hash
	Label            string // what the member calls it
	Access           Access
	Created, Expires time.Time
}

// tokensEach bounds how many tokens a member can make for itself.
const tokensEach = 50

// Tokens lists the live tokens of a member, the newest first.
func (s *Service) Tokens(ctx context.Context, member string) (out []Token, err error) {
	now := s.Now().Unix()
	err = each(ctx, s.DB, `SELECT hash, label, access, created_at, expires_at FROM directory_tokens WHERE member = $1 ORDER BY created_at DESC, hash`, member,
		func(scan func(...any) error) error {
			var t Token
			var created, expires int64
			err := scan(&t.ID, &t.Label, &t.Access, &created, &expires)
			if err == nil && expires > now {
				t.ID, t.Created, t.Expires = t.ID[:markLength], time.Unix(created, 0).UTC(), time.Unix(expires, 0).UTC()
				out = append(out, t)
			}
			return err
		})
	return out, err
}

// MakeToken makes a token that acts for one member, and no other. It is shown
// this once.
func (s *Service) MakeToken(ctx context.Context, id string, access Access, label string) (string, error) {
	if access != Reader && access != Owner {
		return "", fault.Invalid("access %q: need reader or owner", access)
	}
	if err := form.Text("what the token is for", label, 100); err != nil {
		return "", err
	}
	token, now := newToken(), s.Now()
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := member(ctx, tx, id); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM directory_tokens WHERE member = $1 AND expires_at > $2`, id, now.Unix()).Scan(&n); err != nil {
			return err
		} else if n >= tokensEach {
			return fault.Invalid("there are %d tokens already: end one that is not used any more", n)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO directory_tokens (hash, member, access, created_at, expires_at, label) VALUES ($1, $2, $3, $4, $5, $6)`,
			TokenHash(token), id, string(access), now.Unix(), now.Add(TokenLife).Unix(), label)
		s.audit(tx, audit.Event{Action: "token.issue", Subject: "token/" + mark(token), Member: id, Detail: string(access) + ", for " + label})
		return err
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// EndToken ends a token of a member at once. id is of Tokens.
func (s *Service) EndToken(ctx context.Context, member, id string) error {
	if member == "" {
		return fmt.Errorf("token: %w", fault.ErrNotFound)
	}
	return s.endToken(ctx, ` AND member = $3`, id, member)
}

// EndTokenOf ends whatever token at once: an administrator's and a person's are
// on no member's list. id is the token's in the audit log (token/ID).
func (s *Service) EndTokenOf(ctx context.Context, id string) error { return s.endToken(ctx, ``, id) }

func (s *Service) endToken(ctx context.Context, also, id string, args ...any) error {
	if len(id) != markLength || strings.Trim(id, "0123456789abcdef") != "" {
		return fmt.Errorf("token: %w", fault.ErrNotFound)
	}
	return s.InTx(ctx, func(tx *sql.Tx) error {
		var member string
		err := tx.QueryRowContext(ctx, `DELETE FROM directory_tokens WHERE hash >= $1 AND hash < $2`+also+` RETURNING COALESCE(member, '')`,
			append([]any{id, id + "g"}, args...)...).Scan(&member)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("token: %w", fault.ErrNotFound)
		} else if err != nil {
			return err
		}
		s.audit(tx, audit.Event{Action: "token.revoke", Subject: "token/" + id, Member: member})
		return nil
	})
}

// markLength is the length of what mark gives.
const markLength = 8

// certificatesListed bounds a list: the newest are in it.
const certificatesListed = 100

func serialNumber(text string) (*big.Int, error) {
	serial, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > 48 || serial.String() != text {
		return nil, fault.Invalid("serial: need a certificate's serial number in decimal")
	}
	return serial, nil
}

// issuerOf gives the PEM of the issuer that signed a leaf, or nothing when it
// is not the one at work now.
func (s *Service) issuerOf(h ca.Hierarchy, leaf string) []byte {
	issuer := s.Authorities.Of(h).Issuer
	cs, err := identity.ParseCertificates([]byte(leaf))
	if err != nil || cs[0].CheckSignatureFrom(issuer) != nil {
		return nil
	}
	return identity.EncodeCertificates(issuer)
}

// Revoked says when a certificate was revoked; zero: it was not. serial is
// decimal.
func (s *Service) Revoked(ctx context.Context, serial string) (time.Time, error) {
	var at sql.NullInt64
	err := s.DB.QueryRowContext(ctx, `SELECT revoked_at FROM directory_certificates WHERE serial = $1`, serial).Scan(&at)
	if err != nil || !at.Valid {
		return time.Time{}, err
	}
	return time.Unix(at.Int64, 0).UTC(), nil
}
