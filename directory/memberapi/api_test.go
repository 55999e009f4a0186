package memberapi_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/memberapi"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

// TestMergePatch: what is absent stays, null empties, and every mistake is
// named and changes nothing.
func TestMergePatch(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		app, edp := "/members/applications/"+w.ProviderApp.ID, w.Scheme.Role(scheme.EDP)
		for _, x := range []struct {
			path, body string
			status     int
			want       string // in the answer; ! first: not in it
		}{
			{"/members/me", `{"email":"a@b.example","address":{"locality":"London","country":"GB"}}`, 200, `"country":"GB"`},
			{"/members/me", `{"address":{"locality":null}}`, 200, `"address":{"streetAddress":"1 Main St","region":"Greater London"`},
			{"/members/me", `{}`, 200, `"email":"a@b.example"`},
			{"/members/me", `{"address":null}`, 200, `!"address"`},
			{"/members/me", `{"email":null}`, 200, `!"email"`},
			{"/members/me", `{"legalName":"Bank of Examples plc"}`, 400, `unknown field`},
			{"/members/me", `{"roles":[]}`, 400, `unknown field`},
			{"/members/me", `{"address":{"planet":"Mars"}}`, 400, `unknown field`},
			{"/members/me", `{"email":"a@b.example","email":"c@d.example"}`, 400, `comes twice`},
			{"/members/me", `{"address":{"region":"x","Region":"y"}}`, 400, `comes twice`},
			{"/members/me", `{"email":7}`, 400, `a number stands where a text belongs`},
			{"/members/me", `{"address":"London"}`, 400, `where an object belongs`},
			{"/members/me", `{"email":"Owner <a@b.example>"}`, 400, `name@example.org`},
			{"/members/me", `{"email":"a@b.example\r\nBcc: c@d.example"}`, 400, `name@example.org`},
			{"/members/me", `{"privacyPolicy":"javascript:alert(1)"}`, 400, `absolute URL`},
			{"/members/me", `{"address":{"country":"gb"}}`, 400, `capital`},
			{"/members/me", `[]`, 400, `object`},
			{"/members/me", `null`, 400, `object`},
			{"/members/me", `{"email":"a@b.example"} {}`, 400, `more than one`},
			{app, `{"title":null}`, 400, `name is missing`},
			{app, `{"role":null}`, 200, `"roles":[]`},
			{app, `{"role":["` + edp + `","` + edp + `"]}`, 200, `"roles":["` + edp + `"]`},
			{app, `{"role":["` + w.Scheme.Role(scheme.FSP) + `"]}`, 400, `does not have it`},
			{app, `{"role":"` + edp + `"}`, 400, `a list of texts belongs`},
			{app, `{"publisher":"https://directory.example.org/m/x"}`, 400, `unknown field`},
			{app, `{"scheme":"perseus"}`, 400, `unknown field`},
			{app, `{"supportURL":"https://help.example/","description":"Reads meters"}`, 200, `"description":"Reads meters"`},
			{app, `{"description":null}`, 200, `!"description"`},
			{app, `{"dataService":{"title":"A","conformsTo":"https://s.example/1"}}`, 400, `endpoint`},
			{app, `{"dataService":{"title":"A","conformsTo":"https://s.example/1","endpointURL":"https://a.example/","publisher":"x"}}`, 400, `unknown field`},
			{app, `{"dataService":{"title":"A","conformsTo":"https://s.example/1","endpointURL":"https://a.example/","oauthIssuer":"https://i.example"}}`, 200, `"title":"A"`},
			{app, `{"dataService":{"title":"B","conformsTo":"https://s.example/2","endpointURL":"https://b.example/"}}`, 200, `"oauthIssuer":"https://i.example"`},
			{app, `{"dataService":{"title":"B","conformsTo":"https://s.example/2","endpointURL":"https://b.example/","datasetAssurance":"https://registry.trust.ib1.org/dataset-assurance-level/Level2"}}`, 200, `"datasetAssurance":"https://registry.trust.ib1.org/dataset-assurance-level/Level2"`},
			{app, `{"dataService":{"title":"C","conformsTo":"https://s.example/2","endpointURL":"https://b.example/"}}`, 200, `"datasetAssurance":"https://registry.trust.ib1.org/dataset-assurance-level/Level2"`},
			{app, `{"dataService":{"title":"B","conformsTo":"https://s.example/2","endpointURL":"https://b.example/","datasetAssurance":"Level2"}}`, 400, `dataset assurance`},
			{app, `{"dataService":{"title":"B","conformsTo":"https://s.example/2","endpointURL":"https://b.example/","datasetAssurance":null}}`, 200, `"title":"B"`},
			{app, `{"dataService":null}`, 200, `!"dataService"`},
		} {
			r := w.As(w.Owner, "", "PATCH", x.path, x.body)
			no := strings.HasPrefix(x.want, "!")
			got := strings.ReplaceAll(r.Body.String(), `\"`, `"`)
			if r.Code != x.status || strings.Contains(got, strings.TrimPrefix(x.want, "!")) == no {
				t.Errorf("%s %s: %d, want %d and %s: %s", x.path, x.body, r.Code, x.status, x.want, got)
			}
		}
		if a := dirtest.Must(w.Application(t.Context(), w.ProviderApp.ID))(t); a.Name != w.ProviderApp.Name || a.HomePage != w.ProviderApp.HomePage || a.SupportURL == "" {
			t.Errorf("untouched fields changed: %+v", a)
		}
		public := w.Call("GET", "/a/"+w.ProviderApp.ID, nil, "Accept", "text/turtle").Body.String()
		if !strings.Contains(public, "ib1:supportURL <https://help.example/>") {
			t.Errorf("the listing has not followed: %s", public)
		}
	})
}

// TestSeveralDataServices: a patch never guesses which of several is meant.
func TestSeveralDataServices(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		for _, standard := range []string{"1", "1", "2"} {
			dirtest.Must(w.AddDataService(t.Context(), directory.DataService{Application: w.ProviderApp.ID, Title: "API " + standard, ConformsTo: "https://s.example/" + standard, Endpoint: "https://a.example/"}))(t)
		}
		body := func(standard string) string {
			return `{"dataService":{"title":"New","conformsTo":"https://s.example/` + standard + `","endpointURL":"https://new.example/"}}`
		}
		for in, want := range map[string]int{body("1"): 409, body("2"): 200, body("3"): 409, `{"dataService":null}`: 409} {
			dirtest.Answer(t, w.As(w.Owner, "", "PATCH", "/members/applications/"+w.ProviderApp.ID, in), want)
		}
		if n := w.Texts(t, `SELECT title FROM directory_data_services WHERE endpoint_url = 'https://new.example/'`); len(n) != 1 || n[0] != "New" {
			t.Errorf("%v", n)
		}
	})
}

// TestPatchesAtOnce: of changes at the same time none undoes another.
func TestPatchesAtOnce(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		var wg sync.WaitGroup
		for _, field := range []string{"streetAddress", "locality", "region", "state", "postalCode"} {
			wg.Go(func() {
				if r := w.As(w.Owner, "", "PATCH", "/members/me", `{"address":{"`+field+`":"x"}}`); r.Code != 200 {
					t.Errorf("%s: %d %s", field, r.Code, r.Body)
				}
			})
		}
		wg.Wait()
		if m := dirtest.Must(w.Member(t.Context(), w.Provider.ID))(t); m.Address != (directory.Address{Street: "x", Locality: "x", Region: "x", State: "x", PostalCode: "x", Country: "GB"}) {
			t.Errorf("a change was lost: %+v", m.Address)
		}
	})
}

// TestDeleteApplication: what records or gateways name stays, the rest goes
// from the listing and the catalogue too.
func TestDeleteApplication(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		free := dirtest.Must(w.AddApplication(ctx, directory.Application{Member: w.Provider.ID, Name: "Free", Roles: w.ProviderApp.Roles},
			directory.DataService{Title: "x", ConformsTo: "https://s.example/", Endpoint: "https://only.example/"}))(t)
		held := dirtest.Must(w.AddApplication(ctx, directory.Application{Member: w.Provider.ID, Name: "Held"}))(t)
		if _, _, err := w.AddGateway(ctx, directory.Gateway{Application: held.ID, Name: "Unit 4", Site: "Riverside"}); err != nil {
			t.Fatal(err)
		}
		_, csr := dirtest.NewKeyCSR(t)
		c := dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(csr)))(t)
		if err := w.Revoke(ctx, c.Leaf.SerialNumber); err != nil {
			t.Fatal(err)
		}
		dirtest.Answer(t, w.Call("GET", "/a/"+free.ID, nil), 200)
		for _, x := range []struct {
			token, id string
			want      int
		}{{w.Owner, held.ID, 409}, {w.Owner, w.ProviderApp.ID, 409}, {w.Owner, w.BankApp.ID, 404}, {w.Reader, free.ID, 403}, {w.BankOwner, free.ID, 404}, {w.Owner, free.ID, 204}, {w.Owner, free.ID, 404}} {
			if r := w.As(x.token, "", "DELETE", "/members/applications/"+x.id, nil); r.Code != x.want {
				t.Errorf("%s: %d, want %d: %s", x.id, r.Code, x.want, r.Body)
			}
		}
		dirtest.Answer(t, w.Call("GET", "/a/"+free.ID, nil), 404)
		apis := dirtest.Answer(t, w.Call("GET", "/query/data-services?conformsTo=https://s.example/", nil), 200)["apis"].([]any)
		if hosts := dirtest.Must(w.Front.KnownHost(ctx, "only.example"))(t); len(apis) != 0 || len(hosts) != 0 {
			t.Error("its data service is still listed")
		}
		if n := w.Texts(t, `SELECT application FROM directory_application_roles WHERE application = '`+free.ID+`'`); len(n) != 0 {
			t.Error("its roles are still there")
		}
	})
}

// TestOwners: a person's token acts for the members that the person owns, for
// no others, and not as an administrator.
func TestOwners(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		token := dirtest.Must(w.AddOwner(ctx, w.Provider.ID, "Olive@Perse.example"))(t)
		if _, err := w.AddOwner(ctx, w.Provider.ID, "olive@perse.EXAMPLE"); !errors.Is(err, fault.ErrExists) {
			t.Error(err)
		}
		for _, email := range []string{"", "x", "Olive <olive@perse.example>", "a@b\nc", strings.Repeat("a", 250) + "@b.example"} {
			if _, err := w.AddOwner(ctx, w.Provider.ID, email); !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("%q: %v", email, err)
			}
		}
		if _, err := w.AddOwner(ctx, "nobody", "olive@perse.example"); !errors.Is(err, fault.ErrNotFound) {
			t.Error(err)
		}
		me := func(organization string, want int) {
			t.Helper()
			if r := w.As(token, organization, "GET", "/members/me", nil); r.Code != want {
				t.Errorf("%q: %d, want %d: %s", organization, r.Code, want, r.Body)
			}
		}
		me("", 200)
		me(w.MemberURL(w.Provider.ID), 200)
		me(w.Bank.ID, 403)
		me("nobody", 403) // no word on who exists
		dirtest.Answer(t, w.As(token, "", "POST", "/admin/organizations/"+w.Bank.ID+"/members", map[string]string{"email": "olive@perse.example"}), 403)
		if second := dirtest.Must(w.AddOwner(ctx, w.Bank.ID, "olive@perse.example"))(t); second != "" {
			t.Error("a second token for a person who has one")
		}
		me("", 400)
		me(w.Bank.ID, 200)
		w.Clock.Add(directory.TokenLife)
		me(w.Bank.ID, 401)
		third := dirtest.Must(w.AddMember(ctx, directory.Member{LegalName: "Third Ltd"}))(t)
		if fresh := dirtest.Must(w.AddOwner(ctx, third.ID, "olive@perse.example"))(t); fresh == "" || fresh == token || strings.Contains(w.Logs.String(), fresh) {
			t.Error("no fresh token once the old one has expired, or it is in the log")
		}
	})
}

// TestOrganizationPages: an administrator's list comes in pages that miss
// nothing.
func TestOrganizationPages(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	for i := range memberapi.OrganisationsAtOnce {
		dirtest.Must(w.DB.Exec(`INSERT INTO directory_members (id, legal_name, brand_name, created_at) VALUES ($1, 'x', 'x', 0)`, fmt.Sprintf("m%04d", i)))(t)
	}
	seen, after := map[string]bool{}, ""
	for range 3 {
		v := dirtest.Answer(t, w.As(w.Admin, "", "GET", "/members/organizations?after="+after, nil), 200)
		for _, o := range v["organizations"].([]any) {
			seen[o.(map[string]any)["identifier"].(string)] = true
		}
		if after, _ = v["next"].(string); after == "" {
			break
		}
	}
	if len(seen) != memberapi.OrganisationsAtOnce+2 || after != "" {
		t.Errorf("%d organisations, next %q", len(seen), after)
	}
}
