package mqtt

import (
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// A message counts once for each device that it speaks of, once for the bus,
// and not at all for a device that it does not name.
func TestTrafficByDevice(t *testing.T) {
	m := newTestBroker(t, "")
	of := func(meter, topic, value string) Device {
		return Device{Meter: meter, Name: meter, Points: []Point{
			{Measure: energy.Import, Topic: topic, Value: value, Time: "t", UnitName: "kWh"},
			{Measure: energy.Export, Topic: topic, Value: value, Time: "t", UnitName: "kWh"}, // two points, one message
		}}
	}
	b, got, _ := listen(t, Config{
		URLs: []string{m.url()}, Format: "json", Now: fixed("2026-03-01T12:00:00Z"),
		Devices: []Device{of("a", "both", "a"), of("b", "both", "b"), of("c", "alone", "v")},
	})
	healthy(t, b, true)
	const both, alone = `{"t":"2026-03-01T11:00:00Z","a":1,"b":2}`, `{"t":"2026-03-01T11:00:00Z","v":3}`
	const broken = `{"t":`
	m.say(t, "both", both, false)
	m.say(t, "both", both, false) // again: heard, and dropped
	m.say(t, "alone", alone, false)
	m.say(t, "both", broken, false)
	for range 10 { // the broken one is heard as errors of the four points on its topic
		next(t, got)
	}
	until(t, "the last message", func() bool { return b.Wire().Messages.Heard == 4 })
	one := drivers.Traffic{Requests: 3, BytesIn: uint64(2*len(both) + len(broken))}
	for i, want := range []drivers.Traffic{one, one, {Requests: 1, BytesIn: uint64(len(alone))}} {
		if got := b.Traffic(i); got != want {
			t.Errorf("device %d: %+v, want %+v", i, got, want)
		}
	}
	w := b.Wire()
	if w.Traffic != (drivers.Traffic{Requests: 4, BytesIn: uint64(2*len(both) + len(alone) + len(broken))}) ||
		*w.Messages != (drivers.MessageCounts{Heard: 4, Unread: 1, Duplicates: 4}) || w.Connects != 1 || !strings.Contains(w.Using, m.address) {
		t.Errorf("%+v %+v", w, *w.Messages)
	}
	m.die()
	until(t, "the broker to be gone", func() bool { return b.Wire().Using == "" })
}
