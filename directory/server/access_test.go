package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// TestAccess walks every endpoint for each kind of bearer and for none.
func TestAccess(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		ctx := t.Context()
		g, _, err := w.AddGateway(ctx, directory.Gateway{Application: w.ProviderApp.ID, Name: "Unit 4", Site: "Riverside"})
		if err != nil {
			t.Fatal(err)
		}
		service := dirtest.Must(w.AddDataService(ctx, directory.DataService{Application: w.ProviderApp.ID, Title: "x", ConformsTo: "https://x.example/", Endpoint: "https://x.example/"}))(t)
		_, csr := dirtest.NewKeyCSR(t)
		_, other := dirtest.NewKeyCSR(t)
		spare := func() string { // a certificate of the provider to revoke
			_, csr := dirtest.NewKeyCSR(t)
			return dirtest.Must(w.IssueClient(ctx, w.ProviderApp.ID, []byte(csr)))(t).Leaf.SerialNumber.String()
		}
		serial := spare()
		doomed := func() string {
			return dirtest.Must(w.AddApplication(ctx, directory.Application{Member: w.Provider.ID, Name: "Doomed"}))(t).ID
		}()
		newBody := func(path string) any {
			switch {
			case strings.HasSuffix(path, "/sign"):
				return map[string]string{"csr": csr}
			case path == "/members/me", path == "/members/applications/"+w.ProviderApp.ID:
				return map[string]string{}
			case path == "/members/applications":
				return map[string]string{"scheme": "perseus", "title": "Another"}
			case path == "/admin/organizations":
				officer := map[string]string{"name": "Dana", "phone": "+44 1234 567890"}
				return map[string]any{"legalName": "New Ltd", "email": "a@new.example", "streetAddress": "1 Main St", "locality": "London", "postalCode": "AB1 2CD",
					"companyNumber": "12345678", "role": "energy-data-provider", "dataOfficer": officer, "licenceOfficer": officer}
			case strings.HasSuffix(path, "/members"):
				return map[string]string{"email": form.NewID() + "@perse.example"}
			case strings.HasSuffix(path, "/certificates"):
				return map[string]string{"type": "client", "csr": csr}
			case path == "/sparql":
				return "ASK {}"
			case path == "/members/sites":
				return map[string]string{"name": "Site " + form.NewID(), "outcode": "sw8"}
			case path == "/members/sites/"+g.SiteID:
				return map[string]string{"outcode": "CF10"}
			case path == "/members/gateways":
				return map[string]string{"name": "Unit 5", "site": "Riverside"}
			case path == "/gateway/v1/enrollments":
				_, code, err := w.AddGateway(ctx, directory.Gateway{Member: w.Provider.ID, Name: "Unit 6", Site: "Riverside"})
				if err != nil {
					t.Fatal(err)
				}
				_, csr := dirtest.NewKeyCSR(t)
				return map[string]string{"code": code, "client_csr": csr, "signing_csr": other}
			}
			return nil
		}
		// Status for: nobody, garbage, reader, owner, another member's owner,
		// admin for the provider, admin for nobody, owner posing as the bank.
		public := func(s int) []int { return []int{s, s, s, s, s, s, s, s} }
		anyone := func(s int) []int { return []int{401, 401, s, s, s, s, s, s} }
		administrator := func(ok int) []int { return []int{401, 401, 403, 403, 403, ok, ok, 403} }
		member := func(ok, reader, other int) []int { return []int{401, 401, reader, ok, other, ok, 400, 403} }
		table := []struct {
			method, path string
			status       []int
		}{
			{"GET", "/", public(200)},
			{"GET", "/healthz", public(200)},
			{"GET", "/style.css", public(200)},
			{"GET", "/m/" + w.Provider.ID, public(200)},
			{"GET", "/a/" + w.ProviderApp.ID, public(200)},
			{"GET", "/d/" + service.ID, public(200)},
			{"GET", "/g/" + g.ID, public(200)},
			{"GET", "/catalog", public(200)},
			{"GET", "/allowlist/trust-framework", public(200)},
			{"GET", "/allowlist/scheme/perseus", public(200)},
			{"GET", "/sparql?query=ASK%7B%7D", public(200)},
			{"POST", "/sparql", public(200)},
			{"GET", "/query/organizations", public(200)},
			{"GET", "/query/members-with-role", public(200)},
			{"GET", "/query/data-services?conformsTo=https://x.example/", public(200)},
			{"GET", "/query/data-catalog/api?conformsTo=https://x.example/", public(200)},
			{"GET", "/crl/client.crl", public(200)},
			{"GET", "/ca/client.pem", public(200)},
			{"GET", "/ocsp/x", public(200)}, // the answer says that this is no request
			{"POST", "/ocsp", public(200)},
			{"GET", "/enrol", public(200)},
			{"POST", "/gateway/v1/enrollments", public(201)},
			{"GET", "/.well-known/est/cacerts", public(200)},
			{"GET", "/.well-known/est/signing/cacerts", public(200)},
			{"POST", "/.well-known/est/simplereenroll", public(401)},
			{"POST", "/.well-known/est/signing/simplereenroll", public(401)},
			{"GET", "/members/organizations", anyone(200)},
			{"GET", "/members/me", member(200, 200, 200)},
			{"PATCH", "/members/me", member(200, 403, 200)},
			{"GET", "/members/applications", member(200, 200, 200)},
			{"POST", "/members/applications", member(201, 403, 201)},
			{"GET", "/members/applications/" + w.ProviderApp.ID, member(200, 200, 404)},
			{"PATCH", "/members/applications/" + w.ProviderApp.ID, member(200, 403, 404)},
			{"DELETE", "/members/applications/" + w.ProviderApp.ID, member(409, 403, 404)},
			{"DELETE", "/members/applications/" + doomed, []int{401, 401, 403, 204, 404, 404, 400, 403}}, // the admin comes after its owner
			{"POST", "/members/applications/" + w.ProviderApp.ID + "/certificates/client/sign", member(201, 403, 404)},
			{"GET", "/members/certificates/" + serial + ".pem", member(200, 200, 404)},
			{"GET", "/members/ca/signing.zip", anyone(200)},
			{"POST", "/admin/organizations", administrator(201)},
			{"POST", "/admin/organizations/" + w.Provider.ID + "/members", administrator(201)},
			{"GET", "/members/gateways", member(200, 200, 200)},
			{"POST", "/members/gateways", member(201, 403, 201)},
			{"GET", "/members/gateways/" + g.ID, member(200, 200, 404)},
			{"POST", "/members/gateways/" + g.ID + "/codes", member(201, 403, 404)},
			{"DELETE", "/members/gateways/" + g.ID + "/codes", member(204, 403, 404)},
			{"POST", "/members/gateways/" + g.ID + "/revoke", member(200, 403, 404)},
			{"GET", "/members/sites", member(200, 200, 200)},
			{"POST", "/members/sites", member(201, 403, 201)},
			{"PATCH", "/members/sites/" + g.SiteID, member(200, 403, 404)},
			{"POST", "/members/applications/" + w.ProviderApp.ID + "/certificates", member(201, 403, 404)},
			{"POST", "/members/certificates/" + serial + "/revoke", member(200, 403, 404)},
		}
		bearers := [][]string{
			nil,
			{"Authorization", "Bearer nonsense"},
			{"Authorization", "Bearer " + w.Reader},
			{"Authorization", "Bearer " + w.Owner},
			{"Authorization", "Bearer " + w.BankOwner},
			{"Authorization", "bearer " + w.Admin, "X-Organization", dirtest.Base + "/m/" + w.Provider.ID},
			{"Authorization", "Bearer " + w.Admin},
			{"Authorization", "Bearer " + w.Owner, "X-Organization", w.Bank.ID},
		}
		for _, row := range table {
			for i, headers := range bearers {
				if row.path == "/sparql" {
					headers = append(slices.Clone(headers), "Content-Type", "application/sparql-query")
				}
				body := newBody(row.path)
				if row.method == "GET" || row.method == "DELETE" {
					body = nil
				}
				r := w.Call(row.method, row.path, body, headers...)
				if r.Code != row.status[i] {
					t.Errorf("%s %s with bearer %d: %d, want %d: %s", row.method, row.path, i, r.Code, row.status[i], r.Body)
				}
				if (r.Code == 401) != (r.Header().Get("WWW-Authenticate") != "" && r.Code != 403) {
					t.Errorf("%s %s with bearer %d: %d with WWW-Authenticate %q", row.method, row.path, i, r.Code, r.Header().Get("WWW-Authenticate"))
				}
				if (strings.HasPrefix(row.path, "/members/") || strings.HasPrefix(row.path, "/admin/")) && r.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s %s may be cached", row.method, row.path)
				}
			}
		}
		// The table has every route.
		for _, endpoint := range w.Front.Endpoints() {
			method, path, _ := strings.Cut(endpoint, " ")
			if strings.HasPrefix(path, "/acme/") { // its own package's matter
				continue
			}
			if !slices.ContainsFunc(table, func(row struct {
				method, path string
				status       []int
			}) bool {
				return row.method == method && matches(path, row.path)
			}) {
				t.Errorf("%s %s is not in the table", method, path)
			}
		}
	})
}

// matches reports whether a path falls under a pattern of ServeMux.
func matches(pattern, path string) bool {
	path, _, _ = strings.Cut(path, "?")
	a, b := strings.Split(strings.TrimSuffix(pattern, "{$}"), "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !strings.HasPrefix(a[i], "{") {
			return false
		}
	}
	return true
}

func TestTokens(t *testing.T) {
	dirtest.OnBoth(t, func(t *testing.T, w *dirtest.World) {
		me := func(token string) int {
			return w.Call("GET", "/members/me", nil, "Authorization", "Bearer "+token).Code
		}
		if got := me(w.Owner); got != 200 {
			t.Fatal(got)
		}
		var stored string
		if err := w.DB.QueryRow(`SELECT hash FROM directory_tokens WHERE access = 'reader'`).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(stored, w.Reader) || me(stored) != 401 {
			t.Error("what is stored can be used as a token")
		}
		if err := w.RevokeToken(t.Context(), w.Reader); err != nil {
			t.Fatal(err)
		}
		if got := me(w.Reader); got != 401 {
			t.Errorf("revoked token: %d", got)
		}
		w.Clock.Add(directory.TokenLife)
		if got := me(w.Owner); got != 401 {
			t.Errorf("expired token: %d", got)
		}
		for _, x := range []struct {
			member string
			access directory.Access
		}{{"", directory.Owner}, {"nobody", directory.Reader}, {w.Provider.ID, directory.Admin}, {w.Provider.ID, "king"}, {"", ""}} {
			if _, err := w.IssueToken(t.Context(), x.member, x.access); err == nil {
				t.Errorf("issued a token for %+v", x)
			}
		}
	})
}

// TestBadRequests: every answer to nonsense is JSON and says nothing internal.
func TestBadRequests(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	own := []string{"Authorization", "Bearer " + w.Owner}
	certs := "/members/applications/" + w.ProviderApp.ID + "/certificates"
	big := `{"code":"` + strings.Repeat("A", answer.MaxBody) + `"}`
	for _, x := range []struct {
		method, path, body string
		headers            []string
		want               int
	}{
		{"GET", "/nothing", "", nil, 404},
		{"GET", "/m/", "", nil, 404},
		{"GET", "/m/nobody", "", nil, 404},
		{"GET", "/m/' OR 1=1 --", "", nil, 404},
		{"GET", "/a/nobody", "", nil, 404},
		{"GET", "/g/nobody", "", nil, 404},
		{"GET", "/crl/other.crl", "", nil, 404},
		{"GET", "/crl/client.pem", "", nil, 404},
		{"GET", "/crl/..%2fclient.crl", "", nil, 404},
		{"GET", "/ca/other.pem", "", nil, 404},
		{"GET", "/ca/client.key", "", nil, 404},
		{"GET", "/ca/..%2f..%2fissuer.key", "", nil, 404},
		{"GET", "/query/data-services", "", nil, 400},
		{"DELETE", "/m/" + w.Provider.ID, "", nil, 405},
		{"POST", "/", "{}", nil, 405},
		{"PUT", "/gateway/v1/enrollments", "{}", nil, 405},
		{"GET", "/gateway/v1/enrollments", "", nil, 405},
		{"POST", "/gateway/v1/enrollments", "", []string{"Content-Type", "application/json"}, 400},
		{"POST", "/gateway/v1/enrollments", "[]", nil, 400},
		{"POST", "/gateway/v1/enrollments", `{"code":1}`, nil, 400},
		{"POST", "/gateway/v1/enrollments", `{"code":"A"}{}`, nil, 400},
		{"POST", "/gateway/v1/enrollments", `{"code":"7K2M-9KXA-34TE"}`, nil, 400},
		{"POST", "/gateway/v1/enrollments", big, nil, 413},
		{"POST", "/gateway/v1/enrollments", `{}` + strings.Repeat(" ", answer.MaxBody), nil, 413},
		{"POST", "/gateway/v1/enrollments", "code=1", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"POST", certs, `{"type":"server","csr":""}`, own, 400},
		{"POST", certs, `{"type":"","csr":""}`, own, 400},
		{"POST", "/members/applications/nothing/certificates", `{"type":"client","csr":""}`, own, 404},
		{"POST", "/members/applications/" + w.BankApp.ID + "/certificates", `{"type":"client","csr":""}`, own, 404},
		{"POST", "/members/gateways", `{"name":"x"}`, own, 400},
		{"POST", "/members/gateways", `{"name":"x\u0000y","site":"z"}`, own, 400},
		{"POST", "/members/gateways", `{"name":"x","site":"z","application":"nothing"}`, own, 404},
		{"POST", "/members/gateways", `{"name":"x","site":"z","application":"` + w.BankApp.ID + `"}`, own, 400},
		{"POST", "/members/gateways/nothing/codes", "", own, 404},
		{"POST", "/members/certificates/1/revoke", "", own, 404},
		{"POST", "/members/certificates/-1/revoke", "", own, 404},
		{"POST", "/members/certificates/007/revoke", "", own, 400},
		{"POST", "/members/certificates/x/revoke", "", own, 400},
		{"POST", "/members/certificates/" + strings.Repeat("9", 5000) + "/revoke", "", own, 400},
		{"GET", "/members/me", "", []string{"Authorization", "Basic eDp5"}, 401},
		{"GET", "/members/me", "", []string{"Authorization", "Bearer "}, 401},
		{"GET", "/members/me", "", []string{"Authorization", "Bearer " + w.Admin, "X-Organization", "nobody"}, 404},
		{"GET", "/m/" + w.Provider.ID, "", []string{"Accept", "image/png"}, 406},
	} {
		var body any
		if x.body != "" {
			body = x.body
		}
		r := w.Request(x.method, strings.ReplaceAll(x.path, " ", "%20"), body, x.headers...)
		rec := w.Serve(r)
		v := dirtest.Answer(t, rec, x.want)
		for _, leak := range []string{"SQL", "sql", "directory_", "goroutine", "/home/", "/tmp/", ".go"} {
			if strings.Contains(v["error_description"].(string), leak) {
				t.Errorf("%s %s: leaks %q: %v", x.method, x.path, leak, v)
			}
		}
		if rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: nosniff missing", x.method, x.path)
		}
		if x.want == 405 && rec.Header().Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", x.method, x.path)
		}
	}
}

// TestServerError: what breaks inside stays inside, and can be found by its id.
func TestServerError(t *testing.T) {
	w := dirtest.New(t, "sqlite:"+t.TempDir()+"/d.db")
	w.DB.Close()
	v := dirtest.Answer(t, w.Call("GET", "/m/"+w.Provider.ID, nil), http.StatusInternalServerError)
	text := v["error_description"].(string)
	if strings.Contains(text, "sql") || strings.Contains(text, "database") {
		t.Errorf("leaks: %s", text)
	}
	_, id, _ := strings.Cut(text, "correlation id ")
	if id = strings.TrimSuffix(id, "."); len(id) != 16 || !strings.Contains(w.Logs.String(), id) {
		t.Errorf("the log does not have correlation id %q", id)
	}
	dirtest.Answer(t, w.Call("GET", "/healthz", nil), http.StatusServiceUnavailable)
}
