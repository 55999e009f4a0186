package keystore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/perseus-edge/perseus-edge/identity"
)

// DefaultPIN is the file with the token's PIN where the configuration names
// none. That it is there is how "auto" knows of a token.
const DefaultPIN = "/etc/perseus-edge/token-pin"

// pinByDefault is DefaultPIN, but in tests.
var pinByDefault = DefaultPIN

// TokenMeant reports whether somebody has laid down a PIN at DefaultPIN, so that
// "auto" means a token.
func TokenMeant() bool {
	_, err := os.Stat(pinByDefault)
	return runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist)
}

// maxPIN is the most bytes that a PIN may have.
const maxPIN = 255

// readPIN reads a PIN from a file that its owner alone can read, or from a
// systemd credential, whose folder nobody else can enter. One line end after it
// is no part of it.
func readPIN(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the token's PIN is missing: write it into %s, a file of mode 0600 of the account that runs this program (pin-source= names another)", path)
	}
	if err != nil {
		return "", fmt.Errorf("the token's PIN cannot be read: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	credential := os.Getenv("CREDENTIALS_DIRECTORY") != "" && filepath.Dir(path) == filepath.Clean(os.Getenv("CREDENTIALS_DIRECTORY"))
	if !credential && fi.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s: others can read this PIN: run chmod 600 on it", path)
	}
	b := make([]byte, maxPIN+3)
	n, err := f.Read(b)
	if err != nil && n > 0 {
		return "", err
	}
	pin := strings.TrimSuffix(strings.TrimSuffix(string(b[:n]), "\n"), "\r")
	if pin == "" || len(pin) > maxPIN || !printable(pin) {
		return "", fmt.Errorf("%s: no PIN that a token takes: one line of 1 to %d characters", path, maxPIN)
	}
	return pin, nil
}

// refusedFile, in the folder of notes, names the tokens that refused a PIN. It
// outlives the program: a service manager that starts it again and again must
// not lock the token.
const refusedFile = "token-pin-refused"

// refused are the PINs that tokens refused, by serial number, where that could
// not be written down.
var refused struct {
	sync.Mutex
	marks map[string]string
}

// pinMark tells a PIN from another without giving it away: 16 bits of a hash, so
// that one PIN in 65,536 is taken for the one that was refused.
func pinMark(serial, pin string) string {
	sum := sha256.Sum256([]byte(serial + "\x00" + pin))
	return hex.EncodeToString(sum[:2])
}

// wasRefused reports whether a token has refused this very PIN.
func wasRefused(notes, serial, pin string) bool {
	refused.Lock()
	defer refused.Unlock()
	mark := pinMark(serial, pin)
	return refused.marks[serial] == mark || readRefused(notes)[escape(serial)] == mark
}

// noteRefused takes down that a token has refused a PIN.
func noteRefused(notes, serial, pin string) (err error) {
	refused.Lock()
	defer refused.Unlock()
	if notes != "" {
		marks := readRefused(notes)
		marks[escape(serial)] = pinMark(serial, pin)
		if err = writeRefused(notes, marks); err == nil {
			return nil
		}
	}
	if refused.marks == nil {
		refused.marks = map[string]string{}
	}
	refused.marks[serial] = pinMark(serial, pin)
	return err
}

// noteTaken forgets that a token has refused a PIN: it has taken another.
func noteTaken(notes, serial string) error {
	refused.Lock()
	defer refused.Unlock()
	delete(refused.marks, serial)
	marks := readRefused(notes)
	if _, ok := marks[escape(serial)]; !ok {
		return nil
	}
	delete(marks, escape(serial))
	return writeRefused(notes, marks)
}

func readRefused(notes string) map[string]string {
	marks := map[string]string{}
	if notes == "" {
		return marks
	}
	b, err := os.ReadFile(filepath.Join(notes, refusedFile))
	if err != nil || len(b) > identity.MaxPEM {
		return marks
	}
	for line := range strings.Lines(string(b)) {
		if serial, mark, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			marks[serial] = mark
		}
	}
	return marks
}

func writeRefused(notes string, marks map[string]string) error {
	path := filepath.Join(notes, refusedFile)
	if len(marks) == 0 {
		return os.Remove(path)
	}
	var b strings.Builder
	for serial, mark := range marks {
		fmt.Fprintf(&b, "%s %s\n", serial, mark)
	}
	return identity.WriteFile(path, []byte(b.String()), 0o600)
}
