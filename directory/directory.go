// Package directory says who is who in the scheme: members, their
// applications and gateways, and the certificates by which they know one
// another. Here is what it holds and the rules of it (members, applications,
// data services, sites, gateways with their one-time codes, tokens, which
// certificate was issued to whom); beside it, each a package, are
//
//	ca          the certificate authority: hierarchies, profiles, lists, ceremony
//	server      everything below served at one address, of
//	  listing     what is public, its forms, and queries
//	  memberapi   what members and administrators do with a token
//	  enrolapi    what gateways ask: enrolment and renewal (EST)
//	  status      revocation lists and OCSP (ocsp has the messages)
//	  acme        server certificates (RFC 8555)
//	web         pages for people, who have accounts (account)
//	expiry      warnings of certificates that end, sent by notice
//	audit       the hash-chained log of all changes
//	registry    the scheme's terms; rdf and sparql: the forms and the queries
//	fault form answer   errors, the forms of entries, how HTTP answers
//	dirtest     a directory for tests
//
// It follows IB1's directory 1.0.
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
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/form"
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

// Config is what a directory needs.
type Config struct {
	DB          *sql.DB                                      // SQLite or PostgreSQL; foreign keys on
	Migrate     func(ctx context.Context, files fs.FS) error // applies the goose migrations at the root of files to DB
	BaseURL     string                                       // public address, such as https://directory.example.org, without a path
	Authorities *ca.Authorities
	Scheme      scheme.Scheme
	StatusURL   string           // where the status of certificates (package status) can be asked for, such as http://status.example.org: certificates name it. Empty: BaseURL
	Bounds      Bounds           // how much one member can have
	RelayURL    string           // where enrolled gateways send their batches
	Now         func() time.Time // nil: time.Now
	Logger      *slog.Logger     // nil: slog.Default()
}

// Service is a running directory. Its methods are safe for concurrent use.
type Service struct {
	Config
	pending sync.Map // *sql.Tx of InTx -> *[]audit.Event, see audit

	mu      sync.Mutex
	changes []func() // of OnChange
}

// New checks the configuration, brings the database to the current schema and
// returns the directory. Package server serves it.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Migrate == nil || c.Authorities == nil {
		return nil, errors.New("directory: DB, Migrate and Authorities are needed")
	}
	base, err := form.BaseURL(c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("directory: BaseURL: %w", err)
	}
	c.BaseURL = base
	if c.StatusURL != "" {
		if c.StatusURL, err = form.BaseURL(c.StatusURL); err != nil {
			return nil, fmt.Errorf("directory: StatusURL: %w", err)
		}
	}
	if _, err := form.BaseURL(c.RelayURL); err != nil {
		return nil, fmt.Errorf("directory: RelayURL: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if err := c.Migrate(context.Background(), Migrations()); err != nil {
		return nil, fmt.Errorf("directory: migrate: %w", err)
	}
	// A listing from before its changes were counted: it changed some time ago.
	if _, err := c.DB.Exec(`UPDATE directory_listing SET changed_at = $1 WHERE changed_at = 0`, c.Now().Unix()); err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	c.Bounds = c.Bounds.orDefault()
	return &Service{Config: c}, nil
}

// MemberURL, ApplicationURL and GatewayURL are the public addresses by which
// certificates, grants and records name things.
func (s *Service) MemberURL(id string) string      { return s.BaseURL + "/m/" + id }
func (s *Service) ApplicationURL(id string) string { return s.BaseURL + "/a/" + id }
func (s *Service) GatewayURL(id string) string     { return s.BaseURL + "/g/" + id }

// CRLURL is where the revocation list of a hierarchy is.
func (s *Service) CRLURL(h ca.Hierarchy) string { return s.status() + "/crl/" + string(h) + ".crl" }

// InTx runs f in a transaction, and commits when it returns nil. What f hands
// to audit is written last of all.
func (s *Service) InTx(ctx context.Context, f func(tx *sql.Tx) error) error {
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
	defer s.changed() // the listing is read anew if its revision has changed
	return tx.Commit()
}

// audit has an event written to the audit log when tx, a transaction of InTx,
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

// OCSPURL is where a certificate's status can be asked for.
func (s *Service) OCSPURL() string { return s.status() + "/ocsp" }

// status is the address at which revocation lists and the like are.
func (s *Service) status() string {
	if s.StatusURL != "" {
		return s.StatusURL
	}
	return s.BaseURL
}

func (s *Service) statusURLs(h ca.Hierarchy) ca.StatusURLs {
	return ca.StatusURLs{CRL: s.CRLURL(h), OCSP: s.OCSPURL(), Issuer: s.status() + "/ca/" + string(h) + "-issuer.cer"}
}

// ServiceURL is the address of a data service's catalogue entry, by which the
// catalogue knows it.
func (s *Service) ServiceURL(id string) string { return s.BaseURL + "/d/" + id }

// OnChange has f called after each transaction of this process that may have
// changed something. f must be quick, and safe for concurrent use.
func (s *Service) OnChange(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, f)
}

func (s *Service) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.changes {
		f()
	}
}
