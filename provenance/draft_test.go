package provenance_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/provenance"
)

func TestDraft(t *testing.T) {
	w := newWorld(t)
	in, _ := w.consumption(t)
	raw := `{"ib1:provenance":"` + framework + `","include":[` + string(encode(t, in)) + `],"steps":[
		{"label":"p","type":"permission","account":"a"},
		{"label":"o","type":"origin","origin":"https://x.example","permissions":["#p"],"timestamp":"2026-01-01T00:00:00Z"},
		{"type":"transfer","of":"#o","to":"https://y.example"},
		{"type":"process","inputs":["#o","elsewhere"]}]}`
	d, err := provenance.ParseDraft([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Record()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sign(w.signer(1)); err != nil {
		t.Fatal(err)
	}
	steps := w.verify(t, encode(t, r))
	if len(steps) != 7 || steps[5].Body["of"] != steps[4].ID || fmt.Sprint(steps[6].Body["inputs"]) != fmt.Sprintf("[%s elsewhere]", steps[4].ID) || fmt.Sprint(steps[4].Body["permissions"]) != fmt.Sprintf("[%s]", steps[3].ID) {
		t.Errorf("%s", provenance.Tree(steps))
	}
	if _, ok := steps[3].Body["label"]; ok {
		t.Error("the label is in the record")
	}
	for name, c := range map[string][2]string{
		"no framework":      {`{"steps":[{"type":"x"}]}`, "ib1:provenance"},
		"empty":             {`{"ib1:provenance":"x","steps":[]}`, "neither steps"},
		"no type":           {`{"ib1:provenance":"x","steps":[{"a":"b"}]}`, "step 1: the step has no type"},
		"own id":            {`{"ib1:provenance":"x","steps":[{"type":"x","id":"y"}]}`, "own id"},
		"unknown label":     {`{"ib1:provenance":"x","steps":[{"type":"x","of":"#y"}]}`, `label "y"`},
		"label of a later":  {`{"ib1:provenance":"x","steps":[{"type":"x","of":"#y"},{"type":"x","label":"y"}]}`, `label "y"`},
		"label twice":       {`{"ib1:provenance":"x","steps":[{"type":"x","label":"y"},{"type":"x","label":"y"}]}`, "text of its own"},
		"bad record":        {`{"ib1:provenance":"x","include":[{}],"steps":[{"type":"x"}]}`, "record 1 to include"},
		"another framework": {`{"ib1:provenance":"x","include":[` + string(encode(t, in)) + `],"steps":[{"type":"x"}]}`, "belongs to the trust framework"},
		"no JSON":           {`x`, "not a draft"},
	} {
		if _, err := provenance.ParseDraft([]byte(c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %q", name, err, c[1])
		}
	}
}

func TestMerge(t *testing.T) {
	w := newWorld(t)
	a, _ := w.consumption(t)
	b, _ := w.consumption(t)
	r, err := provenance.Merge(a, b, a)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sign(w.signer(1)); err != nil {
		t.Fatal(err)
	}
	raw := encode(t, r)
	steps := w.verify(t, raw)
	if len(steps) != 6 || len(steps[0].IncludedBy) != 1 {
		t.Errorf("%s", provenance.Tree(steps))
	}
	origins, err := r.Origins()
	if err != nil || len(origins) != 2 {
		t.Errorf("%v, %v", origins, err)
	}
	var back struct{ Origins []string }
	if err := json.Unmarshal(raw, &back); err != nil || len(back.Origins) != 2 {
		t.Errorf("%v, %v", back, err)
	}
	if _, err := provenance.Merge(); err == nil {
		t.Error("nothing was merged")
	}
	if _, err := provenance.Merge(a, provenance.New(framework)); err == nil {
		t.Error("a record that is not signed was merged")
	}
	other := provenance.New("https://other.example")
	other.Add(provenance.Receipt{})
	if err := other.Sign(w.signer(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := provenance.Merge(a, other); err == nil {
		t.Error("records of two trust frameworks were merged")
	}
}

func TestTree(t *testing.T) {
	w := newWorld(t)
	steps := w.verify(t, encode(t, w.emissions(t)))
	const want = `Carbon & Co (https://directory.example/a/1) signed at 2026-03-12T10:00:00Z
├─ Relay Ltd (https://directory.example/a/0) signed at 2026-03-12T10:00:00Z
│  ├─ 1. permission until "2027-02-12T10:00:00Z", 2026-02-12T10:00:00Z
│  ├─ 2. origin "Meter" from "https://directory.example/g/1", 2026-03-12T10:00:00Z <- permissions 1
│  └─ 3. transfer to "https://directory.example/a/1" under "x", 2026-03-12T10:00:00Z <- of 2, permissions 1
├─ 4. receipt, 2026-03-12T10:00:00Z <- transfer 3
├─ 5. origin "GridCarbonIntensity" from "https://api.carbonintensity.org.uk/", 2026-03-12T10:00:00Z
├─ 6. process "electricity-emissions-calculation", 2026-03-12T10:00:00Z <- inputs 4, inputs 5
└─ 7. transfer to "https://directory.example/a/2" under "", 2026-03-12T10:00:00Z <- of 6
`
	if got := provenance.Tree(steps); got != want {
		t.Errorf("got\n%s want\n%s", got, want)
	}
	if got := provenance.Tree(nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

// A stranger's text can neither end a label nor begin an escape, and every
// bracket is closed.
func TestGraphviz(t *testing.T) {
	w := newWorld(t)
	r := provenance.New(framework)
	p := r.Add(provenance.Permission{Account: "a"})
	r.Add(provenance.Transfer{Of: "nowhere", To: "x\"]; evil [label=\"\\N\n\x00<b>", Permissions: []string{p}})
	if err := r.Sign(w.signer(0)); err != nil {
		t.Fatal(err)
	}
	got := provenance.Graphviz(w.verify(t, encode(t, r)))
	for _, want := range []string{"digraph provenance {", "subgraph cluster_1 {", "s1 -> s2", "not in the record", "Relay Ltd"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	quotes, depth := 0, 0
	for i := 0; i < len(got); i++ {
		switch c := got[i]; {
		case c == '\\':
			i++
		case c == '"':
			quotes++
		case quotes%2 == 0 && c == '{':
			depth++
		case quotes%2 == 0 && c == '}':
			depth--
		case c == 0:
			t.Error("a control character went out")
		}
	}
	if quotes%2 != 0 || depth != 0 || strings.Contains(got, `evil [label="`) {
		t.Errorf("the picture is broken:\n%s", got)
	}
	if n := strings.Count(provenance.Graphviz(w.verify(t, encode(t, w.emissions(t)))), "subgraph"); n != 2 {
		t.Errorf("%d boxes, want one for each of two hands", n)
	}
}

func FuzzParseDraft(f *testing.F) {
	f.Add([]byte(`{"ib1:provenance":"x","steps":[{"type":"x","label":"y"},{"type":"x","of":"#y","inputs":["#y",1,null]}]}`))
	f.Add([]byte(`{"ib1:provenance":"x","include":[{}],"steps":[null]}`))
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := provenance.ParseDraft(raw)
		if err != nil {
			return
		}
		r, err := d.Record()
		if err != nil {
			t.Fatalf("read, but no record: %v", err)
		}
		if err := r.Sign(w.signer(0)); err != nil {
			return // a step may be beyond what can be signed, such as of reserved names
		}
		out := encode(t, r)
		back, err := provenance.Parse(d.TrustFramework, out)
		if err != nil {
			t.Fatalf("signed, and cannot be read: %v\n%s", err, out)
		}
		if _, err := back.Verify(w.verifier()); err != nil {
			t.Fatalf("signed, and does not verify: %v\n%s", err, out)
		}
	})
}
