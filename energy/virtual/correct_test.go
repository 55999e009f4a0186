package virtual

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
	"pgregory.net/rapid"
)

func ids(rs []Result) (out []string) {
	for _, r := range rs {
		out = append(out, r.Meter+r.Start.Format(" 15:04"))
	}
	return out
}

func expect(t *testing.T, rs []Result, want ...string) {
	t.Helper()
	got := ids(rs)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("%v, not %v", got, want)
		}
	}
}

// A half-hour is made when its last input has come, not before; and once.
func TestUpdateWaitsForAllInputs(t *testing.T) {
	p := plan(t,
		Meter{ID: "half", Kind: Share, Of: []string{"all"}, Method: Other, Shares: always(1, 2)},
		Meter{ID: "all", Kind: Sum, Of: []string{"a", "b"}})
	s := site{}
	s.put("a", measured(0, 10, 100))
	s.put("a", measured(1, 10, 110))
	expect(t, s.update(p, "a", slot(0), slot(2)))
	s.put("b", measured(1, 4, 50))
	expect(t, s.update(p, "b", slot(1), slot(2)), "all 12:30", "half 12:30")
	s.put("b", measured(0, 4, 46))
	expect(t, s.update(p, "b", slot(0), slot(2)), "all 12:00", "half 12:00")
	if h, _ := s.at("half", slot(1)); h.Energy != 7 || h.Cumulative != 80 {
		t.Errorf("%+v", h)
	}
	// Only what changes is told, and only where it was asked for.
	for i := range 2 {
		s.put("b", measured(i, 6, 50))
	}
	expect(t, s.update(p, "b", slot(0), slot(1)), "all 12:00", "half 12:00")
	expect(t, s.update(p, "b", slot(0), slot(2)), "all 12:30", "half 12:30")
	// An input that is gone leaves what there is.
	delete(s, "a")
	expect(t, s.update(p, "b", slot(0), slot(2)))
	expect(t, s.update(p, "b", slot(0), slot(0)))
	expect(t, s.update(p, "unknown", slot(0), slot(2)))
}

// A correction that changes what a difference carries changes what comes
// after, as far as the carry goes and no further.
func TestUpdateFollowsTheCarry(t *testing.T) {
	p := plan(t, Meter{ID: "rest", Kind: Difference, Of: []string{"main", "sub"}}, Meter{ID: "copy", Kind: Sum, Of: []string{"rest"}})
	s := site{}
	for i := range 6 {
		s.put("main", measured(i, 100, 1000))
		s.put("sub", measured(i, 80, 500))
	}
	expect(t, s.update(p, "main", slot(0), slot(6)),
		"rest 12:00", "rest 12:30", "rest 13:00", "rest 13:30", "rest 14:00", "rest 14:30",
		"copy 12:00", "copy 12:30", "copy 13:00", "copy 13:30", "copy 14:00", "copy 14:30")
	// 30 Wh short: given back by the next half-hour (20) and the one after (10).
	s.put("sub", measured(1, 130, 500))
	expect(t, s.update(p, "sub", slot(1), slot(2)), "rest 12:30", "rest 13:00", "rest 13:30", "copy 12:30", "copy 13:00", "copy 13:30")
	for i, want := range []int64{20, 0, 0, 10, 20, 20} {
		for _, id := range []string{"rest", "copy"} {
			if h, _ := s.at(id, slot(i)); h.Energy != want || h.Quality < energy.Interpolated {
				t.Errorf("%s %d: %+v", id, i, h)
			}
		}
	}
	// The same deficit out of a worse half-hour makes those after it worse.
	s.put("sub", graded(measured(1, 130, 500), energy.Estimated))
	expect(t, s.update(p, "sub", slot(1), slot(2)), "rest 12:30", "rest 13:00", "rest 13:30", "copy 12:30", "copy 13:00", "copy 13:30")
	if h, _ := s.at("rest", slot(3)); h.Quality != energy.Estimated || h.Energy != 10 {
		t.Errorf("%+v", h)
	}
	// A difference that does not carry is not made anew beyond what was asked.
	s.put("main", measured(5, 99, 1000))
	s.put("main", measured(4, 99, 1000))
	expect(t, s.update(p, "main", slot(4), slot(5)), "rest 14:00", "copy 14:00")
	s.put("main", graded(measured(4, 99, 1000), energy.Estimated))
	expect(t, s.update(p, "main", slot(4), slot(5)), "rest 14:00", "copy 14:00")
	// A deficit at the end of what is known waits for the next half-hour.
	s.put("sub", measured(5, 120, 500))
	expect(t, s.update(p, "sub", slot(5), slot(6)), "rest 14:30", "copy 14:30")
	s.put("main", measured(6, 100, 1000))
	s.put("sub", measured(6, 50, 1000))
	expect(t, s.update(p, "sub", slot(6), slot(7)), "rest 15:00", "copy 15:00")
	if h, _ := s.at("rest", slot(6)); h.Energy != 29 {
		t.Errorf("%+v", h)
	}
}

// A carry that grows stays followed until its inputs end.
func TestUpdateStopsWhereInputsEnd(t *testing.T) {
	p := plan(t, Meter{ID: "rest", Kind: Difference, Of: []string{"main", "sub"}})
	s := site{}
	for i := range 4 {
		s.put("main", measured(i, 10, 1000))
		s.put("sub", measured(i, 10, 500))
	}
	s.update(p, "main", slot(0), slot(4))
	s.put("sub", measured(0, 15, 500))
	expect(t, s.update(p, "sub", slot(0), slot(1)), "rest 12:00", "rest 12:30", "rest 13:00", "rest 13:30")
	if h, _ := s.at("rest", slot(3)); h.Evidence.Last.Value != 5 || h.Energy != 0 {
		t.Errorf("%+v", h)
	}
}

// Old half-hours are pruned. What is made again from those that are left comes
// out as it was, although nobody knows any more what it goes on from.
func TestUpdateAfterPruning(t *testing.T) {
	p := plan(t, Meter{ID: "rest", Kind: Difference, Of: []string{"main", "sub"}})
	rapid.Check(t, func(t *rapid.T) {
		s := site{}
		n := rapid.IntRange(2, 30).Draw(t, "half-hours")
		for i := range n {
			for _, id := range []string{"main", "sub"} {
				e := rapid.Int64Range(0, 1500).Draw(t, "energy")
				s.put(id, graded(measured(i, e, e+5000), rapid.SampledFrom([]energy.Quality{
					energy.Measured, energy.Measured, energy.Interpolated, energy.Estimated, energy.Substituted, energy.Missing}).Draw(t, "quality")))
			}
		}
		s.update(p, "main", slot(0), slot(n))
		gone := rapid.IntRange(1, n-1).Draw(t, "pruned")
		for i := range gone {
			for id := range s {
				delete(s[id], slot(i).UnixNano())
			}
		}
		if again := s.update(p, "main", slot(gone), slot(n)); len(again) > 0 {
			t.Fatalf("%+v", again)
		}
	})
	// A correction of the first one that is left counts what it carried in.
	s := site{}
	for i := range 3 {
		s.put("main", measured(i, 100, 1000))
		s.put("sub", measured(i, 80, 500))
	}
	s.put("sub", measured(0, 150, 500))
	s.update(p, "main", slot(0), slot(3))
	for id := range s {
		delete(s[id], slot(0).UnixNano())
	}
	s.put("sub", measured(1, 40, 500)) // 60 left, 50 of them owed
	expect(t, s.update(p, "sub", slot(1), slot(2)), "rest 12:30", "rest 13:00")
	if h, _ := s.at("rest", slot(1)); h.Energy != 10 || h.Evidence.First.Value != 50 || h.Quality != energy.Interpolated {
		t.Errorf("%+v", h)
	}
	// One that was refused is refused again; one that waited counts as coming
	// out of an estimate, since nobody knows.
	s.put("main", measured(1, 0, 1000))
	s.put("sub", measured(1, 600, 500))
	s.put("rest", energy.HalfHour{Start: slot(1), Cumulative: -1, Flags: energy.Flags(0).With(9), Evidence: energy.Evidence{
		First: energy.Sample{At: slot(1), Value: 900}, Last: energy.Sample{At: slot(2), Value: 0}, Samples: 60}})
	expect(t, s.update(p, "main", slot(1), slot(2)))
	s.put("rest", energy.HalfHour{Start: slot(1), Cumulative: -1, Evidence: energy.Evidence{
		First: energy.Sample{At: slot(1), Value: 900}, Last: energy.Sample{At: slot(2), Value: 900}, Samples: 30}})
	s.update(p, "main", slot(1), slot(2))
	if h, _ := s.at("rest", slot(1)); h.Quality != energy.Estimated || h.Evidence.Last.Value != 1500 {
		t.Errorf("%+v", h)
	}
	s.put("main", measured(1, 100, 1000))
	s.put("sub", measured(1, 40, 500))
	// As long as the one before is there, it counts.
	s.put("rest", owing(0, energy.Interpolated, 20))
	s.update(p, "main", slot(1), slot(2))
	if h, _ := s.at("rest", slot(1)); h.Energy != 40 || h.Evidence.First.Value != 20 {
		t.Errorf("%+v", h)
	}
	delete(s["rest"], slot(0).UnixNano())
	// A meter that was no difference before carries nothing.
	sum := measured(1, 7, 5000)
	sum.Evidence.Rule = energy.RuleSum
	s.put("rest", sum)
	s.update(p, "main", slot(1), slot(2))
	if h, _ := s.at("rest", slot(1)); h.Energy != 60 || h.Evidence.First.Value != 0 {
		t.Errorf("%+v", h)
	}
}

func TestSame(t *testing.T) {
	base := measured(0, 5, 50)
	later := base
	later.TakenAt = later.TakenAt.Add(1)
	if !same(base, later) {
		t.Error("made later, and different")
	}
	for name, change := range map[string]func(h *energy.HalfHour){
		"start": func(h *energy.HalfHour) { h.Start = slot(1) }, "energy": func(h *energy.HalfHour) { h.Energy++ },
		"quality": func(h *energy.HalfHour) { h.Quality-- }, "flags": func(h *energy.HalfHour) { h.Flags++ },
		"cumulative": func(h *energy.HalfHour) { h.Cumulative++ }, "rule": func(h *energy.HalfHour) { h.Evidence.Rule++ },
		"samples": func(h *energy.HalfHour) { h.Evidence.Samples++ }, "first": func(h *energy.HalfHour) { h.Evidence.First.Value++ },
		"last": func(h *energy.HalfHour) { h.Evidence.Last.Value++ },
	} {
		h := base
		if change(&h); same(h, base) {
			t.Errorf("another %s is the same", name)
		}
	}
	flagged := base
	flagged.Flags = flagged.Flags.With(16).With(9)
	if !same(base, flagged) {
		t.Error("a flag that was taken off makes a difference")
	}
	none := graded(base, energy.Missing)
	withdrawn := none
	withdrawn.Evidence.Rule = energy.RuleWithdrawn
	if !same(none, withdrawn) || !same(withdrawn, none) {
		t.Error("missing and withdrawn differ")
	}
}

func TestSpans(t *testing.T) {
	s := func(a, b int) Span { return Span{slot(a), slot(b)} }
	for _, c := range []struct{ a, b, want Span }{
		{s(1, 2), s(3, 4), s(1, 4)}, {s(3, 4), s(1, 2), s(1, 4)}, {s(1, 4), s(2, 3), s(1, 4)}, {s(2, 3), s(1, 4), s(1, 4)},
		{s(1, 1), s(2, 3), s(2, 3)}, {s(2, 3), s(1, 1), s(2, 3)}, {s(2, 3), Span{}, s(2, 3)},
	} {
		if got := c.a.with(c.b); got != c.want {
			t.Errorf("%v with %v: %v", c.a, c.b, got)
		}
	}
}
