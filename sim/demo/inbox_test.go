package demo

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// The bank's server takes a message of withdrawal from an energy data provider
// with a certificate, once, and nothing else from nobody else.
func TestInbox(t *testing.T) {
	trust, err := scheme.New("https://registry.example")
	if err != nil {
		t.Fatal(err)
	}
	pki := identitytest.New(t)
	var revoked error
	box := &inbox{trust: trust, relays: trust.Role(scheme.EDP), ours: func() string { return "the-banks-token" },
		now: func() time.Time { return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC) }, revoked: func(*x509.Certificate) error { return revoked }}
	srv := httptest.NewUnstartedServer(box)
	leaf := pki.Server("127.0.0.1")
	srv.TLS = identity.ServerTLS(leaf.Get, pki.ClientCA.Pool())
	srv.TLS.Certificates = []tls.Certificate{*leaf.TLS()} // or httptest adds its own
	srv.Config.ErrorLog = log.New(record.Writer(t, "the bank's server", nil), "", 0)
	srv.StartTLS()
	defer srv.Close()
	client := func(c *identitytest.Leaf) *http.Client {
		tr := &http.Transport{TLSClientConfig: identity.ClientTLS(pki.ServerCA.Pool(), nil)}
		if c != nil {
			tr.TLSClientConfig = identity.ClientTLS(pki.ServerCA.Pool(), c.Get)
		}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	relay := client(pki.Client("https://directory.example/a/relay", "Riverside Metering", "https://directory.example/m/r", trust.Role(scheme.EDP), trust.Role(scheme.CAP)))
	bank := client(pki.Client("https://directory.example/a/bank", "Bank", "https://directory.example/m/b", trust.Role(scheme.FSP)))
	gateway := client(pki.Client("https://directory.example/g/1", "Riverside Metering", "https://directory.example/m/r"))
	const kind = "application/json"
	body := func(framework, subject, token string) string {
		return fmt.Sprintf(`{"ib1:message":%q,"subject":%q,"body":{"token":%q}}`, framework, subject, token)
	}
	good := body(trust.TrustFramework(), scheme.WithdrawalMessage, "the-banks-token")
	for _, c := range []struct {
		name       string
		from       *http.Client
		kind, body string
		want       int
		revoked    error
	}{
		{"from a bank", bank, kind, good, 403, nil},
		{"from a gateway", gateway, kind, good, 403, nil},
		{"with a revoked certificate", relay, kind, good, 403, errors.New("your certificate is revoked")},
		{"as text", relay, "text/plain", good, 415, nil},
		{"of another framework", relay, kind, body("https://other.example", scheme.WithdrawalMessage, "x"), 400, nil},
		{"about another subject", relay, kind, body(trust.TrustFramework(), "https://other.example", "x"), 400, nil},
		{"without a token", relay, kind, body(trust.TrustFramework(), scheme.WithdrawalMessage, ""), 400, nil},
		{"not JSON", relay, kind, good[:20], 400, nil},
		{"too long", relay, kind, good + strings.Repeat(" ", 1<<20) + "{}", 400, nil},
		{"as it should be", relay, kind, good, 204, nil},
		{"the same again", relay, kind, good, 204, nil},
		{"another's", relay, kind, body(trust.TrustFramework(), scheme.WithdrawalMessage, "another-token"), 204, nil},
		{"another's again", relay, kind, body(trust.TrustFramework(), scheme.WithdrawalMessage, "another-token"), 204, nil},
	} {
		revoked = c.revoked
		res, err := c.from.Post(srv.URL+"/messages", c.kind, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", c.name, res.Status, c.want)
		}
	}
	if _, err := client(nil).Post(srv.URL+"/messages", kind, strings.NewReader(good)); err == nil {
		t.Error("taken without a certificate")
	}
	told := box.told()
	if len(told) != 2 || told[0].Ours || !told[1].Ours || told[1].From != "https://directory.example/a/relay" || told[1].At != "22 November 2026 10:00:00 UTC" {
		t.Errorf("told %+v", told)
	}
	var page strings.Builder
	if err := pages.ExecuteTemplate(&page, "bank", bankView{Told: told}); err != nil || !strings.Contains(page.String(), "the business has withdrawn its permission") || strings.Contains(page.String(), "the-banks-token") {
		t.Errorf("the bank's page: %v\n%s", err, page.String())
	}
	page.Reset()
	if err := pages.ExecuteTemplate(&page, "accountant", told[1:]); err != nil || strings.Count(page.String(), "has withdrawn a permission") != 1 || strings.Contains(page.String(), "the-banks-token") {
		t.Errorf("the accountant's page: %v\n%s", err, page.String())
	}
}
