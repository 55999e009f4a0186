package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/uplink"
)

// TestNextStepNamesTheWholeFolder: what is printed to be put into the
// configuration must mean the same folder there, where paths start at the
// configuration's own.
func TestNextStepNamesTheWholeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	whole, err := filepath.Abs("identity")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	nextStep(&out, "agent.yaml", nil, uplink.Enrolment{Relay: "https://relay.example"}, "identity")
	if !strings.Contains(out.String(), `identity: "`+strings.ReplaceAll(whole, `\`, `\\`)+`"`) {
		t.Errorf("want %s in:\n%s", whole, out.String())
	}
}
