package status_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	peer "golang.org/x/crypto/ocsp"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
)

func TestOCSP(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		certs := map[ca.Hierarchy][2]directory.Certificate{} // one that is good, one that is revoked
		for _, h := range ca.Hierarchies {
			var two [2]directory.Certificate
			for i := range two {
				key, csr := dirtest.NewKeyCSR(t)
				switch h {
				case ca.Client:
					two[i] = dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
				case ca.Signing:
					two[i] = dirtest.Must(w.IssueSigning(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
				case ca.Server:
					two[i] = dirtest.Must(w.IssueServer(t.Context(), key.Public(), []string{"localhost"}))(t)
				}
			}
			if err := w.Revoke(t.Context(), two[1].Leaf.SerialNumber); err != nil {
				t.Fatal(err)
			}
			certs[h] = two
			leaf := two[0].Leaf
			if len(leaf.OCSPServer) != 1 || leaf.OCSPServer[0] != dirtest.Base+"/ocsp" || len(leaf.IssuingCertificateURL) != 1 {
				t.Errorf("%s: the certificate says %v, %v", h, leaf.OCSPServer, leaf.IssuingCertificateURL)
			}
			issuer := w.Call("GET", strings.TrimPrefix(leaf.IssuingCertificateURL[0], dirtest.Base), nil)
			if issuer.Code != 200 || !bytes.Equal(issuer.Body.Bytes(), two[0].Issuer.Raw) || issuer.Header().Get("Content-Type") != "application/pkix-cert" {
				t.Errorf("%s: the issuer is not where the certificate says: %d", h, issuer.Code)
			}
		}
		w.Clock.Add(time.Minute)
		post := func(der []byte) *httptest.ResponseRecorder {
			r := w.Request("POST", "/ocsp", nil)
			r = httptest.NewRequest("POST", r.URL.String(), bytes.NewReader(der))
			r.Header.Set("Content-Type", "application/ocsp-request")
			return w.Serve(r)
		}
		get := func(der []byte, escape func(string) string) *httptest.ResponseRecorder {
			return w.Call("GET", "/ocsp/"+escape(base64.StdEncoding.EncodeToString(der)), nil)
		}
		for h, two := range certs {
			for i, want := range []int{peer.Good, peer.Revoked} {
				c := two[i]
				der := dirtest.Must(peer.CreateRequest(c.Leaf, c.Issuer, nil))(t)
				for how, r := range map[string]*httptest.ResponseRecorder{"POST": post(der), "GET": get(der, url.PathEscape), "GET, not escaped": get(der, func(s string) string { return s })} {
					got, err := peer.ParseResponseForCert(r.Body.Bytes(), c.Leaf, c.Issuer)
					if err != nil || r.Code != 200 || r.Header().Get("Content-Type") != "application/ocsp-response" {
						t.Fatalf("%s %s: %d %v", h, how, r.Code, err)
					}
					if got.Status != want || !got.ThisUpdate.Equal(w.Clock.Now()) || !got.NextUpdate.Equal(w.Clock.Now().Add(ca.OCSPLife)) {
						t.Errorf("%s %s: %+v", h, how, got)
					}
					if want == peer.Revoked && !got.RevokedAt.Equal(dirtest.Start) {
						t.Errorf("%s: revoked at %s", h, got.RevokedAt)
					}
					if cache := r.Header().Get("Cache-Control"); strings.Contains(cache, "max-age=300") != strings.HasPrefix(how, "GET") {
						t.Errorf("%s: Cache-Control %q", how, cache)
					}
				}
			}
		}
		// A serial number that was never issued: unknown, and never good.
		leaf := *certs[ca.Client][0].Leaf
		leaf.SerialNumber = certs[ca.Server][0].Leaf.SerialNumber // of another hierarchy
		got := dirtest.Must(peer.ParseResponse(post(dirtest.Must(peer.CreateRequest(&leaf, certs[ca.Client][0].Issuer, nil))(t)).Body.Bytes(), certs[ca.Client][0].Issuer))(t)
		if got.Status != peer.Unknown {
			t.Errorf("never issued: %d", got.Status)
		}
		// Certificates of others, and what is no request.
		status := func(r *httptest.ResponseRecorder) peer.ResponseStatus {
			_, err := peer.ParseResponse(r.Body.Bytes(), nil)
			refused, ok := err.(peer.ResponseError)
			if !ok || r.Code != 200 || r.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %s", r.Code, err, r.Header().Get("Cache-Control"))
			}
			return refused.Status
		}
		root := w.Authorities.Client.Root
		if got := status(post(dirtest.Must(peer.CreateRequest(w.Authorities.Client.Issuer, root, &peer.RequestOptions{Hash: crypto.SHA256}))(t))); got != peer.Unauthorized {
			t.Errorf("a root's certificate: %d", got)
		}
		for _, r := range []*httptest.ResponseRecorder{post(nil), post([]byte("x")), post(make([]byte, 60<<10)), w.Call("GET", "/ocsp/***", nil), w.Call("GET", "/ocsp/", nil), w.Call("GET", "/ocsp/%2B%2B", nil), w.Call("POST", "/ocsp", "{}")} {
			if got := status(r); got != peer.Malformed {
				t.Errorf("no request: %d", got)
			}
		}
		for path, method := range map[string]string{"/ocsp": "GET", "/ocsp/x": "POST"} {
			if r := w.Call(method, path, nil); r.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, r.Code)
			}
		}
		w.DB.Close()
		if got := status(post(dirtest.Must(peer.CreateRequest(certs[ca.Client][0].Leaf, certs[ca.Client][0].Issuer, nil))(t))); got != peer.InternalError {
			t.Errorf("without a database: %d", got)
		}
	})
}

// TestOpenSSLOCSP: openssl asks over plain HTTP at the address that the
// certificate names, with a nonce, several at once, and checks the answers.
func TestOpenSSLOCSP(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: OCSP not checked with it")
	}
	var status http.Handler
	tamper := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		status.ServeHTTP(rec, r)
		b := rec.Body.Bytes()
		if tamper {
			b[len(b)-1] ^= 1 // of the signature
		}
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.WriteHeader(rec.Code)
		w.Write(b)
	}))
	defer srv.Close()
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	w.Clock.Set(time.Now()) // openssl has no other clock
	w.StatusURL = srv.URL
	status = w.Front.StatusHandler()
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, h := range []ca.Hierarchy{ca.Client, ca.Signing} {
		issue := func(name string) (string, directory.Certificate) {
			_, csr := dirtest.NewKeyCSR(t)
			f := w.IssueClient
			if h == ca.Signing {
				f = w.IssueSigning
			}
			c := dirtest.Must(f(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
			return write(name, identity.EncodeCertificates(c.Leaf)), c
		}
		good, c := issue("good.pem")
		bad, d := issue("bad.pem")
		if err := w.Revoke(t.Context(), d.Leaf.SerialNumber); err != nil {
			t.Fatal(err)
		}
		issuer, root := write("issuer.pem", identity.EncodeCertificates(c.Issuer)), write("root.pem", identity.EncodeCertificates(w.Authorities.Of(h).Root))
		for _, digest := range []string{"-sha1", "-sha256"} {
			out, err := exec.Command("openssl", "ocsp", "-issuer", issuer, digest, "-cert", good, "-cert", bad, "-serial", "42", "-CAfile", root, "-nonce", "-url", c.Leaf.OCSPServer[0]).CombinedOutput()
			text := string(out)
			for _, want := range []string{"Response verify OK", "good.pem: good", "bad.pem: revoked", "42: unknown"} {
				if err != nil || !strings.Contains(text, want) {
					t.Errorf("%s %s: %v: no %q in %s", h, digest, err, want, text)
				}
			}
			if strings.Contains(strings.ToLower(text), "nonce") { // it complains when the nonce is missing or another
				t.Errorf("openssl on the nonce: %s", text)
			}
		}
		tamper = true
		if out, _ := exec.Command("openssl", "ocsp", "-issuer", issuer, "-cert", good, "-CAfile", root, "-url", c.Leaf.OCSPServer[0]).CombinedOutput(); !strings.Contains(string(out), "Response Verify Failure") {
			t.Errorf("a signature that was changed: %s", out)
		}
		tamper = false
	}
	for path, want := range map[string]int{"/crl/client.crl": 200, "/crl/client-root.crl": 200, "/ca/client-root.cer": 200, "/ca/client-other.cer": 404, "/crl/other-root.crl": 404, "/": 404, "/members/me": 404, "/healthz": 404} {
		res, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}
