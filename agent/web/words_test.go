package web

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

func TestChart(t *testing.T) {
	// The day on which the clocks go back has 50 half-hours.
	d := energy.SettlementDay(2026, time.October, 25)
	from, to := d.Start(1), d.Start(d.Periods()+1)
	have := map[int64]energy.HalfHour{}
	for i, q := range []energy.Quality{energy.Measured, energy.Interpolated, energy.Estimated, energy.Substituted, energy.Missing} {
		start := d.Start(i + 1)
		have[start.Unix()] = energy.HalfHour{Start: start, Energy: int64(1000 * i), Quality: q}
	}
	svg := string(chart(energy.Import, from, to, energy.Period, have))
	for _, want := range []string{`class="measured"`, `class="interpolated"`, `class="estimated"`, `class="substituted"`, `class="missing"`, "not known", "00:00 to 00:30: 0.000 kWh, measured", `width="7.7"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("the chart lacks %s", want)
		}
	}
	if n := strings.Count(svg, "<rect"); n != 5 {
		t.Errorf("%d bars, want 5", n)
	}
	if s := chart(energy.Import, to, from, energy.Period, nil); s != "" {
		t.Errorf("an impossible day: %s", s)
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		m    energy.Measure
		v    int64
		want string
	}{
		{energy.Import, 0, "0.000 kWh"}, {energy.Import, 12_345_678, "12\u202f345.678 kWh"}, {energy.ReactiveExport, 999, "0.999 kvarh"},
		{energy.Gas, 1_000_000_001, "1\u202f000\u202f000.001 m³"},
	} {
		if got := amount(c.m, c.v); got != c.want {
			t.Errorf("%v %d: %q, want %q", c.m, c.v, got, c.want)
		}
	}
}

func TestAges(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "just now", time.Second: "just now", 30 * time.Second: "30 seconds ago", 10 * time.Minute: "10 minutes ago", 5 * time.Hour: "5 hours ago", 72 * time.Hour: "3 days ago",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestPermits(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	g := grant.Grant{
		License: "https://r/scheme/perseus/license/energy-consumption-emissions-edp-cap-fsp/2026-03-12", Client: "https://bank.example/a/1",
		Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}},
		From:   now.AddDate(-1, 0, 0), Granted: now.AddDate(0, -1, 0), Expires: now.AddDate(0, 11, 0),
	}
	want := "bank.example/a/1 may receive half-hourly energy, and pass on monthly emissions to a bank (import of meter main), from 22 November 2025 until 22 October 2027. Given on 22 October 2026."
	if p := permit(g, now); p.Words != want || p.Ended != "" {
		t.Errorf("%+v", p)
	}
	if p := permit(g, now.AddDate(2, 0, 0)); !strings.HasPrefix(p.Ended, "Ended on") {
		t.Errorf("%+v", p)
	}
	g.Revoked = now
	if p := permit(g, now); !strings.HasPrefix(p.Ended, "Withdrawn on 22 November 2026") {
		t.Errorf("%+v", p)
	}
}
