package consumption

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/relay/database"
	"github.com/perseus-edge/perseus-edge/relay/database/databasetest"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/migrations"
	"github.com/perseus-edge/perseus-edge/relay/permission"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

// always is a keeper of permissions that never end by themselves.
type always struct{ grants []grant.Grant }

func (a *always) LiveGrants(context.Context, string, time.Time) ([]grant.Grant, error) {
	return a.grants, nil
}

// What a gateway posts is what a carbon accounting provider gets.
func TestFromGatewayToProvider(t *testing.T) {
	databasetest.Each(t, "relay", migrations.Files, func(t *testing.T, db *database.DB) {
		const member = "https://directory.example/m/1"
		now := func() time.Time { return monday.AddDate(0, 0, 2) }
		pki := identitytest.New(t)
		sch, err := scheme.New("https://registry.example")
		if err != nil {
			t.Fatal(err)
		}
		gateway, signing := pki.Client(gatewayURL, "Ops Ltd", member), pki.Signing(gatewayURL, "Ops Ltd", member)
		client := pki.Client(clientURL, "Carbon Ltd", "https://directory.example/m/cap", sch.Role(scheme.CAP))
		live := grant.Grant{ID: "p1", Gateway: gatewayURL, From: monday, Granted: monday, Expires: monday.AddDate(1, 0, 0),
			Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}}}
		log, permits := record.Logger(t), &always{[]grant.Grant{live}}
		in := ingest.New(ingest.Config{DB: db, SigningRoots: pki.SigningCA.Pool(), Members: []string{member}, Permits: permits, Now: now, Logger: log})
		out, err := New(Config{
			Access: func(*http.Request) (permission.Access, error) {
				return permission.Access{Permission: "p1", Client: clientURL, License: sch.LicenseConsumption(), Gateway: gatewayURL,
					Covers: live.Covers, From: live.From, Expires: live.Expires}, nil
			},
			Store: in, Scheme: sch, Now: now, Logger: log,
			Provenance: ProvenanceFunc(func(context.Context, permission.Access, string, energy.Key, time.Time, time.Time, Summary) (json.RawMessage, error) {
				return json.RawMessage(`{}`), nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		in.Register(mux)
		out.Register(mux)
		call := func(who *identitytest.Leaf, method, path, kind string, body []byte, status int) []byte {
			t.Helper()
			r := httptest.NewRequest(method, path, bytes.NewReader(body))
			r.Header.Set("Content-Type", kind)
			r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{who.Chain}}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != status {
				t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
			return w.Body.Bytes()
		}
		site, err := json.Marshal(map[string]any{"name": "Shop", "outcode": "SW8", "code": "7K2M-9QXA-04TB", "signing_certificate": string(signing.PEM()),
			"meters": []any{map[string]any{"id": "main", "type": "electricity", "measures": []string{"import"}}}})
		if err != nil {
			t.Fatal(err)
		}
		call(gateway, "PUT", "/gateway/v1/site", "application/json", site, 204)
		var sources struct{ Data []source }
		if err := json.Unmarshal(call(client, "GET", "/datasources", "", nil, 200), &sources); err != nil || len(sources.Data) != 1 {
			t.Fatalf("%+v, %v", sources, err)
		}
		path := "/datasources/" + sources.Data[0].ID + "/import?from=2026-03-02&to=2026-03-03"
		call(client, "GET", path, "", nil, 202)

		s := batch.Series{Meter: "main", Measure: energy.Import, First: monday, Opening: 1000, Closing: 1030}
		for _, wh := range []int64{10, 0, 20} {
			s.Values = append(s.Values, batch.Value{Energy: wh, Quality: energy.Measured, Rule: energy.RuleBracketed})
		}
		raw, err := batch.Encode(batch.Batch{Gateway: gatewayURL, Serial: signing.Cert().SerialNumber.Bytes(), Sequence: 1,
			Made: monday.Add(2 * time.Hour), Grants: []string{"p1"}, Series: []batch.Series{s}}, signing.Key)
		if err != nil {
			t.Fatal(err)
		}
		call(gateway, "POST", "/gateway/v1/batches", batch.MediaType, raw, 200)
		got := string(call(client, "GET", path, "", nil, 200))
		want := `{"data":[`
		for i, part := range []string{
			`"from":"2026-03-02T00:00:00Z","to":"2026-03-02T00:30:00Z","takenAt":"2026-03-02T02:00:00Z","energy":{"value":10,"unitCode":"WHR"},"cumulative":{"value":1010,"unitCode":"WHR"}}`,
			`"from":"2026-03-02T00:30:00Z","to":"2026-03-02T01:00:00Z","takenAt":"2026-03-02T02:00:00Z","energy":{"value":0,"unitCode":"WHR"},"cumulative":{"value":1010,"unitCode":"WHR"}}`,
			`"from":"2026-03-02T01:00:00Z","to":"2026-03-02T01:30:00Z","takenAt":"2026-03-02T02:00:00Z","energy":{"value":20,"unitCode":"WHR"},"cumulative":{"value":1030,"unitCode":"WHR"}}`,
		} {
			if i > 0 {
				want += ","
			}
			want += `{"type":"electricity",` + part
		}
		want += `],"location":{"ukPostcodeOutcode":"SW8"},"provenance":{}}` + "\n"
		if got != want {
			t.Errorf("got\n%s want\n%s", got, want)
		}
		// After a withdrawal nothing is left to serve.
		permits.grants = nil
		if n, err := in.DeleteUncovered(t.Context(), gatewayURL); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		call(client, "GET", path, "", nil, 202)
	})
}
