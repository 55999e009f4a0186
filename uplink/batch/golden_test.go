package batch

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

var update = flag.Bool("update", false, "write testdata anew: only when the format's version goes up")

// A vector is a batch in words (name.json) and in bytes (name.hex). Another
// implementation can be checked against them; see testdata/README.md.
func vectors() map[string]Batch {
	first := Batch{
		Gateway: "https://directory.example/g/1", Serial: []byte{0x01, 0x02}, Sequence: 1,
		Made: day.Add(time.Hour), Grants: []string{"grant-1"},
		Series: []Series{{Meter: "main", Measure: energy.Import, First: day, Opening: 1000, Closing: 1250,
			Values: []Value{{Energy: 100, Quality: energy.Measured, Rule: energy.RuleBracketed}, {Energy: 150, Quality: energy.Measured, Rule: energy.RuleBracketed}}}},
	}
	mixed := Batch{
		Gateway: "https://directory.example/g/1", Serial: []byte{0x01, 0x02}, Sequence: 2,
		Previous: Sum([]byte("example")), Made: day.Add(36 * time.Hour), Grants: []string{"grant-1", "grant-2"},
		Series: []Series{
			{Meter: "gas", Measure: energy.Gas, First: day, Opening: -1, Closing: -1, Values: []Value{
				{Energy: 0, Quality: energy.Missing, Rule: energy.RuleNone}, {Energy: 700, Quality: energy.Estimated, Rule: energy.RuleImportedEst}, {Energy: 0, Quality: energy.Measured, Rule: energy.RuleImported}}},
			{Meter: "main", Measure: energy.Import, First: day, Opening: 999_990, Closing: 40, Values: []Value{
				{Energy: 50, Quality: energy.Interpolated, Rule: energy.RuleInterpolate}}},
			{Meter: "main", Measure: energy.Import, First: day.Add(3 * time.Hour), Opening: -1, Closing: 77, Values: []Value{
				{Energy: MaxEnergy, Quality: energy.Estimated, Rule: energy.RuleSpread}}},
			{Meter: "main", Measure: energy.Export, First: day, Opening: 0, Closing: 0, Values: make48(Value{Energy: 0, Quality: energy.Measured, Rule: energy.RuleBracketed})},
		},
		Baseline: []Statement{{Meter: "main", Measure: energy.Import, At: day.Add(17 * time.Minute), Body: []byte(`{"kind":"rollover"}`)}},
	}
	flagged := first
	flagged.Series = []Series{{Meter: "main", Measure: energy.Import, First: day, Opening: 1000, Closing: -1, Values: []Value{
		{Energy: 100, Quality: energy.Measured, Rule: energy.RuleBracketed},
		{Energy: 9000, Quality: energy.Measured, Rule: energy.RuleBracketed, Flags: energy.Flags(0).With(5).With(16)},
		{Energy: 9100, Quality: energy.Measured, Rule: energy.RuleBracketed, Flags: energy.Flags(0).With(5).With(16)},
		{Energy: 40, Quality: energy.Substituted, Rule: energy.RuleProfile, Flags: energy.FlagsAll},
		{Quality: energy.Missing, Rule: energy.RuleNone, Flags: energy.Flags(0).With(17)}}}}
	return map[string]Batch{"first": first, "mixed": ordered(mixed), "shop-day": shopBatch(1), "flagged": flagged}
}

func make48(v Value) []Value {
	vs := make([]Value, 48)
	for i := range vs {
		vs[i] = v
	}
	return vs
}

func TestGolden(t *testing.T) {
	for name, b := range vectors() {
		raw := mustEncode(t, b)
		want, words := golden(t, name, raw, b)
		if got := hex.EncodeToString(raw); got != want {
			t.Errorf("%s: the encoding has changed:\n got %s\nwant %s", name, got, want)
		}
		held, err := hex.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Decode(held)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.Verify(&newTestKey(t).PublicKey); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(s.Batch, words) {
			t.Errorf("%s: got %+v, want %+v", name, s.Batch, words)
		}
	}
}

// The compressed vector is only read: what DEFLATE makes of a body may change
// from one version of Go to the next.
func TestGoldenCompressed(t *testing.T) {
	b := vectors()["mixed"]
	for range 20 {
		b.Baseline = append(b.Baseline, b.Baseline[0])
	}
	held, words := golden(t, "compressed", mustEncode(t, b), b)
	raw, err := hex.DecodeString(held)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if raw[len(magic)] != packFlate || s.Verify(&newTestKey(t).PublicKey) != nil || !reflect.DeepEqual(s.Batch, words) || !reflect.DeepEqual(words, b) {
		t.Errorf("got %+v", s.Batch)
	}
}

func golden(t *testing.T, name string, raw []byte, b Batch) (string, Batch) {
	t.Helper()
	hexPath, jsonPath := filepath.Join("testdata", name+".hex"), filepath.Join("testdata", name+".json")
	if *update {
		words, err := json.MarshalIndent(b, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(hexPath, []byte(hex.EncodeToString(raw)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(jsonPath, append(words, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h, err := os.ReadFile(hexPath)
	if err != nil {
		t.Fatal(err)
	}
	j, err := os.ReadFile(jsonPath)
	if err != nil {
		t.Fatal(err)
	}
	var words Batch
	if err := json.Unmarshal(j, &words); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(h)), words
}
