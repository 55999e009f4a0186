package consumption

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
)

func TestHalfHours(t *testing.T) {
	at := func(minutes int) time.Time { return monday.Add(time.Duration(minutes) * time.Minute) }
	for _, c := range []struct{ from, to, want int }{
		{0, 60, 2}, {1, 60, 1}, {0, 59, 1}, {1, 59, 0}, {29, 31, 0}, {30, 60, 1}, {0, 1440, 48}, {10, 20, 0},
	} {
		if got := (window{at(c.from), at(c.to)}).halfHours(); got != c.want {
			t.Errorf("minutes %d to %d: %d half-hours, want %d", c.from, c.to, got, c.want)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip": true, "br,gzip;q=0.5": true, "gzip;q=0": false, "gzip; Q=0.000": false,
		"*": true, "*;q=0": false, "*, gzip;q=0": false, "identity": false, "gzip;q=x": false, "x-gzip": true, "*;q=0, gzip": true,
	} {
		h := http.Header{}
		if value != "" {
			h.Set("Accept-Encoding", value)
		}
		if got := acceptsGzip(h); got != want {
			t.Errorf("Accept-Encoding %q: %t", value, got)
		}
	}
}

func TestAssure(t *testing.T) {
	type part struct {
		n       int
		quality energy.Quality
		rule    energy.Rule
	}
	for _, c := range []struct {
		name                     string
		parts                    []part
		missing, method, derived string
	}{
		{"measured", []part{{48, energy.Measured, energy.RuleBracketed}}, "Complete", "Exact", ""},
		{"interpolated among measured", []part{{47, energy.Measured, energy.RuleBracketed}, {1, energy.Interpolated, energy.RuleInterpolate}}, "Complete", "Exact", ""},
		{"a spread among measured", []part{{47, energy.Measured, energy.RuleBracketed}, {1, energy.Estimated, energy.RuleSpread}}, "Complete", "Derived", "Other"},
		{"a substitute among measured", []part{{1, energy.Substituted, energy.RuleProfile}, {47, energy.Measured, energy.RuleBracketed}}, "Substituted", "Derived", "Other"},
		{"one is absent", []part{{47, energy.Measured, energy.RuleBracketed}}, "Missing", "Exact", ""},
		{"one is absent, one substituted", []part{{46, energy.Measured, energy.RuleBracketed}, {1, energy.Substituted, energy.RuleLinear}}, "Missing", "Derived", "Other"},
		{"a share by area", []part{{48, energy.Measured, energy.RuleShareArea}}, "Complete", "Derived", "AreaOccupied"},
		{"a share by occupants", []part{{48, energy.Interpolated, energy.RuleShareHeads}}, "Complete", "Derived", "NumberOfOccupants"},
		{"main less sub-meters", []part{{48, energy.Measured, energy.RuleDifference}}, "Complete", "Derived", "AdditionalMetering"},
		{"a share from some day on", []part{{24, energy.Measured, energy.RuleBracketed}, {24, energy.Measured, energy.RuleShareArea}}, "Complete", "Derived", "AreaOccupied"},
		{"one ground, then another", []part{{24, energy.Measured, energy.RuleShareHeads}, {24, energy.Measured, energy.RuleShareArea}}, "Complete", "Derived", "Other"},
		{"one ground, then another, then the first", []part{{24, energy.Measured, energy.RuleShareHeads}, {23, energy.Measured, energy.RuleShareArea},
			{1, energy.Measured, energy.RuleShareHeads}}, "Complete", "Derived", "Other"},
		{"an actual from a file", []part{{48, energy.Measured, energy.RuleImported}}, "Complete", "Exact", ""},
		{"an estimate from a file", []part{{48, energy.Estimated, energy.RuleImportedEst}}, "Complete", "Derived", "Other"},
		{"integrated power", []part{{48, energy.Estimated, energy.RulePower}}, "Complete", "Derived", "Other"},
		{"nothing known of the rule", []part{{48, energy.Measured, 99}}, "Complete", "Derived", "Other"},
	} {
		var got tally
		for _, p := range c.parts {
			for range p.n {
				got.add(ingest.Reading{Start: monday, Quality: p.quality, Rule: p.rule, Batch: 1})
			}
		}
		s := Summary{Expected: 48}
		s.assure(&got)
		if s.MissingData != c.missing || s.OriginMethod != c.method || s.Derived != c.derived {
			t.Errorf("%s: %s %s %s, want %s %s %s", c.name, s.MissingData, s.OriginMethod, s.Derived, c.missing, c.method, c.derived)
		}
	}
}

func TestTally(t *testing.T) {
	var got tally
	for _, b := range []uint64{3, 3, 4, 5, 4, 9, 2} {
		q := energy.Measured
		if b == 9 {
			q = energy.Estimated
		}
		got.add(ingest.Reading{Start: monday, Quality: q, Batch: b})
	}
	want := []Batches{{3, 5}, {9, 9}, {2, 2}}
	if got.present != 7 || got.worst != energy.Estimated || len(got.batches) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got.batches[i] != want[i] {
			t.Errorf("batches %v, want %v", got.batches, want)
		}
	}
}

func FuzzWindow(f *testing.F) {
	f.Add("2026-03-02", "2026-03-03T00:00:00Z")
	f.Add("2026-03-02T00:00:00.5Z", "")
	f.Add("9999-01-01", "0000-01-01")
	f.Add("2026-03-02T00:00:00+01:00", "x")
	f.Fuzz(func(t *testing.T, from, to string) {
		q := url.Values{"from": {from}}
		if to != "" {
			q.Set("to", to)
		}
		w, err := parseWindow(q, monday)
		if err != nil {
			return
		}
		if !w.from.Before(w.to) || w.from.Location() != time.UTC || w.to.Location() != time.UTC {
			t.Fatalf("%q %q: %v", from, to, w)
		}
		served := w.within(monday, monday.AddDate(1, 0, 0))
		if n := w.halfHours(); n < 0 || served.from.Before(served.to) && served.to.Sub(served.from) > time.Duration(n)*energy.Period {
			t.Fatalf("%q %q: %d half-hours, serves %v", from, to, n, served)
		}
	})
}
