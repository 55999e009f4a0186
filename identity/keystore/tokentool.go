package keystore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Why a token or its key cannot be used; the errors that wrap these say what to do.
var (
	ErrAbsent = errors.New("is not plugged in")
	ErrPIN    = errors.New("refused the PIN")
	ErrLost   = errors.New("is no longer")
)

// toolPatience bounds one piece of the token's work. A key is made by a slow card
// in a few seconds, a signature in less than one.
var toolPatience = 15 * time.Second

// The program that speaks with the token. PKCS#11 is an interface of C, which
// this program does without: so OpenSC's tool does the token's work, one process
// for each piece, and a driver that crashes or hangs takes nothing else along.
const (
	tool   = "pkcs11-tool"
	pinVar = "PERSEUS_EDGE_TOKEN_PIN" // for the tool alone; nobody but the account itself can look into its environment
)

// oneTool lets this program ask tokens one thing at a time: many of them serve
// one at a time, and a PIN that is refused must be known to the next who asks.
var oneTool sync.Mutex

// token is a token for as long as it takes to do something with it.
type token struct {
	uri   tokenURI // as it was named
	notes string
	slot  slot
}

// withToken looks for the token, and has the work done while nobody else in this
// program asks it for anything. It does not log in.
func withToken(uri tokenURI, notes string, work func(*token) error) error {
	if runtime.GOOS == "windows" {
		return errors.New("keys in a PKCS#11 token are for Linux: on Windows they are files that the service's account alone can read")
	}
	oneTool.Lock()
	defer oneTool.Unlock()
	t := &token{uri: uri, notes: notes}
	if uri.module != "" {
		if _, err := os.Stat(uri.module); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no PKCS#11 module at %s: install the token's driver, or correct module-path=", uri.module)
		} else if err != nil {
			return fmt.Errorf("the PKCS#11 module: %w", err)
		}
	}
	out, said, err := t.run(nil, nil, "--list-token-slots")
	if err != nil && !strings.Contains(said, "No slots") {
		return err
	}
	if t.slot, err = choose(parseSlots(string(out)), uri); err != nil {
		return err
	}
	return work(t)
}

// ready gives the PIN, unless to try it would be wrong; it does not log in.
func (t *token) ready() (pin string, err error) {
	if pin, err = readPIN(t.pinFile()); err != nil {
		return "", err
	}
	switch {
	case t.slot.has("user PIN locked"):
		return "", fmt.Errorf("%s has locked itself after wrong PINs: unlock it with its own tool", t.name())
	case wasRefused(t.notes, t.slot.serial, pin):
		return "", t.refused("")
	case t.slot.has("final user PIN try"):
		return "", fmt.Errorf("%s has one try left before it locks itself: make sure of the PIN in %s, then log in once by hand, with pkcs11-tool --login --list-objects", t.name(), t.pinFile())
	}
	return pin, nil
}

func (t *token) name() string { return tokenURI{token: t.slot.token, serial: t.slot.serial}.name() }

func (t *token) pinFile() string {
	if t.uri.pin == "" {
		return pinByDefault
	}
	return t.uri.pin
}

func (t *token) refused(why string) error {
	how := "write the right one into that file"
	if t.notes != "" {
		how += ", or, where it is right by now, remove " + filepath.Join(t.notes, refusedFile)
	}
	return fmt.Errorf("%s %w in %s%s, which is not tried again, since a token locks itself after a few wrong ones: %s", t.name(), ErrPIN, t.pinFile(), why, how)
}

// tokenReady says why a token cannot be logged into, as far as that can be told
// without doing it.
func tokenReady(u tokenURI, notes string) error {
	return withToken(u, notes, func(t *token) error {
		_, err := t.ready()
		return err
	})
}

// login has the tool do something that takes the PIN. A PIN that the token
// refused is never tried again.
func (t *token) login(input []byte, args ...string) ([]byte, error) {
	pin, err := t.ready()
	if err != nil {
		return nil, err
	}
	out, said, err := t.run([]string{pinVar + "=" + pin}, input, append([]string{"--slot", t.slot.id, "--login", "--pin", "env:" + pinVar}, args...)...)
	if m := pinRefused.FindString(said); m != "" {
		return nil, errors.Join(t.refused(" ("+m+")"), noteRefused(t.notes, t.slot.serial, pin))
	}
	if err != nil {
		return nil, err
	}
	return out, noteTaken(t.notes, t.slot.serial)
}

// pinRefused is what the tool says where the PIN is to blame (PKCS#11, return
// values of C_Login).
var pinRefused = regexp.MustCompile(`CKR_(PIN_[A-Z_]+|USER_PIN_NOT_INITIALIZED)`)

// run runs the tool. What it said on standard error comes back too.
func (t *token) run(env []string, input []byte, args ...string) (out []byte, said string, err error) {
	path, err := exec.LookPath(tool)
	if err != nil {
		return nil, "", fmt.Errorf("keys in a token take the program %s: install it (apt-get install opensc): %w", tool, err)
	}
	if t.uri.module != "" {
		args = append([]string{"--module", t.uri.module}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), toolPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), env...)
	cmd.WaitDelay = time.Second // a child of the child may hold the pipes
	var stderr limited
	stdout := limited{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	err = cmd.Run()
	said = stderr.b.String()
	switch {
	case ctx.Err() != nil:
		return nil, said, fmt.Errorf("%s does not answer within %s: pull it out and put it back", t.uri.name(), toolPatience)
	case err != nil:
		return stdout.b.Bytes(), said, fmt.Errorf("%s cannot be used: %s says %s (%w)", t.uri.name(), tool, plainly(said), err)
	}
	return stdout.b.Bytes(), said, nil
}

// limited keeps the first bytes of an output, as many as any PEM file may have.
type limited struct{ b bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), identity.MaxPEM-l.b.Len())])
	return len(p), nil
}

// plainly makes one line of what the tool said.
func plainly(said string) string {
	s := strings.Join(strings.Fields(strings.ReplaceAll(said, "Aborting.", "")), " ")
	if s = strings.TrimPrefix(s, "error: "); s == "" {
		return "nothing"
	}
	if len(s) > 300 {
		s = s[:300]
	}
	return strings.ToValidUTF8(s, "?")
}

// The pieces of work. A key is always named by its id and its label at once,
// which this program made up at random: what others keep in the token is never
// meant.

func (t *token) key(k tokenURI, args ...string) []string {
	return append(args, "--id", hex.EncodeToString([]byte(k.id)), "--label", k.object)
}

func (t *token) generate(k tokenURI) error {
	_, err := t.login(nil, t.key(k, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign")...)
	return err
}

func (t *token) public(k tokenURI) ([]byte, error) {
	return t.login(nil, t.key(k, "--read-object", "--type", "pubkey")...)
}

// sign gives r and s, 32 bytes each (PKCS#11, section on ECDSA).
func (t *token) sign(k tokenURI, digest []byte) ([]byte, error) {
	out, err := t.login(digest, t.key(k, "--sign", "--mechanism", "ECDSA", "--signature-format", "rs")...)
	if err != nil && strings.Contains(err.Error(), "key not found") {
		return nil, fmt.Errorf("the key %w in %s: enrol this gateway again with a new code: %w", ErrLost, t.uri.name(), err)
	}
	return out, err
}

// destroy removes both halves of a key; that one is gone already is no error.
func (t *token) destroy(k tokenURI) error {
	for _, half := range []string{"privkey", "pubkey"} {
		if _, err := t.login(nil, t.key(k, "--delete-object", "--type", half)...); err != nil && !strings.Contains(err.Error(), "object not found") {
			return err
		}
	}
	return nil
}
