package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore/keystoretest"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// TestIssuersKeysInAToken: the ceremony, with the issuers' keys in a PKCS#11
// token, by the commands; then certificates, a revocation, the list and OCSP of a
// directory that serves, as an outsider reads them.
func TestIssuersKeysInAToken(t *testing.T) {
	tok := keystoretest.NewToken(t, "Directory 1")
	text, _ := listened(t)
	more := ports.Free(t, 1)[0]
	text = strings.Replace(text, `directory: {`, fmt.Sprintf(`directory: {status_url: "http://localhost:%d", status_listen: "127.0.0.1:%d", issuer_keys: {client: "%s", signing: "%s", server: "%s"}, `,
		more, more, tok.Kind, tok.Kind, tok.Kind), 1)
	path := write(t, text)
	dir, desk := filepath.Dir(path), t.TempDir()
	at := func(name string) string { return filepath.Join(desk, name) }

	out := ok(t, "ceremony", "request", "--config", path, "--out", at("requests"))
	if !strings.Contains(out, "Made 3 issuers' keys") || tok.Keys() != 3 {
		t.Errorf("%s%d keys in the token", out, tok.Keys())
	}
	if out = ok(t, "ceremony", "request", "--config", path, "--out", at("requests")); !strings.Contains(out, "Made 0 issuers' keys") || tok.Keys() != 3 {
		t.Errorf("again: %s%d keys in the token", out, tok.Keys())
	}
	ok(t, "ceremony", "sign", "--organisation", "Example Framework", "--offline", at("medium"), "--requests", at("requests"), "--out", at("signed"), "--status-url", fmt.Sprintf("http://localhost:%d", more))
	ok(t, "ceremony", "install", "--config", path, "--from", at("signed"))
	ok(t, "init", "--config", path)
	ok(t, "member", "add", "--config", path, "--id", "bank", "--name", "Bank plc", "--role", "fsp")
	ok(t, "application", "add", "--config", path, "--member", "bank", "--id", "bank-app", "--name", "Loans", "--role", "fsp")
	good := field(t, ok(t, "certificate", "issue", "--config", path, "--application", "bank-app", "--kind", "client", "--out", at("good")), "serial")
	bad := field(t, ok(t, "certificate", "issue", "--config", path, "--application", "bank-app", "--kind", "client", "--out", at("bad")), "serial")
	ok(t, "certificate", "revoke", "--config", path, "--serial", bad)
	roots, err := identity.ReadCertificates(filepath.Join(dir, "authorities", "client", "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := identity.ReadCertificates(at("good-bundle.pem"))
	if err == nil {
		_, err = bundle[0].Verify(x509.VerifyOptions{Roots: identity.Pool(roots...), Intermediates: identity.Pool(bundle[1:]...), CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	}
	if err != nil {
		t.Error(err)
	}
	var log safeLog
	stop := serving(t, path, &log)
	askStatus(t, desk, more, map[string]string{"good": good, "bad": bad})
	stop()
	for _, h := range []string{"client", "signing", "server"} {
		b, err := os.ReadFile(filepath.Join(dir, "authorities", h, "issuer.key"))
		if err != nil || strings.Contains(string(b), "PRIVATE KEY") {
			t.Errorf("%s: %v: %s", h, err, b)
		}
	}
	if strings.Contains(log.String(), tok.PIN) {
		t.Error("the PIN is in the log")
	}

	tok.Pull()
	if code, _, errs := call(t, "serve", "--config", path); code != 1 || !strings.Contains(errs, `the token "Directory 1"`) || !strings.Contains(errs, "is not plugged in") || strings.Contains(errs, "gateway") {
		t.Errorf("without the token: %d %s", code, errs)
	}
}
