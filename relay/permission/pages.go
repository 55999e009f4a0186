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
	"strconv"
	"strings"
	"time"
)

//go:embed web/style.css
var style string

//go:embed web/pages.html
var pagesHTML string

// contentPolicy lets a page load nothing but its own style, and be framed by
// nobody. %s is where its forms may lead.
var contentPolicy = func() string {
	h := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(h[:]) +
		"'; base-uri 'none'; frame-ancestors 'none'; form-action %s"
}()

// parsePages reads the templates; their texts are part of the program.
func (s *Service) parsePages() *template.Template {
	return template.Must(template.New("pages").Funcs(template.FuncMap{
		"style":          func() template.CSS { return template.CSS(style) },
		"organisation":   func() string { return cleanName(s.c.Organisation) },
		"authorizeURL":   func() string { return s.issuer.Path + "/authorize" },
		"permissionsURL": func() string { return s.issuer.Path + "/permissions" },
		"day":            func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"instant":        func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
	}).Parse(pagesHTML))
}

// The data of the pages.
type (
	codePage struct {
		Asked         asked
		What          string
		Code, Problem string
	}
	offerPage struct {
		Asked     asked
		Offer     offer
		What      string
		Seen      string
		Problem   string
		Receivers []receiver
		Blocks    []block
		Meters    []meterLine
	}
	findPage    struct{ Code, Problem string }
	messagePage struct{ Title, Text string }
)

// receiver says who gets what.
type receiver struct{ Who, What string }

// what names, in the middle of a sentence, what the client itself would get.
func (s *Service) what(license, parts string) string {
	if license == s.c.Scheme.LicenseEmissions() || parts == partFSP {
		return "your monthly carbon emissions"
	}
	return "your half-hourly energy data"
}

// receivers lists who gets what under a licence.
func (s *Service) receivers(license string, n names) []receiver {
	half, month := "your energy data, every half-hour", "your carbon emissions, every month"
	switch {
	case license == s.c.Scheme.LicenseConsumption():
		return []receiver{{n.CAP, half}}
	case n.CAP == n.FSP:
		return []receiver{{n.CAP, half + ", and works out your carbon emissions from it"}}
	}
	return []receiver{{n.FSP, month + ", and never your energy data"}, {n.CAP, half + ", to work out the emissions"}}
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
		next.ServeHTTP(w, r)
	})
}

// render sends a page. It is made in memory first: half a page never leaves.
func (s *Service) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.page.ExecuteTemplate(&b, name, data); err != nil {
		id := s.incident(r, err)
		http.Error(w, id, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
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
func (s *Service) message(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	s.render(w, r, status, "message", messagePage{title, text})
}

// pageError shows a *userError as it is, and anything else as a fault of ours.
func (s *Service) pageError(w http.ResponseWriter, r *http.Request, err error) {
	var ue *userError
	if !errors.As(err, &ue) {
		s.message(w, r, http.StatusInternalServerError, "That did not work", s.incident(r, err))
		return
	}
	retryAfter(w, ue)
	s.message(w, r, ue.Status, "That did not work", ue.Text)
}

func retryAfter(w http.ResponseWriter, ue *userError) {
	if ue.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((ue.Retry+time.Second-1)/time.Second)))
	}
}

// pageForm reads the form of a page.
func (s *Service) pageForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err == nil && mt == "application/x-www-form-urlencoded" && r.ParseForm() == nil {
		return r.PostForm, true
	}
	s.message(w, r, http.StatusBadRequest, "That did not work", "The form could not be read. Please go back and try again.")
	return nil, false
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func clip(s string, n int) string { return s[:min(n, len(s))] }
