package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// IB1's demo carbon accountant, its command-line client, takes the place of the
// demo's: get_code, the callback server, refresh_token. It runs as it is but for
// what it has fixed in its text: the retired licence, the path of the permission
// endpoint, the days of 2024 that it asks for, and its port.
func TestDemoCAP(t *testing.T) {
	node, peers := nodePeer(t, "oauth")
	_, source := nodePeer(t, "demo-cap")
	d := theDemo(t)
	port := ports.Free(t, 1)[0]
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -3)
	top := t.TempDir()
	cli := filepath.Join(top, "cli")
	copyWith(t, filepath.Join(source, "lib", "clientConfig.ts"), filepath.Join(top, "lib", "clientConfig.ts"),
		"https://registry.core.sandbox.trust.ib1.org/scheme/perseus/license/energy-consumption-data/2024-12-05+offline_access", d.license("energy-consumption-edp-cap"))
	copyWith(t, filepath.Join(source, "cli", "callback_server.ts"), filepath.Join(cli, "callback_server.ts"),
		"'/api/v1/permissions'", "'/oauth/permission'", "port = 3000", "port = "+fmt.Sprint(port),
		"from=2024-12-05&to=2024-12-06", "from="+day.Format(time.DateOnly)+"&to="+day.AddDate(0, 0, 1).Format(time.DateOnly))
	for _, name := range []string{"config.ts", "customFetch.ts", "get_code.ts", "refresh_token.ts", "package.json"} {
		copyWith(t, filepath.Join(source, "cli", name), filepath.Join(cli, name))
	}
	nodeModules(t, filepath.Join(peers, "node_modules"), filepath.Join(top, "node_modules"))

	redirect := fmt.Sprintf("http://localhost:%d/callback", port)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, node, append([]string{"--import", "tsx"}, args...)...) // not tsx itself: it would leave its child behind
		cmd.Dir, cmd.WaitDelay = cli, 10*time.Second
		cmd.Env = append(os.Environ(), "APP_ENV=local", "CLI_PUBLIC_SERVER="+d.Issuer, "CLI_MTLS_AUTHORISATION_SERVER="+d.Resource, "CLI_PROTECTED_RESOURCE_URL="+d.Resource,
			"CLI_CLIENT_ID="+d.CAP.ClientID, "CLI_REDIRECT_URI="+redirect, "CLI_POST_LOGIN_REDIRECT="+redirect, "CLI_MTLS_BUNDLE_PATH="+d.file(d.CAP.Cert),
			"CLI_MTLS_KEY_PATH="+d.file(d.CAP.Key), "CLI_SERVER_CA_PATH="+d.file(d.ServerCA))
		return cmd
	}
	out, err := command("get_code.ts").CombinedOutput()
	link := regexp.MustCompile(`(?m)^https://\S*request_uri=\S+$`).Find(out)
	if err != nil || link == nil {
		t.Fatalf("get_code: %v\n%s", err, out)
	}
	browser, err := newClient(d.CAP.ClientID, d.file(d.CAP.Cert), d.file(d.CAP.Key), d.file(d.ServerCA))
	if err != nil {
		t.Fatal(err)
	}
	back, err := agree(ctx, browser.people, string(link), d.SME.Code)
	if err != nil || back.Path != "/callback" {
		t.Fatalf("the business at its browser: %v, %v", back, err)
	}

	server := command("callback_server.ts")
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log // read once it has ended
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); server.Wait() }()
	var got struct {
		Data    []halfHour
		Refresh string `json:"refresh_token"`
	}
	until(t, time.Minute, "the callback server listens", nil, func() error {
		a, err := ask(ctx, &http.Client{Transport: &http.Transport{}}, http.MethodGet, "http://"+back.Host+"/callback", "", nil)
		if err == nil && a.status != http.StatusBadRequest { // no code
			err = fmt.Errorf("%d", a.status)
		}
		return err
	})
	a, err := ask(ctx, &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}, http.MethodGet, back.String(), "", nil)
	if err == nil {
		err = a.into(http.StatusOK, &got)
	}
	if err != nil || got.Refresh == "" || len(got.Data) != 48 {
		cancel()
		server.Wait()
		t.Fatalf("callback: %v, %d half-hours, refresh token %v\n%s", err, len(got.Data), got.Refresh != "", log.String())
	}
	if out, err := command("refresh_token.ts", got.Refresh).CombinedOutput(); err != nil || !strings.Contains(string(out), "flow completed successfully") {
		t.Errorf("refresh_token: %v\n%s", err, out)
	}
	var meta struct {
		Revoke string `json:"revocation_endpoint"`
	}
	a, err = ask(ctx, browser.people, http.MethodGet, d.Issuer+"/.well-known/oauth-authorization-server", "", nil)
	if err == nil {
		err = a.into(http.StatusOK, &meta)
	}
	if err == nil {
		a, err = ask(ctx, browser.programs, http.MethodPost, meta.Revoke, "", url.Values{"token": {got.Refresh}})
	}
	if err != nil || a.status != http.StatusOK {
		t.Errorf("giving the permission back: %d, %v", a.status, err)
	}
}

// copyWith copies a file and replaces pairs of texts, each of which must be there.
func copyWith(t testing.TB, from, to string, pairs ...string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(b, []byte(pairs[i])) {
			t.Fatalf("%s has no %q: it is another version", from, pairs[i])
		}
		b = bytes.ReplaceAll(b, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// nodeModules makes a folder with the installed modules, and an empty one in
// the place of the cloud's secrets manager, which the client loads and does not
// use here.
func nodeModules(t testing.TB, installed, to string) {
	t.Helper()
	all, err := os.ReadDir(installed)
	if err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(to, "@aws-sdk", "client-secrets-manager")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	pkg, _ := json.Marshal(map[string]string{"name": "@aws-sdk/client-secrets-manager", "main": "index.js"})
	for name, text := range map[string]string{"package.json": string(pkg), "index.js": "exports.GetSecretValueCommand = exports.SecretsManagerClient = class {}\n"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range all {
		if err := os.Symlink(filepath.Join(installed, e.Name()), filepath.Join(to, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}
