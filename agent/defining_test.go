package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
)

// shared is a virtual meter that has a share of another one.
func shared(id, of string, shares ...config.Share) config.Meter {
	return config.Meter{ID: id, Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Of: of, Method: virtual.AreaOccupied, Shares: shares}}
}

func part(num, den int64) config.Share { return config.Share{Part: virtual.Part{Num: num, Den: den}} }

// What a virtual meter is made of is stated when it begins, whenever it changes
// and when it ends, so that its half-hours can be made again by somebody who
// does not have the configurations of then. A restart states nothing anew.
func TestVirtualMetersAreStated(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)}, registers{curve(5000)})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		c.Meters = append(c.Meters, shared("tenant", "a", part(7, 20)), shared("landlord", "a", part(13, 20)))
		for range 2 {
			check(t, runFor(newAgent(t, f, c, s), 2*time.Hour+time.Minute))
		}
		c.Meters[2] = shared("tenant", "a", part(7, 20), config.Share{From: epoch.Add(24 * time.Hour), Part: virtual.Part{Num: 1, Den: 5}})
		for range 2 {
			check(t, runFor(newAgent(t, f, c, s), 2*time.Hour+time.Minute))
		}
		ends := time.Now().Truncate(energy.Period)
		c.Meters = c.Meters[:3]
		for range 2 {
			check(t, runFor(newAgent(t, f, c, s), 2*time.Hour+time.Minute))
		}
		const hour = time.Hour
		begins := epoch.Add(2 * time.Second) // the first commit
		want := []struct {
			meter   string
			kind    energy.StatementKind
			at      time.Time
			formula string
		}{
			{"tenant", energy.OpeningStatement, begins, "made of a: 7/20"},
			{"landlord", energy.OpeningStatement, begins, "made of a: 13/20; after 7/20"},
			{"tenant", energy.ConfigChangeStatement, epoch.Add(4*hour + 2*time.Minute), "made of a: 7/20, 1/5 from 2000-01-02T00:00:00Z"},
			{"landlord", energy.ConfigChangeStatement, epoch.Add(4*hour + 2*time.Minute), "made of a: 13/20; after 7/20, 1/5 from 2000-01-02T00:00:00Z"},
			{"landlord", energy.ClosingStatement, ends, "made of a: 13/20; after 7/20, 1/5 from 2000-01-02T00:00:00Z"},
		}
		made := []energy.Statement{}
		for _, st := range statements(t, s) {
			if st.Made() {
				made = append(made, st)
			}
		}
		if len(made) != len(want) {
			t.Fatalf("%d statements: %+v", len(made), made)
		}
		for i, st := range made {
			w := want[i]
			if st.Meter != w.meter || st.Kind != w.kind || !st.At().Equal(w.at) || st.Register != w.formula || st.Method != "share-area" || (st.Previous == "") != (st.Kind == energy.OpeningStatement) {
				t.Errorf("%+v, not %+v", st, w)
			}
		}
		if end := made[4].Closing; end.Value == 0 || end.Quality != energy.Measured {
			t.Errorf("%+v", end)
		}
		check(t, s.Close())
	})
}

// A meter hangs on the wall, is made out of another one for a while, and hangs
// there again. What it counted stands, each change is stated in one chain, and
// nothing is counted over the time in which it was not read.
func TestRealThenVirtualThenReal(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)}, registers{curve(5000)})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		real := c.Meters[1]
		check(t, runFor(newAgent(t, f, c, s), 3*time.Hour+time.Minute))
		counted := halfHours(t, s, key("b"))
		c.Meters[1] = shared("b", "a", part(1, 4))
		check(t, runFor(newAgent(t, f, c, s), 3*time.Hour))
		for i, h := range halfHours(t, s, key("b")) {
			switch {
			case i < len(counted) && h != counted[i]:
				t.Errorf("counted, and now %+v", h)
			case i >= len(counted) && (h.Evidence.Rule != energy.RuleShareArea || h.Quality != energy.Measured):
				t.Errorf("%+v", h)
			}
		}
		made := halfHours(t, s, key("b"))
		c.Meters[1] = real
		check(t, runFor(newAgent(t, f, c, s), 3*time.Hour))
		now := halfHours(t, s, key("b"))
		for i, h := range now {
			switch {
			case i < len(made) && h != made[i]:
				t.Errorf("made, and now %+v", h)
			case i > len(made) && (h.Evidence.Rule != energy.RuleBracketed || h.Energy > 5000):
				t.Errorf("%+v", h)
			}
		}
		if len(counted) < 5 || len(made) < len(counted)+5 || len(now) < len(made)+4 {
			t.Errorf("%d, %d, %d half-hours", len(counted), len(made), len(now))
		}
		var kinds []energy.StatementKind
		for _, st := range statements(t, s) {
			if len(kinds) == 1 && st.Meter == "b" && st.Note != "made of other meters from here on" {
				t.Errorf("closed as %q", st.Note)
			}
			if st.Meter == "b" {
				kinds = append(kinds, st.Kind)
			}
		}
		if len(kinds) != 5 || kinds[0] != energy.OpeningStatement || kinds[1] != energy.ClosingStatement || kinds[2] != energy.OpeningStatement || kinds[3] != energy.ClosingStatement || kinds[4] != energy.OpeningStatement {
			t.Errorf("%v", kinds)
		}
		check(t, s.Close())
	})
}

// A virtual half-hour that never had a value is missing, not withdrawn: nobody
// was told of one.
func TestVirtualThatWasNeverKnown(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)}, registers{func(at time.Time) (int64, error) {
			if at.Before(epoch.Add(3*time.Hour + 10*time.Minute)) {
				return 5_000_000 + int64(at.Sub(epoch)/time.Second), nil
			}
			return int64(at.Sub(epoch)/time.Second) - 11_000, nil // another meter, and nobody says so
		}})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		c.Meters = append(c.Meters, config.Meter{ID: "both", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Sum: []string{"a", "b"}}})
		check(t, runFor(newAgent(t, f, c, s), 6*time.Hour))
		missing := 0
		for _, h := range halfHours(t, s, key("both")) {
			if h.Quality == energy.Missing {
				if missing++; h.Evidence.Rule != energy.RuleNone {
					t.Errorf("%v: %s", h.Start, RuleName(h.Evidence.Rule))
				}
			}
		}
		if missing != 1 {
			t.Errorf("%d are missing", missing)
		}
		check(t, s.Close())
	})
}

// What is stated to be made of others is not taken from a file.
func TestNothingIsImportedIntoAVirtualMeter(t *testing.T) {
	s := openFaulty(t, storePath(t))
	f := newFake(registers{failing})
	c := site(f, time.Minute)
	c.Meters = append(c.Meters, config.Meter{ID: "v", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Sum: []string{"a"}}})
	_, err := ImportFile(s, c, ImportRequest{File: "x.csv", Meter: "v", Data: []byte("x")}, epoch)
	if err == nil || err.Error() != "meter v is the sum of a: give the file to what it is made of" {
		t.Error(err)
	}
	check(t, s.Close())
}
