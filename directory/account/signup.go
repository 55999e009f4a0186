package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// Draft is an account on its way: what a person has given so far, kept in the
// session, sealed. The account comes to be, and the link is used up, only when
// the second factor has shown itself: there is no account without one.
type Draft struct {
	ID       string // of the account to be, or of the one that is restored
	Email    string
	Name     string
	Secret   string // of the link
	Password string // PHC string
	App      string // secret that is offered to an authenticator app
}

// Begin takes name and password of a person who came by a link of kind Invite
// or Restore. ErrLink, ErrInvalid, ErrExists (sign in, then Accept).
func (s *Service) Begin(ctx context.Context, secret, name, password string) (sealed []byte, err error) {
	l, err := s.Link(ctx, secret)
	if err != nil {
		return nil, err
	}
	d := Draft{ID: newID(), Email: l.Email, Secret: secret}
	switch l.Kind {
	case Invite:
		if _, err := s.ByEmail(ctx, l.Email); err == nil {
			return nil, ErrExists
		} else if !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	case Restore:
		a, err := s.Account(ctx, l.Account)
		if err != nil {
			return nil, err
		}
		d.ID, name = a.ID, a.Name
	default:
		return nil, ErrLink
	}
	if d.Name, err = checkName(name); err != nil {
		return nil, err
	}
	if d.Password, err = s.newPassword(ctx, password, d.Email, d.Name); err != nil {
		return nil, err
	}
	app, err := s.NewApp(d.Email)
	if err != nil {
		return nil, err
	}
	d.App = app.Secret
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return s.seal(b, "draft"), nil
}

// Draft opens what Begin sealed.
func (s *Service) Draft(sealed []byte) (Draft, error) {
	var d Draft
	b, err := s.open(sealed, "draft")
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(b, &d)
}

// Finish makes the account of a draft, or restores it, when p shows the second
// factor: Code is of the offered app, or State and Answer are of a passkey
// begun for the draft's id. codes are the recovery codes, shown this once.
// ErrWrong: the factor did not show itself. ErrLink.
func (s *Service) Finish(ctx context.Context, d Draft, label string, p Proof) (a Account, codes []string, err error) {
	forgive, err := s.take(ctx, perFactor, "draft:"+hash(d.Secret))
	if err != nil {
		return Account{}, nil, err
	}
	app, step := []byte{}, int64(0)
	var add func(tx *sql.Tx) error
	if p.Answer != "" {
		k, err := s.newPasskey(d.ID, d.Email, d.Name, p.State, p.Answer)
		if err != nil {
			return Account{}, nil, err
		}
		add = func(tx *sql.Tx) error { return insertPasskey(ctx, tx, label, k, s.Now()) }
	} else {
		if step = signin.AppStep(d.App, p.Code, s.Now(), 0); step == 0 {
			return Account{}, nil, ErrWrong
		}
		app = s.sealApp(d.ID, d.App)
		add = func(*sql.Tx) error { return nil }
	}
	l, err := s.Link(ctx, d.Secret)
	if err != nil {
		return Account{}, nil, err
	}
	ctx = audit.WithActor(ctx, "person:"+d.Email)
	err = s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		if l, err = s.useLink(ctx, tx, d.Secret, l.Kind); err != nil {
			return nil, err
		}
		var done audit.Event
		if l.Kind == Restore {
			done, err = s.restore(ctx, tx, d, app, step)
		} else {
			done, err = s.create(ctx, tx, d, l, app, step)
		}
		if err != nil {
			return nil, err
		}
		if err := add(tx); err != nil {
			return nil, err
		}
		if codes, err = replaceRecoveryCodes(ctx, tx, d.ID); err != nil {
			return nil, err
		}
		a, err = find(ctx, tx, "id", d.ID)
		return []audit.Event{done}, err
	})
	if err != nil {
		return Account{}, nil, err
	}
	forgive()
	s.Logger.Info("account set up", "account", a.ID, "by", l.Kind)
	return a, codes, nil
}

func (s *Service) create(ctx context.Context, tx *sql.Tx, d Draft, l Link, app []byte, step int64) (audit.Event, error) {
	r, err := tx.ExecContext(ctx, `INSERT INTO directory_accounts (id, email, name, administrator, password, totp, totp_step, epoch, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8) ON CONFLICT (email) DO NOTHING`, d.ID, d.Email, d.Name, l.Administrator, d.Password, app, step, s.Now().Unix())
	if err := one(r, err, ErrExists); err != nil {
		return audit.Event{}, err
	}
	done := event("account.add", Account{ID: d.ID}, d.Name+" <"+d.Email+">, by invitation")
	if l.Administrator {
		done.Detail += ", administrator"
	}
	done.Member = l.Member
	return done, s.own(ctx, tx, d.ID, l.Member)
}

// restore puts a new password and a new second factor in the place of those
// that were lost; all sessions end.
func (s *Service) restore(ctx context.Context, tx *sql.Tx, d Draft, app []byte, step int64) (audit.Event, error) {
	if err := endOwnLinks(ctx, tx, d.ID); err != nil {
		return audit.Event{}, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM directory_passkeys WHERE account = $1`, d.ID); err != nil {
		return audit.Event{}, err
	}
	r, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET password = $1, totp = $2, totp_step = $3, epoch = epoch + 1 WHERE id = $4`, d.Password, app, step, d.ID)
	return event("account.restore", Account{ID: d.ID}, "password and second factor set up anew"), one(r, err, ErrLink)
}

// Accept uses an invitation for an account that there is already. ErrLink.
func (s *Service) Accept(ctx context.Context, a Account, secret string) (l Link, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		if l, err = s.useLink(ctx, tx, secret, Invite); err != nil {
			return nil, err
		}
		if l.Administrator {
			if _, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET administrator = TRUE, epoch = epoch + 1 WHERE id = $1`, a.ID); err != nil {
				return nil, err
			}
		}
		done := event("account.accept", a, "invitation accepted")
		done.Member = l.Member
		return []audit.Event{done}, s.own(ctx, tx, a.ID, l.Member)
	})
	return l, err
}

// own makes a person an owner of a member; of "" of none.
func (s *Service) own(ctx context.Context, tx *sql.Tx, account, member string) error {
	if member == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO directory_account_members (account, member, created_at) VALUES ($1, $2, $3) ON CONFLICT (account, member) DO NOTHING`, account, member, s.Now().Unix())
	return err
}
