package acme_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/perseus-edge/perseus-edge/directory/acme"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
)

func ptr[T any](v T) *T { return &v }

func TestDirectoryAndNonces(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.client(t)
		r := c.do(httptest.NewRequest(http.MethodGet, w.url+"/acme/directory", nil))
		var d map[string]any
		if err := json.Unmarshal(r.Body.Bytes(), &d); err != nil || r.Code != 200 {
			t.Fatalf("%d %v %s", r.Code, err, r.Body)
		}
		for _, k := range []string{"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo"} {
			if u, _ := d[k].(string); !strings.HasPrefix(u, w.url+"/acme/") {
				t.Errorf("%s: %v", k, d[k])
			}
		}
		seen := map[string]bool{}
		for method, status := range map[string]int{"HEAD": 200, "GET": 204} {
			r := c.do(httptest.NewRequest(method, w.url+"/acme/new-nonce", nil))
			n := r.Header().Get("Replay-Nonce")
			if r.Code != status || n == "" || seen[n] || r.Header().Get("Cache-Control") != "no-store" || !strings.Contains(r.Header().Get("Link"), `rel="index"`) {
				t.Errorf("%s: %d %v", method, r.Code, r.Header())
			}
			seen[n] = true
		}
		for path, method := range map[string]string{"/acme/new-order": "GET", "/acme/new-account": "PUT", "/acme/order/x": "GET", "/acme/new-nonce": "DELETE"} {
			refused(t, c.do(httptest.NewRequest(method, w.url+path, nil)), http.StatusMethodNotAllowed, "malformed", "Use ")
		}
		refused(t, c.do(httptest.NewRequest("GET", w.url+"/acme/nothing", nil)), http.StatusNotFound, "malformed", "/acme/directory")
	})
}

// TestNonces: a nonce is good once, for an hour, at any process, and only if one
// of them made it.
func TestNonces(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.registered(t)
		path := w.path(c.kid)
		nonce := c.freshNonce()
		body := c.sign(path, "", forms{nonce: &nonce})
		if r := c.send(path, body); r.Code != 200 || c.nonce == "" {
			t.Fatalf("%d %s", r.Code, r.Body)
		}
		if refused(t, c.send(path, body), 400, "badNonce", "used before"); c.nonce == "" {
			t.Error("a refused nonce comes without a new one")
		}
		other := w.open().Handler()
		c.handler = other
		refused(t, c.send(path, body), 400, "badNonce", "used before")
		want(t, c.post(path, ""), 200) // with the nonce that the refusal gave
		nonce = c.freshNonce()
		c.handler = w.dir.Handler()
		want(t, c.send(path, c.sign(path, "", forms{nonce: &nonce})), 200) // the other process's nonce
		for _, bad := range []string{"", "x", strings.Repeat("A", 48), nonce[:47] + "_", nonce + "A", strings.ToLower(nonce), nonce + "\n", nonce[:9] + "\r\n" + nonce[9:]} {
			refused(t, c.send(path, c.sign(path, "", forms{nonce: &bad})), 400, "badNonce", "")
		}
		nonce = c.freshNonce()
		w.clock.add(time.Hour)
		refused(t, c.send(path, c.sign(path, "", forms{nonce: &nonce})), 400, "badNonce", "older than an hour")
		// A request that is refused for another reason has not cost its nonce
		// where nobody signed it.
		nonce = c.freshNonce()
		refused(t, c.send(path, c.sign(path, "", forms{nonce: &nonce, key: newKey(t)})), 400, "malformed", "signature")
		want(t, c.send(path, c.sign(path, "", forms{nonce: &nonce})), 200)
		// The used ones are deleted when they are too old anyhow.
		w.clock.add(3 * time.Hour)
		c.nonce = ""
		want(t, c.post(path, ""), 200)
		var n int
		if err := w.dir.DB.QueryRow(`SELECT COUNT(*) FROM directory_acme_nonces`).Scan(&n); err != nil || n != 1 {
			t.Errorf("%d used nonces are kept, %v", n, err)
		}
	})
}

func TestBadEnvelopes(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{})
	c, stranger := w.registered(t), w.registered(t)
	path := w.path(c.kid)
	good := func() map[string]any {
		var m map[string]any
		if err := json.Unmarshal([]byte(c.sign(path, "", forms{})), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	text := func(v any) string { return string(must(json.Marshal(v))(t)) }
	// As the right one: else nothing below shows anything.
	want(t, c.send(path, text(good())), 200)

	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384 := must(newkey.Make(elliptic.P384()))(t)
	p521 := must(newkey.Make(elliptic.P521()))(t)
	hmac := func(path string) string { // signed with the public key as if it were a password
		public := must(json.Marshal(jose.JSONWebKey{Key: c.key.Public()}))(t)
		o := (&jose.SignerOptions{}).WithHeader("url", c.world.url+path).WithHeader("nonce", c.freshNonce()).WithHeader("kid", c.kid)
		s := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: public}, o))(t)
		return must(s.Sign([]byte(`{}`)))(t).FullSerialize()
	}
	none := func() string {
		m := good()
		h := text(map[string]any{"alg": "none", "kid": c.kid, "url": c.world.url + path, "nonce": c.freshNonce()})
		m["protected"], m["signature"] = base64.RawURLEncoding.EncodeToString([]byte(h)), ""
		return text(m)
	}
	for name, x := range map[string]struct {
		body         string
		status       int
		kind, detail string
	}{
		"not JSON":                {"hello", 400, "malformed", "not a JWS"},
		"empty":                   {"", 400, "malformed", "not a JWS"},
		"an array":                {"[]", 400, "malformed", "not a JWS"},
		"compact":                 {strings.Join([]string{good()["protected"].(string), "", good()["signature"].(string)}, "."), 400, "malformed", "not a JWS"},
		"several signatures":      {text(map[string]any{"payload": "", "signatures": []any{good()}}), 400, "malformed", "one signature"},
		"unprotected header":      {text(func() map[string]any { m := good(); m["header"] = map[string]any{"kid": stranger.kid}; return m }()), 400, "malformed", "protected"},
		"empty header":            {text(func() map[string]any { m := good(); m["header"] = map[string]any{}; return m }()), 400, "malformed", "protected"},
		"no payload":              {text(func() map[string]any { m := good(); delete(m, "payload"); return m }()), 400, "malformed", "cannot be read|can be read"},
		"payload exchanged":       {text(func() map[string]any { m := good(); m["payload"] = "e30"; return m }()), 400, "malformed", "signature"},
		"signature cut":           {text(func() map[string]any { m := good(); m["signature"] = m["signature"].(string)[:40]; return m }()), 400, "malformed", "signature"},
		"padding":                 {text(func() map[string]any { m := good(); m["payload"] = "e30="; return m }()), 400, "malformed", "base64url"},
		"another url":             {c.sign(path, "", forms{url: ptr(w.url + "/acme/new-order")}), 401, "unauthorized", "signed url"},
		"another host in url":     {c.sign(path, "", forms{url: ptr("https://evil.example" + path)}), 401, "unauthorized", "signed url"},
		"url is no text":          {c.sign(path, "", forms{extra: map[jose.HeaderKey]any{"url": 1}}), 400, "malformed", "no url"},
		"no url":                  {c.sign(path, "", forms{url: ptr("")}), 400, "malformed", "no url"},
		"crit":                    {c.sign(path, "", forms{extra: map[jose.HeaderKey]any{"crit": []string{"exp"}}}), 400, "malformed", "crit"},
		"b64":                     {c.sign(path, "", forms{extra: map[jose.HeaderKey]any{"b64": true}}), 400, "malformed", "b64"},
		"jwk where kid is needed": {c.sign(path, "", forms{jwk: true}), 400, "malformed", "kid and no jwk"},
		"both":                    {c.sign(path, "", forms{jwk: true, extra: map[jose.HeaderKey]any{"kid": c.kid}}), 400, "malformed", "not both"},
		"another's kid":           {c.sign(path, "", forms{kid: &stranger.kid}), 400, "malformed", "signature"},
		"kid unknown":             {c.sign(path, "", forms{kid: ptr(w.url + "/acme/account/nobody")}), 400, "accountDoesNotExist", "new-account"},
		"kid elsewhere":           {c.sign(path, "", forms{kid: ptr("https://evil.example/acme/account/" + c.kid[len(c.kid)-26:])}), 400, "accountDoesNotExist", ""},
		"kid not a URL":           {c.sign(path, "", forms{kid: ptr(c.kid[len(c.kid)-26:])}), 400, "accountDoesNotExist", ""},
		"Ed25519 for P-256":       {c.sign(path, "", forms{key: ed, alg: jose.EdDSA}), 400, "badSignatureAlgorithm", "ES256"},
		"ES384 for P-256":         {c.sign(path, "", forms{key: p384, alg: jose.ES384}), 400, "badSignatureAlgorithm", "ES256"},
		"ES512":                   {c.sign(path, "", forms{key: p521, alg: jose.ES512}), 400, "badSignatureAlgorithm", "ES256"},
		"HMAC with public key":    {hmac(path), 400, "badSignatureAlgorithm", "HS256"},
		"alg none":                {none(), 400, "badSignatureAlgorithm", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			a := want(t, c.send(path, x.body), x.status)
			ok := false
			for _, words := range strings.Split(x.detail, "|") {
				ok = ok || strings.Contains(a.Detail, words)
			}
			if a.Type != "urn:ietf:params:acme:error:"+x.kind || !ok {
				t.Errorf("%s %q", a.Type, a.Detail)
			}
			if x.kind == "badSignatureAlgorithm" && len(a.Algorithms) == 0 {
				t.Error("it does not say which are good")
			}
		})
	}
	for name, contentType := range map[string]string{"JSON": "application/json", "none": "", "JOSE": "application/jose"} {
		r := httptest.NewRequest(http.MethodPost, w.url+path, strings.NewReader(c.sign(path, "", forms{})))
		r.Header.Set("Content-Type", contentType)
		if a := want(t, c.do(r), http.StatusUnsupportedMediaType); !strings.Contains(a.Detail, "jose+json") {
			t.Errorf("%s: %s", name, a.Detail)
		}
	}
	refused(t, c.send(path, `{"payload":"`+strings.Repeat("A", 70<<10)+`"}`), http.StatusRequestEntityTooLarge, "malformed", "64 KiB")
	refused(t, c.send(path+"?x=1", c.sign(path, "", forms{})), 401, "unauthorized", "")
	refused(t, c.send("/acme/new-account", c.sign("/acme/new-account", "{}", forms{})), 400, "malformed", "jwk and no kid")
}

// TestAccountKeys: every kind of key that RFC 8555 names, and none that is weak.
func TestAccountKeys(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{})
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := func(bits int) crypto.Signer { return must(rsa.GenerateKey(rand.Reader, bits))(t) }
	for name, x := range map[string]struct {
		key crypto.Signer
		alg jose.SignatureAlgorithm
		bad string
	}{
		"ES256": {newKey(t), jose.ES256, ""},
		"ES384": {must(newkey.Make(elliptic.P384()))(t), jose.ES384, ""},
		"EdDSA": {ed, jose.EdDSA, ""},
		"RS256": {rsaKey(2048), jose.RS256, ""},
		"PS256": {rsaKey(2048), jose.PS256, "badSignatureAlgorithm"},
		"small": {rsaKey(1024), jose.RS256, "badPublicKey"},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.client(t)
			c.key, c.alg = x.key, x.alg
			r := c.post("/acme/new-account", `{"termsOfServiceAgreed":true}`)
			if x.bad != "" {
				refused(t, r, 400, x.bad, "")
				return
			}
			c.kid = want(t, r, http.StatusCreated).location
			c.t = t
			chain := c.obtain(newKey(t), apiHost)
			if len(chain) != 2 || chain[0].VerifyHostname(apiHost) != nil {
				t.Errorf("%d certificates", len(chain))
			}
		})
	}
}

// TestEveryAddress: nothing answers a request that nobody has signed, but for
// the two addresses where a client begins.
func TestEveryAddress(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{})
	c := w.registered(t)
	o := c.order(apiHost)
	id := map[string]string{"account": c.kid[len(c.kid)-26:], "order": o.location[len(o.location)-26:],
		"authorization": o.Authorizations[0][len(o.Authorizations[0])-26:], "challenge": o.Authorizations[0][len(o.Authorizations[0])-26:], "certificate": o.location[len(o.location)-26:]}
	for _, p := range acme.Paths() {
		path := "/acme" + p
		if kind, _, ok := strings.Cut(strings.TrimPrefix(p, "/"), "/{id}"); ok {
			path = "/acme" + strings.Replace(p, "{id}", id[kind], 1)
			if kind == "renewal-info" { // what is there is public: TestRenewalInfo
				continue
			}
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			for _, body := range []string{"", "{}", `{"protected":"","payload":"","signature":""}`} {
				r := httptest.NewRequest(method, w.url+path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/jose+json")
				got := c.do(r)
				begins := (p == "/directory" || p == "/new-nonce") && (method == "GET" || method == "HEAD")
				if (got.Code < 400) != begins {
					t.Errorf("%s %s with %q: %d %s", method, path, body, got.Code, got.Body)
				}
				if got.Code >= 400 && method != "HEAD" && got.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s %s: %s", method, path, got.Header().Get("Content-Type"))
				}
				if method == "POST" && got.Header().Get("Replay-Nonce") == "" {
					t.Errorf("%s %s: no nonce for the next try", method, path)
				}
			}
		}
	}
	if a := want(t, c.post(c.path(o.location), ""), 200); a.Status != "pending" {
		t.Errorf("the order is %s", a.Status)
	}
}
