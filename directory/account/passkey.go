package account

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// Passkey is a passkey or security key of a person (WebAuthn).
type Passkey struct {
	ID      string
	Name    string // the person's own
	Created time.Time

	record string
}

// passkeysEach bounds how many a person may have.
const passkeysEach = 10

// ceremonyTime is how long a browser waits for the person's finger.
const ceremonyTime = 5 * time.Minute

// HasPasskeys says whether people may use passkeys at this directory's address.
func (s *Service) HasPasskeys() bool { return s.passkeys != nil }

// holder is a person as passkeys know one.
func holder(id, email, name string, keys []Passkey) signin.Holder {
	h := signin.Holder{ID: id, Name: email, Title: name}
	for _, k := range keys {
		h.Records = append(h.Records, k.record)
	}
	return h
}

// BeginPasskey begins to make a passkey for a person who may not have an
// account yet: id will be the account's.
func (s *Service) BeginPasskey(ctx context.Context, id, email, name string) (signin.Ceremony, error) {
	if s.passkeys == nil {
		return signin.Ceremony{}, invalid("there are no passkeys at this directory's address")
	}
	keys, err := s.passkeysOf(ctx, s.DB, id)
	if err != nil {
		return signin.Ceremony{}, err
	}
	return s.passkeys.Make(holder(id, email, name, keys))
}

// newPasskey takes the browser's answer. ErrWrong: it is not good.
func (s *Service) newPasskey(id, email, name string, state []byte, answer string) (signin.Passkey, error) {
	k, ok, err := s.passkeys.Made(holder(id, email, name, nil), state, answer)
	if err == nil && !ok {
		err = ErrWrong
	}
	return k, err
}

func insertPasskey(ctx context.Context, tx *sql.Tx, label string, k signin.Passkey, now time.Time) error {
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM directory_passkeys WHERE account = $1`, k.Account).Scan(&n); err != nil {
		return err
	}
	if n >= passkeysEach {
		return invalid("you have %d passkeys: remove one first", n)
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO directory_passkeys (id, account, name, credential, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING`,
		k.ID, k.Account, passkeyName(label), k.Record, now.Unix())
	return one(r, err, invalid("this passkey is in use already"))
}

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
	k, err := s.newPasskey(a.ID, a.Email, a.Name, state, answer)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) ([]audit.Event, error) {
		if err := insertPasskey(ctx, tx, label, k, s.Now()); err != nil {
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
		var created int64
		if err := rows.Scan(&k.ID, &k.Name, &k.record, &created); err != nil {
			return nil, err
		}
		k.Created = time.Unix(created, 0).UTC()
		out = append(out, k)
	}
	return out, rows.Err()
}

// BeginSignIn asks for one of a person's passkeys. The zero Ceremony: the
// person has none.
func (s *Service) BeginSignIn(ctx context.Context, a Account) (signin.Ceremony, error) {
	keys, err := s.passkeysOf(ctx, s.DB, a.ID)
	if err != nil {
		return signin.Ceremony{}, err
	}
	return s.passkeys.Ask(holder(a.ID, a.Email, a.Name, keys))
}

// usePasskey takes the answer of a person's passkey to BeginSignIn.
func (s *Service) usePasskey(ctx context.Context, tx *sql.Tx, a Account, state []byte, answer string) (bool, error) {
	keys, err := s.passkeysOf(ctx, tx, a.ID)
	if err != nil {
		return false, err
	}
	k, ok, err := s.passkeys.Shown(holder(a.ID, a.Email, a.Name, keys), state, answer)
	if !ok {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE directory_passkeys SET credential = $1 WHERE id = $2 AND account = $3`, k.Record, k.ID, k.Account)
	return err == nil, err
}
