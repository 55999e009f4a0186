package provenance

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
)

// asServed is a record's origin of two half-hours, as a check finds it.
func asServed(t testing.TB, data []HalfHour, change func(body map[string]any)) []VerifiedStep {
	t.Helper()
	raw, err := json.Marshal(map[string]any{
		"origin": "https://directory.example/g/1", HalfHoursSHA256: HashHalfHours(data),
		"perseus:scheme":    map[string]any{"meteringPeriod": map[string]any{"from": "2026-03-02T00:00:00Z", "to": "2026-03-02T01:00:00Z"}},
		"perseus:assurance": map[string]any{"missingData": "https://r.example/assurance/missing-data/Complete", "originMethod": "https://r.example/assurance/origin-method/Exact"},
		HalfHoursQualities:  []QualityRun{{2, energy.Measured, energy.RuleBracketed}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := strictJSON(raw, &body); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(body)
	}
	return []VerifiedStep{{ID: "o", Type: "origin", Body: body, Signed: Signature{Peer: identity.Peer{Application: "https://directory.example/a/relay"}}}}
}

func twoHalfHours() []HalfHour {
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	var out []HalfHour
	for i := range 2 {
		from := at.Add(time.Duration(i) * energy.Period)
		out = append(out, HalfHour{Type: "electricity", From: from, To: from.Add(energy.Period), TakenAt: from.Add(energy.Period + time.Second), Energy: Amount{"5", "WHR"}})
	}
	return out
}

// The assurance terms are what the qualities make them, and every other thing
// that a dishonest or broken answer may have is named.
func TestCheckConsumptionRefuses(t *testing.T) {
	runs := func(q ...string) func(map[string]any) {
		return func(b map[string]any) {
			list := []any{}
			for _, r := range q {
				list = append(list, r)
			}
			b[HalfHoursQualities] = list
		}
	}
	for name, c := range map[string]struct {
		data   func(d []HalfHour) []HalfHour
		change func(b map[string]any)
		want   string // "": good
	}{
		"good":                           {},
		"in kWh":                         {data: func(d []HalfHour) []HalfHour { d[0].Energy = Amount{"0.005", "KWH"}; return d }},
		"an estimate passed as measured": {change: runs("1,measured,1", "1,estimated,3"), want: `originMethod "Exact", the qualities of the half-hours make it "Derived"`},
		"a substitute passed as read":    {change: runs("1,measured,1", "1,substituted,8"), want: "the qualities"},
		"a hole passed as complete":      {data: func(d []HalfHour) []HalfHour { return d[:1] }, change: runs("1,measured,1"), want: `missingData "Complete", the qualities of the half-hours make it "Missing"`},
		"fewer qualities":                {change: runs("1,measured,1"), want: "qualities of 1 half-hours"},
		"more qualities":                 {change: runs("999999999,measured,1"), want: "the answer has 2"},
		"a quality that is none":         {change: runs("2,good,1"), want: "not of the form"},
		"a fraction of a watt hour":      {data: func(d []HalfHour) []HalfHour { d[0].Energy.Value = "0.5"; return d }, want: "whole number"},
		"a unit that is none":            {data: func(d []HalfHour) []HalfHour { d[0].Energy.UnitCode = "XXX"; return d }, want: "not an amount"},
		"less than nothing":              {data: func(d []HalfHour) []HalfHour { d[0].Energy.Value = "-5"; return d }, want: "whole number"},
		"an hour":                        {data: func(d []HalfHour) []HalfHour { d[0].To = d[0].To.Add(energy.Period); return d[:1] }, want: "not a half-hour"},
		"out of order":                   {data: func(d []HalfHour) []HalfHour { d[0], d[1] = d[1], d[0]; return d }, want: "out of order"},
		"outside the window": {data: func(d []HalfHour) []HalfHour {
			d[1].From, d[1].To = d[1].From.AddDate(0, 0, 1), d[1].To.AddDate(0, 0, 1)
			return d
		}, want: "outside the window"},
		"of two kinds": {data: func(d []HalfHour) []HalfHour { d[1].Type = "gas"; return d }, want: "of another kind"},
		"no window":    {change: func(b map[string]any) { delete(b, "perseus:scheme") }, want: "no metering period"},
		"no hash":      {change: func(b map[string]any) { delete(b, HalfHoursSHA256) }, want: "0 origins"},
		"a statement that is not there": {change: func(b map[string]any) {
			b[HalfHoursStatements] = []any{map[string]any{"statement": "x", "proof": []any{}}}
		}, want: "not in the record"},
		"proofs that are none": {change: func(b map[string]any) { b[HalfHoursStatements] = "x" }, want: HalfHoursStatements},
	} {
		data := twoHalfHours()
		if c.data != nil {
			data = c.data(data)
		}
		got, err := CheckConsumption(asServed(t, data, c.change), data)
		if c.want == "" && (err != nil || got.Served != len(data) || got.Stated != 0 || len(got.Unstated) != 1) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v, want %q", name, got, err, c.want)
		}
	}
}

// Whatever an answer and its record hold, the check neither panics nor takes
// more as stated than was served.
func FuzzCheckConsumption(f *testing.F) {
	good, _ := json.Marshal(twoHalfHours())
	f.Add(good, `["2,measured,1"]`, `[]`)
	f.Add(good, `["1,measured,1","1,estimated,3"]`, `[{"statement":"o","proof":["open:11:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]}]`)
	f.Add([]byte(`[{"from":"2026-03-02T00:00:00Z","to":"2026-03-02T00:30:00Z","energy":{"value":1e400,"unitCode":"WHR"}}]`), `null`, `{}`)
	f.Fuzz(func(t *testing.T, raw []byte, qualities, proofs string) {
		var data []HalfHour
		if json.Unmarshal(raw, &data) != nil {
			return
		}
		var q, p any
		if strictJSON([]byte(qualities), &q) != nil || strictJSON([]byte(proofs), &p) != nil {
			return
		}
		got, err := CheckConsumption(asServed(t, data, func(b map[string]any) { b[HalfHoursQualities], b[HalfHoursStatements] = q, p }), data)
		if got.Stated > got.Served || got.Stated > 0 && err == nil {
			t.Fatalf("%+v: nobody stated anything", got)
		}
	})
}
