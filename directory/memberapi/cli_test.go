package memberapi_test

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

var onboarding = []string{"admin", "create-org", "--legal-name", "Acme Energy Ltd", "--email", "contact@acme.example", "--street-address", "1 Main St",
	"--locality", "London", "--postal-code", "AB1 2CD", "--company-number", "12345678", "--role", "energy-data-provider",
	"--data-officer-name", "Dana", "--data-officer-email", "dana@acme.example", "--licence-officer-name", "Lee", "--licence-officer-phone", "+441234567890"}

// TestCLI: the public command-line client does all that it can do, and ends
// with the codes that its documentation promises: 0 done, 1 refused by the
// directory, 2 wrong usage.
func TestCLI(t *testing.T) {
	c := newCLI(t)
	admin := c.token("--access", "admin")
	edp := "https://registry.example/scheme/perseus/role/energy-data-provider"

	// admin create-org, add-member.
	acme := c.ok(admin, append(onboarding, "--region", "Greater London", "--effective-date", "2026-01-31")...)
	if acme.LegalName != "Acme Energy Ltd" || acme.Email != "contact@acme.example" || !slices.Equal(acme.Roles, []string{edp}) || acme.Address["region"] != "Greater London" ||
		acme.Address["streetAddress"] != "1 Main St" || acme.CompanyRegistration["identifier"] != "12345678" || acme.EffectiveDate != "2026-01-31" ||
		acme.DataOfficer["email"] != "dana@acme.example" || acme.LicenceOfficer["phone"] != "+441234567890" {
		t.Errorf("admin create-org: %+v", acme)
	}
	other := c.ok(admin, onboarding...)
	c.fails(1, "use one of", admin, append(slices.Clone(onboarding), "--role", "king")...)
	c.fails(1, "it is to come", admin, append(slices.Clone(onboarding), "--effective-date", "2999-01-01")...)
	c.fails(2, "data-officer-phone is required", admin, slices.DeleteFunc(slices.Clone(onboarding), func(s string) bool { return strings.Contains(s, "dana@") || s == "--data-officer-email" })...)
	invited := c.ok(admin, "admin", "add-member", acme.Identifier, "--email", "Olive@acme.example")
	olive := invited.Token
	if invited.Organization != acme.Identifier || olive == "" {
		t.Fatalf("admin add-member: %+v", invited)
	}
	c.fails(1, "409", admin, "admin", "add-member", acme.Identifier, "--email", "olive@ACME.example")
	c.fails(1, "404", admin, "admin", "add-member", "nobody", "--email", "olive@acme.example")
	c.fails(1, "403", olive, onboarding...)
	c.fails(1, "403", olive, "admin", "add-member", other.Identifier, "--email", "olive@acme.example")
	c.fails(2, "Missing option", admin, "admin", "create-org")

	// me orgs, get, update; one organisation, then several.
	if v := c.ok(olive, "me", "get"); v.Identifier != acme.Identifier {
		t.Errorf("me get: %+v", v)
	}
	c.fails(1, "403", olive, "--organization", other.Identifier, "me", "get")
	if v := c.ok(admin, "admin", "add-member", other.Identifier, "--email", "olive@acme.example"); v.Token != "" {
		t.Error("a person who has a token got a second one")
	}
	c.fails(1, "several organisations", olive, "me", "get")
	var ids []string
	for _, o := range c.ok(olive, "me", "orgs").Organizations {
		ids = append(ids, o.Identifier)
	}
	if want := []string{acme.Identifier, other.Identifier}; !slices.Equal(ids, slices.Sorted(slices.Values(want))) {
		t.Errorf("me orgs: %v, want %v", ids, want)
	}
	if n := len(c.ok(admin, "me", "orgs").Organizations); n != 2 {
		t.Errorf("me orgs of an administrator: %d", n)
	}
	as := func(args ...string) []string { return append([]string{"--organization", acme.Identifier}, args...) }
	v := c.ok(olive, as("me", "update", "--street-address", "1 New Road", "--email", "ops@acme.example", "--country", "GB", "--state", "", "--postal-code", "SE1 1AA",
		"--privacy-policy", "https://acme.example/privacy", "--data-protection-url", "https://ico.example/ZA1")...)
	want := map[string]string{"streetAddress": "1 New Road", "locality": "London", "region": "Greater London", "postalCode": "SE1 1AA", "country": "GB"}
	if fmt.Sprint(v.Address) != fmt.Sprint(want) || v.Email != "ops@acme.example" || v.PrivacyPolicy != "https://acme.example/privacy" || v.DataProtectionRegistrationURL != "https://ico.example/ZA1" {
		t.Errorf("me update: %+v", v)
	}
	c.fails(1, "capital letters", olive, as("me", "update", "--country", "Britain")...)
	c.fails(2, "Nothing to update", olive, "me", "update")

	// apps create, get, list, update, delete.
	app := c.ok(olive, as("apps", "create", "--scheme", "perseus", "--title", "My App", "--description", "Half-hours", "--role", edp,
		"--home-page-url", "https://app.example.com", "--support-url", "https://app.example.com/help", "--message-delivery", "https://messages.example.com/in",
		"--data-service-title", "My Feed", "--data-service-conforms-to", "https://standard.example.com", "--data-service-endpoint-url", "https://api.example.com")...)
	if app.Title != "My App" || app.Description != "Half-hours" || !slices.Equal(app.Roles, []string{edp}) || app.HomePageURL != "https://app.example.com" ||
		app.SupportURL != "https://app.example.com/help" || app.MessageDelivery != "https://messages.example.com/in" ||
		app.DataService["endpointURL"] != "https://api.example.com" || app.DataService["publisher"] != c.url+"/m/"+acme.Identifier {
		t.Errorf("apps create: %+v", app)
	}
	c.fails(1, "does not have it", olive, as("apps", "create", "--scheme", "perseus", "--title", "x", "--role", strings.Replace(edp, "energy-data", "carbon-accounting", 1))...)
	c.fails(1, "this directory is of", olive, as("apps", "create", "--scheme", "apollo", "--title", "x")...)
	c.fails(2, "together", olive, as("apps", "create", "--scheme", "perseus", "--title", "x", "--data-service-title", "x")...)
	v = c.ok(olive, as("apps", "update", app.Identifier, "--title", "Renamed", "--data-service-title", "Feed 2", "--data-service-conforms-to", "https://standard.example.com",
		"--data-service-endpoint-url", "https://api2.example.com", "--data-service-oauth-issuer", "https://auth.example.com")...)
	if v.Title != "Renamed" || v.Description != "Half-hours" || !slices.Equal(v.Roles, []string{edp}) || v.DataService["title"] != "Feed 2" ||
		v.DataService["oauthIssuer"] != "https://auth.example.com" || v.DataService["id"] != app.DataService["id"] {
		t.Errorf("apps update: %+v", v)
	}
	c.fails(2, "Nothing to update", olive, as("apps", "update", app.Identifier)...)
	if v := c.ok(olive, as("apps", "get", app.Identifier)...); v.Title != "Renamed" || v.ID != c.url+"/a/"+app.Identifier {
		t.Errorf("apps get: %+v", v)
	}
	spare := c.ok(olive, as("apps", "create", "--scheme", "perseus", "--title", "Spare")...)
	if n := len(c.ok(olive, as("apps", "list", "--scheme", "perseus")...).Applications); n != 2 {
		t.Errorf("apps list: %d", n)
	}
	if n := len(c.ok(olive, as("apps", "list", "--scheme", "apollo")...).Applications); n != 0 {
		t.Errorf("apps list of another scheme: %d", n)
	}
	for _, cmd := range [][]string{{"apps", "get", app.Identifier}, {"apps", "update", app.Identifier, "--title", "Mine"}, {"apps", "delete", app.Identifier, "--yes"}, {"cert", "sign", app.Identifier, "client"}} {
		c.fails(1, "404", olive, append([]string{"--organization", other.Identifier}, cmd...)...)
	}
	c.fails(2, "--yes", olive, as("apps", "delete", spare.Identifier)...)
	if v := c.ok(olive, as("apps", "delete", spare.Identifier, "--yes")...); v.Deleted != spare.Identifier {
		t.Errorf("apps delete: %+v", v)
	}
	c.fails(1, "404", olive, as("apps", "get", spare.Identifier)...)

	// ca download; cert sign, download, revoke.
	roots := map[string]*x509.Certificate{}
	for _, kind := range []string{"client", "signing"} {
		v := c.ok(olive, "ca", "download", kind)
		if v.Downloaded != "directory-"+kind+"-certificates.zip" {
			t.Errorf("ca download: %+v", v)
		}
		roots[kind] = rootOf(t, filepath.Join(c.dir, v.Downloaded), kind)
	}
	c.fails(1, "404", olive, "ca", "download", "other")
	signed := c.ok(olive, as("cert", "sign", app.Identifier, "client", "--name", "first")...)
	leaf := c.signedBy(roots["client"], signed.Saved["certificate"])
	if leaf.SerialNumber.String() != signed.ID || leaf.URIs[0].String() != app.ID {
		t.Errorf("cert sign: %+v: %v", signed, leaf.URIs)
	}
	dirtest.Must(identity.KeyPair(filepath.Join(c.dir, signed.Saved["certificate"]), filepath.Join(c.dir, signed.Saved["key"])))(t)
	_, csr := dirtest.NewKeyCSR(t)
	if err := os.WriteFile(filepath.Join(c.dir, "my.csr"), []byte(csr), 0o600); err != nil {
		t.Fatal(err)
	}
	c.ok(olive, as("cert", "sign", app.Identifier, "signing", "--csr", "my.csr", "--cert-out", "signing.pem")...)
	c.signedBy(roots["signing"], "signing.pem")
	c.fails(1, "need", olive, as("cert", "sign", app.Identifier, "server")...)
	if v := c.ok(olive, as("cert", "download", signed.ID)...); v.Downloaded != app.Identifier+"-client-"+signed.ID+".pem" || !c.signedBy(roots["client"], v.Downloaded).Equal(leaf) {
		t.Errorf("cert download: %+v", v)
	}
	c.fails(1, "404", olive, "--organization", other.Identifier, "cert", "download", signed.ID)
	c.fails(1, "404", olive, "--organization", other.Identifier, "cert", "revoke", signed.ID, "--yes")
	c.fails(2, "--yes", olive, as("cert", "revoke", signed.ID)...)
	if v := c.ok(olive, as("cert", "revoke", signed.ID, "--yes")...); v.ID != signed.ID || v.Revoked == "" {
		t.Errorf("cert revoke: %+v", v)
	}
	if v := c.ok(olive, as("apps", "get", app.Identifier)...); len(v.Certificates) != 2 || !slices.ContainsFunc(v.Certificates, func(x entry) bool { return x.ID == signed.ID && x.Revoked != "" }) {
		t.Errorf("apps get after it: %+v", v.Certificates)
	}
	c.fails(1, "409", olive, as("apps", "delete", app.Identifier, "--yes")...)

	// Tokens: none, wrong, of a reader; a directory that nobody logs in to.
	reader := c.token("--member", acme.Identifier, "--access", "reader")
	c.ok(reader, "apps", "get", app.Identifier)
	c.fails(1, "403", reader, "me", "update", "--email", "x@acme.example")
	c.fails(1, "401", "wrong", "me", "get")
	c.fails(1, "X-Organization", admin, "me", "get")
	c.ok(admin, as("me", "get")...)
	c.fails(2, "No token", "", "me", "get")
	c.fails(2, "No cached token", "", "token")
	c.fails(2, "does not publish", "", "login")
	if code, _, errs := c.run("", "logout"); code != 0 {
		t.Errorf("logout: %d, %s", code, errs)
	}
	gone := *c
	gone.url = "https://" + ports.Address(t)
	gone.fails(1, "Request failed", admin, "me", "get")
}
