package directory_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

func TestServerCertificates(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	keeper := dirtest.Must(w.ServerCertificates(t.Context(), "localhost", "127.0.0.1"))(t)
	get := func() *tls.Certificate { t.Helper(); return dirtest.Must(keeper.Certificate())(t) }
	first := get()
	w.Clock.Add(11 * time.Hour)
	if get() != first {
		t.Error("renewed before half of its life")
	}
	w.Clock.Add(time.Hour)
	second := get()
	if second == first || second.Leaf.NotAfter.Before(first.Leaf.NotAfter) {
		t.Error("not renewed at half of its life")
	}
	if first.PrivateKey.(*ecdsa.PrivateKey).Equal(second.PrivateKey) {
		t.Error("renewed with the same key")
	}
	if get() != second {
		t.Error("renewed at once again")
	}
	// The database is gone: the old one serves until its end, then an error.
	w.DB.Close()
	w.Clock.Add(12 * time.Hour)
	if get() != second {
		t.Error("the certificate in hand was thrown away")
	}
	w.Clock.Add(12 * time.Hour)
	if _, err := keeper.Certificate(); err == nil {
		t.Error("an expired certificate was served")
	}
	if _, err := w.ServerCertificates(t.Context(), "10.1.2.3"); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("host that may not have one: %v", err)
	}
}

// TestTLS: an enrolled gateway and a server meet over TLS with certificates of
// this directory; a revoked or foreign one is told by who checks.
func TestTLS(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	keeper := dirtest.Must(w.ServerCertificates(t.Context(), "localhost", "127.0.0.1"))(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		p, err := identity.RequestPeer(r)
		if err != nil {
			t.Error(err)
		}
		io.WriteString(rw, p.Application)
	}))
	srv.TLS = identity.ServerTLS(keeper.Certificate, w.Authorities.Client.Pool())
	srv.TLS.Time = w.Clock.Now
	srv.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
	srv.TLS.Certificates = []tls.Certificate{*dirtest.Must(keeper.Certificate())(t)} // else httptest adds its own
	srv.StartTLS()
	defer srv.Close()
	call := func(cert *tls.Certificate) (string, error) {
		conf := identity.ClientTLS(w.Authorities.Server.Pool(), func() (*tls.Certificate, error) { return cert, nil })
		conf.Time = w.Clock.Now
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
		res, err := c.Get(srv.URL)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	chain := func(issue func() (directory.Certificate, error), key any) *tls.Certificate {
		c := dirtest.Must(issue())(t)
		return &tls.Certificate{Certificate: [][]byte{c.Leaf.Raw, c.Issuer.Raw}, PrivateKey: key}
	}
	key, csr := dirtest.NewKeyCSR(t)
	good := chain(func() (directory.Certificate, error) {
		return w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr))
	}, key)
	if got, err := call(good); err != nil || got != dirtest.Base+"/a/"+w.ProviderApp.ID {
		t.Errorf("%q, %v", got, err)
	}
	signing := chain(func() (directory.Certificate, error) {
		return w.IssueSigning(t.Context(), w.ProviderApp.ID, []byte(csr))
	}, key)
	if _, err := call(signing); err == nil {
		t.Error("a signing certificate passed for a client's")
	}
	if _, err := call(&tls.Certificate{}); err == nil {
		t.Error("no certificate passed")
	}
	server := dirtest.Must(w.IssueServer(t.Context(), key.Public(), []string{"localhost"}))(t)
	if slices.Contains(server.Leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		t.Error("a server certificate for clients")
	}
}
