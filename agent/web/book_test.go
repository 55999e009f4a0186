package web

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		n, of int64
		want  string
	}{
		{0, 0, "0 %"}, {0, 5, "0 %"}, {5, 5, "100 %"}, {1, 100, "1 %"}, {1, 101, "under 1 %"}, {99, 100, "99 %"}, {100, 101, "over 99 %"},
		{1, 3, "33 %"}, {2, 3, "67 %"}, {1, 2, "50 %"}, {995, 1000, "over 99 %"}, {985, 1000, "99 %"}, {984, 1000, "98 %"},
	} {
		if got := percent(c.n, c.of); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.n, c.of, got, c.want)
		}
	}
}

func TestShares(t *testing.T) {
	hh := func(slot int, wh int64, q energy.Quality, f energy.Flags) energy.HalfHour {
		return energy.HalfHour{Start: midnight.Add(time.Duration(slot) * energy.Period), Energy: wh, Quality: q, Flags: f}
	}
	// From slot 4 on; slot 6 is stored as missing, 7 and 8 are not there at all.
	l := fakeLedger{halfHours: map[energy.Key][]energy.HalfHour{mainImport: {
		hh(4, 700, energy.Measured, 0), hh(5, 100, energy.Measured, energy.Flags(0).With(5)), hh(6, 0, energy.Missing, 0), hh(9, 200, energy.Estimated, 0), hh(10, 0, energy.Substituted, 0), hh(11, 0, energy.Interpolated, 0),
	}}}
	at := func(slot int) time.Time { return midnight.Add(time.Duration(slot) * energy.Period) }
	s, err := sharesOf(l, mainImport, at(0), at(48), energy.Period)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.words(), "25 % measured, 13 % interpolated, 13 % estimated, 13 % substituted, 38 % not known"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n, sum := s.total(); n != 8 || sum != 1000 || s.flagged != 1 {
		t.Errorf("%d half-hours, %d Wh, %d flagged", n, sum, s.flagged)
	}
	rows := s.rows(energy.Import)
	if len(rows) != 5 || rows[0] != (shareRow{"measured", "measured", "2", "25 %", "0.800 kWh", "80 %"}) || rows[4] != (shareRow{"missing", "not known", "3", "38 %", "", ""}) {
		t.Errorf("%+v", rows)
	}
	if b := string(s.bar()); strings.Count(b, "<rect") != 5 || !strings.Contains(b, s.words()) {
		t.Error(b)
	}
	// A span that begins in an outage counts it.
	if s, err := sharesOf(l, mainImport, at(7), at(10), energy.Period); err != nil || s.words() != "33 % estimated, 67 % not known" {
		t.Errorf("%v %s", err, s.words())
	}
	if s, err := sharesOf(l, gasGas, at(0), at(48), energy.Period); err != nil || s.words() != "" || s.bar() != "" {
		t.Errorf("%v %+v", err, s)
	}
	l.err = errors.New("no disk")
	if _, err := sharesOf(l, mainImport, at(0), at(48), energy.Period); err == nil {
		t.Error("an error was swallowed")
	}
}

func TestStatementsInWords(t *testing.T) {
	r := func(v int64) *energy.Reading { return &energy.Reading{Value: v} }
	told := func(v int64) *energy.Reading {
		return &energy.Reading{Value: v, Source: energy.OperatorSource}
	}
	for _, c := range []struct {
		s    energy.Statement
		want string
	}{
		{energy.Statement{Kind: energy.OpeningStatement, Opening: r(1500)}, "Counted from here: the first reading is 1.500 kWh."},
		{energy.Statement{Kind: energy.ClosingStatement, Closing: r(1500)}, "Counted up to here: the last reading is 1.500 kWh."},
		{energy.Statement{Kind: energy.ExchangeStatement, Closing: told(1500), Opening: told(0), Serial: "B", OldSerial: "A", Gap: energy.GapCounted, Note: "Job 7."},
			"Another meter: B for A. The old one ended at 1.500 kWh (read by a person), the new one begins at 0.000 kWh (read by a person). The energy in between is counted. Note: Job 7."},
		{energy.Statement{Kind: energy.ExchangeStatement, Opening: r(7), Serial: "B"}, "Another meter: B. The new one begins at 0.007 kWh."},
		{energy.Statement{Kind: energy.ExchangeStatement, Opening: r(7)}, "Another meter. The new one begins at 0.007 kWh."},
		{energy.Statement{Kind: energy.ResetStatement, Closing: r(9), Opening: r(2), Gap: energy.GapUnknown},
			"The register went from 0.009 kWh to 0.002 kWh and stayed there: counted on from the new value. The energy in between is not known."},
		{energy.Statement{Kind: energy.ResetStatement, Opening: r(2)}, "The register went from an unknown value to 0.002 kWh and stayed there: counted on from the new value."},
		{energy.Statement{Kind: energy.RolloverStatement, Closing: r(9), Opening: r(2), Gap: energy.GapEstimated}, "The register went round, from 0.009 kWh to 0.002 kWh: counted through. The energy in between is estimated."},
		{energy.Statement{Kind: energy.ConfigChangeStatement, Closing: r(9), Opening: r(90)}, "Read in another way from here: 0.009 kWh before, 0.090 kWh after."},
		{energy.Statement{Kind: energy.ConfigChangeStatement, Opening: r(90), Method: "difference"}, "Read in another way from here: the first reading is 0.090 kWh. Derived by difference."},
		{energy.Statement{Kind: energy.OpeningStatement, Opening: r(0), Method: "sum", Register: "made of a + b"}, "A virtual meter, by sum, made of a + b."},
		{energy.Statement{Kind: energy.ConfigChangeStatement, Opening: r(0), Method: "sum", Register: "made of a + c"},
			"Stated anew: a virtual meter, by sum, made of a + c. Its half-hours are made again where all that it is made of is known."},
		{energy.Statement{Kind: energy.ClosingStatement, Closing: r(9), Method: "sum", Register: "made of a + c"}, "Made up to here: a virtual meter, by sum, made of a + c."},
		{energy.Statement{Kind: energy.ClockStatement, Opening: r(90), Shift: 180_000}, "The clock was put right, forward by 3 minutes. The first reading dated by it is 0.090 kWh."},
		{energy.Statement{Kind: energy.ClockStatement, Opening: r(90), Shift: -5000}, "The clock was put right, back by 5 seconds. The first reading dated by it is 0.090 kWh."},
		{energy.Statement{Kind: energy.ClockStatement, Opening: r(90), Shift: -3_599_999}, "The clock was put right, back by 60 minutes. The first reading dated by it is 0.090 kWh."},
		{energy.Statement{Kind: energy.ClockStatement, Opening: r(90)}, "The clock was put right. The first reading dated by it is 0.090 kWh."},
		{energy.Statement{Kind: energy.OpeningStatement, Opening: r(7), Corrected: true, VCF: "1", Factor: "t.yaml sha256:ab"}, "Counted from here: the first reading is 0.007 kWh. The meter corrects its volume. Calorific values: t.yaml."},
		{energy.Statement{Kind: energy.ConfigChangeStatement, Closing: r(9), Opening: r(90), Gap: energy.GapCounted, VCF: "1.1", Zone: "NT", ConvertedFrom: time.Date(2026, 7, 1, 4, 0, 0, 0, time.UTC)},
			"The volume becomes energy in another way; the register is read as before, and shows 0.090 kWh. The energy in between is counted. Its energy is worked out with a volume correction factor of 1.1. This holds from 05:00 on 1 July 2026 on, as the operator states. Zone NT."},
		{energy.Statement{Kind: energy.ConfigChangeStatement, Closing: r(9), Opening: r(90), Gap: energy.GapCounted, VCF: "1.1"},
			"From here the volume becomes energy in another way; the register is read as before, and shows 0.090 kWh. The energy in between is counted. Its energy is worked out with a volume correction factor of 1.1."},
		{energy.Statement{Kind: energy.ConfigChangeStatement, Opening: r(0), Method: energy.IntervalTotals, VCF: "1.1"},
			"From here the volume becomes energy in another way; it is taken as before. Its energy is worked out with a volume correction factor of 1.1."},
		{energy.Statement{Kind: energy.OpeningStatement, Opening: r(0), Method: energy.IntervalTotals, VCF: "1.1"},
			"Counted from here, by the totals that a feed gives. Its energy is worked out with a volume correction factor of 1.1."},
		{energy.Statement{Kind: energy.OpeningStatement, Opening: r(7), VCF: "1.1"}, "Counted from here: the first reading is 0.007 kWh. Its energy is worked out with a volume correction factor of 1.1."},
	} {
		c.s.Measure = energy.Import
		if got := StatementWords(c.s); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestClockInWords(t *testing.T) {
	if clockWords(nil) != nil {
		t.Error("words about no clock")
	}
	for _, c := range []struct {
		s     clock.Status
		class string
		want  []string
	}{
		{clock.Status{Trusted: true, Why: "a time service keeps the clock"}, "good", []string{"Its clock can be relied upon: a time service keeps the clock."}},
		{clock.Status{Trusted: true, Source: clock.Assumed, Why: "a PC has one"}, "plain", []string{"Its clock is believed, though nothing vouches for it: a PC has one."}},
		{clock.Status{Why: "no battery"}, "bad", []string{"cannot be relied upon yet: no battery.", "Their readings get their right times once it can."}},
		{clock.Status{Trusted: true, Class: clock.Flagged, Doubt: 30 * time.Second}, "warn", []string{"", "may be wrong by 30 seconds: half-hours are marked V11"}},
		{clock.Status{Trusted: true, Class: clock.Quarantine, Doubt: time.Hour}, "bad", []string{"", "may be wrong by 60 minutes. Connect it to one"}},
		{clock.Status{Trusted: true, Ignoring: true, Steps: 1}, "warn", []string{"", "cannot be. It is not followed.", "It was set once"}},
		{clock.Status{Trusted: true, Offset: -2 * time.Second, Steps: 3}, "good", []string{"", "is 2 seconds off, and is followed slowly", "It was set 3 times"}},
		{clock.Status{Trusted: true, Offset: 1999 * time.Millisecond}, "good", []string{""}},
	} {
		v := clockWords(&c.s)
		if v.Class != c.class || len(v.Words) != len(c.want) {
			t.Errorf("%+v: %+v", c.s, v)
			continue
		}
		var b strings.Builder
		if err := pageTemplate.Execute(&b, view{Clock: v}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(b.String(), `<p class="dot `+c.class+`">Its clock `); n != 1 || !strings.Contains(b.String(), "<h2>The time</h2>") {
			t.Errorf("%+v stands %d times on the page", v, n)
		}
		for i, w := range c.want {
			if !strings.Contains(v.Words[i], w) {
				t.Errorf("%q lacks %q", v.Words[i], w)
			}
		}
	}
}

func TestStretches(t *testing.T) {
	// British Summer Time: 13:00 UTC is 14:00.
	from := time.Date(2026, 7, 1, 13, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "14:00 on 1 July 2026", -time.Hour: "14:00 on 1 July 2026", 59 * time.Second: "14:00 on 1 July 2026", 30 * time.Minute: "14:00 to 14:30 on 1 July 2026", 24 * time.Hour: "14:00 on 1 July 2026 to 14:00 on 2 July 2026",
	} {
		if got := stretch(from, from.Add(d)); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}

// The newest stand first, and no list grows without an end.
func TestBook(t *testing.T) {
	l := fakeLedger{damaged: -1, statements: keyedStatements(t, mainImport, mostListed+5)}
	l.statements = append(l.statements, energy.KeyedStatement{Key: mainExport, At: midnight, Body: []byte("{}")})
	now := midnight.AddDate(0, 0, 40)
	for i := range mostListed + 4 {
		l.findings = append(l.findings, keyedFinding(t, mainImport, 5, now.Add(time.Duration(i-100)*time.Hour), energy.Period))
	}
	l.findings = append(l.findings, keyedFinding(t, mainImport, 6, now.AddDate(0, 0, -31), 0), keyedFinding(t, mainImport, 12, now.AddDate(50, 0, 0), 0))
	b := readBook(l, now, lookBackOne)
	if n := len(b.findings["main"]); n != mostListed+5 || b.findings["main"][0].Rule != "V12" || b.findings["main"][0].Class != "bad" {
		t.Errorf("%d findings, %+v", n, b.findings["main"][0])
	}
	if s := b.statements[mainImport]; len(s) != mostListed+5 || !strings.Contains(s[0].Words, fmt.Sprintf("%d.000 kWh", mostListed+4)) || b.trouble != "" {
		t.Errorf("%d statements, %+v, %s", len(s), s[0], b.trouble)
	}
	if s := b.statements[mainExport]; len(s) != 1 || !strings.Contains(s[0].Words, "This version cannot read it") {
		t.Errorf("%+v", s)
	}
	l.damaged = 3
	if b := readBook(l, now, lookBackOne); b.trouble == "" || len(b.statements[mainImport]) != mostListed+4 {
		t.Errorf("%q, %d", b.trouble, len(b.statements[mainImport]))
	}
	l.err = errors.New("no disk")
	if b := readBook(l, now, lookBackOne); !strings.Contains(b.trouble, "findings") {
		t.Errorf("%q", b.trouble)
	}
	for _, s := range []validate.Severity{validate.Info, validate.Warning, validate.Error} {
		if viewFinding(Finding{Severity: s}).Class == "" {
			t.Errorf("%v has no colour", s)
		}
	}
}
