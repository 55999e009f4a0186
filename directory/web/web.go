// Package web is the directory's web application: where people of the
// organisations look after what the directory has of them (applications, data
// services, certificates, tokens, sites and gateways, one another), and where
// administrators bring organisations in. Its rules are those of package
// directory, who people are is package account's matter; here are pages alone.
//
// Pages are plain HTML that works without scripts, on a telephone and by
// keyboard. The one script is for passkeys, which no browser has without.
package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// Prefix is the path below which all pages are.
const Prefix = "/manage"

// maxBody bounds every request body: 64 KiB.
const maxBody = 64 << 10

// Config is what the web application needs.
type Config struct {
	Directory *directory.Service
	Accounts  *account.Service
	Logger    *slog.Logger // nil: slog.Default()

	// Mail sends a message to one person. Nil: there is no mail; links are
	// shown to who makes them, to be handed over.
	Mail func(ctx context.Context, to, subject, text string) error
}

// App is the web application.
type App struct {
	Config
	sessions *scs.SessionManager
	mailing  chan struct{} // a token for each message on its way
	strict   bool          // browsers shall know that this host speaks https alone
}

// New makes the application. It does not listen: see Handler.
func New(c Config) (*App, error) {
	if c.Directory == nil || c.Accounts == nil {
		return nil, errors.New("web: Directory and Accounts are needed")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	a := &App{Config: c, sessions: c.Accounts.NewSessions(), mailing: make(chan struct{}, 8)}
	if u, err := url.Parse(c.Directory.BaseURL); err == nil { // on localhost other programs may speak http
		a.strict = u.Hostname() != "localhost" && net.ParseIP(u.Hostname()) == nil
	}
	a.sessions.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		a.fail(&visit{App: a, w: w, r: r, bare: true}, err)
	}
	return a, nil
}

//go:embed pages/* static/*
var files embed.FS

// need is who may open a page.
type need int

const (
	anybody   need = iota
	person         // who is signed in
	recently       // who showed the second factor a short while ago
	owner          // of the member in the path, or an administrator
	admin          // an administrator of the directory
	adminSoon      // an administrator who showed the second factor a short while ago
)

// freshFor is how long a second factor counts as just shown.
const freshFor = 15 * time.Minute

type route struct {
	method, path string // below Prefix
	need         need
	handle       func(*visit) error
}

// Handler serves everything below Prefix.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.routes() {
		mux.Handle(r.method+" "+Prefix+r.path, a.serve(r))
	}
	mux.Handle("GET "+Prefix, http.RedirectHandler(Prefix+"/", http.StatusMovedPermanently))
	mux.Handle(Prefix+"/", a.serve(route{need: anybody, handle: func(*visit) error { return directory.ErrNotFound }}))
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // embedded: it is there
	}
	fileServer := http.StripPrefix(Prefix+"/static/", http.FileServerFS(static))
	mux.Handle("GET "+Prefix+"/static/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers(w)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		fileServer.ServeHTTP(w, r)
	}))
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers(w)
		v := &visit{App: a, w: w, r: r, bare: true}
		v.render(http.StatusForbidden, "error", "Not from this site", problem{"This form was sent from another site. Nothing was done. Open the page here and try again."})
	}))
	if u, err := url.Parse(a.Directory.BaseURL); err == nil { // where a proxy changes the name
		csrf.AddTrustedOrigin(u.Scheme + "://" + u.Host)
	}
	return csrf.Handler(a.sessions.LoadAndSave(mux))
}

// headers that every answer has: nothing but our own style and script, in no
// frame, kept by nobody, and no address of ours told to other sites.
func headers(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would have browsers send Origin: null with our own forms
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// visit is one request.
type visit struct {
	*App
	w      http.ResponseWriter
	r      *http.Request
	who    account.Account  // zero: nobody has signed in
	member directory.Member // of the path; zero where it has none
	bare   bool             // there is no session to read from
}

func (v *visit) ctx() context.Context { return v.r.Context() }

func (v *visit) signedIn() bool { return v.who.ID != "" }

// form gives a field of the form that was sent, without the space around it.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// path is an address of the application.
func path(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return Prefix + "/" + strings.Join(parts, "/")
}

// at is an address of the member at hand.
func (v *visit) at(parts ...string) string {
	return path(append([]string{"o", v.member.ID}, parts...)...)
}

func (v *visit) redirect(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// done goes to a page that says once what was done.
func (v *visit) done(to, said string) error {
	v.sessions.Put(v.ctx(), keyFlash, said)
	return v.redirect(to)
}

func (a *App) serve(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		headers(w)
		if a.strict {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		req.Body = http.MaxBytesReader(w, req.Body, maxBody)
		v := &visit{App: a, w: w, r: req}
		if err := v.enter(r); err != nil {
			a.fail(v, err)
		}
	})
}

// enter lets a visitor in who may open the page, and opens it.
func (v *visit) enter(r route) error {
	if err := v.recognise(); err != nil {
		return err
	}
	if v.signedIn() {
		v.r = v.r.WithContext(audit.WithActor(v.ctx(), v.who.Actor()))
	}
	if v.r.Method == http.MethodPost {
		if err := v.parse(); err != nil {
			return err
		}
	}
	switch {
	case r.need == anybody:
		return r.handle(v)
	case !v.signedIn():
		return v.toSignIn()
	case (r.need == admin || r.need == adminSoon) && !v.who.Administrator:
		return directory.ErrNotFound
	}
	if r.need == owner || v.r.PathValue("member") != "" {
		id := v.r.PathValue("member")
		ok, err := v.Accounts.MayActFor(v.ctx(), v.who, id)
		if err == nil && !ok {
			err = directory.ErrNotFound // another's is as unknown as none
		}
		if err == nil {
			v.member, err = v.Directory.Member(v.ctx(), id)
		}
		if err != nil {
			return err
		}
	}
	if (r.need == recently || r.need == adminSoon) && !v.fresh() {
		return v.toConfirm()
	}
	return r.handle(v)
}

// parse reads a form, with files or without.
func (v *visit) parse() error {
	var err error
	if strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/form-data") {
		err = v.r.ParseMultipartForm(maxBody)
	} else {
		err = v.r.ParseForm()
	}
	if err != nil && !errors.As(err, new(*http.MaxBytesError)) {
		err = &refusal{http.StatusBadRequest, "The form could not be read. Go back and send it again."}
	}
	return err
}

// refusal is an error for the visitor's eyes.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

// explain gives what a visitor may be told of an error; "" where nothing.
func explain(err error) (status int, text string) {
	var re *refusal
	var tm *account.TooMany
	switch {
	case errors.As(err, &re):
		return re.status, re.text
	case errors.As(err, &tm):
		return http.StatusTooManyRequests, "Too many attempts have failed. Wait " + waitWords(tm.Wait) + " and try again."
	case errors.Is(err, account.ErrInvalid):
		return http.StatusBadRequest, sentence(strings.ReplaceAll(err.Error(), account.ErrInvalid.Error()+": ", ""))
	case errors.Is(err, account.ErrWrong):
		return http.StatusForbidden, "That was not right. Check it and try again."
	case errors.Is(err, account.ErrLink):
		return http.StatusGone, "This link does not work any more: links work once, and for a limited time. Ask whoever sent it for a new one."
	case errors.Is(err, account.ErrLast):
		return http.StatusConflict, "This is the last one, so it stays. Add another first."
	case errors.Is(err, account.ErrExists):
		return http.StatusConflict, "There is an account with this email address already: sign in with it."
	case errors.Is(err, account.ErrNotFound):
		return http.StatusNotFound, "There is nothing at this address."
	}
	status, text, ok := directory.Explain(err)
	switch {
	case !ok:
		return http.StatusInternalServerError, ""
	case status == http.StatusNotFound:
		text = "There is nothing at this address."
	}
	return status, sentence(text)
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

func waitWords(d time.Duration) string {
	switch n := int((d + time.Minute - 1) / time.Minute); {
	case n <= 1:
		return "a minute"
	default:
		return strconv.Itoa(n) + " minutes"
	}
}

type problem struct{ Text string }

// fail shows the page of an error. What is not meant for the visitor is logged
// under a number, and only the number is shown.
func (a *App) fail(v *visit, err error) {
	status, text := explain(err)
	if text == "" {
		if v.ctx().Err() != nil {
			return // the visitor has gone
		}
		var b [8]byte
		rand.Read(b[:])
		id := hex.EncodeToString(b[:])
		a.Logger.Error("page failed", "method", v.r.Method, "page", v.r.Pattern, "correlation", id, "error", err)
		text = "Something went wrong here. Try again later, or tell the directory's administrator this number: " + id
	}
	retryAfter(v.w, err)
	title := "That did not work"
	if status == http.StatusNotFound {
		title = "Not found"
	}
	v.render(status, "error", title, problem{text})
}

func retryAfter(w http.ResponseWriter, err error) {
	var tm *account.TooMany
	if errors.As(err, &tm) {
		w.Header().Set("Retry-After", strconv.Itoa(int(tm.Wait/time.Second)+1))
	}
}

// render writes a page. An answer that is not whole is not sent.
func (v *visit) render(status int, page, title string, data any) error {
	return v.renderWith(status, page, title, "", data)
}

// again shows a form again, with what was wrong about it. Errors that are not
// the visitor's to mend go to the page of errors.
func (v *visit) again(page, title string, data any, err error) error {
	status, text := explain(err)
	if text == "" || status == http.StatusNotFound || status == http.StatusGone {
		return err
	}
	retryAfter(v.w, err)
	return v.renderWith(status, page, title, text, data)
}

func (v *visit) renderWith(status int, page, title, wrong string, data any) error {
	l := layout{Title: title, Problem: wrong, Who: v.who, Member: v.member, Data: data, Base: Prefix, Here: v.r.URL.Path, Operator: v.Accounts.Name}
	if !v.bare && status < 400 && v.sessions.Exists(v.ctx(), keyFlash) {
		l.Said = v.sessions.PopString(v.ctx(), keyFlash)
	}
	var b bytes.Buffer
	if err := pages[page].ExecuteTemplate(&b, "layout", l); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes()) // an error here is the visitor's connection: there is nobody to tell
	return nil
}
