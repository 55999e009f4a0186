package validate

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// read is one call of Reading, with what it must say.
type read struct {
	f      Facts
	want   string // findings, as said writes them
	refuse bool   // Counts must be false
}

// at is a reading some seconds after noon.
func at(s float64, value int64) Facts { return Facts{At: after(s), Value: value} }

func (f Facts) with(change func(*Facts)) Facts { change(&f); return f }

func flags(rules ...int) (f energy.Flags) {
	for _, n := range rules {
		f = f.With(n)
	}
	return f
}

func TestReading(t *testing.T) {
	none := func(word string) func(*Facts) { return func(f *Facts) { f.NoValue, f.Word = true, word } }
	unit := func(u string) func(*Facts) { return func(f *Facts) { f.Unit = u } }
	source := func(rules ...int) func(*Facts) { return func(f *Facts) { f.Source = flags(rules...) } }
	now := func(later time.Duration) func(*Facts) { return func(f *Facts) { f.Now = f.At.Add(later) } }
	history := func(later time.Duration) func(*Facts) {
		return func(f *Facts) { f.Now, f.History = f.At.Add(later), true }
	}
	device := func(off time.Duration) func(*Facts) { return func(f *Facts) { f.DeviceAt = f.At.Add(off) } }
	frozen := func(f *Facts) { f.DeviceAt = noon }
	offset := func(off time.Duration) func(*Facts) { return func(f *Facts) { f.Offset = off } }
	const day = 24 * time.Hour

	for name, c := range map[string]struct {
		o     Options
		m     energy.Measure
		reads []read
		flags string // of the half-hour from noon
	}{
		"nothing wrong":        {reads: []read{{f: at(0, 1)}, {f: at(10, 2)}, {f: at(20, 2)}}},
		"V01 said by the wire": {reads: []read{{at(0, 0).with(none("0xFFFFFFFF")), "V01 warning", true}, {f: at(10, 5)}}},
		"V01 by a flag":        {reads: []read{{at(0, 0).with(source(1)), "V01 warning", true}}},
		"V01 off":              {o: Options{Off: flags(1)}, reads: []read{{at(0, 0).with(none("NaN")), "", true}}}, // there is no value, whoever says so
		"V01 says nothing else": {o: Options{Unit: "kWh"}, reads: []read{
			{at(0, 0).with(func(f *Facts) { f.NoValue, f.Unit, f.Source = true, "Wh", flags(13, 14) }), "V01 warning", true}}},

		"V02 another unit":   {o: Options{Unit: "kWh"}, reads: []read{{at(0, 1).with(unit("Wh")), "V02 error", true}}},
		"V02 same unit":      {o: Options{Unit: "kWh"}, reads: []read{{f: at(0, 1).with(unit("kWh"))}}},
		"V02 unit not named": {o: Options{Unit: "kWh"}, reads: []read{{f: at(0, 1)}}},
		"V02 none expected":  {reads: []read{{f: at(0, 1).with(unit("Wh"))}}},
		"V02 by a flag":      {reads: []read{{at(0, 1).with(source(2)), "V02 error", true}}},
		"V02 off":            {o: Options{Unit: "kWh", Off: flags(2)}, reads: []read{{f: at(0, 1).with(unit("Wh"))}}},
		"V02 off by a flag":  {o: Options{Off: flags(2)}, reads: []read{{f: at(0, 1).with(source(2))}}},
		"V07 needs power":    {reads: []read{{f: at(0, 1)}, {f: at(3600, 1)}, {f: at(7200, 1)}}},
		"V10 not of totals": {reads: []read{
			{f: at(0, 1).with(func(f *Facts) { f.Total = true })}, {f: at(0, 2).with(func(f *Facts) { f.Total = true })}}},
		"V10 two values":       {reads: []read{{f: at(0, 1)}, {at(0, 2), "V10 warning", false}}, flags: "V10"},
		"V10 the same value":   {reads: []read{{f: at(0, 1)}, {f: at(0, 1)}}},
		"V10 another time":     {reads: []read{{f: at(0, 1)}, {f: at(0.001, 2)}}},
		"V10 zero comes first": {reads: []read{{f: at(0, 1)}}},
		"V10 the first stands": {reads: []read{{f: at(0, 1)}, {at(0, 2), "V10 warning", false}, {f: at(0, 1)}}, flags: "V10"},

		"V11 20 s are fine":       {reads: []read{{f: at(0, 1).with(device(20 * time.Second))}}},
		"V11 behind, fine":        {reads: []read{{f: at(0, 1).with(device(-20 * time.Second))}}},
		"V11 more than 20 s":      {reads: []read{{at(0, 1).with(device(20*time.Second + 1)), "V11 warning", false}}, flags: "V11"},
		"V11 behind":              {reads: []read{{at(0, 1).with(device(-20*time.Second - 1)), "V11 warning", false}}, flags: "V11"},
		"V11 15 min":              {reads: []read{{at(0, 1).with(device(15 * time.Minute)), "V11 warning", false}}, flags: "V11"},
		"V11 more than 15 min":    {reads: []read{{at(0, 1).with(device(-15*time.Minute - 1)), "V11 error", false}}, flags: "V11"},
		"V11 own bounds":          {o: Options{FineClock: time.Minute, LostClock: time.Hour}, reads: []read{{f: at(0, 1).with(device(time.Minute))}, {at(1, 1).with(device(time.Hour)), "V11 warning", false}, {at(2, 1).with(device(time.Hour + 1)), "V11 error", false}}, flags: "V11"},
		"V11 a better estimate":   {reads: []read{{at(0, 1).with(offset(-time.Minute)), "V11 warning", false}}, flags: "V11"},
		"V11 estimate wins":       {reads: []read{{f: at(0, 1).with(device(time.Hour)).with(offset(time.Second))}}},
		"V11 not of history":      {reads: []read{{f: at(0, 1).with(device(time.Hour)).with(history(0))}}},
		"V11 not of a repeat":     {reads: []read{{f: at(0, 1).with(frozen)}, {f: at(600, 1).with(frozen)}}},
		"V11 off":                 {o: Options{Off: flags(11)}, reads: []read{{f: at(0, 1).with(device(time.Hour))}}},
		"V11 the zero time":       {reads: []read{{f: at(0, 1)}}},
		"V12 20 s are fine":       {reads: []read{{f: at(0, 1).with(now(-20 * time.Second))}}},
		"V12 future":              {reads: []read{{at(0, 1).with(now(-20*time.Second - 1)), "V12 error", true}}},
		"V12 future, and then":    {reads: []read{{at(600, 1).with(now(-600 * time.Second)), "V12 error", true}, {f: at(0, 2)}, {f: at(600, 3)}}},
		"V12 400 days are fine":   {reads: []read{{f: at(0, 1).with(history(400 * day))}}},
		"V12 too old":             {reads: []read{{at(0, 1).with(history(400*day + 1)), "V12 error", true}}},
		"V12 1970":                {reads: []read{{Facts{At: time.Unix(0, 0), Now: noon, Value: 1}, "V12 error", true}}},
		"V12 own bound":           {o: Options{TooOld: day}, reads: []read{{f: at(0, 1).with(history(day))}, {at(1, 1).with(history(day + 1)), "V12 error", true}}},
		"V12 off":                 {o: Options{Off: flags(12)}, reads: []read{{f: at(0, 1).with(history(500 * day))}, {f: at(1, 1).with(now(-time.Hour))}}},
		"V12 says nothing else":   {reads: []read{{at(0, 1).with(now(-time.Hour)).with(device(time.Hour)), "V12 error", true}}},
		"V13 an hour is live":     {reads: []read{{f: at(0, 1).with(now(time.Hour))}}},
		"V13 old":                 {reads: []read{{at(0, 1).with(now(time.Hour + 1)), "V13 warning", true}}},
		"V13 history may be old":  {reads: []read{{f: at(0, 1).with(history(time.Hour + 1))}}},
		"V13 own bound":           {o: Options{Stale: time.Minute}, reads: []read{{f: at(0, 1).with(now(time.Minute))}, {at(1, 1).with(now(time.Minute + 1)), "V13 warning", true}}},
		"V13 no bound":            {o: Options{Stale: -1}, reads: []read{{f: at(0, 1).with(now(day))}, {f: at(1, 1).with(frozen)}, {f: at(86400, 1).with(frozen)}}},
		"V13 by a flag":           {reads: []read{{at(0, 1).with(source(13)), "V13 warning", true}}},
		"V13 off":                 {o: Options{Off: flags(13)}, reads: []read{{f: at(0, 1).with(source(13)).with(now(day))}}},
		"V13 the same time":       {reads: []read{{f: at(0, 1).with(frozen)}, {f: at(3600, 1).with(frozen)}, {at(3600.001, 1).with(frozen), "V13 warning", true}}},
		"V13 a new time":          {reads: []read{{f: at(0, 1).with(frozen)}, {f: at(3600, 1).with(device(0))}, {f: at(3601, 1).with(device(0))}}},
		"V13 not without times":   {reads: []read{{f: at(0, 1)}, {f: at(7200, 1)}}},
		"V14 by a flag":           {reads: []read{{at(0, 1).with(source(14)), "V14 warning", true}}},
		"V14 and V13":             {reads: []read{{at(0, 1).with(source(13, 14)), "V13 warning, V14 warning", true}}},
		"V14 off":                 {o: Options{Off: flags(14)}, reads: []read{{f: at(0, 1).with(source(14))}}},
		"other flags say nothing": {reads: []read{{f: at(0, 1).with(source(3, 4, 5, 20))}}},
		"refused, not remembered": {reads: []read{{at(0, 7).with(source(14)), "V14 warning", true}, {f: at(0, 1)}}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.m == 0 {
				c.m = energy.Import
			}
			k := energy.Key{Meter: "main", Measure: c.m}
			checker := New(k, c.o)
			var all []Finding
			for i, r := range c.reads {
				fs := checker.Reading(r.f, nil)
				if said(fs) != r.want || checker.Counts() == r.refuse {
					t.Errorf("reading %d: %v, counts %v; want %q", i, fs, checker.Counts(), r.want)
				}
				for _, f := range fs {
					if !f.From.Equal(r.f.At) || !f.To.Equal(r.f.At) || f.Key != k {
						t.Errorf("reading %d: %+v", i, f)
					}
				}
				all = append(all, fs...)
			}
			wellFormed(t, all)
			h := measured(0, 5)
			checker.HalfHour(&h, nil, nil)
			if flagged(h.Flags) != c.flags {
				t.Errorf("flags %q, want %q", flagged(h.Flags), c.flags)
			}
			next := measured(1, 5)
			checker.HalfHour(&next, nil, nil)
			if next.Flags != 0 {
				t.Errorf("the next half-hour has flags %q", flagged(next.Flags))
			}
		})
	}
}

// 4 kW flow while the register stands still: 2,000 Wh have gone by after half
// an hour. Power is counted where two readings of it lie at most 15 minutes
// apart, and the smaller one of them counts.
func TestStuckByPower(t *testing.T) {
	type step struct {
		s, value, power int64 // power -1: not known
	}
	for name, c := range map[string]struct {
		o     Options
		steps []step
		want  string // of the last step
	}{
		"stands":               {steps: []step{{0, 5, 4000}, {900, 5, 4000}, {1800, 5, 4000}}, want: "V07 error"},
		"just not":             {steps: []step{{0, 5, 4000}, {900, 5, 4000}, {1799, 5, 4000}}},
		"a watt less":          {steps: []step{{0, 5, 3999}, {900, 5, 4000}, {1800, 5, 4000}}},
		"the smaller counts":   {steps: []step{{0, 5, 9000}, {900, 5, 4000}, {1800, 5, 3999}}},
		"it moves":             {steps: []step{{0, 5, 4000}, {900, 6, 4000}, {1800, 6, 4000}}},
		"it moves at the end":  {steps: []step{{0, 5, 4000}, {900, 5, 4000}, {1800, 6, 4000}}},
		"too long a pause":     {steps: []step{{0, 5, 4000}, {901, 5, 4000}, {1801, 5, 4000}}},
		"power unknown once":   {steps: []step{{0, 5, 4000}, {900, 5, -1}, {1800, 5, 4000}, {2700, 5, 4000}}},
		"and then again":       {steps: []step{{0, 5, 4000}, {900, 5, -1}, {1800, 5, 4000}, {2700, 5, 4000}, {3600, 5, 4000}}, want: "V07 error"},
		"no power":             {steps: []step{{0, 5, 0}, {900, 5, 0}, {1800, 5, 0}}},
		"own bound":            {o: Options{StuckEnergy: 1000}, steps: []step{{0, 5, 4000}, {900, 5, 4000}}, want: "V07 error"},
		"below own bound":      {o: Options{StuckEnergy: 1001}, steps: []step{{0, 5, 4000}, {900, 5, 4000}}},
		"four coarse steps":    {o: Options{Step: 1000}, steps: []step{{0, 5, 4000}, {900, 5, 4000}, {1800, 5, 4000}, {2700, 5, 4000}, {3600, 5, 4000}}, want: "V07 error"},
		"less than four steps": {o: Options{Step: 1000}, steps: []step{{0, 5, 4000}, {900, 5, 4000}, {1800, 5, 4000}, {2700, 5, 4000}, {3599, 5, 4000}}},
		"enormous power":       {steps: []step{{0, 5, 1 << 62}, {900, 5, 1 << 62}}, want: "V07 error"},
		"short pauses":         {steps: []step{{0, 5, 120_000}, {30, 5, 120_000}, {60, 5, 120_000}}, want: "V07 error"},
		"a second less":        {steps: []step{{0, 5, 120_000}, {30, 5, 120_000}, {59, 5, 120_000}}},
		"off":                  {o: Options{Off: flags(7)}, steps: []step{{0, 5, 4000}, {900, 5, 4000}, {1800, 5, 4000}}},
		"the same instant":     {steps: []step{{0, 5, 1 << 62}, {0, 5, 1 << 62}}},
	} {
		checker := New(mainImport, c.o)
		for i, s := range c.steps {
			got := said(checker.Reading(Facts{At: after(float64(s.s)), Value: s.value, Power: s.power, PowerKnown: s.power >= 0}, nil))
			want := ""
			if i == len(c.steps)-1 {
				want = c.want
			}
			if got != want {
				t.Errorf("%s: step %d says %q, want %q", name, i, got, want)
			}
		}
		h := measured(int(c.steps[len(c.steps)-1].s/1800), 5)
		checker.HalfHour(&h, nil, nil)
		if (h.Flags != 0) != (c.want != "") {
			t.Errorf("%s: flags %v", name, h.Flags.List())
		}
	}
	// Power that flows the other way does not count.
	checker := New(mainImport, Options{})
	for i := range 10 {
		if fs := checker.Reading(Facts{At: after(float64(i * 900)), Value: 5, Power: -40000, PowerKnown: true}, nil); len(fs) != 0 {
			t.Fatal(fs)
		}
	}
	// A refused reading interrupts the power that is known.
	checker = New(mainImport, Options{})
	for i, f := range []Facts{
		{At: after(0), Value: 5, Power: 8000, PowerKnown: true},
		{At: after(600), NoValue: true},
		{At: after(900), Value: 5, Power: 8000, PowerKnown: true},
		{At: after(1000), Value: 5, Power: 8000, PowerKnown: true, Source: flags(14)},
		{At: after(1700), Value: 5, Power: 8000, PowerKnown: true},
	} {
		for _, x := range checker.Reading(f, nil) {
			if x.Rule == 7 {
				t.Errorf("reading %d: %v", i, x)
			}
		}
	}
}

// What a reading says is in the measure's own unit and names the bound.
func TestReadingWords(t *testing.T) {
	c := New(energy.Key{Meter: "g", Measure: energy.Gas}, Options{Unit: "m3"})
	c.Reading(Facts{At: noon, Value: 700}, nil)
	for _, x := range []struct {
		f                     Facts
		found, expected, note string
	}{
		{Facts{At: noon, Value: 800}, "800 L at 2026-07-15T12:00:00Z", "700 L, as it was given before", ""},
		{Facts{At: noon, NoValue: true, Word: "0xFFFFFF"}, "0xFFFFFF", "a number", ""},
		{Facts{At: noon, Unit: "ft3"}, "unit ft3", "unit m3", ""},
		{Facts{At: noon, Now: noon.Add(500 * 24 * time.Hour)}, "500 days old", "at most 400 days", ""},
		{Facts{At: noon, Now: noon.Add(-90 * time.Second)}, "1m30s in the future", "at most 20s", ""},
		{Facts{At: noon, Value: 700, DeviceAt: noon.Add(-70 * time.Second)}, "the device's clock is 1m10s behind", "within 20s", "the agent's time is used"},
		{Facts{At: noon, Value: 700, DeviceAt: noon.Add(70 * time.Minute)}, "the device's clock is 1h10m0s ahead", "within 20s", "the device's times are not used"},
		{Facts{At: noon, Value: 700, Now: noon.Add(2 * time.Hour), DeviceAt: noon.Add(70 * time.Minute)}, "2h0m0s old", "a live value, at most 1h0m0s old", ""},
		{Facts{At: noon, Value: 700, Source: flags(14), Word: "fault"}, "marked bad by its source: fault", "good quality", ""},
	} {
		c.slots = nil
		fs := c.Reading(x.f, nil)
		if len(fs) != 1 || fs[0].Found != x.found || fs[0].Expected != x.expected || fs[0].Note != x.note {
			t.Errorf("%+v: %v\nwant %q, %q, %q", x.f, fs, x.found, x.expected, x.note)
		}
	}
}

// Readings come all day long: nothing is allocated while nothing is wrong, and
// the time since a finding does not change that.
func TestReadingAllocates(t *testing.T) {
	c := New(mainImport, Options{Unit: "kWh"})
	c.Reading(Facts{At: noon, NoValue: true}, nil)
	f := Facts{At: noon, Value: 1, Unit: "kWh", Power: 500, PowerKnown: true}
	dst := make([]Finding, 0, 8)
	if n := testing.AllocsPerRun(1000, func() {
		f.At = f.At.Add(10 * time.Second)
		f.DeviceAt = f.At.Add(time.Second)
		f.Value++
		dst = c.Reading(f, dst[:0])
	}); n != 0 || len(dst) != 0 {
		t.Errorf("%v allocations for a reading, %d findings", n, len(dst))
	}
}

func BenchmarkReading(b *testing.B) {
	c := New(mainImport, Options{Unit: "kWh"})
	f := Facts{At: noon, Unit: "kWh", Power: 500, PowerKnown: true}
	var dst []Finding
	b.ReportAllocs()
	for b.Loop() {
		f.At = f.At.Add(10 * time.Second)
		f.DeviceAt = f.At.Add(time.Second)
		f.Value++
		dst = c.Reading(f, dst[:0])
	}
}
