package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/internal/peers"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

const twoBrokersYAML = `site: {name: "Two brokers"}
period: 2s
store: {path: agent.db}
web: {listen: "%%s"}
buses:
  - {id: bms, driver: mqtt, format: json, url: "mqtt://%s", backup: ["mqtt://%s"]}
meters:
  - {id: main, bus: bms, points: {import: {topic: "site/{device}", value: wh, time: at, unit: Wh}}}
`

// Two real brokers, of which the one in use dies, twice: the program goes over
// to the other by itself, says so, and what the meter counted is there.
func TestBrokerSwitchOver(t *testing.T) {
	t.Parallel()
	program(t, "perseus-agent")
	address := [2]string{ports.Address(t), ports.Address(t)}
	dir := [2]string{t.TempDir(), t.TempDir()}
	var stop [2]func()
	for i := range stop {
		stop[i] = peers.Mosquitto(t, address[i], dir[i])
	}
	g := newGateway(t, t.TempDir(), fmt.Sprintf(twoBrokersYAML, address[0], address[1]))
	g.run()

	wh := int64(1_000_000)
	begin, live, began := wh, 0, time.Now()
	publish := func() error {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address[live]).SetClientID("bms").SetConnectRetry(false))
		if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			return fmt.Errorf("broker %d: %v", live, token.Error())
		}
		defer c.Disconnect(100)
		token := c.Publish("site/main", 1, false, fmt.Sprintf(`{"wh":%d,"at":%q}`, wh, time.Now().UTC().Format(time.RFC3339Nano)))
		if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			return fmt.Errorf("broker %d: %v", live, token.Error())
		}
		return nil
	}
	// hears waits until the agent has heard the meter's present register, through
	// the broker that is alive, which is told it until then.
	hears := func(settled uint64) (s agent.Status) {
		t.Helper()
		until(t, 2*time.Minute, fmt.Sprintf("the agent hears broker %d", live), []*process{g.process}, func() (err error) {
			if err = publish(); err != nil {
				return err
			}
			if s, err = g.status(); err != nil {
				return err
			}
			b, r := s.Buses[0], s.Meters[0].Registers[0]
			if b.State != "ok" || b.Wire == nil || !strings.Contains(b.Wire.Using, address[live]) || r.Value != fmt.Sprint(wh) || r.Settled < settled {
				return fmt.Errorf("%+v %+v, %s Wh at %v, %d half-hours", b, b.Wire, r.Value, r.At, r.Settled)
			}
			return nil
		})
		t.Logf("%v: broker %d is heard, at %d Wh", time.Since(began).Round(100*time.Millisecond), live, wh)
		return s
	}
	connects := hears(1).Buses[0].Wire.Connects
	for range 2 {
		wh += 1234
		hears(1)
		stop[live]()
		other := 1 - live
		live = other
		wh += 4321 // while nobody can say so to the agent
		if n := hears(1).Buses[0].Wire.Connects; n <= connects {
			t.Errorf("%d connections, it had %d before", n, connects)
		} else {
			connects = n
		}
		stop[1-live] = peers.Mosquitto(t, address[1-live], dir[1-live])
	}
	want := wh - begin
	until(t, time.Minute, "the half-hours with the last of it are stored", []*process{g.process}, func() error {
		if err := publish(); err != nil {
			return err
		}
		all := g.readings("--meter", "main")
		if n := len(all); n == 0 || all[n-1].Cumulative.wh() != wh {
			return fmt.Errorf("%d half-hours", n)
		}
		return nil
	})
	t.Logf("%v: stored", time.Since(began).Round(100*time.Millisecond))
	all := g.readings("--meter", "main")
	if sum := checkChain(t, all, 2*time.Second); sum != want {
		t.Errorf("%d half-hours sum to %d Wh, the meter counted %d", len(all), sum, want)
	}
	if err := g.stop(); err != nil {
		t.Fatalf("the agent did not stop cleanly: %v\n%s", err, g.log.last(20))
	}
	t.Logf("%v: stopped", time.Since(began).Round(100*time.Millisecond))
}
