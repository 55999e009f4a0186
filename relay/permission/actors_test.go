package permission_test

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
)

// app is a client with its certificate; http never follows redirects.
type app struct {
	w    *world
	id   string
	leaf *identitytest.Leaf
	http *http.Client
}

func (w *world) app(id, org string, roles ...string) *app {
	return w.appOf("https://directory.example/m/"+org, id, org, roles...)
}

// relayMember is the member that runs the relay, by its signing certificate.
const relayMember = "https://directory.example/m/relay"

func (w *world) appOf(member, id, org string, roles ...string) *app {
	a := &app{w: w, id: id, leaf: w.pki.Client(id, org, member, roles...)}
	a.http = w.client(a.leaf.Get)
	return a
}

func (w *world) client(cert func() (*tls.Certificate, error)) *http.Client {
	tr := &http.Transport{TLSClientConfig: identity.ClientTLS(w.pki.ServerCA.Pool(), cert), MaxIdleConnsPerHost: 32}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is a response read to its end.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a answer) json() map[string]any {
	var m map[string]any
	json.Unmarshal([]byte(a.Body), &m)
	return m
}

func (a answer) str(name string) string { s, _ := a.json()[name].(string); return s }

func do(t *testing.T, c *http.Client, r *http.Request) answer {
	t.Helper()
	res, err := c.Do(r)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	got := answer{res.StatusCode, res.Header, string(b)}
	conform(t, r, got)
	return got
}

func (a *app) post(path string, f url.Values) answer {
	a.w.t.Helper()
	r, err := http.NewRequest("POST", a.w.server+path, strings.NewReader(f.Encode()))
	must(a.w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(a.w.t, a.http, r)
}

// pkce makes a verifier and its challenge.
func pkce() (verifier, challenge string) {
	verifier = rand.Text() + rand.Text()
	h := sha256.Sum256([]byte(verifier))
	return verifier, base64.RawURLEncoding.EncodeToString(h[:])
}

func (a *app) parForm(license, challenge string) url.Values {
	return url.Values{"client_id": {a.id}, "response_type": {"code"}, "scope": {license}, "redirect_uri": {redirect},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "state": {"st 1&x"}}
}

// push pushes a good request and returns the request_uri.
func (a *app) push(license string) (requestURI, verifier string) {
	a.w.t.Helper()
	verifier, challenge := pkce()
	res := a.post("/oauth/par", a.parForm(license, challenge))
	if res.Status != http.StatusCreated {
		a.w.t.Fatalf("PAR: %d %s", res.Status, res.Body)
	}
	return res.str("request_uri"), verifier
}

// browser is a person's browser: no certificate, no JavaScript.
type browser struct {
	w    *world
	http *http.Client
}

func (w *world) browser() *browser { return &browser{w, w.client(nil)} }

func (b *browser) get(u string) answer {
	b.w.t.Helper()
	r, err := http.NewRequest("GET", u, nil)
	must(b.w.t, err)
	r.Header.Set("User-Agent", "Test Browser/1.0")
	return do(b.w.t, b.http, r)
}

func (b *browser) post(path string, f url.Values) answer {
	b.w.t.Helper()
	r, err := http.NewRequest("POST", b.w.issuer+path, strings.NewReader(f.Encode()))
	must(b.w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "Test Browser/1.0")
	r.Header.Set("Origin", b.w.issuer)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return do(b.w.t, b.http, r)
}

func (w *world) authorizeURL(client, requestURI string) string {
	return w.issuer + "/authorize?" + url.Values{"client_id": {client}, "request_uri": {requestURI}}.Encode()
}

// agree walks a person through the pages, as the pages' own forms lead, and
// returns the query of the redirect.
func (b *browser) agree(client, requestURI, code string) url.Values {
	b.w.t.Helper()
	page := b.get(b.w.authorizeURL(client, requestURI))
	f := formWith(b.w.t, page, "code")
	f.Set("code", code)
	page = b.post("/authorize", f)
	f = formWith(b.w.t, page, "seen")
	f.Set("decision", "agree")
	return b.back(b.post("/authorize", f))
}

// back reads a redirect to the client.
func (b *browser) back(res answer) url.Values {
	b.w.t.Helper()
	if res.Status != http.StatusSeeOther {
		b.w.t.Fatalf("no redirect: %d %s", res.Status, text(res.Body))
	}
	u, err := url.Parse(res.Header.Get("Location"))
	must(b.w.t, err)
	if got := u.Scheme + "://" + u.Host + u.Path; got != "https://app.bank.example/cb" {
		b.w.t.Fatalf("redirected to %s", got)
	}
	return u.Query()
}

func (a *app) redeemForm(code, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {a.id}, "code": {code},
		"code_verifier": {verifier}, "redirect_uri": {redirect}}
}

// tokens is a token response.
type tokens struct{ access, refresh string }

func (a *app) redeem(code, verifier string) tokens {
	a.w.t.Helper()
	res := a.post("/oauth/token", a.redeemForm(code, verifier))
	if res.Status != http.StatusOK {
		a.w.t.Fatalf("token: %d %s", res.Status, res.Body)
	}
	return tokens{res.str("access_token"), res.str("refresh_token")}
}

// flow goes the whole way from the pushed request to the tokens.
func (a *app) flow(license, code string) tokens {
	a.w.t.Helper()
	uri, verifier := a.push(license)
	return a.redeem(a.w.browser().agree(a.id, uri, code).Get("code"), verifier)
}

func (a *app) refresh(token string) answer {
	a.w.t.Helper()
	return a.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {a.id}, "refresh_token": {token}})
}

// use asks the resource with a token.
func (a *app) use(token string) answer {
	a.w.t.Helper()
	r, err := http.NewRequest("GET", a.w.server+"/resource", nil)
	must(a.w.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return do(a.w.t, a.http, r)
}

// formWith gives the hidden and text fields of the page's form that has the
// named field.
func formWith(t *testing.T, page answer, name string) url.Values {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page.Body))
	must(t, err)
	for n := range doc.Descendants() {
		if n.Data != "form" {
			continue
		}
		f := url.Values{}
		for c := range n.Descendants() {
			if c.Data == "input" {
				f.Add(attr(c, "name"), attr(c, "value"))
			}
		}
		if f.Has(name) {
			return f
		}
	}
	t.Fatalf("no form with %q on this page (status %d): %s", name, page.Status, text(page.Body))
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text is what a person reads on a page.
func text(page string) string {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return page
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
