package account

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// Passkey is a passkey or security key of a person (WebAuthn).
type Passkey struct {
	ID      string
	Name    string // the person's own
	Created time.Time

	credential webauthn.Credential
}

// passkeysEach bounds how many a person may have.
const passkeysEach = 10

// ceremonyTime is how long a browser waits for the person's finger.
const ceremonyTime = 5 * time.Minute

func newPasskeys(u *url.URL, name string) (*webauthn.WebAuthn, error) {
	patience := webauthn.TimeoutConfig{Enforce: true, Timeout: ceremonyTime, TimeoutUVD: ceremonyTime}
	return webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: name, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference:  protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{UserVerification: protocol.VerificationPreferred, ResidentKey: protocol.ResidentKeyRequirementDiscouraged},
		Timeouts:               webauthn.TimeoutsConfig{Login: patience, Registration: patience},
	})
}

// HasPasskeys says whether people may use passkeys at this directory's address.
func (s *Service) HasPasskeys() bool { return s.passkeys != nil }

// webUser is a person as the WebAuthn library sees one.
type webUser struct {
	id, email, name string
	keys            []Passkey
}

func (u webUser) WebAuthnID() []byte          { return []byte(u.id) }
func (u webUser) WebAuthnName() string        { return u.email }
func (u webUser) WebAuthnDisplayName() string { return u.name }
func (u webUser) WebAuthnCredentials() (out []webauthn.Credential) {
	for _, k := range u.keys {
		out = append(out, k.credential)
	}
	return out
}

// Ceremony is one exchange with a passkey: Options go to the browser, State
// stays in the session and is good once.
type Ceremony struct {
	Options string // JSON
	State   []byte
}

func ceremony(options any, state *webauthn.SessionData) (Ceremony, error) {
	o, err1 := json.Marshal(options)
	st, err2 := json.Marshal(state)
	return Ceremony{string(o), st}, errors.Join(err1, err2)
}

// BeginPasskey begins to make a passkey for a person who may not have an
// account yet: id will be the account's.
func (s *Service) BeginPasskey(ctx context.Context, id, email, name string) (Ceremony, error) {
	if s.passkeys == nil {
		return Ceremony{}, invalid("there are no passkeys at this directory's address")
	}
	keys, err := s.passkeysOf(ctx, s.DB, id)
	if err != nil {
		return Ceremony{}, err
	}
	u := webUser{id, email, name, keys}
	options, state, err := s.passkeys.BeginRegistration(u, webauthn.WithExclusions(webauthn.Credentials(u.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return Ceremony{}, err
	}
	return ceremony(options.Response, state)
}

// newPasskey takes the browser's answer. ErrWrong: it is not good.
func (s *Service) newPasskey(id, email, name string, state []byte, answer string) (webauthn.Credential, error) {
	if s.passkeys == nil {
		return webauthn.Credential{}, ErrWrong
	}
	var session webauthn.SessionData
	if err := json.Unmarshal(state, &session); err != nil {
		return webauthn.Credential{}, ErrWrong
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return webauthn.Credential{}, s.refused("registration", err)
	}
	c, err := s.passkeys.CreateCredential(webUser{id: id, email: email, name: name}, session, parsed)
	if err != nil {
		return webauthn.Credential{}, s.refused("registration", err)
	}
	return *c, nil
}

// refused logs why a passkey's answer was refused, which is of use to the
// operator alone.
func (s *Service) refused(what string, err error) error {
	var pe *protocol.Error
	if errors.As(err, &pe) {
		s.Logger.Info("passkey refused", "at", what, "why", pe.Details, "more", pe.DevInfo)
	}
	return ErrWrong
}

func insertPasskey(ctx context.Context, tx *sql.Tx, account, label string, c webauthn.Credential, now time.Time) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM directory_passkeys WHERE account = $1`, account).Scan(&n); err != nil {
		return err
	}
	if n >= passkeysEach {
		return invalid("you have %d passkeys: remove one first", n)
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO directory_passkeys (id, account, name, credential, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING`,
		passkeyID(c), account, passkeyName(label), string(b), now.Unix())
	return one(r, err, invalid("this passkey is in use already"))
}

func passkeyID(c webauthn.Credential) string { return base64.RawURLEncoding.EncodeToString(c.ID) }

func passkeyName(label string) string {
	label = strings.Join(strings.Fields(label), " ")
	if r := []rune(label); len(r) > 50 {
		label = string(r[:50])
	}
	if label == "" {
		label = "Passkey"
	}
	return label
}

// AddPasskey adds the passkey whose making BeginPasskey began.
func (s *Service) AddPasskey(ctx context.Context, a Account, label string, state []byte, answer string) error {
	c, err := s.newPasskey(a.ID, a.Email, a.Name, state, answer)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		if err := insertPasskey(ctx, tx, a.ID, label, c, s.Now()); err != nil {
			return nil, err
		}
		return []audit.Event{event("account.factor-add", a, "passkey "+passkeyName(label))}, s.endSessions(ctx, tx, a.ID)
	})
}

// RemovePasskey removes a passkey. ErrLast: it is the only second factor.
func (s *Service) RemovePasskey(ctx context.Context, a Account, id string) error {
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		// First, so that two removals at once wait for one another.
		if err := s.endSessions(ctx, tx, a.ID); err != nil {
			return nil, err
		}
		var name string
		err := tx.QueryRowContext(ctx, `DELETE FROM directory_passkeys WHERE id = $1 AND account = $2 RETURNING name`, id, a.ID).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, ErrNotFound
		} else if err != nil {
			return nil, err
		}
		now, err := find(ctx, tx, "id", a.ID)
		if err != nil {
			return nil, err
		}
		left, err := s.passkeysOf(ctx, tx, a.ID)
		if err == nil && len(left) == 0 && !now.HasApp() {
			err = ErrLast
		}
		return []audit.Event{event("account.factor-remove", a, "passkey "+name)}, err
	})
}

func (s *Service) passkeysOf(ctx context.Context, q querier, account string) ([]Passkey, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, name, credential, created_at FROM directory_passkeys WHERE account = $1 ORDER BY created_at, id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Passkey
	for rows.Next() {
		var k Passkey
		var raw string
		var created int64
		if err := rows.Scan(&k.ID, &k.Name, &raw, &created); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(raw), &k.credential); err != nil {
			return nil, err
		}
		k.Created = time.Unix(created, 0).UTC()
		out = append(out, k)
	}
	return out, rows.Err()
}

// BeginSignIn asks for one of a person's passkeys. The zero Ceremony: the
// person has none.
func (s *Service) BeginSignIn(ctx context.Context, a Account) (Ceremony, error) {
	keys, err := s.passkeysOf(ctx, s.DB, a.ID)
	if err != nil || len(keys) == 0 || s.passkeys == nil {
		return Ceremony{}, err
	}
	options, state, err := s.passkeys.BeginLogin(webUser{a.ID, a.Email, a.Name, keys})
	if err != nil {
		return Ceremony{}, err
	}
	return ceremony(options.Response, state)
}

// usePasskey takes the answer of a person's passkey to BeginSignIn.
func (s *Service) usePasskey(ctx context.Context, tx *sql.Tx, a Account, state []byte, answer string) (bool, error) {
	keys, err := s.passkeysOf(ctx, tx, a.ID)
	if err != nil {
		return false, err
	}
	var session webauthn.SessionData
	if s.passkeys == nil || json.Unmarshal(state, &session) != nil {
		return false, nil
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		s.refused("sign-in", err)
		return false, nil
	}
	c, err := s.passkeys.ValidateLogin(webUser{a.ID, a.Email, a.Name, keys}, session, parsed)
	if err != nil {
		s.refused("sign-in", err)
		return false, nil
	}
	if c.Authenticator.CloneWarning {
		s.Logger.Warn("passkey refused: its counter went back, as that of a copy would", "account", a.ID)
		return false, nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE directory_passkeys SET credential = $1 WHERE id = $2 AND account = $3`, string(b), passkeyID(*c), a.ID)
	return err == nil, err
}
