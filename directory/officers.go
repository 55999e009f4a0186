package directory

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// Officer is a person who answers for a member towards the trust framework.
// Officers are not public.
type Officer struct {
	Duty         string // "data" or "licence"
	Name         string
	Email, Phone string // one at least
}

func (o Officer) check() error {
	what := o.Duty + " officer"
	if o.Email == "" && o.Phone == "" {
		return fault.Invalid("%s: give an email address or a telephone number", what)
	}
	return errors.Join(form.Text(what+": name", o.Name, 200), form.OptionalEmail(what+": email", o.Email), form.OptionalText(what+": phone", o.Phone, 40))
}

// Officers of a member, by duty.
func (s *Service) Officers(ctx context.Context, member string) (out []Officer, err error) {
	err = each(ctx, s.DB, `SELECT duty, name, email, phone FROM directory_officers WHERE member = $1 ORDER BY duty`, member, func(scan func(...any) error) error {
		var o Officer
		err := scan(&o.Duty, &o.Name, &o.Email, &o.Phone)
		out = append(out, o)
		return err
	})
	return out, err
}

// AddOwner makes a person, known by email address, an owner of a member. The
// person's token acts for every member that the person owns: one is made, and
// returned this once, when the person has none that is good. ErrExists: the
// person owns the member already.
func (s *Service) AddOwner(ctx context.Context, id, email string) (token string, err error) {
	email = strings.ToLower(email)
	if email == "" {
		return "", fault.Invalid("email is missing")
	}
	if err := form.OptionalEmail("email", email); err != nil {
		return "", err
	}
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		now := s.Now()
		r, err := tx.ExecContext(ctx, `INSERT INTO directory_owners (email, member, created_at)
			SELECT CAST($1 AS TEXT), id, CAST($2 AS BIGINT) FROM directory_members WHERE id = $3 ON CONFLICT (email, member) DO NOTHING`, email, now.Unix(), id)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			if _, err := member(ctx, tx, id); err != nil {
				return err
			}
			return fault.ErrExists
		}
		s.audit(tx, audit.Event{Action: "owner.add", Subject: "person/" + email, Member: id})
		var good bool
		err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM directory_tokens WHERE owner = $1 AND expires_at > $2)`, email, now.Unix()).Scan(&good)
		if err != nil || good {
			return err
		}
		token = newToken()
		s.audit(tx, audit.Event{Action: "token.issue", Subject: "token/" + mark(token), Detail: "for " + email})
		_, err = tx.ExecContext(ctx, `INSERT INTO directory_tokens (hash, member, owner, access, created_at, expires_at) VALUES ($1, NULL, $2, $3, $4, $5)`,
			TokenHash(token), email, string(Owner), now.Unix(), now.Add(TokenLife).Truncate(time.Second).Unix())
		return err
	})
	if err != nil {
		return "", err
	}
	s.Logger.Info("owner added", "member", id)
	return token, nil
}

// Owned gives the ids of the members that a person owns, sorted.
func (s *Service) Owned(ctx context.Context, email string) ([]string, error) {
	return texts(ctx, s.DB, `SELECT member FROM directory_owners WHERE email = $1 ORDER BY member`, email)
}

// Owners are the mail addresses of the people whom AddOwner made owners of a
// member, sorted.
func (s *Service) Owners(ctx context.Context, member string) ([]string, error) {
	return texts(ctx, s.DB, `SELECT email FROM directory_owners WHERE member = $1 ORDER BY email`, member)
}

// PeopleOf are the mail addresses of a member and of its owners.
func (s *Service) PeopleOf(ctx context.Context, member string) ([]string, error) {
	return texts(ctx, s.DB, `SELECT email FROM directory_members WHERE id = $1 AND email <> ''
		UNION SELECT email FROM directory_owners WHERE member = $1
		UNION SELECT a.email FROM directory_accounts a JOIN directory_account_members m ON m.account = a.id WHERE m.member = $1 ORDER BY 1`, member)
}
