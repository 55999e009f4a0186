// Package account is about the people who sign in to the directory: who they
// are, how they prove it (a password and always a second factor), for which
// organisations they act, and the one-time links by which they come in, or come
// in again. It keeps everything in the directory's database (its migrations are
// the directory's), so that several processes may serve the same people.
//
// It knows nothing of pages (package directory/web) and nothing of what an
// organisation may do (package directory).
package account

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity/signin"
)

// Errors that callers may ask for with errors.Is.
var (
	ErrInvalid  = errors.New("invalid")                                  // the person's input; the text says what is wrong with it
	ErrWrong    = errors.New("address, password or code is wrong")       // one error for all of them, so that none can be told from another
	ErrLink     = errors.New("link is not (or no longer) valid")         // unknown, used, expired or taken back
	ErrNotFound = errors.New("not found")                                //
	ErrLast     = errors.New("the last one stays")                       // owner of an organisation, administrator, second factor
	ErrExists   = errors.New("an account with this address exists")      //
	ErrEnded    = errors.New("the session has ended, or never was good") //
)

// TooMany says that too many attempts have failed.
type TooMany struct{ Wait time.Duration }

// Error says when to come again.
func (e *TooMany) Error() string {
	return fmt.Sprintf("too many failed attempts: try again in %v", max(e.Wait.Round(time.Second), time.Second))
}

// Config is what accounts need.
type Config struct {
	DB     *sql.DB          // the directory's, migrated by it
	Key    []byte           // 32 bytes: the secrets of authenticator apps are sealed with it
	URL    string           // public address of the directory, such as https://directory.example.org
	Name   string           // how authenticator apps and passkeys call the directory, such as "Example Directory"
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: slog.Default()
	Cost   signin.Cost      // of passwords; zero: signin.DefaultCost
}

// Service keeps accounts. Its methods are safe for concurrent use.
type Service struct {
	Config
	aead     cipher.AEAD
	passkeys *signin.Passkeys // nil where the directory's address cannot have any

	passwords hasher
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.DB == nil {
		return nil, errors.New("account: DB is needed")
	}
	aead, err := newSealer(c.Key)
	if err != nil {
		return nil, fmt.Errorf("account: key: %w", err)
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("account: URL: need an address such as https://directory.example.org, got %q", c.URL)
	}
	if c.Name == "" {
		c.Name = "Perseus directory"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	s := &Service{Config: c, aead: aead, passwords: signin.NewPasswords(c.Cost)}
	if s.passkeys, err = signin.NewPasskeys(signin.PasskeyConfig{URL: u, Name: c.Name, Patience: ceremonyTime, Logger: c.Logger}); err != nil {
		c.Logger.Info("no passkeys at this address: people sign in with an authenticator app", "url", c.URL, "why", err)
	}
	return s, nil
}

// Account is a person who can sign in.
type Account struct {
	ID            string
	Email         string // in lower case: the name to sign in with
	Name          string
	Administrator bool // of the directory: may act for every organisation
	Created       time.Time
	Epoch         int64 // sessions carry it; those of an earlier one have ended

	password string
	totp     []byte // sealed; empty: none
	totpStep int64
}

// HasApp says that the person uses an authenticator app.
func (a Account) HasApp() bool { return len(a.totp) > 0 }

const accountColumns = `id, email, name, administrator, password, totp, totp_step, epoch, created_at`

func (a *Account) scan(scan func(...any) error) error {
	var created int64
	err := scan(&a.ID, &a.Email, &a.Name, &a.Administrator, &a.password, &a.totp, &a.totpStep, &a.Epoch, &created)
	a.Created = time.Unix(created, 0).UTC()
	return err
}

type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func find(ctx context.Context, q querier, where, arg string) (Account, error) {
	var a Account
	err := a.scan(q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM directory_accounts WHERE `+where+` = $1`, arg).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, fmt.Errorf("account: %w", ErrNotFound)
	}
	return a, err
}

// Account finds an account by its id.
func (s *Service) Account(ctx context.Context, id string) (Account, error) {
	return find(ctx, s.DB, "id", id)
}

// ByEmail finds an account by its address, in any case.
func (s *Service) ByEmail(ctx context.Context, email string) (Account, error) {
	return find(ctx, s.DB, "email", strings.ToLower(strings.TrimSpace(email)))
}

// inTx runs f in a transaction, and then writes what f says was done into the
// audit log, in the same transaction.
func (s *Service) inTx(ctx context.Context, f func(tx *sql.Tx) ([]audit.Event, error)) error {
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit: no effect
	events, err := f(tx)
	if err != nil {
		return err
	}
	if err := audit.Append(ctx, tx, s.Now(), events...); err != nil {
		return err
	}
	return tx.Commit()
}

// Actor is how the audit log calls a person.
func (a Account) Actor() string { return "person:" + a.Email }

func event(action string, a Account, detail string) audit.Event {
	return audit.Event{Action: action, Subject: "account/" + a.ID, Detail: detail}
}

// one checks that a statement touched a row; if it did not, why is the error.
func one(r sql.Result, err, why error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return why
	}
	return nil
}

// hash is how random secrets are stored: they are long enough that a plain hash
// cannot be turned back.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// newSecret is 256 random bits as 43 characters that need no escaping in an
// address.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func newID() string { return strings.ToLower(rand.Text()[:16]) } // 80 random bits

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// CheckEmail gives an address in the form in which accounts are known by it.
func CheckEmail(raw string) (string, error) {
	e := strings.ToLower(strings.TrimSpace(raw))
	a, err := mail.ParseAddress(e)
	if err != nil || a.Address != e || len(e) > 254 || strings.ContainsFunc(e, unicode.IsSpace) {
		return "", invalid("email address: need one such as name@example.org")
	}
	return e, nil
}

func checkName(raw string) (string, error) {
	n := strings.TrimSpace(raw)
	switch {
	case n == "":
		return "", invalid("your name is missing")
	case len([]rune(n)) > 100 || strings.ContainsFunc(n, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", invalid("your name: need one line of at most 100 characters")
	}
	return n, nil
}
