package directory

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/identity"
)

// CodeLife is how long an enrolment code can be used: enough for an installer
// who goes to the site tomorrow.
const CodeLife = 48 * time.Hour

// Code is a one-time enrolment code, as it is shown, once, to who asked for it.
type Code struct {
	Text    string    // such as 7K2M-9KXA-34TE
	Link    string    // what its QR code holds: see identity.EnrolLink
	Expires time.Time //
}

// NewCode gives a gateway a fresh enrolment code: after a failed enrolment, for
// a replaced device or after a revocation. Its earlier codes end.
func (s *Service) NewCode(ctx context.Context, gateway string) (string, error) {
	c, err := s.IssueCode(ctx, gateway)
	return c.Text, err
}

// IssueCode is NewCode with all there is to show.
func (s *Service) IssueCode(ctx context.Context, gateway string) (Code, error) {
	var c Code
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		g, err := s.gateway(ctx, tx, gateway)
		if err != nil {
			return err
		}
		c, err = s.newCode(ctx, tx, g)
		return err
	})
	return c, err
}

func (s *Service) newCode(ctx context.Context, tx *sql.Tx, g Gateway) (Code, error) {
	if err := lockGateway(ctx, tx, g.ID); err != nil {
		return Code{}, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM directory_codes WHERE gateway = $1`, g.ID); err != nil {
		return Code{}, err
	}
	if err := s.roomForCode(ctx, tx, g); err != nil {
		return Code{}, err
	}
	text := identity.NewEnrolCode()
	hashed, err := CodeHash(text)
	if err != nil {
		return Code{}, err
	}
	c := Code{Text: text, Link: identity.EnrolLink(s.BaseURL, text), Expires: s.Now().UTC().Truncate(time.Second).Add(CodeLife)}
	_, err = tx.ExecContext(ctx, `INSERT INTO directory_codes (hash, gateway, expires_at) VALUES ($1, $2, $3)`, hashed, g.ID, c.Expires.Unix())
	if err != nil {
		return Code{}, err
	}
	s.audit(tx, audit.Event{Action: "code.issue", Subject: "gateway/" + g.ID, Member: g.Member, Detail: "enrolment code, good until " + form.RFC3339(c.Expires)})
	return c, nil
}

// WithdrawCode ends a gateway's enrolment code before its time. It reports
// whether there was one that could still be used.
func (s *Service) WithdrawCode(ctx context.Context, gateway string) (bool, error) {
	var ended int64
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		g, err := s.gateway(ctx, tx, gateway)
		if err != nil {
			return err
		}
		if err := lockGateway(ctx, tx, g.ID); err != nil {
			return err
		}
		ended, err = s.endCodes(ctx, tx, g)
		return err
	})
	return ended > 0, err
}

// endCodes ends what codes a gateway has that could still be used.
func (s *Service) endCodes(ctx context.Context, tx *sql.Tx, g Gateway) (int64, error) {
	// Used ones go too: nobody shall get their certificates again.
	if _, err := tx.ExecContext(ctx, `DELETE FROM directory_codes WHERE gateway = $1 AND (used_at IS NOT NULL OR expires_at <= $2)`, g.ID, s.Now().Unix()); err != nil {
		return 0, err
	}
	r, err := tx.ExecContext(ctx, `DELETE FROM directory_codes WHERE gateway = $1`, g.ID)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	if err == nil && n > 0 {
		s.audit(tx, audit.Event{Action: "code.withdraw", Subject: "gateway/" + g.ID, Member: g.Member, Detail: "enrolment code withdrawn before it was used"})
	}
	return n, err
}

// CodeHash is how codes are stored. Its 20,000 rounds (some milliseconds) make
// up for the shortness of a code, 50 bits, in the hands of who has stolen a
// backup: to try them all takes decades of a fast machine, and a code ends in
// two days. The salt is the same for all, since a code must be found by it.
func CodeHash(code string) (string, error) {
	key, err := pbkdf2.Key(sha256.New, code, []byte("perseus-edge enrolment code"), 20_000, sha256.Size)
	return hex.EncodeToString(key), err
}

// TokenHash is how tokens are stored: they are random and long enough that a plain
// hash cannot be turned back.
func TokenHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
