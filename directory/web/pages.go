package web

import (
	"fmt"
	"html/template"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
)

// layout is what is around every page.
type layout struct {
	Title    string
	Problem  string // what was wrong with the form that was sent; may be empty
	Said     string // what was done; may be empty
	Who      account.Account
	Member   directory.Member
	Data     any
	Base     string // Prefix
	Here     string // path of this page
	Operator string
	Edition  string // of the files that pages load
}

// pages are the templates by name, each within the layout.
var pages = func() map[string]*template.Template {
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err) // embedded: they are there
	}
	out := map[string]*template.Template{}
	for _, name := range names {
		if key := strings.TrimSuffix(strings.TrimPrefix(name, "pages/"), ".html"); key != "layout" {
			out[key] = template.Must(template.New(key).Funcs(functions).ParseFS(files, "pages/layout.html", name))
		}
	}
	return out
}()

var functions = template.FuncMap{
	"day":     func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	"minute":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
	"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"otpauth": func(u string) template.URL { return template.URL(u) }, // of ours: html/template knows no otpauth:
	"current": current,
	"role":    roleWords,
	"did":     didWords,
	"actor":   actorWords,
	"subject": func(s string) string { return strings.Replace(s, "/", " ", 1) },
	"detail":  detailWords,
	"state":   func(of map[string]string, key string) string { return of[key] },
	"list":    func(items ...any) []any { return items },
	"has": func(list []string, s string) bool {
		for _, x := range list {
			if x == s {
				return true
			}
		}
		return false
	},
	"groups": func(secret string) string { // of four, to be typed
		var b strings.Builder
		for i, c := range secret {
			if i > 0 && i%4 == 0 {
				b.WriteByte(' ')
			}
			b.WriteRune(c)
		}
		return b.String()
	},
}

// current says whether a page is the one that a tab leads to, or below it; the
// tabs of an organisation and of the directory themselves have all others below.
func current(here, tab string) string {
	all := tab == Prefix+"/admin" || !strings.Contains(strings.TrimPrefix(tab, Prefix+"/o/"), "/")
	switch {
	case here == tab:
		return "page"
	case strings.HasPrefix(here, tab+"/") && !all:
		return "true"
	}
	return ""
}

// roleWords says a role in plain words; its URL where it is none of the
// scheme's.
func roleWords(url string) string {
	switch url[strings.LastIndexByte(url, '/')+1:] {
	case "energy-data-provider":
		return "Energy data provider"
	case "carbon-accounting-provider":
		return "Carbon accounting provider"
	case "financial-service-provider":
		return "Financial service provider"
	}
	return url
}

// actorWords says who did something.
func actorWords(actor string) string {
	kind, name, _ := strings.Cut(actor, ":")
	switch kind {
	case "person":
		return name
	case "token":
		return "a program, with the token " + name
	case "gateway":
		return "gateway " + name
	case "operator":
		return "the directory's operator"
	case "program":
		return "the directory"
	}
	return actor
}

var (
	roleURL  = regexp.MustCompile(`https?://[^"\s]+/role/[a-z-]+`)
	ownNames = regexp.MustCompile(`(^|; )(ID|Member|Application): "[^"]*"`) // the subject says them already
)

// detailWords makes an entry's line one for people: roles in words, without
// what the subject has said and what stands for marks of the page.
func detailWords(s string) string {
	s = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(ownNames.ReplaceAllString(s, ""))
	return roleURL.ReplaceAllStringFunc(strings.TrimPrefix(s, "; "), roleWords)
}

// didWords says in plain words what was done.
func didWords(action string) string {
	if w, ok := actions[action]; ok {
		return w
	}
	thing, verb, _ := strings.Cut(action, ".")
	return fmt.Sprintf("%s: %s", thing, verb)
}

var actions = map[string]string{
	"member.add": "Organisation added", "member.update": "Organisation's details changed", "member.roles": "Roles changed", "officer.set": "Officer changed",
	"application.add": "Application added", "application.update": "Application changed", "application.remove": "Application deleted",
	"service.add": "Data service entered", "service.remove": "Data service taken out",
	"certificate.issue": "Certificate issued", "certificate.revoke": "Certificate revoked",
	"token.issue": "Token made", "token.revoke": "Token ended", "owner.add": "Owner added for programs",
	"site.add": "Site added", "site.update": "Site changed", "gateway.add": "Gateway added", "gateway.enrol": "Gateway enrolled", "gateway.enroll": "Gateway enrolled",
	"gateway.renew": "Gateway renewed its certificate", "gateway.revoke": "Gateway shut out", "code.issue": "Enrolment code made", "code.withdraw": "Enrolment code ended",
	"account.add": "Account made", "account.invite": "Person invited", "account.invite-withdraw": "Invitation taken back", "account.accept": "Invitation accepted",
	"account.owner-remove": "Person removed", "account.sign-in": "Signed in", "account.password": "Password changed", "account.close": "Account deleted", "account.demote": "Administrator no more",
	"account.factor-add": "Second step added", "account.factor-remove": "Second step removed", "account.recovery-codes": "New recovery codes",
	"account.password-link": "Link for a new password made", "account.restore-link": "Link to set up anew made", "account.restore": "Account set up anew", "account.sessions-end": "Signed out everywhere",
}
