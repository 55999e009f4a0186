package virtual

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// A meter hung on the wall until somebody made it virtual. What was measured of
// it stands; what was missing of it, and what comes after, is made.
func TestWhatARealMeterCountedStands(t *testing.T) {
	imported := measured(2, 12, 900)
	imported.Evidence.Rule = energy.RuleImportedEst
	filled := graded(measured(3, 13, 900), energy.Substituted)
	filled.Evidence.Rule = energy.RuleCheckMeter
	for _, def := range []Meter{
		{ID: "v", Kind: Share, Of: []string{"main"}, Method: AreaOccupied, Shares: always(1, 2)},
		{ID: "v", Kind: Sum, Of: []string{"main"}},
		{ID: "v", Kind: Difference, Of: []string{"main", "sub"}},
	} {
		p, s := plan(t, def), site{}
		for i := range 6 {
			s.put("main", measured(i, 100, 1000))
			s.put("sub", measured(i, 80, 500))
		}
		own := []energy.HalfHour{measured(0, 10, 700), graded(measured(1, 11, 711), energy.Estimated), imported, filled}
		for _, h := range own {
			s.put("v", h)
		}
		s.put("v", graded(measured(4, 0, 0), energy.Missing))
		expect(t, s.update(p, "main", slot(0), slot(6)), "v 14:00", "v 14:30")
		for i, want := range own {
			if h, _ := s.at("v", slot(i)); h != want {
				t.Errorf("%+v became %+v", want, h)
			}
		}
	}
}

// A share that is said to hold from a later day on than before is taken back
// for the time before that day, which other shares may have now.
func TestShareThatDoesNotHoldYetIsTakenBack(t *testing.T) {
	one := func(id string, shares ...Dated) Meter {
		return Meter{ID: id, Kind: Share, Of: []string{"main"}, Method: AreaOccupied, Shares: shares}
	}
	s := site{}
	for i := range 4 {
		s.put("main", measured(i, 100, 1000+int64(i)*100))
	}
	before := plan(t, one("a", Dated{Part: Part{1, 4}}), one("b", Dated{Part: Part{3, 4}}))
	s.update(before, "main", slot(0), slot(4))
	p := plan(t, one("a", Dated{slot(2), Part{1, 4}}), one("b", Dated{Part: Part{1, 1}}, Dated{slot(2), Part{3, 4}}))
	expect(t, s.update(p, "main", slot(0), slot(4)), "a 12:00", "a 12:30", "b 12:00", "b 12:30")
	for i := range 4 {
		a, _ := s.at("a", slot(i))
		b, _ := s.at("b", slot(i))
		if i < 2 && (a.Quality != energy.Missing || a.Energy != 0) || a.Energy+b.Energy != 100 {
			t.Errorf("%d: %+v and %+v of 100", i, a, b)
		}
	}
	expect(t, s.update(p, "main", slot(0), slot(4)))
}

// Nothing is known of an input for a while, not even that it is missing, as
// when it was read in another way for the first time. What is owed waits.
func TestDeficitWaitsOverAHole(t *testing.T) {
	p := plan(t, Meter{ID: "rest", Kind: Difference, Of: []string{"main", "sub"}})
	rest := func(s site, i int) energy.HalfHour { h, _ := s.at("rest", slot(i)); return h }
	s := site{}
	for i := range 8 {
		s.put("main", measured(i, 100, 1000))
		if i != 2 && i != 3 {
			s.put("sub", measured(i, 80, 500))
		}
	}
	s.put("sub", measured(1, 150, 500)) // 50 too many
	for i := range 8 {
		s.update(p, "main", slot(i), slot(i+1))
	}
	for i, want := range []int64{20, 0, 0, 0, 0, 0, 10, 20} {
		if h := rest(s, i); h.Energy != want {
			t.Errorf("%d: %+v, not %d", i, h, want)
		}
	}
	if h := rest(s, 4); h.Evidence.First.Value != 50 || h.Evidence.Last.Value != 30 || h.Quality != energy.Estimated {
		t.Errorf("%+v", h)
	}
	// A correction before the hole is felt behind it, both ways.
	s.put("sub", measured(1, 100, 500))
	expect(t, s.update(p, "sub", slot(1), slot(2)), "rest 12:30", "rest 14:00", "rest 14:30", "rest 15:00")
	if h := rest(s, 4); h.Energy != 20 || h.Quality != energy.Measured {
		t.Errorf("%+v", h)
	}
	s.put("sub", measured(1, 130, 500))
	expect(t, s.update(p, "sub", slot(1), slot(2)), "rest 12:30", "rest 14:00", "rest 14:30")
	// What was absent comes after all.
	s.put("sub", measured(2, 60, 500))
	expect(t, s.update(p, "sub", slot(2), slot(3)), "rest 13:00", "rest 14:00", "rest 14:30")
	if h := rest(s, 2); h.Energy != 10 || h.Quality != energy.Interpolated || rest(s, 4).Energy != 20 {
		t.Errorf("%+v", h)
	}
	// Not longer than mostHole, seen from either end.
	for hole, owed := range map[time.Duration]int64{mostHole: 50, mostHole + energy.Period: 0} {
		far := measured(0, 100, 1000)
		far.Start = noon.Add(hole)
		for _, later := range []bool{false, true} {
			s := site{}
			s.put("main", measured(0, 100, 1000))
			s.put("sub", measured(0, 150, 500))
			behind := func() {
				s.put("main", far)
				s.put("sub", far)
				s.update(p, "main", far.Start, far.Start.Add(energy.Period))
			}
			if later {
				behind()
			}
			s.update(p, "sub", noon, slot(1))
			if !later {
				behind()
			}
			if h, _ := s.at("rest", far.Start); h.Evidence.First.Value != owed {
				t.Errorf("a hole of %s, seen later: %v: %+v", hole, later, h)
			}
		}
	}
}

// A share of a virtual meter is new, or another one than before, and nothing
// else has changed: it is made for the whole time that is asked for.
func TestShareOfAVirtualMeterIsMadeForThePast(t *testing.T) {
	s := site{}
	for i := range 3 {
		s.put("a", measured(i, 100, int64(i+1)*100))
	}
	all := Meter{ID: "all", Kind: Sum, Of: []string{"a"}}
	s.update(plan(t, all), "a", slot(0), slot(3))
	for _, den := range []int64{2, 4} {
		p := plan(t, all, Meter{ID: "part", Kind: Share, Of: []string{"all"}, Method: Other, Shares: always(1, den)})
		expect(t, s.update(p, "a", slot(0), slot(3)), "part 12:00", "part 12:30", "part 13:00")
		if h, _ := s.at("part", slot(2)); h.Energy != 100/den {
			t.Errorf("%+v", h)
		}
	}
}
