package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/peers"
)

// bmsYAML is what an installer writes for a meter behind a BACnet bridge, but
// for the short period.
const bmsYAML = `site: {name: "Behind the BMS"}
period: 2s
store: {path: agent.db}
web: {listen: "%%s"}
buses:
  - {id: bms, driver: mqtt, format: bitpool, url: "mqtt://%s"}
meters:
  - id: main
    bus: bms
    device: %s
    points:
      import: {point: %s, unit: kWh}
      export: {point: %s, unit: kWh}
`

// A BACnet/IP meter, Node-RED with BitPool's bridge, Mosquitto, and the real
// program: what comes out of `perseus-agent readings` is what the meter counted,
// while it runs and from its store. What is compared are energies and the
// register at their end, never moments: the bridge reads when it likes.
func TestBACnetMeterToReadings(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute until the bridge has found a device: left out in short mode")
	}
	t.Parallel()
	program(t, "perseus-agent")
	m, broker := peers.BitPool(t)
	g := newGateway(t, t.TempDir(), fmt.Sprintf(bmsYAML, broker, peers.BitPoolDevice, peers.BitPoolImport, peers.BitPoolExport))
	must(t, "perseus-agent", "check", "--config", g.config)
	g.run()

	// What the meter shows, in Wh, comes to the agent's registers.
	kwh, pulses := 1000.25, 50_000
	shows := func() [2]int64 { return [2]int64{int64(kwh * 1000), int64(pulses) * 100} }
	measures := [2]string{"import", "export"}
	begin := shows()
	arrived := func(settled uint64) {
		t.Helper()
		until(t, 3*time.Minute, fmt.Sprintf("the agent has read %v Wh of the BACnet meter", shows()), []*process{g.process}, func() error {
			s, err := g.status()
			if err != nil {
				return err
			}
			for i, r := range s.Meters[0].Registers {
				if r.Measure.String() != measures[i] {
					t.Fatalf("register %d is %s", i, r.Measure)
				}
				if r.Base != shows()[i] && r.Value != fmt.Sprint(shows()[i]) || r.Settled < settled {
					return fmt.Errorf("%s: %s at %v, %d half-hours; %s", r.Measure, r.Value, r.At, r.Settled, s.Meters[0].Error)
				}
			}
			return nil
		})
	}
	arrived(1) // a first half-hour lies before all that is compared
	for i := range 6 {
		kwh, pulses = kwh+0.125*float64(1+i%3), pulses+7*i
		m.Set(kwh, pulses)
		arrived(1)
	}
	want := shows()
	until(t, time.Minute, "the half-hours with the last of it are stored", []*process{g.process}, func() error {
		for i, measure := range measures {
			all := g.readings("--meter", "main", "--measure", measure)
			if n := len(all); n == 0 || all[n-1].Cumulative.wh() != want[i] {
				return fmt.Errorf("%s: %d half-hours", measure, n)
			}
		}
		return nil
	})
	check := func(who string) {
		t.Helper()
		for i, measure := range measures {
			all := g.readings("--meter", "main", "--measure", measure)
			if sum := checkChain(t, all, 2*time.Second); sum != want[i]-begin[i] || len(all) < 2 {
				t.Errorf("%s: %s: %d half-hours sum to %d Wh, the meter counted %d", who, measure, len(all), sum, want[i]-begin[i])
			} else {
				t.Logf("%s: %s: %d half-hours sum to the %d Wh that the BACnet meter counted", who, measure, len(all), sum)
			}
		}
	}
	check("the running agent")
	if err := g.stop(); err != nil {
		t.Fatalf("the agent did not stop cleanly: %v\n%s", err, g.log.last(20))
	}
	check("the store")
}
