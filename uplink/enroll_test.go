package uplink

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
	"github.com/perseus-edge/perseus-edge/identity/newkey"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// From a code to a delivered half-hour, over real mutual TLS.
func TestEnrollAndDeliver(t *testing.T) {
	keyStores(t, enrollAndDeliver)
}

// keyStores runs a test with keys in files, in a TPM and in a token.
func keyStores(t *testing.T, f func(t *testing.T, kind string)) {
	t.Run("file", func(t *testing.T) { f(t, keystore.File) })
	t.Run("tpm", func(t *testing.T) { f(t, keystoretest.SoftwareTPM(t)) })
	t.Run("pkcs11", func(t *testing.T) { f(t, keystoretest.NewToken(t, "Gateway 1").Kind) })
}

func enrollAndDeliver(t *testing.T, kind string) {
	pki := identitytest.New(t)
	relay := newRelay(t, pki)
	d := &memDirectory{t: t, pki: pki, relay: serve(t, pki, pki.ClientCA.Pool(), http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if p, err := identity.RequestPeer(q); err != nil || p.Application != gatewayURL {
			t.Errorf("peer %v, %v", p, err)
		}
		relay.ServeHTTP(w, q)
	}))}
	dir := filepath.Join(t.TempDir(), "state", "identity")
	e, err := Enroll(t.Context(), EnrollRequest{Directory: serve(t, pki, nil, d) + "/", Code: " 7k2m 9kxa 34te", Dir: dir, CAFile: caFile(t, pki), Keys: kind})
	if err != nil {
		t.Fatal(err)
	}
	if e.Gateway != gatewayURL || e.Member != memberURL || e.Organisation != "Shop Ltd" || e.Relay != d.relay || e.EnrolledAt.IsZero() {
		t.Errorf("got %+v", e)
	}
	if kept, err := ReadEnrolment(dir); err != nil || kept != e {
		t.Errorf("kept %+v, %v", kept, err)
	}
	modes(t, dir)

	out := newOutbox()
	out.add(mainImport, hours(time.Now(), 100)...)
	relay.grant(grantOf("g1", mainImport))
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	c, err := New(Config{Dir: dir, Outbox: &ackOutbox{out, done}, Logger: record.Logger(t), Site: Site{Name: "Shop"}, Keys: kind})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Status().Certificates {
		if name, _, _ := strings.Cut(kind, ":"); s.KeyStore != name {
			t.Errorf("%s: key store %s", s.Kind, s.KeyStore)
		}
	}
	over := make(chan struct{})
	go func() { defer close(over); c.Run(ctx) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Errorf("nothing was delivered: %+v", c.Status())
	}
	cancel()
	<-over
	if n, writes, _, _ := relay.counts(); n != 100 || writes != 100 {
		t.Errorf("relay has %d half-hours, %d writes", n, writes)
	}
}

// ackOutbox says when the first batch is acknowledged.
type ackOutbox struct {
	*memOutbox
	done chan struct{}
}

func (o *ackOutbox) Acknowledge(sequence uint64) error {
	defer close(o.done)
	return o.memOutbox.Acknowledge(sequence)
}

// modes checks that nobody else can read the keys, and that nothing else is left.
func modes(t *testing.T, dir string) {
	t.Helper()
	_, at, err := inUse(dir)
	if err != nil {
		t.Fatal(err)
	}
	if es, err := os.ReadDir(dir); err != nil || len(es) != 1 && at != dir {
		t.Errorf("in the identity folder: %v, %v", es, err)
	}
	dir = at
	want := map[string]os.FileMode{clientCertFile: 0o644, clientKeyFile: 0o600, signingCertFile: 0o644, signingKeyFile: 0o600,
		signingRootFile: 0o644, serverCAFile: 0o644, gatewayFile: 0o644}
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(es) != len(want) {
		t.Errorf("files %v", es)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, e := range es {
		if fi, err := e.Info(); err != nil || fi.Mode().Perm() != want[e.Name()] {
			t.Errorf("%s: mode %v, %v", e.Name(), fi.Mode(), err)
		}
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("folder: mode %v, %v", fi.Mode(), err)
	}
}

// A working identity stays as it is, byte for byte, whatever goes wrong.
func TestEnrollKeepsWhatWorks(t *testing.T) {
	pki := identitytest.New(t)
	stranger := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example"}
	url, ca, dir := serve(t, pki, nil, d), caFile(t, pki), filepath.Join(t.TempDir(), "identity")
	enroll := func(force bool, code string) error {
		_, err := Enroll(t.Context(), EnrollRequest{Directory: url, Code: code, Dir: dir, CAFile: ca, Force: force})
		return err
	}
	if err := enroll(false, goodCode); err != nil {
		t.Fatal(err)
	}
	d.used = false
	before := snapshot(t, dir)
	if err := enroll(false, goodCode); !errors.Is(err, ErrEnrolled) || d.used {
		t.Errorf("got %v, code used %v", err, d.used)
	}
	other, _ := newkey.Make(elliptic.P256())
	for name, c := range map[string]struct {
		code  string
		spoil func(map[string]string)
		want  string
	}{
		"mistyped":        {"7K2M-9KXA", nil, "8 characters"},
		"wrong code":      {"2222-2222-2222", nil, "make a new one"},
		"another key":     {goodCode, func(a map[string]string) { a["client_certificate"] = string(otherKey(t, pki, other)) }, "does not belong to the key"},
		"swapped":         {goodCode, func(a map[string]string) { a["client_certificate"] = a["signing_certificate"] }, "client certificate"},
		"another gateway": {goodCode, func(a map[string]string) { a["gateway"] = gatewayURL + "0" }, "certificate is for"},
		"no gateway":      {goodCode, func(a map[string]string) { a["gateway"] = "" }, "not a gateway's URL"},
		"another member":  {goodCode, func(a map[string]string) { a["member"] = "https://directory.example/m/2" }, "is for the member"},
		"another root": {goodCode, func(a map[string]string) {
			a["signing_roots"] = string(identity.EncodeCertificates(stranger.SigningCA.Root))
		}, "unknown authority"},
		"no roots":           {goodCode, func(a map[string]string) { a["client_roots"] = "" }, "roots of the client"},
		"relay without TLS":  {goodCode, func(a map[string]string) { a["relay"] = "http://relay.example" }, "relay: address must be"},
		"no relay":           {goodCode, func(a map[string]string) { a["relay"] = "" }, "relay: address must be"},
		"signing is expired": {goodCode, nil, "set the clock"},
	} {
		d.used, d.spoil = false, c.spoil
		if name == "signing is expired" {
			pki.NotAfter = time.Now().Add(-time.Hour)
		}
		if err := enroll(true, c.code); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ..%s..", name, err, c.want)
		}
		pki.NotAfter = time.Date(2069, 1, 1, 0, 0, 0, 0, time.UTC)
		if now := snapshot(t, dir); now != before {
			t.Errorf("%s: the identity folder changed", name)
		}
	}
	d.used, d.spoil = false, nil
	if err := enroll(true, goodCode); err != nil {
		t.Fatal(err)
	}
	if snapshot(t, dir) == before {
		t.Error("force changed nothing")
	}
	if err := tidyEnrolments(dir, ""); err != nil { // as the uplink does at its start
		t.Fatal(err)
	}
	modes(t, dir)
	if _, err := openFolder(dir, ""); err != nil {
		t.Error(err)
	}
}

func otherKey(t *testing.T, pki *identitytest.PKI, key *ecdsa.PrivateKey) []byte {
	csr, err := identity.NewCSR(key, "x")
	if err != nil {
		t.Fatal(err)
	}
	d := &memDirectory{t: t, pki: pki}
	return d.issue(string(csr), pki.ClientCA, pki.Client(gatewayURL, "Shop Ltd", memberURL).Cert())
}

func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var s strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		s.WriteString(path + "\n" + string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// A folder that is half filled is not enrolled, and can be enrolled.
func TestHalfEnrolled(t *testing.T) {
	pki := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example"}
	url, ca := serve(t, pki, nil, d), caFile(t, pki)
	for _, name := range []string{gatewayFile, clientCertFile, clientKeyFile, signingCertFile, signingKeyFile, signingRootFile} {
		dir := filepath.Join(t.TempDir(), "identity")
		req := EnrollRequest{Directory: url, Code: goodCode, Dir: dir, CAFile: ca}
		d.used = false
		if _, err := Enroll(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		_, at, err := inUse(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(at, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Dir: dir, Outbox: newOutbox()}); err == nil {
			t.Errorf("without %s: taken for enrolled", name)
		}
		d.used = false
		if _, err := Enroll(t.Context(), req); err != nil {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestEnrollSaysWhatToDo(t *testing.T) {
	pki := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example"}
	url := serve(t, pki, nil, d)
	gone := httptest.NewServer(d)
	gone.Close()
	old := *pki
	old.NotAfter = time.Now().Add(-time.Hour)
	expired := serve(t, &old, nil, d)
	for name, c := range map[string]struct {
		directory, ca, want string
	}{
		"unknown authority": {url, caFile(t, identitytest.New(t)), "--ca"},
		"not TLS":           {strings.Replace(url, "https", "http", 1), caFile(t, pki), "address must be like https://"},
		"nobody there":      {strings.Replace(gone.URL, "http", "https", 1), caFile(t, pki), "does not answer at its port"},
		"expired":           {expired, caFile(t, pki), "set the clock"},
		"other name":        {strings.Replace(url, "127.0.0.1", "localhost", 1), caFile(t, pki), "for another name"},
		"no authority file": {url, filepath.Join(t.TempDir(), "none.pem"), "authority file"},
	} {
		d.used = false
		_, err := Enroll(t.Context(), EnrollRequest{Directory: c.directory, Code: goodCode, Dir: t.TempDir(), CAFile: c.ca})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ..%s..", name, err, c.want)
		}
		if d.used {
			t.Errorf("%s: the code was spent", name)
		}
	}
}

// An answer that is lost on its way costs no code: the same code gets it again,
// for the keys that were kept.
func TestEnrollAnswerLost(t *testing.T) {
	pki := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example", lose: true}
	dir := filepath.Join(t.TempDir(), "identity")
	req := EnrollRequest{Directory: serve(t, pki, nil, d), Code: goodCode, Dir: dir, CAFile: caFile(t, pki)}
	if _, err := Enroll(t.Context(), req); err == nil || !d.used {
		t.Fatalf("%v, code used %t", err, d.used)
	}
	if _, err := ReadEnrolment(dir); !errors.Is(err, ErrNotEnrolled) {
		t.Errorf("enrolled without an answer: %v", err)
	}
	d.lose = false
	if _, err := Enroll(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	modes(t, dir)
	// Another code gets other keys.
	d.used, d.lose = false, true
	req.Force = true
	Enroll(t.Context(), req)
	kept := d.keys
	req.Code = identity.NewEnrolCode()
	if _, err := Enroll(t.Context(), req); err == nil || d.keys != kept {
		t.Errorf("another code: %v", err)
	}
	if es, _ := os.ReadDir(dir); len(es) != 1 {
		t.Errorf("left behind: %v", es)
	}
}

// The code of another gateway is refused before it is used up, unless this one
// is to become that.
func TestEnrollOtherGateway(t *testing.T) {
	pki := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example"}
	dir := t.TempDir()
	identityFolder(t, dir, pki)
	b, err := os.ReadFile(filepath.Join(dir, gatewayFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, gatewayFile), []byte(strings.Replace(string(b), gatewayURL, "https://directory.example/g/other", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	req := EnrollRequest{Directory: serve(t, pki, nil, d), Code: goodCode, Dir: dir, CAFile: caFile(t, pki)}
	if _, err := Enroll(t.Context(), req); err == nil || d.used || !strings.Contains(err.Error(), "--other-gateway") {
		t.Errorf("%v, code used %t", err, d.used)
	}
	req.Other = true
	if e, err := Enroll(t.Context(), req); err != nil || e.Gateway != gatewayURL {
		t.Errorf("%+v, %v", e, err)
	}
}

// enrolEnv tells the test program to be the one that is killed: identity
// folder, directory, authority.
const enrolEnv = "PERSEUS_TEST_ENROL"

// Killed at any moment of an enrolment, the folder is the old identity or the
// new one, whole; and the same code finishes what was begun.
func TestEnrollKilled(t *testing.T) {
	if env := os.Getenv(enrolEnv); env != "" {
		at := strings.Split(env, "|")
		fmt.Println("ready")
		_, err := Enroll(t.Context(), EnrollRequest{Directory: at[1], Code: goodCode, Dir: at[0], CAFile: at[2], Force: true})
		fmt.Println("done", err)
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pki := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example"}
	dir, url, ca := t.TempDir(), serve(t, pki, nil, d), caFile(t, pki)
	identityFolder(t, dir, pki)
	serial := func() string {
		f, err := openFolder(dir, "") // loads both pairs, and that each fits together
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.current(clientKind)
		if err != nil {
			t.Fatal(err)
		}
		return p.leaf().SerialNumber.String()
	}
	before, finished, killed := serial(), 0, 0
	for i := range 40 {
		d.mu.Lock()
		d.used = false // a new code, so to speak
		d.mu.Unlock()
		child := exec.Command(program, "-test.run", "^TestEnrollKilled$")
		child.Env = append(os.Environ(), enrolEnv+"="+dir+"|"+url+"|"+ca)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		bufio.NewScanner(out).Scan()
		time.Sleep(time.Duration(i) * 1500 * time.Microsecond) // chance decides, at another moment each time
		child.Process.Kill()
		child.Wait()
		now := serial()
		if now != before {
			finished++
		} else {
			killed++
		}
		e, err := Enroll(t.Context(), EnrollRequest{Directory: url, Code: goodCode, Dir: dir, CAFile: ca, Force: true})
		if now == before && err != nil {
			t.Fatalf("killed %d times: the same code does not finish it: %v", i+1, err)
		}
		if err == nil && e.Gateway != gatewayURL {
			t.Fatalf("%+v", e)
		}
		if err := tidyEnrolments(dir, ""); err != nil {
			t.Fatal(err)
		}
		before = serial()
	}
	if killed < 5 {
		t.Errorf("killed in time only %d times, %d came through", killed, finished)
	}
}

// A machine whose TPM was cleared or exchanged says so, and a new code helps
// without --force.
func TestTPMGone(t *testing.T) {
	mine, other := keystoretest.SoftwareTPM(t), keystoretest.SoftwareTPM(t)
	pki := identitytest.New(t)
	d := &memDirectory{t: t, pki: pki, relay: "https://relay.example"}
	dir := filepath.Join(t.TempDir(), "identity")
	req := EnrollRequest{Directory: serve(t, pki, nil, d), Code: goodCode, Dir: dir, CAFile: caFile(t, pki), Keys: mine}
	if _, err := Enroll(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: dir, Outbox: newOutbox(), Keys: mine}); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{Dir: dir, Outbox: newOutbox(), Keys: other}); err == nil || !strings.Contains(err.Error(), "enrol this gateway again with a new code") {
		t.Errorf("another TPM: %v", err)
	}
	if _, err := Enroll(t.Context(), req); !errors.Is(err, ErrEnrolled) {
		t.Errorf("working: %v", err)
	}
	d.used, req.Keys = false, other
	if _, err := Enroll(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: dir, Outbox: newOutbox(), Keys: other}); err != nil {
		t.Error(err)
	}
}
