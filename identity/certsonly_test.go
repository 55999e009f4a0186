package identity_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
)

// The frame of the message, byte for byte (RFC 5652, 5.1 with everything empty
// that may be), and what an independent reader finds in it.
func TestCertsOnly(t *testing.T) {
	pki := identitytest.New(t)
	leaf := pki.Client("https://directory.example/g/1", "Shop Ltd", "https://directory.example/m/1").Cert()
	empty, err := identity.EncodeCertsOnly()
	const golden = "302506092a864886f70d010702a0183016020101" + "3100" + "300b06092a864886f70d010701" + "a000" + "3100"
	if got := hex.EncodeToString(empty); err != nil || got != golden {
		t.Errorf("frame\n%s, %v, want\n%s", got, err, golden)
	}
	der, err := identity.EncodeCertsOnly(leaf, pki.ClientCA.Issuer, pki.ClientCA.Root)
	if err != nil {
		t.Fatal(err)
	}
	back, err := identity.ParseCertsOnly(der)
	if err != nil || len(back) != 3 {
		t.Fatalf("%d certificates, %v", len(back), err)
	}
	for _, c := range []string{string(leaf.Raw), string(pki.ClientCA.Issuer.Raw), string(pki.ClientCA.Root.Raw)} {
		found := false
		for _, b := range back {
			found = found || string(b.Raw) == c
		}
		if !found {
			t.Error("a certificate is lost")
		}
	}
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed: not read by another program")
	}
	file := filepath.Join(t.TempDir(), "m.p7b")
	if err := os.WriteFile(file, der, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(openssl, "pkcs7", "-inform", "DER", "-in", file, "-print_certs").CombinedOutput()
	if err != nil || strings.Count(string(out), "BEGIN CERTIFICATE") != 3 || !strings.Contains(string(out), "Shop Ltd") {
		t.Errorf("openssl pkcs7: %v\n%s", err, out)
	}
	// And what openssl writes is read here.
	pem := filepath.Join(t.TempDir(), "c.pem")
	if err := os.WriteFile(pem, identity.EncodeCertificates(leaf, pki.ClientCA.Issuer), 0o644); err != nil {
		t.Fatal(err)
	}
	other, err := exec.Command(openssl, "crl2pkcs7", "-nocrl", "-certfile", pem, "-outform", "DER").Output()
	if err != nil {
		t.Fatal(err)
	}
	if cs, err := identity.ParseCertsOnly(other); err != nil || len(cs) != 2 {
		t.Errorf("from openssl: %d certificates, %v", len(cs), err)
	}
}

func TestCertsOnlyRefuses(t *testing.T) {
	pki := identitytest.New(t)
	good, err := identity.EncodeCertsOnly(pki.ClientCA.Root)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := identity.EncodeCertsOnly()
	if err != nil {
		t.Fatal(err)
	}
	many := bytes.Repeat([]byte("x"), identity.MaxPEM+1)
	for name, der := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "no certificate": empty, "too large": many,
		"bytes after it": append(bytes.Clone(good), 0), "cut": good[:len(good)-1],
		"other type": bytes.Replace(good, []byte{7, 2}, []byte{7, 3}, 1),
	} {
		if cs, err := identity.ParseCertsOnly(der); err == nil {
			t.Errorf("%s: read %d certificates", name, len(cs))
		}
	}
}

// FuzzCertsOnly: whatever comes, it is read or refused, and what is read can be
// written and read again.
func FuzzCertsOnly(f *testing.F) {
	pki := identitytest.New(f)
	for _, n := range []int{0, 1, 2} {
		der, err := identity.EncodeCertsOnly(pki.ClientCA.Root, pki.ClientCA.Issuer, pki.SigningCA.Root)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der[:len(der)-n])
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		cs, err := identity.ParseCertsOnly(der)
		if err != nil {
			return
		}
		again, err := identity.EncodeCertsOnly(cs...)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := identity.ParseCertsOnly(again); err != nil || len(back) != len(cs) {
			t.Fatalf("%d certificates, then %d, %v", len(cs), len(back), err)
		}
	})
}
