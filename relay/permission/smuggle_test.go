package permission_test

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

func challengeOf(verifier string) string {
	h := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// attackHeaders: what a proxy of another house might say about the client
// counts for nothing; the certificate of the connection does.
func attackHeaders(t *testing.T, w *world) {
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	pem := url.QueryEscape(string(w.bank.leaf.PEM()))
	for name, value := range map[string]string{
		"X-Forwarded-Client-Cert": "Cert=" + pem, "X-Client-Cert": pem, "X-SSL-Client-Cert": pem, "SSL-Client-Cert": pem, "X-Amzn-Mtls-Clientcert": pem,
		"Client-Cert": ":" + base64.StdEncoding.EncodeToString(w.bank.leaf.Cert().Raw) + ":", "X-Client-Id": bankURL, "X-SSL-Client-S-DN": "CN=" + bankURL,
		"X-HTTP-Method-Override": "POST", "X-Original-URL": "/oauth/token", "X-Forwarded-Host": "evil.example", "Forwarded": "for=192.0.2.1;host=evil.example",
	} {
		r, err := http.NewRequest("GET", w.server+"/resource", nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+tok.access)
		r.Header.Set(name, value)
		refused(t, do(t, w.stranger.http, r), 401, "invalid_token")

		// Nor do the pages and the metadata take an address from a header.
		r, err = http.NewRequest("GET", w.issuer+"/.well-known/oauth-authorization-server", nil)
		must(t, err)
		r.Header.Set(name, value)
		r.Host = "evil.example"
		if res := do(t, w.browser().http, r); res.str("issuer") != w.issuer || strings.Contains(res.Body, "evil") {
			t.Errorf("%s: metadata %s", name, res.Body)
		}
	}
	// State comes back as it was sent, and never as a header.
	_, challenge := pkce()
	f := w.bank.parForm(perseus.LicenseCombined(), challenge)
	f.Set("state", "x\r\nSet-Cookie: a=b")
	refused(t, w.bank.post("/oauth/par", f), 400, "invalid_request")
	nasty := "x%0d%0aSet-Cookie: a=b <script>&iss=evil#é"
	f.Set("state", nasty)
	uri := w.bank.post("/oauth/par", f).str("request_uri")
	b := w.browser()
	res := b.post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "decision": {"decline"}})
	if q := b.back(res); q.Get("state") != nasty || len(q["iss"]) != 1 || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("state %q, %v", q.Get("state"), res.Header)
	}
}

// attackSmuggling: requests that two parsers could read in two ways are
// answered with an error and the connection's end, and nothing hidden in them
// is served.
func attackSmuggling(t *testing.T, w *world) {
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	hidden := "GET /resource HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + tok.access + "\r\n\r\n"
	form := "Host: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for name, raw := range map[string]string{
		"two lengths":            "POST /oauth/token HTTP/1.1\r\n" + form + "Content-Length: 0\r\nContent-Length: " + fmt.Sprint(len(hidden)) + "\r\n\r\n" + hidden,
		"a length with a sign":   "POST /oauth/token HTTP/1.1\r\n" + form + "Content-Length: +0\r\n\r\n" + hidden,
		"an unknown coding":      "POST /oauth/token HTTP/1.1\r\n" + form + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"two codings":            "POST /oauth/token HTTP/1.1\r\n" + form + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
		"a chunk with no size":   "POST /oauth/token HTTP/1.1\r\n" + form + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + hidden,
		"a space before a colon": "POST /oauth/token HTTP/1.1\r\n" + form + "Content-Length : 0\r\n\r\n" + hidden,
		"a folded header":        "POST /oauth/token HTTP/1.1\r\n" + form + " Content-Length: 0\r\n\r\n" + hidden,
		"no host":                "POST /oauth/token HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + hidden,
		"two hosts":              "POST /oauth/token HTTP/1.1\r\n" + form + "Host: y\r\nContent-Length: 0\r\n\r\n" + hidden,
		"a NUL in a header":      "POST /oauth/token HTTP/1.1\r\n" + form + "X: a\x00b\r\nContent-Length: 0\r\n\r\n" + hidden,
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", strings.TrimPrefix(w.server, "https://"), identity.ClientTLS(w.pki.ServerCA.Pool(), w.stranger.leaf.Get))
			must(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, raw)
			must(t, err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			must(t, err)
			b, err := io.ReadAll(res.Body) // to the connection's end
			if res.StatusCode/100 == 2 || strings.Contains(string(b), "Permission") || strings.Contains(string(b), "HTTP/1.1 ") {
				t.Errorf("%d %s, %v", res.StatusCode, b, err)
			}
			if !res.Close && name != "a chunk with no size" && name != "a folded header" { // unfolded, as RFC 9112 (5.2) allows: one more request of its own
				t.Errorf("%d, and the connection goes on", res.StatusCode)
			}
		})
	}
}

// nasties are what has broken other people's SQL, templates, logs and headers.
var nasties = []string{
	"'; DROP TABLE permissions; --", "' OR '1'='1", `" OR ""="`, "1; SELECT pg_sleep(10)", "$1", "%s%n", "\\", "\x00", "\xff\xfe", "\u202e", "{{.}}", "{{template \"code\"}}", "${7*7}", "<%= 7 %>",
	"<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "</style><script>", "[EDP]", "../../etc/passwd", "..%2f", strings.Repeat("A", 5000), "null", "-1", "🦄", "\r\nX: y",
}

// attackInjection puts them wherever a client, a gateway or a browser can put a
// text: nothing breaks, nothing runs, and what was there stays there.
func attackInjection(t *testing.T, w *world) {
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	b := w.browser()
	ok := func(what string, res answer) {
		t.Helper()
		// Of a database's errors whole words only: a random value in the page has "SQL" in it now and then.
		for _, leak := range []string{"<script>", "<img src=x", "SQLSTATE", "SQL logic error", "SQLITE_"} {
			if strings.Contains(res.Body, leak) {
				t.Errorf("%s: %q in %s", what, leak, res.Body)
			}
		}
		if res.Status >= 500 {
			t.Errorf("%s: %d %s", what, res.Status, res.Body)
		}
	}
	for _, s := range nasties {
		for _, field := range []string{"client_id", "response_type", "scope", "redirect_uri", "code_challenge", "code_challenge_method", "state", "response_mode", s} {
			_, challenge := pkce()
			f := w.bank.parForm(perseus.LicenseCombined(), challenge)
			f.Set(field, s)
			ok("PAR "+field, w.bank.post("/oauth/par", f))
		}
		for _, f := range []url.Values{
			{"grant_type": {s}}, {"grant_type": {"refresh_token"}, "client_id": {bankURL}, "refresh_token": {s}},
			{"grant_type": {"refresh_token"}, "client_id": {bankURL}, "refresh_token": {tok.refresh}, "scope": {s}},
			w.bank.redeemForm(s, strings.Repeat("v", 43)), w.bank.redeemForm(s, s),
		} {
			ok("token", w.bank.post("/oauth/token", f))
		}
		ok("revoke", w.bank.post("/oauth/revoke", url.Values{"token": {s}, "token_type_hint": {s}}))
		ok("record", w.bank.post("/oauth/permission", url.Values{"token": {s}}))
		ok("authorize", b.get(w.authorizeURL(s, s)))
		ok("evidence", b.get(w.issuer+"/evidence/"+url.PathEscape(s)))
		ok("code", b.post("/permissions", url.Values{"code": {s}}))
		ok("withdraw", b.post("/permissions/withdraw", url.Values{"code": {code1}, "permission": {s}}))
		if clean := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, s); clean != "" {
			r, err := http.NewRequest("GET", w.server+"/resource", nil)
			must(t, err)
			r.Header.Set("Authorization", "Bearer "+clean)
			refused(t, do(t, w.bank.http, r), 401, "invalid_token")
		}
	}
	// Names from a certificate and from a gateway, on every page that shows them.
	for _, s := range nasties {
		site := w.sites.m[code2]
		site.Name, site.Outcode = s, s
		w.sites.set(code2, site)
		evil := w.app("https://directory.example/a/evil", "Evil "+strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), 60)], "\x00", ""), ""), perseus.Role(scheme.FSP))
		uri, verifier := evil.push(perseus.LicenseCombined())
		form := formWith(t, b.get(w.authorizeURL(evil.id, uri)), "code")
		form.Set("code", code2)
		page := b.post("/authorize", form)
		ok("offer", page)
		form = formWith(t, page, "seen")
		form.Set("decision", "agree")
		mine := evil.redeem(b.back(b.post("/authorize", form)).Get("code"), verifier)
		evidence, _ := evil.post("/oauth/permission", url.Values{"token": {mine.refresh}}).json()["permission"].(map[string]any)["evidence"].(string)
		ok("evidence page", b.get(evidence))
		ok("list", b.post("/permissions", url.Values{"code": {code2}}))
	}
	if res := w.bank.use(tok.access); res.Status != 200 {
		t.Errorf("what was there before: %d %s", res.Status, res.Body)
	}
}

// attackGiant: what is too large is refused before it is all read.
func attackGiant(t *testing.T, w *world) {
	for _, path := range []string{"/oauth/par", "/oauth/token", "/oauth/revoke", "/oauth/permission"} {
		r, err := http.NewRequest("POST", w.server+path, io.MultiReader(strings.NewReader("client_id="), io.LimitReader(endless{}, 1<<30)))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := w.bank.http.Do(r)
		if err != nil {
			continue // the server hung up while we were still sending
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	// Many small parameters are no way round it.
	f := url.Values{"client_id": {bankURL}}
	for i := range 5000 {
		f.Set(fmt.Sprint("p", i), "x")
	}
	refused(t, w.bank.post("/oauth/par", f), 413, "invalid_request")
	r, err := http.NewRequest("GET", w.server+"/resource", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 100<<10))
	refused(t, do(t, w.bank.http, r), 401, "invalid_token")
	r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 2<<20))
	if res, err := w.bank.http.Do(r); err == nil {
		res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("giant header: %d", res.StatusCode)
		}
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
