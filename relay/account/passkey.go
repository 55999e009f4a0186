package account

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// formLife is how long a person has for a form that holds a challenge.
const formLife = 15 * time.Minute

// passkeysEach bounds how many passkeys an account may have.
const passkeysEach = 10

// holder is an account as its passkeys know it.
func holder(id, number string, keys []Passkey) signin.Holder {
	h := signin.Holder{ID: id, Name: Grouped(number), Title: Grouped(number)}
	for _, k := range keys {
		h.Records = append(h.Records, k.record)
	}
	return h
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
	ID     string
	Made   time.Time
	record string
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
		var made int64
		if err := rows.Scan(&k.ID, &k.record, &made); err != nil {
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
	State json.RawMessage
	Until int64 // unix seconds, by our own clock
}

// Challenge asks for any passkey that a browser has for us.
func (s *Service) Challenge() (Challenge, error) {
	c, err := s.keys.AskAny()
	if err != nil || c.Options == "" {
		return Challenge{}, err
	}
	b, err := json.Marshal(asking{c.State, s.Now().Add(formLife).Unix()})
	return Challenge{c.Options, s.sealText(b, "challenge")}, err
}

// show checks the answer to a challenge, and gives the account. ErrWrong.
func (s *Service) show(ctx context.Context, state, answer string) (account string, err error) {
	var session asking
	if s.openText(state, "challenge", &session) != nil || s.Now().Unix() >= session.Until {
		return "", ErrWrong
	}
	k, ok, err := s.keys.ShownAny(session.State, answer, func(id string) (signin.Holder, error) {
		a, err := find(ctx, s.DB, "id = $1", id)
		if errors.Is(err, ErrNotFound) {
			return signin.Holder{}, nil
		} else if err != nil {
			return signin.Holder{}, err
		}
		keys, err := s.Passkeys(ctx, a.ID)
		return holder(a.ID, a.Number, keys), err
	})
	if err != nil {
		return "", err
	} else if !ok {
		return "", ErrWrong
	}
	return k.Account, s.DB.Write(ctx, func(tx *sql.Tx) error {
		if err := s.once(ctx, tx, "challenge "+string(session.State)); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `UPDATE account_passkeys SET credential = $1 WHERE id = $2 AND account = $3`, k.Record, k.ID, k.Account)
		if err := some(res, err, ErrWrong); err != nil { // removed meanwhile
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE accounts SET seen = $1 WHERE id = $2`, s.Now().Unix(), k.Account)
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

func insertPasskey(ctx context.Context, tx *sql.Tx, k signin.Passkey, now time.Time) error {
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM account_passkeys WHERE account = $1`, k.Account).Scan(&n); err != nil {
		return err
	}
	if n >= passkeysEach {
		return ErrFull
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO account_passkeys (id, account, credential, made) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
		k.ID, k.Account, k.Record, now.Unix())
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
