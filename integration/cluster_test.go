package integration

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// machines is how many processes of perseus-central stand beside one another.
const machines = 3

// cluster is several processes of perseus-central with one configuration and
// one PostgreSQL, as they stand behind one address on several machines.
type cluster struct {
	*world
	configs   [machines]string
	processes [machines]*process
	clients   [machines]*client // the carbon accountant, by way of each of them
	codes     []string          // of the sites
}

// newCluster makes it, with so many sites that have registered.
func newCluster(t *testing.T, sites int) *cluster {
	t.Helper()
	dsn := databasetest.Postgres(t)
	w := &cluster{world: &world{t: t, dir: t.TempDir()}}
	var err error
	if w.scheme, err = scheme.New(registry); err != nil {
		t.Fatal(err)
	}
	p := ports.Free(t, 3+3*machines)
	public := func(i int) string { return fmt.Sprintf("https://localhost:%d", p[i]) }
	w.url.issuer, w.url.server, w.url.directory = public(0), public(1), public(2)
	at := func(machine, i int) string { return fmt.Sprintf("127.0.0.1:%d", p[3+3*machine+i]) }
	for m := range machines { // they differ in where they listen, and in nothing else
		yaml := fmt.Sprintf(centralYAML, registry, public(2), at(m, 2), public(0), at(m, 0), public(1), at(m, 1))
		w.configs[m] = writeFile(t, w.dir, fmt.Sprintf("central-%d.yaml", m), strings.Replace(yaml, "sqlite:central.db", fmt.Sprintf("%q", dsn), 1))
	}
	must(t, "perseus-central", "init", "--config", w.configs[0])
	must(t, "perseus-central", "member", "add", "--id", "carbon-count", "--name", "Carbon Count Ltd", "--role", "cap", "--config", w.configs[0])
	var app struct{ URL string }
	if err := json.Unmarshal([]byte(must(t, "perseus-central", "application", "add", "--member", "carbon-count", "--id", "carbon-count-app", "--name", "Carbon Count", "--role", "cap", "--config", w.configs[0])), &app); err != nil {
		t.Fatal(err)
	}
	must(t, "perseus-central", "certificate", "issue", "--application", "carbon-count-app", "--kind", "client", "--out", filepath.Join(w.dir, "cap"), "--config", w.configs[0])
	for m := range machines {
		c, err := newClient(app.URL, filepath.Join(w.dir, "cap-bundle.pem"), filepath.Join(w.dir, "cap-key.pem"), filepath.Join(w.dir, "authorities", "server", "root.pem"))
		if err != nil {
			t.Fatal(err)
		}
		c.issuer, c.resource, c.license = w.url.issuer, w.url.server, w.scheme.LicenseConsumption()
		listening := map[string]string{}
		for i := range 3 {
			listening[strings.TrimPrefix(public(i), "https://")] = at(m, i)
		}
		for _, h := range []*http.Client{c.people, c.programs} {
			tr := h.Transport.(*http.Transport)
			tr.MaxIdleConnsPerHost = 16
			tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, listening[address])
			}
			t.Cleanup(tr.CloseIdleConnections)
		}
		w.clients[m] = c
		w.serve(m)
	}
	w.register(dsn, sites)
	return w
}

// serve starts one of the processes and waits until it answers.
func (w *cluster) serve(m int) {
	w.t.Helper()
	w.processes[m] = start(w.t, fmt.Sprintf("central %d", m), "perseus-central", "serve", "--config", w.configs[m])
	until(w.t, 90*time.Second, "it answers", []*process{w.processes[m]}, func() error {
		for link, c := range map[string]*http.Client{w.url.issuer: w.clients[m].people, w.url.server: w.clients[m].programs} {
			a, err := ask(w.t.Context(), c, http.MethodGet, link+"/healthz", "", nil)
			if err != nil {
				return err
			}
			if err := a.into(http.StatusOK, nil); err != nil {
				return err
			}
		}
		return nil
	})
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("--- end of the log of %s\n%s", w.processes[m].name, w.processes[m].log.last(20))
		}
	})
}

// register writes what gateways would have said of their sites.
func (w *cluster) register(dsn string, n int) {
	w.t.Helper()
	db, err := database.Open(dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(w.t.Context(), func(tx *sql.Tx) error {
		for i := range n {
			gateway, code := fmt.Sprintf("%s/g/%d", w.url.directory, i), identity.NewCode()
			hash := sha256.Sum256([]byte(code))
			w.codes = append(w.codes, code)
			if _, err := tx.Exec(`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ($1, $2, $3, 'SW8', $4, 0, 0)`,
				gateway, w.url.directory+"/m/riverside-metering", fmt.Sprintf("Unit %d", i), hash[:]); err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO head (gateway, sequence, hash) VALUES ($1, 0, $2)`, gateway, make([]byte, 32)); err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO meter (gateway, meter, type, measures, source, listed) VALUES ($1, 'main', 'electricity', 'import', $2, TRUE)`, gateway, rand.Text()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// post posts a form as the carbon accountant, by way of one process.
func (w *cluster) post(m int, path string, f url.Values) (answer, error) {
	return ask(w.t.Context(), w.clients[m].programs, http.MethodPost, w.url.server+path, "", f)
}

// page gets or posts a page as a business, by way of one process.
func (w *cluster) page(m int, path string, f url.Values) (answer, error) {
	method := http.MethodGet
	if f != nil {
		method = http.MethodPost
	}
	return ask(w.t.Context(), w.clients[m].people, method, w.url.issuer+path, "", f)
}

// push pushes a request and gives its request_uri and verifier.
func (w *cluster) push(m int) (uri, verifier string, a answer, err error) {
	verifier = rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	c := w.clients[m]
	a, err = w.post(m, "/oauth/par", url.Values{"client_id": {c.id}, "response_type": {"code"}, "redirect_uri": {c.redirect}, "scope": {c.license}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}})
	var pushed struct {
		URI string `json:"request_uri"`
	}
	if err == nil && a.status == http.StatusCreated {
		err = a.into(http.StatusCreated, &pushed)
	}
	return pushed.URI, verifier, a, err
}

// offer types the code, and gives the form of the decision.
func (w *cluster) offer(m int, uri, code string) (url.Values, error) {
	a, err := w.page(m, "/authorize", url.Values{"client_id": {w.clients[m].id}, "request_uri": {uri}, "code": {code}})
	if err != nil {
		return nil, err
	}
	doc, err := html.Parse(strings.NewReader(string(a.body)))
	if err != nil {
		return nil, err
	}
	_, f := fill(doc, w.url.issuer+"/authorize", code)
	if a.status != http.StatusOK || f.Get("decision") != "agree" {
		return nil, fmt.Errorf("no offer: %d %s", a.status, words(doc))
	}
	return f, nil
}

// codeOf reads the code from the redirect to the client.
func codeOf(a answer) string {
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusSeeOther {
		return ""
	}
	return u.Query().Get("code")
}

func (w *cluster) redeem(m int, code, verifier string) (access, refresh string, a answer, err error) {
	c := w.clients[m]
	a, err = w.post(m, "/oauth/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {c.id}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {c.redirect}})
	var t struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err == nil && a.status == http.StatusOK {
		err = a.into(http.StatusOK, &t)
	}
	return t.Access, t.Refresh, a, err
}

func (w *cluster) refresh(m int, token string) (answer, error) {
	return w.post(m, "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {w.clients[m].id}, "refresh_token": {token}})
}

// flow goes the whole way: the request, the code of the site, the decision and
// the tokens, each at a process of its own.
func (w *cluster) flow(at [4]int, site string) (access, refresh string, err error) {
	uri, verifier, a, err := w.push(at[0])
	if err != nil || uri == "" {
		return "", "", fmt.Errorf("pushed request: %d, %w", a.status, err)
	}
	f, err := w.offer(at[1], uri, site)
	if err != nil {
		return "", "", err
	}
	if a, err = w.page(at[2], "/authorize", f); err != nil || codeOf(a) == "" {
		return "", "", fmt.Errorf("agree: %d, %w", a.status, err)
	}
	access, refresh, a, err = w.redeem(at[3], codeOf(a), verifier)
	if err == nil && refresh == "" {
		err = fmt.Errorf("tokens: %d %s", a.status, a.body)
	}
	return access, refresh, err
}
