package permission_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// raw posts a form with headers of its own.
func (p *person) raw(path string, f url.Values, headers ...string) answer {
	r, err := http.NewRequest("POST", p.w.issuer+path, strings.NewReader(f.Encode()))
	must(p.w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return do(p.w.t, p.http, r)
}

// Another website cannot use the account of whoever looks at it, nor sign
// anybody in to its own.
func TestAccountCrossSite(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		p := w.person()
		p.join(code1)
		for _, path := range []string{"/account", "/account/sign-in", "/account/sites", "/account/make", "/account/remove", "/account/ways", "/account/sign-out", "/account/leave", "/permissions/withdraw", "/permissions/accounts"} {
			f := url.Values{"sure": {"yes"}, "code": {code1}}
			for _, h := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site", "Origin", w.issuer}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"}} {
				if res := p.raw(path, f, h...); res.Status != http.StatusForbidden {
					t.Errorf("POST %s with %v: %d", path, h, res.Status)
				}
			}
		}
		// What does not say where it comes from is no browser of today: the cookie does not count.
		p.is(p.raw("/account/leave", url.Values{"sure": {"yes"}}), 422, "You have been signed out")
		p.is(p.account(), 200, "Riverside Unit 4")
	})
}

// A token that was in the browser before signing in is worth nothing after, and
// the one that signing in gives is for this host, by https, and for no script.
func TestAccountSessionIsFixedAtSignIn(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		p := w.person()
		p.join(code1)
		u, err := url.Parse(w.issuer)
		must(t, err)
		cookie := func() string {
			for _, c := range p.http.Jar.Cookies(u) {
				if c.Name == "__Host-account" {
					return c.Value
				}
			}
			return ""
		}
		first := cookie()
		res := p.post("/account/sign-in", p.signInForm())
		p.goes(res, "/account")
		set := res.Header.Get("Set-Cookie")
		for _, want := range []string{"__Host-account=", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
			if !strings.Contains(set, want) || strings.Contains(set, "Domain") || strings.Contains(set, "Max-Age") || strings.Contains(set, "Expires") {
				t.Errorf("cookie %q without %q, or wider than the browser's window", set, want)
			}
		}
		if first == "" || first == cookie() {
			t.Fatal("the token stayed")
		}
		with := func(token string) answer {
			r, err := http.NewRequest("GET", w.issuer+"/account", nil)
			must(t, err)
			r.Header.Set("Cookie", token)
			return do(t, w.browser().http, r)
		}
		if got := with("__Host-account=" + cookie()).Status; got != 200 {
			t.Errorf("the token itself: %d", got)
		}
		for _, token := range []string{"__Host-account=" + first, "__Host-account=attackers", "__Host-account=", "__Host-account=" + first + "; __Host-account=" + cookie(), "account=" + cookie()} {
			if got := with(token).Status; got != http.StatusSeeOther {
				t.Errorf("signed in with %s: %d", token, got)
			}
		}
		last := cookie()
		p.goes(p.post("/account/sign-out", url.Values{}), "/account/sign-in")
		if got := with("__Host-account=" + last).Status; got != http.StatusSeeOther {
			t.Errorf("the token after signing out: %d", got)
		}
	})
}

// Nothing tells a number that there is from one that there is not, nor which
// part of a sign-in was wrong.
func TestAccountEnumeration(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		p := w.person()
		p.join(code1)
		good := p.signInForm()
		pages := map[string]bool{}
		for _, change := range []url.Values{{"password": {"wrong wrong wrong"}}, {"app": {"000000"}}, {"number": {"1234 1234 1234"}}, {"number": {"1234 1234 1234"}, "password": {"x"}, "app": {"y"}}} {
			f := url.Values{}
			for k, v := range good {
				f[k] = v
			}
			for k, v := range change {
				f[k] = v
			}
			res := w.person().post("/account/sign-in", f)
			if res.Status != 422 || res.Header.Get("Set-Cookie") != "" {
				t.Errorf("%v: %d", change, res.Status)
			}
			pages[regexp.MustCompile(`value="[0-9 ]+"`).ReplaceAllString(res.Body, "")] = true
			if strings.Contains(res.Body, accountPassword) {
				t.Error("the password comes back")
			}
		}
		if len(pages) != 1 {
			t.Errorf("%d different answers to what is wrong", len(pages))
		}
	})
}

// Guesses are bounded over all services together: of one number from many
// addresses, and from one address at many numbers.
func TestAccountGuessing(t *testing.T) {
	cluster(t, 3, func(t *testing.T, ws []*world) {
		guess := func(i int, number string) int {
			return ws[i%3].person().post("/account/sign-in", url.Values{"number": {number}, "password": {"wrong wrong wrong"}, "app": {"1"}}).Status
		}
		p := ws[0].person()
		p.join(code1)
		for name, number := range map[string]string{"known": p.number, "unknown": "1111 1111 1111"} {
			through := 0
			for i := range 15 {
				if guess(i, number) == 422 {
					through++
				}
			}
			if through != 10 {
				t.Errorf("%d guesses at a number that is %s", through, name)
			}
		}
		res := p.post("/account/sign-in", p.signInForm())
		if res.Status != 429 || res.Header.Get("Retry-After") == "" {
			t.Errorf("the right one while its number is guessed at: %d", res.Status)
		}
		for _, w := range ws {
			w.advance(16 * time.Minute)
		}
		p.goes(p.post("/account/sign-in", p.signInForm()), "/account")
	}, manyAddresses)
	cluster(t, 3, func(t *testing.T, ws []*world) {
		through := 0
		for i := range 40 {
			if ws[i%3].person().post("/account/sign-in", url.Values{"number": {strings.Repeat("1", 10) + string(rune('0'+i/10)) + string(rune('0'+i%10))}, "password": {"wrong wrong wrong"}}).Status == 422 {
				through++
			}
		}
		if through != 30 {
			t.Errorf("%d guesses from one address", through)
		}
	}, func(c *permission.Config) {
		c.Address = func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") }
	})
}

// An account reaches its own sites and no other, whatever a form says.
func TestAccountReachesItsOwn(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		w.bank.flow(perseus.LicenseCombined(), code1)
		w.bank.flow(perseus.LicenseCombined(), code2)
		p, q := w.person(), w.person()
		p.join(code1)
		q.join(code2)
		mine, other := formWith(t, p.account(), "permission"), formWith(t, q.account(), "permission")
		p.is(p.post("/permissions", url.Values{"site": other["site"]}), 422)
		p.is(p.post("/permissions/withdraw", url.Values{"site": mine["site"], "permission": other["permission"]}), 404, "no such permission")
		p.is(p.post("/permissions/withdraw", url.Values{"site": other["site"], "permission": other["permission"]}), 422)
		p.goes(p.post("/account/remove", url.Values{"site": other["site"]}), "/account")
		q.is(q.account(), 200, "Corner Shop", "In force")
		uri, _ := w.bank.push(perseus.LicenseEmissions())
		p.is(p.post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "site": other["site"]}), 422)
		for _, evil := range []string{"' OR '1'='1", "{{.}}", "../x", strings.Repeat("x", 5000)} {
			p.is(p.post("/permissions", url.Values{"site": {evil}}), 422)
		}
		// The way on leads to our own page for requests, whatever it is called.
		for _, evil := range []string{"https://evil.example", "//evil.example", "javascript:alert(1)", "\\\\evil"} {
			f := p.signInForm()
			f.Set("client_id", evil)
			f.Set("request_uri", evil)
			p.goes(p.post("/account/sign-in", f), "/authorize")
		}
	})
}

// The ways to sign in are changed by somebody who has signed in just now, and
// the last one stays.
func TestAccountWays(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	p := w.person()
	p.join(code1)
	p.is(p.get(w.issuer+"/account/ways"), 200, "Password with an authenticator app")
	p.is(p.post("/account/ways", url.Values{"do": {"remove"}, "passkey": {""}}), 422, "the only way to sign in")
	page := p.is(p.post("/account/ways", url.Values{}), 200, "Add a way to sign in")
	f := formWith(t, page, "password")
	f.Set("password", "password1234")
	f.Set("app", "1")
	page = p.is(p.post("/account/ways", f), 422, "among the first that somebody would guess")
	f = formWith(t, page, "password")
	old := p.secret
	p.secret = strings.ReplaceAll(keyOfApp.FindStringSubmatch(page.Body)[1], " ", "")
	f.Set("password", "another good one, this")
	f.Set("app", p.app())
	p.goes(p.post("/account/ways", f), "/account/ways")
	p.is(p.post("/account/ways", f), 422, "run out, or was used already")
	again := p.signInForm()
	p.is(w.person().post("/account/sign-in", again), 422)
	again.Set("password", "another good one, this")
	again.Set("app", p.app())
	q := w.person()
	q.goes(q.post("/account/sign-in", again), "/account")
	if old == p.secret {
		t.Error("the app's secret stayed")
	}
	w.advance(11 * time.Minute)
	p.is(p.account(), 200)
	p.is(p.post("/account/ways", url.Values{"do": {"remove"}}), 422, "please sign in once more")
	p.is(p.post("/account/ways", f), 422, "please sign in once more")
	w.advance(2 * time.Hour)
	p.is(p.post("/account/ways", url.Values{}), 422, "You have been signed out")
}
