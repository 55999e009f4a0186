package ca_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
	peer "golang.org/x/crypto/ocsp"
)

// issuersIn is a directory whose issuers' keys are at these addresses, the
// clients' in hardware: each made once, by the request, and certified by roots
// made apart. online is its folder of authorities.
func issuersIn(t *testing.T, keys map[ca.Hierarchy]string) (w *dirtest.World, online string) {
	t.Helper()
	online, medium, out, requests := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	for _, h := range ca.Hierarchies {
		key, made, err := ca.EnsureKey(ca.IssuerKey(keys, h), online)
		if err != nil || !made {
			t.Fatal(made, err)
		}
		again, made, err := ca.EnsureKey(ca.IssuerKey(keys, h), online)
		if err != nil || made || !again.Public().(*ecdsa.PublicKey).Equal(key.Public()) {
			t.Fatal("made again", err)
		}
		dirtest.Must(0, ca.RequestIssuer(requests, h, key))(t)
	}
	dirtest.Must(ca.Ceremony{Organisation: "Example Framework", Offline: medium, Requests: requests, Out: out, Now: dirtest.Start}.Hold())(t)
	dirtest.Must(ca.InstallAuthorities(online, out, keys))(t)
	w = dirtest.New(t, "sqlite:"+filepath.Join(t.TempDir(), "d.db"))
	w.Service.Authorities = dirtest.Must(ca.OpenAuthorities(online, keys))(t)
	if _, ok := w.Authorities.Client.Key().(*ecdsa.PrivateKey); ok {
		t.Fatal("the key is not in the hardware")
	}
	return w, online
}

// useClientIssuer issues a certificate and revokes it: in the list, and by OCSP.
func useClientIssuer(t *testing.T, w *dirtest.World) {
	t.Helper()
	_, csr := dirtest.NewKeyCSR(t)
	c := dirtest.Must(w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: w.Authorities.Client.Pool(), Intermediates: identity.Pool(c.Issuer), CurrentTime: dirtest.Start, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	dirtest.Must(0, w.Revoke(t.Context(), c.Leaf.SerialNumber))(t)
	if l := w.ReadCRL(t, ca.Client); len(l.RevokedCertificateEntries) != 1 {
		t.Error("not in the list")
	}
	der := dirtest.Must(peer.CreateRequest(c.Leaf, c.Issuer, nil))(t)
	r := w.Call("GET", "/ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(der)), nil)
	if got, err := peer.ParseResponseForCert(r.Body.Bytes(), c.Leaf, c.Issuer); err != nil || got.Status != peer.Revoked {
		t.Errorf("%+v, %v", got, err)
	}
}
