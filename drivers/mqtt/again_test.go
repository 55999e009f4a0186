package mqtt

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// A source says "no value" and then once more what it said before, with the
// same time: there is nothing to count, but the error is over. What the broker
// kept is no such word.
func TestNoValueIsOver(t *testing.T) {
	m := newTestBroker(t, "")
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "udmi", Now: fixed("2026-03-01T12:00:00Z"), Devices: udmiMain()})
	healthy(t, b, true)
	const topic = "/devices/EM-1/events/pointset"
	m.say(t, topic, event("2026-03-01T11:00:00Z", 1), false)
	expect(t, got, 0, 0, "2026-03-01T11:00:00Z", 1000)
	m.say(t, topic, event("2026-03-01T11:00:00Z", 1), false) // says nothing
	m.say(t, topic, event("2026-03-01T11:00:10Z", "null"), false)
	failed(t, got, drivers.Sentinel, "")
	m.say(t, topic, event("2026-03-01T11:00:00Z", 1), false)
	if h := next(t, got); !h.Again || h.Err != nil || h.Sample.Value != 0 {
		t.Fatalf("%+v", h)
	}
	m.say(t, topic, event("2026-03-01T11:00:00Z", 1), false) // says nothing
	m.say(t, topic, event("2026-03-01T11:00:20Z", 2), false)
	expect(t, got, 0, 0, "2026-03-01T11:00:20Z", 2000)
	if n := b.Stats().Duplicates; n != 3 {
		t.Errorf("%d duplicates, want 3", n)
	}
}
