package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
)

// What the running agent says of its clock must reach the command: a status
// that cannot be read would look like no agent at all.
func TestStatusTellsTheClock(t *testing.T) {
	s := wellStatus()
	s.Clock = &clock.Status{Trusted: true, Source: clock.NTP, Why: "a time service keeps the clock", Steps: 2, Class: clock.Flagged, Checked: statusNow}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	d := daemon{raw: raw}
	if err := json.Unmarshal(raw, &d.status); err != nil || d.status.Clock.Class != clock.Flagged {
		t.Fatalf("%v: %s", err, raw)
	}
	var b bytes.Buffer
	if err := printStatus(&b, "table", &d, statusNow.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if want := "Clock: a time service keeps the clock; it was set 2 times since the start\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in:\n%s", want, b.String())
	}
	d.status.Clock.Steps = 0
	b.Reset()
	if err := printStatus(&b, "table", &d, statusNow); err != nil || !strings.Contains(b.String(), "Clock: a time service keeps the clock\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
	d.status.Clock.Trusted = false
	b.Reset()
	if err := printStatus(&b, "table", &d, statusNow); err != nil || strings.Contains(b.String(), "Clock: ") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
