package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
)

// What a real meter counts must never be dated by a rehearsal clock: one bus
// that is not on this machine is enough to refuse it.
func TestRehearsalNearSimulatedMetersOnly(t *testing.T) {
	now := time.Now()
	clock, err := rehearsal.New(now, now.Add(-time.Hour), 60)
	if err != nil {
		t.Fatal(err)
	}
	// A link to what is no port of this kind, as by-id names are.
	dir := t.TempDir()
	real := filepath.Join(dir, "usb-FTDI-port0")
	if err := os.Symlink(os.DevNull, real); err != nil {
		t.Skip("no links here:", err)
	}
	for _, c := range []struct {
		clock   rehearsal.Clock
		urls    []string
		refused bool
	}{
		{rehearsal.Clock{}, []string{"tcp://10.0.0.5:502"}, false}, // no rehearsal: the time of day
		{clock, []string{"tcp://127.0.0.1:1502", "tcp://localhost:1502", "tcp://[::1]:1502"}, false},
		{clock, []string{"tcp://10.0.0.5:502"}, true},
		{clock, []string{"tcp://127.0.0.1:1502", "rtuovertcp://meter.local:4001"}, true},
		{clock, []string{"tcp://localhost.example.org:502"}, true},
		{clock, []string{"tcp://0.0.0.0:502"}, true},
		{clock, []string{"rtu:///dev/ttyUSB0"}, true},
		{clock, []string{"rtu:///COM3"}, true},
		{clock, []string{"rtu://" + real + "?baud=9600"}, true},
		{clock, []string{"tcp://127.0.0.1:1502", "rtu://" + filepath.Join(dir, "gone")}, true},
		{clock, []string{"file:///var/lib/perseus-edge/drop", "http://127.0.0.1:1502/api"}, false},
	} {
		cfg := &config.Config{}
		for _, u := range c.urls {
			cfg.Buses = append(cfg.Buses, config.Bus{ID: "b", URL: u})
		}
		err := checkRehearsal(c.clock, cfg)
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "for simulated meters on this machine") {
			t.Errorf("%v: %v, refused should be %v", c.urls, err, c.refused)
		}
	}
}
