package permission_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/chromium"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// look holds a page against what every page must be: as narrow as a telephone
// of 320 px, and usable with a screen reader. PERSEUS_SHOTS gets pictures of it.
func look(c *chromium.Page, page string) {
	c.Named()
	for _, width := range []int{1280, 320} {
		c.Width(width)
		c.Fits(width)
		c.Shot(strings.ReplaceAll(page, " ", "-") + map[int]string{320: "-320", 1280: "-1280"}[width])
	}
}

// bankSite is the bank's website, which sends the browser on once more.
func bankSite(t *testing.T) (at string, arrived *[]string) {
	arrived = new([]string)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cb", func(rw http.ResponseWriter, r *http.Request) {
		*arrived = append(*arrived, r.URL.RawQuery)
		_, port, _ := strings.Cut(r.Host, ":")
		http.Redirect(rw, r, "http://localhost:"+port+"/done", http.StatusFound)
	})
	mux.HandleFunc("GET /done", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		rw.Write([]byte("<h1>Done</h1>"))
	})
	client := httptest.NewServer(mux)
	t.Cleanup(client.Close)
	return client.URL + "/cb", arrived
}

// pushTo pushes a request of the bank's that leads back to its website.
func (w *world) pushTo(license, redirect string) string {
	_, challenge := pkce()
	f := w.bank.parForm(license, challenge)
	f.Set("redirect_uri", redirect)
	return w.authorizeURL(bankURL, w.bank.post("/oauth/par", f).str("request_uri"))
}

// TestRealBrowser goes through the pages in Chromium, 320 px wide, scripts
// off, by keyboard alone. It shows what no HTTP client can: that the content
// policy lets the pages have their style and lets the answer lead back to the
// client, even when the client redirects again.
func TestRealBrowser(t *testing.T) {
	w := newWorld(t, openSQLite(t), onLocalhost)
	back, arrived := bankSite(t)
	c := chromium.Start(t)
	c.Scripts(false)

	const asks = "Green Bank plc asks for your monthly carbon emissions"
	c.Open(w.pushTo(perseus.LicenseCombined(), back))
	c.Title(asks)
	look(c, "the code page")
	c.Type("#code", "0000-0000-0000")
	c.Press(`form.card button`)
	c.Title(asks)
	look(c, "a wrong code")
	if got := c.Eval("document.activeElement.id + ' ' + document.title"); got != "code Problem: Which meter is yours?" { // where the person has to do something
		t.Errorf("after the error: %q", got)
	}
	c.Press(`header button`)
	look(c, "a wrong code in Welsh")
	c.Press(`header button`)
	c.Eval(`document.querySelector("#code").value = ""`)
	c.Type("#code", "7k2m 9qxa o4tb") // as people type
	c.Press(`form.card button`)
	c.Title("May Green Bank plc have your monthly carbon emissions?")
	look(c, "the offer")
	c.Press(`header button`)
	look(c, "the offer in Welsh")
	c.Press(`header button`)
	c.Title("May Green Bank plc have your monthly carbon emissions?")
	c.Press(`button[value=agree]`)
	c.Title("Done")
	if len(*arrived) != 1 || !strings.Contains((*arrived)[0], "code=") {
		t.Errorf("the client got %q", *arrived)
	}

	c.Open(w.issuer + "/permissions")
	c.Title("Your permissions")
	look(c, "the permissions page")
	c.Type("#code", code1)
	c.Press(`form.card button`)
	c.Title("Permissions of Riverside Unit 4")
	look(c, "the list")
	c.Press(`form[action$="/withdraw"] button.end`)
	if got := c.Text(".notice"); got != "Withdrawn. Green Bank plc gets nothing more." { // by one press
		t.Errorf("notice %q", got)
	}
	look(c, "the list after withdrawal")
	c.Press(`a[href*="/evidence/"]`)
	c.Title("Evidence of a permission")
	look(c, "the evidence page")
	c.Press(`header a`)
	c.Title("Tystiolaeth o ganiatâd")
	look(c, "the evidence page in Welsh")
	for _, m := range c.Complaints {
		t.Errorf("the browser complains: %s", m)
	}
}

// onLocalhost gives the pages a name: an address has no passkeys.
func onLocalhost(c *permission.Config) {
	c.Issuer = strings.Replace(c.Issuer, "127.0.0.1", "localhost", 1)
}

// TestAccountInRealBrowser keeps an account with a passkey, comes back from the
// bank, signs in with one press, picks the site, agrees, sees the permissions
// and withdraws one; then by password, without scripts, in Welsh too.
func TestAccountInRealBrowser(t *testing.T) {
	w := newWorld(t, openSQLite(t), onLocalhost)
	back, arrived := bankSite(t)
	c := chromium.Start(t)
	c.Call("WebAuthn.enable", nil)
	c.Call("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{"protocol": "ctap2", "transport": "internal", "hasUserVerification": true, "isUserVerified": true,
		"hasResidentKey": true, "automaticPresenceSimulation": true}})

	c.Open(w.issuer + "/permissions")
	c.Type("#code", code1)
	c.Press(`form.card button`)
	c.Title("Permissions of Riverside Unit 4")
	look(c, "list with the offer of an account")
	c.Press(`form[action$="/account/sites"] button`)
	c.Title("Keep an account for Riverside Unit 4")
	look(c, "keep an account")
	c.Press(`form.passkey button`)
	c.Title("Your permissions")
	look(c, "account without permissions")
	c.Press(`form[action$="/sign-out"] button`)
	c.Title("Sign in")
	look(c, "sign in")

	// From the bank: one press, one site, one decision.
	c.Open(w.pushTo(perseus.LicenseCombined(), back))
	look(c, "from the bank")
	c.Press(`form.passkey button`)
	look(c, "which site")
	c.Press(`button[name=site]`)
	c.Title("May Green Bank plc have your monthly carbon emissions?")
	c.Press(`button[value=agree]`)
	c.Title("Done")
	if len(*arrived) != 1 || !strings.Contains((*arrived)[0], "code=") {
		t.Errorf("the client got %q", *arrived)
	}

	c.Open(w.issuer + "/account")
	c.Title("Your permissions")
	look(c, "account")
	c.Type("#code", "0000")
	c.Press(`form[action$="/account/sites"] button`)
	c.Title("Your permissions")
	look(c, "account with a wrong code")
	c.Press(`a[href*="/account/ways"]`)
	c.Title("Ways to sign in")
	look(c, "ways")
	c.Press(`main > form button`)
	c.Title("Add a way to sign in")
	look(c, "another way")
	secret, number := strings.ReplaceAll(c.Text(".key"), " ", ""), c.Eval(`document.querySelector("#number").value`)
	p := &person{browser: w.browser(), number: number, secret: secret}
	c.Type("#password", accountPassword)
	c.Type("#app", p.app())
	c.Press(`form.card:not(.passkey) button`)
	c.Title("Ways to sign in")
	look(c, "two ways")
	c.Open(w.issuer + "/account")
	c.Press(`form[action$="/withdraw"] button`)
	if got := c.Text(".notice"); got != "Withdrawn. Green Bank plc gets nothing more." {
		t.Errorf("notice %q", got)
	}
	c.Open(w.issuer + "/account?lang=cy")
	look(c, "account in Welsh")
	c.Press(`form[action$="/leave"] button`)
	look(c, "leave in Welsh")
	c.Press(`form[action$="/account"] button`)
	c.Press(`form[action$="/sign-out"] button`)
	look(c, "sign in in Welsh")
	for _, m := range c.Complaints {
		t.Errorf("the browser complains: %s", m)
	}

	c.Scripts(false)
	c.Open(w.issuer + "/account/sign-in")
	if c.Eval(`document.querySelector("form.passkey").hidden`) != "true" {
		t.Error("a button that does nothing without scripts")
	}
	c.Type("#number", number)
	c.Type("#password", "wrong wrong wrong")
	c.Type("#app", p.app())
	c.Press(`form.card button`)
	c.Title("Sign in")
	look(c, "wrong password")
	if got := c.Eval(`document.querySelector("#number").value + document.querySelector("#password").value`); got != number {
		t.Errorf("the form comes back with %q", got)
	}
	c.Type("#password", accountPassword)
	c.Type("#app", p.app())
	c.Press(`form.card button`)
	c.Title("Your permissions")
	c.Press(`form[action$="/leave"] button`)
	c.Title("Delete your account?")
	look(c, "leave")
	c.Press(`button[name=sure]`)
	c.Title("Your account is deleted")
	look(c, "left")
}
