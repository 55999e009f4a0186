package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

const example = `database: sqlite:central.db
registry: https://registry.example
directory: {url: "https://localhost:%[1]d", listen: "127.0.0.1:%[1]d"}
relay:
  issuer: https://localhost:%[2]d
  issuer_listen: 127.0.0.1:%[2]d
  server: https://localhost:%[3]d
  server_listen: 127.0.0.1:%[3]d
  member: metering
  organisation: Metering Ltd
  history: 30d
`

// listened gives the example, with three addresses that are free.
func listened(t *testing.T) (text string, p []int) {
	t.Helper()
	p = ports.Free(t, 3)
	return fmt.Sprintf(example, p[0], p[1], p[2]), p
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "central.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func call(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, record.Writer(t, "perseus-central", &e))
	return code, o.String(), e.String()
}

func TestConfigurationMistakes(t *testing.T) {
	good := fmt.Sprintf(example, 1, 2, 3)
	for want, text := range map[string]string{
		`unknown field "databse"`:                  good + "databse: x\n",
		"registry: name the registry":              strings.Replace(good, "registry: https://registry.example\n", "", 1),
		"use sqlite:PATH or postgres://":           strings.Replace(good, "sqlite:central.db", "mysql://x", 1),
		`relay.issuer: "http://localhost`:          strings.Replace(good, "issuer: https", "issuer: http", 1),
		`relay.privacy: "http://x"`:                strings.Replace(good, "relay:\n", "relay:\n  privacy: http://x\n", 1),
		`relay.server_listen: "127.0.0.1"`:         strings.Replace(good, "server_listen: 127.0.0.1:3", "server_listen: 127.0.0.1", 1),
		"name the member that runs the relay":      strings.Replace(good, "  member: metering\n", "", 1),
		`"30 days" is not a duration such as 400d`: strings.Replace(good, "30d", "30 days", 1),
		"use directory, relay or both":             good + "roles: [bank]\n",
		"needs certificate and key":                good + "roles: [relay]\n",
		"serve and fetch exclude each other":       good + "terms: {serve: true, fetch: true}\n",
		"terms.listen: of use only with":           good + "terms: {listen: \"127.0.0.1:4\"}\n",
		"terms.cache and terms.ca: of use only":    good + "terms: {cache: x}\n",
		`unknown field "server"`:                   good + "terms: {server: true}\n",
		"make it https://localhost:1/registry":     good + "terms: {serve: true}\n",
		`terms.listen: "4"`:                        good + "terms: {serve: true, listen: \"4\"}\n",
		"terms are served and fetched over https":  strings.Replace(good, "registry: https", "registry: http", 1) + "terms: {fetch: true}\n",
		"lies below directory.url":                 strings.Replace(good, "registry: https://registry.example", "registry: https://localhost:1/registry", 1) + "terms: {serve: true, listen: \"127.0.0.1:4\"}\n",
		"directory.bounds.sites: -1: give":         strings.Replace(good, `"127.0.0.1:1"}`, `"127.0.0.1:1", bounds: {sites: -1}}`, 1),
		`unknown field "certs"`:                    strings.Replace(good, `"127.0.0.1:1"}`, `"127.0.0.1:1", bounds: {certs: 5}}`, 1),
		`networks: "10.0.0.1": give a network`:     strings.Replace(good, `"127.0.0.1:1"}`, `"127.0.0.1:1", acme: {networks: [10.0.0.1]}}`, 1),
		"acme.port: 70000 is not a port":           strings.Replace(good, `"127.0.0.1:1"}`, `"127.0.0.1:1", acme: {port: 70000}}`, 1),
		"terms.serve: needs the role directory":    good + "roles: [relay]\nterms: {serve: true}\n",
	} {
		code, _, errs := call(t, "serve", "--config", write(t, text))
		if code != 2 || !strings.Contains(errs, want) || strings.Contains(errs, "wrong usage") {
			t.Errorf("want %d and %q, got %d and %s", 2, want, code, errs)
		}
	}
}

func TestUsageMistakes(t *testing.T) {
	for want, args := range map[string][]string{
		`no command "sirve"`:                  {"sirve"},
		"member what? Use one of: member add": {"member"},
		"certificate what?":                   {"certificate", "make"},
		"unexpected \"x\"":                    {"serve", "x"},
		"docs/operator.md":                    {"serve", "--config", "/nowhere/central.yaml"},
	} {
		if code, _, errs := call(t, args...); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%v: %d, %s", args, code, errs)
		}
	}
	if code, out, _ := call(t, "help"); code != 0 || !strings.Contains(out, "perseus-central serve") {
		t.Errorf("help: %d, %s", code, out)
	}
}

// A newcomer's first quarter of an hour: init (twice), a bank, a gateway,
// serve; then every address answers as it should, and stop.
func TestFromNothingToServing(t *testing.T) {
	text, p := listened(t)
	path := write(t, text)
	dir := filepath.Dir(path)
	for range 2 {
		if code, _, errs := call(t, "init", "--config", path); code != 0 {
			t.Fatalf("init: %d, %s", code, errs)
		}
	}
	for _, args := range [][]string{
		{"member", "add", "--id", "bank", "--name", "Bank plc", "--role", "fsp"},
		{"application", "add", "--member", "bank", "--id", "bank-app", "--name", "Loans", "--role", "fsp"},
		{"certificate", "issue", "--application", "bank-app", "--kind", "client", "--out", filepath.Join(dir, "bank")},
		{"gateway", "add", "--member", "metering", "--name", "G1", "--site", "S1"},
		{"token", "issue", "--member", "metering", "--access", "owner"},
		{"token", "issue", "--access", "admin"},
	} {
		code, out, errs := call(t, append(args, "--config", path)...)
		if code != 0 || !json.Valid([]byte(out)) {
			t.Fatalf("%v: %d, %s%s", args, code, out, errs)
		}
	}
	if code, _, errs := call(t, "application", "add", "--member", "bank", "--id", "x", "--name", "X", "--role", "cap", "--config", path); code != 1 || !strings.Contains(errs, "role") {
		t.Errorf("an application with a role that its member lacks: %d, %s", code, errs)
	}

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int)
	var log bytes.Buffer
	go func() {
		done <- run(ctx, []string{"serve", "--config", path}, record.Writer(t, "perseus-central serve", &log), record.Writer(t, "perseus-central serve", &log))
	}()
	roots, err := identity.ReadCertificates(filepath.Join(dir, "authorities", "server", "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := identity.KeyPair(filepath.Join(dir, "bank-bundle.pem"), filepath.Join(dir, "bank-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), nil)}}
	mutual := &http.Client{Transport: &http.Transport{TLSClientConfig: identity.ClientTLS(identity.Pool(roots...), func() (*tls.Certificate, error) { return pair, nil })}}
	for _, c := range []struct {
		client *http.Client
		url    string
		want   int // 0: the connection is refused
	}{
		{plain, fmt.Sprintf("https://localhost:%d/healthz", p[0]), 200},
		{plain, fmt.Sprintf("https://localhost:%d/m/bank", p[0]), 200},
		{plain, fmt.Sprintf("https://localhost:%d/healthz", p[1]), 200},
		{plain, fmt.Sprintf("https://localhost:%d/.well-known/oauth-authorization-server", p[1]), 200},
		{plain, fmt.Sprintf("https://localhost:%d/healthz", p[2]), 0},
		{mutual, fmt.Sprintf("https://localhost:%d/healthz", p[2]), 200},
		{mutual, fmt.Sprintf("https://localhost:%d/emissions?from=2026-01-01T00:00:00Z", p[2]), 401},
		{mutual, fmt.Sprintf("https://localhost:%d/heartbeat", p[2]), 200},
	} {
		if got := status(t, c.client, c.url); got != c.want {
			t.Errorf("%s: %d, want %d", c.url, got, c.want)
		}
	}
	var services struct{ APIs []any }
	resp, err := plain.Get(fmt.Sprintf("https://localhost:%d/query/data-services?conformsTo=https://registry.example/scheme/perseus/standard/energy-consumption-data/2026-03-12", p[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(resp.Body).Decode(&services); err != nil || len(services.APIs) != 1 {
		t.Errorf("the relay's consumption API is not listed: %v, %v", services, err)
	}
	resp.Body.Close()
	plain.CloseIdleConnections()
	mutual.CloseIdleConnections()
	stop()
	select {
	case code := <-done:
		if code != 0 {
			t.Errorf("serve ended with %d:\n%s", code, log.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("serve does not stop within a minute")
	}
}

// status gives the answer's code; it waits for the listener for a minute.
func status(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		resp, err := c.Get(url)
		if err == nil {
			resp.Body.Close()
			return resp.StatusCode
		}
		if !strings.Contains(err.Error(), "connection refused") {
			return 0
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestTakenPortIsSaidAtOnce(t *testing.T) {
	text, p := listened(t)
	l := ports.Listen(t, fmt.Sprintf("127.0.0.1:%d", p[2]))
	defer l.Close()
	path := write(t, text)
	if code, _, errs := call(t, "init", "--config", path); code != 0 {
		t.Fatal(errs)
	}
	code, _, errs := call(t, "serve", "--config", path)
	if code != 1 || !strings.Contains(errs, "cannot listen at") {
		t.Errorf("%d, %s", code, errs)
	}
}
