package permission_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
)

// TestAttacks tries, one after the other, what somebody would try who has a
// certificate of the scheme, a browser, or a wire into the middle. What the
// checks of TestChecks show already is not here again.
func TestAttacks(t *testing.T) {
	attacks := []struct {
		name string
		run  func(t *testing.T, w *world)
	}{
		{"PKCE downgrade", attackPKCE},
		{"mix-up of issuers", attackMixUp},
		{"open redirect", attackRedirect},
		{"client confusion", attackClientConfusion},
		{"run out on a kept-alive connection", attackExpired},
		{"revoked on a kept-alive connection", attackRevoked},
		{"TLS resumption after revocation", attackResumption},
		{"revoked while the body comes", attackSlowBody},
		{"revoked during a long poll", attackLongPoll},
		{"scope", attackScope},
		{"header smuggling", attackHeaders},
		{"smuggled requests", attackSmuggling},
		{"injection", attackInjection},
		{"giant requests", attackGiant},
		{"tokens in other places", attackTokenPlaces},
		{"cross-site forms", attackCrossSite},
	}
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		for _, a := range attacks {
			t.Run(a.name, func(t *testing.T) { a.run(t, newWorld(t, open(t))) })
		}
	})
}

func attackPKCE(t *testing.T, w *world) {
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	code := w.browser().agree(bankURL, uri, code1).Get("code")
	f := w.bank.redeemForm(code, challengeOf(verifier)) // "plain": the challenge in the verifier's place
	refused(t, w.bank.post("/oauth/token", f), 400, "invalid_grant")
	f.Set("code_challenge_method", "plain")
	refused(t, w.bank.post("/oauth/token", f), 400, "invalid_grant")
	f.Del("code_verifier")
	refused(t, w.bank.post("/oauth/token", f), 400, "invalid_request")
	f.Set("code_verifier", strings.Repeat("a", 129))
	refused(t, w.bank.post("/oauth/token", f), 400, "invalid_request")

	// A challenge in the browser's address does not take the pushed one's place.
	mine, myChallenge := pkce()
	uri, _ = w.bank.push(perseus.LicenseCombined())
	b := w.browser()
	page := b.get(w.authorizeURL(bankURL, uri) + "&code_challenge=" + myChallenge + "&code_challenge_method=S256")
	form := formWith(t, page, "code")
	form.Set("code", code1)
	form.Set("code_challenge", myChallenge)
	form = formWith(t, b.post("/authorize", form), "seen")
	form.Set("decision", "agree")
	form.Set("code_challenge", myChallenge)
	code = b.back(b.post("/authorize", form)).Get("code")
	refused(t, w.bank.post("/oauth/token", w.bank.redeemForm(code, mine)), 400, "invalid_grant")
}

// attackMixUp: a client that speaks to two issuers can tell them apart (RFC
// 9207), in every answer, and nothing of one works at the other.
func attackMixUp(t *testing.T, w *world) {
	other := newWorld(t, openSQLite(t))
	uri, verifier := w.bank.push(perseus.LicenseCombined())
	q := w.browser().agree(bankURL, uri, code1)
	if len(q["iss"]) != 1 || q.Get("iss") != w.issuer || q.Get("iss") == other.issuer {
		t.Errorf("iss: %v", q["iss"])
	}
	otherBank := other.app(bankURL, "Green Bank plc", perseus.Role(scheme.FSP))
	refused(t, otherBank.post("/oauth/token", otherBank.redeemForm(q.Get("code"), verifier)), 400, "invalid_grant")
	if res := other.browser().get(other.authorizeURL(bankURL, uri)); res.Status != 400 || res.Header.Get("Location") != "" {
		t.Errorf("another issuer's request: %d", res.Status)
	}
	w.bank.redeem(q.Get("code"), verifier)
	// A refusal names its issuer too.
	uri, _ = w.bank.push(perseus.LicenseCombined())
	b := w.browser()
	res := b.post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "decision": {"decline"}})
	if q := b.back(res); q.Get("iss") != w.issuer || q.Get("error") != "access_denied" || q.Get("state") != "st 1&x" || q.Has("code") {
		t.Errorf("a refusal: %v", q)
	}
	if m := w.browser().get(w.issuer + "/.well-known/oauth-authorization-server").json(); m["authorization_response_iss_parameter_supported"] != true || m["issuer"] != w.issuer {
		t.Errorf("metadata: %v", m)
	}
}

// attackRedirect: nothing that a browser can be made to ask for leads it
// anywhere but to the pushed redirect_uri, and only after a decision.
func attackRedirect(t *testing.T, w *world) {
	uri, _ := w.bank.push(perseus.LicenseCombined())
	b := w.browser()
	evil := "https://evil.example/cb"
	for _, u := range []string{
		w.issuer + "/authorize?redirect_uri=" + url.QueryEscape(evil),
		w.issuer + "/authorize?response_type=code&client_id=" + url.QueryEscape(bankURL) + "&redirect_uri=" + url.QueryEscape(evil),
		w.issuer + "/authorize?client_id=" + url.QueryEscape(bankURL) + "&request_uri=" + url.QueryEscape(evil),
		w.issuer + "/authorize?client_id=" + url.QueryEscape(bankURL) + "&request_uri=urn:ietf:params:oauth:request_uri:x",
		w.authorizeURL(bankURL, uri) + "&client_id=" + url.QueryEscape(capURL),
		w.authorizeURL(bankURL, uri) + "&request_uri=" + url.QueryEscape(evil),
		w.authorizeURL(evil, uri),
	} {
		if res := b.get(u); res.Status != http.StatusBadRequest || res.Header.Get("Location") != "" || strings.Contains(res.Body, "evil.example") {
			t.Errorf("%s: %d, Location %q", u, res.Status, res.Header.Get("Location"))
		}
	}
	res := b.get(w.authorizeURL(bankURL, uri) + "&redirect_uri=" + url.QueryEscape(evil) + "&state=evil&iss=evil")
	if res.Status != 200 || strings.Contains(res.Body, "evil") {
		t.Errorf("a page with parameters that are nobody's: %d", res.Status)
	}
	f := formWith(t, res, "code")
	f.Set("redirect_uri", evil)
	f.Set("state", "evil")
	f.Set("decision", "decline")
	if q := b.back(b.post("/authorize", f)); q.Get("state") != "st 1&x" { // back checks the address
		t.Errorf("state: %v", q)
	}
	// A pushed address that looks like another one's is refused before anybody sees it.
	for _, to := range []string{"https://app.bank.example@evil.example/cb", "https://evil.example#@app.bank.example", "https://evil.example\\@app.bank.example/cb",
		"//evil.example", "javascript:alert(1)//https://app.bank.example", "http://app.bank.example/cb", "https://app.bank.example/cb?code=stolen", "https://evil%2eexample/cb", "https://app.bank.example:99999999/cb", "https://app.bank.example:0/cb"} {
		_, challenge := pkce()
		f := w.bank.parForm(perseus.LicenseCombined(), challenge)
		f.Set("redirect_uri", to)
		refused(t, w.bank.post("/oauth/par", f), 400, "invalid_request")
	}
}

func attackScope(t *testing.T, w *world) {
	tok := w.stranger.flow(perseus.LicenseEmissions(), code1)
	for _, scope := range []string{perseus.LicenseCombined(), perseus.LicenseEmissions() + " " + perseus.LicenseCombined(), "offline_access", perseus.LicenseEmissions() + " "} {
		refused(t, w.stranger.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {w.stranger.id}, "refresh_token": {tok.refresh}, "scope": {scope}}), 400, "invalid_scope")
		_, challenge := pkce()
		f := w.stranger.parForm(scope+" "+perseus.LicenseEmissions(), challenge)
		refused(t, w.stranger.post("/oauth/par", f), 400, "invalid_scope")
	}
	if res := w.stranger.use(tok.access); res.json()["License"] != perseus.LicenseEmissions() {
		t.Errorf("licence: %s", res.Body)
	}
	// A code is for the licence that was pushed, whatever the token request says.
	uri, verifier := w.stranger.push(perseus.LicenseEmissions())
	f := w.stranger.redeemForm(w.browser().agree(w.stranger.id, uri, code2).Get("code"), verifier)
	f.Set("scope", perseus.LicenseCombined())
	if res := w.stranger.post("/oauth/token", f); res.Status != 200 || res.str("scope") != perseus.LicenseEmissions() {
		t.Errorf("%d %s", res.Status, res.Body)
	}
}

// attackTokenPlaces: a token is taken from the Authorization header alone, and
// a form from the body alone.
func attackTokenPlaces(t *testing.T, w *world) {
	tok := w.bank.flow(perseus.LicenseCombined(), code1)
	r, err := http.NewRequest("POST", w.server+"/oauth/token?"+url.Values{"grant_type": {"refresh_token"}, "client_id": {bankURL}, "refresh_token": {tok.refresh}}.Encode(), nil)
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	refused(t, do(t, w.bank.http, r), 401, "invalid_client")
	for _, r := range []func(*http.Request){
		func(r *http.Request) { r.URL.RawQuery = "access_token=" + tok.access },
		func(r *http.Request) { r.Header.Set("Cookie", "access_token="+tok.access) },
		func(r *http.Request) { r.Header.Set("Proxy-Authorization", "Bearer "+tok.access) },
	} {
		q, err := http.NewRequest("GET", w.server+"/resource", nil)
		must(t, err)
		r(q)
		refused(t, do(t, w.bank.http, q), 401, "invalid_token")
	}
	for _, mt := range []string{"application/json", "multipart/form-data; boundary=x", "text/plain", ""} {
		r, err := http.NewRequest("POST", w.server+"/oauth/token", strings.NewReader("grant_type=refresh_token&client_id="+url.QueryEscape(bankURL)+"&refresh_token="+tok.refresh))
		must(t, err)
		r.Header.Set("Content-Type", mt)
		refused(t, do(t, w.bank.http, r), 415, "invalid_request")
	}
	for _, auth := range []string{"Basic x", "Bearer " + tok.access} { // no second way to say who one is
		r, err := http.NewRequest("POST", w.server+"/oauth/token", strings.NewReader("grant_type=refresh_token&client_id="+url.QueryEscape(bankURL)+"&refresh_token="+tok.refresh))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", auth)
		refused(t, do(t, w.bank.http, r), 400, "invalid_request")
	}
}

func attackCrossSite(t *testing.T, w *world) {
	uri, _ := w.bank.push(perseus.LicenseCombined())
	f := url.Values{"client_id": {bankURL}, "request_uri": {uri}, "decision": {"decline"}}
	for _, h := range []http.Header{
		{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}},
		{"Origin": {"null"}, "Sec-Fetch-Site": {"cross-site"}},
		{"Origin": {w.issuer + ".evil.example"}},
		{"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://other." + strings.TrimPrefix(w.issuer, "https://")}},
	} {
		r, err := http.NewRequest("POST", w.issuer+"/authorize", strings.NewReader(f.Encode()))
		must(t, err)
		r.Header = h
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if res := do(t, w.browser().http, r); res.Status != http.StatusForbidden || res.Header.Get("Location") != "" {
			t.Errorf("%v: %d", h, res.Status)
		}
	}
	if res := w.browser().get(w.authorizeURL(bankURL, uri)); res.Status != 200 {
		t.Errorf("the request was used up: %d", res.Status)
	}
}

// A hundred clients at two services hammer while the business withdraws: no
// request that begins after the withdrawal gets anything, and what was under
// way is through with it within the minute that the profile leaves (here: at
// once; the bound of an answer under way is the server's write deadline).
func TestWithdrawalWhileAHundredClientsHammer(t *testing.T) {
	cluster(t, 2, func(t *testing.T, ws []*world) {
		tok := ws[0].bank.flow(perseus.LicenseCombined(), code1)
		var withdrawn atomic.Bool
		var served, refusedAfter atomic.Int64
		begun := make(chan struct{})
		var once sync.Once
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				w := ws[i%2]
				token := tok.access
				for range 1_000_000 { // until refused: far sooner
					before := withdrawn.Load()
					var res answer
					if i%10 == 0 { // some ask for a new token first
						if res = w.bank.refresh(tok.refresh); res.Status == 200 {
							token = res.str("access_token")
						}
					} else {
						res = w.bank.use(token)
					}
					switch {
					case res.Status == 200 && before:
						t.Errorf("client %d was served after the withdrawal: %s", i, res.Body)
						return
					case res.Status == 200:
						if served.Add(1) == 100 {
							once.Do(func() { close(begun) })
						}
					case res.Status == 401 || res.Status == 400 && res.str("error") == "invalid_grant":
						refusedAfter.Add(1)
						return
					default:
						t.Errorf("client %d: %d %s", i, res.Status, res.Body)
						return
					}
				}
				t.Errorf("client %d was never refused", i)
			})
		}
		<-begun
		b := ws[1].browser()
		f := formWith(t, b.post("/permissions", url.Values{"code": {code1}}), "permission")
		if res := b.post("/permissions/withdraw", f); res.Status != 200 && res.Status != http.StatusSeeOther {
			t.Errorf("withdraw: %d %s", res.Status, text(res.Body))
		}
		withdrawn.Store(true)
		wg.Wait()
		if refusedAfter.Load() != 100 {
			t.Errorf("%d of 100 clients were refused in the end", refusedAfter.Load())
		}
		for _, w := range ws { // nor does anything come back a minute, or a day, later
			for range 2 {
				refused(t, w.bank.use(tok.access), 401, "invalid_token")
				refused(t, w.bank.refresh(tok.refresh), 400, "invalid_grant")
				ws[0].advance(time.Minute)
				must(t, w.svc.Sweep(t.Context()))
			}
		}
		// One more grant does not bring the old tokens back to life.
		ws[0].bank.flow(perseus.LicenseCombined(), code1)
		refused(t, ws[0].bank.refresh(tok.refresh), 400, "invalid_grant")
	})
}
