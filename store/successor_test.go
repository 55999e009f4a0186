package store

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestWhatSupersedesWhat(t *testing.T) {
	base := halfHour(0, 500)
	with := func(q energy.Quality, r energy.Rule, e int64) energy.HalfHour {
		h := base
		h.Quality, h.Evidence.Rule, h.Energy = q, r, e
		if q == energy.Missing {
			h.Cumulative = -1
		}
		return h
	}
	missing := energy.HalfHour{Start: base.Start, TakenAt: base.TakenAt, Cumulative: -1}
	substituted := with(energy.Substituted, energy.RuleNone, 490)
	importedEst := with(energy.Estimated, energy.RuleImportedEst, 480)
	imported := with(energy.Measured, energy.RuleImported, 495)
	spread := with(energy.Estimated, energy.RuleSpread, 505)
	interpolated := with(energy.Interpolated, energy.RuleInterpolate, 501)
	measured := with(energy.Measured, energy.RuleBracketed, 500)
	// Each takes the place of those before it and of itself with another value.
	order := []energy.HalfHour{missing, substituted, importedEst, spread, imported, interpolated, measured}
	for i, old := range order {
		for j, h := range order {
			h.TakenAt = h.TakenAt.Add(time.Hour)
			next, what := successor(KeyedHalfHour{HalfHour: h}, &old)
			want, whole := map[bool]outcome{true: replaced, false: stays}[j > i], map[bool]energy.HalfHour{true: h, false: old}[j > i]
			if old == imported && h.Evidence.Rule == energy.RuleSpread {
				want = beside
			}
			if what != want || next != whole {
				t.Errorf("%s/%d over %s/%d: %v", h.Quality, h.Evidence.Rule, old.Quality, old.Evidence.Rule, what)
			}
			if h.Quality == energy.Missing {
				h.Evidence.Rule = energy.RuleWithdrawn
			}
			next, what = successor(KeyedHalfHour{HalfHour: h, Void: true}, &old)
			if void := j != i || j == 0; void && (what != replaced || next != h) || !void && what != stays {
				t.Errorf("%s/%d voids %s/%d: %v", h.Quality, h.Evidence.Rule, old.Quality, old.Evidence.Rule, what)
			}
		}
		other := old
		other.Energy++
		if _, what := successor(KeyedHalfHour{HalfHour: other}, &old); (what == replaced) != (i > 0) {
			t.Errorf("another value of %s/%d: %v", old.Quality, old.Evidence.Rule, what)
		}
	}
	// The same place by another rule: the later one; a total of an interval is
	// from elsewhere, with the quality that its source gives it.
	for _, c := range []struct {
		what   string
		h, old energy.HalfHour
		want   bool
	}{
		{"shaped over spread", with(energy.Estimated, energy.RuleProfileScaled, 507), spread, true},
		{"spread over shaped", spread, with(energy.Estimated, energy.RuleProfileScaled, 507), true},
		{"power over an imported estimate", with(energy.Estimated, energy.RulePower, 1), importedEst, true},
		{"an imported estimate over power", importedEst, with(energy.Estimated, energy.RulePower, 1), false},
		{"actual interval over spread", with(energy.Measured, energy.RuleInterval, 1), spread, true},
		{"actual interval over interpolated", with(energy.Measured, energy.RuleInterval, 1), interpolated, false},
		{"estimated interval over spread", with(energy.Estimated, energy.RuleInterval, 1), spread, false},
		{"re-read of an interval", with(energy.Measured, energy.RuleInterval, 2), with(energy.Measured, energy.RuleInterval, 1), true},
		{"worse re-read of an interval", with(energy.Interpolated, energy.RuleInterval, 2), with(energy.Measured, energy.RuleInterval, 1), false},
		{"file over interval", imported, with(energy.Measured, energy.RuleInterval, 1), true},
		{"another substitute", with(energy.Substituted, energy.RuleProfile, 3), with(energy.Substituted, energy.RuleLinear, 1), true},
		{"by another rule", with(energy.Measured, energy.RuleSum, 500), measured, true},
		{"by another register", energy.HalfHour{Energy: 500, Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleBracketed}, Cumulative: 7}, measured, true},
		{"missing over withdrawn", missing, energy.HalfHour{Evidence: energy.Evidence{Rule: energy.RuleWithdrawn}}, false},
		{"substituted over withdrawn", substituted, energy.HalfHour{Evidence: energy.Evidence{Rule: energy.RuleWithdrawn}}, true},
		{"missing again, another register", energy.HalfHour{Cumulative: 5}, missing, false},
	} {
		if _, what := successor(KeyedHalfHour{HalfHour: c.h}, &c.old); (what == replaced) != c.want {
			t.Errorf("%s: %v", c.what, what)
		}
	}

	s := newStore(t)
	for i, h := range []energy.HalfHour{missing, measured, imported, missing, spread, measured} {
		must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: h}}}))
		if i == 1 {
			must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 1)}, 0))
			must(t, s.Acknowledge(1))
		}
	}
	same(t, "what stayed", collect(t, s.HalfHours(main_, day0, forever)), []energy.HalfHour{measured})
	same(t, "pending", pend(t, s, main_), []int(nil))
	fixes, err := s.Corrections(main_, day0, forever)
	must(t, err)
	same(t, "replaced", len(fixes), 1)
	_, _, n, err := s.Bounds(main_)
	must(t, err)
	same(t, "counted once", n, 1)
}

// Flags are added to a value, never taken off it; another value brings its own.
func TestFlagsOnlyGrow(t *testing.T) {
	s := newStore(t)
	h := halfHour(0, 500)
	commit := func(f energy.Flags) {
		h.Flags = f
		must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: h}}}))
	}
	stored := func(want energy.Flags, versions int) {
		t.Helper()
		got := collect(t, s.HalfHours(main_, day0, forever))
		fixes, err := s.Corrections(main_, day0, forever)
		must(t, err)
		if len(got) != 1 || got[0].Flags != want || len(fixes) != versions {
			t.Fatalf("%v with %d versions, want %v with %d", got, len(fixes), want, versions)
		}
	}
	v5, v16 := energy.Flags(0).With(5), energy.Flags(0).With(16)
	commit(0)
	stored(0, 0)
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 1)}, 0))
	must(t, s.Acknowledge(1))
	commit(v5)
	stored(v5, 1)
	same(t, "sent again", pend(t, s, main_), []int{0})
	commit(0)
	commit(v5)
	stored(v5, 1)
	commit(v16)
	stored(v5|v16, 2)
	h.Energy++
	commit(0)
	stored(0, 3)
	fixes, err := s.Corrections(main_, day0, forever)
	must(t, err)
	same(t, "old versions", []energy.Flags{fixes[0].Old.Flags, fixes[1].Old.Flags, fixes[2].Old.Flags}, []energy.Flags{0, v5, v5 | v16})
}

// A half-hour that is withdrawn is missing from then on, whatever it was; it is
// sent so, and its old version is kept.
func TestVoid(t *testing.T) {
	s := newStore(t)
	must(t, s.Commit(Round{HalfHours: halfHours(main_, 0, 3)}))
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 3)}, 0))
	must(t, s.Acknowledge(1))
	old := halfHour(1, 500)
	void := KeyedHalfHour{Key: main_, Void: true, HalfHour: energy.HalfHour{Start: old.Start, Cumulative: -1, TakenAt: old.TakenAt, Flags: energy.Flags(0).With(17)}}
	for range 2 { // the second time changes nothing
		must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{void}}))
	}
	void.Evidence.Rule = energy.RuleWithdrawn // how it is stored, and sent
	got := collect(t, s.HalfHours(main_, day0, forever))
	same(t, "half-hours", got, []energy.HalfHour{halfHour(0, 500), normal(void.HalfHour), halfHour(2, 500)})
	same(t, "pending", pend(t, s, main_), []int{1})
	fixes, err := s.Corrections(main_, day0, forever)
	must(t, err)
	same(t, "kept", fixes, []Correction{{Old: old, Replaced: s.o.Now()}})
	// Where nothing is stored yet it is stored as it is; and a value may follow.
	void.HalfHour.Start = day0.Add(9 * energy.Period)
	must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{void, {Key: main_, HalfHour: old}}}))
	got = collect(t, s.HalfHours(main_, day0, forever))
	same(t, "half-hours", got, []energy.HalfHour{halfHour(0, 500), old, halfHour(2, 500), normal(void.HalfHour)})
}

// The same value, made anew of other samples: its evidence is theirs, and no
// figure has changed. (Found by the simulation: a late reading closed the gap
// at whose end the register still stood as before. The half-hour before it was
// made better by that, and the one after it did not name it.)
func TestTheSameValueOfOtherSamples(t *testing.T) {
	s := newStore(t)
	h := halfHour(0, 500)
	must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: h}}}))
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 1)}, 0))
	must(t, s.Acknowledge(1))
	h.Evidence.First.At = h.Evidence.First.At.Add(time.Minute)
	h.Evidence.Samples++
	must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: h, Void: true}}}))
	same(t, "made anew", collect(t, s.HalfHours(main_, day0, forever)), []energy.HalfHour{h})
	fixes, err := s.Corrections(main_, day0, forever)
	must(t, err)
	same(t, "versions", len(fixes), 0)
	same(t, "pending", pend(t, s, main_), []int(nil))
}

// What a virtual difference carries in its evidence follows the newest
// evaluation: nothing is sent again for it, and there is no new version.
func TestWhatADifferenceCarries(t *testing.T) {
	s := newStore(t)
	difference, gap, other := halfHour(0, 500), halfHour(1, 500), halfHour(2, 500)
	difference.Evidence.Rule = energy.RuleDifference
	gap.Quality, gap.Energy, gap.Cumulative, gap.Evidence.Rule = energy.Missing, 0, -1, energy.RuleNone
	commit := func(void bool) {
		t.Helper()
		for _, h := range []energy.HalfHour{difference, gap, other} {
			must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: h, Void: void}}}))
		}
	}
	stored := func(what string, versions int, want ...energy.HalfHour) {
		t.Helper()
		same(t, what, collect(t, s.HalfHours(main_, day0, forever)), want)
		fixes, err := s.Corrections(main_, day0, forever)
		must(t, err)
		same(t, what+": versions", len(fixes), versions)
	}
	commit(false)
	must(t, s.Seal(1, hash(1), nil, []energy.Span{span(main_, 0, 3)}, 0))
	must(t, s.Acknowledge(1))
	first := other
	for _, e := range []*energy.HalfHour{&difference, &gap, &other} {
		e.Evidence.First.Value += 7
		e.Evidence.Last.Value += 9
		e.Evidence.Samples++
	}
	gap.Evidence.First = energy.Sample{} // one of the two does
	commit(false)
	stored("carried on", 0, difference, gap, first) // of what is read from a register the first evidence stays
	same(t, "pending", pend(t, s, main_), []int(nil))
	gone := gap
	gone.Evidence.First, gone.Evidence.Last = energy.Sample{}, energy.Sample{}
	must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: gone}}})) // knows nothing of a carry
	stored("not lost", 0, difference, gap, first)

	// A withdrawal stays one, whatever is noted with it.
	must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: gap, Void: true}}}))
	gap.Evidence.Last.Value++
	gap.Flags = 1
	must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: gap}}}))
	gap.Evidence.Last.Value++
	must(t, s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: gap}}}))
	gap.Evidence.Rule = energy.RuleWithdrawn
	stored("withdrawn", 2, difference, gap, first)
	same(t, "pending", pend(t, s, main_), []int{1})
}

// A substitute that was put in place before anything was read again tells of the
// samples around the break, as one does that came after: without a new version.
func TestSubstituteTakesTheEvidence(t *testing.T) {
	early := halfHour(0, 505)
	early.Quality, early.Cumulative, early.Evidence = energy.Substituted, -1, energy.Evidence{Rule: energy.RuleProfile}
	missing := halfHour(0, 0)
	missing.Energy, missing.Quality, missing.Cumulative, missing.Evidence.Rule = 0, energy.Missing, -1, energy.RuleNone
	missing.Evidence.Start = energy.Sample{At: missing.Start.Add(-time.Second), Value: 7}
	want := early
	want.Evidence = missing.Evidence
	want.Evidence.Rule = energy.RuleProfile
	if got, what := successor(KeyedHalfHour{HalfHour: missing}, &early); got != want || what != noted {
		t.Errorf("%+v, %d", got, what)
	}
	late := missing
	late.Evidence.First.Value++
	nothing := missing
	nothing.Evidence = energy.Evidence{}
	for _, h := range []energy.HalfHour{late, nothing} { // it has some by now, or gets none
		if got, what := successor(KeyedHalfHour{HalfHour: h}, &want); got != want || what != stays {
			t.Errorf("%+v, %d", got, what)
		}
	}
}

// What a register counted over a gap is kept, whether a file told of it before or
// after; and once, however often it is committed.
func TestOwnEstimateBesideAFile(t *testing.T) {
	spread, imported := halfHour(0, 505), halfHour(0, 495)
	spread.Quality, spread.Evidence.Rule = energy.Estimated, energy.RuleSpread
	imported.Quality, imported.Evidence.Rule, imported.Cumulative = energy.Measured, energy.RuleImported, -1
	for name, order := range map[string][]energy.HalfHour{"before": {spread, imported}, "after": {imported, spread, spread}} {
		s, _ := mustOpen(t, filepath.Join(fastDir(t), "agent.db"))
		for _, h := range order {
			if err := s.Commit(Round{HalfHours: []KeyedHalfHour{{Key: main_, HalfHour: h}}}); err != nil {
				t.Fatal(err)
			}
		}
		for h, err := range s.HalfHours(main_, time.Time{}, forever) {
			if err != nil || h != imported {
				t.Errorf("%s: %+v stands, %v", name, h, err)
			}
		}
		old, err := s.Corrections(main_, time.Time{}, forever)
		if err != nil || len(old) != 1 || old[0].Old != spread {
			t.Errorf("%s: %+v is kept, %v", name, old, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
