package ingest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
)

// siteWith is a good description with one field changed.
func siteWith(t testing.TB, pem []byte, field string, value any) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(siteBody(pem, siteCode), &m); err != nil {
		t.Fatal(err)
	}
	if field != "" {
		m[field] = value
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseSite(t *testing.T) {
	pem := identitytest.New(t).Signing(gatewayURL, "Ops Ltd", memberURL).PEM()
	d, err := parseSite(siteWith(t, pem, "code", " 7k2m 9qxa o4tb "))
	if err != nil {
		t.Fatal(err)
	}
	if d.code != siteCode || d.outcode != "SW8" || len(d.signing) != 2 || len(d.meters) != 1 || d.meters[0].Measures[1] != energy.Export {
		t.Errorf("%+v", d)
	}
	if d, err = parseSite(siteWith(t, pem, "outcode", " cf99 ")); err != nil || d.outcode != "CF99" {
		t.Errorf("outcode: %+v, %v", d, err)
	}
	if _, err := parseSite(siteWith(t, pem, "what a newer gateway may add", 1)); err != nil {
		t.Errorf("unknown field: %v", err)
	}
	meter := func(id, kind string, measures ...string) []siteMeter { return []siteMeter{{id, kind, measures}} }
	for _, c := range []struct {
		field string
		value any
		want  string
	}{
		{"name", "  ", "name"},
		{"name", "two\nlines", "name"},
		{"name", strings.Repeat("x", 201), "name"},
		{"outcode", "SW8 1AA", "outcode"},
		{"outcode", "", "outcode"},
		{"code", "123", "code"},
		{"signing_certificate", "none", "signing_certificate"},
		{"signing_certificate", strings.Repeat("x", 1<<17), "larger than"},
		{"meters", "none", "meters"},
		{"meters", meter("", "electricity", "import"), "id"},
		{"meters", meter(strings.Repeat("m", 129), "electricity", "import"), "id"},
		{"meters", meter("main", "water", "import"), "electricity or gas"},
		{"meters", meter("main", "electricity"), "no measures"},
		{"meters", meter("main", "electricity", "steam"), "steam"},
		{"meters", meter("main", "electricity", "import", "import"), "twice"},
		{"meters", meter("main", "electricity", "gas"), "cannot measure"},
		{"meters", meter("main", "gas", "import"), "cannot measure"},
		{"meters", meter("main", "electricity", "generation"), "cannot measure"},
		{"meters", meter("main", "heat", "heat"), "use electricity or gas"},
		{"meters", append(meter("main", "gas", "gas"), siteMeter{"main", "gas", []string{"gas"}}), "comes twice"},
		{"meters", make([]siteMeter, maxMeters+1), "at most"},
	} {
		if _, err := parseSite(siteWith(t, pem, c.field, c.value)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.40v: %v, want an error with %q", c.field, c.value, err, c.want)
		}
	}
	if _, err := parseSite([]byte("{")); err == nil {
		t.Error("half a JSON text was taken")
	}
}

func FuzzParseSite(f *testing.F) {
	pem := identitytest.New(f).Signing(gatewayURL, "Ops Ltd", memberURL).PEM()
	f.Add(siteBody(pem, siteCode))
	f.Add(siteWith(f, pem, "outcode", nil))
	f.Add(siteWith(f, pem, "meters", []any{map[string]any{"id": "g", "type": "gas", "measures": []string{"gas"}}}))
	f.Add([]byte(`{"name":"x","outcode":"B1","code":"7K2M9QXA04TB","signing_certificate":"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----","meters":[]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseSite(data)
		if err != nil {
			return
		}
		if !outcodes.MatchString(d.outcode) || !plain(d.name, maxText) || len(d.code) != 14 || len(d.signing) == 0 {
			t.Fatalf("taken: %+v", d)
		}
		for _, m := range d.meters {
			if checkMeasures(m.Type, m.Measures) != nil || m.ID == "" {
				t.Fatalf("taken: %+v", m)
			}
		}
	})
}
