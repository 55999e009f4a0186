package permission_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"

	"golang.org/x/net/html"

	"github.com/perseus-edge/perseus-edge/relay/permission"
)

func words(t *testing.T, code string) map[string]string {
	t.Helper()
	b, err := os.ReadFile("web/words." + code + ".json")
	must(t, err)
	var m map[string]string
	must(t, json.Unmarshal(b, &m))
	// What JSON lets pass: a key that is there twice.
	if n := len(regexp.MustCompile(`(?m)^  "[^"]+":`).FindAll(b, -1)); n != len(m) {
		t.Errorf("words.%s.json has %d lines and %d keys", code, n, len(m))
	}
	delete(m, "_note")
	return m
}

var brace = regexp.MustCompile(`\{[a-z]+\}`)

// Each key is in both languages, with the same names to be filled in.
func TestLanguagesMatch(t *testing.T) {
	en, cy := words(t, "en"), words(t, "cy")
	for k, v := range en {
		w, ok := cy[k]
		if !ok {
			t.Errorf("words.cy.json lacks %s", k)
			continue
		}
		a, b := brace.FindAllString(v, -1), brace.FindAllString(w, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
			t.Errorf("%s: %v in English, %v in Welsh", k, a, b)
		}
		if strings.TrimSpace(v) == "" || strings.TrimSpace(w) == "" {
			t.Errorf("%s is empty", k)
		}
	}
	for k := range cy {
		if _, ok := en[k]; !ok {
			t.Errorf("words.cy.json has %s, which English has not", k)
		}
	}
}

// No page has words outside the catalogue, each key that is used is in it, and
// none is in it for nothing.
func TestNoWordsOutsideTheCatalogue(t *testing.T) {
	src, err := os.ReadFile("web/pages.html")
	must(t, err)
	trees := map[string]*parse.Tree{}
	tree := parse.New("pages")
	tree.Mode = parse.SkipFuncCheck
	_, err = tree.Parse(string(src), "", "", trees)
	must(t, err)
	tags := regexp.MustCompile(`<[^>]*>`)
	spoken := regexp.MustCompile(`(?:aria-label|title|alt|placeholder|value)="[^"]*[A-Za-z]{3}[^"]*"`)
	for name, tr := range trees {
		var all strings.Builder // what is there when every branch is taken
		for _, n := range tr.Root.Nodes {
			texts(n, func(s string) { all.WriteString(s) })
		}
		s := all.String()
		for _, allowed := range []string{`value="yes"`, `value="remove"`, `value="agree"`, `value="decline"`} { // what the buttons send
			s = strings.ReplaceAll(s, allowed, "")
		}
		if m := spoken.FindString(s); m != "" {
			t.Errorf("page %s says %q by itself", name, m)
		}
		if rest := strings.TrimSpace(tags.ReplaceAllString(s, "")); regexp.MustCompile(`[A-Za-z]`).MatchString(rest) {
			t.Errorf("page %s says %q by itself", name, rest)
		}
	}
	en := words(t, "en")
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\(?\b(?:t|th) "([a-z.]+)"`).FindAllStringSubmatch(string(src), -1) {
		used[m[1]] = true
	}
	files, err := filepath.Glob("*.go")
	must(t, err)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		must(t, err)
		for _, m := range regexp.MustCompile(`(?:sayOf\(|refuse\([A-Za-z.]+, |say\{Key: |s\.message\(w, r, [A-Za-z.]+, )"([a-z.]+)"`).FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`"((?:state|gets|what|code|offer|find|list|evidence|link|lang|date|by|account)\.[a-z.]+)"`).FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = true
		}
	}
	// Those that are put together.
	for i := range 12 {
		used["month."+string(rune('0'+(i+1)%10))] = true
	}
	for _, k := range []string{"month.10", "month.11", "month.12", "by.user", "by.client", "by.message", "by.linked", "by.operator", "by.gateway", "date", "lang",
		"measure.import", "measure.export", "measure.reactive-import", "measure.reactive-export", "measure.gas"} {
		used[k] = true
	}
	delete(used, "month.0")
	for _, k := range slices.Sorted(maps.Keys(used)) {
		if _, ok := en[k]; !ok {
			t.Errorf("%s is used and not in words.en.json", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(en)) {
		if !used[k] {
			t.Errorf("%s is in words.en.json and not used", k)
		}
	}
}

// texts calls f with every text of a template.
func texts(n parse.Node, f func(string)) {
	list := func(l *parse.ListNode) {
		if l != nil {
			for _, c := range l.Nodes {
				texts(c, f)
			}
		}
	}
	switch n := n.(type) {
	case *parse.TextNode:
		f(string(n.Text))
	case *parse.IfNode:
		list(n.List)
		list(n.ElseList)
	case *parse.RangeNode:
		list(n.List)
		list(n.ElseList)
	case *parse.WithNode:
		list(n.List)
		list(n.ElseList)
	}
}

func TestLanguageOfTheBrowser(t *testing.T) {
	for header, want := range map[string]string{"": "en", "cy": "cy", "cy-GB,cy;q=0.9,en;q=0.8": "cy", "en-GB,cy;q=0.9": "en", "fr, de;q=0.9": "en",
		"fr, cy;q=0.1": "cy", "cy;q=0": "en", "en;q=0.2, CY;q=0.7": "cy", "cy;q=2, en;q=0.1": "en", "cy;q=x": "en", ";;,,=": "en", "*": "en"} {
		if got := permission.Accepted(header); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// Every page has its words in both languages, says which it is in, and leads to
// itself in the other, with what was typed.
func TestPagesInBothLanguages(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	evidence := w.bank.post("/oauth/permission", url.Values{"token": {tok.refresh}}).json()["permission"].(map[string]any)["evidence"].(string)
	uri, _ := w.bank.push(perseus.LicenseCombined())
	b := w.browser()
	id := w.idOf(bankURL, gateway1)
	form := func(more ...string) url.Values {
		f := url.Values{"client_id": {bankURL}, "request_uri": {uri}, "code": {code1}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	get := func(u string) func(lang string) answer {
		return func(lang string) answer {
			sep := "?"
			if strings.Contains(u, "?") {
				sep = "&"
			}
			return b.get(u + sep + "lang=" + lang)
		}
	}
	post := func(path string, f url.Values) func(lang string) answer {
		return func(lang string) answer { f.Set("lang", lang); return b.post(path, f) }
	}
	for _, c := range []struct {
		name   string
		page   func(lang string) answer
		en, cy string
		back   string // field that the other language carries along
	}{
		{"code", get(w.authorizeURL(bankURL, uri)), "Which meter is yours?", "Pa un yw eich mesurydd chi?", ""},
		{"empty code", post("/authorize", form("code", "")), "Type the meter code.", "Teipiwch god y mesurydd.", "request_uri"},
		{"no such code", post("/authorize", form("code", "0000-0000-0000")), "No meter has this code.", "Nid oes gan unrhyw fesurydd y cod hwn.", "code"},
		{"offer", post("/authorize", form()), "Do you agree?", "Ydych chi’n cytuno?", "code"},
		{"find", get(w.issuer + "/permissions"), "See who may use", "Gweld pwy gaiff", ""},
		{"list", post("/permissions", form()), "22 November 2026", "22 Tachwedd 2026", "code"},
		{"what happens", post("/permissions", form()), "What happens when you withdraw", "Beth sy’n digwydd pan fyddwch yn tynnu’n ôl", "code"},
		{"no such permission", post("/permissions/withdraw", form("permission", "x")), "This site has no such permission.", "ganiatâd o’r fath", "permission"},
		{"evidence", get(evidence), "In force", "Mewn grym", ""},
		{"no evidence", get(evidence + "x"), "There is no evidence page", "Nid oes tudalen dystiolaeth", ""},
		{"link", get(w.issuer + "/authorize"), "This link is not complete", "Nid yw’r ddolen hon yn gyflawn", ""},
	} {
		for lang, want := range map[string]string{"en": c.en, "cy": c.cy} {
			p := c.page(lang)
			if !strings.Contains(text(p.Body), want) {
				t.Errorf("%s in %s does not say %q: %d %s", c.name, lang, want, p.Status, text(p.Body))
			}
			code := map[string]string{"en": "en-GB", "cy": "cy"}[lang]
			if !strings.Contains(p.Body, `<html lang="`+code+`">`) || p.Header.Get("Content-Language") != code || !strings.Contains(p.Header.Get("Vary"), "Accept-Language") {
				t.Errorf("%s does not say that it is in %s", c.name, lang)
			}
			if strings.ContainsAny(text(p.Body), "{}") {
				t.Errorf("%s in %s: a name is not filled in: %s", c.name, lang, text(p.Body))
			}
			other := map[string]string{"en": "cy", "cy": "en"}[lang]
			if c.back == "" {
				if !strings.Contains(p.Body, "lang="+other+`"`) && !strings.Contains(p.Body, "lang="+other+"&amp;") {
					t.Errorf("%s in %s has no link to the other language", c.name, lang)
				}
				continue
			}
			f := switchForm(t, p)
			if f.Get("lang") != other || !f.Has(c.back) || f.Has("decision") || f.Has("seen") {
				t.Errorf("%s in %s: the other language gets %v", c.name, lang, f)
			}
		}
	}
	// Changing the language after a withdrawal shows the list, and withdraws nothing again.
	p := b.post("/permissions/withdraw", form("permission", id, "lang", "en"))
	doc, err := html.Parse(strings.NewReader(p.Body))
	must(t, err)
	for n := range doc.Descendants() {
		if n.Data == "form" && attr(n, "id") == "language" && attr(n, "action") != "/permissions" {
			t.Errorf("after a withdrawal the other language is at %s", attr(n, "action"))
		}
	}
	// The browser's own choice holds where the person has made none; the words of the permission say that they are English.
	uri, _ = w.bank.push(perseus.LicenseCombined())
	r, err := http.NewRequest("POST", w.issuer+"/authorize", strings.NewReader(form("request_uri", uri).Encode()))
	must(t, err)
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept-Language": {"cy, en;q=0.5"}, "Origin": {w.issuer}}
	offer := do(t, b.http, r)
	if !strings.Contains(text(offer.Body), "Yn Saesneg yn unig") || !strings.Contains(offer.Body, `<div lang="en-GB">`) || !strings.Contains(text(offer.Body), "Your permission lasts one year.") {
		t.Errorf("the offer in Welsh: %s", text(offer.Body))
	}
}

// switchForm gives the fields of the form that changes the language.
func switchForm(t *testing.T, page answer) url.Values {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page.Body))
	must(t, err)
	f := url.Values{}
	for n := range doc.Descendants() {
		if n.Data == "form" && attr(n, "id") == "language" {
			for c := range n.Descendants() {
				if c.Data == "input" {
					f.Add(attr(c, "name"), attr(c, "value"))
				}
			}
		}
	}
	return f
}
