package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

// kinds runs a test with files, with a TPM and with a token.
func kinds(t *testing.T, f func(t *testing.T, kind string)) {
	t.Run("file", func(t *testing.T) { f(t, File) })
	t.Run("tpm", func(t *testing.T) { f(t, keystoretest.SoftwareTPM(t)) })
	t.Run("pkcs11", func(t *testing.T) { f(t, keystoretest.NewToken(t, "Gateway 1").Kind) })
}

// A key comes back from its file, signs what the other end checks, and its file
// is its owner's alone.
func TestKeys(t *testing.T) {
	kinds(t, func(t *testing.T, kind string) {
		s, err := Open(kind, "")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.key")
		made, err := s.Make(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", fi.Mode(), err)
		}
		key, err := Read(path, kind, "")
		if err != nil {
			t.Fatal(err)
		}
		if !made.Public().(*ecdsa.PublicKey).Equal(key.Public()) {
			t.Error("another key came back")
		}
		name, _, _ := strings.Cut(kind, ":")
		if KindOf(key) != name || s.Kind() != name {
			t.Errorf("kind %s of %s, want %s", KindOf(key), s.Kind(), name)
		}
		if err := Check(key); err != nil {
			t.Error(err)
		}
		csr, err := identity.NewCSR(key, "gateway")
		if err != nil {
			t.Fatal(err)
		}
		if pub, err := identity.ParseCSR(csr); err != nil || !key.Public().(*ecdsa.PublicKey).Equal(pub) {
			t.Errorf("request: %v, %v", pub, err)
		}
		// The TLS client and the batches sign at the same time.
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if err := Check(key); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		other, err := s.Make(filepath.Join(t.TempDir(), "b.key"))
		if err != nil || made.Public().(*ecdsa.PublicKey).Equal(other.Public()) {
			t.Errorf("a second key is the first: %v", err)
		}
	})
}

// The file of a TPM key is of no use to another TPM, and says what to do.
func TestKeyOfAnotherTPM(t *testing.T) {
	mine, theirs := keystoretest.SoftwareTPM(t), keystoretest.SoftwareTPM(t)
	s, err := Open(mine, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.key")
	if _, err := s.Make(path); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	if block, _ := pem.Decode(b); block == nil || block.Type != "TSS2 PRIVATE KEY" {
		t.Errorf("%s", b)
	} else if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		t.Error("the file has the key itself")
	}
	key, err := Read(path, theirs, "")
	if err != nil {
		t.Fatal(err) // the TPM is not asked yet
	}
	if err := Check(key); err == nil || !strings.Contains(err.Error(), "enrol this gateway again with a new code") {
		t.Errorf("another TPM: %v", err)
	}
	digest := sha512.Sum384(nil)
	if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA384); err == nil {
		t.Error("signed another digest")
	}
	key, err = Read(path, Auto, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(DefaultDevice); os.IsNotExist(err) {
		if err := Check(key); err == nil || !strings.Contains(err.Error(), "no TPM at "+DefaultDevice) {
			t.Errorf("no TPM: %v", err)
		}
	}
}

func TestOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{"floppy": "use auto, file, tpm", "tpm:": "use auto, file, tpm", "file:x": "use auto, file, tpm", "tpm:/nowhere/tpm": "no TPM at /nowhere/tpm", "tpm:" + file: "TPM"} {
		if s, err := Open(kind, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", kind, s, err)
		}
		if bad := CheckKind(kind) != nil; bad != strings.Contains(want, "use auto") {
			t.Errorf("%s: refused %t", kind, bad)
		}
	}
	if _, err := os.Stat(DefaultDevice); os.IsNotExist(err) {
		for _, kind := range []string{"", Auto} {
			s, err := Open(kind, "")
			if err != nil || s.Kind() != File || !strings.Contains(s.Why(), "no TPM") {
				t.Errorf("%q: %+v, %v", kind, s, err)
			}
		}
	}
}

// What stands in a sealed key's file may be anything; it must not break.
func FuzzReadSealed(f *testing.F) {
	der, err := encodeSealed([]byte{0, 0}, []byte{0, 0})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := readTPM("/nowhere", "x", der)
		if err != nil {
			return
		}
		digest := sha256.Sum256(nil)
		if _, err := k.Sign(rand.Reader, digest[:], crypto.SHA256); err == nil {
			t.Fatal("signed without a TPM")
		}
	})
}
