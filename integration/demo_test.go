package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// description is .demo/demo.json, read by what the demo contract says of it and
// not by the demo's own type.
type description struct {
	Issuer         string `json:"issuer"`
	Resource       string `json:"resource"`
	Bank           string `json:"bank"`
	Directory      string `json:"directory"`
	Gateway        string `json:"gateway"`
	Registry       string `json:"registry"`
	TrustFramework string `json:"trust_framework"`
	ServerCA       string `json:"server_ca"`
	ClientCA       string `json:"client_ca"`
	SigningCA      string `json:"signing_ca"`
	CAP            struct {
		ClientID    string `json:"client_id"`
		Cert        string `json:"cert"`
		Key         string `json:"key"`
		SigningCert string `json:"signing_cert"`
		SigningKey  string `json:"signing_key"`
	} `json:"cap"`
	CAPPage    string `json:"cap_page"`
	BankClient struct {
		ClientID string `json:"client_id"`
		Cert     string `json:"cert"`
		Key      string `json:"key"`
	} `json:"bank_client"`
	MemberToken string `json:"member_token"`
	AdminToken  string `json:"admin_token"`
	SME         struct{ Code string }
	Licenses    []string `json:"licenses"`
	Meters      []struct {
		ID       string
		Measures []string
	}
	dir string
}

// file is a path of the description, which is relative to it.
func (d description) file(name string) string { return filepath.Join(d.dir, name) }

func (d description) license(part string) string {
	for _, l := range d.Licenses {
		if strings.Contains(l, "/license/"+part+"/") {
			return l
		}
	}
	return ""
}

// runningDemo starts the demo as a person would, waits until it is up, and
// keeps it up until the last test has ended. The tests that use it share it.
// PERSEUS_TEST_DEMO names the folder of one that runs already.
var runningDemo = sync.OnceValues(func() (*description, error) {
	if dir := os.Getenv("PERSEUS_TEST_DEMO"); dir != "" {
		b, err := os.ReadFile(filepath.Join(dir, "demo.json"))
		if err != nil {
			return nil, err
		}
		d := &description{dir: dir}
		return d, json.Unmarshal(b, d)
	}
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	base, err := ports.Row(60)
	if err != nil {
		return nil, err
	}
	top, err := os.MkdirTemp("", "perseus-demo-")
	if err != nil {
		return nil, err
	}
	atExit = append(atExit, func() { os.RemoveAll(top) })
	dir := filepath.Join(top, "demo")
	p, err := launch("the demo", filepath.Join(bin, "perseus-sim"), ownGroup, "demo", "--dir", dir, "--port-base", fmt.Sprint(base), "--bin", bin)
	if err != nil {
		return nil, err
	}
	release, err := guard(p)
	atExit = append(atExit, func() {
		if err := p.stop(); err != nil {
			fmt.Fprintf(os.Stderr, "the demo did not stop cleanly: %v\n%s\n", err, p.log.last(20))
		}
		killGroup(p)
		release()
		logs, _ := filepath.Glob(filepath.Join(dir, "logs", "*"))
		for _, name := range logs { // what its programs logged is searched for secrets too
			b, err := os.ReadFile(name)
			if err != nil {
				fmt.Fprintln(os.Stderr, "a log of the demo:", err)
			}
			record.Writer(nil, "the demo's "+filepath.Base(name), nil).Write(b)
		}
	})
	if err != nil {
		return nil, err
	}
	deadline := time.After(5 * time.Minute)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(filepath.Join(dir, "demo.json"))
		if err == nil {
			d := &description{dir: dir}
			return d, json.Unmarshal(b, d)
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("the demo ended: %v\n%s", p.err, p.log.last(40))
		case <-deadline:
			return nil, fmt.Errorf("the demo was not up within five minutes\n%s", p.log.last(40))
		case <-tick.C:
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
})

// theDemo is the running demo.
func theDemo(t testing.TB) *description {
	t.Helper()
	d, err := runningDemo()
	if err != nil {
		t.Fatal(err)
	}
	return d
}
