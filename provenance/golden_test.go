package provenance

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity"
)

type golden struct {
	Framework, Root     string
	Record              json.RawMessage
	ToSign, ToSignInner string
	Steps               []string
}

func readGolden(t testing.TB) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g golden) verifier(t testing.TB) Verifier {
	t.Helper()
	roots, err := identity.ParseCertificates([]byte(g.Root))
	if err != nil {
		t.Fatal(err)
	}
	return Verifier{Roots: identity.Pool(roots...)}
}

// The text that is signed is the one that the reference implementation (0.5.3)
// made of the same record.
func TestGolden(t *testing.T) {
	g := readGolden(t)
	r, err := Parse(g.Framework, g.Record)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.signed.toSign(g.Framework)); got != g.ToSign {
		t.Errorf("the outer list is signed over\n%s\nwant\n%s", got, g.ToSign)
	}
	if got := string(r.signed.elements[0].sub.toSign(g.Framework)); got != g.ToSignInner {
		t.Errorf("the inner list is signed over\n%s\nwant\n%s", got, g.ToSignInner)
	}
	steps, err := r.Verify(g.verifier(t))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range steps {
		ids = append(ids, s.ID)
	}
	if !slices.Equal(ids, g.Steps) {
		t.Errorf("steps %q, want %q", ids, g.Steps)
	}
	again, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if json.Compact(&a, again) != nil || json.Compact(&b, g.Record) != nil || !sameJSON(t, a.Bytes(), b.Bytes()) {
		t.Errorf("parsed and encoded again it became\n%s", again)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		t.Fatal("not JSON")
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}

// What a stranger sends never makes Parse or Verify panic; what they accept,
// they accept again once encoded, with the same steps.
func FuzzParseVerify(f *testing.F) {
	g := readGolden(f)
	v := g.verifier(f)
	f.Add([]byte(g.Record))
	f.Add([]byte(`{"ib1:provenance":"` + g.Framework + `","origins":[],"steps":["e30=",[0,"1","2026-01-01T00:00:00Z","AA=="]]}`))
	f.Add([]byte(`{"ib1:provenance":"` + g.Framework + `","origins":[],"steps":[[[[["a",[0,"1","x","y"]]]]],[0,"1","2026-01-01T00:00:00Z","AA=="]],"certificates":{"1":["x","2"],"2":["x","1"]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Parse(g.Framework, raw)
		if err != nil {
			return
		}
		steps, verr := r.Verify(v)
		out, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("parsed, but cannot be encoded: %v", err)
		}
		again, err := Parse(g.Framework, out)
		if err != nil {
			t.Fatalf("encoded again it cannot be parsed: %v\n%s", err, out)
		}
		steps2, verr2 := again.Verify(v)
		if (verr == nil) != (verr2 == nil) || len(steps) != len(steps2) {
			t.Fatalf("first %d steps, %v; then %d, %v", len(steps), verr, len(steps2), verr2)
		}
		if verr == nil {
			Explain(steps)
			References(steps)
		}
	})
}
