package search

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

func keep[T any](t *testing.T, dir, name string, vs ...T) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, v := range vs {
		if err := json.NewEncoder(f).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
}

var aToken = record.Entry{Package: "relay/permission", Test: "TestMade", Maker: "relay/permission.newSecret", For: "relay/permission.Service.newToken", Raw: []byte("0123456789abcdefghijklmnopqrstuv")}

const asGiven = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY" // aToken

func TestFolder(t *testing.T) {
	floors := []Floor{{In: "relay", Lines: 2, Made: map[string]int{"OAuth token": 1}}}
	line := func(text string) record.Line {
		return record.Line{Package: "relay/bank", Test: "TestLogs", Log: "log 1", Text: text}
	}
	for _, x := range []struct {
		name    string
		secrets []record.Entry
		lines   []record.Line
		ok      bool
		says    []string
	}{
		{"nothing leaks", []record.Entry{aToken, aToken}, []record.Line{line("a\nb\n"), line("c")}, true,
			[]string{"secrets: 1 secrets of 1 kinds, searched in 3 lines of 1 logs: none found\n"}},
		{"a token leaks", []record.Entry{aToken}, []record.Line{line("a\nlevel=INFO token=" + asGiven + "\n")}, false,
			[]string{"of 1 logs: 1 FOUND\n", "OAuth token, made in relay/permission TestMade, stands in relay/bank TestLogs (log 1):\n    level=INFO token=MDEy****"}},
		{"in two pieces", []record.Entry{aToken}, []record.Line{line("a\ntoken=" + asGiven[:12]), line(asGiven[12:] + "\n")}, false, []string{"1 FOUND"}},
		{"in a last line that does not end", []record.Entry{aToken}, []record.Line{line("a\ntoken=" + asGiven)}, false, []string{"1 FOUND"}},
		{"the recorder of secrets is silent", nil, []record.Line{line("a\nb\n")}, false,
			[]string{"none found\n", `the tests of relay recorded 0 secrets of the kind "OAuth token", at least 1 were expected`}},
		{"the recorder of logs is silent", []record.Entry{aToken}, []record.Line{line("a\n")}, false, []string{"the tests of relay recorded 1 lines of logs, at least 2 were expected"}},
		{"a maker that nobody knows", []record.Entry{aToken, {Package: "agent", Maker: "agent.newThing", For: "agent.New", Raw: aToken.Raw}}, []record.Line{line("a\nb\n")}, false,
			[]string{"agent.newThing (for agent.New) draws from crypto/rand, and nothing says whether that is a secret"}},
		{"a library that nobody knows, and what is no secret", []record.Entry{aToken, {Maker: "github.com/google/uuid.New", For: "agent.New", Raw: aToken.Raw}, {Maker: "provenance.NewID", Raw: aToken.Raw[:15]}},
			[]record.Line{line("a\nb\n")}, true, []string{"secrets: 1 secrets"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := t.TempDir()
			keep(t, dir, "secrets-1.jsonl", x.secrets...)
			keep(t, dir, "lines-1.jsonl", x.lines...)
			r, err := Folder(dir)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if ok := r.Print(&out, floors, 20); ok != x.ok {
				t.Errorf("ok %v: %s", ok, out.String())
			}
			for _, want := range x.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("says\n%s, not\n%s", out.String(), want)
				}
			}
			if strings.Contains(out.String(), asGiven[:20]) {
				t.Errorf("the report gives the token away: %s", out.String())
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lines-1.jsonl"), []byte(`{"p":"x"}{"p`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(dir); err == nil {
		t.Error("a file that breaks off is read")
	}
}

// A line of the list whose function is gone hides nothing, but its successor
// under another name would not be known: it goes with the function.
func TestEveryMakerIsThere(t *testing.T) {
	for _, m := range makers {
		if strings.Contains(strings.Split(m.in, "/")[0], ".") {
			continue
		}
		for _, name := range []string{m.name, m.caller} {
			if name == "" {
				continue
			}
			if !declared(t, filepath.Join("..", "..", "..", filepath.FromSlash(m.in)), name) {
				t.Errorf("no function %s in %s or below", name, m.in)
			}
		}
	}
}

func declared(t *testing.T, dir, name string) (yes bool) {
	t.Helper()
	form := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + name + `[\[(]`)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || yes {
			return err
		}
		b, err := os.ReadFile(path)
		yes = form.Match(b)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return yes
}
