package validate

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

const (
	imp = energy.Import
	exp = energy.Export
	ri  = energy.ReactiveImport
	re  = energy.ReactiveExport
	gas = energy.Gas
)

// run is measured half-hours from n on.
func run(n int, e ...int64) (hh []energy.HalfHour) {
	for i, v := range e {
		hh = append(hh, measured(n+i, v))
	}
	return hh
}

func TestHalfHour(t *testing.T) {
	missing := graded(measured(0, 0), energy.Missing, energy.RuleNone)
	spread := func(h energy.HalfHour) energy.HalfHour { return graded(h, energy.Estimated, energy.RuleSpread) }
	imported := func(h energy.HalfHour) energy.HalfHour { return graded(h, energy.Measured, energy.RuleImported) }
	interval := func(h energy.HalfHour) energy.HalfHour { return graded(h, energy.Measured, energy.RuleInterval) }
	monday := time.Date(2026, 7, 20, 0, 0, 0, 0, time.UTC)
	onMonday := int(monday.Sub(noon) / energy.Period)
	zeros := func(n int) memory { return memory{}.fill(imp, n, 0) }
	most := Options{MaxEnergy: 100_000}

	for name, c := range map[string]struct {
		m     energy.Measure // import, where it is not given
		o     Options
		h     energy.HalfHour
		past  memory
		want  string
		flags string
	}{
		"nothing wrong":      {h: measured(0, 5)},
		"missing":            {o: most, h: missing},
		"missing, monstrous": {o: most, h: graded(measured(0, 100_001), energy.Missing, energy.RuleNone)},

		"V01 all ones":             {h: imported(measured(0, 4_294_967_295)), want: "V01 error", flags: "V01"},
		"V01 the last of the list": {h: interval(measured(0, 186_227_087)), want: "V01 error", flags: "V01"},
		"V01 one less":             {h: imported(measured(0, 4_294_967_294))},
		"V01 of an estimate":       {h: graded(measured(0, 8_590_017), energy.Estimated, energy.RuleImportedEst), want: "V01 error", flags: "V01 V14"},
		"V01 not of registers":     {h: measured(0, 4_294_967_295)},
		"V01 of gas":               {m: gas, h: interval(measured(0, 16_777_215)), want: "V01 error", flags: "V01"},
		"V01 of gas, one more":     {m: gas, h: interval(measured(0, 16_777_216))},
		"V01 of gas, the others":   {m: gas, h: interval(measured(0, 8_590_017)), want: "V01 error", flags: "V01"},
		"V01 24 bits of Wh":        {h: interval(measured(0, 16_777_215))},
		"V01 of intervals, off":    {o: Options{Off: flags(1)}, h: imported(measured(0, 4_294_967_295))},

		"V05 at the bound":    {o: most, h: measured(0, 100_000)},
		"V05 above":           {o: most, h: measured(0, 100_001), want: "V05 error", flags: "V05"},
		"V05 of a spread":     {o: most, h: spread(measured(0, 100_001)), want: "V05 error", flags: "V05"},
		"V05 no bound":        {h: measured(0, 1<<60)},
		"V05 a bound of 1":    {o: Options{MaxEnergy: 1}, h: measured(0, 2), want: "V05 error", flags: "V05"},
		"V05 off":             {o: Options{MaxEnergy: 10, Off: flags(5)}, h: measured(0, 11)},
		"V06 48 before":       {h: measured(0, 0), past: zeros(48), want: "V06 warning", flags: "V06"},
		"V06 47 before":       {h: measured(0, 0), past: zeros(47)},
		"V06 goes on":         {h: measured(0, 0), past: zeros(49), flags: "V06"},
		"V06 on Monday":       {h: measured(onMonday, 0), past: memory{}.put(imp, run(0, make([]int64, onMonday)...)...), want: "V06 warning", flags: "V06"},
		"V06 not zero":        {h: measured(0, 1), past: zeros(60)},
		"V06 broken run":      {h: measured(0, 0), past: zeros(60).put(imp, measured(-48, 1))},
		"V06 broken before":   {h: measured(0, 0), past: zeros(60).put(imp, measured(-49, 1)), want: "V06 warning", flags: "V06"},
		"V06 a hole":          {h: measured(0, 0), past: zeros(60).put(imp, graded(measured(-3, 0), energy.Missing, energy.RuleNone))},
		"V06 substituted":     {h: measured(0, 0), past: zeros(60).put(imp, graded(measured(-3, 0), energy.Substituted, energy.RuleProfile))},
		"V06 substituted now": {h: graded(measured(0, 0), energy.Substituted, energy.RuleProfile), past: zeros(60)},
		"V06 estimated":       {h: spread(measured(0, 0)), past: zeros(60).put(imp, spread(measured(-3, 0))), flags: "V06"},
		"V06 own bound":       {o: Options{ZeroRun: 3}, h: measured(0, 0), past: zeros(3), want: "V06 warning", flags: "V06"},
		"V06 below it":        {o: Options{ZeroRun: 3}, h: measured(0, 0), past: zeros(2)},
		"V06 no bound":        {o: Options{ZeroRun: -1}, h: measured(0, 0), past: zeros(500)},
		"V06 export rests":    {m: exp, h: measured(0, 0), past: memory{}.fill(exp, 500, 0)},
		"V06 gas rests":       {m: gas, h: measured(0, 0), past: memory{}.fill(gas, 500, 0)},
		"V06 export bound":    {m: exp, o: Options{ZeroRun: 48}, h: measured(0, 0), past: memory{}.fill(exp, 48, 0), want: "V06 warning", flags: "V06"},
		"V06 off":             {o: Options{Off: flags(6)}, h: measured(0, 0), past: zeros(48)},
		"V06 no past":         {h: measured(0, 0)},

		"V10 another value":     {h: imported(measured(0, 5)), past: memory{}.put(imp, imported(measured(0, 6))), want: "V10 warning", flags: "V10"},
		"V10 the same":          {h: imported(measured(0, 5)), past: memory{}.put(imp, imported(measured(0, 5)))},
		"V10 of a feed":         {h: interval(measured(0, 5)), past: memory{}.put(imp, imported(measured(0, 6))), want: "V10 warning", flags: "V10"},
		"V10 an estimate first": {h: imported(measured(0, 5)), past: memory{}.put(imp, graded(measured(0, 6), energy.Estimated, energy.RuleImportedEst))},
		"V10 our own":           {h: measured(0, 5), past: memory{}.put(imp, measured(0, 6))},
		"V10 over our own":      {h: imported(measured(0, 5)), past: memory{}.put(imp, measured(0, 6))},
		"V10 ours over it":      {h: measured(0, 5), past: memory{}.put(imp, imported(measured(0, 6)))},
		"V10 was missing":       {h: imported(measured(0, 5)), past: memory{}.put(imp, graded(measured(0, 0), energy.Missing, energy.RuleImported))},
		"V10 off":               {o: Options{Off: flags(10)}, h: imported(measured(0, 5)), past: memory{}.put(imp, imported(measured(0, 6)))},

		"V14 the source's estimate": {h: graded(measured(0, 5), energy.Estimated, energy.RuleImportedEst), flags: "V14"},
		"V14 a feed's estimate":     {h: graded(measured(0, 5), energy.Estimated, energy.RuleInterval), flags: "V14"},
		"V14 a feed's actual":       {h: interval(measured(0, 5))},
		"V14 our own estimate":      {h: spread(measured(0, 5))},
		"V14 off":                   {o: Options{Off: flags(14)}, h: graded(measured(0, 5), energy.Estimated, energy.RuleImportedEst)},

		"V15 negative":               {h: measured(0, -1), want: "V15 error", flags: "V15"},
		"V15 zero":                   {h: measured(0, 0)},
		"V15 together at most":       {o: most, h: measured(0, 60_000), past: memory{}.put(exp, measured(0, 40_000))},
		"V15 together too much":      {o: most, h: measured(0, 60_000), past: memory{}.put(exp, measured(0, 40_001)), want: "V15 warning", flags: "V15"},
		"V15 seen from export":       {m: exp, o: most, h: measured(0, 60_000), past: memory{}.put(imp, measured(0, 40_001)), want: "V15 warning", flags: "V15"},
		"V15 reactive":               {m: ri, o: most, h: measured(0, 60_000), past: memory{}.put(re, measured(0, 40_001)), want: "V15 warning", flags: "V15"},
		"V15 reactive the other way": {m: re, o: most, h: measured(0, 60_000), past: memory{}.put(ri, measured(0, 40_001)), want: "V15 warning", flags: "V15"},
		"V15 gas has no other":       {m: gas, o: most, h: measured(0, 60_000), past: memory{}.put(imp, measured(0, 60_000))},
		"V15 one at the bound":       {o: most, h: measured(0, 100_000), past: memory{}.put(exp, measured(0, 1)), want: "V15 warning", flags: "V15"},
		"V15 V05 says it":            {o: most, h: measured(0, 100_001), past: memory{}.put(exp, measured(0, 1)), want: "V05 error", flags: "V05"},
		"V15 the other one alone":    {o: most, h: measured(0, 1), past: memory{}.put(exp, measured(0, 100_001)), want: "V15 warning", flags: "V15"},
		"V15 no bound":               {h: measured(0, 1<<40), past: memory{}.put(exp, measured(0, 1<<40))},
		"V15 spread is vague":        {o: most, h: spread(measured(0, 60_000)), past: memory{}.put(exp, measured(0, 60_000))},
		"V15 the other is vague":     {o: most, h: measured(0, 60_000), past: memory{}.put(exp, spread(measured(0, 60_000)))},
		"V15 none the other way":     {o: most, h: measured(0, 60_000), past: memory{}.put(exp, measured(0, 0))},
		"V15 off":                    {o: Options{MaxEnergy: 10, Off: flags(15)}, h: measured(0, 6), past: memory{}.put(exp, measured(0, 6))},
		"V15 four times the same":    {h: measured(0, 7), past: memory{}.put(imp, run(-3, 5, 6, 7)...).put(exp, run(-3, 5, 6, 7, 7)...), want: "V15 warning", flags: "V15"},
		"V15 three times":            {h: measured(0, 7), past: memory{}.put(imp, run(-2, 6, 7)...).put(exp, run(-2, 6, 7, 7)...)},
		"V15 no bound, and nothing":  {h: measured(0, 0), past: memory{}.put(exp, measured(0, 5))},
		"V15 interpolated":           {o: most, h: graded(measured(0, 60_000), energy.Interpolated, energy.RuleInterpolate), past: memory{}.put(exp, measured(0, 40_001)), want: "V15 warning", flags: "V15"},
		"V15 one of mine is vague":   {h: measured(0, 7), past: memory{}.put(imp, spread(measured(-3, 5))).put(imp, run(-2, 6, 7)...).put(exp, run(-3, 5, 6, 7, 7)...)},
		"V15 one of theirs is vague": {h: measured(0, 7), past: memory{}.put(imp, run(-3, 5, 6, 7)...).put(exp, spread(measured(-3, 5))).put(exp, run(-2, 6, 7, 7)...)},
		"V15 one differs":            {h: measured(0, 7), past: memory{}.put(imp, run(-3, 4, 6, 7)...).put(exp, run(-3, 5, 6, 7, 7)...)},
		"V15 this one differs":       {h: measured(0, 8), past: memory{}.put(imp, run(-3, 5, 6, 7)...).put(exp, run(-3, 5, 6, 7, 7)...)},
		"V15 the same zero":          {h: measured(0, 7), past: memory{}.put(imp, run(-3, 0, 6, 7)...).put(exp, run(-3, 0, 6, 7, 7)...)},

		"V20 0.20 is believed":        {o: Options{StuckEnergy: 1}, h: measured(0, 2000), past: memory{}.put(ri, measured(0, 9797))},
		"V20 just below 0.20":         {o: Options{StuckEnergy: 1}, h: measured(0, 2000), past: memory{}.put(ri, measured(0, 9798)), want: "V20 warning", flags: "V20"},
		"V20 both reactive":           {o: Options{StuckEnergy: 1}, h: measured(0, 2000), past: memory{}.put(ri, measured(0, 9000)).put(re, measured(0, 798)), want: "V20 warning", flags: "V20"},
		"V20 both active":             {o: Options{StuckEnergy: 1}, h: measured(0, 1000), past: memory{}.put(exp, measured(0, 1000)).put(ri, measured(0, 9797))},
		"V20 seen from reactive":      {m: ri, o: Options{StuckEnergy: 1}, h: measured(0, 9798), past: memory{}.put(imp, measured(0, 2000)), want: "V20 warning", flags: "V20"},
		"V20 seen from re":            {m: re, o: Options{StuckEnergy: 1}, h: measured(0, 9798), past: memory{}.put(exp, measured(0, 2000)), want: "V20 warning", flags: "V20"},
		"V20 own bound":               {o: Options{StuckEnergy: 1, MinPF: 50}, h: measured(0, 1000), past: memory{}.put(ri, measured(0, 1732))},
		"V20 below own bound":         {o: Options{StuckEnergy: 1, MinPF: 50}, h: measured(0, 1000), past: memory{}.put(ri, measured(0, 1733)), want: "V20 warning", flags: "V20"},
		"V20 little":                  {h: measured(0, 1), past: memory{}.put(ri, measured(0, 2000))},
		"V20 no longer little":        {h: measured(0, 1), past: memory{}.put(ri, measured(0, 2001)), want: "V20 warning", flags: "V20"},
		"V20 within the rating":       {o: Options{MaxEnergy: 500}, h: measured(0, 300), past: memory{}.put(ri, measured(0, 400))},
		"V20 beyond it":               {o: Options{MaxEnergy: 500}, h: measured(0, 301), past: memory{}.put(ri, measured(0, 400)), want: "V20 warning", flags: "V20"},
		"V20 V05 says it":             {o: Options{MaxEnergy: 500}, h: measured(0, 501), past: memory{}.put(ri, measured(0, 400)), want: "V05 error", flags: "V05"},
		"V20 reactive too much alone": {o: Options{MaxEnergy: 500}, h: measured(0, 300), past: memory{}.put(ri, measured(0, 501))},
		"V20 at the rating":           {o: Options{MaxEnergy: 500}, h: measured(0, 500), past: memory{}.put(ri, measured(0, 1)), want: "V20 warning", flags: "V20"},
		"V20 interpolated":            {h: graded(measured(0, 1), energy.Interpolated, energy.RuleInterpolate), past: memory{}.put(ri, measured(0, 2001)), want: "V20 warning", flags: "V20"},
		"V20 nothing of its own":      {m: re, h: measured(0, 0), past: memory{}.put(imp, measured(0, 1)).put(ri, measured(0, 9000))},
		"V20 no active, from ri":      {m: ri, h: measured(0, 9000), past: memory{}.put(imp, measured(0, 0))},
		"V20 reactive at the rating":  {o: Options{MaxEnergy: 500}, h: measured(0, 1), past: memory{}.put(ri, measured(0, 500)), want: "V20 warning", flags: "V20"},
		"V20 no active":               {h: measured(0, 0), past: memory{}.put(ri, measured(0, 9000))},
		"V20 no reactive":             {o: Options{MaxEnergy: 500}, h: measured(0, 500), past: memory{}.put(ri, measured(0, 0))},
		"V20 gas":                     {m: gas, h: measured(0, 1), past: memory{}.put(ri, measured(0, 9000))},
		"V20 vague":                   {h: spread(measured(0, 1)), past: memory{}.put(ri, measured(0, 9000))},
		"V20 the other vague":         {h: measured(0, 1), past: memory{}.put(ri, spread(measured(0, 9000)))},
		"V20 off":                     {o: Options{Off: flags(20)}, h: measured(0, 1), past: memory{}.put(ri, measured(0, 9000))},
		"V20 one register twice":      {m: ri, h: measured(0, 7), past: memory{}.put(ri, run(-3, 5, 6, 7)...).put(imp, run(-3, 5, 6, 7, 7)...), want: "V20 warning", flags: "V20"},
		"V20 twice, export":           {m: ri, h: measured(0, 7), past: memory{}.put(ri, run(-3, 5, 6, 7)...).put(exp, run(-3, 5, 6, 7, 7)...), want: "V20 warning", flags: "V20"},
		"V20 twice, from import":      {h: measured(0, 7), past: memory{}.put(imp, run(-3, 5, 6, 7)...).put(re, run(-3, 5, 6, 7, 7)...), want: "V20 warning", flags: "V20"},
		"V20 twice, from import, ri":  {h: measured(0, 7), past: memory{}.put(imp, run(-3, 5, 6, 7)...).put(ri, run(-3, 5, 6, 7, 7)...), want: "V20 warning", flags: "V20"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.m == 0 {
				c.m = imp
			}
			if c.past == nil {
				c.past = memory{}
			}
			k := energy.Key{Meter: "main", Measure: c.m}
			h := c.h
			fs := New(k, c.o).HalfHour(&h, c.past, nil)
			if said(fs) != c.want || flagged(h.Flags) != c.flags {
				t.Errorf("%v, flags %q; want %q, %q", fs, flagged(h.Flags), c.want, c.flags)
			}
			wellFormed(t, fs)
			for _, f := range fs {
				if !f.From.Equal(h.Start) || !f.To.Equal(h.Start.Add(energy.Period)) || f.Key != k {
					t.Errorf("%+v", f)
				}
			}
			h.Flags = 0
			if h != c.h {
				t.Errorf("the half-hour was changed from %+v to %+v", c.h, h)
			}
			// What is flagged already stays flagged.
			h.Flags = flags(9)
			New(k, c.o).HalfHour(&h, c.past, nil)
			if !h.Flags.Has(9) {
				t.Error("an earlier flag is gone")
			}
		})
	}
}

func TestHalfHourWords(t *testing.T) {
	for _, c := range []struct {
		o                     Options
		h                     energy.HalfHour
		past                  memory
		found, expected, note string
	}{
		{Options{MaxEnergy: 41_569}, measured(0, 18_000_000), nil, "18000.000 kWh", "at most 41.569 kWh", "a thousandth of it would fit: is Wh taken for kWh?"},
		{Options{MaxEnergy: 41_569}, measured(0, 41_569_999), nil, "41569.999 kWh", "at most 41.569 kWh", "a thousandth of it would fit: is Wh taken for kWh?"},
		{Options{MaxEnergy: 41_569}, measured(0, 41_570_000), nil, "41570.000 kWh", "at most 41.569 kWh", ""},
		{Options{MaxEnergy: 50_000}, measured(0, 1_000_000), nil, "1000.000 kWh", "at most 50.000 kWh", "a thousandth of it would fit: is Wh taken for kWh?"},
		{Options{MaxEnergy: 50_000}, measured(0, 999_999), nil, "999.999 kWh", "at most 50.000 kWh", ""},
		{Options{MaxEnergy: 1}, measured(0, 999), nil, "999 Wh", "at most 1 Wh", ""},
		{Options{ZeroRun: 2}, measured(0, 0), memory{}.fill(imp, 2, 0), "0 for more than 2 periods in a row", "something now and then, since the meter answers", ""},
		{Options{StuckEnergy: 1}, measured(0, 1), memory{}.put(ri, measured(0, 70)), "1 Wh with 70 varh", "a power factor of at least 0.20", ""},
		{Options{MinPF: 5}, measured(0, 1), memory{}.put(ri, measured(0, 70_000)), "1 Wh with 70.000 kvarh", "a power factor of at least 0.05", ""},
		{Options{MaxEnergy: 500}, measured(0, 301), memory{}.put(ri, measured(0, 400)), "301 Wh with 400 varh", "together at most 500 VAh", ""},
		{Options{MaxEnergy: 10}, measured(0, 6), memory{}.put(exp, measured(0, 5)), "6 Wh and export 5 Wh", "together at most 10 Wh", ""},
	} {
		fs := New(mainImport, c.o).HalfHour(&c.h, c.past, nil)
		if len(fs) != 1 || fs[0].Found != c.found || fs[0].Expected != c.expected || fs[0].Note != c.note {
			t.Errorf("%v\nwant %q, %q, %q", fs, c.found, c.expected, c.note)
		}
	}
}

// Flags of what readings said reach a half-hour that is missing, too.
func TestMissingKeepsMarks(t *testing.T) {
	c := New(mainImport, Options{})
	c.Event(energy.Event{Kind: energy.Reset, At: after(600), Before: 9, After: 1, BeforeAt: noon}, nil)
	h := graded(measured(0, 0), energy.Missing, energy.RuleNone)
	c.HalfHour(&h, memory{}, nil)
	if flagged(h.Flags) != "V03" {
		t.Errorf("flags %q", flagged(h.Flags))
	}
}

// Sums of squares beyond 64 bits.
func TestSquares(t *testing.T) {
	for _, c := range []struct {
		p, q, s int64
		want    bool
	}{
		{3, 4, 5, false}, {3, 4, 4, true}, {3, 5, 5, true}, {3 << 40, 4 << 40, 5 << 40, false}, {3<<40 + 1, 4 << 40, 5 << 40, true},
		{3 << 40, 4 << 40, 5<<40 - 1, true}, {1 << 62, 1 << 62, 1<<63 - 1, false}, {1 << 32, 0, 1 << 32, false}, {1 << 32, 1, 1 << 32, true},
	} {
		if got := squaresExceed(c.p, c.q, c.s); got != c.want {
			t.Errorf("%d, %d, %d: %v", c.p, c.q, c.s, got)
		}
	}
	for _, c := range []struct {
		p, q, percent int64
		want          bool
	}{
		{3, 4, 60, false}, {3, 4, 61, true}, {4, 3, 80, false}, {4, 3, 81, true}, {3 << 58, 4 << 58, 60, false}, {3 << 58, 4 << 58, 61, true},
		{1 << 50, 0, 100, false}, {3 << 48, 1 << 50, 60, false}, {3<<48 - 1, 1 << 50, 60, true}, {1, 1 << 62, 1, true}, {1 << 62, 1, 99, false},
	} {
		if got := lowFactor(c.p, c.q, c.percent); got != c.want {
			t.Errorf("%d, %d, %d %%: %v", c.p, c.q, c.percent, got)
		}
	}
}
