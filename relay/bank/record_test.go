package bank_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

func (w *world) steps(query string) []provenance.VerifiedStep {
	w.t.Helper()
	steps := w.signed(query)
	if errs := append(provenance.References(steps), provenance.CheckScheme(steps, w.scheme.URL())...); errs != nil {
		w.t.Fatal(errs)
	}
	return steps
}

// signed is the record's steps, of which only the signatures are checked.
func (w *world) signed(query string) []provenance.VerifiedStep {
	w.t.Helper()
	record, err := provenance.Parse(w.scheme.TrustFramework(), w.report(query).Provenance)
	if err != nil {
		w.t.Fatal(err)
	}
	steps, err := record.Verify(provenance.Verifier{Roots: w.signing.SigningCA.Pool()})
	if err != nil {
		w.t.Fatal(err)
	}
	return steps
}

// The whole way of a figure: permission, meter, hand-over within the relay,
// receipt, grid, calculation, hand-over to the bank.
func TestRecord(t *testing.T) {
	w := newWorld(t)
	w.access.Covers = append(w.access.Covers, grant.Cover{Meter: "boiler", Measure: energy.Gas})
	steps := w.steps("?from=2025-12-01")
	hand := "Relay Ltd (https://directory.example/a/relay) signed at 2026-03-20T12:00:00Z"
	want := hand + `, relied upon by https://directory.example/a/relay at 2026-03-20T12:00:00Z:
   1. permission until "2027-02-01T09:00:00Z", 2026-02-01T09:00:00Z
   2. origin "Meter" from "https://directory.example/g/1", 2026-03-20T12:00:00Z <- permissions 1
   3. transfer to "https://directory.example/a/relay" under "energy-consumption-emissions-edp-cap-fsp", 2026-03-20T12:00:00Z <- of 2, permissions 1
   4. origin "Meter" from "https://directory.example/g/1", 2026-03-20T12:00:00Z <- permissions 1
   5. transfer to "https://directory.example/a/relay" under "energy-consumption-emissions-edp-cap-fsp", 2026-03-20T12:00:00Z <- of 4, permissions 1
` + hand + `:
   6. receipt, 2026-03-20T12:00:00Z <- transfer 3
   7. origin "GridCarbonIntensity" from "https://api.carbonintensity.org.uk/", 2026-03-20T12:00:00Z
   8. process "electricity-emissions-calculation", 2026-03-20T12:00:00Z <- inputs 6, inputs 7, permissions 1
   9. transfer to "https://directory.example/a/bank" under "energy-consumption-emissions-edp-cap-fsp", 2026-03-20T12:00:00Z <- of 8, permissions 1
  10. receipt, 2026-03-20T12:00:00Z <- transfer 5
  11. process "gas-emissions-calculation", 2026-03-20T12:00:00Z <- inputs 10, permissions 1
  12. transfer to "https://directory.example/a/bank" under "energy-consumption-emissions-edp-cap-fsp", 2026-03-20T12:00:00Z <- of 11, permissions 1
`
	if got := provenance.Explain(steps); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	has := func(i int, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(string(steps[i].JSON), p) {
				t.Errorf("step %d lacks %s: %s", i+1, p, steps[i].JSON)
			}
		}
	}
	has(0, `"account":"opaque"`, `"licenses":["`+w.scheme.LicenseCombined()+`"]`, `"processes":["`+w.scheme.ProcessElectricity()+`","`+w.scheme.ProcessGas()+`"]`)
	has(1, `"meteringPeriod":{"from":"2025-12-01T00:00:00Z","to":"2026-03-01T00:00:00Z"}`, `missing-data/Complete"`, `origin-method/Exact"`,
		`"perseus-edge:batches":[{"month":"2025-12","of":{"first":1,"last":9,"count":9,"sha256":"b"}}`)
	has(2, `"measure":"import"`)
	has(4, `"measure":"gas"`)
	has(6, `"originLicense":"https://creativecommons.org/licenses/by/4.0/"`, `"external":true`, `"postcode":"SW8"`)
	has(8, `"path":"/emissions"`, `"parameters":{"from":"2025-12-01T00:00:00Z","to":"2026-03-01T00:00:00Z"}`, `"standard":"`+w.scheme.StandardEmissions()+`"`)
	has(10, `"perseus-edge:factors":[{"month":"2025-12","of":{"value":"2.06672"`)
	has(7, `"perseus-edge:result":[{"type":"electricity","from":"2025-12-01T00:00:00Z","to":"2026-01-01T00:00:00Z","takenAt":"2026-01-02T01:00:00Z","value":"12.500","unitCode":"KGM"},`+
		`{"type":"electricity","from":"2026-01-01T00:00:00Z",`)
	has(10, `"perseus-edge:result":[{"type":"gas","from":"2025-12-01T00:00:00Z",`)
}

// entries is the data of an answer as a client in Go reads it.
func (r report) entries(t interface{ Fatal(...any) }) (out []provenance.Entry) {
	raw, err := json.Marshal(r.Data)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The figures themselves are signed: an answer with another figure than the
// record's does not pass, though the record itself is good (law 6).
func TestFiguresAreSigned(t *testing.T) {
	w := newWorld(t)
	w.access.Covers = append(w.access.Covers, grant.Cover{Meter: "boiler", Measure: energy.Gas})
	w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
		if m.Month == 1 && k == emissions.Gas {
			return emissions.Monthly{Kind: k, Month: m, Missing: emissions.Missing{HalfHours: 1}}
		}
		return w.complete(m, k)
	}
	const query = "?from=2025-12-01"
	steps, data := w.steps(query), w.report(query).entries(t)
	if len(data) != 5 {
		t.Fatalf("%d entries, want 3 of electricity and 2 of gas", len(data))
	}
	if err := provenance.CheckEmissions(steps, data); err != nil {
		t.Fatal(err)
	}
	for i := range data {
		changed := slices.Clone(data)
		changed[i].Emissions.Value = "1" + changed[i].Emissions.Value
		for what, d := range map[string][]provenance.Entry{"changed": changed, "left out": slices.Delete(slices.Clone(data), i, i+1)} {
			if err := provenance.CheckEmissions(steps, d); err == nil {
				t.Errorf("entry %d %s: not noticed", i, what)
			}
		}
	}
	other := w.steps("?from=2026-01-01") // a good record, of another answer
	if err := provenance.CheckEmissions(other, data); err == nil {
		t.Error("the record of another answer was taken")
	}
}

// An estimate never turns into a measurement on its way (law 2).
func TestEstimatesShow(t *testing.T) {
	for quality, missing := range map[string]string{"estimated": "missing-data/Complete", "substituted": "missing-data/Substituted"} {
		w := newWorld(t)
		w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
			out := w.complete(m, k)
			if m.Month == 2 {
				out.Result.Inputs.Qualities[quality] = 1
			}
			return out
		}
		if s := string(w.steps("?from=2026-01-01")[1].JSON); !strings.Contains(s, missing) || !strings.Contains(s, `origin-method/Derived"`) || !strings.Contains(s, `origin-method-derived/Other"`) {
			t.Errorf("%s: %s", quality, s)
		}
		if s := string(w.steps("?from=2026-01-01&to=2026-02-01")[1].JSON); !strings.Contains(s, "missing-data/Complete") || !strings.Contains(s, `origin-method/Exact"`) {
			t.Errorf("%s, in another month: %s", quality, s)
		}
	}
}

// How the readings were derived is said where it is one way; and never of a
// month without any that were.
func TestDerivationsShow(t *testing.T) {
	for _, c := range []struct {
		ways [2][]string // of January and February
		want string
	}{
		{[2][]string{nil, nil}, ""},
		{[2][]string{nil, {"AreaOccupied"}}, "AreaOccupied"},
		{[2][]string{{"AdditionalMetering"}, {"AdditionalMetering"}}, "AdditionalMetering"},
		{[2][]string{{"AdditionalMetering"}, {"AreaOccupied"}}, "Other"},
		{[2][]string{nil, {"NumberOfOccupants", "Other"}}, "Other"},
	} {
		w := newWorld(t)
		w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
			out := w.complete(m, k)
			if m.Month <= 2 {
				out.Result.Inputs.Derived = c.ways[m.Month-1]
			}
			return out
		}
		s := string(w.steps("?from=2026-01-01&to=2026-03-01")[1].JSON)
		if c.want == "" {
			if !strings.Contains(s, `origin-method/Exact"`) || strings.Contains(s, "origin-method-derived") {
				t.Errorf("%v: %s", c.ways, s)
			}
			continue
		}
		if !strings.Contains(s, `origin-method/Derived"`) || !strings.Contains(s, `origin-method-derived/`+c.want+`"`) {
			t.Errorf("%v: %s, want %s", c.ways, s, c.want)
		}
	}
}

// A month that was restated says so, and by which version; the others say
// nothing, and nobody says what was corrected.
func TestRecordOfARestatedMonth(t *testing.T) {
	w := newWorld(t)
	w.months = func(m emissions.Month, k emissions.Kind) emissions.Monthly {
		out := w.complete(m, k)
		out.Result.Version = 1
		if m == (emissions.Month{Year: 2026, Month: 1}) {
			out.Result.Version = 3
		}
		return out
	}
	for query, want := range map[string]string{"?from=2025-12-01&to=2026-03-01": `[{"month":"2026-01","of":3}]`, "?from=2026-02-01&to=2026-03-01": "null"} {
		steps := w.steps(query)
		at := slices.IndexFunc(steps, func(s provenance.VerifiedStep) bool { return s.Type == "process" })
		got, err := json.Marshal(steps[at].Body["perseus-edge:restated"])
		if err != nil || string(got) != want {
			t.Errorf("%s: %s (%v), want %s", query, got, err, want)
		}
	}
}
