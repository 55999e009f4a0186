package validate

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/energy"
)

// whole is a settlement day of a register that starts at 1,000 Wh and counts
// 100 Wh in each half-hour.
func whole(d energy.Day) (hh []energy.HalfHour) {
	for n := 1; n <= d.Periods(); n++ {
		end := int64(1000 + 100*n)
		hh = append(hh, energy.HalfHour{
			Start: d.Start(n), Energy: 100, Cumulative: end, Quality: energy.Measured,
			Evidence: energy.Evidence{
				First: energy.Sample{At: d.Start(n), Value: end - 100}, Last: energy.Sample{At: d.Start(n + 1), Value: end}, Rule: energy.RuleBracketed,
			},
		})
	}
	return hh
}

func TestDay(t *testing.T) {
	usual, short, long := energy.SettlementDay(2024, 7, 15), energy.SettlementDay(2024, 3, 31), energy.SettlementDay(2024, 10, 27)
	type hhs = []energy.HalfHour
	quality := func(n int, q energy.Quality, r energy.Rule) func(hhs) hhs {
		return func(hh hhs) hhs {
			for i := range n {
				hh[i].Quality, hh[i].Evidence.Rule = q, r
			}
			return hh
		}
	}
	// energyAt changes one half-hour without evidence, by so much.
	energyAt := func(i int, by int64) func(hhs) hhs {
		return func(hh hhs) hhs { hh[i].Energy += by; hh[i].Evidence.Rule = energy.RuleSum; return hh }
	}
	for name, c := range map[string]struct {
		day    energy.Day
		o      Options
		change func(hhs) hhs
		want   string
		found  string
		note   string
	}{
		"usual":                 {day: usual},
		"short":                 {day: short},
		"long":                  {day: long},
		"UTC":                   {day: energy.DayIn(time.UTC, 2024, 10, 27)},
		"other cut":             {day: energy.DayIn(time.UTC, 2024, 10, 27), o: Options{Period: time.Hour}, change: func(hh hhs) hhs { return nil }, want: "V19 error", found: "0 half-hours"},
		"empty":                 {day: usual, change: func(hh hhs) hhs { return nil }, want: "V19 error", found: "0 half-hours"},
		"47":                    {day: usual, change: func(hh hhs) hhs { return hh[:47] }, want: "V19 error", found: "47 half-hours"},
		"hole":                  {day: usual, change: func(hh hhs) hhs { return slices.Delete(hh, 20, 21) }, want: "V19 error", found: "47 half-hours"},
		"first day":             {day: usual, change: func(hh hhs) hhs { return hh[20:] }, want: "V19 info", found: "28 half-hours", note: "they begin at 2024-07-15T09:00:00Z: the first day, or the end of a long break"},
		"first day with a hole": {day: usual, change: func(hh hhs) hhs { return slices.Delete(hh[20:], 5, 6) }, want: "V19 error", found: "27 half-hours"},
		"long of 48":            {day: long, change: func(hh hhs) hhs { return hh[:48] }, want: "V19 error", found: "48 half-hours", note: "the source seems not to know that the clocks change on this day"},
		"long of 49":            {day: long, change: func(hh hhs) hhs { return hh[:49] }, want: "V19 error", found: "49 half-hours"},
		"short of 48":           {day: short, change: func(hh hhs) hhs { return append(hh, measured(0, 1), measured(1, 1)) }, want: "V19 error", found: "48 half-hours", note: "2 of them are repeated, out of order or of another day"},
		"day before":            {day: usual, change: func(hh hhs) hhs { hh[0].Start = hh[0].Start.Add(-energy.Period); return hh }, want: "V19 error", found: "48 half-hours", note: "1 of them are repeated, out of order or of another day"},
		"repeated":              {day: usual, change: func(hh hhs) hhs { hh[5].Start = hh[4].Start; return hh }, want: "V19 error", found: "48 half-hours", note: "1 of them are repeated, out of order or of another day"},
		"not a half-hour":       {day: usual, change: func(hh hhs) hhs { hh[5].Start = hh[5].Start.Add(time.Minute); return hh }, want: "V19 error", found: "48 half-hours", note: "1 of them are repeated, out of order or of another day"},
		"V19 off":               {day: usual, o: Options{Off: flags(19)}, change: func(hh hhs) hhs { return hh[:47] }},

		"half estimated":   {day: usual, change: quality(24, energy.Estimated, energy.RuleSpread)},
		"more than half":   {day: usual, change: quality(25, energy.Estimated, energy.RuleSpread), want: "V14 warning", found: "25 of 48 half-hours are estimated or substituted"},
		"substituted":      {day: usual, change: quality(25, energy.Substituted, energy.RuleProfile), want: "V14 warning", found: "25 of 48 half-hours are estimated or substituted"},
		"interpolated":     {day: usual, change: quality(48, energy.Interpolated, energy.RuleInterpolate)},
		"power":            {day: usual, change: quality(48, energy.Estimated, energy.RulePower)},
		"own share":        {day: usual, o: Options{MaxEstimated: 25}, change: quality(12, energy.Estimated, energy.RuleSpread)},
		"beyond own share": {day: usual, o: Options{MaxEstimated: 25}, change: quality(13, energy.Estimated, energy.RuleSpread), want: "V14 warning", found: "13 of 48 half-hours are estimated or substituted"},
		"all missing":      {day: usual, change: quality(48, energy.Missing, energy.RuleNone)},
		"missing do not count": {day: usual, change: func(hh hhs) hhs {
			return quality(40, energy.Missing, energy.RuleNone)(quality(45, energy.Estimated, energy.RuleSpread)(hh))
		}, want: "V14 warning", found: "5 of 8 half-hours are estimated or substituted"},
		"V14 off": {day: usual, o: Options{Off: flags(14)}, change: quality(25, energy.Estimated, energy.RuleSpread)},

		// 47 half-hours sum to 4,700 Wh: 0.1 % of it is 4 Wh.
		"0.1 %":                  {day: usual, change: energyAt(9, 4)},
		"more than 0.1 %":        {day: usual, change: energyAt(9, 5), want: "V08 error", found: "the half-hours sum to 4705 Wh"},
		"less by 0.1 %":          {day: usual, change: energyAt(9, -4)},
		"less than that":         {day: usual, change: energyAt(9, -5), want: "V08 error", found: "the half-hours sum to 4695 Wh"},
		"own tolerance":          {day: usual, o: Options{SumTenths: 5}, change: energyAt(9, 23)},
		"beyond own":             {day: usual, o: Options{SumTenths: 5}, change: energyAt(9, 24), want: "V08 error", found: "the half-hours sum to 4724 Wh"},
		"a step":                 {day: usual, o: Options{Step: 50}, change: energyAt(9, 50)},
		"beyond a step":          {day: usual, o: Options{Step: 50}, change: energyAt(9, 51), want: "V08 error", found: "the half-hours sum to 4751 Wh"},
		"V08 off":                {day: usual, o: Options{Off: flags(8)}, change: energyAt(9, 500)},
		"the first is not in it": {day: usual, change: energyAt(0, 500)},
		"the last is":            {day: usual, change: energyAt(47, 500), want: "V08 error", found: "the half-hours sum to 5200 Wh"},
		"no register": {day: usual, change: func(hh hhs) hhs {
			hh[9].Energy, hh[9].Cumulative, hh[10].Energy = 999, -1, 999
			hh[10].Evidence.Rule = energy.RuleSum
			return hh
		}},
		"missing between": {day: usual, change: func(hh hhs) hhs {
			hh[9].Energy, hh[9].Quality, hh[10].Energy = 999, energy.Missing, 999
			hh[10].Evidence.Rule = energy.RuleSum
			return hh
		}},
		"hole between": {day: usual, change: func(hh hhs) hhs {
			hh[10].Energy, hh[10].Evidence.Rule = 999, energy.RuleSum
			return slices.Delete(hh, 9, 10)
		}, want: "V19 error", found: "47 half-hours"},
		"exchange":       {day: usual, change: func(hh hhs) hhs { hh[9].Energy, hh[9].Evidence.Rule = 999, energy.RuleExchange; return hh }},
		"after exchange": {day: usual, change: func(hh hhs) hhs { hh[9].Evidence.Rule = energy.RuleExchange; return energyAt(10, 500)(hh) }, want: "V08 error", found: "the half-hours sum to 5100 Wh"},
		"register at 0": {day: usual, change: func(hh hhs) hhs {
			for i := range hh {
				hh[i].Cumulative, hh[i].Evidence.Rule = int64(100*i), energy.RuleSum
			}
			return energyAt(1, 500)(hh)
		}, want: "V08 error", found: "the half-hours sum to 5200 Wh"},
		"wrap": {day: usual, o: Options{Modulus: 3000}, change: func(hh hhs) hhs {
			for i := range hh {
				hh[i].Cumulative %= 3000
				hh[i].Evidence.First.Value %= 3000
				hh[i].Evidence.Last.Value %= 3000
			}
			return hh
		}},
		"wrap, modulus not known": {day: usual, change: func(hh hhs) hhs {
			for i := range hh {
				hh[i].Cumulative %= 3000
				hh[i].Evidence.Rule = energy.RuleSum
			}
			return hh
		}, want: "V08 error", found: "the half-hours sum to 4700 Wh"},

		"evidence above":   {day: usual, change: func(hh hhs) hhs { hh[3].Evidence.First.Value++; return hh }, want: "V08 error", found: "1 half-hours that do not fit between their samples"},
		"evidence below":   {day: usual, change: func(hh hhs) hhs { hh[3].Evidence.Last.Value--; hh[4].Evidence.Last.Value--; return hh }, want: "V08 error", found: "2 half-hours that do not fit between their samples"},
		"evidence further": {day: usual, change: func(hh hhs) hhs { hh[3].Evidence.First.Value -= 50; hh[3].Evidence.Last.Value += 50; return hh }},
		"evidence off":     {day: usual, o: Options{Off: flags(8)}, change: func(hh hhs) hhs { hh[3].Evidence.First.Value++; return hh }},
		"evidence, spread": {day: usual, change: func(hh hhs) hhs { hh[3].Evidence.First.Value++; hh[3].Evidence.Rule = energy.RuleSpread; return hh }, want: "V08 error", found: "1 half-hours that do not fit between their samples"},
		"evidence, profile": {day: usual, change: func(hh hhs) hhs {
			hh[3].Evidence.First.Value++
			hh[3].Evidence.Rule = energy.RuleProfileScaled
			return hh
		}, want: "V08 error", found: "1 half-hours that do not fit between their samples"},
		"evidence, interpolated": {day: usual, change: func(hh hhs) hhs {
			hh[3].Evidence.First.Value++
			hh[3].Evidence.Rule = energy.RuleInterpolate
			return hh
		}, want: "V08 error", found: "1 half-hours that do not fit between their samples"},
		"evidence of watts": {day: usual, change: func(hh hhs) hhs { hh[3].Evidence.First.Value++; hh[3].Evidence.Rule = energy.RulePower; return hh }},
		"no first sample":   {day: usual, change: func(hh hhs) hhs { hh[3].Evidence.First = energy.Sample{}; return hh }},
		"no last sample":    {day: usual, change: func(hh hhs) hhs { hh[3].Evidence.Last = energy.Sample{}; return hh }},
	} {
		t.Run(name, func(t *testing.T) {
			hh := whole(c.day)
			if c.change != nil {
				hh = c.change(hh)
			}
			fs := Day(mainImport, c.day, hh, c.o, nil)
			if said(fs) != c.want || c.want != "" && fs[0].Found != c.found || c.note != "" && fs[0].Note != c.note || c.note == "" && len(fs) > 0 && fs[0].Rule == 19 && fs[0].Note != "" {
				t.Errorf("%v, want %q, %q, %q", fs, c.want, c.found, c.note)
			}
			wellFormed(t, fs)
			for _, f := range fs {
				if !f.From.Equal(c.day.Start(1)) || !f.To.Equal(c.day.Start(c.day.Periods()+1)) || f.Key != mainImport {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// Whatever the accumulator makes of a register with wraps, pauses, glitches and
// resets passes the rules about days: V08 is a check on the program, and must
// never speak of a sound one.
func TestDayOfAccumulator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const modulus = 100_000
		reg := energy.Register{Measure: energy.Import, Modulus: modulus, MaxPower: 50_000}
		acc := energy.NewAccumulator(reg, energy.Period)
		day := energy.SettlementDay(2026, 7, 15)
		now, register := day.Start(1).Add(-time.Hour), rapid.Int64Range(0, modulus-1).Draw(t, "opening")
		var hh []energy.HalfHour
		for now.Before(day.Start(day.Periods() + 1).Add(3 * time.Hour)) {
			gap := time.Duration(rapid.SampledFrom([]int{1, 10, 60, 300, 900, 1800, 2700, 7200}).Draw(t, "gap")) * time.Second
			now = now.Add(gap)
			register = (register + rapid.Int64Range(0, int64(gap/time.Second)*10).Draw(t, "advance")) % modulus
			value := register
			switch rapid.IntRange(0, 40).Draw(t, "fault") {
			case 0:
				value = 0
			case 1:
				value = rapid.Int64Range(0, modulus-1).Draw(t, "glitch")
			case 2:
				register = 17
			}
			hh, _ = acc.Add(energy.Sample{At: now, Value: value}, hh)
		}
		hh = slices.DeleteFunc(hh, func(h energy.HalfHour) bool {
			return h.Start.Before(day.Start(1)) || !h.Start.Before(day.Start(day.Periods()+1))
		})
		for _, f := range Day(energy.Key{Meter: "m", Measure: energy.Import}, day, hh, Options{Modulus: modulus}, nil) {
			if f.Rule == 8 {
				t.Fatal(f)
			}
		}
	})
}
