package account

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// NewApp makes a secret for an authenticator app. Nothing is stored.
func (s *Service) NewApp(email string) (signin.App, error) { return signin.AppOf(s.Name, email, "") }

// AppOf shows a secret again.
func (s *Service) AppOf(email, secret string) (signin.App, error) {
	return signin.AppOf(s.Name, email, secret)
}

func (s *Service) sealApp(account, secret string) []byte {
	return s.seal([]byte(secret), "app of "+account)
}

// useCode takes a code of the authenticator app, once: the step is noted in the
// statement that asks for it, so that the same code is not good twice, however
// many processes it reaches at once.
func (s *Service) useCode(ctx context.Context, tx *sql.Tx, a Account, code string) (bool, error) {
	if !a.HasApp() {
		return false, nil
	}
	secret, err := s.open(a.totp, "app of "+a.ID)
	if err != nil {
		return false, err
	}
	step := signin.AppStep(string(secret), code, s.Now(), a.totpStep)
	if step == 0 {
		return false, nil
	}
	r, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET totp_step = $1 WHERE id = $2 AND totp_step < $1`, step, a.ID)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// RecoveryCodes is how many a person gets.
const RecoveryCodes = 10

// newRecoveryCode is 60 random bits, written as xxxx-xxxx-xxxx without letters
// that look like digits.
func newRecoveryCode() string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	var b [12]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	for i, c := range b {
		b[i] = alphabet[c&31]
	}
	return string(b[:4]) + "-" + string(b[4:8]) + "-" + string(b[8:])
}

// recoveryHash is of a code as people type it. The account is part of it: a
// code is good for one.
func recoveryHash(account, code string) string {
	code = strings.NewReplacer("o", "0", "i", "1", "l", "1", "-", "", " ", "").Replace(strings.ToLower(code))
	return hash(account + ":" + code)
}

// useRecoveryCode takes a recovery code, once.
func useRecoveryCode(ctx context.Context, tx *sql.Tx, a Account, code string) (bool, error) {
	r, err := tx.ExecContext(ctx, `DELETE FROM directory_recovery_codes WHERE hash = $1 AND account = $2`, recoveryHash(a.ID, code), a.ID)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

// replaceRecoveryCodes gives new ones; the old ones end.
func replaceRecoveryCodes(ctx context.Context, tx *sql.Tx, account string) ([]string, error) {
	if _, err := tx.ExecContext(ctx, `DELETE FROM directory_recovery_codes WHERE account = $1`, account); err != nil {
		return nil, err
	}
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		codes[i] = newRecoveryCode()
		if _, err := tx.ExecContext(ctx, `INSERT INTO directory_recovery_codes (hash, account) VALUES ($1, $2)`, recoveryHash(account, codes[i]), account); err != nil {
			return nil, err
		}
	}
	return codes, nil
}

// NewRecoveryCodes gives a person new recovery codes, shown this once.
func (s *Service) NewRecoveryCodes(ctx context.Context, a Account) (codes []string, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		codes, err = replaceRecoveryCodes(ctx, tx, a.ID)
		return []audit.Event{event("account.recovery-codes", a, "new recovery codes")}, err
	})
	return codes, err
}

// Factors are a person's second factors.
type Factors struct {
	App      bool
	Passkeys []Passkey
	Codes    int // recovery codes left
}

// FactorsOf says which second factors a person has.
func (s *Service) FactorsOf(ctx context.Context, a Account) (f Factors, err error) {
	f.App = a.HasApp()
	if f.Passkeys, err = s.passkeysOf(ctx, s.DB, a.ID); err != nil {
		return f, err
	}
	err = s.DB.QueryRowContext(ctx, `SELECT COUNT(*) FROM directory_recovery_codes WHERE account = $1`, a.ID).Scan(&f.Codes)
	return f, err
}

// SetApp sets up an authenticator app in the place of the one there was, when
// code shows that it has the secret. ErrWrong: it does not.
func (s *Service) SetApp(ctx context.Context, a Account, secret, code string) error {
	step := signin.AppStep(secret, code, s.Now(), 0)
	if step == 0 {
		return ErrWrong
	}
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		r, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET totp = $1, totp_step = $2, epoch = epoch + 1 WHERE id = $3`, s.sealApp(a.ID, secret), step, a.ID)
		return []audit.Event{event("account.factor-add", a, "authenticator app")}, one(r, err, ErrNotFound)
	})
}

// RemoveApp removes the authenticator app. ErrLast: there is no passkey to take
// its place.
func (s *Service) RemoveApp(ctx context.Context, a Account) error {
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		// First, and by itself: PostgreSQL looks for the passkey at the beginning
		// of a statement, and would miss that it goes while this one waits.
		if err := s.endSessions(ctx, tx, a.ID); err != nil {
			return nil, err
		}
		r, err := tx.ExecContext(ctx, `UPDATE directory_accounts SET totp = $1 WHERE id = $2
			AND EXISTS (SELECT 1 FROM directory_passkeys WHERE account = $2)`, []byte{}, a.ID)
		return []audit.Event{event("account.factor-remove", a, "authenticator app")}, one(r, err, ErrLast)
	})
}

// SealApp seals the secret that is offered to a person's app, for the session
// in which it waits to be confirmed.
func (s *Service) SealApp(account, secret string) []byte {
	return s.seal([]byte(secret), "offer to "+account)
}

// OpenApp opens what SealApp sealed.
func (s *Service) OpenApp(account string, sealed []byte) (string, error) {
	b, err := s.open(sealed, "offer to "+account)
	return string(b), err
}
