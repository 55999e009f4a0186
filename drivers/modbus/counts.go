package modbus

import (
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// counts is what went over a wire. The goroutine that owns the wire counts;
// whoever looks does so without holding it up. A nil counts counts nothing.
type counts struct {
	to *drivers.Tally // of the device whose turn it is; the owner's own

	stray      atomic.Uint64 // bytes that were nobody's answer
	connects   atomic.Uint64
	exceptions atomic.Uint64
	late       atomic.Uint64
	splits     atomic.Uint64
	quarantine atomic.Int64 // nanoseconds
}

func (c *counts) asked(bytes int) {
	if c != nil && c.to != nil {
		c.to.Asked(bytes)
	}
}

func (c *counts) received(bytes int) {
	if c != nil && c.to != nil {
		c.to.Received(bytes)
	}
}

// threw counts something that is thrown away, of which so many bytes are not
// counted elsewhere.
func (c *counts) threw(bytes int) {
	if c != nil {
		c.late.Add(1)
		c.stray.Add(uint64(bytes))
	}
}

func (c *counts) quarantined(d time.Duration) {
	if c != nil && d > 0 {
		c.quarantine.Add(int64(d))
	}
}

// Traffic is that of one device; see drivers.Observer. Questions by which the
// wire proves itself, and those for the serial number, count as well.
func (b *Bus) Traffic(i int) drivers.Traffic { return b.devices[i].tally.Traffic() }

// Wire is that of the bus; see drivers.Observer.
func (b *Bus) Wire() drivers.Wire {
	c := b.counts
	w := drivers.Wire{Connects: c.connects.Load(), Modbus: &drivers.ModbusCounts{
		Exceptions: c.exceptions.Load(), Late: c.late.Load(), Splits: c.splits.Load(), QuarantineSeconds: time.Duration(c.quarantine.Load()).Seconds(),
	}}
	for i := range b.devices {
		w.Traffic = w.Add(b.Traffic(i))
	}
	w.BytesIn += c.stray.Load()
	return w
}
