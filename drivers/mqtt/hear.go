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
	counted  []uint64          // by device: the message that was counted for it last
	n        uint64            // messages
}

// hear delivers what a message says, a device at a time.
func (h *hearer) hear(m *message) []publication {
	b := h.broker
	duplicates := uint64(0)
	h.n++
	say, err := b.format.message(m, func(device, k int, v value.Value) {
		h.count(device, len(m.payload))
		p := &b.points[device][k]
		r, keep := p.told(v, m, b.cfg.Stale)
		if !keep || r.Again {
			duplicates++
		}
		if !keep {
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

// count counts a message for a device, once; one that speaks of several devices
// counts for each.
func (h *hearer) count(device, bytes int) {
	if h.counted == nil {
		h.counted = make([]uint64, len(h.broker.points))
	}
	if h.counted[device] != h.n {
		h.counted[device] = h.n
		h.broker.tallies[device].Heard(bytes)
	}
}

func (h *hearer) flush() {
	if len(h.readings) > 0 {
		h.deliver(h.device, h.readings)
		h.readings = h.readings[:0]
	}
}
