package directory

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// enrolled is a gateway with its first certificates.
func enrolled(t *testing.T, w *world) (Gateway, Enrolment) {
	t.Helper()
	g, code, err := w.AddGateway(t.Context(), Gateway{Application: w.providerApp.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	_, a := newKeyCSR(t)
	_, b := newKeyCSR(t)
	return g, must(w.Enroll(t.Context(), code, []byte(a), []byte(b)))(t)
}

// reenroll asks for a renewal as if the certificates had been shown at the
// handshake.
func (w *world) reenroll(label string, csr string, shown ...*x509.Certificate) *httptest.ResponseRecorder {
	block, _ := pem.Decode([]byte(csr))
	r := w.request("POST", "/.well-known/est"+label+"/simplereenroll", base64.StdEncoding.EncodeToString(block.Bytes), "Content-Type", "application/pkcs10")
	if len(shown) > 0 {
		r.TLS = &tls.ConnectionState{PeerCertificates: shown}
	}
	return w.serve(r)
}

// renewed reads the certificate of an answer.
func renewed(t *testing.T, r *httptest.ResponseRecorder) *x509.Certificate {
	t.Helper()
	if r.Code != 200 || r.Header().Get("Content-Type") != "application/pkcs7-mime; smime-type=certs-only" || r.Header().Get("Content-Transfer-Encoding") != "base64" {
		t.Fatalf("%d %v: %s", r.Code, r.Header(), r.Body)
	}
	cs := must(identity.ParseCertsOnly(must(base64.StdEncoding.DecodeString(r.Body.String()))(t)))(t)
	if len(cs) != 1 {
		t.Fatalf("%d certificates", len(cs))
	}
	return cs[0]
}

// A renewed certificate has the profile, the names and the holder of the first;
// what the request claims for itself is not looked at.
func TestRenew(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		g, e := enrolled(t, w)
		w.clock.add(8 * 30 * 24 * time.Hour)
		for _, x := range []struct {
			label string
			h     Hierarchy
			was   *x509.Certificate
		}{{"", Client, e.Client.Leaf}, {"/client", Client, e.Client.Leaf}, {"/signing", Signing, e.Signing.Leaf}} {
			key := must(identity.NewKey())(t)
			greedy := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
				Subject:  pkix.Name{CommonName: base + "/g/other", Organization: []string{"Bank of Examples plc"}},
				DNSNames: []string{"directory.example.org"},
			}, key))(t)
			c := renewed(t, w.reenroll(x.label, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: greedy})), e.Client.Leaf, e.Client.Issuer))
			p, was := must(identity.PeerOf(c))(t), must(identity.PeerOf(x.was))(t)
			if p.Application != was.Application || p.Member != was.Member || c.Subject.String() != x.was.Subject.String() || len(p.Roles) != 0 ||
				len(c.DNSNames) != 0 || !key.PublicKey.Equal(c.PublicKey) {
				t.Errorf("%s: %+v %s, was %+v %s", x.h, p, c.Subject, was, x.was.Subject)
			}
			if !c.NotAfter.After(x.was.NotAfter) || c.SerialNumber.Cmp(x.was.SerialNumber) == 0 || c.CheckSignatureFrom(w.Authorities.Of(x.h).Issuer) != nil {
				t.Errorf("%s: until %s, was %s", x.h, c.NotAfter, x.was.NotAfter)
			}
			var gateway, application, member string
			if err := w.DB.QueryRow(`SELECT gateway, application, member FROM directory_certificates WHERE serial = $1 AND hierarchy = $2`,
				c.SerialNumber.String(), string(x.h)).Scan(&gateway, &application, &member); err != nil || gateway != g.ID || application != w.providerApp.ID || member != w.provider.ID {
				t.Errorf("recorded for %s %s %s, %v", gateway, application, member, err)
			}
		}
		// The first one still counts: the answer may not have arrived.
		_, csr := newKeyCSR(t)
		renewed(t, w.reenroll("", csr, e.Client.Leaf))
	})
}

// Who must not renew does not, and is told why.
func TestRenewRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, e := enrolled(t, w)
		_, gone := enrolled(t, w)
		if err := w.Revoke(t.Context(), gone.Client.Leaf.SerialNumber); err != nil {
			t.Fatal(err)
		}
		_, csr := newKeyCSR(t)
		app := must(w.IssueClient(t.Context(), w.providerApp.ID, []byte(csr)))(t)
		stray, _ := newKeyCSR(t) // signed by the issuer, in no record
		unknown := must(w.Authorities.Client.leaf(must(memberTemplate(Client, subject{URL: base + "/g/x", Member: base + "/m/x", Organisation: "X"}, w.clock.now(), statusURLs{}))(t), &stray.PublicKey, w.clock.now()))(t)
		copied := *e.Client.Leaf
		copied.PublicKey = &stray.PublicKey
		self := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, &copied, &copied, &stray.PublicKey, stray))(t)))(t)
		for _, x := range []struct {
			name  string
			shown []*x509.Certificate
			code  int
			want  string
		}{
			{"none", nil, 401, "no_certificate"},
			{"a signing certificate", []*x509.Certificate{e.Signing.Leaf}, 403, "invalid_certificate"},
			{"a forged one", []*x509.Certificate{self}, 403, "invalid_certificate"},
			{"revoked", []*x509.Certificate{gone.Client.Leaf}, 403, "certificate_revoked"},
			{"an application's", []*x509.Certificate{app.Leaf}, 403, "not_a_gateway"},
			{"not recorded", []*x509.Certificate{unknown}, 403, "unknown_certificate"},
			{"the issuer", []*x509.Certificate{e.Client.Issuer}, 403, "unknown_certificate"},
		} {
			_, csr := newKeyCSR(t)
			if v := answer(t, w.reenroll("/client", csr, x.shown...), x.code); v["error"] != x.want {
				t.Errorf("%s: %v, want %s", x.name, v, x.want)
			}
		}
		if v := answer(t, w.reenroll("/server", csr, e.Client.Leaf), 404); v["error"] != "not_found" {
			t.Errorf("server hierarchy: %v", v)
		}
		w.clock.add(-time.Hour)
		if v := answer(t, w.reenroll("", csr, e.Client.Leaf), 403); v["error"] != "certificate_not_begun" {
			t.Errorf("too early: %v", v)
		}
		w.clock.add(366 * 24 * time.Hour)
		if v := answer(t, w.reenroll("", csr, e.Client.Leaf), 403); v["error"] != "certificate_expired" || !strings.Contains(v["error_description"].(string), "new code") {
			t.Errorf("expired: %v", v)
		}
	})
}

// Only a new, suitable key of the gateway's own gets a certificate.
func TestRenewRequests(t *testing.T) {
	w := newWorld(t, "sqlite:"+t.TempDir()+"/d.db")
	_, e := enrolled(t, w)
	send := func(body, kind string) map[string]any {
		r := w.request("POST", "/.well-known/est/simplereenroll", body, "Content-Type", kind)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{e.Client.Leaf}}
		rec := w.serve(r)
		v := map[string]any{}
		if rec.Code == 200 || json.Unmarshal(rec.Body.Bytes(), &v) != nil {
			t.Errorf("%.40q: %d %s", body, rec.Code, rec.Body)
		}
		v["status"] = rec.Code
		return v
	}
	b64 := base64.StdEncoding.EncodeToString
	wide := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	for _, x := range []struct {
		name, body, kind string
		status           int
	}{
		{"empty", "", "application/pkcs10", 400},
		{"not base64", "????", "application/pkcs10", 400},
		{"not a request", b64([]byte("hello")), "application/pkcs10", 400},
		{"a certificate", b64(e.Client.Leaf.Raw), "application/pkcs10", 400},
		{"another curve", b64(must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, wide))(t)), "application/pkcs10", 400},
		{"JSON", "{}", "application/json", 415},
		{"huge", strings.Repeat("A", maxBody+1), "application/pkcs10", 413},
	} {
		if v := send(x.body, x.kind); v["status"] != x.status {
			t.Errorf("%s: %v, want %d", x.name, v, x.status)
		}
	}
	key, csr := newKeyCSR(t)
	first := renewed(t, w.reenroll("", csr, e.Client.Leaf))
	// The answer was lost: the same again, once and for a day.
	if again := renewed(t, w.reenroll("", csr, e.Client.Leaf)); !again.Equal(first) {
		t.Error("the same request got another certificate")
	}
	mine := string(must(identity.NewCSR(key, "x"))(t))
	for name, r := range map[string]*httptest.ResponseRecorder{
		"the key of the certificate shown": w.reenroll("/client", mine, first),
		"the client's key for signatures":  w.reenroll("/signing", mine, e.Client.Leaf),
		"the same key when the day has gone by": func() *httptest.ResponseRecorder {
			w.clock.add(25 * time.Hour)
			return w.reenroll("", csr, e.Client.Leaf)
		}(),
	} {
		if v := answer(t, r, 400); !strings.Contains(v["error_description"].(string), "new key") {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// So many in a day and no more, however many ask at once; the allowance
// comes back.
func TestRenewAllowance(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, e := enrolled(t, w)
		var wg sync.WaitGroup
		codes := make([]int, 16)
		for i := range codes {
			_, csr := newKeyCSR(t)
			wg.Go(func() { codes[i] = w.reenroll("/signing", csr, e.Client.Leaf).Code })
		}
		wg.Wait()
		n := map[int]int{}
		for _, c := range codes {
			n[c]++
		}
		if n[200] != renewMost-1 || n[429] != len(codes)-renewMost+1 {
			t.Errorf("answers %v", n)
		}
		_, csr := newKeyCSR(t)
		r := w.reenroll("/signing", csr, e.Client.Leaf)
		if answer(t, r, 429); r.Header().Get("Retry-After") != "86401" {
			t.Errorf("Retry-After %q", r.Header().Get("Retry-After"))
		}
		w.clock.add(86401 * time.Second)
		renewed(t, w.reenroll("/signing", csr, e.Client.Leaf))
	})
}

// Over real TLS: with the listener's configuration a page is for everybody,
// nobody has to show a certificate, and who shows one renews.
func TestRenewOverTLS(t *testing.T) {
	w := newWorld(t, "sqlite:"+t.TempDir()+"/d.db")
	keeper := must(w.ServerCertificates(t.Context(), "127.0.0.1"))(t)
	srv := httptest.NewUnstartedServer(w.Handler())
	srv.TLS = identity.AskingTLS(keeper.Certificate, w.Authorities.Client.Pool())
	srv.TLS.Certificates = []tls.Certificate{*must(keeper.Certificate())(t)}
	srv.StartTLS()
	defer srv.Close()
	g, code, err := w.AddGateway(t.Context(), Gateway{Member: w.provider.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	key, a := newKeyCSR(t)
	_, b := newKeyCSR(t)
	e := must(w.Enroll(t.Context(), code, []byte(a), []byte(b)))(t)
	pair := &tls.Certificate{Certificate: [][]byte{e.Client.Leaf.Raw, e.Client.Issuer.Raw}, PrivateKey: key}
	for _, cert := range []func() (*tls.Certificate, error){nil, func() (*tls.Certificate, error) { return pair, nil }} {
		conf := identity.ClientTLS(w.Authorities.Server.Pool(), cert)
		conf.Time = w.clock.now
		tr := &http.Transport{TLSClientConfig: conf}
		defer tr.CloseIdleConnections()
		hc := &http.Client{Transport: tr}
		if res := must(hc.Get(srv.URL + "/m/" + w.provider.ID))(t); res.StatusCode != 200 {
			t.Errorf("listing: %s", res.Status)
		}
		_, csr := newKeyCSR(t)
		block, _ := pem.Decode([]byte(csr))
		res := must(hc.Post(srv.URL+"/.well-known/est/simplereenroll", "application/pkcs10", strings.NewReader(base64.StdEncoding.EncodeToString(block.Bytes))))(t)
		if want := map[bool]int{true: 200, false: 401}[cert != nil]; res.StatusCode != want {
			t.Errorf("renewal of %s: %s, want %d", g.ID, res.Status, want)
		}
	}
}
