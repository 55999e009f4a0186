package jsonpoint

import (
	"fmt"
	"testing"
)

func TestPath(t *testing.T) {
	const doc = `{"a":{"b":[10,{"c":"x"},30]},"d.e":{"[f]":5},"items":[{"Variable":"E1","Value":"1"},{"Variable":"E2","Value":"2","n":3}],"null":null,"device A":{"v":9},"t":true,"n":3,"deep":[[1,2],[3]]}`
	document, err := Document([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	captures := map[string]string{"which": "E2", "k": "b"}
	for path, want := range map[string]string{
		"n": "3", "a.b[0]": "10", "a.b[-1]": "30", "a.b[1].c": "x", "a.b[3]": "", "a.b[-4]": "", "a.b[-3]": "10", "a.c": "", "a.b.c": "", "n.x": "", "n[0]": "",
		`["d.e"]["[f]"]`: "5", `["device A"].v`: "9", "items[Variable=E2].Value": "2", "items[Variable=E3].Value": "", "items[n=3].Variable": "E2", "items[Variable={which}].Value": "2", "a.{k}[0]": "10",
		"[n=3].t": "true", "[n=4].t": "", "x|n": "3", "a|n": "3", "a.b|items[Variable=E1].Value|n": "1", "null|n": "<nil>", "t": "true", "$.n": "3", "$": "", "@": "", "deep[1][0]": "3", "deep[0][1]|n": "2", "{device}|n": "3", `[""]|n`: "3", `["{point}"]`: "9",
	} {
		p, err := ParsePath(path, map[string]string{"point": "v"})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		here := document
		if path == `["{point}"]` {
			here = document.(map[string]any)["device A"]
		}
		v, ok := p.Scalar(document, here, captures)
		if got := fmt.Sprint(v); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v; want %q", path, got, ok, want)
		}
	}
	for _, path := range []string{"|", "a|", "|a", ".", "a.", ".a", "a..b", "a[", "a[]", "a[x]", "a[=x]", `a["b"`, `a["b]`, `a["]`, "a]b", "$a", "@a", "a[0]b", "a$b|", `a"b`, "a b[1"} {
		if p, err := ParsePath(path, nil); err == nil {
			t.Errorf("%q taken as %+v", path, p)
		}
	}
	if p, err := ParsePath("", nil); err != nil || !p.Empty() {
		t.Error("the empty path")
	}
	if p, _ := ParsePath("a", nil); p.Empty() || p.String() != "a" {
		t.Error("a path that is not empty")
	}
	if v, ok := mustPath(t, "a.b").Any(document, document, nil); !ok || len(v.([]any)) != 3 {
		t.Errorf("%v, %v", v, ok)
	}
}

func mustPath(t testing.TB, s string) Path {
	t.Helper()
	p, err := ParsePath(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTopic(t *testing.T) {
	known := map[string]string{"device": "AHU/1.x", "point": "kWh"}
	for _, c := range []struct {
		template, filter string
		exact            bool
		topic            string
		match            bool
		captures         string
	}{
		{"a/b", "a/b", true, "a/b", true, "map[]"},
		{"a/b", "a/b", true, "a/bc", false, "map[]"},
		{"{device}/{point}", "AHU/1.x/kWh", true, "AHU/1.x/kWh", true, "map[]"},
		{"s/{site}/{point}", "s/+/kWh", false, "s/GB/kWh", true, "map[site:GB]"},
		{"s/{site}/{point}", "s/+/kWh", false, "s/GB/x/kWh", false, "map[]"},
		{"s/{site}/{point}", "s/+/kWh", false, "s//kWh", false, "map[]"},
		{"{device}/{x}", "AHU/1.x/+", false, "AHU/1yx/5", false, "map[]"},
		{"t/{type}_{inst}", "t/+", false, "t/2_202", true, "map[inst:202 type:2]"},
		{"t/{type}_{inst}", "t/+", false, "t/2", false, "map[]"},
		{"t/av{inst}", "t/+", false, "t/ai5", false, "map[]"},
		{"{x}/{x}", "+/+", false, "a/a", true, "map[x:a]"},
		{"{x}/{x}", "+/+", false, "a/b", false, "map[]"},
		{"+/b", "+/b", false, "a/b", true, "map[]"},
		{"+/b", "+/b", false, "/b", true, "map[]"},
		{"+/b", "+/b", false, "a/a/b", false, "map[]"},
		{"a/#", "a/#", false, "a", true, "map[]"},
		{"a/#", "a/#", false, "a/b/c", true, "map[]"},
		{"a/#", "a/#", false, "ab", false, "map[]"},
		{"{x}/#", "+/#", false, "q/b", true, "map[x:q]"},
		{"#", "#", false, "a/b", true, "map[]"},
		{"#", "#", false, "$SYS/b", false, "map[]"},
	} {
		topic, err := ParseTopic(c.template, known)
		if err != nil || topic.Filter() != c.filter || topic.Exact() != c.exact {
			t.Errorf("%s: %q %v, %v", c.template, topic.Filter(), topic.Exact(), err)
			continue
		}
		captures, ok := topic.Match(c.topic)
		if ok != c.match || fmt.Sprint(captures) != c.captures {
			t.Errorf("%s on %s: %v %v", c.template, c.topic, captures, ok)
		}
	}
	for _, s := range []string{"", "a/#/b", "a+/b", "a/b#", "a\x00"} {
		if topic, err := ParseTopic(s, nil); err == nil {
			t.Errorf("%q taken as %q", s, topic.Filter())
		}
	}
	if _, err := ParseTopic("a/{device}", map[string]string{"device": "+"}); err == nil {
		t.Error("a wildcard as a name")
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a.b[0]|c", `["x"]`, "[a=b].c", "$.a", "@", "a[-1]"} {
		f.Add(s, `{"a":{"b":[1]},"c":2}`)
	}
	f.Fuzz(func(t *testing.T, path, doc string) {
		document, err := Document([]byte(doc))
		if err != nil {
			document = nil
		}
		p, err := ParsePath(path, nil)
		if err != nil {
			return
		}
		if v, ok := p.Scalar(document, document, nil); ok {
			switch v.(type) {
			case map[string]any, []any:
				t.Fatalf("%q gives %v", path, v)
			}
		}
		if topic, err := ParseTopic(path, nil); err == nil {
			_, _ = topic.Match(doc)
		}
	})
}
