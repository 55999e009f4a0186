package dcc

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// screen is a hearer under test.
type screen struct {
	*recorder
	h *glowHearer
}

func newScreen(t *testing.T, devices ...Device) *screen {
	r := newRecorder(t)
	return &screen{r, newGlowHearer(Config{Devices: devices, Logger: quiet}, "glow", r.deliver)}
}

// says lets a display say something, and returns what was delivered of it.
func (s *screen) says(display, kind, body string, at time.Time, retained bool) []heard {
	s.pending = nil
	s.h.hear(arrival{"glow/" + display + "/SENSOR/" + kind, []byte(body), retained, at})
	return s.pending
}

var (
	elec    = Device{Meter: "main", Name: "main", Measures: []energy.Measure{energy.Import, energy.Export}}
	gasOnly = Device{Meter: "gas", Name: "gas", Measures: []energy.Measure{energy.Gas}}
)

func TestGlowDates(t *testing.T) {
	noon := utc("2024-04-10 12:00")
	for _, c := range []struct {
		name     string
		arrives  time.Duration // after noon, which the display says it is
		retained bool
		at       time.Duration
		flags    energy.Flags
	}{
		{"at once", 0, false, 0, 0},
		{"a little later", 3 * time.Second, false, 0, 0},
		{"its clock is ahead", -time.Minute, false, -time.Minute, 0},
		{"its clock is behind", time.Hour, false, 0, 0},
		{"retained, young", retainedOld, true, 0, 0},
		{"retained, old", retainedOld + 1, true, 0, energy.Flags(0).With(13)},
	} {
		s := newScreen(t, Device{Meter: "main", Name: displayA, Measures: []energy.Measure{energy.Import}})
		got := s.says(displayA, "electricitymeter", electricity("2024-04-10T12:00:00Z", "6613.405", "1", ""), noon.Add(c.arrives), c.retained)
		want := drivers.Reading{Sample: energy.Sample{At: noon.Add(c.at), Value: 6613405}, DeviceAt: noon, Flags: c.flags}
		if len(got) != 1 || got[0].Reading != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
}

func TestGlowDuplicates(t *testing.T) {
	s := newScreen(t, elec)
	noon := utc("2024-04-10 12:00")
	for _, c := range []struct {
		at, imported string
		want         int
	}{
		{"2024-04-10T12:00:00Z", "5", 2}, {"2024-04-10T12:00:00Z", "5", 0}, {"2024-04-10T12:00:10Z", "5", 2}, {"2024-04-10T12:00:10Z", "5.001", 1},
	} {
		if got := s.says(displayA, "electricitymeter", electricity(c.at, c.imported, "7", ""), noon, false); len(got) != c.want {
			t.Errorf("%s %s: %d readings, want %d", c.at, c.imported, len(got), c.want)
		}
	}
}

// An export of 0 is believed when it stays so and import is there, and never
// once it was more.
func TestGlowZeroExport(t *testing.T) {
	s := newScreen(t, Device{Meter: "pv", Name: "pv", Measures: []energy.Measure{energy.Export}})
	at := utc("2024-04-10 12:00")
	say := func(imported, exported string) string {
		at = at.Add(10 * time.Second)
		got := s.says(displayA, "electricitymeter", electricity(at.Format(time.RFC3339), imported, exported, ""), at, false)
		switch {
		case len(got) != 1:
			return "nothing"
		case got[0].Err != nil:
			return string(kindOf(got[0].Err))
		}
		return "value"
	}
	for i, c := range []struct{ imported, exported, want string }{
		{"0", "0", "sentinel"}, {"0", "0", "sentinel"}, {"0", "0", "sentinel"}, {"0", "0", "sentinel"},
		{"5", "0", "sentinel"}, {"5", "0", "sentinel"}, {"5", "0", "value"}, {"5", "0", "value"},
		{"5", "0.001", "value"}, {"5", "0", "sentinel"}, {"5", "0", "sentinel"}, {"5", "0", "sentinel"}, {"5", "0", "sentinel"}, {"5", "0.002", "value"},
	} {
		if got := say(c.imported, c.exported); got != c.want {
			t.Errorf("message %d (%+v): %s", i, c, got)
		}
	}
}

func TestGlowMatches(t *testing.T) {
	named := func(n string) Device {
		return Device{Meter: n, Name: n, Measures: []energy.Measure{energy.Import}}
	}
	type said struct{ display, mpan string }
	for _, c := range []struct {
		name    string
		devices []Device
		says    []said
		want    []int // the device that takes it; -1: none
	}{
		{"by MAC", []Device{named(displayA), named("01:23:45:67:89:ab")}, []said{{displayA, ""}, {displayB, ""}, {"FFFFFFFFFFFF", ""}}, []int{0, 1, -1}},
		{"by MPAN", []Device{named(mpanA), named(mpanB)}, []said{{displayA, mpanB}, {displayB, mpanA}, {displayA, "1"}}, []int{1, 0, -1}},
		{"an MPAN that the display does not know", []Device{named(mpanA)}, []said{{displayA, "EMPTY"}, {displayB, ""}}, []int{0, -1}},
		{"an MPAN that neither knows", []Device{named(mpanA), named(mpanB)}, []said{{displayA, "---"}}, []int{-1}},
		{"the only one", []Device{named("main"), gasOnly}, []said{{displayA, mpanA}, {displayB, mpanB}, {displayA, mpanA}}, []int{0, -1, 0}},
		{"one of two", []Device{named("main"), named("other")}, []said{{displayA, mpanA}}, []int{-1}},
	} {
		s := newScreen(t, c.devices...)
		at := utc("2024-04-10 12:00")
		for i, m := range c.says {
			at = at.Add(time.Second)
			got := s.says(m.display, "electricitymeter", electricity(at.Format(time.RFC3339), "5", "5", m.mpan), at, false)
			if len(got) > 1 || (len(got) == 1) != (c.want[i] >= 0) || len(got) == 1 && got[0].device != c.want[i] {
				t.Errorf("%s: message %d: %+v, want %d", c.name, i, got, c.want[i])
			}
		}
	}
}

func TestGlowRefusals(t *testing.T) {
	s := newScreen(t, elec, gasOnly)
	at := utc("2024-04-10 12:00")
	if got := s.says(displayA, "electricitymeter", electricity("1970-01-01T00:00:01Z", "5", "5", ""), at, false); len(got) > 0 {
		t.Errorf("a display without a time was heard: %+v", got)
	}
	got := s.says(displayA, "gasmeter", gas("2024-04-10T12:00:00Z", "", ""), at, false)
	if len(got) != 1 || got[0].device != 1 || kindOf(got[0].Err) != drivers.Protocol {
		t.Errorf("gas in kWh: %+v", got)
	}
	if got := s.says(displayA, "electricitymeter", electricity("2024-04-10T11:00:00Z", "0", "5", ""), at, true); len(got) != 1 || got[0].Point != 1 {
		t.Errorf("an old retained zero says nothing: %+v", got)
	}
	got = s.says(displayA, "electricitymeter", electricity("2024-04-10T12:00:00Z", "0", "5", ""), at, false)
	if len(got) != 2 || got[0].Point != 0 || kindOf(got[0].Err) != drivers.Sentinel || got[1].Point != 1 || got[1].Err != nil {
		t.Errorf("a zero: %+v", got)
	}
}

// A gas value is dated when it changes; one that stays, when it must have been
// fetched again; what was retained not at all.
func TestGlowGas(t *testing.T) {
	s := newScreen(t, gasOnly)
	noon := utc("2024-04-10 12:00")
	for i, c := range []struct {
		after    time.Duration
		value    string
		retained bool
		want     time.Duration // after noon; -1: no reading
	}{
		{0, "100", true, -1},
		{time.Second, "100", false, -1},                                                // nobody knows when it was fetched
		{time.Minute, "100.010", false, time.Minute},                                   // just now
		{2 * time.Minute, "100.010", false, -1},                                        //
		{36*time.Minute - time.Second, "100.010", false, -1},                           //
		{36 * time.Minute, "100.010", false, time.Minute},                              // was said
		{37 * time.Minute, "100.010", false, 2 * time.Minute},                          // fetched again since
		{39 * time.Minute, "100.020", false, 39 * time.Minute},                         // 2 minutes: still sharp
		{41*time.Minute + time.Second, "100.030", false, -1},                           // not sharp
		{42 * time.Minute, "100.040", false, 42 * time.Minute},                         //
		{41 * time.Minute, "100.050", false, -1},                                       // out of order
		{3 * time.Hour, "100.040", false, 3*time.Hour - 35*time.Minute},                // after an outage, it stayed
		{3*time.Hour + 10*time.Second, "100.090", false, 3*time.Hour + 10*time.Second}, //
	} {
		at := noon.Add(c.after)
		got := s.says(displayA, "gasmeter", gas(at.Format(time.RFC3339), c.value, ""), at, c.retained)
		if i == 5 { // the same instant as before says nothing new
			c.want = -1
		}
		if (len(got) == 1) != (c.want >= 0) || len(got) == 1 && (!got[0].Sample.At.Equal(noon.Add(c.want)) || !got[0].DeviceAt.IsZero()) {
			t.Errorf("message %d at %s: %+v, want %s", i, c.after, got, c.want)
		}
	}
}

// Two messages of one second, with a change in between.
func TestGlowGasSameSecond(t *testing.T) {
	var r refresh
	at := utc("2024-04-10 12:00")
	if _, ok := r.hear(at, 1); ok {
		t.Error("the first is dated")
	}
	if got, ok := r.hear(at, 2); !ok || !got.Equal(at) {
		t.Errorf("a change is dated %s, %t", got, ok)
	}
	if got, ok := r.hear(at, 3); ok {
		t.Errorf("the same second is given twice: %s", got)
	}
}

// What counts as a sign of life of a display.
func TestGlowHears(t *testing.T) {
	s := newScreen(t, gasOnly)
	for _, c := range []struct {
		topic, body string
		want        bool
	}{
		{"glow/" + displayA + "/SENSOR/electricitymeter", electricity("2024-04-10T12:00:00Z", "5", "5", ""), true},
		{"glow/" + displayA + "/SENSOR/temperature", "21", false},
		{"glow/" + displayA + "/SENSOR/electricitymeter", "{", false},
	} {
		if got := s.h.hear(arrival{c.topic, []byte(c.body), false, now}); got != c.want {
			t.Errorf("%s %s: %t", c.topic, c.body, got)
		}
	}
}

// Whatever the meter does, and however messages are lost: each reading of gas is
// what the register was at the time that it is dated, or up to what it counted
// between two messages in a row before; and the times only go forward.
func TestGlowGasLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const step = 10 * time.Second
		start := utc("2024-04-10 00:00")
		steps := rapid.IntRange(100, 2500).Draw(t, "steps")
		offset := rapid.IntRange(0, 179).Draw(t, "offset")
		burn := rapid.SliceOfN(rapid.Int64Range(0, 2), 1, 8).Draw(t, "burn")
		register := make([]int64, steps) // at each step
		v, shown := int64(1000), int64(1000)
		var r refresh
		last := time.Time{}
		lost := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 40).Draw(t, "lost")
		for i := range steps {
			v += burn[i/180%len(burn)]
			register[i] = v
			if i%180 == offset {
				shown = v // the meter wakes up every 30 minutes
			}
			if lost[i/30%len(lost)] == 0 || i < offset {
				continue // messages are lost, for 5 minutes at a time
			}
			at := start.Add(time.Duration(i) * step)
			dated, ok := r.hear(at, shown)
			if !ok {
				continue
			}
			if !dated.After(last) {
				t.Fatalf("%s after %s", dated, last)
			}
			last = dated
			k := int(dated.Sub(start) / step)
			slack := int64(2 * sharp / step) // the burner counts at most 2 a step
			if r.value > register[k] || register[k]-r.value > slack {
				t.Fatalf("at step %d the register was %d, not %d", k, register[k], r.value)
			}
		}
	})
}
