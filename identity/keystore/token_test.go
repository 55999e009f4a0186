package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

// between puts a script in the place of pkcs11-tool, which notes every call and
// then does what the script says: $real is the tool itself. It gives the calls
// up to now.
func between(t *testing.T, script string) (calls func() []string) {
	t.Helper()
	really, err := exec.LookPath("pkcs11-tool")
	if err != nil {
		t.Skip("pkcs11-tool is not installed (apt-get install opensc): keys in a token are not tested")
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	text := fmt.Sprintf("#!/bin/sh\nreal=%s\necho \"$*\" >>%s\n%s\n", really, log, script)
	if err := os.WriteFile(filepath.Join(dir, tool), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() []string {
		b, _ := os.ReadFile(log)
		return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
}

const honest = `exec $real "$@"`

func logins(calls []string) (n int) {
	for _, c := range calls {
		if strings.Contains(c, "--login") {
			n++
		}
	}
	return n
}

func made(t *testing.T, kind, notes string) (crypto.Signer, string) {
	t.Helper()
	s, err := Open(kind, notes)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.key")
	key, err := s.Make(path)
	if err != nil {
		t.Fatal(err)
	}
	return key, path
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v: does not say %q", err, w)
		}
	}
}

// A key is destroyed alone: those of others, and our others, stay.
func TestForgetOne(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	notes := t.TempDir()
	_, one := made(t, tok.Kind, notes)
	two, path := made(t, tok.Kind, notes)
	b, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	u, _, _, err := decodeTokenKey(b)
	if err != nil {
		t.Fatal(err)
	}
	// Another program's, by chance with the same id.
	tok.Tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "theirs", "--id", fmt.Sprintf("%x", u.id))
	if err := Forget(one, tok.Kind, notes); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(one); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	left := tok.Tool("--list-objects")
	if tok.Keys() != 2 || !strings.Contains(left, "theirs") || strings.Count(left, "Object;") != 4 {
		t.Errorf("left in the token: %s", left)
	}
	if err := Check(two); err != nil {
		t.Error(err)
	}
	// Once more, and where there never was one: nothing.
	if err := Forget(one, tok.Kind, notes); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(one, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Forget(one, tok.Kind, notes); err != nil || tok.Keys() != 2 {
		t.Errorf("a key that is gone already: %v, %d left", err, tok.Keys())
	}
	// A key in the place of another: that one is given up.
	s, err := Open(tok.Kind, notes)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Make(path)
	if err != nil || again.Public().(*ecdsa.PublicKey).Equal(two.Public()) || tok.Keys() != 2 {
		t.Errorf("made anew: %v, %d left", err, tok.Keys())
	}
	if err := Check(two); err == nil {
		t.Error("the key that was given up still signs")
	} else {
		says(t, err, "no longer in the token", "enrol this gateway again with a new code")
	}
}

// A token that is pulled out is missed, and works again when it is back, with
// the very signer that somebody holds. What was to be destroyed meanwhile is.
func TestTokenPulledOut(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	notes := t.TempDir()
	key, path := made(t, tok.Kind, notes)
	_, old := made(t, tok.Kind, notes)
	back := tok.Pull()
	err := Check(key)
	says(t, err, `the token "Gateway 1" (serial number `, "is not plugged in")
	if u := new(Unusable); !errors.Is(err, ErrAbsent) || !errors.As(err, &u) {
		t.Errorf("%T: %v", err, err)
	}
	if _, err := Read(path, tok.Kind, notes); err != nil {
		t.Errorf("reading a key asks the token: %v", err)
	}
	_, err = Open(tok.Kind, notes)
	says(t, err, "is not plugged in")
	if err := Forget(old, tok.Kind, notes); err != nil {
		t.Error(err)
	}
	if left, err := Tidy(tok.Kind, notes); left != 1 || !errors.Is(err, ErrAbsent) {
		t.Errorf("tidied without the token: %d left, %v", left, err)
	}
	tok.Init("Somebody else's")
	says(t, Check(key), `only "Somebody else's" (serial number `)
	if err := os.RemoveAll(filepath.Join(filepath.Dir(tok.File), "tokens")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(filepath.Dir(tok.File), "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	back()
	if err := Check(key); err != nil {
		t.Errorf("back: %v", err)
	}
	if left, err := Tidy(tok.Kind, notes); left != 0 || err != nil || tok.Keys() != 1 {
		t.Errorf("tidied: %d left, %v, %d keys", left, err, tok.Keys())
	}
	if left, err := Tidy(tok.Kind, notes); left != 0 || err != nil {
		t.Errorf("tidied twice: %d left, %v", left, err)
	}
}

// A wrong PIN is tried once, however often somebody wants to sign and however
// often the program is started; another one is tried at once. It is on no command
// line and in no error.
func TestWrongPIN(t *testing.T) {
	for name, notes := range map[string]string{"written down": t.TempDir(), "in memory": ""} {
		t.Run(name, func(t *testing.T) {
			tok := keystoretest.NewToken(t, "Gateway 1")
			key, path := made(t, tok.Kind, notes)
			calls := between(t, honest)
			wrong := keystoretest.NewPIN(t)
			tok.WritePIN(wrong)
			for range 4 {
				err := Check(key)
				says(t, err, `the token "Gateway 1" (serial number `, "refused the PIN in "+tok.File, "not tried again", "write the right one into that file")
				if !errors.Is(err, ErrPIN) || strings.Contains(err.Error(), wrong) {
					t.Error(err)
				}
				if notes != "" {
					refused.marks = nil // as another process begins
				}
				s, err := Open(tok.Kind, notes)
				if err != nil {
					t.Fatal(err)
				}
				_, err = s.Make(filepath.Join(t.TempDir(), "b.key"))
				says(t, err, "refused the PIN")
			}
			if n := logins(calls()); n != 1 {
				t.Errorf("%d logins with a wrong PIN: %q", n, calls())
			}
			tok.WritePIN(tok.PIN)
			key, err := Read(path, tok.Kind, notes)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(key); err != nil {
				t.Errorf("with the right PIN: %v", err)
			}
			if _, err := os.Stat(filepath.Join(notes, refusedFile)); notes != "" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the note is still there: %v", err)
			}
			for _, c := range calls() {
				if strings.Contains(c, tok.PIN) || strings.Contains(c, wrong) {
					t.Errorf("the PIN is on the command line: %s", c)
				}
			}
		})
	}
}

// A token that says that it is about to lock itself, or has, is left alone.
func TestTokenAboutToLock(t *testing.T) {
	for flag, want := range map[string]string{"final user PIN try": "one try left", "user PIN locked": "has locked itself"} {
		t.Run(flag, func(t *testing.T) {
			tok := keystoretest.NewToken(t, "Gateway 1")
			key, _ := made(t, tok.Kind, t.TempDir())
			calls := between(t, `case "$*" in *--list-token-slots*) exec $real "$@" | sed 's/PIN initialized/&, `+flag+`/';; *) exec $real "$@";; esac`)
			says(t, Check(key), want)
			if n := logins(calls()); n != 0 || len(calls()) == 0 {
				t.Errorf("%d logins: %q", n, calls())
			}
		})
	}
}

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
		"silent":    {`case "$*" in *--sign*) exit 1;; *) exec $real "$@";; esac`, []string{"its driver gives no reason"}},
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

// Tokens with one label are told apart by serial number; the configuration's
// module and PIN are taken for the keys of the token that it means.
func TestWhichToken(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	key, path := made(t, "pkcs11:?module-path="+tok.Module+"&pin-source="+tok.File, t.TempDir())
	serial := key.(*tokenKey).uri.serial
	tok.Init("Gateway 1")
	_, err := Open(tok.Kind, "")
	says(t, err, "several tokens", serial, "token= or serial=")
	if err := Check(key); err != nil {
		t.Error(err)
	}
	if want := "Gateway 1, serial number " + serial; TokenOf(key) != want {
		t.Errorf("%s, want %s", TokenOf(key), want)
	}
	moved := filepath.Join(t.TempDir(), "pin")
	if err := os.Rename(tok.File, moved); err != nil {
		t.Fatal(err)
	}
	for kind, works := range map[string]bool{
		"pkcs11:serial=" + serial + "?pin-source=" + moved: true,
		"pkcs11:?pin-source=file:" + moved:                 true,
		"pkcs11:serial=other?pin-source=" + moved:          false,
		File: false,
	} {
		key, err := Read(path, kind, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(key); (err == nil) != works {
			t.Errorf("%s: %v", kind, err)
		} else if !works {
			says(t, err, "PIN is missing", tok.File, "0600")
		}
	}
}

// That its PIN is laid down is how the gateway knows of a token; it does not
// turn to files because the token is out.
func TestAutoToken(t *testing.T) {
	tok := keystoretest.NewToken(t, "Gateway 1")
	t.Cleanup(func() { pinByDefault = DefaultPIN })
	pinByDefault = filepath.Join(t.TempDir(), "token-pin")
	if TokenMeant() {
		t.Fatal("meant without a PIN")
	}
	pinByDefault = tok.File
	// OpenSC's module is the default, and knows no SoftHSM.
	between(t, `exec $real --module `+tok.Module+` "$@"`)
	for _, kind := range []string{"", Auto, PKCS11} {
		s, err := Open(kind, "")
		if err != nil || s.Kind() != PKCS11 || kind == Auto && !strings.Contains(s.Why(), tok.File) {
			t.Fatalf("%q: %+v, %v", kind, s, err)
		}
		key, err := s.Make(filepath.Join(t.TempDir(), "a.key"))
		if err != nil || KindOf(key) != PKCS11 {
			t.Errorf("%q: %v", kind, err)
		}
	}
	tok.Pull()
	if s, err := Open(Auto, ""); err == nil {
		t.Errorf("without the token: %+v", s)
	} else {
		says(t, err, "not plugged in")
	}
}
