package web

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/audit"
)

// TestMember goes the way of a member: invitation, application, data service,
// certificate, revocation, token, site, colleague.
func TestMember(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		o := Prefix + "/o/perse"
		olive.get(Prefix + "/").leads(o)
		olive.get(o).is(200, "Perse Energy Ltd").is(200, "Energy data provider")

		// An application, with roles that the organisation has, and no others.
		in := []string{"name", "Half-hours", "description", "Reads \"meters\" & <more>", "home", "https://perse.example/", "support", "https://perse.example/help", "messages", "https://perse.example/in"}
		olive.post(o+"/applications", append(in, "role", w.fsp)...).is(400, "does not have it").is(400, `Reads "meters" & <more>`)
		olive.post(o+"/applications", "name", "", "role", w.edp).is(400, "name is missing")
		olive.post(o+"/applications", "name", "x", "home", "javascript:alert(1)").is(400, "absolute URL")
		a := olive.post(o+"/applications", append(in, "role", w.edp, "role", w.cap)...).is(303, "").to
		olive.get(a).is(200, "Half-hours").is(200, "Carbon accounting provider").is(200, `Reads "meters" & <more>`).is(200, "It needs a certificate")
		olive.get(o+"/applications").is(200, "Half-hours")
		id := a[strings.LastIndexByte(a, '/')+1:]

		// Changed, with what is not in the form left alone.
		olive.get(a+"/change").is(200, "Change the application")
		olive.post(a, "name", "Half-hours 2", "role", w.edp, "home", "https://perse.example/").leads(a)
		if got, err := w.dir.Application(w.ctx(), id); err != nil || got.Name != "Half-hours 2" || len(got.Roles) != 1 || got.MessageDelivery != "" {
			t.Errorf("application %+v %v", got, err)
		}
		olive.post(a, "name", "Half-hours 3", "role", w.fsp).is(400, "does not have it")

		// A data service.
		std := w.dir.Scheme.StandardConsumption()
		olive.get(a+"/services/new").is(200, "Data service")
		olive.post(a+"/services/new", "title", "Consumption", "standard", "not a URL", "endpoint", "https://api.perse.example").is(400, "absolute URL")
		olive.post(a+"/services/new", "title", "Consumption", "standard", std, "endpoint", "https://api.perse.example", "issuer", "https://auth.perse.example").leads(a)
		svc := olive.get(a).is(200, "Consumption").find(`href="(` + a + `/services/[a-z0-9]+)"`)
		olive.get(svc).is(200, "Take it out")
		olive.post(svc, "title", "Consumption of meters", "standard", std, "endpoint", "https://api.perse.example").leads(a)
		if ds, err := w.dir.DataServices(w.ctx(), id); err != nil || len(ds) != 1 || ds[0].Title != "Consumption of meters" || ds[0].OAuthIssuer != "" {
			t.Errorf("services %+v %v", ds, err)
		}
		olive.post(svc + "/delete").leads(a)
		olive.get(svc).is(404, "")

		// A certificate: a CSR pasted, downloaded, revoked.
		olive.post(a+"/certificates", "type", "client").is(400, "Choose the file")
		olive.post(a+"/certificates", "type", "client", "csr", "nonsense").is(400, "")
		olive.post(a+"/certificates", "type", "client", "csr", "-----BEGIN EC PRIVATE KEY-----").is(400, "That is a private key")
		olive.post(a+"/certificates", "type", "server", "csr", w.csr()).is(400, `need "client" or "signing"`)
		olive.post(a+"/certificates", "type", "client", "label", "first", "csr", w.csr()).leads(a + "#certificates")
		p := olive.get(a).is(200, "The certificate is issued").is(200, "first")
		file := p.find(`href="(` + o + `/certificates/[0-9]+\.pem)"`)
		down := olive.get(file)
		if down.header.Get("Content-Type") != "application/x-pem-file" || !strings.HasPrefix(down.header.Get("Content-Disposition"), `attachment; filename="`+id+`-client-`) {
			t.Errorf("download %v", down.header)
		}
		block, rest := pem.Decode([]byte(down.body))
		leaf, err := x509.ParseCertificate(block.Bytes)
		w.must(err)
		if leaf.Subject.CommonName != w.dir.ApplicationURL(id) || !strings.Contains(string(rest), "BEGIN CERTIFICATE") {
			t.Errorf("certificate of %s", leaf.Subject)
		}
		olive.post(strings.TrimSuffix(file, ".pem")+"/revoke").is(303, "")
		olive.get(a).is(200, "The certificate is revoked").is(200, "revoked ")
		olive.post(a+"/delete").is(409, "records name it")
		spare := olive.post(o+"/applications", "name", "Spare").is(303, "").to
		olive.post(spare + "/delete").leads(o + "/applications")
		olive.get(spare).is(404, "")

		// A token, shown once, that works and can be ended.
		olive.post(o+"/tokens", "access", "owner", "label", "").is(400, "what the token is for is missing")
		olive.post(o+"/tokens", "access", "admin", "label", "x").is(400, "")
		token := olive.post(o+"/tokens", "access", "reader", "label", "nightly job").is(200, "It is shown only now").find(`>(pdt_[A-Za-z0-9_-]+)<`)
		w.secrets = append(w.secrets, token)
		list := olive.get(o+"/tokens").is(200, "nightly job")
		if strings.Contains(list.body, token) {
			t.Error("the token is shown again")
		}
		api := func() int {
			r, err := http.NewRequest("GET", w.base+"/members/me", nil)
			w.must(err)
			r.Header.Set("Authorization", "Bearer "+token)
			res, err := olive.client.Do(r)
			w.must(err)
			res.Body.Close()
			return res.StatusCode
		}
		if got := api(); got != 200 {
			t.Errorf("the token gets %d", got)
		}
		olive.post(list.find(`action="(` + o + `/tokens/[0-9a-f]+/end)"`)).leads(o + "/tokens")
		if got := api(); got != 401 {
			t.Errorf("the ended token gets %d", got)
		}

		// A site with a gateway, its code, a new code, shut out.
		olive.post(o+"/sites", "name", "Riverside", "outcode", "nonsense").is(400, "outcode")
		site := olive.post(o+"/sites", "name", "Riverside", "outcode", "sw8", "application", id).is(200, "Code for Riverside")
		w.secrets = append(w.secrets, site.find(`<p class="big"><code>([0-9A-Z-]+)</code>`))
		list = olive.get(o+"/sites").is(200, "Riverside SW8").is(200, "not set up yet")
		olive.post(o+"/sites", "name", "Riverside", "outcode", "SW8").is(409, "has such an entry already")
		again := olive.post(list.find(`action="(`+o+`/gateways/[a-z0-9]+/code)"`)).is(200, "Code for Riverside")
		w.secrets = append(w.secrets, again.find(`<p class="big"><code>([0-9A-Z-]+)</code>`))

		// Contact details.
		olive.post(o+"/details", "email", "hello@perse.example", "street", "1 Main St", "locality", "London", "postcode", "SE1 1AA", "country", "gb").leads(o)
		olive.get(o).is(200, "hello@perse.example").is(200, "SE1 1AA GB")
		olive.post(o+"/details", "country", "England").is(400, "two capital letters")

		// A colleague.
		p = olive.post(o+"/people", "email", "Pat@perse.example").is(200, "Hand this link over")
		link := strings.TrimPrefix(p.find(`readonly rows="3">([^<]+)<`), w.base)
		w.secrets = append(w.secrets, link[strings.LastIndexByte(link, '/')+1:])
		olive.get(o+"/people").is(200, "pat@perse.example")
		olive.post(olive.get(o + "/people").find(`action="(` + o + `/invitations/[0-9a-f]+/withdraw)"`)).leads(o + "/people")
		w.browser().get(link).is(410, "does not work any more")
		pat := w.signUp("pat@perse.example", "perse", false)
		me := olive.get(o+"/people").is(200, "pat@perse.example")
		remove := regexp.MustCompile(`action="(`+o+`/people/[a-z0-9]+/remove)"`).FindAllStringSubmatch(me.body, -1)
		if len(remove) != 2 {
			t.Fatalf("two owners, %d buttons", len(remove))
		}
		pat.post(remove[0][1]).is(303, "") // one of them
		for _, r := range remove {
			if got := pat.post(r[1]).status; got != 404 && got != 409 {
				t.Errorf("the last owner went: %d", got)
			}
		}

		// All of it is in the history, in plain words.
		who := olive
		if olive.get(o).status != 200 {
			who = pat
		}
		h := who.get(o+"/history").is(200, "Application added").is(200, "Certificate revoked").is(200, "by olive@perse.example").is(200, "Token ended").is(200, "Site added").is(200, "Person invited")
		if m := regexp.MustCompile(`<strong>[a-z-]+: [a-z-]+</strong>`).FindString(h.body); m != "" {
			t.Errorf("an action has no plain words: %s", m)
		}
		_, err = audit.Verify(w.ctx(), w.dir.DB)
		w.must(err)
	})
}

// TestAdministrator brings an organisation in and helps its people.
func TestAdministrator(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada@directory.example", "", true)
		ada.get(Prefix + "/").leads(Prefix + "/admin")
		ada.get(Prefix+"/admin").is(200, "Perse Energy Ltd").is(200, "Bank of Examples plc")
		if p := ada.get(Prefix+"/admin?q=EXAMPLES").is(200, "Bank of Examples plc"); strings.Contains(p.body, "Perse Energy") {
			t.Error("the search finds too much")
		}
		ada.get(Prefix+"/admin/organisations/new").is(200, "First owner")
		in := map[string]string{"legal": "Acme Ltd", "brand": "Acme", "company": "87654321", "role": w.cap, "email": "hello@acme.example", "street": "2 High St", "locality": "Leeds",
			"postcode": "LS1 1AA", "country": "GB", "data-name": "Dana", "data-email": "dana@acme.example", "licence-name": "Lee", "licence-phone": "0113 496 0000", "owner": "olive@acme.example"}
		send := func(without string) page {
			var pairs []string
			for k, v := range in {
				if k != without {
					pairs = append(pairs, k, v)
				}
			}
			return ada.post(Prefix+"/admin/organisations", pairs...)
		}
		for field, says := range map[string]string{"legal": "legal name is missing", "company": "company number is missing", "role": "give at least one", "email": "email is missing",
			"data-name": "data officer", "licence-phone": "licence officer", "owner": "email address"} {
			send(field).is(400, says)
		}
		if ms, _ := w.dir.Members(w.ctx(), "", "", "acme"); len(ms) != 0 {
			t.Errorf("a refused form left %+v", ms)
		}
		p := send("").is(200, "Hand this link over").is(200, "olive@acme.example").is(200, "to act for Acme")
		link := strings.TrimPrefix(p.find(`readonly rows="3">([^<]+)<`), w.base)
		w.secrets = append(w.secrets, link[strings.LastIndexByte(link, '/')+1:])
		ms, err := w.dir.Members(w.ctx(), "", "", "acme")
		if err != nil || len(ms) != 1 {
			t.Fatalf("members %v %v", ms, err)
		}
		o := Prefix + "/o/" + ms[0].ID
		ada.get(o).is(200, "Dana").is(200, "Carbon accounting provider")

		olive := w.browser()
		olive.post(link, "name", "Olive", "password", goodPassword).leads(Prefix + "/set-up")
		secret := strings.ReplaceAll(olive.get(Prefix+"/set-up").find(`<code class="key">([A-Z2-7 ]+)</code>`), " ", "")
		olive.post(Prefix+"/set-up", "code", w.code(secret)).is(200, "recovery codes")
		olive.get(o).is(200, "Acme Ltd")
		olive.post(o+"/roles", "role", w.fsp).is(404, "")

		// Roles and officers are the administrator's.
		ada.post(o+"/roles", "role", w.fsp, "role", w.edp).leads(o)
		if m, err := w.dir.Member(w.ctx(), ms[0].ID); err != nil || len(m.Roles) != 2 {
			t.Errorf("roles %v %v", m.Roles, err)
		}
		ada.post(o+"/roles", "role", "https://elsewhere.example/role").is(400, "use one of")
		ada.post(o+"/officers", "duty", "data", "name", "Dee", "email", "dee@acme.example").leads(o)
		ada.post(o+"/officers", "duty", "data", "name", "Dee").is(400, "give an email address or a telephone")
		olive.get(o).is(200, "Dee").is(200, "Financial service provider")

		// An administrator helps who has forgotten the password, or lost all.
		ada.get(Prefix+"/admin/people").is(200, "olive@acme.example").is(200, "Help Olive")
		her, err := w.accounts.ByEmail(w.ctx(), "olive@acme.example")
		w.must(err)
		id := her.ID
		link = strings.TrimPrefix(ada.post(Prefix+"/admin/people/"+id+"/password-link").is(200, "to choose a new password").find(`readonly rows="3">([^<]+)<`), w.base)
		stranger := w.browser()
		stranger.get(link).is(200, "olive@acme.example")
		stranger.post(link, "password", "short").is(400, "at least 12")
		stranger.post(link, "password", "another four words here").leads(Prefix + "/sign-in")
		stranger.post(link, "password", "another four words here").is(410, "")
		olive.get(o).is(303, "") // signed out
		link = strings.TrimPrefix(ada.post(Prefix+"/admin/people/"+id+"/restore-link").is(200, "set up password and second step again").find(`readonly rows="3">([^<]+)<`), w.base)
		again := w.browser()
		again.get(link).is(200, "Choose a new password")
		again.post(link, "password", goodPassword).leads(Prefix + "/set-up")
		fresh := strings.ReplaceAll(again.get(Prefix+"/set-up").find(`<code class="key">([A-Z2-7 ]+)</code>`), " ", "")
		again.post(Prefix+"/set-up", "code", w.code(fresh)).is(200, "recovery codes")
		again.get(o).is(200, "Acme Ltd")

		ada.post(Prefix + "/admin/people/" + id + "/close").leads(Prefix + "/admin/people")
		again.get(o).is(303, "")
		ada.get(Prefix+"/admin/history").is(200, "Organisation added").is(200, "Account set up anew").is(200, "Roles changed").is(200, "Account deleted")
	})
}

// Several processes on one database: a session of one is one of all, and what
// one ended is ended at the others.
func TestTwoProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		other, err := New(Config{Directory: w.dir, Accounts: w.accounts, Logger: w.app.Logger})
		w.must(err)
		there := func() int {
			r := httptest.NewRequest("GET", w.base+Prefix+"/o/perse", nil)
			r.AddCookie(&http.Cookie{Name: account.SessionCookie, Value: olive.cookie()})
			rec := httptest.NewRecorder()
			other.Handler().ServeHTTP(rec, r)
			return rec.Code
		}
		if got := there(); got != 200 {
			t.Errorf("signed in here, %d there", got)
		}
		cookie := olive.cookie()
		olive.post(Prefix + "/sign-out").leads(Prefix + "/sign-in")
		u, err := url.Parse(w.base)
		w.must(err)
		olive.jar.SetCookies(u, []*http.Cookie{{Name: account.SessionCookie, Value: cookie, Path: "/", Secure: true}})
		if got := there(); got != 303 {
			t.Errorf("signed out here, %d there", got)
		}
	})
}
