package provenance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// The steps' JSON, key for key, as the scheme has it.
func TestSteps(t *testing.T) {
	w := newWorld(t)
	steps := w.verify(t, encode(t, w.emissions(t)))
	const s = schemeURL
	want := []string{
		`{"id":"1","type":"permission","timestamp":"2026-02-12T10:00:00Z","scheme":"` + s + `","account":"opaque","allows":{"licenses":["` + s + `/license/x"]},"expires":"2027-02-12T10:00:00Z"}`,
		`{"id":"2","type":"origin","timestamp":"2026-03-12T10:00:00Z","scheme":"` + s + `","sourceType":"` + s + `/source-type/Meter","origin":"https://directory.example/g/1","external":false,"permissions":["1"],"perseus:scheme":{"meteringPeriod":{"from":"2026-02-12T10:00:00Z","to":"2026-03-12T10:00:00Z"}},"perseus:assurance":{"missingData":"` + s + `/assurance/missing-data/Complete","originMethod":"` + s + `/assurance/origin-method/Exact"},"perseus-edge:batches":{"first":1,"last":3}}`,
		`{"id":"3","type":"transfer","timestamp":"2026-03-12T10:00:00Z","scheme":"` + s + `","of":"2","to":"https://directory.example/a/1","standard":"` + s + `/standard/s","license":"` + s + `/license/x","service":"https://relay.example/datasources","path":"/datasources/{id}/{measure}","parameters":{"from":"2026-02-12T10:00:00Z","measure":"import"},"permissions":["1"]}`,
		`{"id":"4","type":"receipt","timestamp":"2026-03-12T10:00:00Z","scheme":"` + s + `","transfer":"3"}`,
		`{"id":"5","type":"origin","timestamp":"2026-03-12T10:00:00Z","scheme":"` + s + `","sourceType":"` + s + `/source-type/GridCarbonIntensity","origin":"https://api.carbonintensity.org.uk/","originLicense":"https://creativecommons.org/licenses/by/4.0/","external":true,"perseus:scheme":{"postcode":"SW8"}}`,
		`{"id":"6","type":"process","timestamp":"2026-03-12T10:00:00Z","scheme":"` + s + `","inputs":["4","5"],"process":"` + s + `/process/electricity-emissions-calculation/2026-03-12"}`,
		`{"id":"7","type":"transfer","timestamp":"2026-03-12T10:00:00Z","scheme":"` + s + `","of":"6","to":"https://directory.example/a/2","standard":"","license":"","service":"","path":"/emissions"}`,
	}
	if len(steps) != len(want) {
		t.Fatalf("%d steps, want %d", len(steps), len(want))
	}
	ids := regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`)
	numbers := []string{}
	for i, s := range steps {
		if !ids.MatchString(s.ID) {
			t.Errorf("identifier %q is not 15 bytes in base64url", s.ID)
		}
		numbers = append(numbers, s.ID, fmt.Sprint(i+1))
	}
	for i, s := range steps {
		if got := strings.NewReplacer(numbers...).Replace(string(s.JSON)); got != want[i] {
			t.Errorf("step %d:\n got %s\nwant %s", i+1, got, want[i])
		}
	}
	if got, want := len(steps[0].IncludedBy), 1; got != want {
		t.Errorf("the first step is included by %d signers, want %d", got, want)
	}
	if errs := provenance.References(steps); errs != nil {
		t.Errorf("references: %v", errs)
	}
}

func TestExplain(t *testing.T) {
	w := newWorld(t)
	steps := w.verify(t, encode(t, w.emissions(t)))
	want := `Relay Ltd (https://directory.example/a/0) signed at 2026-03-12T10:00:00Z, relied upon by https://directory.example/a/1 at 2026-03-12T10:00:00Z:
   1. permission until "2027-02-12T10:00:00Z", 2026-02-12T10:00:00Z
   2. origin "Meter" from "https://directory.example/g/1", 2026-03-12T10:00:00Z <- permissions 1
   3. transfer to "https://directory.example/a/1" under "x", 2026-03-12T10:00:00Z <- of 2, permissions 1
Carbon & Co (https://directory.example/a/1) signed at 2026-03-12T10:00:00Z:
   4. receipt, 2026-03-12T10:00:00Z <- transfer 3
   5. origin "GridCarbonIntensity" from "https://api.carbonintensity.org.uk/", 2026-03-12T10:00:00Z
   6. process "electricity-emissions-calculation", 2026-03-12T10:00:00Z <- inputs 4, inputs 5
   7. transfer to "https://directory.example/a/2" under "", 2026-03-12T10:00:00Z <- of 6
`
	if got := provenance.Explain(steps); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReferences(t *testing.T) {
	w := newWorld(t)
	r := provenance.New(framework)
	p := r.Add(provenance.Permission{Account: "a"})
	r.Add(provenance.Process{Inputs: []string{p}})
	r.Add(provenance.Receipt{Transfer: "nowhere"})
	if err := r.Sign(w.signer(0)); err != nil {
		t.Fatal(err)
	}
	errs := provenance.References(w.verify(t, encode(t, r)))
	if len(errs) != 2 || !strings.Contains(errs[0].Error(), "is a permission") || !strings.Contains(errs[1].Error(), "not in the record") {
		t.Errorf("%v", errs)
	}
}

// Adding to a signed record and signing again nests what was there, as the
// reference implementation does.
func TestSignAgain(t *testing.T) {
	w := newWorld(t)
	r, transfer := w.consumption(t)
	first := encode(t, r)
	r.Add(provenance.Receipt{Transfer: transfer})
	if r.Signed() {
		t.Error("signed with a step pending")
	}
	if _, err := json.Marshal(r); err == nil {
		t.Error("encoded with a step pending")
	}
	if err := r.Sign(w.signer(1)); err != nil {
		t.Fatal(err)
	}
	second := encode(t, r)
	var a, b struct{ Steps json.RawMessage }
	if json.Unmarshal(first, &a) != nil || json.Unmarshal(second, &b) != nil || !bytes.HasPrefix(b.Steps, append([]byte("["), a.Steps...)) {
		t.Errorf("%s is not at the head of %s", a.Steps, b.Steps)
	}
	w.verify(t, second)
}

func TestRefusedToSign(t *testing.T) {
	w := newWorld(t)
	signed, _ := w.consumption(t)
	wrongKey := w.signer(0)
	wrongKey.Key = w.leaves[1].Key
	cases := []struct {
		name string
		do   func(r *provenance.Record)
		by   provenance.Signer
		want string
	}{
		{"nothing", func(r *provenance.Record) {}, w.signer(0), "nothing to sign"},
		{"no signer", func(r *provenance.Record) { r.Add(provenance.Receipt{}) }, provenance.Signer{}, "needs a key"},
		{"key of another", func(r *provenance.Record) { r.Add(provenance.Receipt{}) }, wrongKey, "not the one"},
		{"nil step", func(r *provenance.Record) { r.Add(nil) }, w.signer(0), "nil"},
		{"unsigned record", func(r *provenance.Record) { r.Include(provenance.New(framework)) }, w.signer(0), "sign it first"},
		{"other framework", func(r *provenance.Record) {
			o := provenance.New("https://other.example")
			o.Add(provenance.Receipt{})
			if err := o.Sign(w.signer(0)); err != nil {
				t.Fatal(err)
			}
			r.Include(o)
		}, w.signer(0), "belongs to the trust framework"},
		{"own id", func(r *provenance.Record) { r.Add(provenance.Other{"type": "x", "id": "y"}) }, w.signer(0), "own id"},
		{"no type", func(r *provenance.Record) { r.Add(provenance.Other{"a": "b"}) }, w.signer(0), "no type"},
		{"reserved name", func(r *provenance.Record) { r.Add(provenance.Other{"type": "x", "_signature": 1}) }, w.signer(0), "reserved"},
		{"bad time", func(r *provenance.Record) { r.Add(provenance.Other{"type": "x", "timestamp": "yesterday"}) }, w.signer(0), "yesterday"},
		{"no prefix", func(r *provenance.Record) { r.Add(provenance.Origin{Extra: map[string]any{"batches": 1}}) }, w.signer(0), "prefix"},
		{"name twice", func(r *provenance.Record) {
			r.Add(provenance.Origin{Assurance: &provenance.Assurance{}, Extra: map[string]any{"perseus:assurance": 1}})
		}, w.signer(0), "twice"},
		{"too deep", func(r *provenance.Record) {
			for range provenance.MaxDepth {
				r.Add(provenance.Receipt{})
				if err := r.Sign(w.signer(0)); err != nil {
					t.Fatal(err)
				}
			}
			r.Add(provenance.Receipt{})
		}, w.signer(0), "within one another"},
	}
	for _, c := range cases {
		r := provenance.New(framework)
		c.do(r)
		if err := r.Sign(c.by); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	if !signed.Signed() {
		t.Error("a good record became unsigned")
	}
}

func TestRefusedToParse(t *testing.T) {
	const head = `{"ib1:provenance":"` + framework + `","origins":[],`
	const sig = `[0,"1","2026-01-01T00:00:00Z","AAAA"]`
	cases := []struct{ name, raw, want string }{
		{"empty", ``, "not a record"},
		{"array", `[]`, "not a record"},
		{"two values", head + `"steps":["e30=",` + sig + `]} {}`, "more text"},
		{"further property", head + `"steps":[],"extra":1}`, "unknown property"},
		{"no steps", head + `"certificates":{}}`, "not a signed step list"},
		{"only a signature", head + `"steps":[` + sig + `]}`, "needs a step"},
		{"step is a number", head + `"steps":[1,` + sig + `]}`, "neither a step"},
		{"step without id", head + `"steps":["e30=",` + sig + `]}`, "no id"},
		{"deep", head + `"steps":` + strings.Repeat("[", 40) + `"e30="` + strings.Repeat(","+sig+"]", 40) + `}`, "within one another"},
		{"many", head + `"steps":[` + strings.Repeat(`"e30=",`, provenance.MaxElements) + sig + `]}`, "more than"},
		{"large", head + `"steps":["` + strings.Repeat("A", provenance.MaxSize) + `"]}`, "at most"},
		{"serial is a number", head + `"steps":["e30=",[0,1,"2026-01-01T00:00:00Z","AAAA"]]}`, "must be strings"},
		{"local time", head + `"steps":["e30=",[0,"1","2026-01-01T00:00:00+01:00","AAAA"]]}`, "not of the form"},
	}
	for _, c := range cases {
		if _, err := provenance.Parse(framework, []byte(c.raw)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}
