package mqtt

import (
	"fmt"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/peers"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// Mosquitto keeps the session while the agent is away, over its own restart
// too: all comes, once, in order, with the times of the source; what has no
// time is not kept.
func TestMosquitto(t *testing.T) {
	address := ports.Address(t)
	dir := t.TempDir()
	stop := peers.Mosquitto(t, address, dir)
	devices := append(udmiMain()[:0:0], Device{Meter: "m", Name: "d", Points: []Point{
		{Measure: 1, Topic: "site/d/import", Value: "v", Time: "t", UnitName: "kWh"}, {Measure: 2, Topic: "site/d/export", UnitName: "kWh"}}})
	c := Config{URLs: []string{"mqtt://" + address}, Format: "json", Now: fixed("2026-03-01T12:00:00Z"), Devices: devices}
	b, got, leave := listen(t, c)
	healthy(t, b, true)
	say := func(topic, payload string) {
		p := publisher(t, "mqtt://"+address)
		if token := p.Publish(topic, 1, false, payload); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		p.Disconnect(100)
	}
	say("site/d/export", "1.5")
	expect(t, got, 0, 1, "2026-03-01T12:00:00Z", 1500)
	leave()
	say("site/d/export", "2.5")
	p := publisher(t, "mqtt://"+address)
	for i := range 200 {
		payload := fmt.Sprintf(`{"v":%d,"t":"2026-03-01T%02d:%02d:00Z"}`, 1000+i, 6+i/60, i%60)
		if token := p.Publish("site/d/import", 1, false, payload); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	p.Disconnect(100)
	stop()
	stopped := peers.Mosquitto(t, address, dir)
	b, got, _ = listen(t, c)
	for i := range 200 {
		expect(t, got, 0, 0, fmt.Sprintf("2026-03-01T%02d:%02d:00Z", 6+i/60, i%60), int64(1000+i)*1000)
	}
	healthy(t, b, true)
	say("site/d/export", "3.5")
	expect(t, got, 0, 1, "2026-03-01T12:00:00Z", 3500)

	// It goes away under us.
	stopped()
	healthy(t, b, false)
	peers.Mosquitto(t, address, dir)
	healthy(t, b, true)
	say("site/d/import", `{"v":2000,"t":"2026-03-01T11:00:00Z"}`)
	expect(t, got, 0, 0, "2026-03-01T11:00:00Z", 2_000_000)
	if s := b.Stats(); s.Connects != 2 || s.Duplicates != 0 {
		t.Errorf("%+v", s)
	}
}
