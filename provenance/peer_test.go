package provenance_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/provenance"
)

// peer finds the Python interpreter that has ib1-provenance.
func peer(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("PERSEUS_PEERS_PYTHON"); p != "" {
		return p
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		p := filepath.Join(dir, ".peers", "python", "bin", "python")
		if _, err := os.Stat(p); err == nil {
			return p
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Skip("no Python with ib1-provenance: run make peers")
		}
		dir = up
	}
}

func ask(t *testing.T, request map[string]any, answer any) {
	t.Helper()
	in, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(peer(t), filepath.Join("testdata", "peer.py"))
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if err := json.Unmarshal(out, answer); err != nil {
		t.Fatal(err)
	}
}

func keyPEM(t *testing.T, l *identitytest.Leaf) string {
	der, err := x509.MarshalPKCS8PrivateKey(l.Key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// Every record that we make is accepted by the reference implementation, which
// reads the same steps in the same order under the same signers; and it
// refuses what we tampered with, so that its acceptance means something.
func TestPythonVerifiesOurs(t *testing.T) {
	w := newWorld(t)
	rng := rand.New(rand.NewPCG(7, 11))
	var records []json.RawMessage
	var want [][]provenance.VerifiedStep
	const n = 1000
	for range n {
		r := w.generate(t, rng, 3)
		raw := encode(t, r)
		records = append(records, raw)
		want = append(want, w.verify(t, raw))
	}
	broken := bytes.Replace(records[0], []byte(`"steps":[`), []byte(`"steps":["eyJpZCI6IngiLCJ0eXBlIjoieCJ9",`), 1)
	records = append(records, broken)
	var got []struct {
		Error string
		Steps []map[string]any
	}
	ask(t, map[string]any{"do": "verify", "framework": framework, "root": w.rootPEM(), "records": records}, &got)
	if len(got) != n+1 {
		t.Fatalf("%d answers for %d records", len(got), n+1)
	}
	if got[n].Error == "" {
		t.Error("the reference implementation took a tampered record")
	}
	for i, g := range got[:n] {
		if g.Error != "" {
			t.Fatalf("record %d: %s\n%s", i, g.Error, records[i])
		}
		if len(g.Steps) != len(want[i]) {
			t.Fatalf("record %d: Python reads %d steps, we %d", i, len(g.Steps), len(want[i]))
		}
		for j, s := range g.Steps {
			sig := s["_signature"].(map[string]any)
			delete(s, "_signature")
			compareStep(t, s, sig, want[i][j])
		}
	}
}

// Every record that the reference implementation makes is accepted by us, and
// still is after we have included it, signed and encoded it again.
func TestOursVerifiesPython(t *testing.T) {
	w := newWorld(t)
	var signers []map[string]string
	for _, l := range w.leaves {
		signers = append(signers, map[string]string{"key": keyPEM(t, l), "chain": string(l.PEM())})
	}
	var records []json.RawMessage
	ask(t, map[string]any{"do": "generate", "framework": framework, "root": w.rootPEM(), "signers": signers, "seed": 5, "count": 1000}, &records)
	if len(records) != 1000 {
		t.Fatalf("%d records", len(records))
	}
	var again []json.RawMessage
	steps := 0
	for i, raw := range records {
		r, err := provenance.Parse(framework, raw)
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		got, err := r.Verify(w.verifier())
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		steps += len(got)
		out := provenance.New(framework)
		out.Include(r)
		out.Add(provenance.Receipt{Transfer: "none"})
		if err := out.Sign(w.liveSigner(0)); err != nil {
			t.Fatal(err)
		}
		again = append(again, encode(t, out))
		w.verify(t, again[i])
	}
	if steps < 5000 {
		t.Errorf("only %d steps in 1000 records: the generator is too thin", steps)
	}
	var answers []struct{ Error string }
	ask(t, map[string]any{"do": "verify", "framework": framework, "root": w.rootPEM(), "records": again}, &answers)
	for i, a := range answers {
		if a.Error != "" {
			t.Fatalf("record %d, included by us: %s", i, a.Error)
		}
	}
}

func compareStep(t *testing.T, python, sig map[string]any, ours provenance.VerifiedStep) {
	t.Helper()
	a, _ := json.Marshal(python)
	var flat any
	if err := json.Unmarshal(ours.JSON, &flat); err != nil { // numbers as Python gave them to us: float64
		t.Fatal(err)
	}
	b, _ := json.Marshal(flat)
	if !bytes.Equal(a, b) {
		t.Fatalf("Python reads %s, we %s", a, b)
	}
	who := func(s any) string {
		m := s.(map[string]any)
		return fmt.Sprint(m["member"], m["name"], m["application"], m["roles"])
	}
	mine := func(s provenance.Signature) string {
		return fmt.Sprint(s.Member, s.Organisation, s.Application, s.Roles)
	}
	if who(sig["signed"]) != mine(ours.Signed) {
		t.Fatalf("Python: signed by %s, we: %s", who(sig["signed"]), mine(ours.Signed))
	}
	var theirs, us []string
	for _, s := range sig["includedBy"].([]any) {
		theirs = append(theirs, who(s))
	}
	for _, s := range ours.IncludedBy {
		us = append(us, mine(s))
	}
	if strings.Join(theirs, "|") != strings.Join(us, "|") {
		t.Fatalf("Python: included by %v, we: %v", theirs, us)
	}
}

func (w *world) rootPEM() string {
	return string(identity.EncodeCertificates(w.pki.SigningCA.Root))
}
