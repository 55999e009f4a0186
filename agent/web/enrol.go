package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink"
)

//go:embed enrol.html
var enrolText string

// enrolTime bounds an enrolment: the directory's answer and a slow TPM or token.
const enrolTime = 2 * time.Minute

// maxEnrolForm bounds the body of the form.
const maxEnrolForm = 4 << 10

// enrolView is the gateway's identity, and the form that gives it one.
type enrolView struct {
	Title     string
	Class     string // of the dot before the title
	Alarm     string // of the card
	Words     []string
	Problem   string // why the last attempt did not work
	Form      bool
	Token     string // of the form: it comes from this page
	Code      string // as typed last
	Directory string
	Fixed     bool // the configuration names the directory
	Example   string
	Facts     []factView
}

type factView struct{ Name, Value string }

// enrolOf says how the gateway's identity stands; nil where it only records. It
// offers the form where one is needed and who asks may use it.
func (s *server) enrolOf(st agent.Status, r *http.Request) *enrolView {
	u := st.Uplink
	if u == nil {
		return nil
	}
	v := &enrolView{Title: "This gateway's identity", Class: "good", Directory: s.web.Directory, Fixed: s.web.Directory != "", Example: identity.ExampleEnrolCode, Token: s.token}
	d := u.Status
	if d != nil {
		if !v.Fixed {
			v.Directory = d.Directory
		}
		v.Facts = append(v.Facts, factView{"Run by", d.Organisation}, factView{"Known as", d.Gateway})
		if !d.EnrolledAt.IsZero() {
			v.Facts = append(v.Facts, factView{"Enrolled", minute(d.EnrolledAt)})
		}
	}
	kept := "Nothing can be sent until then. Readings are kept here meanwhile, and sent afterwards."
	switch u.State {
	case "not enrolled":
		v.Title, v.Class, v.Alarm, v.Form = "This gateway is not enrolled yet", "warn", "warn", true
		v.Words = []string{"Ask the organisation that runs it for a code: its directory makes one for each gateway.", kept}
	case "revoked":
		v.Title, v.Class, v.Alarm, v.Form = "This gateway's identity was revoked", "bad", "bad", true
		v.Words = []string{"The directory has taken it back. Ask the organisation that runs this gateway why, and for a new code.", kept}
	case "expired":
		v.Title, v.Class, v.Alarm, v.Form = "This gateway's identity has run out", "bad", "bad", true
		v.Words = []string{"It could not be renewed in time. Ask the organisation that runs this gateway for a new code.", kept}
	case "cannot begin":
		v.Title, v.Class, v.Alarm, v.Form = "This gateway's identity cannot be used", "bad", "bad", true
		v.Words = []string{statement(u.Reason), "If that cannot be mended, ask for a new code and enrol it again. " + kept}
	}
	if v.Alarm == "" && d != nil {
		v.Facts = append(v.Facts, certificateFacts(d.Certificates)...)
	}
	if v.Form {
		if no := s.mayEnrol(r); no != "" {
			v.Form, v.Words = false, append(v.Words, no)
		}
	}
	return v
}

// certificateFacts are how long the certificates are good and where their keys
// are: in one line for both where it is the same.
func certificateFacts(cs []uplink.CertificateStatus) (out []factView) {
	for i, c := range cs {
		f := factView{strings.ToUpper(c.Kind[:1]) + c.Kind[1:] + " certificate", fmt.Sprintf("good until %s, renewed by itself from %s", day(c.NotAfter), day(c.RenewAt))}
		if i > 0 && out[0].Value == f.Value {
			out[0].Name = "Certificates"
			continue
		}
		out = append(out, f)
	}
	places := map[string]string{"file": "in files that the agent alone can read", "tpm": "in this machine's TPM"}
	words := ""
	for _, c := range cs {
		w := places[c.KeyStore]
		if c.Token != "" {
			w = "in the token " + c.Token
		}
		if words == "" {
			words = w
		} else if w != words && w != "" {
			words = "partly " + words + ", partly " + w
		}
	}
	if words != "" {
		out = append(out, factView{"Keys", words})
	}
	return out
}

// mayEnrol says why who asks may not enrol the gateway here; "" where they may.
func (s *server) mayEnrol(r *http.Request) string {
	command := "On the gateway itself it is done by: perseus-agent enroll --url DIRECTORY --code CODE"
	switch s.place(r) {
	case "off":
		return "It cannot be enrolled on this page (web: enroll: off). " + command
	case "away":
		return "It can be enrolled on this page by a browser on the gateway itself only (web: enroll: lan would let this network do it). " + command
	}
	return ""
}

// place says whether who asks may change something on this page: "" where they
// may, "off" where nobody may, "away" where only a browser on the gateway may.
func (s *server) place(r *http.Request) string {
	switch {
	case s.web.Enroll == "off":
		return "off"
	case s.web.Enroll != "lan" && !loopback(hostOnly(r.RemoteAddr)):
		return "away"
	}
	return ""
}

// ourForm reads a form and says whether it is one of this page: with the token
// that only this page knows. Where it is not, that is answered.
func (s *server) ourForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxEnrolForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form cannot be read: go back and send it again.", http.StatusBadRequest)
		return false
	}
	if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("token")), []byte(s.token)) != 1 {
		http.Error(w, "This form is not of this page, or the gateway was started anew meanwhile: open the gateway's page again.", http.StatusForbidden)
		return false
	}
	return true
}

// postEnrol serves POST /enrol, the form of the page. Who has a code of any
// organisation could make this gateway theirs, so a foreign page must not send
// the form from somebody's browser: besides CrossOriginProtection and the check
// of the host name it carries a token that only this page knows.
func (s *server) postEnrol(w http.ResponseWriter, r *http.Request) {
	if !s.ourForm(w, r) {
		return
	}
	if no := s.mayEnrol(r); no != "" {
		http.Error(w, no, http.StatusForbidden)
		return
	}
	code, directory := strings.TrimSpace(r.PostForm.Get("code")), strings.TrimSpace(r.PostForm.Get("directory"))
	if link, c, ok := identity.ParseEnrolLink(code); ok {
		code, directory = c, link
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), enrolTime) // a closed browser must not cut it short
	defer cancel()
	_, err := s.agent.Enroll(ctx, directory, code)
	if err == nil {
		s.enrolled.Store(time.Now().UnixNano())
		http.Redirect(w, r, "/enrolled", http.StatusSeeOther)
		return
	}
	st := s.agent.Status()
	e := s.enrolOf(st, r)
	if e == nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	status := http.StatusUnprocessableEntity
	switch {
	case errors.Is(err, uplink.ErrEnrolled):
		e.Problem, status = "This gateway has an identity that works. To replace it, run on the gateway: perseus-agent enroll --force", http.StatusConflict
	case errors.Is(err, agent.ErrEnrolling):
		e.Problem, status = statement(err.Error()), http.StatusConflict
	default:
		e.Problem, e.Code = statement(err.Error()), code
	}
	if directory != "" && !e.Fixed {
		e.Directory = directory
	}
	s.showEnrol(w, status, st, e)
}

// enrolledPage serves GET /enrolled, where a browser comes after the form: how
// the identity stands now.
func (s *server) enrolledPage(w http.ResponseWriter, r *http.Request) {
	st := s.agent.Status()
	e := s.enrolOf(st, r)
	if e == nil || e.Alarm != "" {
		if time.Since(time.Unix(0, s.enrolled.Load())) > time.Minute {
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		w.Header().Set("Refresh", "2")
		e = &enrolView{Title: "Enrolled", Class: "good", Words: []string{"The new identity is being taken up: some seconds."}}
	} else {
		e.Words = append([]string{"This gateway is enrolled. From now on it sends what a permission covers."}, e.Words...)
	}
	s.showEnrol(w, http.StatusOK, st, e)
}

func (s *server) showEnrol(w http.ResponseWriter, status int, st agent.Status, e *enrolView) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	err := pageTemplate.ExecuteTemplate(w, "enrolPage", view{Style: template.CSS(style), Status: st, Today: st.Now.In(energy.London()).Format("Monday 2 January 2006"), Enrol: e})
	if err != nil {
		s.log.Debug("page not delivered", "error", err)
	}
}

// newToken makes the token of the form: 130 random bits.
func newToken() string { return rand.Text() }

// namesOf gives a check whether a request names this machine. On loopback only
// loopback names do. On a network: addresses, names without a dot or under what
// no registrar sells (so that no page elsewhere can be led here by a name of its
// own), this machine's own, and those of the configuration.
func namesOf(c config.Web) func(host string) bool {
	listen, _, err := net.SplitHostPort(c.Listen)
	if err == nil && loopback(listen) {
		return func(host string) bool { return loopback(host) || named(c.Names, host) }
	}
	self, _ := os.Hostname()
	return func(host string) bool {
		if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
			return true
		}
		for _, end := range []string{".local", ".lan", ".internal", ".home.arpa", ".localdomain", ".localhost"} {
			if strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), end) {
				return true
			}
		}
		return strings.EqualFold(host, self) || strings.EqualFold(host, listen) || named(c.Names, host)
	}
}

func named(names []string, host string) bool {
	for _, n := range names {
		if strings.EqualFold(n, host) {
			return true
		}
	}
	return false
}
