package integration

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity"
)

// demo.json is all that another carbon accountant needs to take the place of
// the demo's: from the issuer's metadata to half-hours that are those of the
// gateway, with a record that the scheme's own package verifies, to withdrawal.
func TestAnotherCAPWithDemoJSONAlone(t *testing.T) {
	d := theDemo(t)
	checkDescription(t, d)
	c, err := newClient(d.CAP.ClientID, d.file(d.CAP.Cert), d.file(d.CAP.Key), d.file(d.ServerCA))
	if err != nil {
		t.Fatal(err)
	}
	c.issuer, c.resource, c.license = d.Issuer, d.Resource, d.license("energy-consumption-edp-cap")
	if err := c.permit(t.Context(), d.SME.Code); err != nil {
		t.Fatal(err)
	}
	if c.refresh == "" || c.expires <= 0 || c.expires > 3600 {
		t.Errorf("tokens: refresh token %v, access token for %d s", c.refresh != "", c.expires)
	}

	var sources struct {
		Data []struct {
			ID       string
			Type     string
			Location struct {
				Outcode string `json:"ukPostcodeOutcode"`
			}
			Measures []string `json:"availableMeasures"`
		}
	}
	for _, path := range []string{"/datasources", "/datasources/"} {
		a, err := c.fetch(t.Context(), path)
		if err == nil {
			err = a.into(http.StatusOK, &sources)
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	if len(sources.Data) != len(d.Meters) {
		t.Fatalf("%d data sources, demo.json names %d meters", len(sources.Data), len(d.Meters))
	}

	// The gateway's own half-hours, by meter, of a window that is done with.
	to := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -2)
	from := to.AddDate(0, 0, -7)
	window := url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}
	atGateway := map[string]string{}
	for _, m := range d.Meters {
		for _, measure := range m.Measures {
			var doc struct{ Data []halfHour }
			q := url.Values{"meter": {m.ID}, "measure": {measure}, "from": window["from"], "to": window["to"]}
			a, err := ask(t.Context(), c.people, http.MethodGet, d.Gateway+"/api/v1/readings?"+q.Encode(), "", nil)
			if err == nil {
				err = a.into(http.StatusOK, &doc)
			}
			if err != nil {
				t.Fatal(err)
			}
			atGateway[energies(doc.Data)] = m.ID + "/" + measure
		}
	}
	var records []wantedStep
	for _, s := range sources.Data {
		if s.Type != "electricity" || s.Location.Outcode == "" {
			t.Errorf("data source %+v", s)
		}
		for _, measure := range s.Measures {
			path := "/datasources/" + s.ID + "/" + measure
			var doc struct {
				Data       []halfHour
				Provenance json.RawMessage
			}
			// What the bank's permission does not cover (export) has not left the
			// site before this one: it is on its way now, and the API says so (202).
			until(t, time.Minute, path+" is delivered", nil, func() error {
				doc.Data = nil
				a, err := c.fetch(t.Context(), path+"?"+window.Encode())
				if err == nil {
					err = a.into(http.StatusOK, &doc)
				}
				if err == nil && len(doc.Data) != 7*48 {
					err = fmt.Errorf("%d half-hours, want %d", len(doc.Data), 7*48)
				}
				return err
			})
			e := energies(doc.Data)
			if atGateway[e] == "" {
				t.Errorf("%s: no register of the gateway has these half-hours", path)
			}
			delete(atGateway, e)
			records = append(records, wantedStep{doc.Provenance, map[string]any{
				"type": "transfer", "to": d.CAP.ClientID, "license": c.license, "path": path, "service": d.Resource,
				"parameters": map[string]any{"measure": measure, "from": from.Format(time.RFC3339), "to": to.Format(time.RFC3339)}}})
		}
	}
	if len(atGateway) != 0 {
		t.Errorf("not served: %v", atGateway)
	}
	t.Run("provenance", func(t *testing.T) { checkConsumptionRecords(t, d, records) })
	checkWithdrawal(t, d, c, "/datasources/"+sources.Data[0].ID+"/"+sources.Data[0].Measures[0]+"?"+window.Encode())
}

func energies(all []halfHour) string {
	var b bytes.Buffer
	for _, h := range all {
		fmt.Fprintf(&b, "%d %d,", h.From.Unix(), h.Energy.wh())
	}
	return b.String()
}

// checkConsumptionRecords: the scheme's own package verifies what a CAP gets.
func checkConsumptionRecords(t *testing.T, d *description, records []wantedStep) {
	for i, v := range verifyWithPython(t, d, records...) {
		if v.Error != "" {
			t.Errorf("record %d: %s\n%s", i, v.Error, records[i].Record)
			continue
		}
		var kinds []string
		for _, s := range v.Steps {
			kinds = append(kinds, s["type"].(string))
		}
		if fmt.Sprint(kinds) != "[permission origin transfer]" {
			t.Errorf("record %d: steps %v", i, kinds)
			continue
		}
		origin := v.Steps[1]
		if v.Found["of"] != origin["id"] || len(list(origin["permissions"])) != 1 || list(origin["permissions"])[0] != v.Steps[0]["id"] {
			t.Errorf("record %d: its steps do not hang together: %v", i, v.Steps)
		}
	}
}

// checkWithdrawal: the permission record before and after, and nothing more for
// the client once it has given the permission back; the bank's own goes on.
func checkWithdrawal(t *testing.T, d *description, c *client, path string) {
	t.Helper()
	record := func() (p map[string]any) {
		t.Helper()
		var doc struct{ Permission map[string]any }
		a, err := ask(t.Context(), c.programs, http.MethodPost, c.meta.MTLS.Permission, "", url.Values{"token": {c.refresh}})
		if err == nil {
			err = a.into(http.StatusOK, &doc)
		}
		if err != nil {
			t.Fatalf("permission record: %v", err)
		}
		return doc.Permission
	}
	before := record()
	if before["oauthIssuer"] != d.Issuer || before["client"] != d.CAP.ClientID || before["license"] != c.license || before["revoked"] != nil {
		t.Errorf("permission record: %v", before)
	}
	for _, key := range []string{"account", "lastGranted", "expires", "evidence", "dataAvailableFrom", "tokenIssuedAt", "tokenExpires"} {
		if s, _ := before[key].(string); s == "" {
			t.Errorf("permission record lacks %s: %v", key, before)
		}
	}
	if evidence, _ := before["evidence"].(string); evidence != "" {
		if a, err := ask(t.Context(), c.people, http.MethodGet, evidence, "", nil); err != nil || a.status != http.StatusOK {
			t.Errorf("evidence at %s: %d, %v", evidence, a.status, err)
		}
	}
	if err := c.renew(t.Context()); err != nil {
		t.Errorf("a new access token for the refresh token: %v", err)
	}
	if a, err := ask(t.Context(), c.programs, http.MethodPost, c.meta.MTLS.Revoke, "", url.Values{"token": {c.refresh}}); err != nil || a.status != http.StatusOK {
		t.Fatalf("revocation: %d %s, %v", a.status, a.body, err)
	}
	for _, p := range []string{"/datasources", path} {
		a, err := c.fetch(t.Context(), p)
		if err != nil || a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s after the withdrawal: %d %s, %v", p, a.status, a.body, err)
		}
	}
	if err := c.renew(t.Context()); err == nil {
		t.Error("the refresh token still works after the withdrawal")
	}
	if after := record(); after["revoked"] == nil {
		t.Errorf("permission record after the withdrawal: %v", after)
	}
	bank := asBank(t, d)
	from, to := twelveMonths()
	if r := bank.emissions(t, from, to); len(r.Data) != 12 {
		t.Errorf("the bank gets %d months after the carbon accountant's withdrawal", len(r.Data))
	}
}

// checkDescription: every entry of demo.json is there and is what it says.
func checkDescription(t *testing.T, d *description) {
	t.Helper()
	for name, v := range map[string]string{"issuer": d.Issuer, "resource": d.Resource, "bank": d.Bank, "directory": d.Directory} {
		if u, err := url.Parse(v); err != nil || u.Scheme != "https" || u.Port() == "" {
			t.Errorf("%s: %q", name, v)
		}
	}
	if d.TrustFramework != d.Registry+"/trust-framework" || len(d.Licenses) != 3 || d.SME.Code == "" || len(d.Meters) == 0 {
		t.Errorf("demo.json: %+v", d)
	}
	for _, c := range []struct{ cert, key, root, id string }{
		{d.CAP.Cert, d.CAP.Key, d.ClientCA, d.CAP.ClientID}, {d.CAP.SigningCert, d.CAP.SigningKey, d.SigningCA, d.CAP.ClientID},
		{d.BankClient.Cert, d.BankClient.Key, d.ClientCA, d.BankClient.ClientID},
	} {
		pair, err := identity.KeyPair(d.file(c.cert), d.file(c.key))
		if err != nil {
			t.Errorf("%s: %v", c.cert, err)
			continue
		}
		roots, err := identity.ReadCertificates(d.file(c.root))
		if err != nil {
			t.Errorf("%s: %v", c.root, err)
			continue
		}
		chain, err := identity.ReadCertificates(d.file(c.cert))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chain[0].Verify(x509.VerifyOptions{Roots: identity.Pool(roots...), Intermediates: identity.Pool(chain[1:]...), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			t.Errorf("%s under %s: %v", c.cert, c.root, err)
		}
		if peer, err := identity.PeerOf(pair.Leaf); err != nil || peer.Application != c.id {
			t.Errorf("%s is of %s, %v; demo.json says %s", c.cert, peer.Application, err, c.id)
		}
	}
	c, err := newClient(d.CAP.ClientID, d.file(d.CAP.Cert), d.file(d.CAP.Key), d.file(d.ServerCA))
	if err != nil {
		t.Fatal(err)
	}
	var me struct{ ID string }
	member := func(token, organisation string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Directory+"/members/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if organisation != "" {
			req.Header.Set("X-Organization", organisation)
		}
		res, err := c.people.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode == http.StatusOK {
			if err := json.NewDecoder(res.Body).Decode(&me); err != nil {
				t.Error(err)
			}
		}
		return res.StatusCode
	}
	if code := member(d.MemberToken, ""); code != http.StatusOK || me.ID == "" {
		t.Errorf("the directory's member API with member_token: %d, %+v", code, me)
	}
	if code := member(d.AdminToken, me.ID); code != http.StatusOK {
		t.Errorf("the directory's member API with admin_token for %s: %d", me.ID, code)
	}
	if code := member("", ""); code != http.StatusUnauthorized {
		t.Errorf("the directory's member API without a token: %d", code)
	}
}
