package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// Kinds of one-time links.
const (
	Invite  = "invite"   // to make an account, or to bring an organisation to the one there is
	Restore = "restore"  // to set up password and second factor anew, when both or the second are lost
	Forgot  = "password" // to choose a new password; the second factor stays as it is
)

// How long links are good.
const (
	InviteLife  = 7 * 24 * time.Hour
	RestoreLife = 24 * time.Hour
	ForgotLife  = time.Hour      // mailed
	HandedLife  = 24 * time.Hour // handed over by an administrator
)

// Link is a one-time link. The directory keeps the hash of its secret alone.
type Link struct {
	Kind          string
	Email         string // of the person it is for
	Account       string // id; of Restore and Forgot
	Member        string // id of the organisation that Invite is for; empty: none
	Administrator bool   // Invite makes an administrator of the directory
	By            string // id of the account that made it; empty: a command
	Created       time.Time
	Expires       time.Time
	ID            string // names the link without giving it away

	hash string
}

// Invite makes a link by which a person, known by an address, becomes an owner
// of a member, or an administrator of the directory, or both. *TooMany: l.By
// has invited very many.
func (s *Service) Invite(ctx context.Context, l Link) (secret string, err error) {
	if l.Email, err = CheckEmail(l.Email); err != nil {
		return "", err
	}
	if l.Member == "" && !l.Administrator {
		return "", invalid("an invitation is to an organisation, or to be an administrator")
	}
	if l.By != "" {
		if _, err := s.take(ctx, perInviter, l.By); err != nil {
			return "", err
		}
	}
	l.Kind, l.Account = Invite, ""
	what := "to be an owner of the organisation"
	if l.Administrator {
		what = "to be an administrator of the directory"
	}
	return s.newLink(ctx, l, InviteLife, audit.Event{Action: "account.invite", Subject: "person/" + l.Email, Member: l.Member, Detail: what})
}

// RestoreLink makes a link for a person who has lost the second factor and all
// recovery codes. Whoever makes it answers for having recognised the person.
func (s *Service) RestoreLink(ctx context.Context, a Account, by string) (string, error) {
	return s.newLink(ctx, Link{Kind: Restore, Email: a.Email, Account: a.ID, By: by}, RestoreLife,
		event("account.restore-link", a, "a link to set up password and second factor anew"))
}

// PasswordLink makes a link for a person who has forgotten the password.
func (s *Service) PasswordLink(ctx context.Context, a Account, by string, life time.Duration) (string, error) {
	return s.newLink(ctx, Link{Kind: Forgot, Email: a.Email, Account: a.ID, By: by}, life,
		event("account.password-link", a, "a link to choose a new password"))
}

func (s *Service) newLink(ctx context.Context, l Link, life time.Duration, done audit.Event) (string, error) {
	secret, now := newSecret(), s.Now()
	return secret, s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		if l.Account != "" { // an earlier link of the kind ends
			if _, err := tx.ExecContext(ctx, `DELETE FROM directory_links WHERE account = $1 AND kind = $2`, l.Account, l.Kind); err != nil {
				return nil, err
			}
		}
		if l.Member != "" {
			var there bool
			if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM directory_members WHERE id = $1)`, l.Member).Scan(&there); err != nil {
				return nil, err
			} else if !there {
				return nil, fmt.Errorf("member: %w", ErrNotFound)
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO directory_links (hash, kind, email, account, member, administrator, made_by, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, hash(secret), l.Kind, l.Email, null(l.Account), null(l.Member), l.Administrator, l.By, now.Unix(), now.Add(life).Unix())
		return []audit.Event{done}, err
	})
}

const linkColumns = `hash, kind, email, COALESCE(account, ''), COALESCE(member, ''), administrator, made_by, created_at, expires_at`

func (l *Link) scan(scan func(...any) error) error {
	var created, expires int64
	err := scan(&l.hash, &l.Kind, &l.Email, &l.Account, &l.Member, &l.Administrator, &l.By, &created, &expires)
	l.Created, l.Expires = time.Unix(created, 0).UTC(), time.Unix(expires, 0).UTC()
	if err == nil {
		l.ID = l.hash[:16]
	}
	return err
}

// Link finds a link that is good, by its secret, and leaves it good. ErrLink.
func (s *Service) Link(ctx context.Context, secret string) (Link, error) {
	var l Link
	err := l.scan(s.DB.QueryRowContext(ctx, `SELECT `+linkColumns+` FROM directory_links WHERE hash = $1 AND used_at IS NULL AND expires_at > $2`, hash(secret), s.Now().Unix()).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Link{}, ErrLink
	}
	return l, err
}

// useLink uses a link up: of any number of requests at once, one gets it.
func (s *Service) useLink(ctx context.Context, tx *sql.Tx, secret, kind string) (Link, error) {
	var l Link
	err := l.scan(tx.QueryRowContext(ctx, `UPDATE directory_links SET used_at = $1 WHERE hash = $2 AND kind = $3 AND used_at IS NULL AND expires_at > $1 RETURNING `+linkColumns,
		s.Now().Unix(), hash(secret), kind).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Link{}, ErrLink
	}
	return l, err
}

// ResetPassword uses a link of kind Forgot: the person gets a new password, and
// signs in with it and the second factor as ever. All sessions end. ErrLink,
// ErrInvalid (the link stays good).
func (s *Service) ResetPassword(ctx context.Context, secret, password string) error {
	l, err := s.Link(ctx, secret)
	if err == nil && l.Kind != Forgot {
		err = ErrLink
	}
	if err != nil {
		return err
	}
	a, err := s.Account(ctx, l.Account)
	if err != nil {
		return err
	}
	phc, err := s.newPassword(ctx, password, a.Email, a.Name)
	if err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, a.Actor())
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		if _, err := s.useLink(ctx, tx, secret, Forgot); err != nil {
			return nil, err
		}
		// Whoever was guessing at the old password has had their guesses.
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory_allowances WHERE key = $1`, perAccount.name+":"+hash(a.Email)); err != nil {
			return nil, err
		}
		return []audit.Event{event("account.password", a, "changed by a link")}, s.setPassword(ctx, tx, a.ID, phc)
	})
}

// Forgotten makes a link of kind Forgot for an address, if it is an account's
// and few enough were made. ok is false where none was made: nobody outside
// must learn that. *TooMany: this client asks too often, for whatever address.
func (s *Service) Forgotten(ctx context.Context, email string, from netip.Addr) (secret string, a Account, ok bool, err error) {
	if _, err := s.take(ctx, perMailAddress, addressKey(from)); err != nil {
		return "", Account{}, false, err
	}
	a, err = s.ByEmail(ctx, email)
	if errors.Is(err, ErrNotFound) {
		return "", Account{}, false, nil
	} else if err != nil {
		return "", Account{}, false, err
	}
	if _, err := s.take(ctx, perMail, a.ID); errors.As(err, new(*TooMany)) {
		return "", Account{}, false, nil
	} else if err != nil {
		return "", Account{}, false, err
	}
	secret, err = s.PasswordLink(ctx, a, "", ForgotLife)
	return secret, a, err == nil, err
}

// Invitations lists those to a member that are good, the newest first; of
// member "" those of administrators.
func (s *Service) Invitations(ctx context.Context, member string) ([]Link, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT `+linkColumns+` FROM directory_links
		WHERE kind = $1 AND COALESCE(member, '') = $2 AND used_at IS NULL AND expires_at > $3 ORDER BY created_at DESC, hash LIMIT 100`, Invite, member, s.Now().Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Link
	for rows.Next() {
		var l Link
		if err := l.scan(rows.Scan); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// Withdraw takes an invitation to a member back. ErrNotFound.
func (s *Service) Withdraw(ctx context.Context, member, id string) error {
	if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
		return ErrNotFound
	}
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		var email string
		err := tx.QueryRowContext(ctx, `DELETE FROM directory_links WHERE kind = $1 AND COALESCE(member, '') = $2 AND hash >= $3 AND hash < $4 AND used_at IS NULL RETURNING email`,
			Invite, member, id, id+"g").Scan(&email)
		if errors.Is(err, sql.ErrNoRows) {
			err = ErrNotFound
		}
		return []audit.Event{{Action: "account.invite-withdraw", Subject: "person/" + email, Member: member, Detail: "invitation taken back"}}, err
	})
}

func null(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
