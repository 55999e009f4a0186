package acme_test

import (
	"crypto"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/perseus-edge/perseus-edge/directory/acme"
)

func TestAccounts(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.client(t)
		refused(t, c.post("/acme/new-account", `{"onlyReturnExisting":true}`), 400, "accountDoesNotExist", "no account")
		for contact, kind := range map[string]string{
			`["tel:+44123"]`: "unsupportedContact", `["mailto:"]`: "invalidContact", `["mailto:a@x.example?subject=hi"]`: "invalidContact",
			`["mailto:a@x.example,b@x.example"]`: "invalidContact", `["mailto:Dana <a@x.example>"]`: "invalidContact",
			`["mailto:a@x.example","mailto:b@x.example","mailto:c@x.example","mailto:a@x.example","mailto:b@x.example","mailto:c@x.example","mailto:a@x.example","mailto:b@x.example","mailto:c@x.example","mailto:d@x.example","mailto:e@x.example"]`: "invalidContact",
		} {
			refused(t, c.post("/acme/new-account", `{"contact":`+contact+`}`), 400, kind, "")
		}
		// An external account binding is not looked at, and so not repeated.
		r := c.post("/acme/new-account", `{"contact":["mailto:ops@perse.example"],"termsOfServiceAgreed":true,"externalAccountBinding":{"x":1}}`)
		made := want(t, r, http.StatusCreated)
		if made.Status != "valid" || !slices.Equal(made.Contact, []string{"mailto:ops@perse.example"}) || made.Orders != made.location+"/orders" || strings.Contains(r.Body.String(), "xternal") {
			t.Errorf("%s", r.Body)
		}
		again := want(t, c.post("/acme/new-account", `{"contact":["mailto:other@perse.example"]}`), 200)
		if again.location != made.location || !slices.Equal(again.Contact, made.Contact) {
			t.Errorf("%+v", again)
		}
		want(t, c.post("/acme/new-account", `{"onlyReturnExisting":true}`), 200)
		c.kid = made.location
		path := w.path(c.kid)
		if a := want(t, c.post(path, `{"contact":[]}`), 200); len(a.Contact) != 0 || a.Status != "valid" {
			t.Errorf("%+v", a)
		}
		refused(t, c.post(path, `{"contact":["x"]}`), 400, "unsupportedContact", "mailto")
		refused(t, c.post(path, `{"status":"revoked"}`), 400, "malformed", "deactivated")
		o := c.order(apiHost)
		if a := want(t, c.post(path+"/orders", ""), 200); len(a.Orders.([]any)) != 1 || a.Orders.([]any)[0] != o.location {
			t.Errorf("%+v", a.Orders)
		}
		c.meet(o)
		// Deactivated, it can do nothing any more, whatever it had; nor can its key.
		if a := want(t, c.post(path, `{"status":"deactivated"}`), 200); a.Status != "deactivated" {
			t.Errorf("%+v", a)
		}
		for _, x := range [][2]string{{path, ""}, {path, `{"status":"valid"}`}, {"/acme/new-order", orderFor(apiHost)}, {w.path(o.location), ""}, {w.path(o.Finalize), csrPayload("")}, {"/acme/revoke", "{}"}, {"/acme/key-change", "{}"}} {
			refused(t, c.post(x[0], x[1]), http.StatusUnauthorized, "unauthorized", "deactivated")
		}
		c.kid = ""
		refused(t, c.post("/acme/new-account", `{}`), http.StatusUnauthorized, "unauthorized", "with another key")
	})
}

// TestAccountAtOnce: one key has one account, though it is asked for at several
// processes at once.
func TestAccountAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		handlers := []http.Handler{w.dir.Handler(), w.open().Handler()}
		c := w.client(t)
		bodies := make([]string, 6)
		for i := range bodies {
			c.nonce = ""
			bodies[i] = c.sign("/acme/new-account", "{}", forms{})
		}
		var wg sync.WaitGroup
		codes, where := make([]int, len(bodies)), make([]string, len(bodies))
		for i, b := range bodies {
			one := &client{world: w, t: t, handler: handlers[i%2]}
			wg.Go(func() {
				r := one.send("/acme/new-account", b)
				codes[i], where[i] = r.Code, r.Header().Get("Location")
			})
		}
		wg.Wait()
		slices.Sort(codes)
		if !slices.Equal(codes, []int{200, 200, 200, 200, 200, 201}) || len(slices.Compact(where)) != 1 {
			t.Errorf("%v %v", codes, where)
		}
	})
}

// inner is the inner JWS of a key change.
func (c *client) inner(next crypto.Signer, url string, payload any, nonce string, embed bool) string {
	c.t.Helper()
	o := (&jose.SignerOptions{EmbedJWK: embed}).WithHeader("url", url)
	if nonce != "" {
		o.WithHeader("nonce", nonce)
	}
	if !embed {
		o.WithHeader("kid", c.kid)
	}
	s := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: next}, o))(c.t)
	return must(s.Sign(must(json.Marshal(payload))(c.t)))(c.t).FullSerialize()
}

func TestKeyChange(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c, other := w.registered(t), w.registered(t)
		const path = "/acme/key-change"
		here := w.url + path
		next := newKey(t)
		jwk := func(k crypto.Signer) any { return jose.JSONWebKey{Key: k.Public()} }
		right := map[string]any{"account": c.kid, "oldKey": jwk(c.key)}
		for name, x := range map[string]struct {
			payload string
			words   string
		}{
			"no JWS":             {`{}`, ""},
			"empty":              {``, ""},
			"another account":    {c.inner(next, here, map[string]any{"account": other.kid, "oldKey": jwk(c.key)}, "", true), "another account"},
			"another old key":    {c.inner(next, here, map[string]any{"account": c.kid, "oldKey": jwk(other.key)}, "", true), "not the account's key"},
			"a private old key":  {c.inner(next, here, map[string]any{"account": c.kid, "oldKey": jose.JSONWebKey{Key: c.key}}, "", true), "not a public key"},
			"no old key":         {c.inner(next, here, map[string]any{"account": c.kid}, "", true), "not a public key"},
			"another url inside": {c.inner(next, w.url+"/acme/new-order", right, "", true), "same url"},
			"a nonce inside":     {c.inner(next, here, right, "x", true), "no nonce"},
			"no key inside":      {c.inner(next, here, right, "", false), "new key as jwk"},
		} {
			t.Run(name, func(t *testing.T) { refused(t, c.post(path, x.payload), 400, "malformed", x.words) })
		}
		forged := strings.Replace(c.inner(next, here, right, "", true), `"signature":"`, `"signature":"AAAA`, 1)
		refused(t, c.post(path, forged), 400, "malformed", "signature")
		if a := refused(t, c.post(path, c.inner(other.key, here, right, "", true)), 409, "malformed", "an account's already"); a.location != other.kid {
			t.Errorf("Location %q", a.location)
		}
		refused(t, c.post(path, c.inner(c.key, here, right, "", true)), 409, "malformed", "already")
		o := c.order(apiHost)
		want(t, c.post(path, c.inner(next, here, right, "", true)), 200)
		old := c.key
		refused(t, c.post(w.path(c.kid), ""), 400, "malformed", "signature") // the old key
		c.key = next
		want(t, c.post(w.path(c.kid), ""), 200)
		c.meet(o) // with the new key's thumbprint
		// The old key may have an account of its own again.
		fresh := w.client(t)
		fresh.key = old
		if a := want(t, fresh.post("/acme/new-account", "{}"), 201); a.location == c.kid {
			t.Error("the old key found the account")
		}
	})
}

// TestNoSecretsInTheLog: what the log says names no nonce and no key authorization.
func TestNoSecretsInTheLog(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{})
	c := w.registered(t)
	o := c.order(apiHost)
	token := c.challenge(o.Authorizations[0]).Token
	nonce := c.freshNonce()
	want(t, c.send(w.path(c.kid), c.sign(w.path(c.kid), "", forms{nonce: &nonce})), 200)
	c.meet(o)
	c.obtain(newKey(t), apiHost)
	if log := w.logged(); strings.Contains(log, nonce) || strings.Contains(log, token) || !strings.Contains(log, "acme: certificate issued") {
		t.Errorf("%s", log)
	}
}
