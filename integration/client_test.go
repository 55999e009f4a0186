package integration

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/perseus-edge/perseus-edge/identity"
)

// client is an OAuth client of the scheme's profile, a carbon accountant or a
// bank, written from the profile and from nothing of the demo's own.
type client struct {
	programs *http.Client // shows its certificate
	people   *http.Client // a browser: no certificate
	id       string
	issuer   string
	resource string
	license  string
	redirect string

	meta struct {
		Issuer        string `json:"issuer"`
		Authorization string `json:"authorization_endpoint"`
		MTLS          struct {
			PAR        string `json:"pushed_authorization_request_endpoint"`
			Token      string `json:"token_endpoint"`
			Revoke     string `json:"revocation_endpoint"`
			Permission string `json:"ib1_permission_endpoint"`
		} `json:"mtls_endpoint_aliases"`
		Methods []string `json:"code_challenge_methods_supported"`
	}
	access, refresh string
	expires         int
}

// newClient reads the files of an OAuth client.
func newClient(id, cert, key, serverCA string) (*client, error) {
	roots, err := identity.ReadCertificates(serverCA)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	wire := func(certs ...tls.Certificate) *http.Client {
		return &http.Client{Timeout: 30 * time.Second,
			Transport:     &http.Transport{Proxy: nil, TLSClientConfig: &tls.Config{RootCAs: identity.Pool(roots...), Certificates: certs, MinVersion: tls.VersionTLS13}},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &client{programs: wire(pair), people: wire(), id: id, redirect: "http://127.0.0.1:1/back"}, nil
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) into(want int, v any) error {
	if a.status != want {
		return fmt.Errorf("%d, want %d: %s", a.status, want, a.body)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("%w: %s", err, a.body)
	}
	return nil
}

func ask(ctx context.Context, c *http.Client, method, to, bearer string, form url.Values) (a answer, err error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return a, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if u := req.URL; form != nil && c.Transport.(*http.Transport).TLSClientConfig.Certificates == nil { // as browsers do
		req.Header.Set("Origin", u.Scheme+"://"+u.Host)
	}
	res, err := c.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	a = answer{status: res.StatusCode, header: res.Header}
	a.body, err = io.ReadAll(io.LimitReader(res.Body, 64<<20))
	return a, err
}

// permit goes the whole way to tokens: metadata, pushed request, the business
// at its browser, the code for tokens.
func (c *client) permit(ctx context.Context, siteCode string) error {
	a, err := ask(ctx, c.people, http.MethodGet, c.issuer+"/.well-known/oauth-authorization-server", "", nil)
	if err == nil {
		err = a.into(http.StatusOK, &c.meta)
	}
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if c.meta.Issuer != c.issuer || c.meta.MTLS.PAR == "" || len(c.meta.Methods) != 1 || c.meta.Methods[0] != "S256" {
		return fmt.Errorf("metadata of %s: %+v", c.issuer, c.meta)
	}
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	a, err = ask(ctx, c.programs, http.MethodPost, c.meta.MTLS.PAR, "", url.Values{
		"client_id": {c.id}, "response_type": {"code"}, "redirect_uri": {c.redirect}, "scope": {c.license}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}})
	var pushed struct {
		URI     string `json:"request_uri"`
		Expires int    `json:"expires_in"`
	}
	if err == nil {
		err = a.into(http.StatusCreated, &pushed)
	}
	if err != nil {
		return fmt.Errorf("pushed request: %w", err)
	}
	back, err := agree(ctx, c.people, c.meta.Authorization+"?"+url.Values{"client_id": {c.id}, "request_uri": {pushed.URI}}.Encode(), siteCode)
	if err != nil {
		return fmt.Errorf("the business at its browser: %w", err)
	}
	q := back.Query()
	if q.Get("error") != "" || q.Get("state") != state || q.Get("iss") != c.issuer || q.Get("code") == "" || !strings.HasPrefix(back.String(), c.redirect) {
		return fmt.Errorf("the redirect %s is not the answer to this request", back)
	}
	return c.tokens(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {c.redirect}, "code_verifier": {verifier}, "client_id": {c.id}})
}

func (c *client) renew(ctx context.Context) error {
	return c.tokens(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {c.refresh}, "client_id": {c.id}})
}

func (c *client) tokens(ctx context.Context, form url.Values) error {
	a, err := ask(ctx, c.programs, http.MethodPost, c.meta.MTLS.Token, "", form)
	var t struct {
		Access  string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Refresh string `json:"refresh_token"`
	}
	if err == nil {
		err = a.into(http.StatusOK, &t)
	}
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	if t.Access == "" || !strings.EqualFold(t.Type, "bearer") {
		return fmt.Errorf("tokens: %s", a.body)
	}
	c.access, c.expires = t.Access, t.Expires
	if t.Refresh != "" {
		c.refresh = t.Refresh
	}
	return nil
}

// fetch asks the resource server with the access token.
func (c *client) fetch(ctx context.Context, path string) (answer, error) {
	return ask(ctx, c.programs, http.MethodGet, c.resource+path, c.access, nil)
}

// agree plays the business: it fills in the forms as they are served, with the
// code that its gateway shows, and presses the button that goes on.
func agree(ctx context.Context, browser *http.Client, link, code string) (*url.URL, error) {
	a, err := ask(ctx, browser, http.MethodGet, link, "", nil)
	at := link
	for range 4 {
		if err != nil {
			return nil, err
		}
		if to := a.header.Get("Location"); a.status/100 == 3 {
			return url.Parse(to)
		}
		doc, err := html.Parse(strings.NewReader(string(a.body)))
		if err != nil {
			return nil, err
		}
		action, values := fill(doc, at, code)
		if a.status != http.StatusOK || values == nil {
			return nil, fmt.Errorf("%s: %d with no form: %s", at, a.status, words(doc))
		}
		at = action
		a, err = ask(ctx, browser, http.MethodPost, at, "", values)
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the page at %s does not come to an end", at)
}

// fill fills in the first form of a page.
func fill(doc *html.Node, at, code string) (action string, values url.Values) {
	action = at
	pressed, in := false, false
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		switch {
		case n.Data == "form" && in:
			return action, values // the second form is another matter
		case n.Data == "form":
			in, values = true, url.Values{}
			base, err := url.Parse(at)
			if to := attr["action"]; err == nil && to != "" {
				if u, err := base.Parse(to); err == nil {
					action = u.String()
				}
			}
		case in && n.Data == "input" && (attr["type"] == "hidden" || attr["type"] == "checkbox"):
			values.Set(attr["name"], attr["value"])
		case in && n.Data == "input" && (attr["type"] == "text" || attr["type"] == ""):
			values.Set(attr["name"], code)
		case in && !pressed && (n.Data == "button" || attr["type"] == "submit"):
			if pressed = true; attr["name"] != "" {
				values.Set(attr["name"], attr["value"])
			}
		}
	}
	return action, values
}

func words(doc *html.Node) string {
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.WriteString(strings.Join(strings.Fields(n.Data), " ") + " ")
		}
	}
	return b.String()
}
