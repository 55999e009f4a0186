package memberapi_test

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// cli drives the scheme's public ib1-directory-cli against a perseus-central.
type cli struct {
	t       *testing.T
	program string // the CLI
	central string // perseus-central
	config  string
	dir     string // where the CLI works
	url     string
	ca      string // PEM of the server root
}

// newCLI starts perseus-central with a directory alone: TLS, SQLite.
func newCLI(t *testing.T) *cli {
	t.Helper()
	c := &cli{t: t, program: os.Getenv("PERSEUS_PEERS_DIRECTORY_CLI"), dir: t.TempDir()}
	for dir := dirtest.Must(os.Getwd())(t); c.program == ""; dir = filepath.Dir(dir) {
		if p := filepath.Join(dir, ".peers", "directory-cli", "bin", "directory"); filepath.Dir(dir) == dir {
			t.Skip("ib1-directory-cli is not installed: run make peers")
		} else if _, err := os.Stat(p); err == nil {
			c.program = p
		}
	}
	home := t.TempDir()
	c.central = filepath.Join(home, "perseus-central")
	record.Keys(t, home)
	flags := dirtest.Must(record.BuildFlags())(t)
	if out, err := exec.Command("go", append(append([]string{"build", "-o", c.central}, flags...), "../../cmd/perseus-central")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	port := ports.Free(t, 1)[0]
	c.url, c.config, c.ca = fmt.Sprintf("https://localhost:%d", port), filepath.Join(home, "central.yaml"), filepath.Join(home, "authorities", "server", "root.pem")
	config := fmt.Sprintf("roles: [directory]\nregistry: https://registry.example\ndirectory: {url: %q, listen: \"127.0.0.1:%d\"}\nrelay: {server: \"https://relay.example\"}\n", c.url, port)
	if err := os.WriteFile(c.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c.admin(nil, "init")
	var log bytes.Buffer
	serve := exec.Command(c.central, "serve", "--config", c.config)
	serve.Stderr = record.Writer(t, "perseus-central serve", &log)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve.Wait() }()
	t.Cleanup(func() {
		serve.Process.Signal(syscall.SIGTERM)
		if err := <-done; err != nil || t.Failed() {
			t.Errorf("perseus-central: %v\n%s", err, &log)
		}
	})
	until(t, func() bool {
		r, err := c.http().Get(c.url + "/healthz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return c
}

func (c *cli) http() *http.Client {
	roots := dirtest.Must(identity.ReadCertificates(c.ca))(c.t)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), nil), DisableKeepAlives: true}}
}

// until waits half a minute for what another program does.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("not within 30 s")
		}
	}
}

// admin runs a command of perseus-central and reads its JSON.
func (c *cli) admin(v any, args ...string) {
	c.t.Helper()
	cmd := exec.Command(c.central, append(args, "--config", c.config)...)
	var errs bytes.Buffer
	cmd.Stderr = record.Writer(c.t, "perseus-central", &errs)
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("%v: %v: %s", args, err, &errs)
	}
	if v != nil {
		if err := json.Unmarshal(out, v); err != nil {
			c.t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
}

// token issues one with a command of perseus-central.
func (c *cli) token(args ...string) string {
	c.t.Helper()
	var v struct{ Token string }
	c.admin(&v, append([]string{"token", "issue"}, args...)...)
	return v.Token
}

// run gives the exit code and both outputs of a command of the CLI, nobody
// logged in.
func (c *cli) run(token string, args ...string) (code int, out, errs string) {
	c.t.Helper()
	cmd := exec.Command(c.program, append([]string{"--json"}, args...)...)
	cmd.Dir = c.dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "DIRECTORY_") }),
		"DIRECTORY_API_URL="+c.url, "SSL_CERT_FILE="+c.ca, "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring", "NO_PROXY=*", "COLUMNS=200")
	if token != "" {
		cmd.Env = append(cmd.Env, "DIRECTORY_TOKEN="+token)
	}
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		c.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// entry is what the CLI prints of whatever it was asked for.
type entry struct {
	Identifier, ID, LegalName, Title, Description, Email, PrivacyPolicy, HomePageURL, SupportURL, MessageDelivery string
	DataProtectionRegistrationURL                                                                                 string
	Address                                                                                                       map[string]string
	Roles                                                                                                         []string
	CompanyRegistration, DataOfficer, LicenceOfficer                                                              map[string]string
	EffectiveDate, Organization, Token, Certificate, Revoked, Deleted, Downloaded                                 string
	Bytes                                                                                                         int
	Saved                                                                                                         map[string]string
	Organizations, Certificates                                                                                   []entry
	Applications                                                                                                  []any
	DataService                                                                                                   map[string]string
}

// ok runs a command that must end with 0 and print JSON.
func (c *cli) ok(token string, args ...string) entry {
	c.t.Helper()
	code, out, errs := c.run(token, args...)
	if code != 0 {
		c.t.Fatalf("directory %q: exit %d: %s%s", args, code, out, errs)
	}
	var v entry
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		c.t.Fatalf("directory %q: %v: %s", args, err, out)
	}
	return v
}

// fails runs a command that must end with a code, and say why.
func (c *cli) fails(code int, why, token string, args ...string) {
	c.t.Helper()
	got, out, errs := c.run(token, args...)
	if got != code || !strings.Contains(errs, why) || strings.Contains(errs, "Traceback") {
		c.t.Errorf("directory %q: exit %d, want %d and %q: %s%s", args, got, code, why, out, errs)
	}
}

// signedBy checks a file of the CLI against a root, and gives the leaf.
func (c *cli) signedBy(root *x509.Certificate, file string) *x509.Certificate {
	c.t.Helper()
	cs := dirtest.Must(identity.ReadCertificates(filepath.Join(c.dir, file)))(c.t)
	_, err := cs[0].Verify(x509.VerifyOptions{Roots: identity.Pool(root), Intermediates: identity.Pool(cs[1:]...), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		c.t.Errorf("%s: %v", file, err)
	}
	return cs[0]
}

// rootOf reads the root in a bundle, and checks the rest of it.
func rootOf(t *testing.T, file, kind string) *x509.Certificate {
	t.Helper()
	z := dirtest.Must(zip.OpenReader(file))(t)
	defer z.Close()
	read := func(name string) []*x509.Certificate {
		var b bytes.Buffer
		f := dirtest.Must(z.Open(kind + "-" + name))(t)
		defer f.Close()
		dirtest.Must(b.ReadFrom(f))(t)
		return dirtest.Must(identity.ParseCertificates(b.Bytes()))(t)
	}
	root, issuer, both := read("root.pem")[0], read("issuer.pem")[0], read("bundle.pem")
	if issuer.CheckSignatureFrom(root) != nil || len(both) != 2 || !both[0].Equal(issuer) || !both[1].Equal(root) {
		t.Errorf("%s does not hold together", file)
	}
	return root
}
