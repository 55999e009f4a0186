package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/sim/fault"
	"github.com/perseus-edge/perseus-edge/sim/site"
)

// The self-check of a site that perseus-sim plays: meters that are in order
// pass it whole, and it finds what is wrong with the others.
func TestSelfCheckOfASimulatedSite(t *testing.T) {
	const meters = `site: {name: Rehearsed}
buses: [{id: plant, driver: modbus, url: "tcp://h", timeout: 20s}]
meters:
  - {id: float, bus: plant, unit: 1, template: eastron-sdm630, measures: [import]}
  - {id: whole, bus: plant, unit: 2, template: schneider-iem3155, measures: [import]}
  - {id: carried, bus: plant, unit: 3, template: abb-b24, ct: "200/5", measures: [import]}
`
	for _, c := range []struct {
		name, fault string
		want        []string // of each meter in turn; nil: all is well, and all could be checked
	}{
		{name: "in order"},
		{name: "a current transformer of each is turned round", fault: "reversed@0s+2h", want: []string{
			"float: phase 2 (-", "whole: phase 2 (-", "carried: phase 2 (-"}},
		{name: "registers that do not count what flows", fault: "freeze@0s+2h", want: []string{
			"float: import against power: it counted 0 Wh in 10m0s", "whole: import against power: it counted 0 Wh in 10m0s", "carried: import against power: it counted 0 Wh in 10m0s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
			var now atomic.Int64
			now.Store(noon.Unix())
			clock := func() time.Time { return time.Unix(now.Load(), 0).UTC() }
			base, err := ports.Row(4)
			if err != nil {
				t.Fatal(err)
			}
			var faults fault.List
			if c.fault != "" {
				if err := faults.Set(c.fault); err != nil {
					t.Fatal(err)
				}
			}
			s, err := site.New(site.Options{Text: []byte(meters), Dir: t.TempDir(), PortBase: base, Faults: faults, Now: clock, Out: record.Writer(t, "perseus-sim", nil)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()
			answers(t, fmt.Sprintf("127.0.0.1:%d", base+1))
			cfg, err := config.Load(s.AgentConfig())
			if err != nil {
				t.Fatal(err)
			}
			k := &clinic{t: t, now: noon, run: func(at time.Time) { now.Store(at.Unix()) }}
			rows, found := k.prober(10*time.Minute).all(t.Context(), cfg)
			for _, r := range rows {
				if r.Error != "" {
					t.Errorf("%s %s: %s", r.Meter, r.Measure, r.Error)
				}
			}
			var says []string
			for _, a := range found {
				says = append(says, a.Meter+": "+a.Says)
			}
			if len(says) != len(c.want) {
				t.Fatalf("%q, want %q", says, c.want)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(says[i], want) {
					t.Errorf("%q, want %q", says[i], want)
				}
			}
		})
	}
}

// answers waits until something takes connections at an address.
func answers(t *testing.T, address string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}
