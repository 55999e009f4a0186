package mqtt

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

func TestUDMI(t *testing.T) {
	m := newTestBroker(t, "")
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()})
	healthy(t, b, true)
	m.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:59:58.5Z", 6613.405), false)
	expect(t, got, 0, 0, "2026-03-01T11:59:58.5Z", 6_613_405)
	m.say(t, "devices/EM-1/events/pointset", event("2026-03-01T11:59:59Z", "6613.404999999"), false)
	expect(t, got, 0, 0, "2026-03-01T11:59:59Z", 6_613_405)
	m.say(t, "/devices/EM-1/state", `{"timestamp":"2026-03-01T11:59:59Z","pointset":{"points":{"energy_sensor":{"value_state":"failure"}}}}`, false)
	m.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T12:00:00Z", 6613.5), false)
	expect(t, got, 0, 0, "2026-03-01T12:00:00Z", 6_613_500, 14)
}

// A broker that goes away and comes back: the session is subscribed anew.
func TestBrokerComesBack(t *testing.T) {
	m := newTestBroker(t, "")
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()})
	healthy(t, b, true)
	m.die()
	healthy(t, b, false)
	again := newTestBroker(t, m.address)
	healthy(t, b, true)
	again.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:59:58Z", 1), false)
	expect(t, got, 0, 0, "2026-03-01T11:59:58Z", 1000)
}

// While we are away the broker keeps what is meant for us, and nothing of it
// is dated by when it comes.
func TestSessionKeepsMessages(t *testing.T) {
	m := newTestBroker(t, "")
	c := Config{URLs: []string{m.url()}, Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()}
	b, _, stop := listen(t, c)
	healthy(t, b, true)
	stop()
	for i := range 50 {
		m.say(t, "/devices/EM-1/events/pointset", event(fmt.Sprintf("2026-03-01T08:%02d:00Z", i), 100+i), false)
	}
	_, got, _ := listen(t, c)
	seen := map[string]int64{} // mochi keeps no order here; Mosquitto does, see TestMosquitto
	for range 50 {
		h := next(t, got)
		seen[h.Sample.At.Format("15:04")] = h.Sample.Value
	}
	for i := range 50 {
		if at := fmt.Sprintf("08:%02d", i); seen[at] != int64(100+i)*1000 {
			t.Errorf("at %s %d", at, seen[at])
		}
	}
}

// A message whose readings could not be delivered is not acknowledged: it
// comes again. One that was delivered and comes again is dropped.
func TestUnacknowledgedComesAgain(t *testing.T) {
	m := newTestBroker(t, "")
	c := Config{URLs: []string{m.url()}, ClientID: "agent", Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan any, 1)
	go func() {
		defer func() { failed <- recover() }()
		_ = b.Listen(context.Background(), func(int, []drivers.Reading) { panic("the agent fell over") })
	}()
	healthy(t, b, true)
	m.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:00Z", 7), false)
	if p := <-failed; p == nil {
		t.Fatal("the panic was swallowed")
	}
	_, got, _ := listen(t, c)
	expect(t, got, 0, 0, "2026-03-01T11:00:00Z", 7000)
	m.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:00Z", 7), false)
	m.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:01Z", 7), false)
	expect(t, got, 0, 0, "2026-03-01T11:00:01Z", 7000)
}

func TestSwitchOver(t *testing.T) {
	first, second := newTestBroker(t, ""), newTestBroker(t, "")
	b, got, _ := listen(t, Config{URLs: []string{first.url(), second.url()}, Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()})
	healthy(t, b, true)
	if u := b.Stats().URL; !strings.Contains(u, first.address) {
		t.Fatalf("hears %s, want the first, %s", u, first.address)
	}
	first.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:00Z", 1), false)
	expect(t, got, 0, 0, "2026-03-01T11:00:00Z", 1000)
	first.die()
	until(t, "the second broker", func() bool { return strings.Contains(b.Stats().URL, second.address) })
	// The second broker has the same history: what came before is not delivered again.
	second.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:00Z", 1), false)
	second.say(t, "/devices/EM-1/events/pointset", event("2026-03-01T11:00:10Z", 2), false)
	expect(t, got, 0, 0, "2026-03-01T11:00:10Z", 2000)
	if n := b.Stats().Duplicates; n != 1 {
		t.Errorf("%d duplicates, want 1", n)
	}
}

func TestRetained(t *testing.T) {
	m := newTestBroker(t, "")
	devices := []Device{{Meter: "m", Name: "d", Points: []Point{
		{Measure: energy.Import, Topic: "a", Value: "v", Time: "t", UnitName: "kWh"},
		{Measure: energy.Export, Topic: "b", UnitName: "kWh"},
	}}}
	m.say(t, "a", `{"v":1,"t":"2026-03-01T11:44:59Z"}`, true)
	b, got, stop := listen(t, Config{URLs: []string{m.url()}, Format: "json", Now: fixed("2026-03-01T12:00:00Z"), Devices: devices})
	healthy(t, b, true)
	expect(t, got, 0, 0, "2026-03-01T11:44:59Z", 1000, 13) // 15 min 1 s: old
	m.say(t, "b", "5.5", true)
	expect(t, got, 0, 1, "2026-03-01T12:00:00Z", 5500) // live for those who are there
	stop()
	m.say(t, "a", `{"v":2,"t":"2026-03-01T11:45:00Z"}`, true)
	_, got, _ = listen(t, Config{URLs: []string{m.url()}, ClientID: "other", Format: "json", Now: fixed("2026-03-01T12:00:00Z"), Devices: devices})
	two := []heard{next(t, got), next(t, got)}
	slices.SortFunc(two, func(a, b heard) int { return a.Point - b.Point })
	if two[0].Sample.Value != 2000 || two[0].Flags != 0 {
		t.Errorf("retained for exactly as long as allowed: %+v", two[0])
	}
	if two[1].Sample.Value != 5500 || !two[1].Flags.Has(13) {
		t.Errorf("a retained value of unknown age was taken for live: %+v", two[1])
	}
}
