package permission_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/identity/signin"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// The rooms fit together without an adapter.
var (
	_ ingest.Permits        = (*permission.Service)(nil)
	_ permission.SiteFinder = (*ingest.Service)(nil)
)

const (
	gateway1 = "https://directory.example/g/1"
	gateway2 = "https://directory.example/g/2"
	bankURL  = "https://directory.example/a/bank"
	capURL   = "https://directory.example/a/cap"
	code1    = "7K2M-9QXA-04TB"
	code2    = "0000-1111-2222"
	redirect = "https://app.bank.example/cb?from=perseus"
)

var perseus = func() scheme.Scheme {
	s, err := scheme.New("https://registry.example")
	if err != nil {
		panic(err)
	}
	return s
}()

// world is a relay's permission service behind real TLS 1.3 listeners.
type world struct {
	t        *testing.T
	pki      *identitytest.PKI
	db       *database.DB
	svc      *permission.Service
	issuer   string // base URL of the pages
	server   string // base URL of the mTLS endpoints
	sites    *sites
	bank     *app
	cap      *app
	stranger *app // a bank of another member
	gate     *app
	config   permission.Config

	mu      sync.Mutex
	clock   time.Time
	changed []string
	purged  []string
	purge   error // what OnWithdraw answers
	revoked map[string]bool
}

// sites is the SiteFinder of the tests.
type sites struct {
	mu      sync.Mutex
	m       map[string]permission.Site
	version func(stored []byte) string // optional
}

func (s *sites) codeVersion(code string) string {
	if s.version == nil {
		return code
	}
	return s.version([]byte(code))
}

func (s *sites) SiteByCode(_ context.Context, code string) (permission.Site, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if site, ok := s.m[code]; ok {
		site.CodeVersion = s.codeVersion(code)
		return site, nil
	}
	return permission.Site{}, ingest.ErrNotFound
}

func (s *sites) Site(_ context.Context, gateway string) (permission.Site, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for code, site := range s.m {
		if site.Gateway == gateway {
			site.CodeVersion = s.codeVersion(code)
			return site, nil
		}
	}
	return permission.Site{}, ingest.ErrNotFound
}

// recode gives a site another code, as its gateway does for a new tenant.
func (s *sites) recode(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[to] = s.m[from]
	delete(s.m, from)
}

func (s *sites) set(code string, site permission.Site) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[code] = site
}

// databases runs f once for each kind of database that there is.
func databases(t *testing.T, f func(t *testing.T, open func(t *testing.T) *database.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, openSQLite) })
	t.Run("postgres", func(t *testing.T) {
		f(t, func(t *testing.T) *database.DB { return openAt(t, databasetest.Postgres(t)) })
	})
}

func openSQLite(t *testing.T) *database.DB { return openAt(t, databasetest.SQLite(t)) }

func openAt(t *testing.T, dsn string) *database.DB {
	t.Helper()
	db, err := database.Open(dsn)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	must(t, db.Migrate(t.Context(), "relay", migrations.Files))
	return db
}

func newWorld(t *testing.T, db *database.DB, change ...func(*permission.Config)) *world {
	t.Helper()
	w := &world{t: t, pki: identitytest.New(t), db: db, clock: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), revoked: map[string]bool{}}
	w.sites = &sites{m: map[string]permission.Site{
		code1: {Gateway: gateway1, Member: "https://directory.example/m/relay", Name: "Riverside Unit 4", Outcode: "SW8", Meters: []ingest.Meter{
			{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import, energy.Export}},
			{ID: "boiler", Type: "gas", Measures: []energy.Measure{energy.Gas}}}},
		code2: {Gateway: gateway2, Member: "https://directory.example/m/relay", Name: "Corner Shop", Outcode: "CF99", Meters: []ingest.Meter{
			{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import}}}},
	}}
	pages, server := w.mount()
	signing := w.pki.Signing("https://directory.example/a/relay", "Perseus Relay Ltd", "https://directory.example/m/relay", perseus.Role(scheme.EDP))
	c := permission.Config{
		DB: db, Issuer: w.issuer, Server: w.server, Scheme: perseus, Organisation: "Perseus Relay Ltd", Sites: w.sites,
		SealKey: make([]byte, 32), PasswordCost: signin.Cost{Memory: 64, Time: 1, Threads: 1}, Signer: signing.Key, Chain: signing.Chain, Now: w.now,
		Logger: slog.New(record.Handler(t, slog.NewTextHandler(testLog{t}, nil))),
		OnChange: func(g string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed = append(w.changed, g)
		},
		OnWithdraw: func(_ context.Context, g string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.purged = append(w.purged, g)
			return w.purge
		},
		Revoked: func(serial *big.Int) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.revoked[serial.String()]
		},
	}
	for _, f := range change {
		f(&c)
	}
	w.config = c
	if strings.HasPrefix(c.Issuer, "https://localhost:") {
		w.issuer = c.Issuer
	}
	w.start(pages, server)
	return w
}

// sibling is a second service of the same relay, as another process would run
// it: with connections to the database and listeners of its own.
func (w *world) sibling(db *database.DB) *world {
	w.t.Helper()
	v := &world{t: w.t, pki: w.pki, db: db, sites: w.sites, config: w.config}
	v.config.DB = db
	v.start(v.mount())
	v.clock = w.clock
	return v
}

func (w *world) mount() (pages, server *http.ServeMux) {
	pages, server = http.NewServeMux(), http.NewServeMux()
	w.issuer, w.server = w.listen(pages, false), w.listen(server, true)
	return pages, server
}

func (w *world) start(pages, server *http.ServeMux) {
	t := w.t
	t.Helper()
	var err error
	w.svc, err = permission.New(w.config)
	must(t, err)
	w.svc.RegisterBrowser(pages)
	w.svc.RegisterServer(server)
	server.HandleFunc("GET /bare", func(rw http.ResponseWriter, _ *http.Request) { json.NewEncoder(rw).Encode(permission.Access{}) }) // and what it costs without
	server.HandleFunc("GET /resource", func(rw http.ResponseWriter, r *http.Request) {                                                // what any resource does
		a, err := w.svc.CheckToken(r)
		if e, ok := err.(*permission.Error); ok {
			e.Write(rw)
			return
		}
		if r.Context().Err() != nil {
			return // the client has gone
		}
		must(t, err)
		json.NewEncoder(rw).Encode(a)
	})
	w.bank = w.app(bankURL, "Green Bank plc", perseus.Role(scheme.FSP))
	w.stranger = w.app("https://directory.example/a/other", "Other Bank plc", perseus.Role(scheme.FSP), perseus.Role(scheme.CAP))
	w.cap = w.app(capURL, "Carbon Counters Ltd", perseus.Role(scheme.CAP))
	w.gate = w.app(gateway1, "Perseus Relay Ltd")
}

// testLog sends the service's log to the test's, which shows it on failure.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func (w *world) listen(h http.Handler, mutual bool) string {
	leaf := w.pki.Server("127.0.0.1")
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = identity.ServerTLS(leaf.Get, nil)
	if mutual {
		srv.TLS = identity.ServerTLS(leaf.Get, w.pki.ClientCA.Pool())
	}
	srv.TLS.Certificates = []tls.Certificate{*leaf.TLS()} // or httptest adds its own
	srv.Config.ErrorLog = log.New(record.Writer(nil, "errors of a server", nil), "", 0)
	srv.StartTLS()
	w.t.Cleanup(srv.Close)
	return srv.URL
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
