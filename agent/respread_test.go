package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
	"github.com/perseus-edge/perseus-edge/store"
)

// An actual value from a file in a gap leaves the rest of the advance to the
// others: the gap still sums to it, each version is kept, the same file again
// changes nothing, and what is imported last does not depend on what came first.
func TestImportIntoAGap(t *testing.T) {
	day := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	k := energy.Key{Meter: "main", Measure: energy.Import}
	now := day.AddDate(0, 0, 10)
	file := func(halves map[int]string) []byte {
		out := "id,measure,start,kWh,quality\n"
		for h := range 48 {
			if v := halves[h]; v != "" {
				out += fmt.Sprintf("1200051234567,import,%s,%s,measured\n", day.Add(time.Duration(h)*energy.Period).Format(time.RFC3339), v)
			}
		}
		return []byte(out)
	}
	s := openFaulty(t, storePath(t))
	acc := energy.NewAccumulator(energy.Register{Measure: energy.Import}, energy.Period)
	var round store.Round
	for m := 0; m <= 16*60; m += 10 {
		if m > 10*60+10 && m < 13*60+20 {
			continue
		}
		hh, _ := acc.Add(energy.Sample{At: day.Add(time.Duration(m) * time.Minute), Value: int64(m) * 100}, nil)
		for _, h := range hh {
			round.HalfHours = append(round.HalfHours, keyedHalfHour(k, h))
		}
	}
	check(t, s.Commit(round))
	sum := func() (total int64) {
		for h, err := range s.HalfHours(k, day, day.AddDate(0, 0, 1)) {
			check(t, err)
			total += h.Energy
		}
		return total
	}
	at := func(half int) energy.HalfHour {
		for h, err := range s.HalfHours(k, day.Add(time.Duration(half)*energy.Period), day.Add(time.Duration(half+1)*energy.Period)) {
			check(t, err)
			return h
		}
		return energy.HalfHour{}
	}
	take := func(halves map[int]string) ImportSeries {
		t.Helper()
		rep, err := ImportFile(s, importConfig(), ImportRequest{File: "f.csv", Data: file(halves), Meter: "main", Label: hhfile.Start}, now)
		check(t, err)
		if len(rep.Series) != 1 || rep.Problems != nil {
			t.Fatalf("%+v", rep)
		}
		return rep.Series[0]
	}
	before := sum()
	if x := take(map[int]string{23: "6.0"}); x.Taken != 1 || x.Respread != 6 {
		t.Errorf("%+v", x)
	}
	if h := at(23); h.Energy != 6000 || h.Quality != energy.Measured {
		t.Errorf("%+v", h)
	}
	// 19,000 Wh in 190 minutes: 13,000 are left for the other 160, 2,437.5 in 30 of them.
	if h := at(22); h.Energy != 2438 || h.Quality != energy.Estimated || h.Evidence.Rule != energy.RuleProfileScaled {
		t.Errorf("%+v", h)
	}
	if got := sum(); got != before {
		t.Errorf("%d Wh, the register advanced by %d", got, before)
	}
	old, err := s.Corrections(k, day.Add(11*time.Hour), day.Add(11*time.Hour+energy.Period))
	check(t, err)
	if len(old) != 1 || old[0].Old.Energy != 3000 || old[0].Old.Evidence.Rule != energy.RuleSpread {
		t.Errorf("the version before: %+v", old)
	}
	if x := take(map[int]string{23: "6.0"}); x.Same != 1 || x.Taken != 0 || x.Respread != 0 {
		t.Errorf("again: %+v", x)
	}
	// Another value, a corrected one, and a file that fills what was spread anew.
	if x := take(map[int]string{21: "1.5", 22: "1.5"}); x.Taken != 2 || x.Respread != 4 || sum() != before {
		t.Errorf("two more: %+v, %d", x, sum()-before)
	}
	if x := take(map[int]string{23: "5.0"}); x.Corrected != 1 || x.Respread != 4 || sum() != before {
		t.Errorf("corrected: %+v, %d", x, sum()-before)
	}
	// A source that says more than the register does is kept, and nothing bent to fit.
	was := at(24).Energy
	if x := take(map[int]string{25: "90"}); x.Taken != 1 || x.Respread != 0 || at(24).Energy != was {
		t.Errorf("too much: %+v", x)
	}
	check(t, s.Close())
}
