package energy

import "testing"

// A half-hour that names a reading from long before the run, as the first one
// does not: the gap between the two readings is none of the run's.
func TestRespreadKnowsNothingBefore(t *testing.T) {
	reg := Register{Measure: Import}
	hh := gapDay(t, reg)[4:]
	hh[1].Evidence.First = Sample{At: hh[0].Start.Add(-100 * Period), Value: hh[0].Evidence.First.Value - 10}
	stands, given := give(hh, map[string]int64{"12:00": 5})
	if got := Respread(reg, Period, hh, stands, given); got != nil {
		t.Error(energies(got))
	}
}

// What was shaped by a file alone is no shape: a correction of the file spreads
// what it leaves evenly, also where the first one left next to nothing, or where a
// half-hour was spread again since.
func TestRespreadForgetsItsOwnRounding(t *testing.T) {
	reg := Register{Measure: Import}
	hh := gapDay(t, reg)
	want := "10:30 1358, 11:00 1358, 11:30 1358, 12:00 1357, 12:30 1358"
	stands, given := give(hh, map[string]int64{"11:00": 8_597}) // 3 Wh for all the others
	stands = put(stands, Respread(reg, Period, hh, stands, given))
	stands, given = give(stands, map[string]int64{"11:00": 1358})
	again := put(stands, Respread(reg, Period, hh, stands, given))
	if s, _ := energies(again[2:7]); s != want {
		t.Error(s)
	}
	again[1] = hh[1] // a late reading made it again
	if s, _ := energies(put(again, Respread(reg, Period, hh, again, given))[2:7]); s != want {
		t.Error(s)
	}
	// Where nobody tells of the gap any more, it is spread as it was.
	stands = put(stands, Respread(reg, Period, hh, stands, given))
	stands[3] = hh[3]
	stands[3].Energy, stands[3].Quality, stands[3].Evidence.Rule = 1400, Estimated, RuleProfileScaled
	back := put(stands, Respread(reg, Period, hh, stands, make([]bool, len(hh))))
	for i, h := range back {
		if h.Energy != hh[i].Energy || h.Evidence.Rule != hh[i].Evidence.Rule || h.Cumulative != hh[i].Cumulative {
			t.Errorf("%+v, want %+v", h, hh[i])
		}
	}
}
