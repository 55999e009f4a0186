package permission_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// What the business is shown before it agrees: who, what, which meters, for
// how long, and where it goes back to.
func TestOffer(t *testing.T) {
	for _, c := range []struct {
		name, license string
		client        func(w *world) *app
		want          []string
		not           []string
	}{
		{"consumption to a carbon accountant", perseus.LicenseConsumption(), func(w *world) *app { return w.cap },
			[]string{"May Carbon Counters Ltd have your half-hourly energy data?", "Carbon Counters Ltd asks for your permission to receive this from Perseus Relay Ltd",
				"main : electricity used, electricity sent to the grid", "boiler : gas used"}, []string{"[", "Green Bank"}},
		{"both legs to a bank", perseus.LicenseCombined(), func(w *world) *app { return w.bank },
			[]string{"May Green Bank plc have your monthly carbon emissions?", "worked out by Perseus Relay Ltd", "never your energy data", "main : electricity used"}, []string{"["}},
		{"both legs to a carbon accountant", perseus.LicenseCombined(), func(w *world) *app { return w.cap },
			[]string{"May Carbon Counters Ltd have your half-hourly energy data?", "the bank or finance provider that you choose"}, []string{"["}},
		{"emissions to a bank", perseus.LicenseEmissions(), func(w *world) *app { return w.bank },
			[]string{"main : electricity used", "boiler : gas used"}, []string{"electricity sent to the grid", "["}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, openSQLite(t))
			client, b := c.client(w), w.browser()
			uri, _ := client.push(c.license)
			page := b.get(w.authorizeURL(client.id, uri))
			f := formWith(t, page, "code")
			f.Set("code", strings.ToLower(strings.ReplaceAll(code1, "-", " ")))
			got := text(b.post("/authorize", f).Body)
			for _, want := range append(c.want, "Riverside Unit 4 , SW8", "until 22 November 2027", "back to 1 October 2025", "app.bank.example", w.issuer+"/permissions") {
				if !strings.Contains(got, want) {
					t.Errorf("the page does not say %q: %s", want, got)
				}
			}
			for _, not := range c.not {
				if strings.Contains(got, not) {
					t.Errorf("the page says %q: %s", not, got)
				}
			}
		})
	}
}

// The registry's texts name the provider's privacy policy, where there is one.
func TestPrivacyPolicy(t *testing.T) {
	w := newWorld(t, openSQLite(t), func(c *permission.Config) {
		c.Privacy = "https://www.relay.example/privacy"
		c.Words = map[string]string{perseus.LicenseCombined(): "[EDP] says so in [its policy]([EDP privacy policy link])."}
	})
	uri, _ := w.bank.push(perseus.LicenseCombined())
	page := text(w.browser().post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "code": {code1}}).Body)
	if want := "Perseus Relay Ltd says so in its policy (https://www.relay.example/privacy)."; !strings.Contains(page, want) {
		t.Errorf("the page does not say %q: %s", want, page)
	}
}

func TestPageHeaders(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	b := w.browser()
	uri, _ := w.bank.push(perseus.LicenseCombined())
	for _, page := range []answer{b.get(w.issuer + "/permissions"), b.get(w.authorizeURL(bankURL, uri)), b.get(w.issuer + "/evidence/x"), b.get(w.issuer + "/authorize")} {
		h := page.Header
		csp := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") ||
			h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Set-Cookie") != "" {
			t.Errorf("headers: %v", h)
		}
		if strings.Contains(page.Body, "<script") || strings.Contains(page.Body, "src=") || !strings.Contains(page.Body, `<html lang="en-GB">`) || !strings.Contains(page.Body, "width=device-width") {
			t.Error("a script or something from elsewhere is on the page, or language or viewport are not")
		}
	}
}

// Names come from certificates and gateways: none of them may become markup,
// turn the text around, or fill in a placeholder.
func TestHostileNames(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		const evil = "{what}<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{.}} [FSP]\u202e\u200b\x00"
		w := newWorld(t, open(t), func(c *permission.Config) { c.Organisation = "Relay " + evil })
		w.sites.set(code1, permission.Site{Gateway: gateway1, Name: evil, Outcode: evil, Meters: []ingest.Meter{
			{ID: evil, Type: "electricity", Measures: []energy.Measure{energy.Import}}}})
		bank := w.app(bankURL, "Bank "+strings.ReplaceAll(evil, "\x00", ""), perseus.Role(scheme.FSP))
		tok := bank.flow(perseus.LicenseCombined(), code1)
		b := w.browser()
		uri, _ := bank.push(perseus.LicenseCombined())
		first := b.get(w.authorizeURL(bankURL, uri))
		f := formWith(t, first, "code")
		f.Set("code", evil)
		wrong := b.post("/authorize", f)
		f.Set("code", code1)
		evidence := bank.post("/oauth/permission", url.Values{"token": {tok.refresh}}).json()["permission"].(map[string]any)["evidence"].(string)
		id := w.idOf(bankURL, gateway1)
		f.Set("lang", "cy")
		welsh := b.post("/authorize", f)
		f.Del("lang")
		for name, page := range map[string]answer{"code": first, "wrong code": wrong, "offer": b.post("/authorize", f), "offer in Welsh": welsh,
			"question": b.post("/permissions/withdraw", url.Values{"code": {code1}, "permission": {id}}),
			"list":     b.post("/permissions", url.Values{"code": {code1}}), "evidence": b.get(evidence)} {
			doc, err := html.Parse(strings.NewReader(page.Body))
			must(t, err)
			for n := range doc.Descendants() {
				if n.Type == html.ElementNode && (n.Data == "script" || n.Data == "img" || attr(n, "onerror") != "") {
					t.Errorf("%s: a name became <%s>", name, n.Data)
				}
			}
			if strings.ContainsAny(page.Body, "\u202e\u200b\x00") {
				t.Errorf("%s: characters that turn or hide text are on the page", name)
			}
			if (name == "offer" || name == "question" || name == "offer in Welsh") && !strings.Contains(text(page.Body), "Bank {what}<script>alert(1)</script>") {
				t.Errorf("the name is not shown as it is: %s", text(page.Body))
			}
		}
	})
}

func TestDecline(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	b := w.browser()
	uri, _ := w.bank.push(perseus.LicenseCombined())
	for _, button := range []string{"on the first page", "again"} {
		res := b.post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "decision": {"decline"}})
		if button == "again" {
			if res.Status != http.StatusBadRequest {
				t.Errorf("a second decision: %d", res.Status)
			}
			continue
		}
		q := b.back(res)
		if q.Get("error") != "access_denied" || q.Get("state") != "st 1&x" || q.Get("iss") != w.issuer || q.Has("code") {
			t.Errorf("answer: %v", q)
		}
	}
}

// What is recorded is what was read: a site that changed meanwhile is shown
// again.
func TestDetailsChanged(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	b := w.browser()
	uri, _ := w.bank.push(perseus.LicenseCombined())
	f := formWith(t, b.get(w.authorizeURL(bankURL, uri)), "code")
	f.Set("code", code1)
	f = formWith(t, b.post("/authorize", f), "seen")
	f.Set("decision", "agree")
	site, _ := w.sites.SiteByCode(t.Context(), code1)
	site.Meters = append(site.Meters, ingest.Meter{ID: "annexe", Type: "electricity", Measures: []energy.Measure{energy.Import}})
	w.sites.set(code1, site)
	page := b.post("/authorize", f)
	if page.Status != 200 || !strings.Contains(text(page.Body), "changed while you were reading") || !strings.Contains(text(page.Body), "annexe") {
		t.Fatalf("%d %s", page.Status, text(page.Body))
	}
	f = formWith(t, page, "seen")
	f.Set("decision", "agree")
	if b.back(b.post("/authorize", f)).Get("code") == "" {
		t.Error("no code")
	}
	// Agreeing without having seen anything shows it first.
	uri, _ = w.bank.push(perseus.LicenseCombined())
	page = b.post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "code": {code1}, "decision": {"agree"}})
	if page.Status != 200 {
		t.Errorf("agreed unseen: %d", page.Status)
	}
}

// A press that another website made the browser send does nothing.
func TestCrossOrigin(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		w.bank.flow(perseus.LicenseCombined(), code1)
		for _, h := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example"}}, {"Sec-Fetch-Site": {"same-site"}}} {
			for _, path := range []string{"/authorize", "/permissions", "/permissions/withdraw"} {
				r, err := http.NewRequest("POST", w.issuer+path, strings.NewReader(url.Values{"code": {code1}}.Encode()))
				must(t, err)
				r.Header = h.Clone()
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				if res := do(t, w.browser().http, r); res.Status != http.StatusForbidden {
					t.Errorf("%s with %v: %d", path, h, res.Status)
				}
			}
		}
	})
}

func TestCodeGuessing(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		var from netip.Addr
		w := newWorld(t, open(t), func(c *permission.Config) { c.Address = func(*http.Request) netip.Addr { return from } })
		b := w.browser()
		try := func(code string) int { return b.post("/permissions", url.Values{"code": {code}}).Status }
		from = netip.MustParseAddr("2001:db8::1")
		for i := range 50 { // right codes cost nothing
			if s := try(code1); s != 200 {
				t.Fatalf("right code %d: %d", i, s)
			}
		}
		for i := range 10 {
			if s := try("0000-0000-0000"); s != http.StatusUnprocessableEntity {
				t.Fatalf("wrong code %d: %d", i, s)
			}
		}
		from = netip.MustParseAddr("2001:db8::2") // the same /64
		res := b.post("/permissions", url.Values{"code": {code1}})
		if res.Status != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "20" {
			t.Errorf("eleventh try: %d, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
		}
		from = netip.MustParseAddr("2001:db8:0:1::1")
		if s := try(code1); s != 200 {
			t.Errorf("another address: %d", s)
		}
		w.advance(20 * time.Second)
		from = netip.MustParseAddr("2001:db8::1")
		if s := try(code1); s != 200 {
			t.Errorf("after the wait: %d", s)
		}
		// Many addresses together meet the overall limit.
		limited := 0
		for i := range 260 {
			from = netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
			if try("0000-0000-0000") == http.StatusTooManyRequests {
				limited++
			}
		}
		if limited < 40 || limited > 70 {
			t.Errorf("%d of 260 guesses were refused", limited)
		}
	})
}

func TestWrongInput(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	b := w.browser()
	for _, code := range []string{"", "   ", "abc", strings.Repeat("x", 70), "7K2M-9QXA-04TU"} {
		res := b.post("/permissions", url.Values{"code": {code}})
		if res.Status != http.StatusUnprocessableEntity || !strings.Contains(res.Body, `role="alert"`) || !strings.Contains(res.Body, `aria-invalid="true"`) {
			t.Errorf("code %q: %d", code, res.Status)
		}
	}
	res := b.post("/permissions", url.Values{"code": {strings.Repeat("x", 20<<10)}})
	if res.Status != http.StatusBadRequest {
		t.Errorf("giant form: %d", res.Status)
	}
	w.sites.set(code2, permission.Site{Gateway: gateway2, Name: "Empty"})
	uri, _ := w.bank.push(perseus.LicenseCombined())
	page := b.post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "code": {code2}})
	if page.Status != http.StatusUnprocessableEntity || !strings.Contains(text(page.Body), "no meter that this request could use") {
		t.Errorf("a site without meters: %d %s", page.Status, text(page.Body))
	}
}
