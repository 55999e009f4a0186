package listing_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

func TestListings(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		edp, cap, fsp := w.Scheme.Role(scheme.EDP), w.Scheme.Role(scheme.CAP), w.Scheme.Role(scheme.FSP)
		v := dirtest.Answer(t, w.Call("GET", "/m/"+w.Provider.ID, nil), 200)
		want := map[string]any{"id": dirtest.Base + "/m/" + w.Provider.ID, "identifier": w.Provider.ID, "type": "Organization",
			"legalName": "Perse Energy Ltd", "brand": map[string]any{"name": "Perse"}, "roles": []any{cap, edp},
			"applications": []any{dirtest.Base + "/a/" + w.ProviderApp.ID}, "email": "contact@perse.example", "privacyPolicy": "https://perse.example.com/privacy",
			"companyRegistration": map[string]any{"identifier": "12345678"}, "address": map[string]any{"streetAddress": "1 Main St",
				"locality": "London", "region": "Greater London", "postalCode": "SE1 1AA", "country": "GB"}}
		if !reflect.DeepEqual(v, want) {
			t.Errorf("member\n%v, want\n%v", v, want)
		}
		v = dirtest.Answer(t, w.Call("GET", "/a/"+w.ProviderApp.ID, nil, "Accept", "application/ld+json"), 200)
		if v["@id"] != dirtest.Base+"/a/"+w.ProviderApp.ID || v["@type"] != "ib1:Application" ||
			!reflect.DeepEqual(v["dcterms:publisher"], map[string]any{"@id": dirtest.Base + "/m/" + w.Provider.ID}) ||
			!reflect.DeepEqual(v["ib1:messageDelivery"], map[string]any{"@id": "https://messages.perse.example.com/in"}) {
			t.Errorf("application as JSON-LD: %v", v)
		}
		v = dirtest.Answer(t, w.Call("GET", "/a/"+w.ProviderApp.ID, nil), 200)
		if v["messageDelivery"] != "https://messages.perse.example.com/in" || v["publisher"] != dirtest.Base+"/m/"+w.Provider.ID || v["scheme"] != w.Scheme.URL() {
			t.Errorf("application: %v", v)
		}
		for role, ids := range map[string][]string{edp: {w.Provider.ID}, fsp: {w.Bank.ID}, "https://none.example/": {}} {
			v := dirtest.Answer(t, w.Call("GET", "/query/organizations?role="+role, nil), 200)
			got := v["members"].([]any)
			if len(got) != len(ids) || len(ids) == 1 && got[0].(map[string]any)["identifier"] != ids[0] {
				t.Errorf("role %s: %v", role, got)
			}
			if role == edp && len(got[0].(map[string]any)["roles"].([]any)) != 2 {
				t.Errorf("a member found by one role must show all: %v", got)
			}
		}
		dirtest.Must(w.AddDataService(ctx, directory.DataService{Application: w.ProviderApp.ID, Title: "Half-hours", ConformsTo: w.Scheme.StandardConsumption(),
			Endpoint: "https://relay.example.org", OAuthIssuer: "https://auth.example.org"}))(t)
		v = dirtest.Answer(t, w.Call("GET", "/query/data-services?conformsTo="+w.Scheme.StandardConsumption()+"&conformsTo=https://other.example/", nil), 200)
		if want := []any{map[string]any{"title": "Half-hours", "publisher": dirtest.Base + "/m/" + w.Provider.ID, "conformsTo": w.Scheme.StandardConsumption(),
			"endpointURL": "https://relay.example.org", "oauthIssuer": "https://auth.example.org"}}; !reflect.DeepEqual(v["apis"], want) {
			t.Errorf("data services %v", v["apis"])
		}
		// The name of a site is not for strangers, in any form.
		g, _, err := w.AddGateway(ctx, directory.Gateway{Application: w.ProviderApp.ID, Name: "Secret name", Site: "Secret site"})
		if err != nil {
			t.Fatal(err)
		}
		for _, accept := range []string{"", rdf.TypeJSON, rdf.TypeJSONLD, rdf.TypeTurtle, rdf.TypeXML, rdf.TypeHTML} {
			r := w.Call("GET", "/g/"+g.ID, nil, "Accept", accept)
			if r.Code != 200 && accept != "" || strings.Contains(r.Body.String(), "Secret") {
				t.Errorf("gateway as %q: %d %s", accept, r.Code, r.Body)
			}
		}
		list := dirtest.Answer(t, w.Call("GET", "/members/gateways", nil, "Authorization", "Bearer "+w.Reader), 200)["gateways"].([]any)
		if len(list) != 1 || list[0].(map[string]any)["site"] != "Secret site" || list[0].(map[string]any)["code"] != nil {
			t.Errorf("own gateways: %v", list)
		}
	})
}

// TestPages: what members write cannot become markup or script.
func TestPages(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	evil := `<script>alert("x")</script>`
	m := dirtest.Must(w.AddMember(t.Context(), directory.Member{LegalName: evil}))(t)
	a := dirtest.Must(w.AddApplication(t.Context(), directory.Application{Member: m.ID, Name: evil, HomePage: `https://x.example/"><script>`}))(t)
	for _, path := range []string{"/", "/m/" + m.ID, "/a/" + a.ID} {
		r := w.Call("GET", path, nil, "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		if r.Code != 200 || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", path, r.Code, r.Header().Get("Content-Type"))
		}
		body := r.Body.String()
		if strings.Contains(body, "<script") || !strings.Contains(body, "</html>") {
			t.Errorf("%s: markup came through, or the page is cut:\n%s", path, body)
		}
		if path != "/a/"+a.ID && !strings.Contains(body, "&lt;script&gt;") {
			t.Errorf("%s: the name is not there", path)
		}
		if !strings.Contains(r.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: no policy", path)
		}
	}
	for _, u := range []string{"javascript:alert(1)", "https://", "//x.example/", "https://user:pw@x.example/", "ftp://x.example/", "x"} {
		if _, err := w.AddApplication(t.Context(), directory.Application{Member: m.ID, Name: "x", HomePage: u}); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("home page %q: %v", u, err)
		}
	}
}

func TestCaching(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	for _, path := range []string{"/m/" + w.Provider.ID, "/crl/client.crl", "/ca/signing.pem"} {
		r := w.Call("GET", path, nil)
		etag := r.Header().Get("ETag")
		if r.Code != 200 || etag == "" {
			t.Fatalf("%s: %d, ETag %q", path, r.Code, etag)
		}
		if r := w.Call("GET", path, nil, "If-None-Match", `"x", W/`+etag); r.Code != http.StatusNotModified || r.Body.Len() != 0 {
			t.Errorf("%s: %d", path, r.Code)
		}
	}
	a := w.Call("GET", "/m/"+w.Provider.ID, nil).Header().Get("ETag")
	if b := w.Call("GET", "/m/"+w.Provider.ID, nil, "Accept", rdf.TypeHTML).Header().Get("ETag"); a == b {
		t.Error("two forms with one ETag")
	}
}

func TestMembersAndApplications(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		edp, fsp := w.Scheme.Role(scheme.EDP), w.Scheme.Role(scheme.FSP)
		m := dirtest.Must(w.AddMember(ctx, directory.Member{ID: "sunny-shop", LegalName: "Sunny Shop Ltd", Roles: []string{edp, edp}}))(t)
		if m.BrandName != "Sunny Shop Ltd" || len(m.Roles) != 1 {
			t.Errorf("member %+v", m)
		}
		if _, err := w.AddMember(ctx, m); !errors.Is(err, fault.ErrExists) {
			t.Errorf("twice: %v", err)
		}
		if _, err := w.AddApplication(ctx, directory.Application{Member: m.ID, Name: "x", Roles: []string{fsp}}); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("a role that the member does not have: %v", err)
		}
		if _, err := w.AddApplication(ctx, directory.Application{Member: "nobody", Name: "x"}); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("unknown member: %v", err)
		}
		for _, bad := range []directory.Member{{}, {LegalName: "x", ID: "../x"}, {LegalName: "x", ID: "-x"}, {LegalName: "x", ID: strings.Repeat("x", 33)},
			{LegalName: "a\nb"}, {LegalName: "\xff"}, {LegalName: strings.Repeat("x", 201)}, {LegalName: "x", Roles: []string{"king"}}} {
			if _, err := w.AddMember(ctx, bad); !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		// A role that the member loses goes from the next certificate.
		a := dirtest.Must(w.AddApplication(ctx, directory.Application{Member: m.ID, Name: "x", Roles: []string{edp}}))(t)
		dirtest.Must(w.DB.ExecContext(ctx, `DELETE FROM directory_member_roles WHERE member = $1`, m.ID))(t)
		if got := dirtest.Must(w.Application(ctx, a.ID))(t); len(got.Roles) != 0 {
			t.Errorf("roles %v", got.Roles)
		}
		if _, _, err := w.AddGateway(ctx, directory.Gateway{Member: m.ID, Application: w.ProviderApp.ID, Name: "x", Site: "y"}); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("a gateway of another member's application: %v", err)
		}
	})
}
