package ca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
)

func TestAuthorities(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "authorities")
	made := dirtest.Must(ca.CreateAuthorities(dir, "Example Framework", dirtest.Start))(t)
	if _, err := ca.CreateAuthorities(dir, "Example Framework", dirtest.Start); err == nil {
		t.Fatal("made over authorities that exist")
	}
	if err := os.RemoveAll(filepath.Join(dir, "offline")); err != nil { // moved to a safe
		t.Fatal(err)
	}
	loaded := dirtest.Must(ca.LoadAuthorities(dir))(t)
	for _, h := range ca.Hierarchies {
		a := made.Of(h)
		if !a.Root.Equal(loaded.Of(h).Root) || !a.Issuer.Equal(loaded.Of(h).Issuer) {
			t.Errorf("%s: loaded others than made", h)
		}
		for _, x := range []struct {
			name    string
			c       *x509.Certificate
			curve   elliptic.Curve
			until   time.Time
			pathLen int
		}{
			{"Example Framework " + ca.Titles[h] + " CA", a.Root, elliptic.P384(), dirtest.Start.Add(-ca.Backdate).AddDate(0, 0, 9132), 1},
			{"Example Framework " + ca.Titles[h] + " Issuer", a.Issuer, elliptic.P256(), dirtest.Start.Add(-ca.Backdate).AddDate(10, 0, 0), 0},
		} {
			c := x.c
			if c.Subject.CommonName != x.name {
				t.Errorf("name %q, want %q", c.Subject.CommonName, x.name)
			}
			if k := c.PublicKey.(*ecdsa.PublicKey); k.Curve != x.curve {
				t.Errorf("%s: curve %s", x.name, k.Curve.Params().Name)
			}
			if !c.NotAfter.Equal(x.until.Add(-time.Second)) {
				t.Errorf("%s: until %s, want a second before %s", x.name, c.NotAfter, x.until)
			}
			if !c.IsCA || !c.BasicConstraintsValid || c.MaxPathLen != x.pathLen || c.MaxPathLenZero != (x.pathLen == 0) {
				t.Errorf("%s: path length %d", x.name, c.MaxPathLen)
			}
			usage := x509.KeyUsageCertSign | x509.KeyUsageCRLSign
			if c == a.Issuer {
				usage |= x509.KeyUsageDigitalSignature // of OCSP answers
			}
			if c.KeyUsage != usage {
				t.Errorf("%s: key usage %b", x.name, c.KeyUsage)
			}
			if len(c.SubjectKeyId) != 20 || len(c.AuthorityKeyId) != 20 {
				t.Errorf("%s: key identifiers missing", x.name)
			}
			if n := c.SerialNumber; n.Sign() <= 0 || n.BitLen() > 128 || n.BitLen() < 64 {
				t.Errorf("%s: serial %s", x.name, n)
			}
		}
	}
	if len(made.Signing.Issuer.ExtKeyUsage)+len(made.Signing.Issuer.UnknownExtKeyUsage) != 0 {
		t.Error("the signing issuer has an extended key usage")
	}
	for _, name := range []string{"client/issuer.key", "signing/issuer.key", "server/issuer.key"} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, fi.Mode(), err)
		}
	}
}

func TestAuthoritiesRefused(t *testing.T) {
	a := dirtest.Must(dirtest.Authorities())(t)
	if _, err := ca.NewAuthority(ca.Client, a.Client.Root, a.Client.Issuer, a.Server.Key()); err == nil {
		t.Error("took a key that is not the issuer's")
	}
	if _, err := ca.NewAuthority(ca.Client, a.Server.Root, a.Client.Issuer, a.Client.Key()); err == nil {
		t.Error("took a root that did not sign the issuer")
	}
	if _, err := ca.NewAuthority(ca.Client, a.Client.Issuer, a.Client.Root, a.Client.Key()); err == nil {
		t.Error("took root and issuer the wrong way round")
	}
	for _, name := range []string{"", "two\nlines", string(make([]byte, 49))} {
		if _, err := ca.CreateAuthorities(filepath.Join(t.TempDir(), "a"), name, dirtest.Start); err == nil {
			t.Errorf("took the name %q", name)
		}
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.CreateAuthorities(full, "Example", dirtest.Start); err == nil {
		t.Error("made authorities in a folder with something in it")
	}
	if _, err := os.Stat(filepath.Join(full, "precious")); err != nil {
		t.Error(err)
	}
	if _, err := ca.LoadAuthorities(t.TempDir()); err == nil {
		t.Error("loaded authorities from an empty folder")
	}
}

// TestLeavesEndWithIssuer: an issuer near its end makes shorter leaves, and
// none once it is over.
func TestLeavesEndWithIssuer(t *testing.T) {
	a := dirtest.Must(dirtest.Authorities())(t).Client
	key := dirtest.Must(identity.NewKey())(t)
	leafAt := func(now time.Time) (*x509.Certificate, error) {
		tpl := dirtest.Must(ca.MemberTemplate(ca.Client, ca.Subject{URL: dirtest.Base + "/a/x", Member: dirtest.Base + "/m/x", Organisation: "O"}, now, ca.StatusURLs{}))(t)
		return a.Leaf(tpl, key.Public(), now)
	}
	c := dirtest.Must(leafAt(a.Issuer.NotAfter.Add(-24 * time.Hour)))(t)
	if !c.NotAfter.Equal(a.Issuer.NotAfter) {
		t.Errorf("leaf until %s, issuer until %s", c.NotAfter, a.Issuer.NotAfter)
	}
	if _, err := leafAt(a.Issuer.NotAfter.Add(time.Second)); err == nil {
		t.Error("an issuer that is over issued")
	}
	if _, err := leafAt(a.Issuer.NotBefore.Add(-time.Second)); err == nil {
		t.Error("an issuer that is not valid yet issued")
	}
}
