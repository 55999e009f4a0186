package account

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"net/netip"

	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// ByPasskey signs in with the answer of a passkey to a Challenge. ErrWrong,
// *TooMany.
func (s *Service) ByPasskey(ctx context.Context, state, answer string, from netip.Addr) (account string, err error) {
	back, err := s.try(ctx, s.of(perAddress, network(from)))
	if err != nil {
		return "", err
	}
	if account, err = s.show(ctx, state, answer); err != nil {
		return "", err
	}
	return account, back()
}

// ByPassword signs in with a number, its password and a code of the app: all at
// once, so that nothing says which of them was wrong. The answer, its time and
// the limits are the same whether the number is known or not. ErrWrong, *TooMany.
func (s *Service) ByPassword(ctx context.Context, number, password, code string, from netip.Addr) (account string, err error) {
	number = Digits(number)
	back, err := s.try(ctx, s.of(perAddress, network(from)), s.of(perNumber, base64.RawURLEncoding.EncodeToString(hashOf(number))))
	if err != nil {
		return "", err
	}
	a, err := find(ctx, s.DB, "number = $1", number)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	ok, err := s.passwords.Check(ctx, a.password, password)
	if err != nil {
		return "", err
	}
	if !ok {
		s.Logger.Info("account: sign-in refused", "known", a.ID != "", "from", from)
		return "", ErrWrong
	}
	secret, err := s.open(a.app, "app of "+a.ID)
	if err != nil {
		return "", errors.New("account: the secret of an app does not open: the seal key is another one, or the database was altered")
	}
	step := signin.AppStep(string(secret), code, s.Now(), a.step)
	if step == 0 {
		s.Logger.Warn("account: sign-in refused: the password was right, the code was not", "account", a.ID, "from", from)
		return "", ErrWrong
	}
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		// In one statement: the same code is not good twice, however many processes it reaches at once;
		// and a password that was changed meanwhile is none.
		res, err := tx.ExecContext(ctx, `UPDATE accounts SET app_step = $1, seen = $2 WHERE id = $3 AND app_step < $1 AND password = $4`, step, s.Now().Unix(), a.ID, a.password)
		return some(res, err, ErrWrong)
	})
	if err != nil {
		return "", err
	}
	return a.ID, back()
}

func (s *Service) of(a Allowance, key string) Allowance {
	a.Name += key
	return a
}

// try takes an attempt before it is looked at, so that many at once cannot all
// pass before the first has failed.
func (s *Service) try(ctx context.Context, all ...Allowance) (back func() error, err error) {
	back, wait, err := s.Try(ctx, s.Now(), all...)
	if err == nil && wait > 0 {
		s.Logger.Warn("account: too many failed attempts to sign in", "wait", wait)
		err = &TooMany{wait}
	}
	return back, err
}

// network takes a whole /64 as one: that is what one IPv6 customer has.
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is good for any of them
		return p.String()
	}
	return a.String()
}
