package identitytest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

const gateway = "https://directory.example/g/1"

// The leaves really work in mutual TLS, and the server reads the peer.
func TestMutualTLS(t *testing.T) {
	pki := identitytest.New(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := identity.RequestPeer(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		io.WriteString(w, p.Application+" "+p.Organisation+" "+p.Member)
	}))
	leaf := pki.Server("127.0.0.1")
	srv.TLS = identity.ServerTLS(leaf.Get, pki.ClientCA.Pool())
	srv.TLS.Certificates = []tls.Certificate{*leaf.TLS()} // or httptest adds its own
	srv.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
	srv.StartTLS()
	defer srv.Close()
	get := func(leaf *identitytest.Leaf) (string, error) {
		var cert func() (*tls.Certificate, error)
		if leaf != nil {
			cert = leaf.Get
		}
		tr := &http.Transport{TLSClientConfig: identity.ClientTLS(pki.ServerCA.Pool(), cert)}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get(srv.URL)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	got, err := get(pki.Client(gateway, "Shop Ltd", "https://directory.example/m/1"))
	if want := gateway + " Shop Ltd https://directory.example/m/1"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := get(nil); err == nil {
		t.Error("no certificate was let in")
	}
	if _, err := get(identitytest.New(t).Client(gateway, "Shop Ltd", "m")); err == nil {
		t.Error("a stranger's certificate was let in")
	}
}

func TestProfile(t *testing.T) {
	pki := identitytest.New(t)
	s := pki.Signing("https://directory.example/a/1", "Org", "https://directory.example/m/1", "role-a", "role-b")
	p, err := identity.PeerOf(s.Cert())
	if err != nil || !p.HasRole("role-b") || len(s.Cert().ExtKeyUsage) != 0 ||
		len(s.Cert().SubjectKeyId) == 0 || len(s.Cert().AuthorityKeyId) == 0 {
		t.Errorf("signing leaf: %+v, %v", p, err)
	}
	_, err = s.Cert().Verify(x509.VerifyOptions{
		Roots: pki.SigningCA.Pool(), Intermediates: identity.Pool(s.Chain[1:]...), CurrentTime: time.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	s.Write(dir, "signing")
	if _, err := identity.KeyPair(dir+"/signing.pem", dir+"/signing.key"); err != nil {
		t.Error(err)
	}
}
