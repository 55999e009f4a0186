package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/notice"
)

// TestWarningsSend: from the configuration to a webhook's receiver, once.
func TestWarningsSend(t *testing.T) {
	type got struct {
		ID   string
		Data struct{ Kind, Ends string }
	}
	var received []got
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		at, signature, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Perseus-Signature"), "t="), ",v1=")
		if signature != notice.Sign([]byte("a secret of ours"), at, b) {
			t.Errorf("signature %q", r.Header.Get("Perseus-Signature"))
		}
		var g got
		if err := json.Unmarshal(b, &g); err != nil {
			t.Error(err)
		}
		received = append(received, g)
	}))
	defer srv.Close()
	text, _ := listened(t)
	path := write(t, strings.Replace(text, "directory: {", fmt.Sprintf(`directory: {warnings: {webhook: {url: "%s/hook", secret_file: hook-secret}}, `, srv.URL), 1))
	ok(t, "init", "--config", path)
	if code, _, errs := call(t, "warnings", "send", "--config", path); code != 1 || !strings.Contains(errs, "hook-secret") {
		t.Errorf("without its secret: %d %s", code, errs)
	}
	secret := filepath.Join(filepath.Dir(path), "hook-secret")
	if err := os.WriteFile(secret, []byte("a secret of ours\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := call(t, "warnings", "send", "--config", path); code != 1 || !strings.Contains(errs, "chmod 600") {
		t.Errorf("a secret that others can read: %d %s", code, errs)
	}
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := ok(t, "warnings", "send", "--config", path); !strings.Contains(out, `"sent": 0`) {
		t.Errorf("nothing ends within a month: %s", out)
	}
	// The relay's own certificates, and the lists of three roots; and once.
	out := ok(t, "warnings", "send", "--config", path, "--days", "400")
	if !strings.Contains(out, fmt.Sprintf(`"sent": %d`, len(received))) {
		t.Errorf("%s, received %d", out, len(received))
	}
	if again := ok(t, "warnings", "send", "--config", path, "--days", "400"); !strings.Contains(again, `"sent": 0`) {
		t.Errorf("again: %s", again)
	}
	kinds := map[string]int{}
	for _, g := range received {
		kinds[g.Data.Kind]++
	}
	if kinds["signing"] != 1 || kinds["root-list"] != 3 {
		t.Errorf("received %+v", received)
	}
}

func TestOperatorsMistakes(t *testing.T) {
	good := fmt.Sprintf(example, 1, 2, 3)
	in := func(text string) string { return strings.Replace(good, "directory: {", "directory: {"+text+", ", 1) }
	for want, text := range map[string]string{
		`status_url: "status.example.org"`:                    in(`status_url: status.example.org`),
		"of use only with directory.status_url":               in(`status_listen: "127.0.0.1:80"`),
		`issuer_keys: "relay": use client`:                    in(`issuer_keys: {relay: "file:x"}`),
		"give days from 1 to 400":                             in(`warnings: {days: [0]}`),
		"give secret_file":                                    in(`warnings: {webhook: {url: "https://x.example/"}}`),
		"a user needs password_file":                          in(`warnings: {mail: {server: "smtp://x", user: u}}`),
		"needs 16 characters":                                 "",
		"has neither mail.server nor webhook.url":             good,
		"opens keys of the kinds file, pkcs11, tpm only: use": in(`issuer_keys: {client: "awskms:key"}`),
		"a PIN does not belong there":                         in(`issuer_keys: {client: "pkcs11:token=x?pin-value=1"}`),
	} {
		args := []string{"serve"}
		switch {
		case text == "":
			text = in(`warnings: {webhook: {url: "https://x.example/", secret_file: short}}`)
			args = []string{"warnings", "send"}
		case text == good:
			args = []string{"warnings", "send"}
		}
		path := write(t, text)
		if args[0] == "warnings" {
			ok(t, "init", "--config", path)
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), "short"), []byte("short"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if code, _, errs := call(t, append(args, "--config", path)...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s, want %q", args, code, errs, want)
		}
	}
	if code, _, errs := call(t, "audit", "verify", "--config", write(t, good)); code != 1 || !strings.Contains(errs, "has no audit log") {
		t.Errorf("a database without tables: %d %s", code, errs)
	}
	made := write(t, good)
	ok(t, "init", "--config", made)
	for _, args := range [][]string{{"ceremony", "sign"}, {"ceremony", "sign", "x"}, {"ceremony", "request", "--config", write(t, good)}, {"ceremony", "install", "--config", write(t, good)}, {"backup", "--config", write(t, good)},
		{"restore", "--config", write(t, good)}, {"audit", "list", "--config", made, "--format", "xml"}, {"audit", "verify", "--config", write(t, good), "--head", "12"}} {
		if code, _, errs := call(t, args...); code != 2 {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}
