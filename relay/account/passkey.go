package account

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// formLife is how long a person has for a form that holds a challenge.
const formLife = 15 * time.Minute

// passkeysEach bounds how many passkeys an account may have.
const passkeysEach = 10

// newPasskeys asks for passkeys that the browser finds by itself (nothing is
// typed) and that ask for the person's finger or PIN: they are both steps at
// once.
func newPasskeys(u *url.URL, name string) (*webauthn.WebAuthn, error) {
	patience := webauthn.TimeoutConfig{Enforce: true, Timeout: formLife, TimeoutUVD: formLife}
	required := true
	return webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: name, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{UserVerification: protocol.VerificationRequired,
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &required},
		Timeouts: webauthn.TimeoutsConfig{Login: patience, Registration: patience},
	})
}

// holder is an account as the WebAuthn library sees one.
type holder struct {
	id, number string
	keys       []Passkey
}

func (h holder) WebAuthnID() []byte          { return []byte(h.id) }
func (h holder) WebAuthnName() string        { return Grouped(h.number) }
func (h holder) WebAuthnDisplayName() string { return Grouped(h.number) }
func (h holder) WebAuthnCredentials() (out []webauthn.Credential) {
	for _, k := range h.keys {
		out = append(out, k.credential)
	}
	return out
}

// Grouped writes a number as people read it.
func Grouped(number string) string {
	if len(number) != 12 {
		return number
	}
	return number[:4] + " " + number[4:8] + " " + number[8:]
}

// Passkey is a passkey of an account.
type Passkey struct {
	ID         string
	Made       time.Time
	credential webauthn.Credential
}

// Passkeys lists the passkeys of an account, the oldest first.
func (s *Service) Passkeys(ctx context.Context, account string) ([]Passkey, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT id, credential, made FROM account_passkeys WHERE account = $1 ORDER BY made, id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Passkey
	for rows.Next() {
		var k Passkey
		var raw string
		var made int64
		if err := rows.Scan(&k.ID, &raw, &made); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(raw), &k.credential); err != nil {
			return nil, err
		}
		k.Made = time.Unix(made, 0).UTC()
		out = append(out, k)
	}
	return out, rows.Err()
}

// Challenge is what a page needs to ask for a passkey: Options are for the
// browser (JSON; "" where there are no passkeys), State comes back with the
// answer, sealed.
type Challenge struct{ Options, State string }

// asking is the state of a Challenge.
type asking struct {
	webauthn.SessionData
	Until int64 // unix seconds, by our own clock
}

// Challenge asks for any passkey that a browser has for us.
func (s *Service) Challenge() (Challenge, error) {
	if s.keys == nil {
		return Challenge{}, nil
	}
	options, state, err := s.keys.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Challenge{}, err
	}
	o, err1 := json.Marshal(options.Response)
	st, err2 := json.Marshal(asking{*state, s.Now().Add(formLife).Unix()})
	return Challenge{string(o), s.sealText(st, "challenge")}, errors.Join(err1, err2)
}

// show checks the answer to a challenge, and gives the account. ErrWrong.
func (s *Service) show(ctx context.Context, state, answer string) (account string, err error) {
	var session asking
	if s.keys == nil || s.openText(state, "challenge", &session) != nil || s.Now().Unix() >= session.Until {
		return "", ErrWrong
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return "", s.refused(err)
	}
	var fault error
	user, c, err := s.keys.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		a, err := find(ctx, s.DB, "id = $1", string(handle))
		if err != nil {
			if !errors.Is(err, ErrNotFound) {
				fault = err
			}
			return nil, err
		}
		keys, err := s.Passkeys(ctx, a.ID)
		if err != nil {
			fault = err
		}
		return holder{a.ID, a.Number, keys}, err
	}, session.SessionData, parsed)
	switch {
	case fault != nil:
		return "", fault
	case err != nil:
		return "", s.refused(err)
	case c.Authenticator.CloneWarning:
		s.Logger.Warn("account: passkey refused: its counter went back, as that of a copy would")
		return "", ErrWrong
	}
	account = string(user.WebAuthnID())
	b, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return account, s.DB.Write(ctx, func(tx *sql.Tx) error {
		if err := s.once(ctx, tx, session.Challenge); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `UPDATE account_passkeys SET credential = $1 WHERE id = $2 AND account = $3`, string(b), passkeyID(c.ID), account)
		if err := some(res, err, ErrWrong); err != nil { // removed meanwhile
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE accounts SET seen = $1 WHERE id = $2`, s.Now().Unix(), account)
		return err
	})
}

// once notes that a challenge was answered. ErrWrong: it had been already.
func (s *Service) once(ctx context.Context, tx *sql.Tx, challenge string) error {
	res, err := tx.ExecContext(ctx, `INSERT INTO account_challenges (hash, expires) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING`,
		hashOf(challenge), s.Now().Add(2*formLife).Unix())
	return some(res, err, ErrWrong)
}

// some checks that a statement touched a row; if it did not, why is the error.
func some(res sql.Result, err, why error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return why
}

// refused logs why a passkey's answer was refused, which is of use to the
// operator alone.
func (s *Service) refused(err error) error {
	var pe *protocol.Error
	if errors.As(err, &pe) {
		s.Logger.Info("account: passkey refused", "why", pe.Details, "more", pe.DevInfo)
	}
	return ErrWrong
}

func passkeyID(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

func insertPasskey(ctx context.Context, tx *sql.Tx, account string, c webauthn.Credential, now time.Time) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM account_passkeys WHERE account = $1`, account).Scan(&n); err != nil {
		return err
	}
	if n >= passkeysEach {
		return ErrFull
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO account_passkeys (id, account, credential, made) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
		passkeyID(c.ID), account, string(b), now.Unix())
	return some(res, err, errTaken)
}

// sealText and openText carry what only we may read through a form.
func (s *Service) sealText(b []byte, what string) string {
	return base64.RawURLEncoding.EncodeToString(s.seal(b, what))
}

func (s *Service) openText(sealed, what string, to any) error {
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	if err == nil {
		b, err = s.open(b, what)
	}
	if err != nil {
		return ErrStale
	}
	return json.Unmarshal(b, to)
}
