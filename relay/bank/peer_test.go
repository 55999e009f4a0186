package bank_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// peerPython is a Python that has the scheme's packages.
func peerPython(t *testing.T) string {
	python := os.Getenv("PERSEUS_PEERS_PYTHON")
	if python == "" {
		python = filepath.Join("..", "..", ".peers", "python", "bin", "python")
		if _, err := os.Stat(python); err != nil {
			t.Skip("no Python with ib1-provenance: run make peers")
		}
	}
	python, err := filepath.Abs(python)
	if err != nil {
		t.Fatal(err)
	}
	return python
}

// The Python of docs/bank.md, as it stands there, takes an answer as it was
// served, and no other figure in it.
func TestPythonOfTheManual(t *testing.T) {
	python := peerPython(t)
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "bank.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(manual), "```python\n")
	code, _, end := strings.Cut(code, "```")
	if !ok || !end {
		t.Fatal("docs/bank.md has no Python")
	}
	w := newWorld(t)
	w.access.Covers = append(w.access.Covers, grant.Cover{Meter: "boiler", Measure: energy.Gas})
	by := w.signing.Signing(gateway, "Ops Ltd", "https://directory.example/m/ops")
	w.statements = func(_ context.Context, _ string, keys []energy.Key, from, to time.Time) (out []ingest.MonthRoot, err error) {
		for m := month.Of(from); m.Start.Before(to); m = m.Next() {
			out = append(out, w.state(by, keys[0], m, m.End(), 1))
		}
		return out, nil
	}
	const registry = "https://localhost:8443/registry/trust-framework" // the demo's
	if !strings.Contains(code, registry) {
		t.Fatalf("docs/bank.md does not name %s", registry)
	}
	code = strings.ReplaceAll(code, registry, w.scheme.TrustFramework())
	answer := w.get("?from=2025-12-01").Body.String()
	for _, c := range []struct{ name, old, new, fails string }{
		{"as served", "", "", ""},
		{"value", `"value":12.500`, `"value":12.501`, "AssertionError"},
		{"unit", `"value":2.500,"unitCode":"KGM"`, `"value":2.500,"unitCode":"TNE"`, "AssertionError"},
		{"kind", `{"type":"gas"`, `{"type":"electricity"`, "AssertionError"},
		{"record", `"steps":[`, `"steps":["eyJpZCI6IngiLCJ0eXBlIjoicmVjZWlwdCJ9",`, "InvalidSignature"},
	} {
		dir := t.TempDir()
		changed := strings.Replace(answer, c.old, c.new, 1)
		if (changed == answer) != (c.fails == "") {
			t.Fatalf("%s: %s is not in the answer", c.name, c.old)
		}
		for name, content := range map[string]string{"check.py": code, "report.json": changed,
			"signing-ca.pem": string(identity.EncodeCertificates(w.signing.SigningCA.Root))} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(python, "check.py")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if (err == nil) != (c.fails == "") || !strings.Contains(string(out), c.fails) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}

// The record that a bank gets is read and accepted by the scheme's reference
// implementation.
func TestPythonVerifiesTheRecord(t *testing.T) {
	python := peerPython(t)
	w := newWorld(t)
	request, err := json.Marshal(map[string]any{"do": "verify", "framework": w.scheme.TrustFramework(),
		"root": string(identity.EncodeCertificates(w.signing.SigningCA.Root)), "records": []any{w.report("?from=2025-12-01").Provenance}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, filepath.Join("..", "..", "provenance", "testdata", "peer.py"))
	cmd.Stdin = bytes.NewReader(request)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers []struct {
		Error string
		Steps []map[string]any
	}
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != 1 || answers[0].Error != "" || len(answers[0].Steps) != 7 {
		t.Errorf("%s, %v", out, err)
	}
}
