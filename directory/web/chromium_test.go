package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/internal/chromium"
)

// TestRealBrowser goes the way of a member in Chromium, by keyboard alone, 320
// px wide: invitation, password, authenticator app, application, certificate,
// revocation. It shows what no HTTP client can: that the content policy lets
// the pages be what they are, and that they fit a telephone.
func TestRealBrowser(t *testing.T) {
	w := onSQLite(t)
	c := chromium.Start(t)
	const width = 320
	c.Width(width)
	n := 0
	look := func(title string) {
		t.Helper()
		c.Title(title)
		c.Fits(width)
		labelled(t, c)
		n++
		c.Shot(fmt.Sprintf("phone-%02d-%s", n, strings.ReplaceAll(strings.ToLower(title), " ", "-")))
	}
	c.Open(w.base + w.invitation(account.Link{Email: "olive@perse.example", Member: "perse"}))
	look("Welcome")
	c.Type("#name", "Olive Owner")
	c.Type("#password", "password1234")
	c.Press("form.card button")
	look("Welcome")
	if got := c.Text(".alert"); !strings.Contains(got, "among the first that a guesser tries") {
		t.Errorf("alert %q", got)
	}
	c.Type("#password", goodPassword)
	c.Press("form.card button")
	look("Second step")
	secret := strings.ReplaceAll(c.Text("code.key"), " ", "")
	w.secrets = append(w.secrets, secret)
	c.Type("#code", "000 000")
	c.Press("form.card:not(.passkey) button")
	look("Second step")
	code := w.code(secret)
	c.Type("#code", code[:3]+" "+code[3:])
	c.Press("form.card:not(.passkey) button")
	look("Your recovery codes")
	c.Press("a.button")
	look("Perse")

	c.Press(`a[href$="/applications/new"]`)
	look("Add an application")
	c.Type("#name", "Half-hourly meter readings")
	c.Tap(`input[value="`+w.edp+`"]`, " ")
	c.Press("form.card button")
	look("Half-hourly meter readings")
	c.Tap(`input[name=type][value=client]`, " ")
	c.Eval(`document.querySelector("#csr").value = ` + fmt.Sprintf("%q", w.csr()))
	c.Type("#label", "first machine")
	c.Press(`form[action$="/certificates"] button`)
	look("Half-hourly meter readings")
	if got := c.Text(".notice"); !strings.Contains(got, "The certificate is issued") {
		t.Errorf("notice %q", got)
	}
	c.Tap("#certificates ~ ul summary", "Enter")
	c.Press(`form[action$="/revoke"] button`)
	look("Half-hourly meter readings")
	if got := c.Text("#certificates ~ ul .state"); !strings.HasPrefix(got, "revoked") {
		t.Errorf("state %q", got)
	}
	apps, err := w.dir.Applications(w.ctx(), "perse")
	w.must(err)
	for _, a := range apps {
		if a.Name == "Half-hourly meter readings" {
			if cs, err := w.dir.Certificates(w.ctx(), a.ID); err != nil || len(cs) != 1 || cs[0].Revoked.IsZero() || cs[0].Label != "first machine" {
				t.Errorf("certificates %+v %v", cs, err)
			}
		}
	}

	for _, page := range []struct{ path, title string }{{"/people", "People"}, {"/tokens", "Tokens for programs"}, {"/sites", "Sites and gateways"}, {"/history", "What was done"}, {"/details", "Contact details"}, {"/applications", "Applications"},
		{"/applications/perse-app/services/new", "Data service"}} {
		c.Open(w.base + Prefix + "/o/perse" + page.path)
		look(page.title)
	}
	c.Open(w.base + Prefix + "/o/perse/sites")
	c.Type("#name", "Riverside Unit 4")
	c.Type("#outcode", "SW8")
	c.Press(`form.card[action$="/sites"] button`)
	look("Sites and gateways")
	w.secrets = append(w.secrets, c.Text(".big code"))
	c.Open(w.base + Prefix + "/account")
	look("Your account")
	c.Press(`header button`)
	look("Sign in")
	c.Type("#email", "olive@perse.example")
	c.Type("#password", goodPassword)
	c.Press("form.card button")
	look("Second step")
	w.pass(time.Minute)
	c.Type("#code", w.code(secret))
	c.Press("form.card button")
	look("Perse")
	c.Open(w.base + Prefix + "/o/bank")
	look("Not found")
	for _, m := range c.Complaints {
		t.Errorf("the browser complains: %s", m)
	}
}

// labelled fails the test where a field of the page has no label, a button no
// words, or the page no landmark to come to: what a screen reader needs.
func labelled(t *testing.T, c *chromium.Page) {
	t.Helper()
	got := c.Eval(`[...document.querySelectorAll("input:not([type=hidden]),select,textarea")].filter(e => !e.labels.length).map(e => e.name || e.id)
		.concat([...document.querySelectorAll("button,a,summary")].filter(e => !e.textContent.trim()).map(e => e.outerHTML))
		.concat([...document.querySelectorAll("[id]")].map(e => e.id).filter((id, i, all) => all.indexOf(id) != i).map(id => "twice: " + id))
		.concat(document.querySelectorAll("main").length == 1 && document.documentElement.lang ? [] : ["no main, or no language"]).join("; ")`)
	if got != "" {
		t.Errorf("%s: not usable with a screen reader: %s", c.Text("h1"), got)
	}
}

// TestPasskeys makes a passkey with the browser's virtual authenticator while
// signing up, signs in with it, and adds an app.
func TestPasskeys(t *testing.T) {
	onBoth(t, testPasskeys)
}

func testPasskeys(t *testing.T, w *world) {
	c := chromium.Start(t)
	c.Width(360)
	c.Call("WebAuthn.enable", nil)
	c.Call("WebAuthn.addVirtualAuthenticator", map[string]any{"options": map[string]any{"protocol": "ctap2", "transport": "internal", "hasUserVerification": true, "isUserVerified": true,
		"hasResidentKey": true, "automaticPresenceSimulation": true}})
	c.Open(w.base + w.invitation(account.Link{Email: "olive@perse.example", Member: "perse"}))
	c.Type("#name", "Olive Owner")
	c.Type("#password", goodPassword)
	c.Press("form.card button")
	c.Title("Second step")
	c.Shot("passkey-1-set-up")
	c.Press("form.passkey button")
	c.Title("Your recovery codes")
	a, err := w.accounts.ByEmail(w.ctx(), "olive@perse.example")
	w.must(err)
	f, err := w.accounts.FactorsOf(w.ctx(), a)
	w.must(err)
	if a.HasApp() || len(f.Passkeys) != 1 {
		t.Fatalf("factors %+v", f)
	}
	c.Press("a.button")
	c.Press("header button")
	c.Title("Sign in")
	c.Type("#email", "olive@perse.example")
	c.Type("#password", goodPassword)
	c.Press("form.card button")
	c.Title("Second step")
	c.Shot("passkey-2-sign-in")
	c.Press("form.passkey button")
	c.Title("Perse")
	c.Open(w.base + Prefix + "/account")
	c.Shot("passkey-3-account")
	if got := c.Text("#second ~ ul"); !strings.Contains(got, "My first passkey") || strings.Contains(got, "Remove") {
		t.Errorf("factors on the page: %q", got) // the only one cannot be removed
	}
	w.is(w.accounts.RemovePasskey(w.ctx(), a, f.Passkeys[0].ID), account.ErrLast)
	// The same device again: it says so itself.
	c.Press(`a[href$="/account/passkey"]`)
	c.Title("Add a passkey")
	c.Shot("passkey-4-add")
	c.Tap("form.passkey button", "Enter")
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(c.Text("form.passkey .alert"), "already"); {
		if time.Now().After(deadline) {
			t.Fatalf("the device made a second passkey: %q", c.Text("main"))
		}
	}
	// With an app beside it, the passkey can go; then the app is the last.
	c.Open(w.base + Prefix + "/account/app")
	secret := strings.ReplaceAll(c.Text("code.key"), " ", "")
	w.secrets = append(w.secrets, secret)
	c.Type("#code", w.code(secret))
	c.Press("form.card button")
	c.Title("Your account")
	c.Eval(`document.querySelectorAll("details").forEach(d => d.open = true)`)
	c.Press(`form[action*="/passkey/"] button`)
	c.Title("Your account")
	w.is(w.accounts.RemoveApp(w.ctx(), a), account.ErrLast)
	for _, m := range c.Complaints {
		t.Errorf("the browser complains: %s", m)
	}
}

// TestDesk takes pictures of the pages on a desk, and looks that they fit.
func TestDesk(t *testing.T) {
	w := onSQLite(t)
	ada := w.signUp("ada@directory.example", "", true)
	w.signUp("olive@perse.example", "perse", false)
	_, err := w.dir.IssueTo(w.ctx(), "perse", "perse-app", ca.Signing, "records", []byte(w.csr()))
	w.must(err)
	_, err = w.dir.MakeToken(w.ctx(), "perse", directory.Owner, "nightly job")
	w.must(err)
	w.must(w.dir.SetOfficer(w.ctx(), "perse", directory.Officer{Duty: "data", Name: "Dana Data", Email: "dana@perse.example"}))
	c := chromium.Start(t)
	c.Open(w.base + Prefix + "/sign-in")
	c.Type("#email", ada.email)
	c.Type("#password", goodPassword)
	c.Press("form.card button")
	c.Type("#code", w.code(ada.secret))
	c.Press("form.card button")
	_, err = w.dir.AddOwner(w.ctx(), "perse", "programs.of.the.metering.department@perse-energy.example") // on the page of people
	w.must(err)
	for _, width := range []int{1280, 360} {
		c.Width(width)
		for i, page := range []string{"/admin", "/admin/organisations/new", "/admin/people", "/admin/history", "/o/perse", "/o/perse/applications/perse-app", "/o/perse/applications/perse-app/change", "/o/perse/tokens", "/o/perse/people", "/account"} {
			c.Open(w.base + Prefix + page)
			c.Fits(width)
			labelled(t, c)
			c.Shot(fmt.Sprintf("%d-%02d%s", width, i, strings.ReplaceAll(page, "/", "-")))
		}
	}
	for _, m := range c.Complaints {
		t.Errorf("the browser complains: %s", m)
	}
}
