package bank_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
)

// The record that a bank gets is read and accepted by the scheme's reference
// implementation.
func TestPythonVerifiesTheRecord(t *testing.T) {
	python := os.Getenv("PERSEUS_PEERS_PYTHON")
	if python == "" {
		python = filepath.Join("..", "..", ".peers", "python", "bin", "python")
		if _, err := os.Stat(python); err != nil {
			t.Skip("no Python with ib1-provenance: run make peers")
		}
	}
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
