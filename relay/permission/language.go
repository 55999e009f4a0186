package permission

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// The pages' words: one file for each language, under the same keys. A word in
// {braces} is filled in. The permission texts are not among them: they are the
// scheme's, in English (words.go).
//
//go:embed web/words.en.json web/words.cy.json
var wordFiles embed.FS

// languages are those of the pages; the first is the one for everybody else.
var languages = []string{"en", "cy"}

// catalogue is the words of one language.
type catalogue struct {
	code  string
	words map[string]string
}

// catalogues are part of the program: a fault in them shows in every test.
var catalogues = func() map[string]*catalogue {
	all := map[string]*catalogue{}
	for _, code := range languages {
		b, err := wordFiles.ReadFile("web/words." + code + ".json")
		if err != nil {
			panic(err)
		}
		c := &catalogue{code: code}
		if err := json.Unmarshal(b, &c.words); err != nil {
			panic(fmt.Errorf("words.%s.json: %w", code, err))
		}
		all[code] = c
	}
	return all
}()

// say is a sentence of the catalogue: its key, and what fills its braces, name
// and value by turns. At fills {day}.
type say struct {
	Key  string
	Args []string
	At   time.Time
}

func sayOf(key string, args ...string) say { return say{Key: key, Args: args} }

// text is the sentence of a key in plain text. Braces are filled once: a name
// that itself holds {braces} stays as it is.
func (c *catalogue) text(key string, args ...string) (string, error) { return c.fill(key, nil, args) }

// html is text with its values made to stand out. Everything is escaped.
func (c *catalogue) html(key string, args ...string) (template.HTML, error) {
	s, err := c.fill(key, func(v string) string { return "<strong>" + template.HTMLEscapeString(v) + "</strong>" }, args)
	return template.HTML(s), err
}

func (c *catalogue) fill(key string, value func(string) string, args []string) (string, error) {
	s, ok := c.words[key]
	if !ok || len(args)%2 != 0 {
		return "", fmt.Errorf("no words %q in words.%s.json, or odd arguments %q", key, c.code, args)
	}
	pairs := make([]string, len(args))
	for i := 0; i < len(args); i += 2 {
		pairs[i], pairs[i+1] = "{"+args[i]+"}", args[i+1]
		if value != nil {
			pairs[i+1] = value(args[i+1])
		}
	}
	if value != nil {
		s = template.HTMLEscapeString(s) // braces are left as they are
	}
	return strings.NewReplacer(pairs...).Replace(s), nil
}

func (c *catalogue) said(s say) (string, error) {
	if s.Key == "" {
		return "", nil
	}
	args := s.Args
	if !s.At.IsZero() {
		day, err := c.day(s.At)
		if err != nil {
			return "", err
		}
		args = append([]string{"day", day}, args...)
	}
	return c.text(s.Key, args...)
}

func (c *catalogue) day(t time.Time) (string, error) { return c.date("date", t) }

func (c *catalogue) instant(t time.Time) (string, error) { return c.date("date.instant", t) }

func (c *catalogue) date(key string, t time.Time) (string, error) {
	t = t.UTC()
	month, err := c.text("month." + strconv.Itoa(int(t.Month())))
	if err != nil {
		return "", err
	}
	return c.text(key, "day", strconv.Itoa(t.Day()), "month", month, "year", strconv.Itoa(t.Year()), "time", t.Format("15:04:05"))
}

// languageOf chooses the language of an answer: what the person chose by the
// link, else what the browser asks for.
func languageOf(r *http.Request) string {
	chosen := r.PostForm.Get("lang")
	if chosen == "" {
		chosen = r.URL.Query().Get("lang")
	}
	if _, ok := catalogues[chosen]; ok {
		return chosen
	}
	return accepted(r.Header.Get("Accept-Language"))
}

// accepted reads Accept-Language (RFC 9110): the language of ours that it wants
// most, the first of ours where it wants none of them.
func accepted(header string) string {
	best, most := languages[0], 0.0
	for part := range strings.SplitSeq(header, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil || q < 0 || q > 1 {
				continue
			}
		}
		if _, ok := catalogues[tag]; ok && q > most {
			best, most = tag, q
		}
	}
	return best
}

// switcher leads from a page to the same page in the other language: by a link
// where the page came by GET, by its own form where it came by POST.
type switcher struct {
	Link   string
	Action string
	Fields []field
}

type field struct{ Name, Value string }

func switchOf(r *http.Request, status int, to string) switcher {
	if r.Method != http.MethodPost || r.PostForm == nil {
		q := url.Values{"lang": {to}}
		for _, name := range []string{"client_id", "request_uri"} { // what is no good, or nobody's, is not repeated
			if v := r.URL.Query()[name]; status < 400 && len(v) == 1 {
				q.Set(name, v[0])
			}
		}
		return switcher{Link: (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()}
	}
	sw := switcher{Action: r.URL.Path, Fields: []field{{"lang", to}}}
	base, last := path.Split(sw.Action)
	switch {
	case last == "make", last == "leave" && r.PostForm.Get("sure") != "": // it is done, or cannot be done again
		return switcher{Link: (&url.URL{Path: base + "sign-in", RawQuery: url.Values{"lang": {to}}.Encode()}).String()}
	case last == "accounts", last == "withdraw": // it is done: on to the list
		sw.Action = strings.TrimSuffix(base, "/")
	}
	for _, name := range []string{"client_id", "request_uri", "code", "site", "permission"} {
		v := r.PostForm.Get(name)
		if name == "code" {
			v = cleanName(v) // as typed, and shown again
		}
		if v != "" && ascii(v) == v {
			sw.Fields = append(sw.Fields, field{name, v})
		}
	}
	return sw
}
