package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"html"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/identity/signin"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// mails are what was mailed.
type mails struct {
	mu   sync.Mutex
	sent []string // to, subject, text
	more chan struct{}
}

func (m *mails) send(_ context.Context, to, subject, text string) error {
	m.mu.Lock()
	m.sent = append(m.sent, to+"\n"+subject+"\n"+text)
	m.mu.Unlock()
	m.more <- struct{}{}
	return nil
}

// world is a directory with its web application and two members.
type world struct {
	t        *testing.T
	dir      *directory.Service
	accounts *account.Service
	app      *App
	base     string
	logs     *dirtest.Logs
	mu       sync.Mutex
	offset   time.Duration
	secrets  []string // that must be in no log

	perse, bank       directory.Member
	perseApp, bankApp directory.Application
	cap, edp, fsp     string
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return start.Add(w.offset)
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offset += d
}

var start = time.Now().UTC().Truncate(time.Second)

var authorities = sync.OnceValues(func() (*ca.Authorities, error) {
	dir, err := os.MkdirTemp("", "authorities")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return ca.CreateAuthorities(filepath.Join(dir, "a"), "Example Framework", start)
})

func onBoth(t *testing.T, f func(t *testing.T, w *world)) {
	databasetest.Each(t, "", nil, func(t *testing.T, db *database.DB) { f(t, newWorld(t, db)) })
}

// onSQLite opens a world for what does not depend on the database.
func onSQLite(t *testing.T) *world {
	db, err := database.Open(databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return newWorld(t, db)
}

func newWorld(t *testing.T, db *database.DB) *world {
	t.Helper()
	w := &world{t: t, logs: &dirtest.Logs{}}
	logger := slog.New(record.Handler(t, slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	var handler http.Handler
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	srv.Config.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelDebug)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	w.base = "https://localhost:" + port

	as, err := authorities()
	w.must(err)
	sc, err := scheme.New("https://registry.example.org")
	w.must(err)
	w.dir, err = directory.New(directory.Config{DB: db.DB, Migrate: func(ctx context.Context, files fs.FS) error { return db.Migrate(ctx, "directory", files) },
		BaseURL: w.base, Authorities: as, Scheme: sc, RelayURL: "https://relay.example.org", Now: w.now, Logger: logger})
	w.must(err)
	w.accounts, err = account.New(account.Config{DB: db.DB, Key: bytes.Repeat([]byte{7}, account.KeySize), URL: w.base, Name: "Example Directory", Now: w.now, Logger: logger,
		Cost: signin.Cost{Memory: 64, Time: 1, Threads: 1}})
	w.must(err)
	w.app, err = New(Config{Directory: w.dir, Accounts: w.accounts, Logger: logger})
	w.must(err)
	mux := http.NewServeMux()
	mux.Handle(Prefix+"/", w.app.Handler())
	front, err := server.New(w.dir, server.Config{})
	w.must(err)
	mux.Handle("/", front.Handler())
	handler = mux

	w.edp, w.cap, w.fsp = sc.Role(scheme.EDP), sc.Role(scheme.CAP), sc.Role(scheme.FSP)
	w.perse, err = w.dir.AddMember(w.ctx(), directory.Member{ID: "perse", LegalName: "Perse Energy Ltd", BrandName: "Perse", Roles: []string{w.edp, w.cap}, CompanyNumber: "12345678"})
	w.must(err)
	w.bank, err = w.dir.AddMember(w.ctx(), directory.Member{ID: "bank", LegalName: "Bank of Examples plc", Roles: []string{w.fsp}})
	w.must(err)
	w.perseApp, err = w.dir.AddApplication(w.ctx(), directory.Application{ID: "perse-app", Member: "perse", Name: "Perse <Gateways>", Roles: []string{w.edp}})
	w.must(err)
	w.bankApp, err = w.dir.AddApplication(w.ctx(), directory.Application{ID: "bank-app", Member: "bank", Name: "Green Loans", Roles: []string{w.fsp}})
	w.must(err)
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		var all strings.Builder
		all.WriteString(w.logs.String())
		es, err := audit.List(context.Background(), w.dir.DB, audit.Filter{Limit: 10_000})
		if err != nil {
			t.Error(err)
		}
		for _, e := range es {
			all.WriteString(e.Actor + " " + e.Subject + " " + e.Detail + "\n")
		}
		for _, s := range append(w.secrets, goodPassword) {
			if s != "" && strings.Contains(all.String(), s) {
				t.Errorf("a secret is in a log: %s", s)
			}
		}
	})
	return w
}

func (w *world) ctx() context.Context { return audit.WithActor(w.t.Context(), "test:test") }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

const goodPassword = "correct horse battery"

// browser is somebody with a cookie jar.
type browser struct {
	w      *world
	client *http.Client
	jar    *cookiejar.Jar
	header http.Header // of every POST
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	w.must(err)
	b := &browser{w: w, jar: jar, header: http.Header{"Origin": {w.base}, "Sec-Fetch-Site": {"same-origin"}}}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // a test server's
	w.t.Cleanup(transport.CloseIdleConnections)
	b.client = &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return b
}

// page is an answer.
type page struct {
	w      *world
	path   string
	status int
	to     string // Location
	body   string
	header http.Header
}

func (b *browser) do(method, path string, form url.Values) page {
	b.w.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	if !strings.HasPrefix(path, "https://") {
		path = b.w.base + path
	}
	r, err := http.NewRequest(method, path, body)
	b.w.must(err)
	if method != http.MethodGet {
		r.Header = b.header.Clone()
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(r)
	b.w.must(err)
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	b.w.must(err)
	return page{b.w, path, res.StatusCode, strings.TrimPrefix(res.Header.Get("Location"), b.w.base), string(all), res.Header}
}

func (b *browser) get(path string) page { return b.do(http.MethodGet, path, nil) }

// post sends a form: pairs of names and values.
func (b *browser) post(path string, pairs ...string) page {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
		if pairs[i] == "password" && len(pairs[i+1]) >= 8 {
			record.Secret(b.w.t, "password of a person", pairs[i+1])
		}
	}
	return b.do(http.MethodPost, path, form)
}

// is fails the test unless the answer has the status and, if text is not empty,
// holds it.
func (p page) is(status int, text string) page {
	p.w.t.Helper()
	if p.status != status {
		p.w.t.Fatalf("%s: %d (to %q), want %d: %s", p.path, p.status, p.to, status, words(p.body))
	}
	if text != "" && !strings.Contains(strings.ToLower(words(p.body)), strings.ToLower(text)) {
		p.w.t.Fatalf("%s does not say %q: %s", p.path, text, words(p.body))
	}
	return p
}

// leads fails the test unless the answer leads to a page.
func (p page) leads(to string) page {
	p.w.t.Helper()
	if p.status != http.StatusSeeOther || p.to != to {
		p.w.t.Fatalf("%s: %d to %q, want to %q: %s", p.path, p.status, p.to, to, words(p.body))
	}
	return p
}

var tags = regexp.MustCompile(`(?s)<head>.*</head>|<[^>]*>`)

// words are what a page says, without its tags.
func words(s string) string {
	return html.UnescapeString(strings.Join(strings.Fields(tags.ReplaceAllString(s, " ")), " "))
}

// find gives what a pattern's group catches in a page.
func (p page) find(pattern string) string {
	p.w.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(html.UnescapeString(p.body))
	if m == nil {
		p.w.t.Fatalf("%s has nothing like %s: %s", p.path, pattern, words(p.body))
	}
	return m[1]
}

func (b *browser) cookie() string {
	u, _ := url.Parse(b.w.base)
	for _, c := range b.jar.Cookies(u) {
		if c.Name == account.SessionCookie {
			return c.Value
		}
	}
	return ""
}

// human is somebody with an account, signed in.
type human struct {
	*browser
	email  string
	secret string // of the authenticator app
	codes  []string
}

func (w *world) code(secret string) string {
	w.t.Helper()
	c, err := totp.GenerateCode(secret, w.now())
	w.must(err)
	return c
}

func (w *world) invitation(l account.Link) string {
	w.t.Helper()
	secret, err := w.accounts.Invite(w.ctx(), l)
	w.must(err)
	w.secrets = append(w.secrets, secret)
	return Prefix + "/invitation/" + secret
}

// signUp goes from an invitation through the pages to an account.
func (w *world) signUp(email, member string, administrator bool) *human {
	w.t.Helper()
	p := &human{browser: w.browser(), email: email}
	link := w.invitation(account.Link{Email: email, Member: member, Administrator: administrator})
	p.get(link).is(200, "You are invited")
	p.post(link, "name", "Olive of "+email, "password", goodPassword).leads(Prefix + "/set-up")
	p.secret = strings.ReplaceAll(p.get(Prefix+"/set-up").is(200, "authenticator app").find(`<code class="key">([A-Z2-7 ]+)</code>`), " ", "")
	done := p.post(Prefix+"/set-up", "code", w.code(p.secret)).is(200, "recovery codes")
	for _, m := range regexp.MustCompile(`<li><code>([a-z0-9-]+)</code></li>`).FindAllStringSubmatch(done.body, -1) {
		p.codes = append(p.codes, m[1])
	}
	if len(p.codes) != account.RecoveryCodes {
		w.t.Fatalf("recovery codes %q", p.codes)
	}
	w.secrets = append(append(w.secrets, p.secret), p.codes...)
	w.pass(time.Minute)
	return p
}

// signIn signs a person in, in another browser.
func (p *human) signIn() *human {
	p.w.t.Helper()
	q := &human{p.w.browser(), p.email, p.secret, p.codes}
	p.w.pass(time.Minute)
	q.post(Prefix+"/sign-in", "email", p.email, "password", goodPassword).leads(Prefix + "/sign-in/second")
	q.get(Prefix+"/sign-in/second").is(200, "six digits")
	q.post(Prefix+"/sign-in/second", "code", p.w.code(p.secret)).leads(Prefix + "/")
	p.w.pass(time.Minute)
	return q
}

func (w *world) csr() string {
	w.t.Helper()
	key, err := identity.NewKey()
	w.must(err)
	csr, err := identity.NewCSR(key, "whatever")
	w.must(err)
	return string(csr)
}

// is fails the test unless an error is the one that is wanted.
func (w *world) is(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Errorf("%v, want %v", err, want)
	}
}
