package ca_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

// TestIssuersInAToken: all three issuers' keys in a PKCS#11 token: made by the
// request, each once, used for certificates of every hierarchy, lists and OCSP.
// While the token is out nothing is signed, and what is said is about an issuer.
func TestIssuersInAToken(t *testing.T) {
	tok := keystoretest.NewToken(t, "Issuers 1")
	keys := map[ca.Hierarchy]string{ca.Client: tok.Kind, ca.Signing: tok.Kind, ca.Server: tok.Kind + "#elsewhere/server.key"}
	w, online := issuersIn(t, keys)
	if n := tok.Keys(); n != 3 {
		t.Errorf("%d keys in the token", n)
	}
	for _, name := range []string{"client/issuer.key", "signing/issuer.key", "elsewhere/server.key"} {
		text := dirtest.Must(os.ReadFile(filepath.Join(online, name)))(t)
		if strings.Contains(string(text), "PRIVATE KEY") || strings.Contains(string(text), tok.PIN) {
			t.Errorf("%s: %s", name, text)
		}
	}
	useClientIssuer(t, w)
	_, csr := dirtest.NewKeyCSR(t)
	s := dirtest.Must(w.IssueSigning(t.Context(), w.ProviderApp.ID, []byte(csr)))(t)
	if _, err := s.Leaf.Verify(x509.VerifyOptions{Roots: w.Authorities.Signing.Pool(), Intermediates: identity.Pool(s.Issuer), CurrentTime: dirtest.Start, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	for h, want := range map[ca.Hierarchy]int{ca.Client: 1, ca.Signing: 0, ca.Server: 0} {
		l := w.ReadCRL(t, h)
		if err := l.CheckSignatureFrom(w.Authorities.Of(h).Issuer); err != nil || len(l.RevokedCertificateEntries) != want {
			t.Errorf("%s: list of %d, %v", h, len(l.RevokedCertificateEntries), err)
		}
	}

	// The token is pulled out: it is said whose key it was, and all is well when
	// it is back.
	back := tok.Pull()
	says := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "gateway") || strings.Contains(err.Error(), tok.PIN) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, csr = dirtest.NewKeyCSR(t)
	_, err := w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr))
	says(err, "the issuer's key that "+filepath.Join(online, "client/issuer.key")+" names cannot be used: the token \"Issuers 1\"")
	_, err = ca.OpenAuthorities(online, keys)
	says(err, "client issuer: the issuer's key that ")
	back()
	if _, err := w.IssueClient(t.Context(), w.ProviderApp.ID, []byte(csr)); err != nil {
		t.Error(err)
	}

	// Another token of the same name, empty: the key is lost, and what to do is
	// an issuer's.
	id := strings.TrimSpace(tok.Tool("--list-objects", "--type", "privkey"))
	for line := range strings.Lines(id) {
		if _, id, ok := strings.Cut(line, "ID:"); ok {
			tok.Tool("--delete-object", "--type", "privkey", "--id", strings.TrimSpace(id))
		}
	}
	_, err = ca.OpenAuthorities(online, keys)
	says(err, "is no longer in its token")
}

// A key that was made in a file is not taken for one of the token that the
// configuration names since.
func TestIssuerFromFileToToken(t *testing.T) {
	tok := keystoretest.NewToken(t, "Issuers 2")
	dir := t.TempDir()
	dirtest.Must(0, ca.RequestIssuers(dir))(t)
	address := ca.IssuerKey(map[ca.Hierarchy]string{ca.Client: tok.Kind}, ca.Client)
	if _, _, err := ca.EnsureKey(address, dir); err == nil || !strings.Contains(err.Error(), "the key is of the kind file, but its address says pkcs11: move the file away") {
		t.Errorf("%v", err)
	}
	if n := tok.Keys(); n != 0 {
		t.Errorf("%d keys in the token", n)
	}
}
