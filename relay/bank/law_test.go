package bank_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/provenance"
	"github.com/perseus-edge/perseus-edge/relay/emissions"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/uplink/month"
)

// Law 5: whatever a bank asks and whenever, each entry is one whole calendar
// month that ended before now and lies within the permission, and nothing in
// the answer, the provenance record included, speaks of a time within a month
// that the readings are of, or of an amount of energy.
func TestOnlyWholeMonths(t *testing.T) {
	outer := newWorld(t)
	by := outer.signing.Signing(gateway, "Ops Ltd", "https://directory.example/m/ops")
	outer.statements = func(_ context.Context, _ string, keys []energy.Key, from, to time.Time) (out []ingest.MonthRoot, err error) {
		for m := month.Of(from); m.Start.Before(to); m = m.Next() {
			out = append(out, outer.state(by, keys[0], m, m.End(), 1))
		}
		return out, nil
	}
	delivered := 0
	inner := regexp.MustCompile(`"(energy|value|halfHours|qualities|consumption|WHR|KWH|measured|estimated)"`)
	finer := regexp.MustCompile(`\d{4}-\d{2}-|:\d{2}|half`) // days, times of day
	rapid.Check(t, func(t *rapid.T) {
		w := outer
		w.asked = nil
		w.now = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 400*24*60).Draw(t, "now")) * time.Minute)
		w.access.From = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 300*48).Draw(t, "permission")) * energy.Period)
		w.access.Expires = w.now.Add(time.Duration(rapid.IntRange(1, 300*48).Draw(t, "expires")) * energy.Period)
		moment := rapid.Custom(func(t *rapid.T) string {
			at := time.Date(2024, time.Month(rapid.IntRange(1, 40).Draw(t, "month")), 1, 0, 0, 0, 0, time.UTC)
			switch rapid.IntRange(0, 5).Draw(t, "shift") {
			case 0:
				at = at.Add(time.Duration(rapid.IntRange(-60*48, 60*48).Draw(t, "half-hours")) * energy.Period)
			case 1:
				return at.Format(time.DateOnly)
			case 2:
				return at.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "ns"))).Format(time.RFC3339Nano)
			case 3:
				return rapid.StringMatching(`[-0-9T:Z. ]{0,24}`).Draw(t, "text")
			}
			return at.Format(time.RFC3339)
		})
		q := url.Values{}
		for _, name := range []string{"from", "to"} {
			for range rapid.SampledFrom([]int{1, 1, 1, 0, 2}).Draw(t, name+"s") {
				q.Add(name, moment.Draw(t, name))
			}
		}
		rec := w.get("?" + q.Encode())
		switch rec.Code {
		case 400, 202:
			return
		case 404:
			if finer.MatchString(rec.Body.String()) {
				t.Fatalf("%s: a month that cannot be had tells more than months: %s", q, rec.Body)
			}
			return
		case 200:
		default:
			t.Fatalf("%s: %d %s", q, rec.Code, rec.Body)
		}
		delivered++
		var r report
		if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Data {
			from, err1 := time.Parse(time.RFC3339, d.From)
			to, err2 := time.Parse(time.RFC3339, d.To)
			m := emissions.MonthOf(from)
			if err1 != nil || err2 != nil || !from.Equal(m.Start()) || !to.Equal(m.End()) {
				t.Fatalf("%s gave %s to %s", q, d.From, d.To)
			}
			if to.After(w.now) || from.Before(w.access.From) || to.After(w.access.Expires) {
				t.Fatalf("%s at %s under a permission from %s to %s gave %s", q, w.now, w.access.From, w.access.Expires, d.From)
			}
		}
		record, err := provenance.Parse(w.scheme.TrustFramework(), r.Provenance)
		if err != nil {
			t.Fatal(err)
		}
		steps, err := record.Verify(provenance.Verifier{Roots: w.signing.SigningCA.Pool(), Now: func() time.Time { return w.now }})
		if err != nil {
			t.Fatal(err)
		}
		if err := provenance.CheckEmissions(steps, r.entries(t)); err != nil { // it knows no key but those of the answer
			t.Fatal(err)
		}
		for _, s := range steps {
			body := maps.Clone(s.Body)
			delete(body, "perseus-edge:factors")     // the government's, of a year
			delete(body, provenance.EmissionsResult) // the months themselves, as served: checked next
			text, err := json.Marshal(body)
			if err != nil || inner.Match(text) {
				t.Fatalf("a step says too much: %s, %v", s.JSON, err)
			}
			for _, span := range spans(s.Body) {
				if at, err := time.Parse(time.RFC3339, span); err != nil || !at.Equal(emissions.MonthOf(at).Start()) {
					t.Fatalf("a step speaks of %s: %s", span, s.JSON)
				}
			}
		}
	})
	if delivered == 0 {
		t.Error("no request was answered with data: the test shows nothing")
	}
}

// spans finds every "from" and "to" in a step that is a time.
func spans(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if s, ok := x.(string); ok && (k == "from" || k == "to" && !strings.HasPrefix(s, "https:")) {
				out = append(out, s)
			}
			out = append(out, spans(x)...)
		}
	case []any:
		for _, x := range v {
			out = append(out, spans(x)...)
		}
	}
	return out
}
