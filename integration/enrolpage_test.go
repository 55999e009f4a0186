package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	directoryserver "github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/store"
)

// A person takes a gateway into service on its own page, with what the QR code
// holds; after a revocation the page says so, and the next code, typed, brings
// it back. Agent, page and directory are the real ones; keys are in files, in a
// TPM and in a token.
func TestEnrolOnThePage(t *testing.T) {
	t.Run("file", func(t *testing.T) { enrolOnThePage(t, keystore.File) })
	t.Run("tpm", func(t *testing.T) { enrolOnThePage(t, keystoretest.SoftwareTPM(t)) })
	t.Run("pkcs11", func(t *testing.T) { enrolOnThePage(t, keystoretest.NewToken(t, "Gateway 1").Kind) })
}

func enrolOnThePage(t *testing.T, keys string) {
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	quiet := record.Logger(t)
	pki := identitytest.New(t) // for the servers' own certificates
	server := pki.Server("127.0.0.1")
	listen := func(conf *tls.Config, h http.Handler) string {
		s := httptest.NewUnstartedServer(h)
		s.TLS = conf
		s.TLS.Certificates = []tls.Certificate{*server.TLS()}
		s.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	authorities, err := ca.CreateAuthorities(filepath.Join(t.TempDir(), "authorities"), "Example Framework", time.Now().AddDate(0, 0, -1))
	ok(err)
	terms, err := scheme.New(registry)
	ok(err)
	db, err := database.Open("sqlite:" + filepath.Join(t.TempDir(), "central.db"))
	ok(err)
	t.Cleanup(func() { db.Close() })
	var d *directory.Service
	// The relay knows who is revoked, and nothing else.
	relayURL := listen(identity.ServerTLS(server.Get, authorities.Client.Pool()), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l, err := d.CRL(r.Context(), ca.Client)
		if err != nil {
			t.Error(err)
		}
		lists, err := identity.NewRevocations(identity.RevocationsConfig{Logger: quiet, Sources: []identity.CRLSource{{Name: "client", Issuer: authorities.Client.Issuer,
			Fetch: func(context.Context) ([]byte, error) { return l.DER, nil }}}})
		if err == nil {
			err = lists.Refresh(r.Context())
		}
		if err != nil {
			t.Error(err)
		}
		status, code := http.StatusNotFound, "not_found"
		if lists.Revoked(r.TLS.PeerCertificates[0].SerialNumber) {
			status, code = http.StatusForbidden, "certificate_revoked"
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":%q}`, code)
	}))
	d, err = directory.New(directory.Config{DB: db.DB, Migrate: func(ctx context.Context, files fs.FS) error { return db.Migrate(ctx, "directory", files) },
		BaseURL: "https://directory.example.org", Authorities: authorities, Scheme: terms, RelayURL: relayURL, Logger: quiet})
	ok(err)
	front, err := directoryserver.New(d, directoryserver.Config{})
	ok(err)
	directoryURL := listen(identity.AskingTLS(server.Get, authorities.Client.Pool()), front.Handler())
	m, err := d.AddMember(t.Context(), directory.Member{LegalName: "Perse Energy Ltd"})
	ok(err)
	place, err := d.OpenSite(t.Context(), directory.Site{Member: m.ID, Name: "Riverside", Outcode: "SW8"}, "", "")
	ok(err)

	ca := filepath.Join(t.TempDir(), "ca.pem")
	ok(os.WriteFile(ca, identity.EncodeCertificates(pki.ServerCA.Root), 0o644))
	cfg := &config.Config{Site: config.Site{Name: "Riverside", Outcode: "SW8"}, Period: energy.Period, Web: config.Web{Listen: "127.0.0.1:8480", Enroll: "local"},
		Store: config.Store{Path: "agent.db", KeepHalfHours: 400 * config.Day}, Uplink: &config.Uplink{Identity: filepath.Join(t.TempDir(), "identity"), CA: ca, KeyStore: keys}}
	out, _, err := store.Open(filepath.Join(t.TempDir(), "agent.db"), store.Options{Logger: quiet})
	ok(err)
	a, err := agent.New(agent.Options{Config: cfg, Store: out, Logger: quiet})
	ok(err)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- a.Run(ctx) }()
	defer func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
		out.Close()
	}()
	page := httptest.NewServer(web.New(a, cfg, quiet))
	defer page.Close()
	get := func(path string) string {
		t.Helper()
		res, err := http.Get(page.URL + path)
		ok(err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		ok(err)
		return string(b)
	}
	says := func(want string) {
		t.Helper()
		until(t, 90*time.Second, "the page says "+want, nil, func() error {
			if p := get("/"); !strings.Contains(p, want) {
				return fmt.Errorf("%s", p)
			}
			return nil
		})
	}
	// fillIn fills in the form as a browser does, which goes where it is led.
	fillIn := func(code, directory string) string {
		t.Helper()
		token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(get("/"))
		if token == nil {
			t.Fatal("the page has no form")
		}
		res, err := http.PostForm(page.URL+"/enrol", url.Values{"token": {token[1]}, "code": {code}, "directory": {directory}})
		ok(err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		ok(err)
		return string(b)
	}

	says("This gateway is not enrolled yet")
	if p := fillIn("2222-2222-2222", directoryURL); !strings.Contains(p, "does not know this code") {
		t.Errorf("a wrong code: %s", p)
	}
	if p := fillIn(strings.Replace(place.Code.Link, "https://directory.example.org", directoryURL, 1), ""); !strings.Contains(p, "nrolled") || strings.Contains(p, "did not work") {
		t.Errorf("the QR code: %s", p)
	}
	says("Run by</th><td>Perse Energy Ltd")
	name, _, _ := strings.Cut(keys, ":")
	if want := map[string]string{"file": "in files that", "tpm": "this machine&#39;s TPM", "pkcs11": "in the token Gateway 1, serial number "}[name]; !strings.Contains(get("/"), want) {
		t.Errorf("the page does not say that keys are %s", want)
	}
	if _, err := d.RevokeGateway(t.Context(), place.Gateway.ID, ""); err != nil {
		t.Fatal(err)
	}
	says("identity was revoked")
	if s := a.Status().Uplink; s.State != "revoked" {
		t.Errorf("status: %s", s.State)
	}
	if m := get("/metrics"); !strings.Contains(m, `perseus_agent_certificate_usable{kind="client"} 0`) {
		t.Error("the metrics do not say it")
	}
	code, err := d.NewCode(t.Context(), place.Gateway.ID)
	ok(err)
	if p := fillIn(strings.ToLower(strings.ReplaceAll(code, "-", " ")), directoryURL); strings.Contains(p, "did not work") {
		t.Errorf("the new code: %s", p)
	}
	says("Run by</th><td>Perse Energy Ltd")
	if st, err := d.Standing(t.Context(), place.Gateway.ID); err != nil || st.State != "enrolled" {
		t.Errorf("%+v, %v", st, err)
	}
}
