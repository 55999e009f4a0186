package ingest

import (
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestSite(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		if _, err := w.service.Site(ctx, gatewayURL); !errors.Is(err, ErrNotFound) || !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("before it is there: %v", err)
		}
		w.register(siteMeter{"main", "electricity", []string{"import", "export"}}, siteMeter{"boiler", "gas", []string{"gas"}})
		site, err := w.service.Site(ctx, gatewayURL)
		if err != nil {
			t.Fatal(err)
		}
		if site.Member != memberURL || site.Name != "Riverside Unit 4" || site.Outcode != "SW8" || len(site.Meters) != 2 {
			t.Fatalf("%+v", site)
		}
		boiler, main := site.Meters[0], site.Meters[1]
		if boiler.ID != "boiler" || boiler.Type != "gas" || boiler.Measures[0] != energy.Gas || len(main.Measures) != 2 {
			t.Errorf("%+v", site.Meters)
		}
		if len(main.Source) != 20 || main.Source == boiler.Source || strings.Contains(main.Source, "main") {
			t.Errorf("sources %q and %q", main.Source, boiler.Source)
		}
		byCode, err := w.service.SiteByCode(ctx, strings.ToLower(siteCode))
		if err != nil || byCode.Gateway != gatewayURL {
			t.Errorf("by its code: %+v, %v", byCode, err)
		}
		if _, err := w.service.SiteByCode(ctx, "0000-0000-0000"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a code nobody has: %v", err)
		}
		if _, err := w.service.SiteByCode(ctx, "hello"); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("not a code: %v", err)
		}
		if n := w.rows(`SELECT COUNT(*) FROM site WHERE code_hash = '` + siteCode + `'`); n != 0 {
			t.Error("the code itself is stored")
		}

		// A meter that goes is no longer listed, but keeps its source, which
		// is the same when it comes back.
		w.register(siteMeter{"boiler", "gas", []string{"gas"}})
		if site, err = w.service.Site(ctx, gatewayURL); err != nil || len(site.Meters) != 1 {
			t.Errorf("%+v, %v", site, err)
		}
		all, err := w.service.Meters(ctx, gatewayURL)
		if err != nil || len(all) != 2 || all[1].Listed || all[1].Source != main.Source {
			t.Errorf("%+v, %v", all, err)
		}
		w.register(siteMeter{"main", "electricity", []string{"import"}})
		if site, err = w.service.Site(ctx, gatewayURL); err != nil || len(site.Meters) != 1 || site.Meters[0].Source != main.Source || len(site.Meters[0].Measures) != 1 {
			t.Errorf("%+v, %v", site, err)
		}
	})
}

// A gateway cannot take over the code by which another business is found.
func TestSiteCodeTaken(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		const other = "https://directory.example/g/2"
		client := w.clientOf(w.pki.Client(other, "Ops Ltd", memberURL))
		signing := w.pki.Signing(other, "Ops Ltd", memberURL)
		a := w.do(client, "PUT", "/gateway/v1/site", "application/json", siteBody(signing.PEM(), siteCode))
		if a.status != http.StatusConflict || a.Error != "code_taken" {
			t.Errorf("%+v", a)
		}
		if a = w.do(client, "PUT", "/gateway/v1/site", "application/json", siteBody(signing.PEM(), "0000-0000-0001")); a.status != http.StatusNoContent {
			t.Errorf("with its own code: %+v", a)
		}
		// A gateway may change its code; the old one is then nobody's.
		if a = w.do(w.client, "PUT", "/gateway/v1/site", "application/json", siteBody(w.signing.PEM(), "0000-0000-0002")); a.status != http.StatusNoContent {
			t.Errorf("%+v", a)
		}
		if _, err := w.service.SiteByCode(t.Context(), siteCode); !errors.Is(err, ErrNotFound) {
			t.Errorf("the old code: %v", err)
		}
	})
}

func TestSiteRefuses(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		good := siteBody(w.signing.PEM(), siteCode)
		otherGateway := w.pki.Signing("https://directory.example/g/2", "Ops Ltd", memberURL)
		otherMember := w.pki.Signing(gatewayURL, "Ops Ltd", "https://directory.example/m/2")
		clientLeaf := w.pki.Client(gatewayURL, "Ops Ltd", memberURL) // of the wrong hierarchy
		revoked := w.pki.Signing(gatewayURL, "Ops Ltd", memberURL)
		w.revoke(revoked.Cert().SerialNumber)
		revokedClient := w.pki.Client(gatewayURL, "Ops Ltd", memberURL)
		w.revoke(revokedClient.Cert().SerialNumber)
		w.pki.NotAfter = w.now().AddDate(0, 0, -1)
		expired := w.pki.Signing(gatewayURL, "Ops Ltd", memberURL)
		for _, c := range []struct {
			name   string
			client *http.Client
			body   []byte
			status int
			code   string
		}{
			{"not JSON", w.client, []byte("{"), 400, "invalid_request"},
			{"too large", w.client, make([]byte, maxSite+1), 413, "too_large"},
			{"signing certificate of another gateway", w.client, siteBody(otherGateway.PEM(), siteCode), 403, "invalid_certificate"},
			{"signing certificate of another member", w.client, siteBody(otherMember.PEM(), siteCode), 403, "invalid_certificate"},
			{"client certificate in its place", w.client, siteBody(clientLeaf.PEM(), siteCode), 403, "invalid_certificate"},
			{"revoked signing certificate", w.client, siteBody(revoked.PEM(), siteCode), 403, "invalid_certificate"},
			{"expired signing certificate", w.client, siteBody(expired.PEM(), siteCode), 403, "invalid_certificate"},
			{"revoked client certificate", w.clientOf(revokedClient), good, 403, "certificate_revoked"},
		} {
			if a := w.do(c.client, "PUT", "/gateway/v1/site", "application/json", c.body); a.status != c.status || a.Error != c.code || a.Text == "" {
				t.Errorf("%s: %+v", c.name, a)
			}
		}
		if _, err := w.service.Site(t.Context(), gatewayURL); !errors.Is(err, ErrNotFound) {
			t.Errorf("a refused description was stored: %v", err)
		}
	})
}

// Who is no gateway of a served member gets nowhere.
func TestPeers(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for name, l := range map[string]struct{ uri, member string }{
			"an application":              {"https://directory.example/a/1", memberURL},
			"a gateway of another member": {"https://directory.example/g/9", "https://directory.example/m/9"},
		} {
			client := w.clientOf(w.pki.Client(l.uri, "X", l.member))
			if a := w.do(client, "PUT", "/gateway/v1/site", "application/json", nil); a.status != 403 || a.Error != "access_denied" {
				t.Errorf("%s: PUT site: %+v", name, a)
			}
			if a := w.do(client, "POST", "/gateway/v1/batches", "", nil); a.status != 403 || a.Error != "access_denied" {
				t.Errorf("%s: POST batches: %+v", name, a)
			}
		}
		r, err := http.NewRequest("POST", w.url+"/gateway/v1/batches", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := w.clientOf(nil).Do(r); err == nil {
			resp.Body.Close()
			t.Errorf("without a certificate: %d", resp.StatusCode)
		}
	})
}

// A certificate that runs out while its connection is kept open is refused from
// then on, as one that is revoked is.
func TestCertificateRunsOutOnAnOpenConnection(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.register()
		site := siteBody(w.signing.PEM(), siteCode)
		leaf := w.pki.Client(gatewayURL, "Ops Ltd", memberURL)
		client := w.clientOf(leaf)
		if a := w.do(client, "PUT", "/gateway/v1/site", "application/json", site); a.status != http.StatusNoContent {
			t.Fatalf("%+v", a)
		}
		w.setNow(leaf.Cert().NotAfter.Add(time.Second))
		if a := w.do(client, "PUT", "/gateway/v1/site", "application/json", site); a.status != http.StatusUnauthorized || a.Error != "invalid_client" {
			t.Errorf("%+v", a)
		}
	})
}
