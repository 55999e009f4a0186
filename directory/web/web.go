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
	"context"
	"embed"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/directory/fault"
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

	// ClientAddress says from which address a request comes, for the limits on
	// guessing. Nil: the connection's remote address, which is right unless a
	// proxy stands in front.
	ClientAddress func(*http.Request) netip.Addr

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
	if c.ClientAddress == nil {
		c.ClientAddress = answer.RemoteAddress
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
	mux.Handle(Prefix+"/", a.serve(route{need: anybody, handle: func(*visit) error { return fault.ErrNotFound }}))
	for name, kind := range statics {
		mux.Handle("GET "+Prefix+"/static/"+name, serveStatic(name, kind))
	}
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
	// The form first: it may take a minute to come, and who sends it may have
	// lost a rank meanwhile.
	var unread error
	if v.r.Method == http.MethodPost {
		unread = v.parse()
	}
	if err := v.recognise(); err != nil {
		return err
	}
	if unread != nil {
		return unread
	}
	if v.signedIn() {
		v.r = v.r.WithContext(audit.WithActor(v.ctx(), v.who.Actor()))
	}
	switch {
	case r.need == anybody:
		return r.handle(v)
	case !v.signedIn():
		return v.toSignIn()
	case (r.need == admin || r.need == adminSoon) && !v.who.Administrator:
		return fault.ErrNotFound
	}
	if r.need == owner || v.r.PathValue("member") != "" {
		id := v.r.PathValue("member")
		ok, err := v.Accounts.MayActFor(v.ctx(), v.who, id)
		if err == nil && !ok {
			err = fault.ErrNotFound // another's is as unknown as none
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
