package permission_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

const accountPassword = "correct horse battery staple"

// person is somebody with a browser that keeps cookies, and an account.
type person struct {
	*browser
	number, secret string
}

func (w *world) person() *person {
	b := w.browser()
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	b.http.Jar = jar
	return &person{browser: b}
}

func (p *person) is(res answer, status int, want ...string) answer {
	p.w.t.Helper()
	got := text(res.Body)
	if res.Status != status {
		p.w.t.Fatalf("%d, want %d: %s", res.Status, status, got)
	}
	for _, s := range want {
		if !strings.Contains(got, s) {
			p.w.t.Errorf("the page does not say %q: %s", s, got)
		}
	}
	return res
}

// goes is where a page leads by 303.
func (p *person) goes(res answer, path string) string {
	p.w.t.Helper()
	at := res.Header.Get("Location")
	if u, err := url.Parse(at); res.Status != http.StatusSeeOther || err != nil || u.Path != path || u.Host != "" {
		p.w.t.Fatalf("%d to %q, want 303 to %s: %s", res.Status, at, path, text(res.Body))
	}
	return p.w.issuer + at
}

var keyOfApp = regexp.MustCompile(`<code class="key">([A-Z2-7 ]+)</code>`)

func (p *person) app() string {
	p.w.advance(30 * time.Second) // each code is good once
	c, err := totp.GenerateCode(p.secret, p.w.now())
	must(p.w.t, err)
	return c
}

// keep makes an account on the page that a form led to.
func (p *person) keep(page answer) answer {
	p.w.t.Helper()
	p.is(page, 200, "Keep an account for", "no e-mail address")
	f := formWith(p.w.t, page, "password")
	p.number, p.secret = f.Get("number"), strings.ReplaceAll(keyOfApp.FindStringSubmatch(page.Body)[1], " ", "")
	f.Set("password", record.Secret(p.w.t, "password of a business", accountPassword))
	f.Set("app", p.app())
	return p.post("/account/make", f)
}

func (p *person) join(code string) {
	p.w.t.Helper()
	list := p.is(p.post("/permissions", url.Values{"code": {code}}), 200, "An account for next time")
	f := formWith(p.w.t, list, "code")
	f.Set("code", code)
	p.goes(p.keep(p.post("/account/sites", f)), "/account")
}

func (p *person) signInForm() url.Values {
	return url.Values{"number": {p.number}, "password": {accountPassword}, "app": {p.app()}}
}

func (p *person) account() answer { p.w.t.Helper(); return p.is(p.get(p.w.issuer+"/account"), 200) }

// A business keeps an account by its code, and comes back from its bank with it.
func TestAccount(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		tok := w.cap.flow(perseus.LicenseConsumption(), code1)
		p := w.person()
		p.goes(p.get(w.issuer+"/account"), "/account/sign-in")
		p.join(code1)
		page := p.is(p.account(), 200, "Riverside Unit 4", "Carbon Counters Ltd", "In force", "Account "+p.number)
		f := formWith(t, page, "permission")
		if f.Get("code") != "" || strings.Contains(page.Body, `value="`+code1) {
			t.Error("the code is on the account's page")
		}

		// From the bank: the site is picked, and it is agreed.
		uri, verifier := w.bank.push(perseus.LicenseCombined())
		first := p.is(p.get(w.authorizeURL(bankURL, uri)), 200, "Which of your sites?", "Riverside Unit 4, SW8")
		g := formWith(t, first, "client_id")
		g.Set("site", regexp.MustCompile(`name="site" value="([^"]+)"`).FindStringSubmatch(first.Body)[1])
		offer := p.is(p.post("/authorize", g), 200, "May Green Bank plc have")
		g = formWith(t, offer, "seen")
		g.Set("decision", "agree")
		bank := w.bank.redeem(p.back(p.post("/authorize", g)).Get("code"), verifier)
		record := w.bank.post("/oauth/permission", url.Values{"token": {bank.refresh}}).json()["permission"].(map[string]any)
		p.is(p.get(record["evidence"].(string)), 200, "Someone signed in to an account that had shown the meter code of Riverside Unit 4")
		d, ok, err := permission.Show(t.Context(), w.db, w.now(), w.idOf(bankURL, gateway1))
		if err != nil || !ok || d.Grants[0].How != "account" || d.Grants[0].SignedIn != strings.ReplaceAll(p.number, " ", "") {
			t.Errorf("the log says %+v, %v", d.Grants, err)
		}

		// Withdrawn, from the account's page.
		p.is(p.post("/permissions/withdraw", f), 200, "Withdrawn. Carbon Counters Ltd gets nothing more.", "All your permissions")
		refused(t, w.cap.use(tok.access), 401, "invalid_token")
		p.is(p.account(), 200, "Withdrawn on", "Green Bank plc")

		// Another site, out again, out of the browser, in again, and away.
		p.is(p.post("/account/sites", url.Values{"code": {"0000-0000-0000"}}), 422, "No meter has this code")
		p.goes(p.post("/account/sites", url.Values{"code": {code2}}), "/account")
		page = p.is(p.account(), 200, "Corner Shop")
		for _, site := range regexp.MustCompile(`name="site" value="([^"]+)">\s*<button class="plain"[^>]*Corner Shop`).FindStringSubmatch(page.Body)[1:] {
			p.goes(p.post("/account/remove", url.Values{"site": {site}}), "/account")
		}
		if strings.Contains(p.account().Body, "Corner Shop") {
			t.Error("a site that was removed")
		}
		p.goes(p.post("/account/sign-out", url.Values{}), "/account/sign-in")
		p.goes(p.get(w.issuer+"/account"), "/account/sign-in")
		p.goes(p.post("/account/sign-in", p.signInForm()), "/account")
		p.is(p.post("/account/leave", url.Values{}), 200, "Delete your account?")
		p.account()
		p.is(p.post("/account/leave", url.Values{"sure": {"yes"}}), 200, "Your account is deleted")
		p.goes(p.get(w.issuer+"/account"), "/account/sign-in")
		p.is(p.post("/account/sign-in", p.signInForm()), 422, "is wrong")
		if w.bank.use(bank.access).Status != 200 {
			t.Error("a permission ended with the account")
		}
	})
}

// Who comes from a bank may keep an account first, and goes on with the bank's
// request: then, and the next time by signing in.
func TestAccountOnTheWay(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	p := w.person()
	uri, _ := w.bank.push(perseus.LicenseCombined())
	f := formWith(t, p.get(w.authorizeURL(bankURL, uri)), "code")
	f.Set("code", code1)
	offer := p.post("/authorize", f)
	f = formWith(t, offer, "code")
	f.Del("seen")
	back := p.goes(p.keep(p.post("/account/sites", f)), "/authorize")
	p.is(p.get(back), 200, "Green Bank plc asks for", "Riverside Unit 4, SW8")
	p.goes(p.post("/account/sign-out", url.Values{}), "/account/sign-in")

	page := p.is(p.get(w.authorizeURL(bankURL, uri)), 200, "Do you have an account here?")
	link := regexp.MustCompile(`href="(/account/sign-in[^"]*)"`).FindStringSubmatch(page.Body)
	f = formWith(t, p.get(w.issuer+strings.ReplaceAll(link[1], "&amp;", "&")), "number")
	for k, v := range p.signInForm() {
		f[k] = v
	}
	p.is(p.get(p.goes(p.post("/account/sign-in", f), "/authorize")), 200, "Riverside Unit 4, SW8")
}

// A new code ends what accounts hold of the site: they may do nothing more with
// it, and are told nothing of who has it now.
func TestNewTenant(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		w.bank.flow(perseus.LicenseCombined(), code1)
		p := w.person()
		p.join(code1)
		f := formWith(t, p.account(), "permission")
		offer := func() url.Values {
			uri, _ := w.bank.push(perseus.LicenseEmissions())
			return url.Values{"client_id": {bankURL}, "request_uri": {uri}, "site": f["site"]}
		}
		p.is(p.post("/authorize", offer()), 200, "May Green Bank plc")

		const fresh = "ABCD-EFGH-JKMN"
		w.sites.recode(code1, fresh)
		site := w.sites.m[fresh]
		site.Name = "The New Tenant"
		w.sites.set(fresh, site)
		for name, res := range map[string]answer{"offer": p.post("/authorize", offer()), "list": p.post("/permissions", f), "withdrawal": p.post("/permissions/withdraw", f)} {
			if res.Status != 422 || strings.Contains(res.Body, "New Tenant") {
				t.Errorf("%s with the hold of the last tenant: %d %s", name, res.Status, text(res.Body))
			}
		}
		page := p.is(p.account(), 200, "Riverside Unit 4", "code was changed")
		if strings.Contains(page.Body, "New Tenant") || strings.Contains(page.Body, "Green Bank") {
			t.Errorf("the last tenant sees: %s", text(page.Body))
		}
		p.is(p.post("/account/sites", url.Values{"code": {code1}}), 422)
		p.goes(p.post("/account/sites", url.Values{"code": {fresh}}), "/account") // it was not another tenant after all
		p.is(p.account(), 200, "The New Tenant", "Green Bank")

		// The operator ends a tenancy; and printed codes end what was got by them.
		_, err := w.db.Exec(`INSERT INTO site (gateway, member, name, outcode, code_hash, registered, updated) VALUES ($1, 'm', 'n', 'o', $2, 0, 0)`, gateway1, []byte("x"))
		must(t, err)
		printed, err := permission.PrintCode(t.Context(), w.db, w.now(), gateway1, "", 90*day)
		must(t, err)
		q := w.person()
		q.join(printed)
		if _, err := permission.ForgetCodes(t.Context(), w.db, gateway1); err != nil {
			t.Fatal(err)
		}
		q.is(q.account(), 200, "Your account has no site")
		p.is(p.account(), 200, "The New Tenant")
		_, err = w.db.Exec(`UPDATE site SET code_hash = $1`, []byte(fresh))
		must(t, err)
		w.sites.version = ingest.CodeVersion // as ingest names codes
		p.goes(p.post("/account/sites", url.Values{"code": {fresh}}), "/account")
		printed, err = permission.PrintCode(t.Context(), w.db, w.now(), gateway1, "", 90*day)
		must(t, err)
		if got, err := permission.EndTenancy(t.Context(), w.db, w.now(), gateway1); got != (permission.Tenancy{Permissions: 1, Codes: 1, Accounts: 1}) || err != nil {
			t.Errorf("ended %+v, %v", got, err)
		}
		p.is(p.account(), 200, "Your account has no site")
		p.is(p.post("/account/sites", url.Values{"code": {fresh}}), 422, "No meter has this code")
		p.is(p.post("/account/sites", url.Values{"code": {printed}}), 422, "No meter has this code")
		if ps, err := w.svc.Permissions(t.Context()); len(ps) != 0 || err != nil {
			t.Errorf("permissions of the last tenant: %+v, %v", ps, err)
		}
		next, err := permission.PrintCode(t.Context(), w.db, w.now(), gateway1, "new tenant", 90*day)
		must(t, err)
		p.goes(p.post("/account/sites", url.Values{"code": {next}}), "/account")
		if _, err := permission.EndTenancy(t.Context(), w.db, w.now(), gateway2); err == nil {
			t.Error("of a gateway that never registered")
		}
	})
}

// Who has the code may end what accounts hold of the site; who only has an
// account may not.
func TestCodeStandsAboveAccounts(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	p, q := w.person(), w.person()
	p.join(code1)
	q.join(code1)
	site := regexp.MustCompile(`name="site" value="([^"]+)"`).FindStringSubmatch(p.account().Body)[1]
	f := url.Values{"site": {site}}
	p.is(p.post("/permissions/accounts", f), 422, "Type the meter code")
	q.is(q.account(), 200, "Riverside Unit 4")
	b := w.person()
	b.is(b.post("/permissions", url.Values{"code": {code1}}), 200, "Accounts that hold this site: 2.")
	b.is(b.post("/permissions/accounts", url.Values{"code": {code1}}), 200, "No account holds this site any more")
	q.is(q.account(), 200, "Your account has no site")
	p.is(p.post("/permissions", f), 422)
}
