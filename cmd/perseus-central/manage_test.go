package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// TestFirstAdministrator: from nothing to the page on which the first
// administrator of a directory begins, and the links for who is in trouble.
func TestFirstAdministrator(t *testing.T) {
	text, _ := listened(t)
	path := write(t, strings.Replace(text, "registry:", "roles: [directory]\nregistry:", 1))
	dir := filepath.Dir(path)
	if code, _, errs := call(t, "init", "--config", path); code != 0 || !strings.Contains(errs, accountsKey) {
		t.Fatalf("init: %d, %s", code, errs)
	}
	key := filepath.Join(dir, "authorities", accountsKey)
	if fi, err := os.Stat(key); err != nil || fi.Mode().Perm() != 0o600 || fi.Size() != 32 {
		t.Fatalf("key %v %v", fi, err)
	}
	for want, args := range map[string][]string{
		"give --email":      {"account", "invite", "--config", path, "--email", "ada@directory.example"},
		"need one such as":  {"account", "invite", "--config", path, "--email", "ada", "--administrator"},
		"not found":         {"account", "restore", "--config", path, "--email", "ada@directory.example"},
		"account password":  {"account"},
		"member: not found": {"account", "invite", "--config", path, "--email", "ada@directory.example", "--member", "none"},
	} {
		if code, _, errs := call(t, args...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	code, out, errs := call(t, "account", "invite", "--config", path, "--email", "Ada@directory.example", "--administrator")
	var made struct{ Email, Link, Expires string }
	if code != 0 || json.Unmarshal([]byte(out), &made) != nil || !strings.Contains(made.Link, "/manage/invitation/") {
		t.Fatalf("invite: %d %s %s", code, out, errs)
	}

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	var log bytes.Buffer
	go func() {
		done <- run(ctx, []string{"serve", "--config", path}, record.Writer(t, "perseus-central serve", nil), record.Writer(t, "perseus-central serve", &log))
	}()
	roots, err := identity.ReadCertificates(filepath.Join(dir, "authorities", "server", "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: identity.Pool(roots...)}}}
	defer client.CloseIdleConnections()
	base, _, _ := strings.Cut(made.Link, "/manage/")
	status(t, client, base+"/healthz") // until it listens
	get := func(url string) (int, string) {
		t.Helper()
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if code, body := get(made.Link); code != 200 || !strings.Contains(body, "to be an administrator") || !strings.Contains(body, "ada@directory.example") {
		t.Errorf("the invitation's page: %d %s", code, body)
	}
	if code, body := get(base + "/"); code != 200 || !strings.Contains(body, `<a href="/manage/">Sign in</a>`) {
		t.Errorf("the first page: %d %s", code, body)
	}
	if code, body := get(base + "/manage"); code != 200 || !strings.Contains(body, "Password") {
		t.Errorf("the page to sign in: %d %s", code, body)
	}
	if code, _ := get(base + "/members/me"); code != 401 {
		t.Errorf("the member API: %d", code)
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("serve: %d %s", code, log.String())
	}
	if _, secret, _ := strings.Cut(made.Link, "/invitation/"); strings.Contains(log.String(), secret) {
		t.Error("the link is in the log")
	}
}

// Machines that share a database must share the key: it is not made in passing.
func TestAccountsKeyOfSeveralMachines(t *testing.T) {
	dir := t.TempDir()
	c := &config{Database: "postgres://x", dir: dir}
	c.Directory.Authorities = "."
	if _, err := openAccounts(c, nil); err == nil || !strings.Contains(err.Error(), "Copy it from another machine") {
		t.Errorf("a missing key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, accountsKey)); err == nil {
		t.Error("a key was made")
	}
}
