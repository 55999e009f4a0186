package main

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/drivers"
)

// observed is a status with what was counted: one meter that is read, one that
// is silent beside it.
func observed() agent.Status {
	s := wellStatus()
	age := 75.4
	s.Meters[0].Registers[0].Age = &age
	s.Meters[0].Latency = &agent.Latency{Last: 21.4, Mean: 9.96, P95: 180, Slowest: 210, Answers: 60}
	s.Meters[0].Traffic = &drivers.Traffic{Requests: 1200, BytesIn: 24_000, BytesOut: 14_400}
	s.Meters[0].Errors = map[drivers.Kind]uint64{drivers.Timeout: 2, drivers.Exception: 1}
	failing(&s.Meters[1], "read unit 2: timeout")
	s.Meters[1].Down = &drivers.Reason{Kind: drivers.Timeout, Says: "no answer in time (read unit 2)", Hint: "the other meter on this bus is read: look at this one"}
	s.Meters[1].Again = statusNow.Add(4 * time.Minute)
	s.Buses[0].Wire = &drivers.Wire{Traffic: drivers.Traffic{Requests: 1300, BytesIn: 24_000, BytesOut: 15_600}, Connects: 1, Modbus: &drivers.ModbusCounts{Late: 2}}
	return s
}

func TestStatusShowsHowMetersAnswer(t *testing.T) {
	var b bytes.Buffer
	if err := printStatus(&b, "table", &daemon{status: observed()}, statusNow); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Wrong: meter boiler does not answer since 2026-11-22 11:00:00 UTC: no answer in time (read unit 2). What to try: the other meter on this bus is read: look at this one. Tried again at 12:04:00\n",
		"main    ok       import   18342.127  kWh   2026-11-22 12:00:00  75 s\n",
		"METER  BUS    LAST MS  MEAN MS  95 % MS  REQUESTS  IN       OUT      ERRORS\nmain   plant  21       10.0     180      1200      24.0 kB  14.4 kB  timeout 2, exception 1\n",
		"Bus plant: ok, 7 polls, asked 0 % of the time\n  1 connection made, 1300 questions, 24.0 kB in, 15.6 kB out, 2 late or foreign frames thrown away\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := printStatus(&b, "csv", &daemon{status: observed()}, statusNow); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(lines) != 3 || len(lines[0]) != len(lines[1]) {
		t.Fatalf("%v %q", err, lines)
	}
	if got := strings.Join(lines[1][8:], "|"); got != "75.4|21.4|9.96|180|1200|24000|14400|timeout 2, exception 1|||2026-11-22 11:00:00" {
		t.Errorf("%s", got)
	}
	if got := strings.Join(lines[2][15:18], "|"); got != "|timeout|the other meter on this bus is read: look at this one" {
		t.Errorf("%s", got)
	}
}

// A bus that is down says since when, why, and when it is tried again, once.
func TestStatusOfABusThatIsDown(t *testing.T) {
	s := wellStatus()
	b := &s.Buses[0]
	b.State, b.Error, b.Since, b.Again = "down", "connect to tcp://h: refused", statusNow.Add(-time.Hour), statusNow.Add(20*time.Second)
	b.Down = &drivers.Reason{Kind: drivers.Refused, Says: "no connection: connection refused (connect to tcp://h)", Hint: "is the device on?"}
	for i := range s.Meters {
		failing(&s.Meters[i], b.Error)
		s.Meters[i].Down = b.Down
	}
	var out bytes.Buffer
	if err := printStatus(&out, "table", &daemon{status: s}, statusNow); err != nil {
		t.Fatal(err)
	}
	want := "Wrong: bus plant is down since 2026-11-22 11:00:00 UTC, so that meters main and boiler are not read: no connection: connection refused (connect to tcp://h). What to try: is the device on?. Tried again at 12:00:20\n"
	if !strings.Contains(out.String(), strings.Replace(want, "?. ", "? ", 1)) || strings.Count(out.String(), "is the device on") != 1 {
		t.Errorf("%s", out.String())
	}
}

func TestAgo(t *testing.T) {
	for s, want := range map[float64]string{0: "0 s", 119.9: "119 s", 120: "2 min", 7199: "119 min", 7200: "2 h", 172799: "47 h", 172800: "2 days"} {
		if got := ago(&s); got != want {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
	}
	if ago(nil) != "-" {
		t.Error("no value has no age")
	}
}

// What a meter says is wrong with it is wrong, and stands in a table of its own.
func TestStatusShowsAlarms(t *testing.T) {
	s := wellStatus()
	s.Meters[0].Alarms = []agent.AlarmStatus{
		{Means: "cover open", Severity: "note", State: "on", Since: statusNow.Add(-time.Hour)},
		{Means: "phase lost", Severity: "invalid", State: "on", Since: statusNow.Add(-2 * time.Hour)},
		{Means: "battery", Severity: "invalid", State: "off", Since: statusNow.Add(-3 * time.Hour)},
		{Means: "seal", Severity: "note", State: "unknown", Error: "no such coil"},
	}
	var b bytes.Buffer
	if err := printStatus(&b, "table", &daemon{status: s}, statusNow); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Wrong: meter main says of itself since 2026-11-22 11:00:00 UTC: cover open\n",
		"Wrong: meter main says of itself since 2026-11-22 10:00:00 UTC: phase lost\n",
		"main   cover open  on                     2026-11-22 11:00:00  counted all the same\n",
		"main   phase lost  on                     2026-11-22 10:00:00  not counted until it is over\n",
		"main   battery     off                    2026-11-22 09:00:00  -\n",
		"main   seal        unknown: no such coil  -                    -\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "of itself since 2026-11-22 09") {
		t.Error("an alarm that is off is no trouble")
	}
}
