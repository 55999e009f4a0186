package provenance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/provenance"
)

// entry is a month of 2026, of so many grams.
func entry(kind string, month time.Month, grams int) provenance.Entry {
	from := time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC)
	return provenance.Entry{Type: kind, From: from, To: from.AddDate(0, 1, 0), TakenAt: from.AddDate(0, 1, 2),
		Emissions: provenance.Amount{Value: json.Number(fmt.Sprintf("%d.%03d", grams/1000, grams%1000)), UnitCode: "KGM"}}
}

// process is a signed step with a result, as JSON has it.
func (w *world) process(t testing.TB, signer int, result any) []provenance.VerifiedStep {
	t.Helper()
	r := provenance.New(framework)
	r.Add(provenance.Process{Process: schemeURL + "/process/p", Extra: map[string]any{provenance.EmissionsResult: result}})
	if err := r.Sign(w.signer(signer)); err != nil {
		t.Fatal(err)
	}
	return w.verify(t, encode(t, r))
}

func TestCheckEmissions(t *testing.T) {
	w := newWorld(t)
	signed := []provenance.Entry{entry("electricity", 1, 502_410), entry("electricity", 2, 68), entry("gas", 1, 30_152)}
	steps := append(w.process(t, 0, provenance.SignedEmissions(signed[:2])), w.process(t, 0, provenance.SignedEmissions(signed[2:]))...)
	if got, want := string(steps[0].JSON), `"perseus-edge:result":[{"type":"electricity","from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z",`+
		`"takenAt":"2026-02-03T00:00:00Z","value":"502.410","unitCode":"KGM"},{`; !strings.Contains(got, want) {
		t.Errorf("the step is %s, want %s in it", got, want)
	}
	cases := []struct {
		name string
		do   func(data []provenance.Entry) []provenance.Entry
		want string // part of the error; empty: none
	}{
		{"as served", func(d []provenance.Entry) []provenance.Entry { return d }, ""},
		{"another order", func(d []provenance.Entry) []provenance.Entry { return []provenance.Entry{d[2], d[0], d[1]} }, ""},
		{"zeros that mean nothing", func(d []provenance.Entry) []provenance.Entry { d[0].Emissions.Value = "502.41"; return d }, ""},
		{"value changed", func(d []provenance.Entry) []provenance.Entry { d[0].Emissions.Value = "502.411"; return d },
			`"electricity" from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z: the answer says 502.411 KGM, signed is 502.410 KGM`},
		{"value of another power", func(d []provenance.Entry) []provenance.Entry { d[0].Emissions.Value = "50241.0"; return d }, "502.410"},
		{"value with a sign", func(d []provenance.Entry) []provenance.Entry { d[0].Emissions.Value = "-502.410"; return d }, "502.410"},
		{"value empty", func(d []provenance.Entry) []provenance.Entry { d[0].Emissions.Value = ""; return d }, "502.410"},
		{"unit", func(d []provenance.Entry) []provenance.Entry { d[1].Emissions.UnitCode = "TNE"; return d }, "0.068 TNE"},
		{"kind", func(d []provenance.Entry) []provenance.Entry { d[1].Type = "gas"; return d }, `"gas" from 2026-02-01T00:00:00Z`},
		{"month", func(d []provenance.Entry) []provenance.Entry { d[1].From = d[1].From.AddDate(0, -2, 0); return d }, "not in the signed record"},
		{"end", func(d []provenance.Entry) []provenance.Entry { d[1].To = d[1].To.AddDate(0, 1, 0); return d }, "not in the signed record"},
		{"a fraction of a second", func(d []provenance.Entry) []provenance.Entry { d[1].From = d[1].From.Add(1); return d }, "not in the signed record"},
		{"taken at", func(d []provenance.Entry) []provenance.Entry { d[1].TakenAt = d[1].TakenAt.Add(time.Second); return d }, "taken at"},
		{"values swapped", func(d []provenance.Entry) []provenance.Entry {
			d[0].Emissions, d[1].Emissions = d[1].Emissions, d[0].Emissions
			return d
		}, "0.068"},
		{"one missing", func(d []provenance.Entry) []provenance.Entry { return d[:2] }, `"gas" from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z: signed, and not in the answer`},
		{"one twice", func(d []provenance.Entry) []provenance.Entry { return append(d, d[0]) }, "twice"},
		{"one more", func(d []provenance.Entry) []provenance.Entry { return append(d, entry("gas", 2, 1)) }, "not in the signed record"},
		{"none", func([]provenance.Entry) []provenance.Entry { return nil }, "not in the answer"},
	}
	for _, c := range cases {
		data := c.do(append([]provenance.Entry{}, signed...))
		switch err := provenance.CheckEmissions(steps, data); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// What is signed must be clear: no figure signed twice, by two hands, or in a
// form of its own, and a record without figures proves none.
func TestCheckEmissionsOfDoubtfulRecords(t *testing.T) {
	w := newWorld(t)
	data := []provenance.Entry{entry("electricity", 1, 502_410)}
	good := w.process(t, 0, provenance.SignedEmissions(data))
	if err := provenance.CheckEmissions(good, data); err != nil {
		t.Fatal(err)
	}
	object := func(change func(m map[string]any)) []provenance.VerifiedStep {
		m := map[string]any{"type": "electricity", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z",
			"takenAt": "2026-02-03T00:00:00Z", "value": "502.410", "unitCode": "KGM"}
		change(m)
		return w.process(t, 0, []any{m})
	}
	for name, steps := range map[string][]provenance.VerifiedStep{
		"no steps":        nil,
		"no result":       w.process(t, 0, []any{}),
		"null":            w.process(t, 0, nil),
		"text":            w.process(t, 0, "502.410"),
		"numbers":         w.process(t, 0, []any{502.41}),
		"signed twice":    append(w.process(t, 0, provenance.SignedEmissions(data)), good...),
		"two hands":       append(w.process(t, 1, provenance.SignedEmissions([]provenance.Entry{entry("gas", 1, 1)})), good...),
		"value a number":  object(func(m map[string]any) { m["value"] = 502.41 }),
		"value of a name": object(func(m map[string]any) { delete(m, "value"); m["Value"] = "502.410" }),
		"one key more":    object(func(m map[string]any) { m["note"] = "x" }),
		"no unit":         object(func(m map[string]any) { delete(m, "unitCode") }),
		"no time":         object(func(m map[string]any) { m["from"] = "January" }),
	} {
		wanted := data
		if name == "two hands" {
			wanted = append(wanted, entry("gas", 1, 1))
		}
		if err := provenance.CheckEmissions(steps, wanted); err == nil {
			t.Errorf("%s: taken", name)
		}
		if err := provenance.CheckEmissions(steps, nil); err == nil {
			t.Errorf("%s, of an empty answer: taken", name)
		}
	}
}

// A property of that name in a step that is no process says nothing.
func TestOnlyAProcessHasFigures(t *testing.T) {
	w := newWorld(t)
	data := []provenance.Entry{entry("electricity", 1, 502_410)}
	r := provenance.New(framework)
	r.Add(provenance.Origin{SourceType: "s", Origin: "o", Extra: map[string]any{provenance.EmissionsResult: provenance.SignedEmissions(data)}})
	if err := r.Sign(w.signer(0)); err != nil {
		t.Fatal(err)
	}
	if err := provenance.CheckEmissions(w.verify(t, encode(t, r)), data); err == nil {
		t.Error("taken")
	}
}

// Of any answer, any one change of a digit is noticed, and the answer itself,
// through JSON and back, is not complained about.
func TestCheckEmissionsOfAnything(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		var data []provenance.Entry
		for _, kind := range []string{"electricity", "gas"} {
			for m := range rapid.IntRange(0, 12).Draw(rt, kind) {
				data = append(data, entry(kind, time.Month(1+m), rapid.IntRange(0, 5_000_000).Draw(rt, "grams")))
			}
		}
		if len(data) == 0 {
			return
		}
		steps := w.process(t, 0, provenance.SignedEmissions(data))
		wire, err := json.Marshal(data)
		if err != nil {
			rt.Fatal(err)
		}
		var got []provenance.Entry
		if err := json.Unmarshal(wire, &got); err != nil {
			rt.Fatal(err)
		}
		if err := provenance.CheckEmissions(steps, got); err != nil {
			rt.Fatal(err)
		}
		i := rapid.IntRange(0, len(got)-1).Draw(rt, "which")
		v := []byte(got[i].Emissions.Value)
		at := rapid.IntRange(0, len(v)-1).Draw(rt, "digit")
		if v[at] == '.' {
			at++
		}
		v[at] = '0' + (v[at]-'0'+byte(rapid.IntRange(1, 9).Draw(rt, "by")))%10
		got[i].Emissions.Value = json.Number(v)
		if err := provenance.CheckEmissions(steps, got); err == nil {
			rt.Fatalf("%s of %s was not noticed", v, data[i].Emissions.Value)
		}
	})
}

// Whatever a member signs as a result, the check does not fall over, and what
// it takes is what was signed, text for text.
func FuzzCheckEmissions(f *testing.F) {
	good, err := json.Marshal(provenance.SignedEmissions([]provenance.Entry{entry("electricity", 1, 502_410)}))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(good), `[]`, `null`, `[{"type":"gas"}]`, `[1,"x",[],{}]`, strings.Replace(string(good), "502.410", "1e999999999", 1)} {
		f.Add([]byte(s), "502.410")
	}
	f.Fuzz(func(t *testing.T, result []byte, value string) {
		d := json.NewDecoder(bytes.NewReader(result))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return
		}
		e := entry("electricity", 1, 0)
		e.Emissions.Value = json.Number(value)
		steps := []provenance.VerifiedStep{{Type: "process", Body: map[string]any{provenance.EmissionsResult: v}}}
		if err := provenance.CheckEmissions(steps, []provenance.Entry{e}); err == nil && !bytes.Contains(result, []byte(strings.TrimRight(strings.TrimRight(value, "0"), "."))) && json.Valid([]byte(value)) {
			t.Fatalf("%s was taken for %s", value, result)
		}
	})
}
