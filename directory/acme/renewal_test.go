package acme_test

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"net/http/httptest"
	"testing"
	"time"

	zacme "github.com/mholt/acmez/v3/acme"
)

// certificateID is RFC 9773's, 4.1, made in another way than the server reads it.
func certificateID(t *testing.T, c *x509.Certificate) string {
	t.Helper()
	der := must(asn1.Marshal(c.SerialNumber))(t)
	return base64.RawURLEncoding.EncodeToString(c.AuthorityKeyId) + "." + base64.RawURLEncoding.EncodeToString(der[2:])
}

// TestRenewalInfo: from half of its life on, at once when revoked, and nothing
// of what the directory did not issue.
func TestRenewalInfo(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c, other := w.registered(t), w.registered(t)
		ask := func(id string) *httptest.ResponseRecorder {
			return c.do(httptest.NewRequest("GET", w.url+"/acme/renewal-info/"+id, nil))
		}
		leaf := c.obtain(newKey(t), apiHost)[0]
		id := certificateID(t, leaf)
		if theirs := must(zacme.ARIUniqueIdentifier(leaf))(t); theirs != id {
			t.Errorf("acmez names it %s, we %s", theirs, id)
		}
		a := want(t, ask(id), 200)
		half := leaf.NotBefore.Add(12 * time.Hour)
		if !a.SuggestedWindow.Start.Equal(half) || !a.SuggestedWindow.End.Equal(half.Add(2*time.Hour)) || a.retry != "3600" {
			t.Errorf("%+v, Retry-After %s, for one from %s", a.SuggestedWindow, a.retry, leaf.NotBefore)
		}
		der := leaf.SerialNumber.Bytes()
		b64 := base64.RawURLEncoding.EncodeToString
		key := b64(leaf.AuthorityKeyId)
		member := must(w.dir.IssueClient(t.Context(), w.app.ID, pemCSR(must(base64.RawURLEncoding.DecodeString(newCSR(t, newKey(t), x509.CertificateRequest{})))(t))))(t)
		for name, bad := range map[string]string{
			"none": "x", "no serial": key + ".", "no issuer": "." + b64(der), "another issuer": b64(make([]byte, 20)) + "." + b64(append([]byte{0}, der...)),
			"unknown": key + "." + b64([]byte{1, 2, 3}), "a byte more": key + "." + b64(append([]byte{0, 0}, der...)), "negative": key + "." + b64([]byte{0x80}), "zero": key + "." + b64([]byte{0}),
			"padding": id + "=", "huge": key + "." + b64(make([]byte, 1000)), "another hierarchy": certificateID(t, member.Leaf),
		} {
			if r := ask(bad); r.Code != 404 {
				t.Errorf("%s: %d %s", name, r.Code, r.Body)
			}
		}

		// An order says what it replaces where that is so, and nothing else.
		replacing := func(c *client, id string, hosts string) answer {
			t.Helper()
			return want(t, c.post("/acme/new-order", `{"identifiers":[{"type":"dns","value":"`+hosts+`"}],"replaces":"`+id+`"}`), 201)
		}
		if o := replacing(other, id, apiHost); o.Replaces != "" {
			t.Error("another account replaces it")
		}
		if o := replacing(c, id, inboxHost); o.Replaces != "" {
			t.Error("an order for other names replaces it")
		}
		if o := replacing(c, "x.y", apiHost); o.Replaces != "" {
			t.Error("nothing is replaced")
		}
		o := replacing(c, id, apiHost)
		if again := want(t, c.post(c.path(o.location), ""), 200); o.Replaces != id || again.Replaces != id {
			t.Errorf("replaces %q, then %q", o.Replaces, again.Replaces)
		}
		if twice := replacing(c, id, apiHost); twice.Replaces != "" {
			t.Error("two orders replace it")
		}
		if err := w.dir.Revoke(t.Context(), leaf.SerialNumber); err != nil {
			t.Fatal(err)
		}
		if a := want(t, ask(id), 200); !a.SuggestedWindow.End.Before(w.clock.now()) || !a.SuggestedWindow.Start.Before(a.SuggestedWindow.End) {
			t.Errorf("revoked: %+v", a.SuggestedWindow)
		}
	})
}
