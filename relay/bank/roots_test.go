package bank_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// state is a gateway's statement of a month of a register.
func (w *world) state(by *identitytest.Leaf, k energy.Key, m month.Month, to time.Time, root byte) ingest.MonthRoot {
	w.t.Helper()
	st := month.Statement{Gateway: gateway, Meter: "pseudonym-of-" + k.Meter, Measure: k.Measure, Month: m,
		Spans: []month.Span{{From: m.Start, To: to}}, Root: month.Hash{root}}
	signed, err := month.Sign(st, w.scheme.TrustFramework(), m.End().Add(time.Hour), by.Cert().SerialNumber, by.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	return ingest.MonthRoot{Key: k, Month: m, Signed: signed, Chain: by.Chain}
}

// The record names the gateway's own statement of each month's half-hours, by
// its root alone; one that is not of the half-hours which the figure was worked
// out from is not named.
func TestRootsInRecord(t *testing.T) {
	w := newWorld(t)
	by := w.signing.Signing(gateway, "Ops Ltd", "https://directory.example/m/ops")
	w.access.Covers = append(w.access.Covers, grant.Cover{Meter: "boiler", Measure: energy.Gas}, grant.Cover{Meter: "sub", Measure: energy.Import})
	main, boiler := energy.Key{Meter: "main", Measure: energy.Import}, energy.Key{Meter: "boiler", Measure: energy.Gas}
	november := month.Of(time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC))
	december, january := november.Next(), november.Next().Next()
	all := []ingest.MonthRoot{
		w.state(by, main, november, november.End(), 1),
		w.state(by, main, december, december.End(), 2),
		w.state(by, main, january, january.End(), 3),
		w.state(by, boiler, december, december.End(), 4),
		w.state(by, energy.Key{Meter: "sub", Measure: energy.Import}, december, december.End(), 5), // none of the figures' meters
	}
	all[0].Changed = november.End().Add(24 * time.Hour)            // before it was worked out
	all[2].Changed = january.End().Add(25*time.Hour + time.Second) // after it
	w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
		out := w.complete(m, k)
		if k == emissions.Gas {
			out.Result.Inputs.Meters = []string{"boiler"}
		}
		return out
	}
	var asked []energy.Key
	w.statements = func(_ context.Context, g string, keys []energy.Key, from, to time.Time) (out []ingest.MonthRoot, err error) {
		if g != gateway || !from.Equal(november.Start) || !to.Equal(january.Next().End()) {
			t.Errorf("asked for %s from %s to %s", g, from, to)
		}
		asked = append(asked, keys...)
		for _, one := range all {
			if one.Key.Measure == keys[0].Measure {
				out = append(out, one)
			}
		}
		return out, nil
	}
	steps := w.steps("?from=2025-11-01")
	if !slices.Equal(asked, []energy.Key{main, boiler}) {
		t.Errorf("asked for %v", asked)
	}
	got, err := provenance.EmissionsRoots(steps)
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []byte{1, 2, 4} {
		if got[i].Root != (month.Hash{want}) || got[i].Gateway != gateway {
			t.Errorf("%d: %+v", i, got[i])
		}
	}
	if text := provenance.Explain(steps); !strings.Contains(text, "half-hours 1") || strings.Count(text, "Ops Ltd (https://directory.example/g/1) signed") != 3 {
		t.Errorf("%s", text)
	}
	if err := provenance.CheckEmissions(steps, w.report("?from=2025-11-01").entries(t)); err != nil {
		t.Error(err)
	}

	// What is served for no month is as before; an error is no answer.
	w.statements = func(context.Context, string, []energy.Key, time.Time, time.Time) ([]ingest.MonthRoot, error) {
		return nil, nil
	}
	if got, err := provenance.EmissionsRoots(w.steps("?from=2025-11-01")); len(got) != 0 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	w.statements = func(context.Context, string, []energy.Key, time.Time, time.Time) ([]ingest.MonthRoot, error) {
		return nil, errors.New("no database")
	}
	if rec := w.get("?from=2025-11-01"); rec.Code != 500 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// A statement that does not belong is found out.
func TestRootsThatAreNot(t *testing.T) {
	w := newWorld(t)
	december := month.Of(time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC))
	main := energy.Key{Meter: "main", Measure: energy.Import}
	good := w.signing.Signing(gateway, "Ops Ltd", "https://directory.example/m/ops")
	other := w.signing.Signing("https://directory.example/g/2", "Ops Ltd", "https://directory.example/m/ops")
	given := []ingest.MonthRoot{}
	w.statements = func(context.Context, string, []energy.Key, time.Time, time.Time) ([]ingest.MonthRoot, error) {
		return given, nil
	}
	for want, c := range map[string][]ingest.MonthRoot{
		"signed by https://directory.example/g/2":   {w.state(other, main, december, december.End(), 1)},
		"it is of a part of 2025-12":                {w.state(good, main, december, december.End().Add(-energy.Period), 1)},
		"there is another one of the same meter in": {w.state(good, main, december, december.End(), 1), w.state(good, main, december, december.End(), 2)},
		"": {w.state(good, main, december, december.End(), 1)},
	} {
		given = c
		steps := w.signed("?from=2025-12-01&to=2026-01-01")
		_, err := provenance.EmissionsRoots(steps)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if want != "" {
			continue
		}
		for name, spoil := range map[string]func(origin *provenance.VerifiedStep){
			"it is opened": func(o *provenance.VerifiedStep) {
				o.Body[provenance.HalfHoursStatements].([]any)[0].(map[string]any)["proof"] = []any{"x"}
			},
			"not in the record": func(o *provenance.VerifiedStep) {
				o.Body[provenance.HalfHoursStatements].([]any)[0].(map[string]any)["statement"] = "none"
			},
			"outside of what": func(o *provenance.VerifiedStep) {
				o.Body["perseus:scheme"].(map[string]any)["meteringPeriod"].(map[string]any)["from"] = "2025-12-02T00:00:00Z"
			},
			"not under the signature": func(o *provenance.VerifiedStep) { o.Signed.At = o.Signed.At.Add(time.Second) },
		} {
			steps := w.steps("?from=2025-12-01&to=2026-01-01")
			i := slices.IndexFunc(steps, func(s provenance.VerifiedStep) bool { return s.Body[provenance.HalfHoursStatements] != nil })
			spoil(&steps[i])
			if _, err := provenance.EmissionsRoots(steps); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
