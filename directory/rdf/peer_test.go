package rdf

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// rdflib finds a Python that has it.
func rdflib(t *testing.T) string {
	t.Helper()
	python := os.Getenv("PERSEUS_PEERS_PYTHON")
	if python == "" {
		python = filepath.Join("..", "..", ".peers", "python", "bin", "python")
	}
	if out, err := exec.Command(python, "-c", "import rdflib").CombinedOutput(); err != nil {
		t.Skipf("no Python with rdflib: run make peers (%v %.200s)", err, strings.TrimSpace(string(out)))
	}
	return python
}

type document struct {
	Format string `json:"format"`
	Text   string `json:"text"`
}

// TestRdflibReadsTheSame: an independent parser finds the same triples in all
// three forms, and those that we meant: N-Triples are written here anew.
func TestRdflibReadsTheSame(t *testing.T) {
	python := rdflib(t)
	var sets [][]document
	var counts []int
	for seed := range 300 { // the same graphs each time
		g := graphs(false).Example(seed)
		var nt strings.Builder
		for _, x := range g.Triples() {
			nt.WriteString(x.S.String() + " " + x.P.String() + " " + x.O.String() + " .\n")
		}
		xml, err := g.XML()
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, []document{{"nt", nt.String()}, {"turtle", string(g.Turtle())}, {"json-ld", string(g.JSONLD())}, {"xml", string(xml)}})
		counts = append(counts, g.Len())
	}
	check(t, python, sets, func(i, triples int) {
		if triples != counts[i] {
			t.Errorf("%d statements were written, rdflib reads %d:\n%s", counts[i], triples, sets[i][1].Text)
		}
	})
}

// TestRdflibReadsWhatWeRead: the documents of the reader's own table.
func TestRdflibReadsWhatWeRead(t *testing.T) {
	python := rdflib(t)
	var sets [][]document
	for _, c := range readCases {
		if c.name == unnormalised {
			continue
		}
		g, err := read(c.format, c.text)
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, []document{{c.format, c.text}, {"turtle", string(g.Turtle())}})
	}
	check(t, python, sets, nil)
}

func check(t *testing.T, python string, sets [][]document, each func(i, triples int)) {
	t.Helper()
	in, err := json.Marshal(sets)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, filepath.Join("testdata", "same.py"))
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var out []struct {
		Triples int
		Same    bool
		Error   string
	}
	if err := json.Unmarshal(b, &out); err != nil || len(out) != len(sets) {
		t.Fatalf("%v: %d answers for %d questions", err, len(out), len(sets))
	}
	for i, o := range out {
		if !o.Same {
			t.Errorf("not the same: %s", o.Error)
			for _, d := range sets[i] {
				t.Logf("%s:\n%s", d.Format, d.Text)
			}
			return
		}
		if each != nil {
			each(i, o.Triples)
		}
	}
}
