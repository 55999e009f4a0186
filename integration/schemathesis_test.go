package integration

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// schemathesis asks the running demo for everything that its own OpenAPI
// document promises, with good and with bad data: nothing is a server error,
// and every answer has a status, a type, headers and a body that the document
// states.
func TestSchemathesis(t *testing.T) {
	st, err := filepath.Abs(filepath.Join("..", ".peers", "schemathesis", "bin", "st"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(st); err != nil {
		t.Skip("no .peers/schemathesis: run make peers")
	}
	d := theDemo(t)
	carbon, err := newClient(d.CAP.ClientID, d.file(d.CAP.Cert), d.file(d.CAP.Key), d.file(d.ServerCA))
	if err != nil {
		t.Fatal(err)
	}
	bank, err := newClient(d.BankClient.ClientID, d.file(d.BankClient.Cert), d.file(d.BankClient.Key), d.file(d.ServerCA))
	if err != nil {
		t.Fatal(err)
	}
	for c, license := range map[*client]string{carbon: "energy-consumption-edp-cap", bank: "emissions-cap-fsp"} {
		c.issuer, c.resource, c.license = d.Issuer, d.Resource, d.license(license)
		if err := c.permit(t.Context(), d.SME.Code); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	writeFile(t, dir, "openapi.json", string(documentFor(t, d, carbon)))
	// What is too large is rejected too.
	writeFile(t, dir, "schemathesis.toml", "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429]\n")

	checks := "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method"
	carbonFiles := []string{"--request-cert", d.file(d.CAP.Cert), "--request-cert-key", d.file(d.CAP.Key)}
	bankFiles := []string{"--request-cert", d.file(d.BankClient.Cert), "--request-cert-key", d.file(d.BankClient.Key)}
	for _, run := range []struct {
		name string
		at   string
		args []string
	}{
		{"issuer", d.Resource, append(carbonFiles, "--include-tag", "issuer", "--include-tag", "service", "--exclude-operation-id", "metadata", "--exclude-operation-id", "openapi")},
		{"consumption", d.Resource, append(carbonFiles, "--include-tag", "consumption", "-H", "Authorization: Bearer "+carbon.access)},
		{"emissions", d.Bank, append(bankFiles, "--include-tag", "emissions", "-H", "Authorization: Bearer "+bank.access)},
		// No gateway's certificate: what others get there. Batches have a type of their own, which nobody else can make.
		{"gateway", d.Resource, append(carbonFiles, "--include-tag", "gateway", "--exclude-operation-id", "batch")},
		{"people", d.Issuer, []string{"--include-tag", "pages", "--include-operation-id", "metadata", "--include-operation-id", "openapi"}},
	} {
		t.Run(run.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, st, append([]string{"run", filepath.Join(dir, "openapi.json"), "--url", run.at, "--tls-verify", d.file(d.ServerCA), "--checks", checks,
				"--phases", "coverage,fuzzing", "--max-examples", "10", "--max-time", "8", "--seed", "1", "--continue-on-failure", "--warnings", "off", "--no-color"}, run.args...)...)
			cmd.Dir, cmd.WaitDelay = dir, 10*time.Second
			cmd.Env = append(os.Environ(), "HYPOTHESIS_STORAGE_DIRECTORY="+filepath.Join(dir, "hypothesis"))
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "generated") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// documentFor is the document as the demo serves it, with what only this client
// may say in the place of "a string", so that good requests are good ones.
func documentFor(t *testing.T, d *description, c *client) []byte {
	t.Helper()
	a, err := ask(t.Context(), c.people, http.MethodGet, d.Issuer+"/openapi.json", "", nil)
	var doc map[string]any
	if err == nil {
		err = a.into(http.StatusOK, &doc)
	}
	if err != nil {
		t.Fatalf("the demo's OpenAPI document: %v", err)
	}
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	set := func(schema, property string, to map[string]any) {
		schemas[schema].(map[string]any)["properties"].(map[string]any)[property] = to
	}
	id := map[string]any{"const": c.id}
	set("PushedRequest", "client_id", id)
	set("TokenRequest", "client_id", id)
	set("PushedRequest", "scope", map[string]any{"const": c.license})
	set("PushedRequest", "redirect_uri", map[string]any{"enum": []string{c.redirect, "https://app.example/back"}})
	set("Message", "ib1:message", map[string]any{"const": d.TrustFramework})
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
