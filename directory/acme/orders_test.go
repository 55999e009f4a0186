package acme_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/acme"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// TestObtain goes the whole way, and looks at what came of it.
func TestObtain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.registered(t)
		key := newKey(t)
		chain := c.obtain(key, strings.ToUpper(apiHost), issuerHost)
		leaf := chain[0]
		if len(chain) != 2 || !chain[1].Equal(w.dir.Authorities.Server.Issuer) || leaf.CheckSignatureFrom(chain[1]) != nil {
			t.Error("not the leaf and its issuer")
		}
		if !slices.Equal(leaf.DNSNames, []string{apiHost, issuerHost}) || leaf.Subject.CommonName != apiHost || !key.PublicKey.Equal(leaf.PublicKey) {
			t.Errorf("%v, %s", leaf.DNSNames, leaf.Subject)
		}
		if life := leaf.NotAfter.Sub(leaf.NotBefore) + time.Second; life > 24*time.Hour || life < 23*time.Hour {
			t.Errorf("it lasts %s", life)
		}
		if !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || leaf.IsCA || len(leaf.SubjectKeyId) == 0 || len(leaf.AuthorityKeyId) == 0 {
			t.Error("not the profile of server certificates")
		}
		if !strings.Contains(w.logged(), leaf.SerialNumber.String()) {
			t.Error("the log does not name it")
		}
		var actor string
		if err := w.dir.DB.QueryRow(`SELECT actor FROM directory_audit WHERE subject = $1`, "certificate/"+leaf.SerialNumber.String()).Scan(&actor); err != nil || actor != "acme:"+c.kid[len(c.kid)-26:] {
			t.Errorf("audit log: %q, %v", actor, err)
		}
		// Again: another certificate, by another authorization.
		if again := c.obtain(newKey(t), apiHost); again[0].SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			t.Error("the same certificate twice")
		}
	})
}

// TestNames: only hosts of the directory's entries, and words on what to do.
func TestNames(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.registered(t)
		for _, x := range []struct {
			payload, kind, words string
			status               int
		}{
			{orderFor("other.example.com"), "rejectedIdentifier", "Enter it first", 403},
			{orderFor("perse.example.com"), "rejectedIdentifier", "knows no server", 403},       // what lies above a known name
			{orderFor("x." + apiHost), "rejectedIdentifier", "knows no server", 403},            // and below
			{orderFor("*.perse.example.com"), "rejectedIdentifier", "wildcard", 403},            //
			{orderFor("127.0.0.1"), "rejectedIdentifier", "is an address", 403},                 //
			{orderFor("[::1]"), "rejectedIdentifier", "is an address", 403},                     //
			{orderFor("10.1.2"), "rejectedIdentifier", "not a DNS name", 403},                   // some resolvers take it for an address
			{orderFor("10.0x7f000001"), "rejectedIdentifier", "not a DNS name", 403},            //
			{orderFor(apiHost + "."), "rejectedIdentifier", "no dot at the end", 403},           //
			{orderFor("api_1.example.com"), "rejectedIdentifier", "not a DNS name", 403},        //
			{orderFor("bücher.example"), "rejectedIdentifier", "xn--", 403},                     //
			{orderFor("a/../" + apiHost), "rejectedIdentifier", "not a DNS name", 403},          //
			{orderFor(apiHost + "\x00.evil.example"), "rejectedIdentifier", "not a DNS", 403},   //
			{orderFor(apiHost + " " + issuerHost), "rejectedIdentifier", "not a DNS name", 403}, // a space is what hosts are kept apart with
			{orderFor(""), "rejectedIdentifier", "not a DNS name", 403},
			{orderFor(strings.Repeat("a.", 126) + "example"), "rejectedIdentifier", "not a DNS name", 403},
			{`{"identifiers":[{"type":"ip","value":"192.0.2.1"}]}`, "unsupportedIdentifier", "is an address", 403},
			{`{"identifiers":[{"type":"email","value":"a@perse.example"}]}`, "unsupportedIdentifier", "type dns", 403},
			{`{"identifiers":[]}`, "malformed", "1 to 20", 400},
			{`{}`, "malformed", "1 to 20", 400},
			{`[]`, "malformed", "JSON object", 400},
			{`null`, "malformed", "JSON object", 400},
			{``, "malformed", "JSON object", 400},
			{orderFor(slices.Repeat([]string{apiHost}, 21)...), "malformed", "1 to 20", 400},
			{`{"identifiers":[{"type":"dns","value":"` + apiHost + `"}],"notAfter":"2030-01-01T00:00:00Z"}`, "malformed", "24 hours", 400},
		} {
			a := refused(t, c.post("/acme/new-order", x.payload), x.status, x.kind, x.words)
			if x.status == 403 && a.Identifier.Value == "" && !strings.Contains(x.payload, `"value":""`) {
				t.Errorf("%s: which name is not said", x.payload)
			}
		}
		a := refused(t, c.post("/acme/new-order", orderFor(apiHost, "*.x.example", "other.example")), 403, "rejectedIdentifier", "2 of the names")
		if len(a.Subproblems) != 2 || a.Subproblems[0].Identifier.Value != "*.x.example" || a.Subproblems[1].Identifier.Value != "other.example" {
			t.Errorf("%+v", a.Subproblems)
		}
		if o := c.order(apiHost, strings.ToUpper(apiHost), inboxHost); len(o.Authorizations) != 2 {
			t.Errorf("%d authorizations for two names, one of them twice", len(o.Authorizations))
		}
	})
}

// TestHostLeavesTheDirectory: a name that is taken out of the directory gets no
// certificate any more, whatever was shown before.
func TestHostLeavesTheDirectory(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{})
	c := w.registered(t)
	o := c.order(inboxHost)
	c.meet(o)
	other := "https://elsewhere.example.com/in"
	must(w.dir.DB.Exec(`UPDATE directory_applications SET message_delivery = $1`, other))(t)
	must(w.dir.DB.Exec(`UPDATE directory_listing SET revision = revision + 1`))(t)
	must(w.dir.DB.Exec(`UPDATE directory_members SET revision = (SELECT revision FROM directory_listing)`))(t)
	w.clock.add(2 * time.Second) // the listing is asked for once a second
	refused(t, c.post(c.path(o.Finalize), csrPayload(newCSR(t, newKey(t), x509.CertificateRequest{DNSNames: []string{inboxHost}}))), 403, "rejectedIdentifier", "knows no server")
	refused(t, c.post("/acme/new-order", orderFor(inboxHost)), 403, "rejectedIdentifier", "knows no server")
	w.dns.set("elsewhere.example.com", "127.0.0.1")
	c.obtain(newKey(t), "elsewhere.example.com")
}

// TestRequests: the order's names and a P-256 key, nothing else; none of the
// refusals costs the order.
func TestRequests(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{})
	c := w.registered(t)
	o := c.order(apiHost, issuerHost)
	refused(t, c.post(c.path(o.Finalize), csrPayload("")), 403, "orderNotReady", "meet the challenge")
	c.meet(o)
	both := []string{apiHost, issuerHost}
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	forged := must(base64.RawURLEncoding.DecodeString(newCSR(t, key, x509.CertificateRequest{DNSNames: both})))(t)
	forged[len(forged)-1] ^= 1
	otherName := must(asn1.Marshal([]asn1.RawValue{{Class: 2, Tag: 2, Bytes: []byte("evil.example")}}))(t)
	bad := map[string][2]string{
		"no names":            {newCSR(t, key, x509.CertificateRequest{}), "leaves out"},
		"one name less":       {newCSR(t, key, x509.CertificateRequest{DNSNames: []string{apiHost}}), "leaves out"},
		"one name more":       {newCSR(t, key, x509.CertificateRequest{DNSNames: append(slices.Clone(both), inboxHost)}), inboxHost},
		"another common name": {newCSR(t, key, x509.CertificateRequest{Subject: pkix.Name{CommonName: "evil.example"}, DNSNames: both}), "evil.example"},
		"a wildcard":          {newCSR(t, key, x509.CertificateRequest{DNSNames: append(slices.Clone(both), "*."+apiHost)}), "*."},
		"NUL in a name":       {newCSR(t, key, x509.CertificateRequest{DNSNames: append(slices.Clone(both), apiHost+"\x00.evil.example")}), ""},
		"an IP address":       {newCSR(t, key, x509.CertificateRequest{DNSNames: both, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}), "only DNS names"},
		"a URI":               {newCSR(t, key, x509.CertificateRequest{DNSNames: both, URIs: []*url.URL{{Scheme: "https", Host: "x.example"}}}), "only DNS names"},
		"an email address":    {newCSR(t, key, x509.CertificateRequest{DNSNames: both, EmailAddresses: []string{"a@x.example"}}), "only DNS names"},
		"a second SAN":        {newCSR(t, key, x509.CertificateRequest{DNSNames: both, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: otherName}}}), ""},
		"RSA":                 {newCSR(t, rsaKey, x509.CertificateRequest{DNSNames: both}), "P-256"},
		"Ed25519":             {newCSR(t, ed, x509.CertificateRequest{DNSNames: both}), "P-256"},
		"the account's key":   {newCSR(t, c.key, x509.CertificateRequest{DNSNames: both}), "account's"},
		"forged":              {base64.RawURLEncoding.EncodeToString(forged), "own key"},
		"cut":                 {base64.RawURLEncoding.EncodeToString(forged[:100]), "cannot be read"},
		"more behind it":      {base64.RawURLEncoding.EncodeToString(append(slices.Clone(forged), 0)), "cannot be read"},
		"empty":               {"", "cannot be read"},
		"not base64url":       {"a+b/", "base64url"},
		"huge":                {newCSR(t, key, x509.CertificateRequest{Subject: pkix.Name{Organization: []string{strings.Repeat("x", 20<<10)}}, DNSNames: both}), "16 KiB"},
	}
	for _, curve := range otherCurves {
		k := must(newkey.Make(curve))(t)
		bad[curve.Params().Name] = [2]string{newCSR(t, k, x509.CertificateRequest{DNSNames: both}), "P-256"}
	}
	for name, x := range bad {
		t.Run(name, func(t *testing.T) {
			refused(t, c.post(c.path(o.Finalize), csrPayload(x[0])), 400, "badCSR", x[1])
		})
	}
	refused(t, c.post(c.path(o.Finalize), `{"csr":1}`), 400, "malformed", "JSON object")

	// What a request may have besides is left out of the certificate.
	ca := must(asn1.Marshal(struct{ IsCA bool }{true}))(t)
	csr := newCSR(t, key, x509.CertificateRequest{Subject: pkix.Name{Organization: []string{"Bank of England"}, CommonName: issuerHost}, DNSNames: both,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: ca}}})
	done := want(t, c.post(c.path(o.Finalize), csrPayload(csr)), 200)
	r := c.post(c.path(done.Certificate), "")
	if strings.Count(r.Body.String(), "BEGIN CERTIFICATE") != 2 {
		t.Fatalf("%s", r.Body)
	}
	leaf, _, err := serverCertificate(w, c.kid)
	if err != nil || leaf.IsCA || len(leaf.Subject.Organization) != 0 || leaf.Subject.CommonName != apiHost {
		t.Errorf("%v, %v", leaf.Subject, err)
	}
	refused(t, c.post(c.path(o.Finalize), csrPayload(csr)), 403, "orderNotReady", "has its certificate")
}

// serverCertificate is the last certificate of an account.
func serverCertificate(w *world, kid string) (leaf *x509.Certificate, chain string, err error) {
	err = w.dir.DB.QueryRow(`SELECT chain FROM directory_acme_orders WHERE account = $1 AND serial <> '' ORDER BY issued_at DESC LIMIT 1`, kid[len(kid)-26:]).Scan(&chain)
	if err != nil {
		return nil, "", err
	}
	cs, err := identity.ParseCertificates([]byte(chain))
	if err != nil {
		return nil, "", err
	}
	return cs[0], chain, nil
}

// TestFinalizeAtOnce: however many processes are asked at once for an order's
// certificate, there is one.
func TestFinalizeAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.registered(t)
		handlers := []http.Handler{w.dir.Handler(), w.open().Handler()}
		for range 4 {
			o := c.order(apiHost)
			c.meet(o)
			var bodies []string
			for range 6 {
				c.nonce = ""
				bodies = append(bodies, c.sign(c.path(o.Finalize), csrPayload(newCSR(t, newKey(t), x509.CertificateRequest{DNSNames: []string{apiHost}})), forms{}))
			}
			var wg sync.WaitGroup
			codes := make([]int, len(bodies))
			for i, b := range bodies {
				one := &client{world: w, t: t, handler: handlers[i%2]}
				wg.Go(func() { codes[i] = one.send(c.path(o.Finalize), b).Code })
			}
			wg.Wait()
			slices.Sort(codes)
			if !slices.Equal(codes, []int{200, 403, 403, 403, 403, 403}) {
				t.Errorf("answers %v", codes)
			}
			var n int
			if err := w.dir.DB.QueryRow(`SELECT COUNT(*) FROM directory_certificates WHERE hosts = $1`, apiHost).Scan(&n); err != nil {
				t.Fatal(err)
			}
			must(w.dir.DB.Exec(`UPDATE directory_certificates SET hosts = 'counted' WHERE hosts = $1`, apiHost))(t)
			if n != 1 {
				t.Errorf("%d certificates of one order", n)
			}
		}
	})
}

// TestOthers: nobody sees or touches what is another account's.
func TestOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c, thief := w.registered(t), w.registered(t)
		o := c.order(apiHost)
		ch := c.challenge(o.Authorizations[0])
		c.member(c.responder())
		csr := csrPayload(newCSR(t, newKey(t), x509.CertificateRequest{DNSNames: []string{apiHost}}))
		walk := func() {
			t.Helper()
			for _, x := range [][2]string{
				{o.location, ""}, {o.Authorizations[0], ""}, {o.Authorizations[0], `{"status":"deactivated"}`}, {ch.URL, ""}, {ch.URL, "{}"},
				{o.Finalize, csr}, {w.url + "/acme/certificate/" + o.location[len(o.location)-26:], ""}, {c.kid, ""}, {c.kid, `{"status":"deactivated"}`}, {c.kid + "/orders", ""},
			} {
				refused(t, thief.post(w.path(x[0]), x[1]), http.StatusForbidden, "unauthorized", "another account")
			}
		}
		walk()
		if got := c.challenge(o.Authorizations[0]); got.Status != "pending" {
			t.Fatalf("the challenge is %s", got.Status)
		}
		// Met with the account's key: the thief's key authorization does not do.
		w.member(thief.responder())
		o2 := c.order(apiHost)
		got := want(t, c.post(c.path(c.challenge(o2.Authorizations[0]).URL), "{}"), 200)
		if got.Status != "invalid" || got.Error == nil || !strings.Contains(got.Error.Detail, "key authorization") {
			t.Errorf("%+v", got)
		}
		c.meet(o)
		walk()
		want(t, c.post(c.path(o.Finalize), csr), 200)
		walk()
		for _, path := range []string{"/acme/order/x", "/acme/authorization/x", "/acme/challenge/x", "/acme/certificate/x"} {
			refused(t, c.post(path, ""), http.StatusNotFound, "malformed", "no such")
		}
		refused(t, c.post("/acme/certificate/"+o2.location[len(o2.location)-26:], ""), http.StatusNotFound, "malformed", "no certificate")
		refused(t, c.post(c.path(o.location), "{}"), 400, "malformed", "empty payload")
	})
}

// TestStates: orders and authorizations say where they stand, at any process.
func TestStates(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.registered(t)
		second := w.open().Handler()
		read := func(o answer) answer {
			t.Helper()
			a := want(t, c.post(c.path(o.location), ""), 200)
			c.handler = second
			defer func() { c.handler = w.dir.Handler() }()
			if b := want(t, c.post(c.path(o.location), ""), 200); b.Status != a.Status {
				t.Errorf("%s here, %s there", a.Status, b.Status)
			}
			return a
		}
		o := c.order(apiHost, issuerHost)
		if read(o).Status != "pending" || o.Expires == "" || o.Finalize != o.location+"/finalize" {
			t.Errorf("%+v", o)
		}
		c.member(c.responder())
		want(t, c.post(c.path(c.challenge(o.Authorizations[0]).URL), "{}"), 200)
		if read(o).Status != "pending" {
			t.Error("ready with one of two")
		}
		c.handler = second
		want(t, c.post(c.path(c.challenge(o.Authorizations[1]).URL), "{}"), 200)
		c.handler = w.dir.Handler()
		if read(o).Status != "ready" {
			t.Error("not ready with both")
		}
		// Given up again.
		if a := want(t, c.post(c.path(o.Authorizations[1]), `{"status":"deactivated"}`), 200); a.Status != "deactivated" || a.Challenges[0].Status != "invalid" {
			t.Errorf("%+v", a)
		}
		refused(t, c.post(c.path(o.Authorizations[0]), `{"status":"valid"}`), 400, "malformed", "deactivated")
		if a := read(o); a.Status != "invalid" || a.Error == nil {
			t.Errorf("%+v", a)
		}
		refused(t, c.post(c.path(o.Finalize), csrPayload("")), 403, "orderNotReady", "invalid")

		o = c.order(apiHost)
		c.member(http.NotFoundHandler())
		if a := want(t, c.post(c.path(c.challenge(o.Authorizations[0]).URL), "{}"), 200); a.Status != "invalid" {
			t.Errorf("%+v", a)
		}
		if a := read(o); a.Status != "invalid" || a.Error == nil || !strings.Contains(a.Error.Detail, "404") || a.Error.Identifier.Value != apiHost {
			t.Errorf("%+v", a.Error)
		}
		// What has failed stays so.
		c.member(c.responder())
		if a := want(t, c.post(c.path(c.challenge(o.Authorizations[0]).URL), "{}"), 200); a.Status != "invalid" {
			t.Errorf("%+v", a)
		}

		o = c.order(apiHost)
		ready := c.order(issuerHost)
		c.meet(ready)
		w.clock.add(time.Hour)
		c.nonce = ""
		if a := read(o); a.Status != "invalid" || !strings.Contains(a.Error.Detail, "an hour") {
			t.Errorf("%+v", a)
		}
		refused(t, c.post(c.path(c.challenge(o.Authorizations[0]).URL), "{}"), 403, "malformed", "an hour")
		if a := want(t, c.post(c.path(o.Authorizations[0]), ""), 200); a.Status != "expired" {
			t.Errorf("%s", a.Status)
		}
		refused(t, c.post(c.path(ready.Finalize), csrPayload("")), 403, "orderNotReady", "invalid")
		// A day after their end those are gone that came to nothing, the others
		// after a month; with their authorizations.
		done := c.order(apiHost)
		c.meet(done)
		want(t, c.post(c.path(done.Finalize), csrPayload(newCSR(t, newKey(t), x509.CertificateRequest{DNSNames: []string{apiHost}}))), 200)
		w.clock.add(26 * time.Hour)
		c.nonce = ""
		want(t, c.post(c.path(c.kid), ""), 200)
		refused(t, c.post(c.path(o.location), ""), 404, "malformed", "no such order")
		want(t, c.post(c.path(done.location), ""), 200)
		w.clock.add(30 * 24 * time.Hour)
		c.nonce = ""
		want(t, c.post(c.path(c.kid), ""), 200)
		refused(t, c.post(c.path(done.location), ""), 404, "malformed", "no such order")
		var n int
		if err := w.dir.DB.QueryRow(`SELECT COUNT(*) FROM directory_acme_authorizations`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d authorizations are left, %v", n, err)
		}
	})
}

// TestLimits: they hold across processes, say how long to wait, and end.
func TestLimits(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": sqliteDSN, "postgres": databasetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, dsn(t), acme.Limits{AccountsPerHour: 2, OrdersPerHour: 8, CertificatesPerDay: 2, FailuresPerHour: 3})
			c := w.registered(t)
			w.registered(t)
			late := w.client(t)
			late.handler = w.open().Handler()
			a := refused(t, late.post("/acme/new-account", "{}"), 429, "rateLimited", "new accounts from your address")
			if a.retry == "" || a.retry == "0" {
				t.Errorf("Retry-After %q", a.retry)
			}
			refused(t, late.post("/acme/new-account", `{"onlyReturnExisting":true}`), 400, "accountDoesNotExist", "")
			c.obtain(newKey(t), apiHost)
			c.obtain(newKey(t), apiHost)
			refused(t, c.post("/acme/new-order", orderFor(apiHost)), 429, "rateLimited", "certificates for these names within a day")
			c.obtain(newKey(t), apiHost, issuerHost)
			c.obtain(newKey(t), issuerHost, apiHost)
			refused(t, c.post("/acme/new-order", orderFor(issuerHost, apiHost)), 429, "rateLimited", "certificates")
			c.member(http.NotFoundHandler())
			for range 3 {
				o := c.order(inboxHost)
				want(t, c.post(c.path(c.challenge(o.Authorizations[0]).URL), "{}"), 200)
			}
			refused(t, c.post("/acme/new-order", orderFor(inboxHost)), 429, "rateLimited", "failed attempts")
			c.order(issuerHost) // the eighth
			refused(t, c.post("/acme/new-order", orderFor(issuerHost)), 429, "rateLimited", "orders of this account")
			w.clock.add(61 * time.Minute)
			c.nonce, late.nonce = "", ""
			want(t, late.post("/acme/new-account", "{}"), 201)
			c.obtain(newKey(t), inboxHost)
			refused(t, c.post("/acme/new-order", orderFor(apiHost)), 429, "rateLimited", "certificates")
			w.clock.add(23 * time.Hour)
			c.nonce = ""
			c.obtain(newKey(t), apiHost)
		})
	}
}

// TestOpenOrders: orders that nothing comes of do not pile up.
func TestOpenOrders(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{OpenOrders: 2})
	c := w.registered(t)
	c.obtain(newKey(t), apiHost)
	first := c.order(apiHost)
	c.order(issuerHost)
	refused(t, c.post("/acme/new-order", orderFor(inboxHost)), 429, "rateLimited", "wait for their challenges")
	c.meet(first)
	want(t, c.post(c.path(first.Finalize), csrPayload(newCSR(t, newKey(t), x509.CertificateRequest{DNSNames: []string{apiHost}}))), 200)
	c.order(inboxHost)
	refused(t, c.post("/acme/new-order", orderFor(apiHost)), 429, "rateLimited", "wait for their challenges")
	w.clock.add(time.Hour)
	c.nonce = ""
	c.obtain(newKey(t), apiHost)
}

// TestBusy: no more servers are looked at at once than are allowed.
func TestBusy(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{ValidationsAtOnce: 1})
	c, other := w.registered(t), w.registered(t)
	o, o2 := c.order(apiHost), other.order(apiHost)
	one, two := c.challenge(o.Authorizations[0]), other.challenge(o2.Authorizations[0])
	asked, release := make(chan struct{}), make(chan struct{})
	w.member(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		fmt.Fprint(rw, c.keyAuthorization(one.Token))
	}))
	done := make(chan string)
	go func() { done <- want(t, c.post(c.path(one.URL), "{}"), 200).Status }()
	<-asked
	refused(t, other.post(other.path(two.URL), "{}"), http.StatusServiceUnavailable, "rateLimited", "Ask again")
	if got := want(t, other.post(other.path(two.URL), ""), 200); got.Status != "pending" {
		t.Errorf("the other's challenge is %s", got.Status)
	}
	close(release)
	if got := <-done; got != "valid" {
		t.Errorf("the first is %s", got)
	}
	other.meet(o2)
}

// TestClientLeaves: a client that goes away meanwhile has failed nothing.
func TestClientLeaves(t *testing.T) {
	w := newWorld(t, sqliteDSN(t), acme.Limits{})
	c := w.registered(t)
	o := c.order(apiHost)
	ch := c.challenge(o.Authorizations[0])
	ctx, leave := context.WithCancel(t.Context())
	w.member(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		leave()
		<-r.Context().Done() // the asker has gone too
	}))
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, c.world.url+c.path(ch.URL), strings.NewReader(c.sign(c.path(ch.URL), "{}", forms{})))
	r.Header.Set("Content-Type", "application/jose+json")
	c.do(r)
	if got := c.challenge(o.Authorizations[0]); got.Status != "pending" {
		t.Errorf("the challenge is %s", got.Status)
	}
	c.meet(o)
}
