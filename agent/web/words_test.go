package web

import (
	"html/template"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink"
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
	svg := string(chart(energy.Import, from, to, energy.Period, have, map[int64]string{d.Start(1).Unix(): "; <1> kWh"}))
	for _, want := range []string{`class="measured"`, `class="interpolated"`, `class="estimated"`, `class="substituted"`, `class="missing"`, "not known", "00:00 to 00:30: 0.000 kWh, measured; &lt;1&gt; kWh<", `width="7.7"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("the chart lacks %s", want)
		}
	}
	if n := strings.Count(svg, "<rect"); n != 5 {
		t.Errorf("%d bars, want 5", n)
	}
	if s := chart(energy.Import, to, from, energy.Period, nil, nil); s != "" {
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

func TestShows(t *testing.T) {
	for want, r := range map[string]agent.RegisterStatus{
		"":          {Measure: energy.Import, Base: -1, UnitCode: "WHR"},
		"0.000 kWh": {Measure: energy.Import, Base: 0, Value: "0", UnitCode: "WHR"},
		"0.007 kWh": {Measure: energy.Import, Base: 7, Value: "7", UnitCode: "WHR"},
		"-1.292 kW": {Measure: energy.Export, Base: -1, Value: "-1292", UnitCode: "WTT"},
		"0.000 kW":  {Measure: energy.Import, Base: -1, Value: "0", UnitCode: "WTT"},
	} {
		if got := shows(r); got != want {
			t.Errorf("%+v: %q, want %q", r, got, want)
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
	want := "bank.example/a/1 may have half-hourly energy, and pass on monthly emissions to a bank (import of meter main), from 22 November 2025 until 22 October 2027. Given on 22 October 2026."
	if p := permit(g, now); p.Words != want || p.Ended != "" {
		t.Errorf("%+v", p)
	}
	g.Name, g.Parts = "Northern Bank", "fsp"
	want = "Northern Bank may have monthly emissions and nothing finer, worked out from half-hourly energy (import of meter main), from 22 November 2025 until 22 October 2027. Given on 22 October 2026."
	if p := permit(g, now); p.Words != want {
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

// Every state of the uplink is said in words, and ended permissions are told
// apart from live ones.
func TestUplinkInWords(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	live := grant.Grant{License: "https://r/license/energy-consumption-edp-cap/1", Client: "https://cap.example/a/1", Covers: []grant.Cover{{Meter: "main", Measure: energy.Import}},
		From: now.AddDate(-1, 0, 0), Granted: now.AddDate(0, -1, 0), Expires: now.AddDate(0, 11, 0)}
	gone := live
	gone.Client, gone.Revoked = "https://other.example/a/2", now.AddDate(0, 0, -3)
	detail := func(connected bool, grants ...grant.Grant) *uplink.Status {
		return &uplink.Status{Relay: "https://relay.example.org", Connected: connected, Since: now, Pending: 1200, Acknowledged: 7, AcknowledgedAt: now, Grants: grants}
	}
	for _, c := range []struct {
		name string
		in   *agent.UplinkStatus
		want []string
	}{
		{"record only", nil, []string{"only records", "Nothing leaves it"}},
		{"not enrolled", &agent.UplinkStatus{State: "not enrolled"}, []string{"no identity yet"}},
		{"cannot begin", &agent.UplinkStatus{State: "cannot begin", Reason: "others can read this key"}, []string{"Nothing can be sent", "others can read this key"}},
		{"starting", &agent.UplinkStatus{State: "starting"}, []string{"Starting"}},
		{"no permission", &agent.UplinkStatus{State: "waiting for a permission", Status: detail(true, gone)}, []string{"No permission is live", "Withdrawn on 19 November 2026"}},
		{"offline", &agent.UplinkStatus{State: "offline", Status: detail(false, live)}, []string{"cannot be reached since 12:00 on 22 November", "sent later"}},
		{"revoked", &agent.UplinkStatus{State: "sending", Status: &uplink.Status{Relay: "https://relay.example.org", Certificates: []uplink.CertificateStatus{
			{Kind: "client", State: "revoked", Words: "This gateway's client certificate is revoked."}}}}, []string{"client certificate is revoked"}},
		{"sending", &agent.UplinkStatus{State: "sending", Status: detail(true, live, gone)}, []string{"Connected to relay.example.org", "1\u202f200 half-hours wait", "Batch 7 is safely stored", "cap.example/a/1 may have"}},
	} {
		st := agent.Status{Now: now, Wall: now, Uplink: c.in, Code: "7K2M-9QXA-04TB", Healthy: true}
		var b strings.Builder
		if err := pageTemplate.Execute(&b, view{Style: template.CSS(style), Status: st, Uplink: uplinkWords(st), Code: new(server).codeOf(st, httptest.NewRequest("GET", "/", nil)), Today: "today"}); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: the page lacks %q", c.name, want)
			}
		}
		if has := strings.Contains(b.String(), "7K2M-9QXA-04TB"); has != (c.in != nil) {
			t.Errorf("%s: the code is shown: %v", c.name, has)
		}
		if n := strings.Count(b.String(), `class="ended"`); n != strings.Count(strings.Join(c.want, ""), "Withdrawn") && c.name != "sending" {
			t.Errorf("%s: %d ended permissions", c.name, n)
		}
	}
}
