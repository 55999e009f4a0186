package permission_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// TestMetadata compares the published document with one written by hand from
// the profile.
func TestMetadata(t *testing.T) {
	w := newWorld(t, openSQLite(t), func(c *permission.Config) {
		c.Issuer, c.Server = "https://relay.example/accounts", "https://mtls.relay.example/v1"
	})
	res := w.browser().get(w.issuer + "/.well-known/oauth-authorization-server/accounts")
	want, err := os.ReadFile("testdata/metadata.json")
	must(t, err)
	if res.Status != 200 || res.Header.Get("Content-Type") != "application/json" || res.Body != string(want) {
		t.Errorf("%d\n%s", res.Status, res.Body)
	}
	m := res.json()
	for k, v := range m["mtls_endpoint_aliases"].(map[string]any) {
		if m[k] != v {
			t.Errorf("%s differs from its alias", k)
		}
	}
	plain := newWorld(t, openSQLite(t))
	if res := plain.browser().get(plain.issuer + "/.well-known/oauth-authorization-server"); res.str("issuer") != plain.issuer {
		t.Errorf("without a path: %d %s", res.Status, res.Body)
	}
	// With paths in the base URLs, the pages and endpoints are below them.
	if res := w.browser().get(w.issuer + "/accounts/permissions"); res.Status != 200 || !strings.Contains(res.Body, `action="/accounts/permissions"`) {
		t.Errorf("pages below a path: %d", res.Status)
	}
	if res := w.bank.post("/v1/oauth/par", url.Values{"client_id": {bankURL}}); res.Status != 400 {
		t.Errorf("endpoints below a path: %d", res.Status)
	}
}

func TestRecord(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		first := w.bank.flow(perseus.LicenseCombined(), code1)
		record := func(token string) map[string]any {
			t.Helper()
			res := w.bank.post("/oauth/permission", url.Values{"token": {token}})
			p, ok := res.json()["permission"].(map[string]any)
			if !ok {
				t.Fatalf("%d %s", res.Status, res.Body)
			}
			return p
		}
		check := func(p map[string]any, want map[string]any) {
			t.Helper()
			for k, v := range want {
				if p[k] != v {
					t.Errorf("%s: got %v, want %v", k, p[k], v)
				}
			}
		}
		p := record(first.refresh)
		check(p, map[string]any{"oauthIssuer": w.issuer, "client": bankURL, "license": perseus.LicenseCombined(),
			"lastGranted": "2026-11-22T10:00:00Z", "expires": "2027-11-22T10:00:00Z", "revoked": nil, "dataAvailableFrom": "2025-10-01T00:00:00Z",
			"tokenIssuedAt": "2026-11-22T10:00:00Z", "tokenExpires": "2027-11-22T10:00:00Z"})
		if _, there := p["revoked"]; there || len(p) != 10 {
			t.Errorf("fields: %v", p)
		}
		if !strings.HasPrefix(p["evidence"].(string), w.issuer+"/evidence/") || strings.Contains(p["account"].(string), "directory") {
			t.Errorf("evidence %v, account %v", p["evidence"], p["account"])
		}
		refused(t, w.bank.post("/oauth/permission", url.Values{"token": {first.access}}), 400, "invalid_grant")
		refused(t, w.stranger.post("/oauth/permission", url.Values{"token": {first.refresh}}), 400, "invalid_grant")
		refused(t, w.bank.post("/oauth/permission", nil), 400, "invalid_request")

		// A renewal: one record, whose old token still says when it ends itself.
		w.advance(100 * 24 * time.Hour)
		second := w.bank.flow(perseus.LicenseCombined(), code1)
		check(record(first.refresh), map[string]any{"lastGranted": "2027-03-02T10:00:00Z", "expires": "2028-03-02T10:00:00Z",
			"tokenExpires": "2027-11-22T10:00:00Z", "account": p["account"], "evidence": p["evidence"], "dataAvailableFrom": "2025-10-01T00:00:00Z"})
		check(record(second.refresh), map[string]any{"tokenIssuedAt": "2027-03-02T10:00:00Z", "tokenExpires": "2028-03-02T10:00:00Z"})

		// Withdrawn, and good for the record for 12 months and more.
		w.advance(time.Hour)
		w.bank.post("/oauth/revoke", url.Values{"token": {second.refresh}})
		w.advance(365 * 24 * time.Hour)
		for _, tok := range []string{first.refresh, second.refresh} {
			check(record(tok), map[string]any{"revoked": "2027-03-02T11:00:00Z", "expires": "2028-03-02T10:00:00Z"})
		}

		// The evidence page: both grants, their words, no IP address.
		page := w.browser().get(p["evidence"].(string))
		got := text(page.Body)
		for _, want := range []string{"Withdrawn", "Riverside Unit 4", "Green Bank plc", bankURL, perseus.LicenseCombined(), "Granted on 22 November 2026, 10:00:00 UTC",
			"Renewed on 2 March 2027, 10:00:00 UTC", "Test Browser/1.0", "Your permission lasts one year.", "boiler : gas used"} {
			if !strings.Contains(got, want) {
				t.Errorf("the evidence does not say %q: %s", want, got)
			}
		}
		if page.Status != 200 || strings.Contains(got, "127.0.0.1.") || strings.Contains(got, "[") {
			t.Errorf("evidence: %d %s", page.Status, got)
		}
		if res := w.browser().get(p["evidence"].(string) + "x"); res.Status != http.StatusNotFound {
			t.Errorf("a guessed evidence page: %d", res.Status)
		}
		var address, agent, license string
		must(t, w.db.QueryRow(`SELECT address, user_agent, license FROM permission_grants ORDER BY granted LIMIT 1`).Scan(&address, &agent, &license))
		if address != "127.0.0.1" || agent != "Test Browser/1.0" || license != perseus.LicenseCombined() {
			t.Errorf("log: %s, %s, %s", address, agent, license)
		}
	})
}

// Who may ask for which licence.
func TestRoles(t *testing.T) {
	databases(t, func(t *testing.T, open func(*testing.T) *database.DB) {
		w := newWorld(t, open(t))
		edp := w.app("https://directory.example/a/edp", "Meter Co", perseus.Role(scheme.EDP))
		elsewhere, err := scheme.New("https://registry.other.example")
		must(t, err)
		alien := w.app("https://directory.example/a/alien", "Alien Bank", elsewhere.Role(scheme.FSP))
		nameless := w.app("https://directory.example/a/x", "", perseus.Role(scheme.FSP))
		lc, lb, le := perseus.LicenseConsumption(), perseus.LicenseCombined(), perseus.LicenseEmissions()
		for _, c := range []struct {
			who     string
			client  *app
			license string
			want    int
		}{
			{"cap", w.cap, lc, 201}, {"cap", w.cap, lb, 201}, {"cap", w.cap, le, 400},
			{"bank", w.bank, lc, 400}, {"bank", w.bank, lb, 201}, {"bank", w.bank, le, 201},
			{"both", w.stranger, lc, 201}, {"both", w.stranger, lb, 201}, {"both", w.stranger, le, 201},
			{"edp", edp, lc, 400}, {"edp", edp, lb, 400}, {"edp", edp, le, 400},
			{"a bank of another registry", alien, lb, 400}, {"gateway", w.gate, lb, 400}, {"no name", nameless, lb, 400},
		} {
			_, challenge := pkce()
			res := c.client.post("/oauth/par", c.client.parForm(c.license, challenge))
			if res.Status != c.want || c.want == 400 && res.str("error") != "unauthorized_client" {
				t.Errorf("%s asks for %s: %d %s, want %d", c.who, c.license, res.Status, res.Body, c.want)
			}
		}
	})
}

func TestCheckToken(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	tok := w.bank.flow(perseus.LicenseEmissions(), code1)
	res := w.bank.use(tok.access)
	a := res.json()
	if res.Status != 200 || a["Client"] != bankURL || a["ClientName"] != "Green Bank plc" || a["License"] != perseus.LicenseEmissions() || a["Gateway"] != gateway1 ||
		a["From"] != "2025-10-01T00:00:00Z" || a["Expires"] != "2027-11-22T10:00:00Z" || len(a["Covers"].([]any)) != 2 || a["Permission"] == "" {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	refused(t, w.bank.use(""), 401, "invalid_token")
	if h := w.bank.use("").Header.Get("WWW-Authenticate"); h != `Bearer realm="perseus"` {
		t.Errorf("without a token: %s", h) // RFC 6750, section 3.1: no error code
	}
	if h := w.bank.use("x").Header.Get("WWW-Authenticate"); !strings.HasPrefix(h, `Bearer realm="perseus", error="invalid_token", error_description="`) {
		t.Errorf("with a wrong one: %s", h)
	}
	for _, auth := range [][]string{{"Basic " + tok.access}, {"Bearer"}, {"Bearer " + tok.access + " x"}, {"Bearer " + tok.access, "Bearer " + tok.access}} {
		r, err := http.NewRequest("GET", w.server+"/resource?access_token="+tok.access, nil)
		must(t, err)
		r.Header["Authorization"] = auth
		refused(t, do(t, w.bank.http, r), 401, "invalid_token")
	}
	// The account is the same for one client and differs between clients.
	other := w.cap.use(w.cap.flow(perseus.LicenseCombined(), code1).access).json()
	same := w.bank.use(w.bank.flow(perseus.LicenseCombined(), code1).access).json()
	if a["Account"] == other["Account"] || a["Account"] != same["Account"] {
		t.Errorf("accounts: %v, %v, %v", a["Account"], other["Account"], same["Account"])
	}
}

// Nothing internal leaks when the database fails.
func TestServerError(t *testing.T) {
	w := newWorld(t, openSQLite(t))
	uri, _ := w.bank.push(perseus.LicenseCombined())
	tok := "x"
	w.db.Close()
	_, challenge := pkce()
	for _, res := range []answer{w.bank.post("/oauth/par", w.bank.parForm(perseus.LicenseCombined(), challenge)), w.bank.refresh(tok),
		w.bank.post("/oauth/revoke", url.Values{"token": {tok}}), w.bank.post("/oauth/permission", url.Values{"token": {tok}}), w.gate.poll(t, "", "")} {
		refused(t, res, 500, "server_error")
		if strings.Contains(res.Body, "sql") || !strings.Contains(res.str("error_description"), "quote ") {
			t.Errorf("%s", res.Body)
		}
	}
	page := w.browser().get(w.authorizeURL(bankURL, uri))
	if page.Status != 500 || strings.Contains(page.Body, "sql:") || !strings.Contains(page.Body, "quote ") {
		t.Errorf("%d %s", page.Status, text(page.Body))
	}
}

func TestConfig(t *testing.T) {
	good := func() permission.Config {
		var c permission.Config
		newWorld(t, openSQLite(t), func(k *permission.Config) { c = *k })
		return c
	}()
	for _, c := range []struct {
		name   string
		change func(*permission.Config)
		want   string
	}{
		{"http issuer", func(c *permission.Config) { c.Issuer = "http://relay.example" }, "issuer"},
		{"closing slash", func(c *permission.Config) { c.Issuer = "https://relay.example/" }, "closing slash"},
		{"no server", func(c *permission.Config) { c.Server = "" }, "server"},
		{"short key", func(c *permission.Config) { c.SealKey = c.SealKey[:16] }, "32 bytes"},
		{"no name", func(c *permission.Config) { c.Organisation = " " }, "organisation"},
		{"no database", func(c *permission.Config) { c.DB = nil }, "required"},
		{"words for no licence", func(c *permission.Config) { c.Words = map[string]string{"https://x": "y"} }, "not a licence"},
		{"empty words", func(c *permission.Config) { c.Words = map[string]string{perseus.LicenseCombined(): " "} }, "empty"},
	} {
		k := good
		c.change(&k)
		if _, err := permission.New(k); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// The texts are data: the registry's fit in.
	w := newWorld(t, openSQLite(t), func(c *permission.Config) {
		c.Words = map[string]string{perseus.LicenseCombined(): "[CAP] reads [EDP]\nfor [FSP].\n\n* one\n* two\n  more\n\nPrivacy: [EDP privacy policy link]. Stop: [CAP process].\n"}
		c.Privacy = "https://relay.example/privacy"
	})
	uri, _ := w.bank.push(perseus.LicenseCombined())
	page := w.browser().post("/authorize", url.Values{"client_id": {bankURL}, "request_uri": {uri}, "code": {code1}})
	for _, want := range []string{"<p>Perseus Relay Ltd reads Perseus Relay Ltd for Green Bank plc.</p>", "<li>two more</li>", "Privacy: https://relay.example/privacy. Stop: " + w.issuer + "/permissions."} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("no %q on %s", want, page.Body)
		}
	}
}
