package web

import (
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// What is wrong with a meter is said once, newest first, while it is so.
func TestWhatIsWrong(t *testing.T) {
	now := midnight.Add(72 * time.Hour)
	found := func(rule string, s validate.Severity, ago time.Duration) findingView {
		return findingView{Rule: rule, Measure: energy.Import, When: "then", Words: "Too much.", Advice: "Look.", severity: s, to: now.Add(-ago)}
	}
	m := agent.MeterStatus{Error: "no answer.", Refused: []string{"the exchange is not counted: why"}, Unfilled: []string{"the exchange leaves half-hours missing: why"}, Registers: []agent.RegisterStatus{
		{Measure: energy.Import, Error: "no answer."}, {Measure: energy.Export, Error: "illegal address", Held: true},
	}}
	m.Alarms = []agent.AlarmStatus{{Means: "phase loss", Severity: "invalid", State: "on"}, {Means: "cover open", Severity: "note", State: "on"}, {Means: "battery", State: "off"}, {Means: "CT", State: "unknown"}, {Means: "seal", State: "unknown", Error: "no such coil"}}
	got := wrongOf(m, []findingView{
		found("V06", validate.Warning, time.Hour), found("V05", validate.Error, time.Hour), found("V05", validate.Error, 2*time.Hour),
		found("V03", validate.Error, wrongFor), found("V04", validate.Error, wrongFor+time.Second),
	}, now)
	want := []string{
		"It does not answer: no answer.", "export cannot be read: illegal address.", "export shows a value that does not fit",
		"Its alarm is on: phase loss. Its readings are shown and not counted", "Its alarm is on: cover open.", "Its alarm seal cannot be read: no such coil.", "The exchange is not counted: why.", "The exchange leaves half-hours missing: why.",
		"V05, import, then: Too much.", "V03, import, then: Too much.",
	}
	if len(got) != len(want) {
		t.Fatalf("%d things are wrong, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i].What, w) || got[i].Do == "" {
			t.Errorf("%d: %+v\nwant %s", i, got[i], w)
		}
	}
	if got := wrongOf(agent.MeterStatus{Registers: []agent.RegisterStatus{{Measure: energy.Import}}}, nil, now); got != nil {
		t.Errorf("of a meter that is well: %+v", got)
	}
}

func TestNotesOfAMeter(t *testing.T) {
	got := notesOf([]agent.Note{{Meter: "a", What: "1"}, {Meter: "b", What: "2"}, {What: "3"}}, "a")
	if len(got) != 2 || got[0].What != "1" || got[1].What != "3" {
		t.Errorf("%+v", got)
	}
}
