package lexer

import (
	"fmt"
	"strings"
	"testing"
)

// all gives the tokens of a text in short: kind, text and local part.
func all(text string) (out string, err error) {
	names := map[Kind]string{IRIRef: "iri", PName: "name", Label: "label", Var: "var", String: "str", LangTag: "@", Integer: "int", Decimal: "dec", Double: "dbl", Word: "word", Punct: ""}
	var parts []string
	l := New(text)
	for {
		t, err := l.Next()
		if err != nil {
			return strings.Join(parts, " "), err
		}
		if t.Kind == EOF {
			return strings.Join(parts, " "), nil
		}
		s := names[t.Kind] + t.Text
		if t.Kind == PName {
			s += ":" + t.Local
		}
		parts = append(parts, s)
	}
}

func TestTokens(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{" \t\r\n# only a comment", ""},
		{"# one\r\na # two\nb", "worda wordb"},
		{"<http://a/#b> <>", "irihttp://a/#b iri"},
		{`<http://a/\u00e9>`, "irihttp://a/é"},
		{"?a<?b ?c<= ?d", "vara < varb varc <= vard"},
		{"?a < 5 && ?b > 6", "vara < int5 && varb > int6"},
		{"$a ?_1 ?é?b", "vara var_1 varé varb"},
		{"?a-1", "vara - int1"},
		{"a:b :c d: : a:b.c. a:-", "namea:b name:c named: name: namea:b.c . namea: -"},
		{`a:%41\-x\.`, "namea:%41-x."},
		{"a.b:c a.b", "namea.b:c worda . wordb"},
		{"_:a.b. _:1", "labela.b . label1"},
		{`"a" 'b' """c"d""" '''e'f'''`, `stra strb strc"d stre'f`},
		{`"\t\b\n\r\f\"\'\\\u0041\U0001F389"`, "str\t\b\n\r\f\"'\\A🎉"},
		{`"" '' """"""`, "str str str"},
		{`"""a""""`, ""}, // a quote is left over
		{"@en-GB-x1 @prefix @a-", "@en-GB-x1 @prefix @a -"},
		{"1 1. 1.5 .5 1e5 1.e5 1.5E-3 1e 1.x", "int1 int1 . dec1.5 dec.5 dbl1e5 dbl1.e5 dbl1.5E-3 int1 worde int1 . wordx"},
		{"-1 +1", "- int1 + int1"},
		{"^^ ^ && || | ! != = <= >= < > {}()[],;.*/?", "^^ ^ && || | ! != = <= >= < > { } ( ) [ ] , ; . * / ?"},
	} {
		got, err := all(c.text)
		if c.want == "" && c.text == `"""a""""` {
			if err == nil {
				t.Errorf("%q: %q", c.text, got)
			}
			continue
		}
		if got != c.want || err != nil {
			t.Errorf("%q:\n got %q %v\nwant %q", c.text, got, err, c.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, say := range map[string]string{
		"a\n  ?é \"b\nc\"": "line 2, column 6: a string is not closed on its line", `"a`: "is not closed", `"""a"`: "is not closed", `'a\`: "is not closed",
		`"\q"`: "begins no escape", `"\u12"`: "begins no escape", `"\uD800"`: "is no character", `"\U00110000"`: "is no character", `"\UFFFFFFFF"`: "is no character",
		`<\u003e>`: "is no character", "@": "must be followed", "@1": "must be followed", "_: ": "must be followed by a name", "\x00": "has no meaning", "\xff": "not valid UTF-8", "~": "has no meaning",
	} {
		if got, err := all(text); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %q, %v, want ..%s..", text, got, err, say)
		}
	}
}

// TestLinear: no text makes the lexer read it over and over: what is quadratic
// takes minutes here.
func TestLinear(t *testing.T) {
	for _, unit := range []string{"a.", "<", "<a", "a:b.", "_:a.", "'\\", "@a-", "1.", "1e", "%41", "\"\"\"", "?", "#\n", ":.", "é"} {
		text := strings.Repeat(unit, 1<<18/len(unit))
		l := New(text)
		for n := 0; n <= len(text)+1; n++ {
			tok, err := l.Next()
			if err != nil || tok.Kind == EOF {
				break
			}
			if n == len(text)+1 {
				t.Errorf("%q: more tokens than bytes", unit)
			}
		}
	}
}

// FuzzTokens: the lexer ends, and each token is at a place behind the last.
func FuzzTokens(f *testing.F) {
	f.Add("PREFIX a: <b> SELECT ?c { ?c a:d 'e'@en , 1.5e3 }")
	f.Fuzz(func(t *testing.T, text string) {
		l, last := New(text), -1
		for {
			tok, err := l.Next()
			if err != nil || tok.Kind == EOF {
				return
			}
			if tok.End <= last || tok.Line < 1 || tok.Col < 1 {
				t.Fatal(fmt.Sprint(tok, " after ", last))
			}
			last = tok.End
		}
	})
}
