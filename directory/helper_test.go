package directory

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
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

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// logs collects everything logged, to look for secrets in it.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is a directory with two members.
type world struct {
	*Service
	clock                *clock
	logs                 *logs
	scheme               scheme.Scheme
	provider, bank       Member
	providerApp, bankApp Application
	admin, owner, reader string // tokens; owner and reader are the provider's
	bankOwner            string
}

const base = "https://directory.example.org"

// authorities are made once: key generation is not what these tests are about.
var authorities = sync.OnceValues(func() (*Authorities, error) {
	dir, err := os.MkdirTemp("", "authorities")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return CreateAuthorities(filepath.Join(dir, "a"), "Example Framework", start)
})

var start = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)

// onBoth runs a test on SQLite, and on PostgreSQL where there is one.
func onBoth(t *testing.T, f func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) {
		f(t, newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "directory.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		f(t, newWorld(t, postgresDSN(t)))
	})
}

func newWorld(t testing.TB, dsn string) *world {
	t.Helper()
	w := &world{clock: &clock{t: start}, logs: &logs{}}
	w.Service = w.open(t, dsn)
	ctx := t.Context()
	w.scheme = w.Scheme
	edp, cap, fsp := w.scheme.Role(scheme.EDP), w.scheme.Role(scheme.CAP), w.scheme.Role(scheme.FSP)
	w.provider = must(w.AddMember(ctx, Member{LegalName: "Perse Energy Ltd", BrandName: "Perse", Roles: []string{edp, cap}, CompanyNumber: "12345678", Effective: "2026-01-31",
		Contact: Contact{Email: "contact@perse.example", PrivacyPolicy: "https://perse.example.com/privacy", DataProtection: "https://register.example/ZA1",
			Address: Address{Street: "1 Main St", Locality: "London", Region: "Greater London", PostalCode: "SE1 1AA", Country: "GB"}}}))(t)
	w.bank = must(w.AddMember(ctx, Member{LegalName: "Bank of Examples plc", Roles: []string{fsp}}))(t)
	w.providerApp = must(w.AddApplication(ctx, Application{Member: w.provider.ID, Name: "Perse Gateways", Roles: []string{edp},
		HomePage: "https://perse.example.com/", MessageDelivery: "https://messages.perse.example.com/in",
		Description: "Gateways \"at\" sites", SupportURL: "https://perse.example.com/help"}))(t)
	w.bankApp = must(w.AddApplication(ctx, Application{Member: w.bank.ID, Name: "Green Loans", Roles: []string{fsp}}))(t)
	w.admin = must(w.IssueToken(ctx, "", Admin))(t)
	w.owner = must(w.IssueToken(ctx, w.provider.ID, Owner))(t)
	w.reader = must(w.IssueToken(ctx, w.provider.ID, Reader))(t)
	w.bankOwner = must(w.IssueToken(ctx, w.bank.ID, Owner))(t)
	t.Cleanup(func() { w.noSecrets(t) })
	return w
}

// open opens a directory on a database that may have one already.
func (w *world) open(t testing.TB, dsn string) *Service {
	t.Helper()
	db := must(database.Open(dsn))(t)
	t.Cleanup(func() { db.Close() })
	s := must(New(Config{
		DB:          db.DB,
		Migrate:     func(ctx context.Context, files fs.FS) error { return db.Migrate(ctx, "directory", files) },
		BaseURL:     base + "/",
		Authorities: must(authorities())(t),
		Scheme:      must(scheme.New("https://registry.example.org"))(t),
		RelayURL:    "https://relay.example.org",
		Now:         w.clock.now,
		Logger:      slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}))(t)
	return s
}

// postgresDSN gives a schema of its own on $PERSEUS_TEST_POSTGRES.
func postgresDSN(t *testing.T) string {
	t.Helper()
	dsn := os.Getenv("PERSEUS_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("PERSEUS_TEST_POSTGRES is not set: not tested on PostgreSQL")
	}
	u := must(url.Parse(dsn))(t)
	schema := "directory_" + strings.ReplaceAll(newID(), "-", "")
	admin := must(database.Open(dsn))(t)
	must(admin.Exec(`CREATE SCHEMA ` + schema))(t)
	t.Cleanup(func() {
		admin.Exec(`DROP SCHEMA ` + schema + ` CASCADE`)
		admin.Close()
	})
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newKeyCSR(t testing.TB) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key := must(identity.NewKey())(t)
	return key, string(must(identity.NewCSR(key, "whatever"))(t))
}

// request makes a request. body is sent as JSON unless it is nil or text.
// Headers are pairs.
func (w *world) request(method, path string, body any, headers ...string) *http.Request {
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

func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

func (w *world) call(method, path string, body any, headers ...string) *httptest.ResponseRecorder {
	return w.serve(w.request(method, path, body, headers...))
}

// answer checks the status and decodes the JSON answer.
func answer(t testing.TB, r *httptest.ResponseRecorder, status int) map[string]any {
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

func (w *world) enrol(code, clientCSR, signingCSR string) *httptest.ResponseRecorder {
	return w.call(http.MethodPost, "/gateway/v1/enrollments",
		map[string]string{"code": code, "client_csr": clientCSR, "signing_csr": signingCSR})
}
