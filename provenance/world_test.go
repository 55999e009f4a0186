package provenance_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/provenance"
)

const (
	framework = "https://registry.example/trust-framework"
	schemeURL = "https://registry.example/scheme/perseus"
)

var start = time.Date(2026, 3, 12, 10, 0, 0, 0, time.UTC)

// world is a signing hierarchy with three members, and a clock.
type world struct {
	pki    *identitytest.PKI
	leaves []*identitytest.Leaf
	now    time.Time
}

func newWorld(t testing.TB) *world {
	w := &world{pki: identitytest.New(t), now: start}
	for i, name := range []string{"Relay Ltd", "Carbon & Co", "Bank plc"} {
		uri := fmt.Sprintf("https://directory.example/a/%d", i)
		w.leaves = append(w.leaves, w.pki.Signing(uri, name, fmt.Sprintf("https://directory.example/m/%d", i), schemeURL+"/role/r"))
	}
	return w
}

func (w *world) signer(i int) provenance.Signer {
	return provenance.Signer{Key: w.leaves[i].Key, Chain: w.leaves[i].Chain, Now: func() time.Time { return w.now }}
}

// liveSigner signs with the time of the machine, as the Python package does.
func (w *world) liveSigner(i int) provenance.Signer {
	s := w.signer(i)
	s.Now = nil
	return s
}

func (w *world) verifier() provenance.Verifier {
	return provenance.Verifier{Roots: w.pki.SigningCA.Pool()}
}

func (w *world) verify(t testing.TB, raw []byte) []provenance.VerifiedStep {
	t.Helper()
	steps, err := parseVerify(raw, w.verifier())
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return steps
}

func parseVerify(raw []byte, v provenance.Verifier) ([]provenance.VerifiedStep, error) {
	r, err := provenance.Parse(framework, raw)
	if err != nil {
		return nil, err
	}
	return r.Verify(v)
}

func encode(t testing.TB, r *provenance.Record) []byte {
	t.Helper()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// consumption is a record as an energy data provider makes it.
func (w *world) consumption(t testing.TB) (r *provenance.Record, transfer string) {
	t.Helper()
	r = provenance.New(framework)
	from, to := start.AddDate(0, -1, 0), start
	p := r.Add(provenance.Permission{At: from, Scheme: schemeURL, Account: "opaque",
		Allows: provenance.Allows{Licenses: []string{schemeURL + "/license/x"}}, Expires: from.AddDate(1, 0, 0)})
	o := r.Add(provenance.Origin{Scheme: schemeURL, SourceType: schemeURL + "/source-type/Meter", Origin: "https://directory.example/g/1",
		Permissions: []string{p}, Details: &provenance.Details{MeteringPeriod: &provenance.Period{From: from, To: to}},
		Assurance: &provenance.Assurance{MissingData: schemeURL + "/assurance/missing-data/Complete", OriginMethod: schemeURL + "/assurance/origin-method/Exact"},
		Extra:     map[string]any{"perseus-edge:batches": map[string]any{"first": 1, "last": 3}}})
	transfer = r.Add(provenance.Transfer{Scheme: schemeURL, Of: o, To: "https://directory.example/a/1", Standard: schemeURL + "/standard/s",
		License: schemeURL + "/license/x", Service: "https://relay.example/datasources", Path: "/datasources/{id}/{measure}",
		Parameters: map[string]string{"measure": "import", "from": "2026-02-12T10:00:00Z"}, Permissions: []string{p}})
	if err := r.Sign(w.signer(0)); err != nil {
		t.Fatal(err)
	}
	return r, transfer
}

// emissions is a record as it reaches a bank: the one above, included, and the
// steps of a carbon accounting provider.
func (w *world) emissions(t testing.TB) *provenance.Record {
	t.Helper()
	in, transfer := w.consumption(t)
	r := provenance.New(framework)
	r.Include(in)
	got := r.Add(provenance.Receipt{Scheme: schemeURL, Transfer: transfer})
	grid := r.Add(provenance.Origin{Scheme: schemeURL, SourceType: schemeURL + "/source-type/GridCarbonIntensity", Origin: "https://api.carbonintensity.org.uk/",
		OriginLicense: "https://creativecommons.org/licenses/by/4.0/", External: true, Details: &provenance.Details{Postcode: "SW8"}})
	sum := r.Add(provenance.Process{Scheme: schemeURL, Inputs: []string{got, grid}, Process: schemeURL + "/process/electricity-emissions-calculation/2026-03-12"})
	r.Add(provenance.Transfer{Scheme: schemeURL, Of: sum, To: "https://directory.example/a/2", Path: "/emissions"})
	if err := r.Sign(w.signer(1)); err != nil {
		t.Fatal(err)
	}
	return r
}

// generate makes a random record: inclusions, several signatures one over
// another, every kind of step, text that tempts encoders.
func (w *world) generate(t testing.TB, rng *rand.Rand, depth int) *provenance.Record {
	t.Helper()
	r := provenance.New(framework)
	ids := []string{"none"}
	pick := func() string { return ids[rng.IntN(len(ids))] }
	text := func() string {
		letters := []rune("aé€\"\\<&>\u2028😀. %/")
		var s []rune
		for range rng.IntN(12) {
			s = append(s, letters[rng.IntN(len(letters))])
		}
		return string(s)
	}
	if depth > 0 {
		for range rng.IntN(3) {
			r.Include(w.generate(t, rng, depth-1))
		}
	}
	for range 1 + rng.IntN(2) {
		for range 1 + rng.IntN(4) {
			kinds := []provenance.Step{
				provenance.Permission{Scheme: schemeURL, Account: text(), Expires: start},
				provenance.Origin{Scheme: schemeURL, Origin: text(), External: rng.IntN(2) == 0, Permissions: []string{pick()}},
				provenance.Transfer{Of: pick(), To: text(), Parameters: map[string]string{"x": text(), "y": text()}},
				provenance.Receipt{At: start.Add(-time.Hour), Transfer: pick()},
				provenance.Process{Inputs: []string{pick(), pick()}, Extra: map[string]any{"x:" + text(): text()}},
				provenance.Other{"type": "other", "note": text(), "number": rng.IntN(9)},
			}
			ids = append(ids, r.Add(kinds[rng.IntN(len(kinds))]))
		}
		if err := r.Sign(w.signer(rng.IntN(3))); err != nil {
			t.Fatal(err)
		}
	}
	return r
}
