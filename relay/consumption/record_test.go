package consumption

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity/identitytest"
	"github.com/perseus-edge/perseus-edge/identity/scheme"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// listed is the canonical listing of an answer, made from what a client has:
// see tally.list.
func listed(m meterData) string {
	var b strings.Builder
	base := func(value json.Number, unit string) string {
		scale := map[string]int64{"WHR": 1, "MTQ": 1000}[unit] // no other unit is served: 0
		n, ok := new(big.Rat).SetString(string(value))
		if !ok {
			return "not a number"
		}
		return n.Mul(n, big.NewRat(scale, 1)).RatString()
	}
	for _, d := range m.Data {
		register := ""
		if d.Cumulative != nil {
			register = base(d.Cumulative.Value, d.Cumulative.Unit)
		}
		fmt.Fprintf(&b, "%s,%s,%s,%s\n", d.From, d.TakenAt, base(d.Energy.Value, d.Energy.Unit), register)
	}
	return b.String()
}

// The half-hours are bound to the record: with what a client was served it
// makes the same hash, and with any other value it does not (law 6).
func TestRecordBindsTheValues(t *testing.T) {
	w := newWorld(t)
	pki := identitytest.New(t)
	signing := pki.Signing("https://directory.example/a/relay", "Relay Ltd", "https://directory.example/m/relay", w.scheme.Role(scheme.EDP))
	w.real = NewRecorder(w.scheme, "https://relay.example", provenance.Signer{Key: signing.Key, Chain: signing.Chain},
		func(context.Context, string, []uint64) (map[uint64]batch.Hash, error) {
			return map[uint64]batch.Hash{1: {1}}, nil
		})
	gas := energy.Key{Meter: "boiler", Measure: energy.Gas}
	w.store.put(mainIn, monday, 5)
	w.store.readings[mainIn][3].Cumulative = -1
	w.store.put(gas, monday, 3)
	w.store.readings[gas][1].Energy = 0

	hash := func(body []byte) (signed, served string) {
		t.Helper()
		m := w.data(body)
		r, err := provenance.Parse(w.scheme.TrustFramework(), m.Provenance)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := r.Verify(provenance.Verifier{Roots: pki.SigningCA.Pool()})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if s.Type == "origin" {
				signed, _ = s.Body["perseus-edge:sha256"].(string)
			}
		}
		sum := sha256.Sum256([]byte(listed(m)))
		return signed, hex.EncodeToString(sum[:])
	}
	seen := map[string]bool{}
	for _, path := range []string{"/datasources/src-main/import?from=2026-03-02", "/datasources/src-main/import?from=2026-03-02T00:30:00Z", "/datasources/src-boiler/import?from=2026-03-02"} {
		body := w.get(path).Body.Bytes()
		signed, served := hash(body)
		if signed == "" || signed != served || seen[signed] {
			t.Errorf("%s: signed is %q, the answer hashes to %s: %s", path, signed, served, listed(w.data(body)))
		}
		seen[signed] = true
	}
	body := w.get("/datasources/src-main/import?from=2026-03-02").Body.Bytes()
	for _, c := range [][2]string{
		{`"energy":{"value":100,`, `"energy":{"value":101,`},
		{`"energy":{"value":102,"unitCode":"WHR"`, `"energy":{"value":102,"unitCode":"KWH"`},
		{`"cumulative":{"value":5100,`, `"cumulative":{"value":5101,`},
		{`"cumulative":{"value":5100,"unitCode":"WHR"}`, `"cumulative":null`},
		{`"from":"2026-03-02T01:00:00Z"`, `"from":"2026-03-02T11:00:00Z"`},
		{`"takenAt":"2026-03-02T01:00:07Z"`, `"takenAt":"2026-03-02T01:00:08Z"`},
	} {
		changed := bytes.Replace(body, []byte(c[0]), []byte(c[1]), 1)
		if bytes.Equal(changed, body) {
			t.Fatalf("%s is not in %s", c[0], body)
		}
		if signed, served := hash(changed); signed == served {
			t.Errorf("%s was not noticed", c[1])
		}
	}
}

// How the half-hours were derived is in the signed record, and nothing of the
// kind where they were not.
func TestRecordNamesTheDerivation(t *testing.T) {
	w := newWorld(t)
	pki := identitytest.New(t)
	signing := pki.Signing("https://directory.example/a/relay", "Relay Ltd", "https://directory.example/m/relay", w.scheme.Role(scheme.EDP))
	w.real = NewRecorder(w.scheme, "https://relay.example", provenance.Signer{Key: signing.Key, Chain: signing.Chain},
		func(context.Context, string, []uint64) (map[uint64]batch.Hash, error) { return nil, nil })
	w.store.put(mainIn, monday, 2)
	for rule, want := range map[energy.Rule]string{energy.RuleBracketed: "", energy.RuleShareArea: "AreaOccupied", energy.RuleDifference: "AdditionalMetering"} {
		w.store.readings[mainIn][1].Rule = rule
		r, err := provenance.Parse(w.scheme.TrustFramework(), w.data(w.get("/datasources/src-main/import?from=2026-03-02").Body.Bytes()).Provenance)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := r.Verify(provenance.Verifier{Roots: pki.SigningCA.Pool()})
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(steps, func(s provenance.VerifiedStep) bool { return s.Type == "origin" })
		said, _ := steps[at].Body["perseus:assurance"].(map[string]any)
		method, derived := w.scheme.Assurance("origin-method", "Exact"), any(nil)
		if want != "" {
			method, derived = w.scheme.Assurance("origin-method", "Derived"), w.scheme.Assurance("origin-method-derived", want)
		}
		if said["originMethod"] != method || said["originMethodDerived"] != derived {
			t.Errorf("rule %d: %v", rule, said)
		}
	}
}

// The listing, to the byte, and its hash: a client depends on it.
func TestListingGolden(t *testing.T) {
	w := newWorld(t)
	w.store.put(mainIn, monday, 2)
	w.store.readings[mainIn][1].Cumulative = -1
	const want = "2026-03-02T00:00:00Z,2026-03-02T00:30:07Z,100,5100\n2026-03-02T00:30:00Z,2026-03-02T01:00:07Z,101,\n"
	m := w.data(w.get("/datasources/src-main/import?from=2026-03-02").Body.Bytes())
	if got := listed(m); got != want {
		t.Errorf("got\n%s want\n%s", got, want)
	}
	sum := sha256.Sum256([]byte(want))
	if got := w.signed[0].SHA256; got != hex.EncodeToString(sum[:]) {
		t.Errorf("the summary has %s, want %x", got, sum)
	}
	var none tally
	if got := none.hash(); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("of no half-hours: %s", got)
	}
}

// A statement of a trust framework that the relay has left cannot stand in its
// record: the half-hours are served without it.
func TestStatementsOfAnotherFramework(t *testing.T) {
	w := newWorld(t)
	pki := identitytest.New(t)
	signing := pki.Signing("https://directory.example/a/relay", "Relay Ltd", "https://directory.example/m/relay", w.scheme.Role(scheme.EDP))
	w.real = NewRecorder(w.scheme, "https://relay.example", provenance.Signer{Key: signing.Key, Chain: signing.Chain},
		func(context.Context, string, []uint64) (map[uint64]batch.Hash, error) { return nil, nil })
	w.store.put(mainIn, monday, 2)
	w.store.statements = []ingest.MonthStatement{{Signed: month.Signed{Framework: "https://left.example/trust-framework"}}}
	m := w.data(w.get("/datasources/src-main/import?from=2026-03-02").Body.Bytes())
	r, err := provenance.Parse(w.scheme.TrustFramework(), m.Provenance)
	if err != nil {
		t.Fatal(err)
	}
	if steps, err := r.Verify(provenance.Verifier{Roots: pki.SigningCA.Pool()}); err != nil || len(steps) != 3 {
		t.Errorf("%d steps, %v", len(steps), err)
	}
}
