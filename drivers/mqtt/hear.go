package mqtt

import (
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
)

// hearer turns messages into deliveries.
type hearer struct {
	broker   *Broker
	deliver  func(device int, r []drivers.Reading)
	device   int
	readings []drivers.Reading // of the present device
}

// hear delivers what a message says, a device at a time.
func (h *hearer) hear(m *message) []publication {
	b := h.broker
	duplicates := uint64(0)
	say, err := b.format.message(m, func(device, k int, v value.Value) {
		p := &b.points[device][k]
		r, keep := p.reading(v, m, b.cfg.Stale)
		if !keep {
			duplicates++
			return
		}
		r.Point = k
		if device != h.device {
			h.flush()
			h.device = device
		}
		h.readings = append(h.readings, r)
	})
	h.flush()
	b.mu.Lock()
	b.stats.Messages++
	b.stats.Bytes += uint64(len(m.payload))
	b.stats.Duplicates += duplicates
	if err != nil {
		b.stats.Unread++
	}
	if f, ok := b.format.(*sparkplugFormat); ok {
		b.stats.Gaps = f.gaps
	}
	b.mu.Unlock()
	if err != nil {
		b.cfg.Logger.Debug("message not read", "topic", m.topic, "error", err)
	}
	return say
}

func (h *hearer) flush() {
	if len(h.readings) > 0 {
		h.deliver(h.device, h.readings)
		h.readings = h.readings[:0]
	}
}
