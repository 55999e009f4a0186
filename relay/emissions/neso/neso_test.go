package neso

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestWindows(t *testing.T) {
	cases := []struct {
		name, from, to string
		want           []string // asked for
	}{
		{"one half-hour", "2026-03-01T12:00:00Z", "2026-03-01T12:30:00Z", []string{"2026-03-01T11:30Z/2026-03-01T13:00Z"}},
		{"nothing", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", nil},
		{"a month", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", []string{
			"2026-02-28T23:30Z/2026-03-14T23:30Z", "2026-03-14T22:30Z/2026-03-28T22:30Z", "2026-03-28T21:30Z/2026-04-01T00:30Z"}},
		{"up to the year's end", "2025-12-31T22:00:00Z", "2026-01-01T00:00:00Z", []string{"2025-12-31T21:30Z/2025-12-31T23:59Z"}},
		{"from the year's start", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", []string{"2026-01-01T00:01Z/2026-01-01T01:30Z"}},
		{"across the year's end", "2025-12-31T23:00:00Z", "2026-01-01T00:30:00Z", []string{
			"2025-12-31T22:30Z/2025-12-31T23:59Z", "2026-01-01T00:01Z/2026-01-01T01:00Z"}},
		{"ends one half-hour before the year", "2025-12-31T22:30:00Z", "2025-12-31T23:30:00Z", []string{"2025-12-31T22:00Z/2025-12-31T23:59Z"}},
	}
	for _, c := range cases {
		var got []string
		for _, w := range windows(at(c.from), at(c.to)) {
			got = append(got, stamp(w.askFrom)+"/"+stamp(w.askTo))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Windows cover exactly what is wanted, in order; none is longer than 14 days
// or crosses a UTC year.
func TestWindowsLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := at("2024-11-01T00:00:00Z").Add(time.Duration(rapid.IntRange(0, 20000).Draw(t, "from")) * period)
		to := from.Add(time.Duration(rapid.IntRange(1, 20000).Draw(t, "length")) * period)
		next := from
		for _, w := range windows(from, to) {
			if !w.from.Equal(next) || !w.to.After(w.from) {
				t.Fatalf("window %v after %v", w, next)
			}
			next = w.to
			if w.askTo.Sub(w.askFrom) > maxWindow || w.askFrom.Year() != w.askTo.Year() {
				t.Fatalf("asks for %s to %s", w.askFrom, w.askTo)
			}
			if w.askFrom.After(w.from.Add(time.Minute)) || w.askTo.Before(w.to.Add(-time.Minute)) {
				t.Fatalf("asks for %s to %s, needs %s to %s", w.askFrom, w.askTo, w.from, w.to)
			}
		}
		if !next.Equal(to) {
			t.Fatalf("ends at %s, want %s", next, to)
		}
	})
}

// good is one half-hour as the live API gives it.
const good = `{"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z","intensity":{"forecast":266,"index":"moderate"},"generationmix":[{"fuel":"gas","perc":43.6},{"fuel":"coal","perc":0.7}]}`

func TestDecode(t *testing.T) {
	region := func(records string) string {
		return `{"regionid":12,"dnoregion":"SSE South","shortname":"South England","postcode":"RG41","data":[` + records + `]}`
	}
	cases := []struct {
		name   string
		status int
		body   string
		want   int    // periods
		err    string // in the error; "": none
	}{
		{"object, live form", 200, `{"data":` + region(good) + `}`, 1, ""},
		{"array, documented form", 200, `{"data":[` + region(good) + `]}`, 1, ""},
		{"spaces", 200, "{\n  \"data\" :\n  [ " + region(good) + " ]\n}", 1, ""},
		{"nothing", 200, `{}`, 0, ""},
		{"empty array", 200, `{"data":[]}`, 0, ""},
		{"null", 200, `{"data":null}`, 0, ""},
		{"no records", 200, `{"data":` + region("") + `}`, 0, ""},
		{"two regions", 200, `{"data":[` + region(good) + `,` + region(good) + `]}`, 0, "several regions"},
		{"no value", 200, `{"data":` + region(strings.Replace(good, "266", "null", 1)+","+good) + `}`, 1, ""},
		{"value missing", 200, `{"data":` + region(strings.Replace(good, `"forecast":266,`, "", 1)) + `}`, 0, ""},
		{"value is text", 200, `{"data":` + region(strings.Replace(good, "266", `"266"`, 1)) + `}`, 0, ""},
		{"negative", 200, `{"data":` + region(strings.Replace(good, "266", "-1", 1)) + `}`, 0, ""},
		{"beyond any grid", 200, `{"data":` + region(strings.Replace(good, "266", "26600", 1)) + `}`, 0, ""},
		{"an hour long", 200, `{"data":` + region(strings.Replace(good, "12:30Z", "13:00Z", 1)) + `}`, 0, ""},
		{"off the half-hour", 200, `{"data":` + region(strings.NewReplacer("12:30Z", "12:45Z", "12:00Z", "12:15Z").Replace(good)) + `}`, 0, ""},
		{"seconds", 200, `{"data":` + region(strings.NewReplacer("12:30Z", "12:30:00Z", "12:00Z", "12:00:00Z").Replace(good)) + `}`, 1, ""},
		{"unknown postcode", 400, `{"error":{"code":"400 Bad Request","message":"No postcode match can be found."}}`, 0, "400: No postcode match"},
		{"error with status 200", 200, `{"error":{"code":"400 Bad Request","message":"No postcode match can be found."}}`, 0, "400: No postcode match"},
		{"server error", 500, `{"error":{"code":"500 Internal Server Error","message":"Requested resource not found."}}`, 0, "500: Requested resource"},
		{"error without a code", 502, `{"error":{"message":7}}`, 0, "502: 7"},
		{"page of a proxy", 503, `<html>`, 0, "503: no explanation"},
		{"page of a proxy with status 200", 200, `<html>`, 0, "not JSON"},
		{"cut off", 200, `{"data":` + region(good), 0, "not JSON"},
		{"status alone", 404, `{}`, 0, "404: no explanation"},
		{"other form", 200, `{"data":7}`, 0, "another form"},
	}
	for _, c := range cases {
		got, err := decode(c.status, []byte(c.body))
		if len(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v; want %d periods, error %q", c.name, got, err, c.want, c.err)
		}
		if len(got) == 1 && (got[0].GCO2 != 266 || !got[0].Start.Equal(at("2018-01-20T12:00:00Z"))) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(200, []byte(`{"data":{"regionid":12,"data":[`+good+`]}}`))
	f.Add(200, []byte(`{"data":[{"data":[`+good+`]}]}`))
	f.Add(400, []byte(`{"error":{"code":"400 Bad Request","message":"No postcode match can be found."}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		periods, err := decode(status, body)
		if err != nil && periods != nil {
			t.Error("both values and an error")
		}
		for _, p := range periods {
			if p.GCO2 < 0 || p.GCO2 > maxIntensity || !p.Start.Equal(p.Start.Truncate(period)) {
				t.Errorf("accepted %v", p)
			}
		}
	})
}
