package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

// What the tool gives is checked: no wrong signature leaves, and what goes wrong
// says what to do.
func TestToolMisbehaves(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	notes := t.TempDir()
	key, path := made(t, tok.Kind, notes)
	for name, c := range map[string]struct {
		script string
		want   []string
	}{
		"zeros":     {`case "$*" in *--sign*) head -c 64 /dev/zero;; *) exec $real "$@";; esac`, []string{"signature is wrong"}},
		"short":     {`case "$*" in *--sign*) head -c 63 /dev/zero;; *) exec $real "$@";; esac`, []string{"63 bytes, not 64"}},
		"chatty":    {`case "$*" in *--sign*) head -c 9999999 /dev/zero;; *) exec $real "$@";; esac`, []string{"65536 bytes, not 64"}},
		"silent":    {`case "$*" in *--sign*) exit 1;; *) exec $real "$@";; esac`, []string{"pkcs11-tool says nothing (exit status 1)"}},
		"crashing":  {`case "$*" in *--sign*) kill -SEGV $$;; *) exec $real "$@";; esac`, []string{"segmentation fault"}},
		"removed":   {`case "$*" in *--sign*) echo "error: PKCS11 function C_SignInit failed: rv = CKR_DEVICE_REMOVED (0x32)" >&2; exit 1;; *) exec $real "$@";; esac`, []string{"CKR_DEVICE_REMOVED"}},
		"no reader": {`echo "No slots." >&2; exit 1`, []string{"is not plugged in, or this account may not use it"}},
		"no module": {`echo "error: Failed to load pkcs11 module" >&2; exit 1`, []string{"Failed to load pkcs11 module"}},
	} {
		t.Run(name, func(t *testing.T) {
			between(t, c.script)
			says(t, Check(key), append(c.want, "the gateway's key cannot be used")...)
		})
	}
	t.Run("hung", func(t *testing.T) {
		patience := toolPatience
		t.Cleanup(func() { toolPatience = patience })
		toolPatience = 200 * time.Millisecond
		between(t, `exec sleep 1000`)
		says(t, Check(key), "does not answer within", "pull it out and put it back")
	})
	t.Run("no tool", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		says(t, Check(key), "pkcs11-tool", "apt-get install opensc")
	})
	t.Run("no driver", func(t *testing.T) {
		_, err := Open("pkcs11:token=x?module-path=/nowhere/x.so", notes)
		says(t, err, "no PKCS#11 module at /nowhere/x.so", "install the token's driver")
	})
	if err := Check(key); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	// Another pair's public half beside the key.
	other, _ := made(t, tok.Kind, notes)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u, _, _, err := decodeTokenKey(b)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = encodeTokenKey(u, other.Public().(*ecdsa.PublicKey)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err = Read(path, tok.Kind, notes); err != nil {
		t.Fatal(err)
	}
	says(t, Check(key), "signature is wrong")
	digest := sha256.Sum256(nil)
	if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA384); err == nil {
		t.Error("signed another digest")
	}
}

// Whenever the program ends while a key is made, what it left in the token is
// known, and is destroyed.
func TestEndWhileMaking(t *testing.T) {
	for name, script := range map[string]string{
		"before the key":       `case "$*" in *--keypairgen*|*--delete*) exit 1;; *) exec $real "$@";; esac`,
		"after the key":        `case "$*" in *--keypairgen*) $real "$@"; exit 1;; *--delete*) exit 1;; *) exec $real "$@";; esac`,
		"before its public":    `case "$*" in *--read-object*|*--delete*) exit 1;; *) exec $real "$@";; esac`,
		"public is no key":     `case "$*" in *--read-object*) echo nonsense;; *--delete*) exit 1;; *) exec $real "$@";; esac`,
		"before its first use": `case "$*" in *--sign*|*--delete*) exit 1;; *) exec $real "$@";; esac`,
	} {
		t.Run(name, func(t *testing.T) {
			tok := keystoretest.NewToken(t, "Gateway 1")
			notes, path := t.TempDir(), filepath.Join(t.TempDir(), "a.key")
			t.Run("", func(t *testing.T) {
				between(t, script)
				s, err := Open(tok.Kind, notes)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Make(path); err == nil {
					t.Fatal("made")
				}
			})
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file of no use: %v", err)
			}
			if left, err := Tidy(tok.Kind, notes); left != 0 || err != nil || tok.Keys() != 0 {
				t.Errorf("%d left, %v, %d keys in the token", left, err, tok.Keys())
			}
		})
	}
	// The power failed: the file names a key that was not finished.
	tok := keystoretest.NewToken(t, "Gateway 1")
	_, path := made(t, tok.Kind, "")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u, _, _, err := decodeTokenKey(b)
	if err != nil {
		t.Fatal(err)
	}
	half, err := encodeTokenKey(u, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, half, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Read(path, tok.Kind, "")
	says(t, err, "was not finished")
	s, err := Open(tok.Kind, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Make(path); err != nil || tok.Keys() != 1 {
		t.Errorf("%v, %d keys", err, tok.Keys())
	}
}
