package demo

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
)

// The demo's bank takes a report only when its figures are the signed ones, and
// a carbon accounting provider signed them.
func TestCheckReport(t *testing.T) {
	sc, err := scheme.New("https://localhost:8443/registry")
	if err != nil {
		t.Fatal(err)
	}
	pki := identitytest.New(t)
	d := &demo{scheme: sc, signingRoots: pki.SigningCA.Pool()}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	data := []provenance.Entry{{Type: "electricity", From: from, To: from.AddDate(0, 1, 0), TakenAt: from.AddDate(0, 2, 0),
		Emissions: provenance.Amount{Value: "502.410", UnitCode: "KGM"}}}
	made := func(roles ...string) *report {
		t.Helper()
		leaf := pki.Signing("https://directory.example/a/relay", "Relay Ltd", "https://directory.example/m/relay", roles...)
		r := provenance.New(sc.TrustFramework())
		origin := r.Add(provenance.Origin{SourceType: "s", Origin: "o"})
		r.Add(provenance.Process{Inputs: []string{origin}, Extra: map[string]any{provenance.EmissionsResult: provenance.SignedEmissions(data)}})
		if err := r.Sign(provenance.Signer{Key: leaf.Key, Chain: leaf.Chain}); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return &report{Data: slices.Clone(data), Provenance: raw}
	}
	good := made(sc.Role(scheme.EDP), sc.Role(scheme.CAP))
	if steps, err := d.checkReport(good); err != nil || len(steps) != 2 {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	good.Data[0].Emissions.Value = "402.410"
	if _, err := d.checkReport(good); err == nil || !strings.Contains(err.Error(), "402.410") {
		t.Errorf("a changed figure: %v", err)
	}
	if _, err := d.checkReport(made(sc.Role(scheme.EDP))); err == nil || !strings.Contains(err.Error(), "no carbon accounting provider") {
		t.Errorf("signed by another: %v", err)
	}
	good.Provenance = json.RawMessage(`{}`)
	if _, err := d.checkReport(good); err == nil {
		t.Error("a report without a record was taken")
	}
}
