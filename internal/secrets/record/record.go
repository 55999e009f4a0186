// Package record, for tests alone, writes down every secret that a test process
// makes and every line that is logged in it, so that after all tests the one
// can be looked for in the other (internal/secrets/search). It does so where the
// environment names a folder (PERSEUS_TEST_RECORD, which `make test` sets), and
// nothing at all elsewhere.
//
// Secrets come from two places and are caught there: crypto/rand.Reader, which
// this package replaces, with the name of the function that asked (which names
// are of secrets is in internal/secrets/search); and identity/newkey. What a
// test chose itself (a password), or another program made (a key in a file),
// the test hands over with Secret, Key or Keys.
package record

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/perseus-edge/perseus-edge/identity/newkey"
)

// Env names the folder that is recorded to.
const Env = "PERSEUS_TEST_RECORD"

// Entry is a secret, as it stands in a file of the folder, one JSON object a
// line. Raw or Text holds the secret.
type Entry struct {
	Package string `json:"p"`
	Test    string `json:"t,omitempty"`
	Kind    string `json:"k,omitempty"` // of what a test handed over; empty for what was drawn
	Maker   string `json:"m,omitempty"` // function that drew it, "relay/permission.newSecret"
	For     string `json:"f,omitempty"` // and the one of ours that called it
	AsText  bool   `json:"x,omitempty"` // drawn by rand.Text
	Raw     []byte `json:"r,omitempty"`
	Text    string `json:"v,omitempty"`
}

// Line is something that was logged: a record of slog, or what a program printed.
type Line struct {
	Package string `json:"p"`
	Test    string `json:"t,omitempty"`
	Log     string `json:"l"` // one for each logger, program or test output
	Text    string `json:"s"`
}

// Kinds of secrets that are handed over as bytes of a PKCS #8 key.
const KeyKind = "private key"

var (
	dir = os.Getenv(Env)
	own = ownPackage()

	files struct {
		sync.Mutex
		secrets, lines *os.File
		logs           int
	}
)

func init() {
	if dir == "" {
		return
	}
	rand.Reader = &watched{rand.Reader}
	newkey.Seen = Key
}

// On says whether anything is recorded.
func On() bool { return dir != "" }

// ownPackage is the path, within the module, of the package under test or of
// the program that runs.
func ownPackage() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return filepath.Base(os.Args[0])
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.Path, module), ".test")
}

// write appends v to one of this process's two files in a single call, so that
// a process that is killed leaves whole lines.
func write(f **os.File, kind string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // never: strings and bytes
	}
	files.Lock()
	defer files.Unlock()
	if *f == nil {
		name := filepath.Join(dir, kind+"-"+strings.ReplaceAll(own, "/", "_")+"-"+strconv.Itoa(os.Getpid())+".jsonl")
		if *f, err = os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			panic(fmt.Sprintf("%s: %v", Env, err))
		}
	}
	if _, err := (*f).Write(append(b, '\n')); err != nil {
		panic(fmt.Sprintf("%s: %v", Env, err))
	}
}

func secret(e Entry) {
	e.Package = own
	write(&files.secrets, "secrets", e)
}

func newLog(name string) string {
	files.Lock()
	defer files.Unlock()
	files.logs++
	return fmt.Sprintf("%s %d.%d", name, os.Getpid(), files.logs)
}

// lines is a writer whose writes are recorded as they come.
type lines struct{ test, log string }

func (l lines) Write(b []byte) (int, error) {
	write(&files.lines, "lines", Line{own, l.test, l.log, string(b)})
	return len(b), nil
}

var _ io.Writer = lines{}
