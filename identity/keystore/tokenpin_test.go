package keystore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
)

// A wrong PIN is tried once, however often somebody wants to sign and however
// often the program is started; another one is tried at once. It is on no command
// line and in no error.
func TestWrongPIN(t *testing.T) {
	for name, notes := range map[string]string{"written down": t.TempDir(), "in memory": ""} {
		t.Run(name, func(t *testing.T) {
			tok := keystoretest.NewToken(t, "Gateway 1")
			key, path := made(t, tok.Kind, notes)
			s, err := Open(tok.Kind, notes)
			if err != nil {
				t.Fatal(err)
			}
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
				_, err = Open(tok.Kind, notes)
				says(t, err, "refused the PIN")
				_, err = s.Make(path)
				says(t, err, "refused the PIN")
				if _, err := os.Stat(path); err != nil {
					t.Errorf("the key before was given up: %v", err)
				}
			}
			if n := logins(calls()); n != 1 {
				t.Errorf("%d logins with a wrong PIN: %q", n, calls())
			}
			tok.WritePIN(tok.PIN)
			key, err = Read(path, tok.Kind, notes)
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

func TestPINFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pin")
	for text, want := range map[string]string{"1234": "1234", "1234\n": "1234", "12 34\r\n": "12 34", "": "no PIN", "\n": "no PIN", "12\n34": "no PIN", "12\n\n": "no PIN", strings.Repeat("1", 255): strings.Repeat("1", 255), strings.Repeat("1", 256): "no PIN", "1\x00": "no PIN"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		pin, err := readPIN(file)
		if pin != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %q, %v", text, pin, err)
		}
	}
	if err := os.WriteFile(file, []byte("1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := readPIN(file)
	says(t, err, file, "others can read this PIN", "chmod 600")
	// systemd gives a service's account the right to read by an access list, which
	// looks like a right of the group.
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if pin, err := readPIN(file); err != nil || pin != "1234" {
		t.Errorf("a credential: %q, %v", pin, err)
	}
	_, err = readPIN(filepath.Join(dir, "none"))
	says(t, err, "PIN is missing", "0600")
}
