// Package dirtest is a directory for tests: a world with two members on a database of
// its own, whose clock the test moves, served whole, and whose logs are looked through
// for secrets when the test ends.
package dirtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// World is a directory with two members.
type World struct {
	*directory.Service
	Front                *server.Server
	Clock                *Clock
	Logs                 *Logs
	Scheme               scheme.Scheme
	Provider, Bank       directory.Member
	ProviderApp, BankApp directory.Application
	Admin, Owner, Reader string // tokens; owner and reader are the provider's
	BankOwner            string
}

// Base is the address of the directory.
const Base = "https://directory.example.org"

// Authorities are made once: key generation is not what these tests are about.
var Authorities = sync.OnceValues(func() (*ca.Authorities, error) {
	dir, err := os.MkdirTemp("", "authorities")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return ca.CreateAuthorities(filepath.Join(dir, "a"), "Example Framework", Start)
})

// Start is where the clock begins.
var Start = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)

// OnBoth runs a test on SQLite, and on PostgreSQL where there is one.
func OnBoth(t *testing.T, f func(t *testing.T, w *World)) {
	t.Run("sqlite", func(t *testing.T) {
		f(t, New(t, databasetest.SQLite(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		f(t, New(t, databasetest.Postgres(t)))
	})
}

// New is a world on a database (a DSN as of package database) that has nothing in it.
func New(t testing.TB, dsn string) *World {
	t.Helper()
	w := Bare()
	w.Service = w.Open(t, dsn)
	w.ServeAs(t, server.Config{})
	ctx := t.Context()
	w.Scheme = w.Service.Scheme
	edp, cap, fsp := w.Scheme.Role(scheme.EDP), w.Scheme.Role(scheme.CAP), w.Scheme.Role(scheme.FSP)
	w.Provider = Must(w.AddMember(ctx, directory.Member{LegalName: "Perse Energy Ltd", BrandName: "Perse", Roles: []string{edp, cap}, CompanyNumber: "12345678", Effective: "2026-01-31",
		Contact: directory.Contact{Email: "contact@perse.example", PrivacyPolicy: "https://perse.example.com/privacy", DataProtection: "https://register.example/ZA1",
			Address: directory.Address{Street: "1 Main St", Locality: "London", Region: "Greater London", PostalCode: "SE1 1AA", Country: "GB"}}}))(t)
	w.Bank = Must(w.AddMember(ctx, directory.Member{LegalName: "Bank of Examples plc", Roles: []string{fsp}}))(t)
	w.ProviderApp = Must(w.AddApplication(ctx, directory.Application{Member: w.Provider.ID, Name: "Perse Gateways", Roles: []string{edp},
		HomePage: "https://perse.example.com/", MessageDelivery: "https://messages.perse.example.com/in",
		Description: "Gateways \"at\" sites", SupportURL: "https://perse.example.com/help"}))(t)
	w.BankApp = Must(w.AddApplication(ctx, directory.Application{Member: w.Bank.ID, Name: "Green Loans", Roles: []string{fsp}}))(t)
	w.Admin = Must(w.IssueToken(ctx, "", directory.Admin))(t)
	w.Owner = Must(w.IssueToken(ctx, w.Provider.ID, directory.Owner))(t)
	w.Reader = Must(w.IssueToken(ctx, w.Provider.ID, directory.Reader))(t)
	w.BankOwner = Must(w.IssueToken(ctx, w.Bank.ID, directory.Owner))(t)
	t.Cleanup(func() { w.NoSecrets(t) })
	return w
}

// Open opens a directory on a database that may have one already.
func (w *World) Open(t testing.TB, dsn string) *directory.Service {
	t.Helper()
	db := Must(database.Open(dsn))(t)
	t.Cleanup(func() { db.Close() })
	s := Must(directory.New(directory.Config{
		DB:          db.DB,
		Migrate:     func(ctx context.Context, files fs.FS) error { return db.Migrate(ctx, "directory", files) },
		BaseURL:     Base + "/",
		Authorities: Must(Authorities())(t),
		Scheme:      Must(scheme.New("https://registry.example.org"))(t),
		RelayURL:    "https://relay.example.org",
		Now:         w.Clock.Now,
		Logger:      slog.New(record.Handler(t, slog.NewTextHandler(w.Logs, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}))(t)
	return s
}

// ServeAs serves the directory anew, by another configuration.
func (w *World) ServeAs(t testing.TB, c server.Config) {
	t.Helper()
	w.Front = Must(server.New(w.Service, c))(t)
}

// Serve serves a directory.
func Serve(t testing.TB, s *directory.Service) *server.Server {
	t.Helper()
	return Must(server.New(s, server.Config{}))(t)
}

// Must gives the value, or ends the test with the error.
func Must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// NewKeyCSR is a new key with a certificate request (PEM).
func NewKeyCSR(t testing.TB) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key := Must(identity.NewKey())(t)
	return key, string(Must(identity.NewCSR(key, "whatever"))(t))
}

// KeyPEM is a private key as PKCS #8 in PEM.
func KeyPEM(t *testing.T, key any) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: Must(x509.MarshalPKCS8PrivateKey(key))(t)}))
}

// Bare is a world that has only its clock and its log.
func Bare() *World { return &World{Clock: NewClock(Start), Logs: &Logs{}} }

// Texts runs a query of one text column.
func (w *World) Texts(t testing.TB, query string) (out []string) {
	t.Helper()
	rows := Must(w.DB.Query(query))(t)
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
