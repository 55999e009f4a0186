package validate

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestEvent(t *testing.T) {
	ev := func(k energy.EventKind, before, after int64) energy.Event {
		return energy.Event{Kind: k, At: noon.Add(40 * time.Minute), Before: before, After: after, BeforeAt: noon.Add(10 * time.Minute)}
	}
	wraps := Options{Modulus: 1000}
	for name, c := range map[string]struct {
		o     Options
		e     energy.Event
		want  string
		found string // of the first finding
		flags string // of the half-hours from 12:00 and 12:30; the one from 13:00 has none
	}{
		"nothing":                  {e: ev(energy.Nothing, 5, 6)},
		"opened":                   {e: energy.Event{Kind: energy.Opened, At: noon, Before: -1, After: 5}},
		"out of order":             {e: ev(energy.OutOfOrder, 5, 3)},
		"glitch down":              {e: ev(energy.Glitch, 500, 3), want: "V03 warning", found: "from 500 Wh to 3 Wh"},
		"glitch up":                {e: ev(energy.Glitch, 500, 501), want: "V05 warning", found: "from 500 Wh to 501 Wh"},
		"glitch same":              {e: ev(energy.Glitch, 500, 500), want: "V05 warning", found: "from 500 Wh to 500 Wh"},
		"glitch 0":                 {e: ev(energy.Glitch, 500, 0), want: "V03 warning", found: "from 500 Wh to 0 Wh"},
		"0 at the wrap":            {o: wraps, e: ev(energy.Glitch, 990, 0)},
		"0 before the wrap":        {o: wraps, e: ev(energy.Glitch, 989, 0), want: "V03 warning", found: "from 989 Wh to 0 Wh"},
		"1 at the wrap":            {o: wraps, e: ev(energy.Glitch, 990, 1), want: "V03 warning", found: "from 990 Wh to 1 Wh"},
		"too fast":                 {e: ev(energy.TooFast, 5, 1e9), want: "V05 warning", found: "from 5 Wh to 1000000.000 kWh"},
		"too fast off":             {o: Options{Off: flags(5)}, e: ev(energy.TooFast, 5, 1e9)},
		"retracted":                {e: ev(energy.Retracted, 500, 600), want: "V03 warning", found: "a single reading of 600 Wh"},
		"caught up":                {e: ev(energy.CaughtUp, 500, 900), want: "V07 warning", found: "the register stood at 500 Wh and then leapt to 900 Wh", flags: "V07|V07"},
		"caught up off":            {o: Options{Off: flags(7)}, e: ev(energy.CaughtUp, 500, 900)},
		"rollover":                 {o: wraps, e: ev(energy.Rollover, 990, 4), want: "V04 info", found: "from 990 Wh to 4 Wh", flags: "V04|V04"},
		"reset down":               {e: ev(energy.Reset, 500, 3), want: "V03 error", found: "from 500 Wh to 3 Wh", flags: "V03|V03"},
		"reset up":                 {e: ev(energy.Reset, 500, 500), want: "V05 error", found: "from 500 Wh to 500 Wh", flags: "V05|V05"},
		"reset off":                {o: Options{Off: flags(3)}, e: ev(energy.Reset, 500, 3)},
		"reset without baseline":   {e: energy.Event{Kind: energy.Reset, At: noon, Before: -1, After: 5}},
		"reset from 0":             {e: ev(energy.Reset, 0, 0), want: "V05 error", found: "from 0 Wh to 0 Wh", flags: "V05|V05"},
		"reset near the modulus":   {o: wraps, e: ev(energy.Reset, 900, 850), want: "V03 error, V04 error", found: "from 900 Wh to 850 Wh", flags: "V03 V04|V03 V04"},
		"reset not near":           {o: wraps, e: ev(energy.Reset, 899, 850), want: "V03 error", found: "from 899 Wh to 850 Wh", flags: "V03|V03"},
		"leap near the modulus":    {o: wraps, e: ev(energy.Reset, 900, 900), want: "V05 error", found: "from 900 Wh to 900 Wh", flags: "V05|V05"},
		"ambiguous":                {e: ev(energy.Ambiguous, 500, 600), want: "V04 error", found: "no reading for 30m0s", flags: "V04|V04"},
		"exchanged":                {e: ev(energy.Exchanged, 500, 7), want: "V17 error", found: "another meter, at 7 Wh", flags: "V17|V17"},
		"clock back":               {e: energy.Event{Kind: energy.ClockBack, At: noon.Add(40 * time.Minute), Before: 5, After: 6, BeforeAt: noon.AddDate(1, 0, 0)}, want: "V12 error", found: "the last reading is dated 2027-07-15T12:00:00Z"},
		"baseline of another time": {e: energy.Event{Kind: energy.Reset, At: noon.Add(40 * time.Minute), Before: 5, After: 3, BeforeAt: noon.AddDate(1, 0, 0)}, want: "V03 error", found: "from 5 Wh to 3 Wh", flags: "|V03"},
	} {
		t.Run(name, func(t *testing.T) {
			checker := New(mainImport, c.o)
			fs := checker.Event(c.e, nil)
			if said(fs) != c.want || c.want != "" && fs[0].Found != c.found {
				t.Errorf("%v, want %q, %q", fs, c.want, c.found)
			}
			wellFormed(t, fs)
			var got [3]string
			for i := range got {
				h := graded(measured(i, 0), energy.Missing, energy.RuleNone)
				checker.HalfHour(&h, nil, nil)
				got[i] = flagged(h.Flags)
			}
			if c.flags == "" {
				c.flags = "|"
			}
			if got[0]+"|"+got[1] != c.flags || got[2] != "" {
				t.Errorf("flags %q, want %s", got, c.flags)
			}
		})
	}
}

// The break of a Reset that ends at a boundary does not touch what follows.
func TestEventEndsAtBoundary(t *testing.T) {
	c := New(mainImport, Options{})
	c.Event(energy.Event{Kind: energy.Reset, At: slotAt(2), Before: 9, After: 1, BeforeAt: slotAt(1)}, nil)
	for n, want := range []string{"", "V03", ""} {
		h := measured(n, 1)
		c.HalfHour(&h, nil, nil)
		if flagged(h.Flags) != want {
			t.Errorf("half-hour %d has flags %q, want %q", n, flagged(h.Flags), want)
		}
	}
}

// A leap is held first (a warning) and stays (an error): both are said, since
// the second is graver.
func TestLeapThatStays(t *testing.T) {
	c := New(mainImport, Options{})
	fs := c.Event(energy.Event{Kind: energy.TooFast, At: after(60), Before: 5, After: 1e9, BeforeAt: noon}, nil)
	fs = c.Event(energy.Event{Kind: energy.TooFast, At: after(70), Before: 5, After: 1e9, BeforeAt: noon}, fs)
	fs = c.Event(energy.Event{Kind: energy.Reset, At: after(300), Before: 5, After: 1e9, BeforeAt: noon}, fs)
	if said(fs) != "V05 warning, V05 warning, V05 error" || !fs[2].From.Equal(noon) || !fs[2].To.Equal(after(300)) {
		t.Error(fs)
	}
}

func TestChange(t *testing.T) {
	c := New(mainImport, Options{})
	fs := c.Change(time.Time{}, after(60), "serial 7654321", "serial 1234567", nil)
	if said(fs) != "V17 error" || !fs[0].From.Equal(after(60)) || fs[0].Expected != "serial 1234567 or a stated exchange" {
		t.Error(fs)
	}
	// The other meter's first reading was judged already: the break begins with the last one before.
	c = New(mainImport, Options{})
	c.Reading(Facts{At: after(59), Value: 5}, nil)
	fs = c.Change(after(-60), after(60), "serial 7654321", "serial 1234567", nil)
	if said(fs) != "V17 error" || !fs[0].From.Equal(after(-60)) || !fs[0].To.Equal(after(60)) {
		t.Error(fs)
	}
	for n, want := range map[int]string{-1: "V17", 0: "V17"} {
		d := New(mainImport, Options{})
		d.Change(after(-60), after(60), "a", "b", nil)
		h := measured(n, 5)
		d.HalfHour(&h, nil, nil)
		if flagged(h.Flags) != want {
			t.Errorf("half-hour %d: %q", n, flagged(h.Flags))
		}
	}
	if fs = New(mainImport, Options{}).Change(after(120), after(60), "a", "b", nil); !fs[0].From.Equal(after(60)) {
		t.Errorf("a change before the last reading begins at %v", fs[0].From)
	}
	if fs = New(mainImport, Options{Off: flags(17)}).Change(noon, noon, "a", "b", nil); len(fs) != 0 {
		t.Error(fs)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 1499 * time.Millisecond: "1s", 1500 * time.Millisecond: "2s", 48*time.Hour - time.Second: "47h59m59s", 48 * time.Hour: "2 days", 71 * time.Hour: "2 days"} {
		if got := span(d); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}

func TestStep(t *testing.T) {
	for _, c := range []struct {
		shift time.Duration
		want  string
	}{
		{20 * time.Second, ""}, {-20 * time.Second, ""}, {20*time.Second + 1, "V11 warning"}, {-20*time.Second - 1, "V11 warning"},
		{15 * time.Minute, "V11 warning"}, {15*time.Minute + 1, "V11 error"}, {-15*time.Minute - 1, "V11 error"},
	} {
		for _, swapped := range []bool{false, true} {
			from, to := slotAt(0), slotAt(1)
			if swapped {
				from, to = to, from
			}
			checker := New(mainImport, Options{})
			fs := checker.Step(from, to, c.shift, nil)
			if said(fs) != c.want {
				t.Errorf("%v: %v, want %q", c.shift, fs, c.want)
			}
			wellFormed(t, fs)
			h, next := measured(0, 5), measured(1, 5)
			checker.HalfHour(&h, nil, nil)
			checker.HalfHour(&next, nil, nil)
			if h.Flags.Has(11) != (c.want != "") || next.Flags != 0 {
				t.Errorf("%v: flags %v, %v", c.shift, h.Flags.List(), next.Flags.List())
			}
		}
	}
}

// A power is said in watts, also of what would be small as an amount.
func TestPowerThatCannotBe(t *testing.T) {
	for m, want := range map[energy.Measure]string{imp: "-60000 W, at most 50000 W either way", re: "-60000 var, at most 50000 var either way"} {
		c := New(energy.Key{Meter: "main", Measure: m}, Options{})
		fs := c.Power(noon, -60_000, 50_000, nil)
		if said(fs) != "V05 warning" || fs[0].Found+", "+fs[0].Expected != want || !fs[0].From.Equal(noon) || !fs[0].To.Equal(noon) {
			t.Errorf("%v", fs)
		}
		wellFormed(t, fs)
		if fs = New(energy.Key{Meter: "main", Measure: m}, Options{Off: flags(5)}).Power(noon, -60_000, 50_000, nil); len(fs) != 0 {
			t.Errorf("off: %v", fs)
		}
	}
}
