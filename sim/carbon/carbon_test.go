package carbon_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/sim/carbon"
)

var now = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

func get(t *testing.T, o carbon.Options, path string) (int, string) {
	t.Helper()
	o.Now = func() time.Time { return now }
	rec := httptest.NewRecorder()
	carbon.Handler(o).ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
	return rec.Code, rec.Body.String()
}

const hour = "/regional/intensity/2026-01-20T12:00Z/2026-01-20T13:00Z/postcode/RG41"

// The shapes of the real API, as its clients and issues show them.
func TestShapes(t *testing.T) {
	cases := []struct {
		name   string
		faults carbon.Faults
		path   string
		status int
		want   []string // in the body
		not    string
	}{
		{"object", carbon.Faults{}, hour, 200, []string{`{"data":{"regionid":`, `"postcode":"RG41","data":[{"from":"2026-01-20T12:00Z","to":"2026-01-20T12:30Z","intensity":{"forecast":`, `"index":"`, `"generationmix":[{"fuel":"gas","perc":`}, "13:00Z\",\"to"},
		{"array", carbon.Faults{Array: 1}, hour, 200, []string{`{"data":[{"regionid":`}, ""},
		{"empty", carbon.Faults{Empty: 1}, hour, 200, []string{`{}`}, "data"},
		{"error", carbon.Faults{Error: 1}, hour, 500, []string{`{"error":{"code":"500 Internal Server Error","message":"Requested resource not found."}}`}, ""},
		{"unavailable", carbon.Faults{Unavailable: 1}, hour, 503, []string{"<html>"}, ""},
		{"prior half-hour", carbon.Faults{PriorHalfHour: true}, hour, 200, []string{`"from":"2026-01-20T11:30Z"`}, `"from":"2026-01-20T12:30Z","to"x`},
		{"duplicate", carbon.Faults{Duplicate: 1}, hour, 200, []string{`"from":"2026-01-20T12:30Z"`}, ""},
		{"unknown outcode", carbon.Faults{}, strings.Replace(hour, "RG41", "W1", 1), 400, []string{`{"error":{"code":"400 Bad Request","message":"No postcode match can be found."}}`}, ""},
		{"full postcode", carbon.Faults{}, strings.Replace(hour, "RG41", "RG411AA", 1), 400, []string{"No postcode match"}, ""},
		{"24 hours on", carbon.Faults{}, "/regional/intensity/2026-01-20T12:00Z/fw24h/postcode/RG41", 200, []string{`"to":"2026-01-21T12:00Z"`}, ""},
		{"24 hours back", carbon.Faults{}, "/regional/intensity/2026-01-20T12:00Z/pt24h/postcode/RG41", 200, []string{`"from":"2026-01-19T12:00Z"`}, ""},
		{"15 days", carbon.Faults{}, "/regional/intensity/2026-01-01T12:00Z/2026-01-16T12:00Z/postcode/RG41", 400, []string{"14 days"}, ""},
		{"no time", carbon.Faults{}, "/regional/intensity/today/fw24h/postcode/RG41", 400, []string{"ISO8601"}, ""},
		{"across the year", carbon.Faults{YearEnd: true}, "/regional/intensity/2025-12-31T23:00Z/2026-01-01T01:00Z/postcode/RG41", 200, []string{`"from":"2025-12-31T23:30Z"`}, `"from":"2026`},
		{"before the records", carbon.Faults{}, "/regional/intensity/2018-01-01T00:00Z/2018-01-02T00:00Z/postcode/RG41", 200, []string{"{}"}, "data"},
		{"far ahead", carbon.Faults{}, "/regional/intensity/2026-04-01T00:00Z/2026-04-02T00:00Z/postcode/RG41", 200, []string{"{}"}, "data"},
		{"elsewhere", carbon.Faults{}, "/nothing", 500, []string{"Requested resource not found."}, ""},
	}
	for _, c := range cases {
		status, body := get(t, carbon.Options{Faults: c.faults}, c.path)
		if status != c.status {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
		for _, w := range c.want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: no %s in %s", c.name, w, body)
			}
		}
		if c.not != "" && strings.Contains(body, c.not) {
			t.Errorf("%s: %s in %s", c.name, c.not, body)
		}
	}
	if _, body := get(t, carbon.Options{Faults: carbon.Faults{Broken: 1}}, hour); json.Valid([]byte(body)) {
		t.Errorf("the broken answer is whole: %s", body)
	}
	if _, body := get(t, carbon.Options{Faults: carbon.Faults{Duplicate: 1}}, hour); strings.Count(body, `"from":"2026-01-20T12:30Z"`) != 2 {
		t.Errorf("no duplicate in %s", body)
	}
}

func TestSlow(t *testing.T) {
	var waited time.Duration
	o := carbon.Options{Faults: carbon.Faults{Slow: 1, Delay: time.Minute}, Wait: func(d time.Duration) { waited += d }}
	if status, _ := get(t, o, hour); status != 200 || waited != time.Minute {
		t.Errorf("%d after %s", status, waited)
	}
}

// The numbers are believable and always the same.
func TestIntensity(t *testing.T) {
	mean := func(from time.Time, days, h int) (sum int64) {
		for d := range days {
			sum += carbon.Intensity("SW8", from.AddDate(0, 0, d).Add(time.Duration(h)*time.Hour))
		}
		return sum / int64(days)
	}
	january, july := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC)
	if evening, night := mean(january, 31, 18), mean(january, 31, 3); evening <= night {
		t.Errorf("January: %d in the evening, %d at night", evening, night)
	}
	if winter, summer := mean(january, 31, 13), mean(july, 31, 13); winter <= summer {
		t.Errorf("at noon: %d in January, %d in July", winter, summer)
	}
	seen := map[int64]bool{}
	for at := january; at.Year() == 2026; at = at.Add(30 * time.Minute) {
		g := carbon.Intensity("sw8", at)
		if g < 5 || g > 600 || g != carbon.Intensity("SW8", at) {
			t.Fatalf("%s: %d", at, g)
		}
		seen[g] = true
	}
	if len(seen) < 100 {
		t.Errorf("only %d different values in a year", len(seen))
	}
	if carbon.Intensity("SW8", january) == carbon.Intensity("IV2", january) {
		t.Error("London and Inverness have the same intensity")
	}
}

// The same seed, the same faults.
func TestSeed(t *testing.T) {
	run := func(seed uint64) (out string) {
		o := carbon.Options{Faults: carbon.Faults{Error: 0.5}, Seed: seed, Now: func() time.Time { return now }}
		h := carbon.Handler(o)
		for range 40 {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest("GET", hour, nil))
			out += string(rune('0' + rec.Code/100))
		}
		return out
	}
	if first, again := run(1), run(1); first != again || run(1) == run(2) || !strings.Contains(run(1), "2") || !strings.Contains(run(1), "5") {
		t.Errorf("%s, %s, %s", run(1), run(1), run(2))
	}
}
