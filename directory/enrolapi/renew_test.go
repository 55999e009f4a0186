package enrolapi_test

import (
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

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
)

// renewed reads the certificate of an answer.
func renewed(t *testing.T, r *httptest.ResponseRecorder) *x509.Certificate {
	t.Helper()
	if r.Code != 200 || r.Header().Get("Content-Type") != "application/pkcs7-mime; smime-type=certs-only" || r.Header().Get("Content-Transfer-Encoding") != "base64" {
		t.Fatalf("%d %v: %s", r.Code, r.Header(), r.Body)
	}
	cs := dirtest.Must(identity.ParseCertsOnly(dirtest.Must(base64.StdEncoding.DecodeString(r.Body.String()))(t)))(t)
	if len(cs) != 1 {
		t.Fatalf("%d certificates", len(cs))
	}
	return cs[0]
}

// A renewed certificate has the profile, the names and the holder of the first;
// what the request claims for itself is not looked at.
func TestRenew(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		g, e := dirtest.Enrolled(t, w)
		w.Clock.Add(8 * 30 * 24 * time.Hour)
		for _, x := range []struct {
			label string
			h     ca.Hierarchy
			was   *x509.Certificate
		}{{"", ca.Client, e.Client.Leaf}, {"/client", ca.Client, e.Client.Leaf}, {"/signing", ca.Signing, e.Signing.Leaf}} {
			key := dirtest.Must(identity.NewKey())(t)
			greedy := dirtest.Must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
				Subject:  pkix.Name{CommonName: dirtest.Base + "/g/other", Organization: []string{"Bank of Examples plc"}},
				DNSNames: []string{"directory.example.org"},
			}, key))(t)
			c := renewed(t, w.Reenroll(x.label, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: greedy})), e.Client.Leaf, e.Client.Issuer))
			p, was := dirtest.Must(identity.PeerOf(c))(t), dirtest.Must(identity.PeerOf(x.was))(t)
			if p.Application != was.Application || p.Member != was.Member || c.Subject.String() != x.was.Subject.String() || len(p.Roles) != 0 ||
				len(c.DNSNames) != 0 || !key.PublicKey.Equal(c.PublicKey) {
				t.Errorf("%s: %+v %s, was %+v %s", x.h, p, c.Subject, was, x.was.Subject)
			}
			if !c.NotAfter.After(x.was.NotAfter) || c.SerialNumber.Cmp(x.was.SerialNumber) == 0 || c.CheckSignatureFrom(w.Authorities.Of(x.h).Issuer) != nil {
				t.Errorf("%s: until %s, was %s", x.h, c.NotAfter, x.was.NotAfter)
			}
			var gateway, application, member string
			if err := w.DB.QueryRow(`SELECT gateway, application, member FROM directory_certificates WHERE serial = $1 AND hierarchy = $2`,
				c.SerialNumber.String(), string(x.h)).Scan(&gateway, &application, &member); err != nil || gateway != g.ID || application != w.ProviderApp.ID || member != w.Provider.ID {
				t.Errorf("recorded for %s %s %s, %v", gateway, application, member, err)
			}
		}
		// The first one still counts: the answer may not have arrived.
		_, csr := dirtest.NewKeyCSR(t)
		renewed(t, w.Reenroll("", csr, e.Client.Leaf))
	})
}

// Who must not renew does not, and is told why.
func TestRenewRefuses(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		_, e := dirtest.Enrolled(t, w)
		_, gone := dirtest.Enrolled(t, w)
		if err := w.Revoke(t.Context(), gone.Client.Leaf.SerialNumber); err != nil {
			t.Fatal(err)
		}
		_, csr := dirtest.NewKeyCSR(t)
		app := dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
		stray, _ := dirtest.NewKeyCSR(t) // signed by the issuer, in no record
		unknown := dirtest.Must(w.Authorities.Client.Leaf(dirtest.Must(ca.MemberTemplate(ca.Client, ca.Subject{URL: dirtest.Base + "/g/x", Member: dirtest.Base + "/m/x", Organisation: "X"}, w.Clock.Now(), ca.StatusURLs{}))(t), &stray.PublicKey, w.Clock.Now()))(t)
		copied := *e.Client.Leaf
		copied.PublicKey = &stray.PublicKey
		self := dirtest.Must(x509.ParseCertificate(dirtest.Must(x509.CreateCertificate(rand.Reader, &copied, &copied, &stray.PublicKey, stray))(t)))(t)
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
			_, csr := dirtest.NewKeyCSR(t)
			if v := dirtest.Answer(t, w.Reenroll("/client", csr, x.shown...), x.code); v["error"] != x.want {
				t.Errorf("%s: %v, want %s", x.name, v, x.want)
			}
		}
		if v := dirtest.Answer(t, w.Reenroll("/server", csr, e.Client.Leaf), 404); v["error"] != "not_found" {
			t.Errorf("server hierarchy: %v", v)
		}
		w.Clock.Add(-time.Hour)
		if v := dirtest.Answer(t, w.Reenroll("", csr, e.Client.Leaf), 403); v["error"] != "certificate_not_begun" {
			t.Errorf("too early: %v", v)
		}
		w.Clock.Add(366 * 24 * time.Hour)
		if v := dirtest.Answer(t, w.Reenroll("", csr, e.Client.Leaf), 403); v["error"] != "certificate_expired" || !strings.Contains(v["error_description"].(string), "new code") {
			t.Errorf("expired: %v", v)
		}
	})
}

// Only a new, suitable key of the gateway's own gets a certificate.
func TestRenewRequests(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	_, e := dirtest.Enrolled(t, w)
	send := func(body, kind string) map[string]any {
		r := w.Request("POST", "/.well-known/est/simplereenroll", body, "Content-Type", kind)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{e.Client.Leaf}}
		rec := w.Serve(r)
		v := map[string]any{}
		if rec.Code == 200 || json.Unmarshal(rec.Body.Bytes(), &v) != nil {
			t.Errorf("%.40q: %d %s", body, rec.Code, rec.Body)
		}
		v["status"] = rec.Code
		return v
	}
	b64 := base64.StdEncoding.EncodeToString
	wide := dirtest.Must(newkey.Make(elliptic.P384()))(t)
	for _, x := range []struct {
		name, body, kind string
		status           int
	}{
		{"empty", "", "application/pkcs10", 400},
		{"not base64", "????", "application/pkcs10", 400},
		{"not a request", b64([]byte("hello")), "application/pkcs10", 400},
		{"a certificate", b64(e.Client.Leaf.Raw), "application/pkcs10", 400},
		{"another curve", b64(dirtest.Must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, wide))(t)), "application/pkcs10", 400},
		{"JSON", "{}", "application/json", 415},
		{"huge", strings.Repeat("A", answer.MaxBody+1), "application/pkcs10", 413},
	} {
		if v := send(x.body, x.kind); v["status"] != x.status {
			t.Errorf("%s: %v, want %d", x.name, v, x.status)
		}
	}
	key, csr := dirtest.NewKeyCSR(t)
	first := renewed(t, w.Reenroll("", csr, e.Client.Leaf))
	// The answer was lost: the same again, once and for a day.
	if again := renewed(t, w.Reenroll("", csr, e.Client.Leaf)); !again.Equal(first) {
		t.Error("the same request got another certificate")
	}
	mine := string(dirtest.Must(identity.NewCSR(key, "x"))(t))
	for name, r := range map[string]*httptest.ResponseRecorder{
		"the key of the certificate shown": w.Reenroll("/client", mine, first),
		"the client's key for signatures":  w.Reenroll("/signing", mine, e.Client.Leaf),
		"the same key when the day has gone by": func() *httptest.ResponseRecorder {
			w.Clock.Add(25 * time.Hour)
			return w.Reenroll("", csr, e.Client.Leaf)
		}(),
	} {
		if v := dirtest.Answer(t, r, 400); !strings.Contains(v["error_description"].(string), "new key") {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// So many in a day and no more, however many ask at once; the allowance
// comes back.
func TestRenewAllowance(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		_, e := dirtest.Enrolled(t, w)
		var wg sync.WaitGroup
		codes := make([]int, 16)
		for i := range codes {
			_, csr := dirtest.NewKeyCSR(t)
			wg.Go(func() { codes[i] = w.Reenroll("/signing", csr, e.Client.Leaf).Code })
		}
		wg.Wait()
		n := map[int]int{}
		for _, c := range codes {
			n[c]++
		}
		if n[200] != directory.RenewMost-1 || n[429] != len(codes)-directory.RenewMost+1 {
			t.Errorf("answers %v", n)
		}
		_, csr := dirtest.NewKeyCSR(t)
		r := w.Reenroll("/signing", csr, e.Client.Leaf)
		if dirtest.Answer(t, r, 429); r.Header().Get("Retry-After") != "86401" {
			t.Errorf("Retry-After %q", r.Header().Get("Retry-After"))
		}
		w.Clock.Add(86401 * time.Second)
		renewed(t, w.Reenroll("/signing", csr, e.Client.Leaf))
	})
}

// Over real TLS: with the listener's configuration a page is for everybody,
// nobody has to show a certificate, and who shows one renews.
func TestRenewOverTLS(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	keeper := dirtest.Must(w.ServerCertificates(t.Context(), "127.0.0.1"))(t)
	srv := httptest.NewUnstartedServer(w.Front.Handler())
	srv.TLS = identity.AskingTLS(keeper.Certificate, w.Authorities.Client.Pool())
	srv.TLS.Certificates = []tls.Certificate{*dirtest.Must(keeper.Certificate())(t)}
	srv.StartTLS()
	defer srv.Close()
	g, code, err := w.AddGateway(t.Context(), directory.Gateway{Member: w.Provider.ID, Name: "Unit 4", Site: "Riverside"})
	if err != nil {
		t.Fatal(err)
	}
	key, a := dirtest.NewKeyCSR(t)
	_, b := dirtest.NewKeyCSR(t)
	e := dirtest.Must(w.Enroll(t.Context(), code, []byte(a), []byte(b)))(t)
	pair := &tls.Certificate{Certificate: [][]byte{e.Client.Leaf.Raw, e.Client.Issuer.Raw}, PrivateKey: key}
	for _, cert := range []func() (*tls.Certificate, error){nil, func() (*tls.Certificate, error) { return pair, nil }} {
		conf := identity.ClientTLS(w.Authorities.Server.Pool(), cert)
		conf.Time = w.Clock.Now
		tr := &http.Transport{TLSClientConfig: conf}
		defer tr.CloseIdleConnections()
		hc := &http.Client{Transport: tr}
		if res := dirtest.Must(hc.Get(srv.URL + "/m/" + w.Provider.ID))(t); res.StatusCode != 200 {
			t.Errorf("listing: %s", res.Status)
		}
		_, csr := dirtest.NewKeyCSR(t)
		block, _ := pem.Decode([]byte(csr))
		res := dirtest.Must(hc.Post(srv.URL+"/.well-known/est/simplereenroll", "application/pkcs10", strings.NewReader(base64.StdEncoding.EncodeToString(block.Bytes))))(t)
		if want := map[bool]int{true: 200, false: 401}[cert != nil]; res.StatusCode != want {
			t.Errorf("renewal of %s: %s, want %d", g.ID, res.Status, want)
		}
	}
}
