// Package directory says who is who in the scheme: members, their
// applications and gateways, and the certificates by which they know one
// another. It holds the three certificate hierarchies (client, signing,
// server), lets gateways enrol with one-time codes, publishes listings and
// certificate revocation lists, and gives members a small API of their own.
//
// It follows IB1's directory 1.0 and member-identity-digital-certificates 1.0.
// Everything a process knows is in the database and in the folder of
// authorities: several processes on one PostgreSQL may serve the same
// directory.
package directory

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/acme"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/registry"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the directory's, with the goose files at their root.
func Migrations() fs.FS {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is a constant
	}
	return files
}

// Errors that callers may ask for with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrInvalid  = errors.New("invalid")                          // the caller's input; the text says what is wrong with it
	ErrCode     = errors.New("code is not (or no longer) valid") // one error for unknown, used and expired codes, so that none can be told from another
)

// Config is what a directory needs.
type Config struct {
	DB          *sql.DB                                      // SQLite or PostgreSQL; foreign keys on
	Migrate     func(ctx context.Context, files fs.FS) error // applies the goose migrations at the root of files to DB
	BaseURL     string                                       // public address, such as https://directory.example.org, without a path
	Authorities *Authorities
	Scheme      scheme.Scheme
	StatusURL   string           // where StatusHandler can be reached, such as http://status.example.org: certificates name it. Empty: BaseURL
	RelayURL    string           // where enrolled gateways send their batches
	Terms       *registry.Terms  // the registry's terms, for queries and catalogue entries. Nil: none are known
	Now         func() time.Time // nil: time.Now
	Logger      *slog.Logger     // nil: slog.Default()

	// ManagePath is where people of the organisations sign in (package web), at
	// this address. Empty: nowhere.
	ManagePath string

	// ClientAddress says from which address a request comes, for the limits on
	// guessing. Nil: the connection's remote address, which is right unless a
	// proxy stands in front.
	ClientAddress func(*http.Request) netip.Addr

	ACME ACMEConfig // of the ACME server at /acme/; the zero value is right but for sandboxes
}

// Service is a running directory. Its methods are safe for concurrent use.
type Service struct {
	Config
	listed  listingState
	data    datasetState
	queries *turnstile
	acme    *acme.Server
	pending sync.Map // *sql.Tx of inTx -> *[]audit.Event, see audit
}

// New checks the configuration, brings the database to the current schema and
// returns the directory. It does not listen: see Handler.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Migrate == nil || c.Authorities == nil {
		return nil, errors.New("directory: DB, Migrate and Authorities are needed")
	}
	base, err := baseURL(c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("directory: BaseURL: %w", err)
	}
	c.BaseURL = base
	if c.StatusURL != "" {
		if c.StatusURL, err = baseURL(c.StatusURL); err != nil {
			return nil, fmt.Errorf("directory: StatusURL: %w", err)
		}
	}
	if _, err := baseURL(c.RelayURL); err != nil {
		return nil, fmt.Errorf("directory: RelayURL: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.ClientAddress == nil {
		c.ClientAddress = remoteAddress
	}
	if err := c.Migrate(context.Background(), Migrations()); err != nil {
		return nil, fmt.Errorf("directory: migrate: %w", err)
	}
	// A listing from before its changes were counted: it changed some time ago.
	if _, err := c.DB.Exec(`UPDATE directory_listing SET changed_at = $1 WHERE changed_at = 0`, c.Now().Unix()); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	s := &Service{Config: c, queries: newTurnstile()}
	if err := s.openACME(context.Background()); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	return s, nil
}

// MemberURL, ApplicationURL and GatewayURL are the public addresses by which
// certificates, grants and records name things.
func (s *Service) MemberURL(id string) string      { return s.BaseURL + "/m/" + id }
func (s *Service) ApplicationURL(id string) string { return s.BaseURL + "/a/" + id }
func (s *Service) GatewayURL(id string) string     { return s.BaseURL + "/g/" + id }

// CRLURL is where the revocation list of a hierarchy is.
func (s *Service) CRLURL(h Hierarchy) string { return s.status() + "/crl/" + string(h) + ".crl" }

func baseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("need an absolute URL such as https://directory.example.org, got %q", raw)
	}
	return strings.TrimRight(raw, "/"), nil
}

// inTx runs f in a transaction, and commits when it returns nil. What f hands
// to audit is written last of all.
func (s *Service) inTx(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := s.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit: no effect
	var done []audit.Event
	s.pending.Store(tx, &done)
	defer s.pending.Delete(tx)
	if err := f(tx); err != nil {
		return err
	}
	if err := audit.Append(ctx, tx, s.Now(), done...); err != nil {
		return err
	}
	defer s.listed.dirty.Store(true) // the listing is read anew if its revision has changed
	return tx.Commit()
}

// audit has an event written to the audit log when tx, a transaction of inTx,
// ends well: whose change it is, is ctx's actor (audit.WithActor). It belongs
// into every transaction that changes something. The entry is written last, so
// that the order of the other statements matters to nobody's locks.
func (s *Service) audit(tx *sql.Tx, e audit.Event) {
	done, ok := s.pending.Load(tx)
	if !ok {
		panic("directory: audit outside of inTx")
	}
	*done.(*[]audit.Event) = append(*done.(*[]audit.Event), e)
}

// invalid makes an error for the caller's eyes: what is wrong and what to do.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
