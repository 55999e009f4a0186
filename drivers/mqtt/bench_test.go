package mqtt

import (
	"fmt"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// BenchmarkMessage is a message from the broker's bytes to a reading, without
// the network: one point in UDMI and JSON, fifty in Sparkplug.
func BenchmarkMessage(b *testing.B) {
	now := time.UnixMilli(noon)
	var fifty Device
	fifty.Meter, fifty.Name = "m", "Plant/GW/M1"
	birth := newWire(noon, 1)
	for i := range 50 {
		name := fmt.Sprintf("kWh%d", i)
		fifty.Points = append(fifty.Points, Point{Measure: energy.Import, Name: name, UnitName: "kWh"})
		birth = birth.double(name, i+1, true, 1)
	}
	for _, c := range []struct {
		format, topic string
		device        Device
		before        func(h *hearer)
		payload       func(i int) []byte
	}{
		{"udmi", "/devices/EM-1/events/pointset", udmiMain()[0], nil, func(i int) []byte {
			return []byte(event(now.Add(time.Duration(i)).Format(time.RFC3339Nano), i))
		}},
		{"bacnet-mqtt-gateway", "bacnet-gateway/g/telemetry/114/2_202", Device{Meter: "m", Name: "114", Points: []Point{{Measure: energy.Import, Name: "2_202", UnitName: "kWh"}}}, nil, func(i int) []byte {
			return fmt.Appendf(nil, `{"value":%d.5,"name":"Main kWh","objectKey":"2_202","objectType":2,"objectInstance":202,"deviceId":114,"acquiredAt":%d,"sourceStatus":"fresh"}`, i, noon-i)
		}},
		{"sparkplug", "spBv1.0/Plant/DDATA/GW/M1", fifty, func(h *hearer) {
			h.hear(&message{topic: "spBv1.0/Plant/NBIRTH/GW", payload: newWire(noon, 0), arrived: now})
			h.hear(&message{topic: "spBv1.0/Plant/DBIRTH/GW/M1", payload: birth, arrived: now})
		}, func(i int) []byte {
			w := newWire(noon-int64(i), (i+2)&255)
			for k := range 50 {
				w = w.double("", k+1, false, float64(i))
			}
			return w
		}},
	} {
		b.Run(c.format, func(b *testing.B) {
			broker, err := New(Config{URLs: []string{"mqtt://h"}, ClientID: "a", Format: c.format, Now: func() time.Time { return now }, Devices: []Device{c.device}})
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			h := hearer{broker: broker, deliver: func(_ int, r []drivers.Reading) {
				n += len(r)
				if r[0].Err != nil {
					b.Fatal(r[0].Err)
				}
			}}
			if c.before != nil {
				c.before(&h)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.hear(&message{topic: c.topic, payload: c.payload(i), arrived: now})
			}
			if n < b.N {
				b.Fatalf("%d readings of %d messages", n, b.N)
			}
		})
	}
}
