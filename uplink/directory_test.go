package uplink

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

const goodCode = "7K2M-9KXA-34TE"

// memDirectory issues certificates for a code, and can be made to go wrong.
type memDirectory struct {
	t     *testing.T
	pki   *identitytest.PKI
	relay string
	mu    sync.Mutex // what follows
	used  bool
	last  map[string]string // what was answered last: the same keys get it again
	keys  string
	lose  bool // the answer is lost on its way
	spoil func(answer map[string]string)
}

func (d *memDirectory) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var in struct {
		Code       string `json:"code"`
		ClientCSR  string `json:"client_csr"`
		SigningCSR string `json:"signing_csr"`
		Gateway    string `json:"gateway"`
	}
	if err := json.NewDecoder(q.Body).Decode(&in); err != nil || q.URL.Path != "/gateway/v1/enrollments" {
		refuse(w, 400, "invalid_request", nil)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	keys := d.keysOf(in.ClientCSR) + d.keysOf(in.SigningCSR)
	if in.Code != goodCode || d.used && d.keys != keys {
		refuse(w, 403, "invalid_code", nil)
		return
	}
	if in.Gateway != "" && in.Gateway != gatewayURL {
		refuse(w, 409, "other_gateway", nil)
		return
	}
	if d.used {
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(d.last)
		return
	}
	d.used, d.keys = true, keys
	a := map[string]string{
		"gateway": gatewayURL, "member": memberURL, "organisation": "Shop Ltd", "relay": d.relay,
		"client_certificate":  string(d.issue(in.ClientCSR, d.pki.ClientCA, d.pki.Client(gatewayURL, "Shop Ltd", memberURL).Cert())),
		"signing_certificate": string(d.issue(in.SigningCSR, d.pki.SigningCA, d.pki.Signing(gatewayURL, "Shop Ltd", memberURL).Cert())),
		"signing_roots":       string(identity.EncodeCertificates(d.pki.SigningCA.Root)),
		"client_roots":        string(identity.EncodeCertificates(d.pki.ClientCA.Root)),
	}
	if d.spoil != nil {
		d.spoil(a)
	}
	d.last = a
	if d.lose {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(a)
}

// keysOf gives the key of a request as text.
func (d *memDirectory) keysOf(csr string) string {
	pub, err := identity.ParseCSR([]byte(csr))
	if err != nil {
		d.t.Error(err)
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		d.t.Error(err)
	}
	return string(der)
}

// issue makes a certificate like the template for the key of a request.
func (d *memDirectory) issue(csr string, h *identitytest.Hierarchy, like *x509.Certificate) []byte {
	pub, err := identity.ParseCSR([]byte(csr))
	if err != nil {
		d.t.Error(err)
		return nil
	}
	c := *like
	c.SerialNumber = new(big.Int).Add(like.SerialNumber, big.NewInt(1))
	c.ExtraExtensions = like.Extensions
	der, err := x509.CreateCertificate(rand.Reader, &c, h.Issuer, pub, h.IssuerKey)
	if err != nil {
		d.t.Error(err)
		return nil
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		d.t.Error(err)
		return nil
	}
	return identity.EncodeCertificates(x, h.Issuer)
}

// serve starts a TLS server of the scheme; with roots it is mutual TLS.
func serve(t *testing.T, pki *identitytest.PKI, clients *x509.CertPool, h http.Handler) string {
	t.Helper()
	leaf := pki.Server("127.0.0.1")
	s := httptest.NewUnstartedServer(h)
	s.TLS = identity.ServerTLS(leaf.Get, clients)
	s.TLS.Certificates = []tls.Certificate{*leaf.TLS()}
	s.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func caFile(t *testing.T, pki *identitytest.PKI) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, identity.EncodeCertificates(pki.ServerCA.Root), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
