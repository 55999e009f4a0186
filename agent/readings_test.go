package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

// What was shared or added up may begin below 0, where a meter was exchanged in
// the half-hour: it is shown, since the sum cannot be redone without it. A
// register that nobody read (-1) is not.
func TestEvidenceBelowZero(t *testing.T) {
	for rule, want := range map[energy.Rule]string{
		energy.RuleShareMeter: `{"rule":"share-metering","samples":0,"first":{"at":"2000-01-01T00:00:00Z","value":-605},"last":{"at":"2000-01-01T00:30:00Z","value":3020}}`,
		energy.RuleSum:        `{"rule":"sum","samples":0,"first":{"at":"2000-01-01T00:00:00Z","value":-605},"last":{"at":"2000-01-01T00:30:00Z","value":3020}}`,
		energy.RuleImported:   `{"rule":"imported","samples":0,"last":{"at":"2000-01-01T00:30:00Z","value":3020}}`,
	} {
		h := energy.HalfHour{Start: epoch, Energy: 1208, Cumulative: 1006, Quality: energy.Measured, Evidence: energy.Evidence{Rule: rule,
			First: energy.Sample{At: epoch, Value: -605}, Last: energy.Sample{At: epoch.Add(30 * time.Minute), Value: 3020}}}
		b, err := json.Marshal(ReadingOf(key("v"), h, energy.Period).Evidence)
		if check(t, err); strings.TrimSpace(string(b)) != want {
			t.Errorf("%s", b)
		}
	}
}
