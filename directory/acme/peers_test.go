package acme_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	xacme "golang.org/x/crypto/acme"

	"github.com/perseus-edge/perseus-edge/directory/acme"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// accepted serves with a certificate that somebody got, and asks with the
// scheme's own configuration of a client: the names, the chain, TLS 1.3.
func (w *world) accepted(t *testing.T, chain []*x509.Certificate, key crypto.PrivateKey, host string) {
	t.Helper()
	pair := tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") }))
	srv.Config.ErrorLog = log.New(record.Writer(t, "errors of a server", nil), "", 0)
	srv.TLS = identity.ServerTLS(func() (*tls.Certificate, error) { return &pair, nil }, nil)
	srv.TLS.Certificates = []tls.Certificate{pair} // else httptest adds its own
	srv.StartTLS()
	defer srv.Close()
	conf := identity.ClientTLS(w.roots, nil)
	conf.ServerName, conf.Time = host, w.clock.now
	res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: conf}}).Get(srv.URL)
	if err != nil {
		t.Errorf("our own client refuses the certificate: %v", err)
		return
	}
	res.Body.Close()
	conf = conf.Clone()
	conf.ServerName = "other.example.com"
	if res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: conf}}).Get(srv.URL); err == nil {
		res.Body.Close()
		t.Error("our own client takes it for another host")
	}
}

// TestCrypto: the client of golang.org/x/crypto/acme, the one under autocert.
func TestCrypto(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := &xacme.Client{Key: newKey(t), DirectoryURL: w.url + "/acme/directory", HTTPClient: w.web}
		account := must(c.Register(ctx, &xacme.Account{Contact: []string{"mailto:ops@perse.example"}}, xacme.AcceptTOS))(t)
		if got := must(c.GetReg(ctx, ""))(t); got.URI != account.URI || got.Status != "valid" {
			t.Errorf("%+v", got)
		}
		w.member(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, err := c.HTTP01ChallengeResponse(strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/"))
			if err != nil {
				t.Error(err)
			}
			io.WriteString(rw, body)
		}))
		obtain := func() ([]*x509.Certificate, crypto.Signer) {
			o := must(c.AuthorizeOrder(ctx, xacme.DomainIDs(apiHost, issuerHost)))(t)
			for _, u := range o.AuthzURLs {
				z := must(c.GetAuthorization(ctx, u))(t)
				must(c.Accept(ctx, z.Challenges[0]))(t)
				must(c.WaitAuthorization(ctx, u))(t)
			}
			o = must(c.WaitOrder(ctx, o.URI))(t)
			key := newKey(t)
			csr := must(x509.CreateCertificateRequest(nil, &x509.CertificateRequest{DNSNames: []string{apiHost, issuerHost}}, key))(t)
			ders, _, err := c.CreateOrderCert(ctx, o.FinalizeURL, csr, true)
			if err != nil {
				t.Fatal(err)
			}
			var chain []*x509.Certificate
			for _, der := range ders {
				chain = append(chain, must(x509.ParseCertificate(der))(t))
			}
			return chain, key
		}
		chain, key := obtain()
		w.accepted(t, chain, key, apiHost)
		w.openssl(t, chain, "")
		// The key of the account is changed, and the next day it comes again.
		if err := c.AccountKeyRollover(ctx, newKey(t)); err != nil {
			t.Fatal(err)
		}
		again, key := obtain()
		w.accepted(t, again, key, issuerHost)
		if err := c.RevokeCert(ctx, nil, chain[0].Raw, xacme.CRLReasonSuperseded); err != nil {
			t.Fatal(err)
		}
		w.openssl(t, chain, "certificate revoked")
		w.openssl(t, again, "")
		if err := c.DeactivateReg(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := c.AuthorizeOrder(ctx, xacme.DomainIDs(apiHost)); err == nil {
			t.Error("a deactivated account orders")
		}
	})
}

// openssl verifies a chain strictly, with the revocation list; complaint is part
// of what it must say, empty where it must accept.
func (w *world) openssl(t *testing.T, chain []*x509.Certificate, complaint string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: certificates not checked with it")
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	l := must(w.dir.CRL(t.Context(), ca.Server))(t)
	out, err := exec.Command("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", chain[0].DNSNames[0], "-crl_check",
		"-attime", fmt.Sprint(w.clock.now().Add(time.Second).Unix()),
		"-CAfile", write("root.pem", identity.EncodeCertificates(w.dir.Authorities.Server.Root)),
		"-untrusted", write("issuer.pem", identity.EncodeCertificates(chain[1:]...)),
		"-CRLfile", write("crl.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l.DER})),
		write("leaf.pem", identity.EncodeCertificates(chain[0]))).CombinedOutput()
	if complaint == "" && (err != nil || !strings.Contains(string(out), ": OK")) || complaint != "" && (err == nil || !strings.Contains(string(out), complaint)) {
		t.Errorf("openssl: %v: %s, want %q", err, out, complaint)
	}
}

// TestCertMagic: CertMagic, the client in Caddy, obtains a certificate, renews
// it before its end and revokes it.
func TestCertMagic(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": sqliteDSN, "postgres": databasetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			w := newWorldAt(t, dsn(t), acme.Limits{}, ports.Free(t, 1)[0])
			ctx := t.Context()
			var conf *certmagic.Config
			cache := certmagic.NewCache(certmagic.CacheOptions{GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return conf, nil }, Logger: zap.NewNop()})
			defer cache.Stop()
			conf = certmagic.New(cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: t.TempDir()}, Logger: zap.NewNop(), OCSP: certmagic.OCSPConfig{DisableStapling: true}})
			issuer := certmagic.NewACMEIssuer(conf, certmagic.ACMEIssuer{CA: w.url + "/acme/directory", TrustedRoots: w.roots, Email: "ops@perse.example", Agreed: true,
				ListenHost: "127.0.0.1", AltHTTPPort: w.port, DisableTLSALPNChallenge: true, Logger: zap.NewNop()})
			conf.Issuers = []certmagic.Issuer{issuer}
			load := func() tls.Certificate {
				t.Helper()
				return must(conf.CacheManagedCertificate(ctx, apiHost))(t).Certificate
			}
			if err := conf.ObtainCertSync(ctx, apiHost); err != nil {
				t.Fatal(err)
			}
			first := load()
			w.accepted(t, chainOf(t, first), first.PrivateKey, apiHost)
			w.openssl(t, chainOf(t, first), "")
			if err := conf.RenewCertSync(ctx, apiHost, true); err != nil {
				t.Fatal(err)
			}
			second := load()
			if second.Leaf.SerialNumber.Cmp(first.Leaf.SerialNumber) == 0 {
				t.Error("not renewed")
			}
			w.accepted(t, chainOf(t, second), second.PrivateKey, apiHost)
			if err := conf.RevokeCert(ctx, apiHost, 4, false); err != nil {
				t.Fatal(err)
			}
			w.openssl(t, chainOf(t, second), "certificate revoked")
			// A host that the directory does not know: the client shows our words.
			if err := conf.ObtainCertSync(ctx, "other.example.com"); err == nil || !strings.Contains(err.Error(), "Enter it first") {
				t.Errorf("%v", err)
			}
		})
	}
}

func chainOf(t *testing.T, c tls.Certificate) (chain []*x509.Certificate) {
	t.Helper()
	for _, der := range c.Certificate {
		chain = append(chain, must(x509.ParseCertificate(der))(t))
	}
	return chain
}

// certbotProgram finds certbot (make peers installs it).
func certbotProgram(t *testing.T) string {
	t.Helper()
	if p, err := exec.LookPath("certbot"); err == nil {
		return p
	}
	for dir := must(os.Getwd())(t); ; dir = filepath.Dir(dir) {
		p := filepath.Join(dir, ".peers", "certbot", "bin", "certbot")
		if _, err := os.Stat(p); err == nil {
			return p
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no certbot: run make peers")
		}
	}
}

// TestCertbot: the commands that docs/operator.md shows to members.
func TestCertbot(t *testing.T) {
	program := certbotProgram(t)
	port := ports.Free(t, 1)[0]
	w := newWorldAt(t, sqliteDSN(t), acme.Limits{}, port)
	dir := t.TempDir()
	roots := filepath.Join(dir, "server-ca.pem")
	if err := os.WriteFile(roots, identity.EncodeCertificates(w.dir.Authorities.Server.Root), 0o644); err != nil {
		t.Fatal(err)
	}
	record.Keys(t, dir)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, append(args, "--config-dir", filepath.Join(dir, "c"), "--work-dir", filepath.Join(dir, "w"), "--logs-dir", filepath.Join(dir, "l"), "--non-interactive")...)
		cmd.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+roots)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	obtain := []string{"certonly", "--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", fmt.Sprint(port), "--server", w.url + "/acme/directory",
		"--agree-tos", "--email", "ops@perse.example", "--no-eff-email"}
	if out, err := run(append(obtain, "-d", apiHost)...); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	live := filepath.Join(dir, "c", "live", apiHost)
	load := func() ([]*x509.Certificate, crypto.Signer) {
		t.Helper()
		return must(identity.ReadCertificates(filepath.Join(live, "fullchain.pem")))(t), must(identity.ReadKey(filepath.Join(live, "privkey.pem")))(t)
	}
	first, key := load()
	w.accepted(t, first, key, apiHost)
	w.openssl(t, first, "")
	if out, err := run("renew", "--force-renewal", "--no-random-sleep-on-renew"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	second, key := load()
	if second[0].SerialNumber.Cmp(first[0].SerialNumber) == 0 {
		t.Error("not renewed")
	}
	w.accepted(t, second, key, apiHost)
	if out, err := run("revoke", "--server", w.url+"/acme/directory", "--cert-path", filepath.Join(live, "cert.pem"), "--reason", "superseded", "--no-delete-after-revoke"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.openssl(t, second, "certificate revoked")
	if out, err := run(append(obtain, "-d", "other.example.com")...); err == nil || !strings.Contains(strings.Join(strings.Fields(out), " "), "knows no server other.example.com") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("unregister", "--server", w.url+"/acme/directory"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
