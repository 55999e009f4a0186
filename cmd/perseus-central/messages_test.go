package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// A client of a served relay hears of a withdrawal at the address that its
// member entered in the directory: it sees the relay's certificate, and the
// relay checks its. Everything is as init made it.
func TestServeTellsTheClient(t *testing.T) {
	text, p := listened(t)
	path := write(t, text+"  messages: {private: true}\n  metrics_listen: 127.0.0.1:0\n")
	dir := filepath.Dir(path)
	if code, _, errs := call(t, "init", "--config", path); code != 0 {
		t.Fatal(errs)
	}
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	db, directory, err := openDirectory(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// The client's own server, with a certificate of the directory.
	certs, err := directory.ServerCertificates(t.Context(), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	type delivered struct{ from, body string }
	got := make(chan delivered, 10)
	inbox := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := identity.RequestPeer(r)
		b, _ := io.ReadAll(r.Body)
		if err == nil && r.URL.Path == "/in" {
			got <- delivered{peer.Application, string(b)}
		}
	}))
	inbox.TLS = identity.ServerTLS(certs.Certificate, directory.Authorities.Client.Pool())
	cert, err := certs.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	inbox.TLS.Certificates = []tls.Certificate{*cert}
	inbox.StartTLS()
	defer inbox.Close()
	for _, args := range [][]string{
		{"member", "add", "--id", "bank", "--name", "Bank plc", "--role", "fsp"},
		{"application", "add", "--member", "bank", "--id", "bank-app", "--name", "Loans", "--role", "fsp", "--messages", strings.Replace(inbox.URL, "127.0.0.1", "localhost", 1) + "/in"},
		{"certificate", "issue", "--application", "bank-app", "--kind", "client", "--out", filepath.Join(dir, "bank")},
	} {
		if code, out, errs := call(t, append(args, "--config", path)...); code != 0 {
			t.Fatalf("%v: %d, %s%s", args, code, out, errs)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int)
	var log bytes.Buffer
	go func() {
		done <- run(ctx, []string{"serve", "--config", path}, record.Writer(t, "perseus-central serve", &log), record.Writer(t, "perseus-central serve", &log))
	}()
	defer func() {
		stop()
		if code := <-done; code != 0 {
			t.Errorf("serve ended with %d:\n%s", code, log.String())
		}
	}()
	pair, err := identity.KeyPair(filepath.Join(dir, "bank-bundle.pem"), filepath.Join(dir, "bank-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := directory.Authorities.Server.Pool()
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	browser := &http.Client{CheckRedirect: stay, Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(roots, nil)}}
	bank := &http.Client{CheckRedirect: stay, Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(roots, func() (*tls.Certificate, error) { return pair, nil })}}
	defer browser.CloseIdleConnections()
	defer bank.CloseIdleConnections()
	issuer, server := fmt.Sprintf("https://localhost:%d", p[1]), fmt.Sprintf("https://localhost:%d", p[2])
	status(t, browser, issuer+"/healthz")
	status(t, bank, server+"/healthz")
	// A site, as its gateway would register it.
	const code = "7K2M-9QXA-04TB"
	hash := sha256.Sum256([]byte(code))
	if _, err := db.Exec(`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ('https://d.example/g/1', $1, 'Unit 4', 'SW8', $2, 0, 0)`, c.Relay.Gateways[0], hash[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO meter (gateway, meter, type, measures, source, listed) VALUES ('https://d.example/g/1', 'main', 'electricity', 'import', 's1', TRUE)`); err != nil {
		t.Fatal(err)
	}
	post := func(cl *http.Client, to string, f url.Values) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(f.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", issuer)
		res, err := cl.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	verifier := strings.Repeat("v", 43)
	challenge := sha256.Sum256([]byte(verifier))
	id := fmt.Sprintf("https://localhost:%d/a/bank-app", p[0])
	_, pushed := post(bank, server+"/oauth/par", url.Values{"client_id": {id}, "response_type": {"code"}, "scope": {c.scheme.LicenseEmissions()}, "redirect_uri": {"http://127.0.0.1:1/cb"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}})
	var par struct {
		URI string `json:"request_uri"`
	}
	if json.Unmarshal([]byte(pushed), &par) != nil || par.URI == "" {
		t.Fatal(pushed)
	}
	f := url.Values{"client_id": {id}, "request_uri": {par.URI}, "code": {code}}
	_, page := post(browser, issuer+"/authorize", f)
	seen := regexp.MustCompile(`name="seen" value="([^"]+)"`).FindStringSubmatch(page)
	if seen == nil {
		t.Fatal(page)
	}
	f.Set("seen", seen[1])
	f.Set("decision", "agree")
	res, page := post(browser, issuer+"/authorize", f)
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		t.Fatal(res.Status, page)
	}
	_, answer := post(bank, server+"/oauth/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "code": {back.Query().Get("code")}, "redirect_uri": {"http://127.0.0.1:1/cb"}, "code_verifier": {verifier}})
	var tokens struct {
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal([]byte(answer), &tokens) != nil || tokens.Refresh == "" {
		t.Fatal(answer)
	}
	var given string
	if err := db.QueryRow(`SELECT id FROM permissions`).Scan(&given); err != nil {
		t.Fatal(err)
	}
	if res, page := post(browser, issuer+"/permissions/withdraw", url.Values{"code": {code}, "permission": {given}}); res.StatusCode != 200 {
		t.Fatal(res.Status, page)
	}
	select {
	case m := <-got:
		want := `{"ib1:message":"https://registry.example/trust-framework","subject":"https://registry.trust.ib1.org/message/withdrawal-of-permission/2025-03-16","body":{"token":"` + tokens.Refresh + `"}}`
		if m.from != fmt.Sprintf("https://localhost:%d/a/relay", p[0]) || m.body != want {
			t.Errorf("from %s: %s", m.from, m.body)
		}
	case <-time.After(90 * time.Second):
		t.Fatalf("the client was not told:\n%s", log.String())
	}
}
