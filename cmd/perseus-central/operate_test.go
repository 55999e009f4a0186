package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
)

// ok runs a command that must succeed, and gives what it printed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := call(t, args...)
	if code != 0 {
		t.Fatalf("%v: %d, %s%s", args, code, out, errs)
	}
	return out
}

// field reads one field of a command's JSON.
func field(t *testing.T, out, name string) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s, _ := v[name].(string)
	if s == "" {
		t.Fatalf("no %s in %s", name, out)
	}
	return s
}

// TestFromCeremonyToServing: roots made apart, issuers' keys elsewhere still;
// then a member, certificates, revocation, and what an outsider sees of it:
// TLS 1.3 on the permitted curves alone, OCSP at the address that certificates
// name, and no secret in the log.
func TestFromCeremonyToServing(t *testing.T) {
	text, p := listened(t)
	more := ports.Free(t, 1)[0]
	safe := t.TempDir() // the issuer's key of one hierarchy is here
	key := filepath.Join(safe, "client.key")
	k, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.WriteKey(key, k); err != nil {
		t.Fatal(err)
	}
	text = strings.Replace(text, `directory: {`, fmt.Sprintf(`directory: {status_url: "http://localhost:%d", status_listen: "127.0.0.1:%d", issuer_keys: {client: "file:%s"}, `, more, more, key), 1)
	path := write(t, text)
	dir, desk := filepath.Dir(path), t.TempDir()
	at := func(name string) string { return filepath.Join(desk, name) }

	ok(t, "ceremony", "request", "--config", path, "--out", at("requests"))
	out := ok(t, "ceremony", "sign", "--organisation", "Example Framework", "--offline", at("medium"), "--requests", at("requests"), "--out", at("signed"),
		"--status-url", fmt.Sprintf("http://localhost:%d", more), "--present", "Dana Doe")
	if !strings.Contains(out, "Dana Doe") || strings.Count(out, "made the root") != 3 {
		t.Errorf("protocol: %s", out)
	}
	files, err := filepath.Glob(at("signed/protocol-*.txt"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	root, err := identity.ReadCertificates(at("signed/server/root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	protocol, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(root[0].Raw)
	if !strings.Contains(strings.ReplaceAll(string(protocol), ":", ""), strings.ToUpper(hex.EncodeToString(sum[:]))) {
		t.Errorf("the root's fingerprint is not in the protocol:\n%s", protocol)
	}
	if code, _, errs := call(t, "serve", "--config", path); code != 1 || !strings.Contains(errs, "ceremony") {
		t.Errorf("served before the ceremony's results were installed: %d %s", code, errs)
	}
	ok(t, "ceremony", "install", "--config", path, "--from", at("signed"))
	if err := os.RemoveAll(at("medium")); err != nil { // in the safe
		t.Fatal(err)
	}
	ok(t, "init", "--config", path)
	var secrets []string
	ok(t, "member", "add", "--config", path, "--id", "bank", "--name", "Bank plc", "--role", "fsp")
	ok(t, "application", "add", "--config", path, "--member", "bank", "--id", "bank-app", "--name", "Loans", "--role", "fsp")
	good := field(t, ok(t, "certificate", "issue", "--config", path, "--application", "bank-app", "--kind", "client", "--out", at("good")), "serial")
	bad := field(t, ok(t, "certificate", "issue", "--config", path, "--application", "bank-app", "--kind", "client", "--out", at("bad")), "serial")
	secrets = append(secrets, field(t, ok(t, "token", "issue", "--config", path, "--member", "bank", "--access", "owner"), "token"),
		field(t, ok(t, "gateway", "add", "--config", path, "--member", "metering", "--name", "G1", "--site", "S1"), "code"))

	var log safeLog
	stop := serving(t, path, &log)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(root...), nil), DisableKeepAlives: true}}
	base := fmt.Sprintf("https://localhost:%d", p[0])
	if answer, body := get(t, client, base+"/healthz", ""); answer.StatusCode != 200 {
		t.Fatal(answer.StatusCode, body)
	}
	do := func(method, path, token string, body any) (int, string) {
		t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	if code, text := do("POST", "/members/certificates/"+bad+"/revoke", secrets[0], map[string]string{}); code != 200 {
		t.Fatalf("revoke: %d %s", code, text)
	}
	code, text := do("POST", "/members/gateways", secrets[0], map[string]string{"name": "G2", "site": "Here"})
	if code != 201 {
		t.Fatalf("gateway: %d %s", code, text)
	}
	secrets = append(secrets, field(t, text, "code"))
	do("GET", "/members/me", "pdt_wrongwrongwrong", nil)
	do("POST", "/gateway/v1/enrollments", "", map[string]string{"code": secrets[2], "client_csr": "x", "signing_csr": "y"})
	askStatus(t, desk, more, map[string]string{"good": good, "bad": bad})
	for _, port := range p {
		scanTLS(t, port)
	}
	stop()

	for _, name := range []string{at("good-key.pem"), at("bad-key.pem"), key, filepath.Join(dir, "relay-identity", "signing.key"), filepath.Join(dir, "authorities", "server", "issuer.key")} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, strings.Split(string(b), "\n")[1]) // the first line of the key
	}
	secrets = append(secrets, "pdt_wrongwrongwrong", "PRIVATE KEY")
	for _, s := range secrets {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log has the secret %.12s..", s)
		}
		if listed := ok(t, "audit", "list", "--config", path, "--format", "json"); strings.Contains(listed, s) {
			t.Errorf("the audit log has the secret %.12s..", s)
		}
	}
	if strings.Contains(log.String(), "roots' keys are on this machine") {
		t.Error("a warning of keys that are not here")
	}
	if listed := ok(t, "audit", "list", "--config", path, "--action", "certificate.revoke", "--format", "csv"); !strings.Contains(listed, "certificate/"+bad) || !strings.Contains(listed, "token:") {
		t.Errorf("the revocation is not in the audit log: %s", listed)
	}
	head := strings.TrimSpace(ok(t, "audit", "head", "--config", path))
	if !strings.Contains(log.String(), "head="+head) {
		t.Errorf("the head %s was not noted in the program's log", head)
	}
	if out := ok(t, "audit", "verify", "--config", path, "--head", head); !strings.Contains(out, "whole") || !strings.Contains(out, head) {
		t.Error(out)
	}
}

// TestBackupAndRestore: a backup while the service is written to, put into an
// empty database of each kind; the service runs upon it, tokens from before are
// good, the audit log goes on.
func TestBackupAndRestore(t *testing.T) {
	text, p := listened(t)
	path := write(t, text)
	dir := filepath.Dir(path)
	ok(t, "init", "--config", path)
	admin := field(t, ok(t, "token", "issue", "--config", path, "--access", "admin"), "token")
	code := field(t, ok(t, "gateway", "add", "--config", path, "--member", "metering", "--name", "G1", "--site", "S1"), "code")
	var log safeLog
	stop := serving(t, path, &log)
	roots, err := identity.ReadCertificates(filepath.Join(dir, "authorities", "server", "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), nil), DisableKeepAlives: true}}
	base := fmt.Sprintf("https://localhost:%d", p[0])
	get(t, client, base+"/healthz", "")
	applications := func() int {
		r, err := http.NewRequestWithContext(t.Context(), "POST", base+"/members/applications", strings.NewReader(`{"scheme":"perseus","title":"Another"}`))
		if err != nil {
			t.Error(err)
			return 0
		}
		r.Header.Set("Authorization", "Bearer "+admin)
		r.Header.Set("X-Organization", "metering")
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	// Three writers; backups among their writes.
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, begun := 0, make(chan struct{})
	ended := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if got := applications(); got != 201 {
					t.Errorf("while a backup is made: %d", got)
					return
				}
				mu.Lock()
				if made++; made == 10 {
					close(begun)
				}
				mu.Unlock()
			}
		})
	}
	<-begun
	file := filepath.Join(dir, "first.backup")
	out := ok(t, "backup", "--config", path, "--out", file)
	head := field(t, out, "audit_head")
	close(ended)
	wg.Wait()
	stop()
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if got, _, errs := call(t, "backup", "--config", path, "--out", file); got != 1 || !strings.Contains(errs, "there already") {
		t.Errorf("over a backup: %d %s", got, errs)
	}
	if got, _, errs := call(t, "restore", "--config", path, "--in", file); got != 1 || !strings.Contains(errs, "not empty") {
		t.Errorf("over a database: %d %s", got, errs)
	}
	ok(t, "audit", "verify", "--config", path, "--head", head)
	checked := ok(t, "restore", "--config", path, "--in", file, "--check")
	if field(t, checked, "sha256") != field(t, out, "sha256") {
		t.Error("the check read something else")
	}

	targets := map[string]func(testing.TB) string{"sqlite": databasetest.SQLite, "postgres": databasetest.Postgres}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			dsn := target(t)
			there := filepath.Join(dir, name+".yaml")
			if err := os.WriteFile(there, []byte(strings.Replace(text, "sqlite:central.db", dsn, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			ok(t, "restore", "--config", there, "--in", file)
			ok(t, "audit", "verify", "--config", there, "--head", head)
			if listed := ok(t, "audit", "list", "--config", there, "--action", "directory.restore", "--format", "json"); !strings.Contains(listed, "codes and links ended") {
				t.Errorf("the restore is not in the audit log: %s", listed)
			}
			counts(t, dsn)
			var log safeLog
			stop := serving(t, there, &log)
			if answer, body := get(t, client, base+"/m/metering", "application/json"); answer.StatusCode != 200 || !strings.Contains(body, "Metering Ltd") {
				t.Errorf("%d %s", answer.StatusCode, body)
			}
			if got := applications(); got != 201 {
				t.Errorf("a token from before the backup: %d", got)
			}
			answer, err := client.Post(base+"/gateway/v1/enrollments", "application/json", strings.NewReader(`{"code":"`+code+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode == 201 {
				t.Error("a code from before the restore enrols")
			}
			stop()
			ok(t, "audit", "verify", "--config", there, "--head", head)
		})
	}
}

// counts checks what holds in every moment: an application for each entry of
// the log that says that one was added, and no more.
func counts(t *testing.T, dsn string) {
	t.Helper()
	db, err := database.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var applications, entries, codes int
	if err := db.QueryRow(`SELECT (SELECT COUNT(*) FROM directory_applications), (SELECT COUNT(*) FROM directory_audit WHERE action = 'application.add'), (SELECT COUNT(*) FROM directory_codes)`).
		Scan(&applications, &entries, &codes); err != nil {
		t.Fatal(err)
	}
	if applications != entries || applications < 11 || codes != 0 {
		t.Errorf("%d applications, %d entries of the audit log, %d codes", applications, entries, codes)
	}
}
