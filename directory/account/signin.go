package account

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// Password is the first step of signing in: it gives the account of an address
// and a password. The answer, its time and the limits are the same whether the
// address is known or not. ErrWrong, *TooMany.
func (s *Service) Password(ctx context.Context, email, password string, from netip.Addr) (Account, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if len(email) > 254 {
		email = email[:254]
	}
	forgiveAddress, err := s.take(ctx, perAddress, addressKey(from))
	if err != nil {
		return Account{}, err
	}
	forgive, err := s.take(ctx, perAccount, hash(email))
	if err != nil {
		return Account{}, err
	}
	a, err := find(ctx, s.DB, "email", email)
	known := err == nil
	if !known && !errors.Is(err, ErrNotFound) {
		return Account{}, err
	}
	ok, err := s.passwords.Check(ctx, a.password, password) // "" where it is not known: that takes as long
	if err != nil {
		return Account{}, err
	}
	if !ok || !known {
		s.Logger.Info("sign-in refused: address or password", "known", known, "from", from)
		return Account{}, ErrWrong
	}
	forgiveAddress()
	forgive()
	if s.passwords.Stale(a.password) {
		if err := s.rehash(ctx, a, password); err != nil {
			s.Logger.Warn("account: password not hashed anew", "account", a.ID, "error", err)
		}
	}
	return a, nil
}

// rehash stores the same password at the present cost.
func (s *Service) rehash(ctx context.Context, a Account, password string) error {
	phc, err := s.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = s.DB.ExecContext(ctx, `UPDATE directory_accounts SET password = $1 WHERE id = $2 AND password = $3`, phc, a.ID, a.password)
	return err
}

// Proof is what a person shows as the second factor: a code of the app or a
// recovery code, or a passkey's answer to a ceremony of BeginSignIn.
type Proof struct {
	Code   string
	State  []byte // of the ceremony
	Answer string // the browser's, JSON; empty: Code counts
}

// SecondFactor is the second step of signing in. How says which factor it was.
// ErrWrong, *TooMany.
func (s *Service) SecondFactor(ctx context.Context, id string, p Proof) (a Account, how string, err error) {
	forgive, err := s.take(ctx, perFactor, id)
	if err != nil {
		return Account{}, "", err
	}
	err = s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		if a, err = find(ctx, tx, "id", id); err != nil {
			return nil, err
		}
		ok := false
		switch {
		case p.Answer != "":
			how = "passkey"
			ok, err = s.usePasskey(ctx, tx, a, p.State, p.Answer)
		case strings.Trim(p.Code, "0123456789 ") == "":
			how = "app"
			ok, err = s.useCode(ctx, tx, a, p.Code)
		default:
			how = "recovery code"
			ok, err = useRecoveryCode(ctx, tx, a, p.Code)
		}
		if err == nil && !ok {
			err = ErrWrong
		}
		return []audit.Event{event("account.sign-in", a, "with password and "+how)}, err
	})
	if errors.Is(err, ErrWrong) {
		s.Logger.Info("sign-in refused: second factor", "account", id, "factor", how)
	}
	if err != nil {
		return Account{}, "", err
	}
	forgive()
	return a, how, nil
}

// ChangePassword changes a person's password. Other sessions end.
func (s *Service) ChangePassword(ctx context.Context, a Account, password string) error {
	phc, err := s.newPassword(ctx, password, a.Email, a.Name)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		return []audit.Event{event("account.password", a, "changed")}, s.setPassword(ctx, tx, a.ID, phc)
	})
}

// newPassword checks a new password and hashes it.
func (s *Service) newPassword(ctx context.Context, password, email, name string) (string, error) {
	if err := checkPassword(password, email, name); err != nil {
		return "", err
	}
	return s.passwords.Hash(ctx, password)
}

// endOwnLinks ends the links to a person's own account that were not used yet:
// a new password or factor is not to be undone by whoever had got one before.
func endOwnLinks(ctx context.Context, tx *sql.Tx, account string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM directory_links WHERE account = $1 AND used_at IS NULL`, account)
	return err
}

func (s *Service) setPassword(ctx context.Context, tx *sql.Tx, account, phc string) error {
	if err := endOwnLinks(ctx, tx, account); err != nil {
		return err
	}
	r, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET password = $1, epoch = epoch + 1 WHERE id = $2`, phc, account)
	return one(r, err, ErrNotFound)
}

func (s *Service) endSessions(ctx context.Context, tx *sql.Tx, account string) error {
	r, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET epoch = epoch + 1 WHERE id = $1`, account)
	return one(r, err, ErrNotFound)
}

// EndSessions signs a person out everywhere.
func (s *Service) EndSessions(ctx context.Context, a Account) error {
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		if err := endOwnLinks(ctx, tx, a.ID); err != nil {
			return nil, err
		}
		return []audit.Event{event("account.sessions-end", a, "signed out everywhere")}, s.endSessions(ctx, tx, a.ID)
	})
}
