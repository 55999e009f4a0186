package ingest

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/batch"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

const miss = -9 // a missing half-hour in the tables below

func values(es []int64) []batch.Value {
	var out []batch.Value
	for _, e := range es {
		if e == miss {
			out = append(out, batch.Value{})
			continue
		}
		out = append(out, batch.Value{Energy: e, Quality: energy.Measured, Rule: energy.RuleBracketed})
	}
	return out
}

func TestCumulative(t *testing.T) {
	for _, c := range []struct {
		name             string
		opening, closing int64
		energies, want   []int64
	}{
		{"both ends agree", 100, 106, []int64{1, 2, 3}, []int64{101, 103, 106}},
		{"opening only", 100, -1, []int64{1, 2, 3}, []int64{101, 103, 106}},
		{"closing only", -1, 106, []int64{1, 2, 3}, []int64{101, 103, 106}},
		{"neither", -1, -1, []int64{1, 2}, []int64{-1, -1}},
		{"a gap, known from both ends", 100, 120, []int64{1, 2, miss, 3, 4}, []int64{101, 103, 113, 116, 120}},
		{"two gaps", 100, 130, []int64{1, miss, 2, miss, 3}, []int64{101, -1, -1, 127, 130}},
		{"a gap, opening only", 100, -1, []int64{1, miss, 2}, []int64{101, -1, -1}},
		{"wrapped", 9990, 10, []int64{5, 5, 10}, []int64{-1, -1, 10}},
		{"wrapped before a gap's end", 9990, 10, []int64{5, miss, 5}, []int64{-1, -1, 10}},
		{"set back", 500, 3, []int64{1, 3}, []int64{-1, 3}},
		{"closing too small for the sum", -1, 4, []int64{3, 5}, []int64{-1, 4}},
		{"gap at the end", 100, 120, []int64{1, miss}, []int64{101, 120}},
		{"gap at the start", 100, 120, []int64{miss, 1}, []int64{119, 120}},
		{"register near its limit", 1<<63 - 3, -1, []int64{1, 5}, []int64{1<<63 - 2, -1}},
	} {
		s := batch.Series{Opening: c.opening, Closing: c.closing, Values: values(c.energies)}
		if got := cumulative(&s); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Law 1 as it shows here: wherever two neighbours are known, the register
// advances by exactly the energy of the second.
func TestCumulativeLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := batch.Series{
			Opening: rapid.Int64Range(-1, 1000).Draw(t, "opening"), Closing: rapid.Int64Range(-1, 2000).Draw(t, "closing"),
			Values: values(rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 50), rapid.Just(int64(miss))), 1, 12).Draw(t, "energies")),
		}
		got := cumulative(&s)
		for i, v := range s.Values {
			if got[i] < -1 {
				t.Fatalf("%v at %d", got, i)
			}
			if i > 0 && v.Quality != energy.Missing && got[i-1] >= 0 && got[i] >= 0 && got[i]-got[i-1] != v.Energy {
				t.Fatalf("register %d, then %d: not the energy %d", got[i-1], got[i], v.Energy)
			}
		}
		if s.Closing >= 0 && got[len(got)-1] != s.Closing {
			t.Fatalf("ends at %d, closing %d", got[len(got)-1], s.Closing)
		}
	})
}

func TestSlotsTakenAt(t *testing.T) {
	first := monday
	for _, c := range []struct {
		name           string
		made, received time.Duration // after the second half-hour's end
		want           [2]time.Duration
	}{
		{"made after", 20 * time.Second, 25 * time.Second, [2]time.Duration{20 * time.Second, 20 * time.Second}},
		{"made at its very end", 0, 2 * time.Second, [2]time.Duration{0, 2 * time.Second}},
		{"a clock that runs behind", -time.Hour, 3 * time.Second, [2]time.Duration{3 * time.Second, 3 * time.Second}},
		{"made and received at its very end", 0, 0, [2]time.Duration{0, time.Second}},
	} {
		end := first.Add(time.Hour)
		b := batch.Batch{Sequence: 1, Made: end.Add(c.made)}
		s := series(mainIn, first, 1, 2)
		got := slots(&b, &s, end.Add(c.received))
		for i, want := range c.want {
			to := first.Add(time.Duration(i+1) * energy.Period)
			at := time.Unix(got[i].taken, 0).UTC()
			if !at.Equal(end.Add(want)) || !at.After(to) {
				t.Errorf("%s: half-hour %d taken at %s, want %s", c.name, i, at, end.Add(want))
			}
		}
	}
}

func TestCheckTimes(t *testing.T) {
	now := monday.Add(10 * time.Hour)
	for _, c := range []struct {
		name  string
		made  time.Time
		first time.Time
		ok    bool
	}{
		{"just over", now, now.Add(-time.Hour), true},
		{"not over yet", now.Add(-time.Minute), now.Add(-30 * time.Minute), false},
		{"a clock a little ahead", now.Add(4 * time.Minute), now.Add(-time.Hour), true},
		{"a clock far ahead", now.Add(6 * time.Minute), now.Add(-time.Hour), false},
		{"a clock far behind", now.AddDate(0, 0, -3), now.Add(-time.Hour), true},
		{"a backlog", now.AddDate(0, 0, -30), now.AddDate(0, 0, -31), true},
	} {
		b := batch.Batch{Made: c.made, Series: []batch.Series{series(mainIn, c.first, 1, 1)}}
		if err := checkTimes(&b, now); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestUncovered(t *testing.T) {
	now := monday.AddDate(0, 1, 0)
	export := energy.Key{Meter: "main", Measure: energy.Export}
	withdrawn := grantFor("w", monday, mainIn)
	withdrawn.Revoked = now.Add(-time.Second)
	ended := grantFor("e", monday, mainIn)
	ended.Expires = now
	two := batch.Batch{Series: []batch.Series{series(mainIn, monday, 1, 2)}}
	missing := batch.Batch{Series: []batch.Series{{Meter: "main", Measure: energy.Export, First: monday, Values: make([]batch.Value, 1)}}}
	stated := batch.Batch{Baseline: []batch.Statement{{Meter: "main", Measure: energy.Import, At: monday.Add(time.Second)}}}
	for _, c := range []struct {
		name string
		b    batch.Batch
		live []grant.Grant
		ok   bool
	}{
		{"covered", two, []grant.Grant{grantFor("g", monday, mainIn)}, true},
		{"no grant", two, nil, false},
		{"withdrawn", two, []grant.Grant{withdrawn}, false},
		{"ended", two, []grant.Grant{ended}, false},
		{"another measure", two, []grant.Grant{grantFor("g", monday, export)}, false},
		{"another meter", two, []grant.Grant{grantFor("g", monday, energy.Key{Meter: "other", Measure: energy.Import})}, false},
		{"one half-hour too early", two, []grant.Grant{grantFor("g", monday.Add(time.Minute), mainIn)}, false},
		{"two grants together", batch.Batch{Series: append(slices.Clone(two.Series), series(export, monday, 4))},
			[]grant.Grant{grantFor("g", monday, mainIn), grantFor("h", monday, export)}, true},
		{"a missing half-hour", missing, []grant.Grant{grantFor("g", monday, mainIn)}, false},
		{"a statement", stated, []grant.Grant{grantFor("g", monday, mainIn)}, true},
		{"a statement without a grant", stated, []grant.Grant{grantFor("g", monday, export)}, false},
	} {
		if _, _, found := uncovered(&c.b, c.live, now); found == c.ok {
			t.Errorf("%s: uncovered %t", c.name, found)
		}
	}
}
