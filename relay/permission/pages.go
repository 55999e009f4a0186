package permission

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/perseus-edge/perseus-edge/relay/account"
)

//go:embed web/style.css
var style string

//go:embed web/pages.html
var pagesHTML string

// script is on the pages that may ask for a passkey, and no other.
//
//go:embed web/passkey.js
var script string

// scriptPolicy lets it run, and nothing else.
var scriptPolicy = func() string {
	h := sha256.Sum256([]byte(script))
	return "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(h[:]) + "'"
}()

// withScript lets the page that follows ask for a passkey, where it has a
// challenge to ask with.
func withScript(w http.ResponseWriter, challenge string) {
	if challenge != "" {
		w.Header().Set("Content-Security-Policy", w.Header().Get("Content-Security-Policy")+scriptPolicy)
	}
}

// contentPolicy lets a page load nothing but its own style, and be framed by
// nobody. %s is where its forms may lead.
var contentPolicy = func() string {
	h := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(h[:]) +
		"'; base-uri 'none'; frame-ancestors 'none'; form-action %s"
}()

// parsePages reads the templates, once for each language; their texts are part
// of the program.
func (s *Service) parsePages() map[string]*template.Template {
	all := map[string]*template.Template{}
	for code, c := range catalogues {
		all[code] = template.Must(template.New("pages").Funcs(template.FuncMap{
			"style":          func() template.CSS { return template.CSS(style) },
			"script":         func() template.JS { return template.JS(script) },
			"accountURL":     func() string { return s.issuer.Path + "/account" },
			"grouped":        account.Grouped,
			"organisation":   func() string { return cleanName(s.c.Organisation) },
			"authorizeURL":   func() string { return s.issuer.Path + "/authorize" },
			"permissionsURL": func() string { return s.issuer.Path + "/permissions" },
			"language":       func() string { return code },
			"t":              c.text, "th": c.html, "said": c.said, "day": c.day, "instant": c.instant,
		}).Parse(pagesHTML))
	}
	return all
}

// The data of the pages.
type (
	frame struct { // what stands around each of them
		Title   string // key
		Problem bool
		Switch  switcher
	}
	codePage struct {
		Asked     asked
		What      string // key
		Code      string
		Way       way
		SignedIn  bool
		Sites     []held
		Challenge account.Challenge
		Problem   say
	}
	offerPage struct {
		Asked     asked
		Offer     offer
		What      string // key
		Seen      string
		Problem   say
		Receivers []receiver
		Blocks    []block
		Meters    []meterLine
	}
	findPage struct {
		Code    string
		Problem say
	}
	messagePage struct {
		Title string // key
		Text  say
	}
)

// receiver says who gets what; What is a key.
type receiver struct {
	Who  say
	What string
}

// what is the key of what the client itself would get, in the middle of a
// sentence.
func (s *Service) what(license, parts string) string {
	if license == s.c.Scheme.LicenseEmissions() || parts == partFSP {
		return "what.emissions"
	}
	return "what.energy"
}

// receivers lists who gets what under a licence.
func (s *Service) receivers(license string, n names) []receiver {
	accountant, bank := sayOf("name", "who", n.CAP), sayOf("name", "who", n.FSP)
	if n.FSP == anyBank {
		bank = sayOf("anybank")
	}
	switch {
	case license == s.c.Scheme.LicenseConsumption():
		return []receiver{{accountant, "gets.half"}}
	case n.CAP == n.FSP:
		return []receiver{{accountant, "gets.half.works"}}
	}
	return []receiver{{bank, "gets.month"}, {accountant, "gets.half.for"}}
}

// browser sets the headers of every page.
func (s *Service) browser(next http.Handler) http.Handler {
	host := s.issuer.Hostname()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", fmt.Sprintf(contentPolicy, "'self'"))
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // nothing to others; our own forms keep their Origin
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("X-Robots-Tag", "noindex")
		if !loopback(host) { // on a shared name such as localhost it would bind other programs too
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if q, err := url.ParseQuery(r.URL.RawQuery); err != nil || !plainAll(q) || !plain(r.URL.Path) {
			s.message(w, r, http.StatusBadRequest, "link.incomplete.title", sayOf("link.incomplete.found"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// plainAll reports whether every value of a form or query is plain.
func plainAll(f url.Values) bool {
	for _, vs := range f {
		for _, v := range vs {
			if !plain(v) {
				return false
			}
		}
	}
	return true
}

// titles are the keys of the pages' titles.
var titles = map[string]string{"code": "code.title", "offer": "offer.title", "permissions": "find.title", "list": "list.title",
	"evidence": "evidence.title", "signin": "account.signin", "keep": "account.keep.title", "account": "find.title",
	"ways": "account.ways", "leave": "account.leave.title"}

// render sends a page in the language of the request. It is made in memory
// first: half a page never leaves.
func (s *Service) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	c := catalogues[languageOf(r)]
	f := frame{Title: titles[name], Switch: switchOf(r, status, c.words["lang.other.code"])}
	switch d := data.(type) {
	case codePage:
		f.Problem = d.Problem.Key != ""
	case offerPage:
		f.Problem = d.Problem.Key != ""
	case findPage:
		f.Problem = d.Problem.Key != ""
	case signInPage:
		f.Problem = d.Problem.Key != ""
	case keepPage:
		f.Problem = d.Problem.Key != ""
	case accountPage:
		f.Problem = d.Problem.Key != ""
	case waysPage:
		f.Problem = d.Problem.Key != ""
	case messagePage:
		f.Title = d.Title
	}
	var b bytes.Buffer
	t := s.pages[c.code]
	err := errors.Join(t.ExecuteTemplate(&b, "head", f), t.ExecuteTemplate(&b, name, data), t.ExecuteTemplate(&b, "close", f))
	if err != nil {
		http.Error(w, s.incident(r, err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", c.words["lang"])
	w.Header().Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// leadsBack lets the forms of the next page lead back to the client: browsers
// apply form-action to the redirect that answers a form, and to those after it
// on the client's side, so the scheme is all that can be bound.
func leadsBack(w http.ResponseWriter, redirectURI string) {
	targets := "'self' https:"
	if strings.HasPrefix(redirectURI, "http:") { // a loopback address: see checkRedirect
		targets += " http:"
	}
	w.Header().Set("Content-Security-Policy", fmt.Sprintf(contentPolicy, targets))
}

// message shows a page that only says something.
func (s *Service) message(w http.ResponseWriter, r *http.Request, status int, title string, text say) {
	s.render(w, r, status, "message", messagePage{title, text})
}

// pageError shows a *userError as it is, and anything else as a fault of ours.
func (s *Service) pageError(w http.ResponseWriter, r *http.Request, err error) {
	var ue *userError
	if !errors.As(err, &ue) {
		s.message(w, r, http.StatusInternalServerError, "error.title", sayOf("error.fault", "number", s.incidentNumber(r, err)))
		return
	}
	retryAfter(w, ue)
	s.message(w, r, ue.Status, "error.title", ue.say)
}

func retryAfter(w http.ResponseWriter, ue *userError) {
	if ue.Retry > 0 {
		w.Header().Set("Retry-After", wholeSeconds(ue.Retry))
	}
}

// pageForm reads the form of a page.
func (s *Service) pageForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err == nil && mt == "application/x-www-form-urlencoded" && r.ParseForm() == nil && plainAll(r.PostForm) {
		return r.PostForm, true
	}
	s.message(w, r, http.StatusBadRequest, "error.title", sayOf("error.form"))
	return nil, false
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func clip(s string, n int) string { return s[:min(n, len(s))] }
