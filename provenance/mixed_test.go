package provenance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// The amounts of half-hours go into their hash in base units, which electricity
// and gas both have: what they are of is signed too.
func TestTypeAndUnitCannotBeChanged(t *testing.T) {
	gas := func(d []HalfHour) []HalfHour {
		for i := range d {
			d[i].Type, d[i].Energy = "gas", Amount{"0.005", "MTQ"}
		}
		return d
	}
	for name, c := range map[string]struct {
		signed string
		data   []HalfHour
		want   string
	}{
		"good":                              {"electricity", twoHalfHours(), ""},
		"before there was a type":           {"", twoHalfHours(), ""},
		"gas":                               {"gas", gas(twoHalfHours()), ""},
		"electricity passed as gas":         {"electricity", gas(twoHalfHours()), "the answer is of gas"},
		"gas passed as electricity":         {"gas", twoHalfHours(), "the answer is of electricity"},
		"electricity in litres":             {"electricity", func() []HalfHour { d := twoHalfHours(); d[0].Energy = Amount{"0.005", "MTQ"}; return d }(), "in MTQ"},
		"gas in watt hours":                 {"gas", func() []HalfHour { d := gas(twoHalfHours()); d[0].Energy = Amount{"5", "WHR"}; return d }(), "in WHR"},
		"a register in litres":              {"electricity", func() []HalfHour { d := twoHalfHours(); d[0].Cumulative = &Amount{"1", "MTQ"}; return d }(), "in WHR"},
		"something that is not on the list": {"", func() []HalfHour { d := twoHalfHours(); d[0].Type, d[1].Type = "water", "water"; return d }(), "water"},
	} {
		_, err := CheckConsumption(asServed(t, c.data, func(b map[string]any) {
			if c.signed != "" {
				b[HalfHoursType] = c.signed
			}
		}), c.data)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A dishonest relay puts an answer together from half-hours of two meters, each
// of which its gateway did sign.
func TestHalfHoursOfTwoMeters(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	data := twoHalfHours()
	m := month.Of(data[0].From)
	data[1].Energy.Value = "6"
	values := make([][]month.Value, 2)
	steps := asServed(t, data, nil)
	steps[0].Signed.Serial = big.NewInt(1)
	var proofs []any
	state := func(meter string, energyOf [2]int64, open int) string {
		v := make([]month.Value, m.HalfHours())
		for i := range energyOf {
			place, _ := m.Place(data[i].From)
			v[place] = month.Value{Present: true, Energy: energyOf[i], Cumulative: -1, Quality: energy.Measured, Rule: energy.RuleBracketed}
		}
		values = append(values, v)
		seed := month.NewSeed()
		st := month.Statement{Gateway: "https://directory.example/g/1", Meter: meter, Measure: energy.Import, Month: m,
			Spans: []month.Span{{From: m.Start, To: m.End()}}, Root: month.Root(seed, month.List(v))}
		signed, err := month.Sign(st, "https://registry.example/trust-framework", time.Now(), big.NewInt(7), key)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.URLEncoding.DecodeString(signed.Step)
		if err != nil {
			t.Fatal(err)
		}
		step := VerifiedStep{ID: meter, Type: month.StepType, JSON: raw, IncludedBy: []Signature{steps[0].Signed}}
		step.Signed.Application = st.Gateway
		steps = append(steps, step)
		place, _ := m.Place(data[open].From)
		proof := month.Whole(seed).Narrow(func(i int) bool { return i == place }, month.List(v))
		return strings.Join(proof.Text(), " ")
	}
	transfer := VerifiedStep{ID: "t", Type: "transfer", Signed: steps[0].Signed, Body: map[string]any{"of": "o", "parameters": map[string]any{"measure": "import"}}}
	for _, p := range [][2]string{{"one", state("one", [2]int64{5, 1}, 0)}, {"two", state("two", [2]int64{1, 6}, 1)}} {
		list := []any{}
		for _, n := range strings.Fields(p[1]) {
			list = append(list, n)
		}
		proofs = append(proofs, map[string]any{"statement": p[0], "proof": list})
	}
	steps = append(steps, transfer)
	steps[0].Body[HalfHoursStatements] = proofs
	if c, err := CheckConsumption(steps, data); err == nil || !strings.Contains(err.Error(), "one month has one") || c.Stated == 2 {
		t.Errorf("%+v, %v", c, err)
	}
	steps[0].Body[HalfHoursStatements] = proofs[:1]
	c, err := CheckConsumption(steps, data)
	if err != nil || c.Stated != 1 || !slices.Equal(c.Meters, []string{"one"}) {
		t.Errorf("one alone: %+v, %v", c, err)
	}
	// Whoever includes the record cannot change what it is of.
	later := transfer
	later.ID, later.Signed.Serial = "u", big.NewInt(99)
	later.Body = map[string]any{"of": "o", "parameters": map[string]any{"measure": "export"}}
	for range 20 { // the steps are looked through in any order
		if _, err := CheckConsumption(append(slices.Clone(steps), later), data); err != nil {
			t.Fatalf("a later hand's transfer: %v", err)
		}
	}
}
