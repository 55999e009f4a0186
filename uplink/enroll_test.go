package uplink

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
)

const goodCode = "7K2M-9QXA-04TB"

// memDirectory issues certificates for a code, and can be made to go wrong.
type memDirectory struct {
	t     *testing.T
	pki   *identitytest.PKI
	relay string
	used  bool
	spoil func(answer map[string]string)
}

func (d *memDirectory) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var in struct {
		Code       string `json:"code"`
		ClientCSR  string `json:"client_csr"`
		SigningCSR string `json:"signing_csr"`
	}
	if err := json.NewDecoder(q.Body).Decode(&in); err != nil || q.URL.Path != "/gateway/v1/enrollments" {
		refuse(w, 400, "invalid_request", nil)
		return
	}
	if in.Code != goodCode || d.used {
		refuse(w, 403, "invalid_code", nil)
		return
	}
	d.used = true
	a := map[string]string{
		"gateway": gatewayURL, "member": memberURL, "organisation": "Shop Ltd", "relay": d.relay,
		"client_certificate":  string(d.issue(in.ClientCSR, d.pki.ClientCA, d.pki.Client(gatewayURL, "Shop Ltd", memberURL).Cert())),
		"signing_certificate": string(d.issue(in.SigningCSR, d.pki.SigningCA, d.pki.Signing(gatewayURL, "Shop Ltd", memberURL).Cert())),
		"signing_roots":       string(identity.EncodeCertificates(d.pki.SigningCA.Root)),
		"client_roots":        string(identity.EncodeCertificates(d.pki.ClientCA.Root)),
	}
	if d.spoil != nil {
		d.spoil(a)
	}
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(a)
}

// issue makes a certificate like the template for the key of a request.
func (d *memDirectory) issue(csr string, h *identitytest.Hierarchy, like *x509.Certificate) []byte {
	pub, err := identity.ParseCSR([]byte(csr))
	if err != nil {
		d.t.Error(err)
		return nil
	}
	c := *like
	c.SerialNumber = new(big.Int).Add(like.SerialNumber, big.NewInt(1))
	c.ExtraExtensions = like.Extensions
	der, err := x509.CreateCertificate(rand.Reader, &c, h.Issuer, pub, h.IssuerKey)
	if err != nil {
		d.t.Error(err)
		return nil
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		d.t.Error(err)
		return nil
	}
	return identity.EncodeCertificates(x, h.Issuer)
}

// serve starts a TLS server of the scheme; with roots it is mutual TLS.
func serve(t *testing.T, pki *identitytest.PKI, clients *x509.CertPool, h http.Handler) string {
	t.Helper()
	leaf := pki.Server("127.0.0.1")
	s := httptest.NewUnstartedServer(h)
	s.TLS = identity.ServerTLS(leaf.Get, clients)
	s.TLS.Certificates = []tls.Certificate{*leaf.TLS()}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func caFile(t *testing.T, pki *identitytest.PKI) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, identity.EncodeCertificates(pki.ServerCA.Root), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// From a code to a delivered half-hour, over real mutual TLS.
func TestEnrollAndDeliver(t *testing.T) {
	pki := identitytest.New(t)
	relay := newRelay(t, pki)
	d := &memDirectory{t: t, pki: pki, relay: serve(t, pki, pki.ClientCA.Pool(), http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if p, err := identity.RequestPeer(q); err != nil || p.Application != gatewayURL {
			t.Errorf("peer %v, %v", p, err)
		}
		relay.ServeHTTP(w, q)
	}))}
	dir := filepath.Join(t.TempDir(), "state", "identity")
	e, err := Enroll(t.Context(), EnrollRequest{Directory: serve(t, pki, nil, d) + "/", Code: " 7k2m 9qxa o4tb", Dir: dir, CAFile: caFile(t, pki)})
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
	c, err := New(Config{Dir: dir, Outbox: &ackOutbox{out, done}, Logger: slog.New(slog.DiscardHandler), Site: Site{Name: "Shop"}})
	if err != nil {
		t.Fatal(err)
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
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	for name, c := range map[string]struct {
		code  string
		spoil func(map[string]string)
		want  string
	}{
		"mistyped":        {"7K2M-9QXA", nil, "12 letters"},
		"wrong code":      {"0000-0000-0000", nil, "make a new one"},
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
	modes(t, dir)
	if _, err := openFolder(dir); err != nil {
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
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for _, e := range es {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		s.WriteString(e.Name() + "\n" + string(b))
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
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
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

// What the relay's TLS says no to is said in words that help.
func TestStatusOverTLS(t *testing.T) {
	pki := identitytest.New(t)
	stranger := identitytest.New(t)
	relay := newRelay(t, pki)
	ended := *pki
	ended.NotAfter = time.Now().Add(-time.Hour)
	for name, c := range map[string]struct {
		server *identitytest.PKI
		client *identitytest.PKI
		trust  *identitytest.PKI
		want   string
	}{
		"stranger at the relay":   {pki, stranger, pki, "refused this gateway's certificate"},
		"own certificate ended":   {pki, &ended, pki, "this gateway's certificate ended on"},
		"relay not trusted":       {pki, pki, stranger, "does not trust"},
		"relay certificate ended": {&ended, pki, pki, "set the clock"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			identityFolder(t, dir, pki)
			c.client.Client(gatewayURL, "Shop Ltd", memberURL).Write(dir, "client")
			if err := os.WriteFile(filepath.Join(dir, serverCAFile), identity.EncodeCertificates(c.trust.ServerCA.Root), 0o644); err != nil {
				t.Fatal(err)
			}
			client, err := New(Config{URL: serve(t, c.server, pki.ClientCA.Pool(), relay), Dir: dir, Outbox: newOutbox(), Logger: slog.New(slog.DiscardHandler),
				Site: Site{Meters: []SiteMeter{{ID: "main", Type: "electricity", Measures: []energy.Measure{energy.Import}}}}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.step(t.Context())
			if err == nil {
				t.Fatal("it worked")
			}
			client.failed("send", err)
			if s := client.Status(); s.Connected || !strings.Contains(s.Error, c.want) {
				t.Errorf("status %q, want ..%s.. (%v)", s.Error, c.want, err)
			}
		})
	}
}

func TestClockOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, 1)
		c := r.start()
		r.stop()
		for off, want := range map[time.Duration]string{-26 * time.Hour: "26h0m0s behind the relay's: set it", 10 * time.Minute: "10m0s ahead of the relay's: set it"} {
			c.noteClock(http.Header{"Date": {time.Now().Add(-off).UTC().Format(http.TimeFormat)}})
			c.failed("send", &refusal{status: 400, code: "invalid_batch"})
			if s := c.Status(); s.ClockOff != off || !strings.Contains(s.Error, want) {
				t.Errorf("got %v %q, want ..%s..", s.ClockOff, s.Error, want)
			}
		}
		c.noteClock(http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}})
		if s := c.Status(); s.ClockOff != 0 {
			t.Errorf("still %v", s.ClockOff)
		}
	})
}
