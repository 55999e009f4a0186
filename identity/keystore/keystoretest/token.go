package keystoretest

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// softHSM is where packages put SoftHSM's module.
var softHSM = []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/lib/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so"}

// Token is a PKCS#11 token of SoftHSM.
type Token struct {
	Kind   string // for keystore.Open
	Label  string
	Module string
	PIN    string // the right one
	File   string // that has the PIN
	folder string // of SoftHSM's tokens
	t      testing.TB
}

// NewToken makes a token with a label. Programs that the test starts find it,
// too. Without SoftHSM and OpenSC's pkcs11-tool the test is skipped.
func NewToken(t testing.TB, label string) *Token {
	t.Helper()
	if _, err := exec.LookPath("pkcs11-tool"); err != nil {
		t.Skip("pkcs11-tool is not installed (apt-get install opensc): keys in a token are not tested")
	}
	tok := &Token{Label: label, PIN: NewPIN(t), t: t}
	for _, m := range softHSM {
		if _, err := os.Stat(m); err == nil {
			tok.Module = m
		}
	}
	if _, err := exec.LookPath("softhsm2-util"); err != nil || tok.Module == "" {
		t.Skip("SoftHSM is not installed (apt-get install softhsm2): keys in a token are not tested")
	}
	dir := t.TempDir()
	// SoftHSM writes a key in a hundred pieces: in memory, where there is a place.
	if quick, err := os.MkdirTemp("/dev/shm", "perseus-token"); err == nil {
		t.Cleanup(func() { os.RemoveAll(quick) })
		dir = quick
	}
	tok.folder = filepath.Join(dir, "tokens")
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(tok.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+tok.folder+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	tok.Init(label)
	tok.File = filepath.Join(dir, "pin")
	tok.WritePIN(tok.PIN)
	tok.Kind = fmt.Sprintf("pkcs11:token=%s?module-path=%s&pin-source=%s", strings.ReplaceAll(label, " ", "%20"), tok.Module, tok.File)
	return tok
}

// NewPIN makes up a PIN.
func NewPIN(t testing.TB) string {
	n, err := rand.Int(rand.Reader, big.NewInt(1e15))
	if err != nil {
		t.Fatal(err)
	}
	return record.Secret(t, "PIN of a token", fmt.Sprintf("%015d", n))
}

// Init makes a further token with the same PIN beside this one.
func (tok *Token) Init(label string) {
	tok.t.Helper()
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", tok.PIN, "--so-pin", "36912151").CombinedOutput(); err != nil {
		tok.t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
}

// WritePIN writes the file with the PIN, which may be a wrong one.
func (tok *Token) WritePIN(pin string) {
	tok.t.Helper()
	if err := os.WriteFile(tok.File, []byte(pin+"\n"), 0o600); err != nil {
		tok.t.Fatal(err)
	}
}

// Pull takes the token out, and gives how to put it back.
func (tok *Token) Pull() (back func()) {
	tok.t.Helper()
	away := tok.folder + ".away"
	if err := os.Rename(tok.folder, away); err != nil {
		tok.t.Fatal(err)
	}
	if err := os.Mkdir(tok.folder, 0o700); err != nil {
		tok.t.Fatal(err)
	}
	return func() {
		tok.t.Helper()
		if err := os.Remove(tok.folder); err != nil {
			tok.t.Fatal(err)
		}
		if err := os.Rename(away, tok.folder); err != nil {
			tok.t.Fatal(err)
		}
	}
}

// Tool has pkcs11-tool do something, logged in, as the owner of the token would.
func (tok *Token) Tool(args ...string) string {
	tok.t.Helper()
	out, err := exec.Command("pkcs11-tool", append([]string{"--module", tok.Module, "--token-label", tok.Label, "--login", "--pin", tok.PIN}, args...)...).CombinedOutput()
	if err != nil {
		tok.t.Fatalf("pkcs11-tool %q: %v: %s", args, err, out)
	}
	return string(out)
}

// Keys counts the private keys in the token.
func (tok *Token) Keys() int {
	tok.t.Helper()
	return strings.Count(tok.Tool("--list-objects", "--type", "privkey"), "Private Key Object")
}
