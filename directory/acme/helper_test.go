package acme_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/acme"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// clock is the real time, moved by tests: other programs' clients look at the
// real one.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// names is a DNS of its own: names to addresses, an unknown name is not found.
type names struct {
	mu sync.Mutex
	m  map[string][]string
	n  map[string]int // look-ups
}

func (n *names) set(host string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.m[host] = addresses
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.n[host]++
	found, ok := n.m[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, a := range found {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

// The hosts of the member's entries.
const (
	apiHost    = "api.perse.example.com"
	issuerHost = "issuer.perse.example.com"
	inboxHost  = "inbox.perse.example.com"
)

// world is a directory with one member, and that member's web server.
type world struct {
	t       testing.TB
	dsn     string
	dir     *server.Server
	app     directory.Application
	service directory.DataService
	url     string // of the directory
	roots   *x509.CertPool
	web     *http.Client // trusts the directory
	dns     *names
	clock   *clock
	limits  acme.Limits
	port    int // where hosts are asked

	mu      sync.Mutex
	answers http.Handler // of the member's web server
	log     bytes.Buffer
}

// Write takes the log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

var authorities = sync.OnceValues(func() (*ca.Authorities, error) {
	dir, err := os.MkdirTemp("", "authorities")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return ca.CreateAuthorities(filepath.Join(dir, "a"), "Example Framework", time.Now())
})

// onBoth runs a test on SQLite, and on PostgreSQL where there is one.
func onBoth(t *testing.T, f func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { f(t, newWorld(t, sqliteDSN(t), acme.Limits{})) })
	t.Run("postgres", func(t *testing.T) { f(t, newWorld(t, databasetest.Postgres(t), acme.Limits{})) })
}

func sqliteDSN(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "d.db") }

func newWorld(t testing.TB, dsn string, limits acme.Limits) *world {
	t.Helper()
	return newWorldAt(t, dsn, limits, 0)
}

// newWorldAt has hosts asked at a port where others will answer; 0: at one where
// the world's own web server does.
func newWorldAt(t testing.TB, dsn string, limits acme.Limits, port int) *world {
	t.Helper()
	w := &world{t: t, dsn: dsn, clock: &clock{}, limits: limits, dns: &names{m: map[string][]string{}, n: map[string]int{}}}
	member := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		h := w.answers
		w.mu.Unlock()
		if h == nil {
			h = http.NotFoundHandler()
		}
		h.ServeHTTP(rw, r)
	}))
	t.Cleanup(member.Close)
	if w.port = port; port == 0 {
		w.port = must(strconv.Atoi(member.URL[strings.LastIndexByte(member.URL, ':')+1:]))(t)
	}
	for _, h := range []string{apiHost, issuerHost, inboxHost} {
		w.dns.set(h, "127.0.0.1")
	}
	srv := httptest.NewUnstartedServer(nil)
	w.url = "https://localhost:" + srv.Listener.Addr().String()[strings.LastIndexByte(srv.Listener.Addr().String(), ':')+1:]
	w.dir = w.open()
	ctx := t.Context()
	m := must(w.dir.AddMember(ctx, directory.Member{LegalName: "Perse Energy Ltd", Roles: []string{w.dir.Scheme.Role(scheme.EDP)}}))(t)
	w.app = must(w.dir.AddApplication(ctx, directory.Application{Member: m.ID, Name: "Perse", MessageDelivery: "https://" + inboxHost + "/in"}))(t)
	w.service = must(w.dir.AddDataService(ctx, directory.DataService{Application: w.app.ID, Title: "Consumption", ConformsTo: w.dir.Scheme.StandardConsumption(),
		Endpoint: "https://" + apiHost + ":8443/v1", OAuthIssuer: "https://" + issuerHost}))(t)
	keeper := must(w.dir.ServerCertificates(ctx, "localhost"))(t)
	srv.Config.Handler = w.dir.Handler()
	srv.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
	srv.TLS = identity.ServerTLS(keeper.Certificate, nil)
	srv.TLS.Certificates = []tls.Certificate{*must(keeper.Certificate())(t)} // else httptest adds its own
	srv.StartTLS()
	t.Cleanup(srv.Close)
	w.roots = w.dir.Authorities.Server.Pool()
	w.web = &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(w.roots, nil)}}
	return w
}

// open opens another process's directory on the same database.
func (w *world) open() *server.Server {
	w.t.Helper()
	db := must(database.Open(w.dsn))(w.t)
	w.t.Cleanup(func() { db.Close() })
	dir := must(directory.New(directory.Config{
		DB: db.DB, Migrate: func(ctx context.Context, files fs.FS) error { return db.Migrate(ctx, "directory", files) },
		BaseURL: w.url, Authorities: must(authorities())(w.t), Scheme: must(scheme.New("https://registry.example.org"))(w.t),
		RelayURL: "https://relay.example.org", Now: w.clock.now, Logger: slog.New(record.Handler(nil, slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}))(w.t)
	return must(server.New(dir, server.Config{ACME: server.ACMEConfig{Limits: w.limits, Validator: acme.Validator{Resolver: w.dns, Port: w.port, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}}))(w.t)
}

// member has the member's web server answer with h.
func (w *world) member(h http.Handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = h
}

// client is an ACME client that can also do it wrong. It speaks to a handler,
// which may be another process's.
type client struct {
	*world
	t       testing.TB
	handler http.Handler
	key     crypto.Signer
	alg     jose.SignatureAlgorithm
	kid     string
	nonce   string
}

func (w *world) client(t testing.TB) *client {
	t.Helper()
	return &client{world: w, t: t, handler: w.dir.Handler(), key: newKey(t), alg: jose.ES256}
}

// registered is a client with an account.
func (w *world) registered(t testing.TB) *client {
	t.Helper()
	c := w.client(t)
	r := c.post("/acme/new-account", `{}`)
	if r.Code != http.StatusCreated {
		t.Fatalf("new account: %d %s", r.Code, r.Body)
	}
	c.kid = r.Header().Get("Location")
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey { t.Helper(); return must(identity.NewKey())(t) }

// forms are what a request may have that a right one has not.
type forms struct {
	url, nonce, kid *string
	key             crypto.Signer // signs
	alg             jose.SignatureAlgorithm
	jwk             bool // the key in the header though there is an account
	extra           map[jose.HeaderKey]any
}

// sign makes the JWS of a request to a path.
func (c *client) sign(path, payload string, f forms) string {
	c.t.Helper()
	key, alg := f.key, f.alg
	if key == nil {
		key = c.key
	}
	if alg == "" {
		alg = c.alg
	}
	o := (&jose.SignerOptions{}).WithHeader("url", c.world.url+path)
	if f.url != nil {
		o.WithHeader("url", *f.url)
	}
	if f.nonce != nil {
		o.WithHeader("nonce", *f.nonce)
	} else {
		o.WithHeader("nonce", c.freshNonce())
	}
	kid := c.kid
	if f.kid != nil {
		kid = *f.kid
	}
	if kid != "" && !f.jwk {
		o.WithHeader("kid", kid)
	} else {
		o.EmbedJWK = true
	}
	for k, v := range f.extra {
		o.WithHeader(k, v)
	}
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o))(c.t)
	return must(signer.Sign([]byte(payload)))(c.t).FullSerialize()
}

func (c *client) freshNonce() string {
	if n := c.nonce; n != "" {
		c.nonce = ""
		return n
	}
	return c.do(httptest.NewRequest(http.MethodHead, c.world.url+"/acme/new-nonce", nil)).Header().Get("Replay-Nonce")
}

func (c *client) do(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	c.handler.ServeHTTP(rec, r)
	return rec
}

// send posts a body as it is.
func (c *client) send(path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, c.world.url+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/jose+json")
	rec := c.do(r)
	c.nonce = rec.Header().Get("Replay-Nonce")
	return rec
}

func (c *client) post(path, payload string) *httptest.ResponseRecorder {
	c.t.Helper()
	return c.send(path, c.sign(path, payload, forms{}))
}

// answer is what comes back.
type answer struct {
	Type, Detail, Status string
	Identifier           struct{ Type, Value string }
	Subproblems          []answer
	Algorithms           []string
	Authorizations       []string
	Orders               any
	Contact              []string
	Finalize             string
	Certificate          string
	Expires              string
	Error                *answer
	Challenges           []answer
	URL, Token           string
	Replaces             string
	SuggestedWindow      struct{ Start, End time.Time }
	Validated            string

	location, retry string
}

// UnmarshalJSON takes a status that is a number too.
func (a *answer) UnmarshalJSON(b []byte) error {
	type plain answer
	var x struct {
		*plain
		Status any
	}
	x.plain = (*plain)(a)
	if err := json.Unmarshal(b, &x); err != nil {
		return err
	}
	if s, ok := x.Status.(string); ok {
		a.Status = s
	}
	return nil
}

func want(t testing.TB, r *httptest.ResponseRecorder, status int) answer {
	t.Helper()
	if r.Code != status {
		t.Fatalf("status %d, want %d: %s", r.Code, status, r.Body)
	}
	var a answer
	if err := json.Unmarshal(r.Body.Bytes(), &a); err != nil {
		t.Fatalf("not JSON: %v: %s", err, r.Body)
	}
	if status >= 400 && (r.Header().Get("Content-Type") != "application/problem+json" || !strings.HasPrefix(a.Type, "urn:ietf:params:acme:error:") || a.Detail == "") {
		t.Fatalf("not a problem document: %s %s", r.Header().Get("Content-Type"), r.Body)
	}
	a.location, a.retry = r.Header().Get("Location"), r.Header().Get("Retry-After")
	return a
}

// refused checks a problem's type and that its words say something.
func refused(t testing.TB, r *httptest.ResponseRecorder, status int, kind, words string) answer {
	t.Helper()
	a := want(t, r, status)
	if a.Type != "urn:ietf:params:acme:error:"+kind || !strings.Contains(a.Detail, words) {
		t.Fatalf("%s %q, want %s with %q", a.Type, a.Detail, kind, words)
	}
	return a
}

// path is the path of one of our addresses.
func (w *world) path(address string) string { return strings.TrimPrefix(address, w.url) }

func orderFor(hosts ...string) string {
	var ids []map[string]string
	for _, h := range hosts {
		ids = append(ids, map[string]string{"type": "dns", "value": h})
	}
	b, _ := json.Marshal(map[string]any{"identifiers": ids})
	return string(b)
}

// order makes an order; location is its address.
func (c *client) order(hosts ...string) answer {
	c.t.Helper()
	return want(c.t, c.post("/acme/new-order", orderFor(hosts...)), http.StatusCreated)
}

// keyAuthorization is what a host must show for a token.
func (c *client) keyAuthorization(token string) string {
	k := jose.JSONWebKey{Key: c.key.Public()}
	return token + "." + base64.RawURLEncoding.EncodeToString(must(k.Thumbprint(crypto.SHA256))(c.t))
}

// challenge reads the one challenge of an authorization.
func (c *client) challenge(authorization string) answer {
	c.t.Helper()
	a := want(c.t, c.post(c.path(authorization), ""), http.StatusOK)
	if len(a.Challenges) != 1 {
		c.t.Fatalf("%d challenges", len(a.Challenges))
	}
	return a.Challenges[0]
}

// meet meets all challenges of an order.
func (c *client) meet(o answer) {
	c.t.Helper()
	c.member(c.responder())
	for _, a := range o.Authorizations {
		if got := want(c.t, c.post(c.path(c.challenge(a).URL), `{}`), http.StatusOK); got.Status != "valid" || got.Validated == "" {
			c.t.Fatalf("challenge %s: %+v", got.Status, got.Error)
		}
	}
}

// responder answers every challenge of the client's account.
func (c *client) responder() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
		if !ok {
			http.NotFound(rw, r)
			return
		}
		io.WriteString(rw, c.keyAuthorization(token)+"\n")
	})
}

func newCSR(t testing.TB, key crypto.Signer, tpl x509.CertificateRequest) string {
	t.Helper()
	return base64.RawURLEncoding.EncodeToString(must(x509.CreateCertificateRequest(rand.Reader, &tpl, key))(t))
}

func csrPayload(csr string) string { return `{"csr":"` + csr + `"}` }

// obtain goes the whole way, and gives the chain.
func (c *client) obtain(key crypto.Signer, hosts ...string) []*x509.Certificate {
	c.t.Helper()
	o := c.order(hosts...)
	c.meet(o)
	o = want(c.t, c.post(c.path(o.Finalize), csrPayload(newCSR(c.t, key, x509.CertificateRequest{DNSNames: hosts}))), http.StatusOK)
	if o.Status != "valid" {
		c.t.Fatalf("order is %s", o.Status)
	}
	r := c.post(c.path(o.Certificate), "")
	if r.Code != http.StatusOK || r.Header().Get("Content-Type") != "application/pem-certificate-chain" {
		c.t.Fatalf("certificate: %d %s %s", r.Code, r.Header().Get("Content-Type"), r.Body)
	}
	return must(identity.ParseCertificates(r.Body.Bytes()))(c.t)
}

var otherCurves = []elliptic.Curve{elliptic.P224(), elliptic.P384(), elliptic.P521()}

func pemCSR(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
