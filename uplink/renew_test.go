package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// memEST renews certificates, and can be made to go wrong.
type memEST struct {
	t   *testing.T
	pki *identitytest.PKI

	mu     sync.Mutex
	refuse string   // the error code of every answer
	keys   []string // of the requests
	shown  []string // serial numbers of the certificates
	spoil  func(*x509.Certificate)
}

func (d *memEST) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, what, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/.well-known/est/"), "/")
	h, like := d.pki.ClientCA, d.pki.Client
	if k == "signing" {
		h, like = d.pki.SigningCA, d.pki.Signing
	}
	var cs []*x509.Certificate
	switch {
	case what == "cacerts":
		cs = []*x509.Certificate{h.Root, h.Issuer}
	case what != "simplereenroll" || q.Method != "POST" || q.Header.Get("Content-Type") != "application/pkcs10" || len(q.TLS.PeerCertificates) == 0:
		refuse(w, 400, "invalid_request", nil)
		return
	default:
		d.shown = append(d.shown, q.TLS.PeerCertificates[0].SerialNumber.String())
		if d.refuse != "" {
			refuse(w, 403, d.refuse, nil)
			return
		}
		body, _ := io.ReadAll(q.Body)
		der, _ := base64.StdEncoding.DecodeString(string(body))
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil || csr.Subject.CommonName != gatewayURL || len(csr.URIs) != 1 || csr.URIs[0].String() != gatewayURL {
			d.t.Errorf("request %+v, %v: its subject must be that of the certificate", csr, err)
			refuse(w, 400, "invalid_request", nil)
			return
		}
		d.keys = append(d.keys, string(csr.RawSubjectPublicKeyInfo))
		template := like(gatewayURL, "Shop Ltd", memberURL).Cert()
		if d.spoil != nil {
			d.spoil(template)
		}
		m := memDirectory{t: d.t, pki: d.pki}
		made, err := identity.ParseCertificates(m.issue(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), h, template))
		if err != nil {
			d.t.Error(err)
			return
		}
		cs = made[:1]
	}
	der, err := identity.EncodeCertsOnly(cs...)
	if err != nil {
		d.t.Error(err)
	}
	io.WriteString(w, base64.StdEncoding.EncodeToString(der))
}

// renewal is a gateway of which two thirds of the certificates' life are over,
// with a relay and a directory over real TLS.
type renewal struct {
	*Client
	dir   string
	pki   *identitytest.PKI
	est   *memEST
	relay *memRelay
	out   *memOutbox
	keys  string // where new keys are made

	mu      sync.Mutex
	clock   time.Time
	refuse  string // code with which the relay refuses certificates that are not old
	old     string // serial of the first client certificate
	clients []string
}

func newRenewal(t *testing.T) *renewal {
	t.Helper()
	pki := identitytest.New(t)
	now := time.Now().UTC().Truncate(time.Second)
	r := &renewal{dir: t.TempDir(), pki: pki, est: &memEST{t: t, pki: pki}, relay: newRelay(t, pki), out: newOutbox(), clock: now}
	relay := serve(t, pki, pki.ClientCA.Pool(), http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		serial := q.TLS.PeerCertificates[0].SerialNumber.String()
		r.mu.Lock()
		code := r.refuse
		if r.clients = append(r.clients, serial); serial == r.old {
			code = ""
		}
		r.mu.Unlock()
		if code != "" {
			refuse(w, 403, code, nil)
			return
		}
		r.relay.ServeHTTP(w, q)
	}))
	directory := serveAsking(t, pki, r.est)
	pki.NotBefore, pki.NotAfter = now.AddDate(0, -9, 0), now.AddDate(0, 3, 0)
	identityFolder(t, r.dir, pki)
	r.est.mu.Lock()
	pki.NotBefore, pki.NotAfter = now.Add(-10*time.Minute), now.AddDate(1, 0, 0)
	r.est.mu.Unlock()
	b, err := json.Marshal(Enrolment{Gateway: gatewayURL, Member: memberURL, Relay: relay, Directory: directory})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{gatewayFile: b, serverCAFile: identity.EncodeCertificates(pki.ServerCA.Root)} {
		if err := os.WriteFile(filepath.Join(r.dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.open(t)
	r.old = r.serial(t, clientKind)
	return r
}

// open makes the client, as a start of the agent does.
func (r *renewal) open(t *testing.T) {
	t.Helper()
	var err error
	r.Client, err = New(Config{Dir: r.dir, Keys: r.keys, Outbox: r.out, Logger: record.Logger(t), Site: Site{Name: "Shop"}, Now: func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.clock
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *renewal) at(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = now
}

func (r *renewal) refuses(code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = code
}

func (r *renewal) serial(t *testing.T, k kind) string {
	t.Helper()
	p, err := r.folder.current(k)
	if err != nil {
		t.Fatal(err)
	}
	return p.leaf().SerialNumber.String()
}

func (r *renewal) certificate(k kind) CertificateStatus {
	cs := r.Status().Certificates
	return cs[slices.IndexFunc(cs, func(c CertificateStatus) bool { return c.Kind == string(k) })]
}

// serveAsking is the directory's listener.
func serveAsking(t *testing.T, pki *identitytest.PKI, h http.Handler) string {
	t.Helper()
	leaf := pki.Server("127.0.0.1")
	s := httptest.NewUnstartedServer(h)
	s.TLS = identity.AskingTLS(leaf.Get, pki.ClientCA.Pool())
	s.TLS.Certificates = []tls.Certificate{*leaf.TLS()}
	s.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// At two thirds of its life, and no earlier, a certificate is renewed with a
// key that was made here, tried, and used from then on; the pair before goes.
func TestRenew(t *testing.T) {
	keyStores(t, renewAll)
}

func renewAll(t *testing.T, keys string) {
	r := newRenewal(t)
	r.keys = keys
	r.open(t)
	for _, k := range kinds {
		p, err := r.folder.current(k)
		if err != nil {
			t.Fatal(err)
		}
		due := renewAt(p.leaf())
		r.at(due.Add(-time.Minute))
		if wait := r.renew(t.Context(), k); wait != time.Minute || r.serial(t, k) != p.leaf().SerialNumber.String() {
			t.Errorf("%s: a minute too early: wait %s", k, wait)
		}
		r.at(time.Now())
		if s := r.certificate(k); s.State != "renewing" || s.Words != "" {
			t.Errorf("%s: %+v", k, s)
		}
		if wait := r.renew(t.Context(), k); wait != 0 {
			t.Fatalf("%s: wait %s: %+v", k, wait, r.certificate(k))
		}
		n, err := r.folder.current(k)
		if err != nil || n.leaf().Equal(p.leaf()) {
			t.Fatal(err)
		}
		if name, _, _ := strings.Cut(keys, ":"); r.certificate(k).KeyStore != name {
			t.Errorf("%s: key store %s, want %s", k, r.certificate(k).KeyStore, name)
		}
		if s := r.certificate(k); s.State != "valid" || s.Serial != n.leaf().SerialNumber.String() || !s.NotAfter.Equal(n.leaf().NotAfter) {
			t.Errorf("%s: %+v", k, s)
		}
		if wait := r.renew(t.Context(), k); wait != renewLook {
			t.Errorf("%s: once more: wait %s", k, wait)
		}
	}
	names := func() (names []string) {
		filepath.WalkDir(r.dir, func(path string, d os.DirEntry, _ error) error {
			if rel, _ := filepath.Rel(r.dir, path); !d.IsDir() {
				names = append(names, filepath.ToSlash(rel))
			}
			return nil
		})
		return names
	}
	if got := strings.Join(names(), " "); got != "client-2/client.key client-2/client.pem gateway.json server-ca.pem signing-2/signing.key signing-2/signing.pem signing-root.pem" {
		t.Errorf("files %s", got)
	}
	// The requests that follow show the new certificate, on the same client.
	if err := r.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := r.clients[len(r.clients)-1]; last != r.serial(t, clientKind) {
		t.Errorf("the relay saw %s", last)
	}
	r.open(t)
	if _, err := Enroll(t.Context(), EnrollRequest{Directory: "https://directory.example", Code: goodCode, Dir: r.dir, Keys: r.keys}); err == nil || !strings.Contains(err.Error(), "enrolled already") {
		t.Errorf("enrolling over a renewed identity: %v", err)
	}
}

// Whatever fails, the present pair stays in use, the reason is in the status,
// and it is tried again with the same key.
func TestRenewFails(t *testing.T) {
	r := newRenewal(t)
	r.est.refuse = "too_many_certificates"
	var last time.Duration
	for i := range 12 {
		wait := r.renew(t.Context(), clientKind)
		longest := min(renewFirst<<i, renewMost)
		if s := r.certificate(clientKind); wait < longest/2 || wait > longest || s.State != "failing" || s.Failures != i+1 ||
			!strings.Contains(s.Words, "has not been renewed") || !strings.Contains(s.Words, "too_many_certificates") || s.Serial != r.old {
			t.Fatalf("failure %d: wait %s, %+v", i+1, wait, s)
		}
		last = wait
	}
	if last < renewMost/2 {
		t.Errorf("last pause %s", last)
	}
	// The directory gives one, the relay does not take it.
	r.est.refuse = ""
	r.refuses("access_denied")
	for range 3 {
		r.renew(t.Context(), clientKind)
		if s := r.certificate(clientKind); s.State != "failing" || !strings.Contains(s.Words, "the present one stays") || r.serial(t, clientKind) != r.old {
			t.Fatalf("%+v", s)
		}
	}
	if len(r.est.keys) != 1 {
		t.Errorf("%d keys were asked for", len(r.est.keys))
	}
	r.refuses("")
	if wait := r.renew(t.Context(), clientKind); wait != 0 || r.serial(t, clientKind) == r.old || r.certificate(clientKind).Failures != 0 {
		t.Errorf("wait %s, %+v", wait, r.certificate(clientKind))
	}
}

// A certificate that is not right is never kept.
func TestRenewChecks(t *testing.T) {
	other := identitytest.New(t)
	for name, c := range map[string]struct {
		spoil func(r *renewal, x *x509.Certificate)
		want  string
	}{
		"another gateway": {func(r *renewal, x *x509.Certificate) {
			x.URIs = other.Client(gatewayURL+"0", "x", memberURL).Cert().URIs
			x.Extensions = slices.DeleteFunc(x.Extensions, sanExtension)
		}, "this gateway is"},
		"ends no later": {func(r *renewal, x *x509.Certificate) { x.NotAfter = time.Now().Add(time.Hour) }, "no later than"},
		"has not begun": {func(r *renewal, x *x509.Certificate) { x.NotBefore = time.Now().Add(time.Hour) }, "set the clock"},
		"for another use": {func(r *renewal, x *x509.Certificate) {
			x.ExtKeyUsage, x.Extensions = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, slices.DeleteFunc(x.Extensions, ekuExtension)
		}, "incompatible key usage"},
	} {
		r := newRenewal(t)
		r.est.spoil = func(x *x509.Certificate) { c.spoil(r, x) }
		r.renew(t.Context(), clientKind)
		if s := r.certificate(clientKind); !strings.Contains(s.Words, c.want) || s.Serial != r.old {
			t.Errorf("%s: %+v", name, s)
		}
		r.est.spoil = nil
		if name == "has not begun" {
			r.at(time.Now().Add(2 * time.Hour))
			continue // it waits, and the relay here looks at real dates
		}
		if wait := r.renew(t.Context(), clientKind); wait != 0 {
			t.Errorf("%s: afterwards: %+v", name, r.certificate(clientKind))
		}
	}
}

// The relay's word that the certificate is revoked counts as well, and is
// remembered.
func TestRevokedAtTheRelay(t *testing.T) {
	r := newRenewal(t)
	r.failed("send", &refusal{status: 403, code: codeRevoked})
	r.open(t)
	if s := r.certificate(clientKind); s.State != "revoked" || !strings.Contains(s.Words, "is revoked: nothing can be sent") {
		t.Errorf("%+v", s)
	}
	if r.folder.works(time.Now()) {
		t.Error("it would take --force to enrol again")
	}
}

// Where the relay only says no, the directory is asked why, once in a while.
func TestStanding(t *testing.T) {
	r := newRenewal(t)
	r.est.refuse = codeRevoked
	r.askStanding(t.Context())
	if len(r.est.shown) != 0 {
		t.Error("asked without a reason")
	}
	for range 3 {
		r.failed("grants", &refusal{status: 401, code: "invalid_client"})
		r.askStanding(t.Context())
	}
	if s := r.certificate(clientKind); s.State != "revoked" || len(r.est.shown) != 1 {
		t.Errorf("asked %d times: %+v", len(r.est.shown), s)
	}
}

func sanExtension(e pkix.Extension) bool { return e.Id.Equal([]int{2, 5, 29, 17}) }
func ekuExtension(e pkix.Extension) bool { return e.Id.Equal([]int{2, 5, 29, 37}) }

// An expired or revoked gateway says so, does not ask any more, and comes back
// with a new code and no --force, by a client that sees it for itself.
func TestEnrollAgain(t *testing.T) {
	for _, state := range []string{"revoked", "expired"} {
		r := newRenewal(t)
		if state == "revoked" {
			r.est.refuse = codeRevoked
			r.renew(t.Context(), clientKind)
		} else {
			r.at(time.Now().AddDate(0, 4, 0))
		}
		for range 3 {
			r.renew(t.Context(), clientKind)
			r.open(t) // also after a restart
		}
		if s := r.certificate(clientKind); s.State != state || !strings.Contains(s.Words, "perseus-agent enroll --url https://127.0.0.1") {
			t.Errorf("%s: %+v", state, s)
		}
		if asked := len(r.est.shown); asked > 1 {
			t.Errorf("%s: asked %d times", state, asked)
		}
		run := make(chan error, 1)
		r.look = time.Millisecond
		go func(c *Client) { run <- c.Run(context.Background()) }(r.Client)
		d := &memDirectory{t: t, pki: r.pki, relay: r.folder.Relay}
		_, err := Enroll(t.Context(), EnrollRequest{Directory: serve(t, r.pki, nil, d), Code: goodCode, Dir: r.dir, CAFile: caFile(t, r.pki), Now: r.now})
		if err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		select {
		case err := <-run:
			if err != nil {
				t.Errorf("%s: %v", state, err)
			}
		case <-time.After(60 * time.Second):
			t.Fatalf("%s: the client did not notice the new identity", state)
		}
		r.open(t)
		if s := r.certificate(clientKind); s.State != "valid" || s.Serial == r.old {
			t.Errorf("%s: after the new code: %+v", state, s)
		}
	}
}
