package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/uplink"
	"github.com/perseus-edge/perseus-edge/uplink/grant"
)

var statusNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// wellStatus is an agent with nothing amiss: two meters on one bus.
func wellStatus() agent.Status {
	meter := func(id string, m energy.Measure, base int64) agent.MeterStatus {
		return agent.MeterStatus{ID: id, Bus: "plant", State: "ok", Since: statusNow.Add(-time.Hour),
			Registers: []agent.RegisterStatus{{Measure: m, Value: m.Present(base), UnitCode: m.UnitCode(), At: statusNow}}}
	}
	return agent.Status{
		Version: "1.2.3", Started: statusNow.Add(-time.Hour), Site: agent.SiteStatus{Name: "Test shop"}, Store: agent.StoreStatus{Path: "/d/agent.db"}, Healthy: true,
		Buses: []agent.BusStatus{{ID: "plant", State: "ok", Polls: 7}}, Meters: []agent.MeterStatus{meter("main", energy.Import, 18_342_127), meter("boiler", energy.Gas, 5)},
	}
}

func failing(m *agent.MeterStatus, err string) {
	m.State, m.Failures, m.Error = "failing", 3, err
	for i := range m.Registers {
		m.Registers[i].Error = err
	}
}

// What is wrong is said in plain words, once; all is well only if nothing is.
func TestStatusSaysWhatIsWrong(t *testing.T) {
	up := func(state string, d uplink.Status) *agent.UplinkStatus {
		d.Relay, d.Since = "https://relay.example.org", statusNow
		return &agent.UplinkStatus{State: state, Reason: d.Error, Status: &d}
	}
	for _, c := range []struct {
		name string
		f    func(*agent.Status)
		want string // the lines below the first
	}{
		{"all well", func(*agent.Status) {}, "All is well.\n"},
		{"well, with an uplink", func(s *agent.Status) { s.Uplink = up("sending", uplink.Status{}) }, "All is well.\n"},
		{"the clock, not set yet", func(s *agent.Status) { s.Clock = &clock.Status{Why: "waiting for a time server"} },
			"Wrong: the clock cannot be relied upon yet: waiting for a time server; readings get their right times once it can\n"},
		{"the clock, set to nonsense", func(s *agent.Status) { s.Clock = &clock.Status{Trusted: true, Ignoring: true} },
			"Wrong: something set the machine's clock to a time that cannot be: it is not followed\n"},
		{"the clock, long alone", func(s *agent.Status) { s.Clock = &clock.Status{Trusted: true, Class: clock.Quarantine} },
			"Wrong: no time server has answered for so long that the clock may be wrong by more than 15 minutes: connect it to one\n"},
		{"the clock, a little off", func(s *agent.Status) { s.Clock = &clock.Status{Trusted: true, Class: clock.Flagged} }, "All is well.\n"},
		{"just started", func(s *agent.Status) { s.Meters[1].State = "waiting" }, "Nothing is wrong so far; 1 meter has given nothing yet.\n"},
		{"a meter", func(s *agent.Status) { failing(&s.Meters[0], "read unit 1: timeout") },
			"Wrong: meter main does not answer since 2026-11-22 11:00:00 UTC: read unit 1: timeout\n"},
		{"the bus", func(s *agent.Status) {
			s.Buses[0].State, s.Buses[0].Error = "down", "connect to 10.0.0.1:502: refused"
			failing(&s.Meters[0], "connect to 10.0.0.1:502: refused")
			failing(&s.Meters[1], "connect to 10.0.0.1:502: refused")
		}, "Wrong: bus plant is down, so that meters main and boiler are not read: connect to 10.0.0.1:502: refused\n"},
		{"the bus of one meter", func(s *agent.Status) {
			s.Buses[0].State, s.Buses[0].Error, s.Meters[1].Bus = "down", "refused", "other"
			failing(&s.Meters[0], "refused")
		}, "Wrong: bus plant is down, so that meter main is not read: refused\n"},
		{"the bus, with many meters", func(s *agent.Status) {
			s.Buses[0].State, s.Buses[0].Error = "down", "refused"
			for range 5 {
				s.Meters = append(s.Meters, s.Meters[0])
			}
			for i := range s.Meters {
				failing(&s.Meters[i], "refused")
			}
		}, "Wrong: bus plant is down, so that 7 meters are not read: refused\n"},
		{"the bus, just now", func(s *agent.Status) { s.Buses[0].State, s.Buses[0].Error = "down", "refused" }, "Wrong: bus plant is down: refused\n"},
		{"a register", func(s *agent.Status) {
			s.Meters[0].State, s.Meters[0].Registers[0].Error = "partly", "illegal data address"
		},
			"Wrong: meter main answers, but not for import: illegal data address\n"},
		{"an exchange that does not fit", func(s *agent.Status) { s.Meters[0].Refused = []string{"the exchange is not counted: why"} },
			"Wrong: meter main: the exchange is not counted: why\n"},
		{"an exchange that cannot be counted through", func(s *agent.Status) {
			s.Meters[0].Unfilled = []string{"the exchange of import stated for then leaves half-hours missing: why"}
		}, "Wrong: meter main: the exchange of import stated for then leaves half-hours missing: why. A half-hourly file of that time from the supplier or data collector fills them (perseus-agent import); without one the month of a bank's report stays open\n"},
		{"a stuck bus and the store", func(s *agent.Status) {
			s.Buses[0].State, s.Buses[0].Error = "stuck", "the program gives no sign of life on this bus"
			s.Healthy, s.Reasons = false, []string{"bus plant gives no sign of life", "readings cannot be stored: disk full"}
			s.Store.Writing.Error = "disk full"
		}, "Wrong: bus plant gives no sign of life\nWrong: readings cannot be stored: disk full\n"},
		{"the relay", func(s *agent.Status) { s.Uplink = up("offline", uplink.Status{Error: "no such host"}) },
			"Wrong: https://relay.example.org cannot be reached since 2026-11-22 12:00:00 UTC, readings are kept here and sent later: no such host\n"},
		{"the identity", func(s *agent.Status) {
			s.Uplink = &agent.UplinkStatus{State: "cannot begin", Reason: "others can read this key"}
		},
			"Wrong: nothing can be sent: others can read this key\n"},
		{"a certificate", func(s *agent.Status) {
			s.Uplink = up("sending", uplink.Status{Certificates: []uplink.CertificateStatus{{Kind: "client", State: "failing", Words: "The client certificate ends on Monday."}}})
		}, "Wrong: The client certificate ends on Monday.\n"},
		{"the clock", func(s *agent.Status) { s.Uplink = up("sending", uplink.Status{ClockOff: -5 * time.Minute}) },
			"Wrong: this gateway's clock is wrong by 5m0s: set it, or let it follow a time server\n"},
	} {
		s := wellStatus()
		c.f(&s)
		var b bytes.Buffer
		if err := printStatus(&b, "table", &daemon{status: s}, statusNow); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(b.String(), "\n")
		if !strings.HasPrefix(rest, c.want+"\n") {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, rest, c.want)
		}
		for _, said := range []string{"timeout", "refused", "illegal", "disk full", "no such host", "others can"} {
			if n := strings.Count(b.String(), said); n > 1 {
				t.Errorf("%s: %q is said %d times:\n%s", c.name, said, n, b.String())
			}
		}
	}
}

func TestStatusShowsKilowattHours(t *testing.T) {
	var b bytes.Buffer
	if err := printStatus(&b, "table", &daemon{status: wellStatus()}, statusNow); err != nil {
		t.Fatal(err)
	}
	want := `METER   STATE  MEASURE  VALUE      UNIT  READ (UTC)           AGE
main    ok     import   18342.127  kWh   2026-11-22 12:00:00  -
boiler  ok     gas      0.005      m3    2026-11-22 12:00:00  -
`
	if !strings.Contains(b.String(), want) {
		t.Errorf("%s\nwant:\n%s", b.String(), want)
	}
	b.Reset()
	if err := printStatus(&b, "csv", &daemon{status: wellStatus()}, statusNow); err != nil || !strings.Contains(b.String(), "main,plant,ok,import,18342127,WHR,") {
		t.Errorf("csv: %v\n%s", err, b.String())
	}
}

// The code is for the business alone, and only where something may leave;
// ended permissions are not counted with those in force.
func TestStatusCodeAndPermissions(t *testing.T) {
	live := grant.Grant{Name: "Northern Bank plc", Granted: statusNow.AddDate(0, -1, 0), Expires: statusNow.AddDate(0, 11, 0)}
	withdrawn, past := live, live
	withdrawn.Name, withdrawn.Revoked = "Old Bank", statusNow.AddDate(0, 0, -2)
	past.Name, past.Client, past.Expires = "", "https://cap.example/a/1", statusNow.AddDate(0, 0, -9)
	for _, c := range []struct {
		name   string
		grants []grant.Grant
		want   string
	}{
		{"none", nil, "  no permission in force\n"},
		{"live", []grant.Grant{live}, "  1 permission in force\n    Northern Bank plc, until 2027-10-22\n"},
		{"withdrawn", []grant.Grant{withdrawn}, "  no permission in force, 1 ended\n    Old Bank, withdrawn on 2026-11-20\n"},
		{"all kinds", []grant.Grant{withdrawn, live, past, live}, "  2 permissions in force, 2 ended\n    Old Bank, withdrawn on 2026-11-20\n    Northern Bank plc, until 2027-10-22\n    https://cap.example/a/1, ended on 2026-11-13\n    Northern Bank plc, until 2027-10-22\n"},
	} {
		s := wellStatus()
		s.Code = "7K2M-9QXA-04TB"
		s.Uplink = &agent.UplinkStatus{State: "sending", Status: &uplink.Status{Relay: "https://relay.example.org", Grants: c.grants}}
		var b bytes.Buffer
		if err := printStatus(&b, "table", &daemon{status: s}, statusNow); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(b.String(), c.want) {
			t.Errorf("%s:\n%s\nwant at its end:\n%s", c.name, b.String(), c.want)
		}
		if !strings.Contains(b.String(), "Your meter code: 7K2M-9QXA-04TB\n  Type it on the permission page that your bank sends you to. Keep it to yourself: who has it can answer for you.\n") {
			t.Errorf("%s: the code:\n%s", c.name, b.String())
		}
		s.Uplink = nil
		b.Reset()
		if err := printStatus(&b, "table", &daemon{status: s}, statusNow); err != nil || strings.Contains(b.String(), "code") {
			t.Errorf("record only: %v\n%s", err, b.String())
		}
	}
}

// What a damaged store held is gone from view: nobody may be told that all is well.
func TestStatusTellsOfAStoreSetAside(t *testing.T) {
	var s agent.Status
	if got := troubles(s); len(got) != 0 {
		t.Fatal(got)
	}
	s.Store.SetAside = "/var/lib/x/agent.db.corrupt-1"
	if got := troubles(s); len(got) != 1 || !strings.Contains(got[0], "set aside as /var/lib/x/agent.db.corrupt-1") {
		t.Error(got)
	}
}

// Of what was sent before the start nothing is known: it is not said that the
// relay has none. (Walked: "batch 0 stored there" beside nine that were.)
func TestStatusOfBatches(t *testing.T) {
	for acknowledged, want := range map[uint64]string{0: "relay https://r, 3 half-hours wait", 7: "relay https://r, batch 7 stored there, 3 half-hours wait"} {
		s := wellStatus()
		s.Uplink = &agent.UplinkStatus{State: "sending", Status: &uplink.Status{Relay: "https://r", Pending: 3, Acknowledged: acknowledged}}
		var b bytes.Buffer
		if err := printStatus(&b, "table", &daemon{status: s}, statusNow); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%v; no %q in\n%s", err, want, b.String())
		}
	}
}
