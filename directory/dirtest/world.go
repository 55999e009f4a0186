// Package dirtest is a directory for tests: a world with two members on a database of
// its own, whose clock the test moves, served whole, and whose logs are looked through
// for secrets when the test ends.
package dirtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Clock is a clock that a test moves.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock is a clock that stands at a time.
func NewClock(at time.Time) *Clock { return &Clock{t: at} }

// Now is the time on the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Add lets time pass.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Logs collects everything logged, to look for secrets in it.
type Logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes what is logged.
func (l *Logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was logged.
func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

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
		f(t, New(t, "sqlite:"+filepath.Join(t.TempDir(), "directory.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		f(t, New(t, PostgresDSN(t)))
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

// PostgresDSN gives a schema of its own on $PERSEUS_TEST_POSTGRES.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv("PERSEUS_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("PERSEUS_TEST_POSTGRES is not set: not tested on PostgreSQL")
	}
	u := Must(url.Parse(dsn))(t)
	schema := "directory_" + strings.ReplaceAll(form.NewID(), "-", "")
	admin := Must(database.Open(dsn))(t)
	Must(admin.Exec(`CREATE SCHEMA ` + schema))(t)
	t.Cleanup(func() {
		admin.Exec(`DROP SCHEMA ` + schema + ` CASCADE`)
		admin.Close()
	})
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
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

// Request makes a request. body is sent as JSON unless it is nil or text.
// Headers are pairs.
func (w *World) Request(method, path string, body any, headers ...string) *http.Request {
	var b bytes.Buffer
	switch x := body.(type) {
	case nil:
	case string:
		b.WriteString(x)
	default:
		json.NewEncoder(&b).Encode(x)
	}
	r := httptest.NewRequest(method, path, &b)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// Serve has the directory answer a request.
func (w *World) Serve(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.Front.Handler().ServeHTTP(rec, r)
	return rec
}

// Call makes a request and has it answered.
func (w *World) Call(method, path string, body any, headers ...string) *httptest.ResponseRecorder {
	return w.Serve(w.Request(method, path, body, headers...))
}

// Answer checks the status and decodes the JSON answer.
func Answer(t testing.TB, r *httptest.ResponseRecorder, status int) map[string]any {
	t.Helper()
	if r.Code != status {
		t.Fatalf("status %d, want %d: %s", r.Code, status, r.Body)
	}
	var v map[string]any
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		t.Fatalf("answer is not JSON: %v: %s", err, r.Body)
	}
	if status >= 400 && (v["error"] == "" || v["error_description"] == "" || len(v) != 2) {
		t.Fatalf("error answer of the wrong form: %s", r.Body)
	}
	return v
}

// Enrol sends a code and two certificate requests (PEM) as a gateway does.
func (w *World) Enrol(code, clientCSR, signingCSR string) *httptest.ResponseRecorder {
	return w.Call(http.MethodPost, "/gateway/v1/enrollments",
		map[string]string{"code": code, "client_csr": clientCSR, "signing_csr": signingCSR})
}

// ReadCRL fetches a revocation list, and checks who signed it.
func (w *World) ReadCRL(t *testing.T, h ca.Hierarchy) *x509.RevocationList {
	t.Helper()
	r := w.Call("GET", "/crl/"+string(h)+".crl", nil)
	if r.Code != 200 || r.Header().Get("Content-Type") != "application/pkix-crl" {
		t.Fatalf("%d %s: %s", r.Code, r.Header().Get("Content-Type"), r.Body)
	}
	l := Must(x509.ParseRevocationList(r.Body.Bytes()))(t)
	if err := l.CheckSignatureFrom(w.Authorities.Of(h).Issuer); err != nil {
		t.Fatal(err)
	}
	return l
}

// Enrolled is a gateway with its first certificates.
func Enrolled(t *testing.T, w *World) (directory.Gateway, directory.Enrolment) {
	t.Helper()
	g, code, err := w.AddGateway(t.Context(), directory.Gateway{Application: w.ProviderApp.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	_, a := NewKeyCSR(t)
	_, b := NewKeyCSR(t)
	return g, Must(w.Enroll(t.Context(), code, []byte(a), []byte(b)))(t)
}

// Reenroll asks for a renewal as if the certificates had been shown at the
// handshake.
func (w *World) Reenroll(label string, csr string, shown ...*x509.Certificate) *httptest.ResponseRecorder {
	block, _ := pem.Decode([]byte(csr))
	r := w.Request("POST", "/.well-known/est"+label+"/simplereenroll", base64.StdEncoding.EncodeToString(block.Bytes), "Content-Type", "application/pkcs10")
	if len(shown) > 0 {
		r.TLS = &tls.ConnectionState{PeerCertificates: shown}
	}
	return w.Serve(r)
}

// As calls the member API with a token, for an organisation where one is named.
func (w *World) As(token, organization, method, path string, body any) *httptest.ResponseRecorder {
	return w.Call(method, path, body, "Authorization", "Bearer "+token, "X-Organization", organization)
}

// KeyPEM is a private key as PKCS #8 in PEM.
func KeyPEM(t *testing.T, key any) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: Must(x509.MarshalPKCS8PrivateKey(key))(t)}))
}

// Reset forgets what was logged.
func (l *Logs) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// Set moves the clock to a time.
func (c *Clock) Set(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = to
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
