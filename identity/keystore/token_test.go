package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
	moved := tok.File + ".moved"
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

func TestDescribe(t *testing.T) {
	t.Cleanup(func() { pinByDefault = DefaultPIN })
	pinByDefault = filepath.Join(t.TempDir(), "token-pin")
	describe := func(kind, want string) {
		t.Helper()
		if got := Describe(kind); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", kind, got, want)
		}
	}
	describe(File, "in files that the agent's account alone can read")
	describe(TPM, "in this machine's TPM")
	describe("tpm:/dev/tpm1", "in the TPM at /dev/tpm1")
	describe("pkcs11:token=Gateway%201?module-path=/m.so&pin-source=/p", `in the token "Gateway 1" (through /m.so, its PIN in /p)`)
	describe(PKCS11, "in the token (through OpenSC's module, its PIN in "+pinByDefault)
	if err := LookForToken(Auto); err != nil {
		t.Errorf("auto without a token: %v", err)
	}
	if err := os.WriteFile(pinByDefault, []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	describe(Auto, "since that PIN is there")
	t.Setenv("PATH", t.TempDir())
	says(t, LookForToken(Auto), "apt-get install opensc")
}
