// Package account keeps the accounts of businesses at the relay: numbers, ways
// to sign in (a passkey; or a password together with an authenticator app),
// sessions, and the sites that an account holds because their code was shown.
//
// An account is a convenience and no more than that: whatever it may do, the
// holder of the site's code may do too. So there is nothing to recover: who has
// lost the way in shows the code again and keeps a new account, and who has the
// code can end what other accounts hold (decision 32). No name, e-mail address
// or telephone number is asked for.
//
// It knows nothing of pages and nothing of permissions (package permission).
package account

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/signin"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Errors that callers may ask for with errors.Is.
var (
	ErrWrong    = errors.New("account: not the way in")                      // whatever was wrong, so that nothing can be told from anything else
	ErrWeak     = errors.New("account: the password is easy to guess")       //
	ErrStale    = errors.New("account: the form has run out, or was used")   //
	ErrNotFound = errors.New("account: not found")                           //
	ErrLast     = errors.New("account: the last way to sign in stays")       //
	ErrFull     = errors.New("account: it has as many of these as it may")   //
	errTaken    = errors.New("account: this passkey belongs to another one") //
)

// TooMany says that too many attempts have failed.
type TooMany struct{ Wait time.Duration }

func (e *TooMany) Error() string {
	return fmt.Sprintf("account: too many failed attempts, the next in %v", e.Wait)
}

// Allowance bounds attempts at one thing, in all processes together: Burst at
// once, then one each Every.
type Allowance struct {
	Name  string
	Every time.Duration
	Burst int
}

// Config is what accounts need.
type Config struct {
	DB   *database.DB // migrated with relay/migrations
	Key  []byte       // 32 bytes; what it seals opens with it alone
	URL  *url.URL     // of the pages
	Name string       // how authenticator apps and passkeys call us
	// Try takes one of each allowance, or none and says how long to wait. back
	// gives them back.
	Try    func(ctx context.Context, now time.Time, from ...Allowance) (back func() error, wait time.Duration, err error)
	Cost   signin.Cost // optional; of passwords
	Now    func() time.Time
	Logger *slog.Logger
}

// Service keeps accounts. Its methods are safe for concurrent use.
type Service struct {
	Config
	aead      cipher.AEAD
	keys      *signin.Passkeys // nil where the address cannot have passkeys
	passwords *signin.Passwords
}

// New makes the service.
func New(c Config) (*Service, error) {
	k, err := hkdf.Key(sha256.New, c.Key, nil, "perseus-edge business accounts", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	s := &Service{Config: c, passwords: signin.NewPasswords(c.Cost)}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, err
	}
	if s.keys, err = signin.NewPasskeys(signin.PasskeyConfig{URL: c.URL, Name: c.Name, Patience: formLife, Alone: true, Logger: c.Logger}); err != nil {
		c.Logger.Info("account: no passkeys at this address, businesses sign in with a password and an app", "url", c.URL.String(), "why", err)
	}
	return s, nil
}

// HasPasskeys says whether passkeys can be used at this address.
func (s *Service) HasPasskeys() bool { return s.keys != nil }

// Account is an account of a business.
type Account struct {
	ID     string
	Number string // 12 digits
	Made   time.Time

	password string
	app      []byte // sealed
	step     int64
}

// HasPassword says that a password and an app are among the ways to sign in.
func (a Account) HasPassword() bool { return a.password != "" }

func find(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, where, arg string) (a Account, err error) {
	var made int64
	err = q.QueryRowContext(ctx, `SELECT id, number, password, app, app_step, made FROM accounts WHERE `+where, arg).
		Scan(&a.ID, &a.Number, &a.password, &a.app, &a.step, &made)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	a.Made = time.Unix(made, 0).UTC()
	return a, err
}

// Leave deletes an account and all that hangs on it. Permissions stay as they
// are: they are the sites'.
func (s *Service) Leave(ctx context.Context, id string) error {
	return s.DB.Write(ctx, func(tx *sql.Tx) error { return remove(ctx, tx, id) })
}

func remove(ctx context.Context, tx *sql.Tx, id string) error {
	for _, q := range []string{`DELETE FROM account_sessions WHERE account = $1`, `DELETE FROM account_sites WHERE account = $1`,
		`DELETE FROM account_passkeys WHERE account = $1`, `DELETE FROM accounts WHERE id = $1`} {
		if _, err := tx.ExecContext(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// Forgotten is after how long without a signing in an account is deleted.
const Forgotten = 3 * 365 * 24 * time.Hour

// Sweep deletes what has run out.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Now()
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		for q, until := range map[string]time.Time{
			`DELETE FROM account_sessions WHERE expires <= $1`:   now,
			`DELETE FROM account_challenges WHERE expires <= $1`: now,
		} {
			if _, err := tx.ExecContext(ctx, q, until.Unix()); err != nil {
				return err
			}
		}
		rows, err := tx.QueryContext(ctx, `SELECT id FROM accounts WHERE seen <= $1 ORDER BY id LIMIT 100`, now.Add(-Forgotten).Unix())
		if err != nil {
			return err
		}
		old, err := texts(rows)
		for _, id := range old {
			if err == nil {
				err = remove(ctx, tx, id)
			}
		}
		return err
	})
}

func texts(rows *sql.Rows) (out []string, err error) {
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func (s *Service) seal(b []byte, what string) []byte { return s.aead.Seal(nil, nil, b, []byte(what)) }

func (s *Service) open(sealed []byte, what string) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, []byte(what))
}

func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// newNumber is random, so that a number says nothing of any other.
func newNumber() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1e12))
	if err != nil {
		panic(err) // never (crypto/rand)
	}
	return fmt.Sprintf("%012d", n)
}

// Digits keeps the digits of a number as it was typed.
func Digits(typed string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, typed)
}
