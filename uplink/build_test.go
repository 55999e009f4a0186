package uplink

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// hh is the i-th half-hour from noon; cumulative -1 is not known.
func hh(i int, wh, cumulative int64, q energy.Quality) energy.HalfHour {
	return energy.HalfHour{Start: noon.Add(time.Duration(i) * energy.Period), Energy: wh, Cumulative: cumulative, Quality: q,
		Evidence: energy.Evidence{Rule: energy.RuleBracketed}}
}

func TestRuns(t *testing.T) {
	const m, x = energy.Measured, energy.Missing
	type want struct {
		first            int
		n                int
		opening, closing int64
	}
	for name, c := range map[string]struct {
		in    []energy.HalfHour
		want  []want
		unfit int
	}{
		"nothing":           {nil, nil, 0},
		"one run":           {[]energy.HalfHour{hh(0, 5, 105, m), hh(1, 7, 112, m)}, []want{{0, 2, 100, 112}}, 0},
		"a hole":            {[]energy.HalfHour{hh(0, 5, 105, m), hh(2, 7, 112, m)}, []want{{0, 1, 100, 105}, {2, 1, 105, 112}}, 0},
		"missing inside":    {[]energy.HalfHour{hh(0, 5, 105, m), hh(1, 0, -1, x), hh(2, 7, 150, m)}, []want{{0, 3, 100, 150}}, 0},
		"missing at ends":   {[]energy.HalfHour{hh(0, 9, 9, x), hh(1, 5, 105, m), hh(2, 0, 9, x)}, []want{{0, 3, -1, -1}}, 0},
		"imported":          {[]energy.HalfHour{hh(0, 5, -1, m), hh(1, 7, -1, m)}, []want{{0, 2, -1, -1}}, 0},
		"imported, then on": {[]energy.HalfHour{hh(0, 5, -1, m), hh(1, 7, 107, m)}, []want{{0, 1, -1, -1}, {1, 1, 100, 107}}, 0},
		"wrapped":           {[]energy.HalfHour{hh(0, 5, 995, m), hh(1, 10, 5, m), hh(2, 1, 6, m)}, []want{{0, 1, 990, 995}, {1, 2, -1, 6}}, 0},
		"reset":             {[]energy.HalfHour{hh(0, 5, 995, m), hh(1, 10, 500, m)}, []want{{0, 1, 990, 995}, {1, 1, 490, 500}}, 0},
		"reset unseen":      {[]energy.HalfHour{hh(0, 5, 995, m), hh(1, 0, -1, x), hh(2, 10, 500, m)}, []want{{0, 2, 990, -1}, {2, 1, 490, 500}}, 0},
		"absurd":            {[]energy.HalfHour{hh(0, 5, 105, m), hh(1, batch.MaxEnergy+1, -1, m), hh(2, -1, -1, m), hh(3, 7, 112, m)}, []want{{0, 1, 100, 105}, {3, 1, 105, 112}}, 2},
		"huge register":     {[]energy.HalfHour{hh(0, 5, batch.MaxRegister+1, m)}, []want{{0, 1, -1, -1}}, 0},
	} {
		unfit := 0
		var got []want
		for _, run := range runs(c.in, &unfit) {
			s := series(mainImport, run)
			got = append(got, want{int(s.First.Sub(noon) / energy.Period), len(s.Values), s.Opening, s.Closing})
			if run[0].Quality == x && s.Values[0].Energy != 0 {
				t.Errorf("%s: a missing half-hour has an energy", name)
			}
		}
		if !reflect.DeepEqual(got, c.want) || unfit != c.unfit {
			t.Errorf("%s: got %v, %d unfit; want %v, %d", name, got, unfit, c.want, c.unfit)
		}
	}
}

// All that a batch says of a half-hour is what the store says of it.
func TestSeriesCarriesTheEvidence(t *testing.T) {
	a, b, c := hh(0, 5, 105, energy.Interpolated), hh(1, 7, 112, energy.Substituted), hh(2, 9, -1, energy.Missing)
	a.Evidence.Rule, a.Flags = energy.RuleInterpolate, energy.Flags(0).With(5).With(20)
	b.Evidence.Rule = energy.RuleLinear
	c.Evidence.Rule, c.Flags = energy.RuleNone, energy.Flags(0).With(17)
	got := series(mainImport, []energy.HalfHour{a, b, c}).Values
	want := []batch.Value{
		{Energy: 5, Quality: energy.Interpolated, Rule: energy.RuleInterpolate, Flags: 1<<4 | 1<<19},
		{Energy: 7, Quality: energy.Substituted, Rule: energy.RuleLinear},
		{Quality: energy.Missing, Flags: 1 << 16},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// windows says of every half-hour what Grant.Allows says of it.
func TestWindowsAgreeWithAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var gs []grant.Grant
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return noon.Add(time.Duration(rapid.IntRange(-40, 40).Draw(t, "quarter")) * 15 * time.Minute)
		})
		for range rapid.IntRange(0, 5).Draw(t, "grants") {
			g := grant.Grant{From: moment.Draw(t, "from"), Granted: moment.Draw(t, "granted"), Expires: moment.Draw(t, "expires")}
			if rapid.IntRange(0, 4).Draw(t, "withdrawn") == 0 {
				g.Revoked = noon
			}
			for _, k := range []energy.Key{mainImport, gas} {
				if rapid.Bool().Draw(t, "covers") {
					g.Covers = append(g.Covers, grant.Cover{Meter: k.Meter, Measure: k.Measure})
				}
			}
			gs = append(gs, g)
		}
		now := moment.Draw(t, "now")
		ws := windows(gs, now, mainImport)
		for i := -30; i < 30; i++ {
			at, in := noon.Add(time.Duration(i)*energy.Period), false
			for _, w := range ws {
				in = in || !at.Before(w.from) && at.Before(w.to)
			}
			if in != allows(gs, now, mainImport, at) {
				t.Fatalf("%v: window %v, allowed %v", at, in, !in)
			}
			b := &batch.Signed{Batch: batch.Batch{Series: []batch.Series{{Meter: "main", Measure: energy.Import, First: at, Values: make([]batch.Value, 2)}}}}
			if both := in && allows(gs, now, mainImport, at.Add(energy.Period)); permitted(gs, now, b) != both {
				t.Fatalf("%v: two half-hours permitted %v, allowed %v", at, !both, both)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, want := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300} {
		p, firm := b.next(errCrash)
		if p < want*time.Second/2 || p > want*time.Second || firm != 0 {
			t.Errorf("pause %d is %v, want %v to %v", i, p, want*time.Second/2, want*time.Second)
		}
	}
	b.reset()
	if p, _ := b.next(errCrash); p > firstPause {
		t.Errorf("after a success %v", p)
	}
	if p, firm := b.next(&refusal{status: 503, after: 20 * time.Minute}); firm != 20*time.Minute || p < firm || p > 23*time.Minute {
		t.Errorf("asked for 20 min: %v, %v", p, firm)
	}
	for v, want := range map[string]time.Duration{"": 0, "90": 90 * time.Second, "-5": 0, "99999999": maxRetryAfter, "soon": 0,
		"Sun, 22 Nov 2026 12:02:00 GMT": 2 * time.Minute, "Sun, 22 Nov 2020 12:02:00 GMT": 0} {
		if got := retryAfter(v, noon); got != want {
			t.Errorf("Retry-After %q: %v, want %v", v, got, want)
		}
	}
}
