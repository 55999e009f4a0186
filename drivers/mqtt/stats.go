package mqtt

import "github.com/perseus-edge/perseus-edge/drivers"

// Stats are what a Broker counted since it was made.
type Stats struct {
	URL        string // the broker that is heard now; "" while none is
	Connects   uint64
	Messages   uint64
	Bytes      uint64 // of payloads heard
	Said       uint64 // bytes of payloads published
	Unread     uint64 // messages that could not be read
	Duplicates uint64 // values that came again
	Gaps       uint64 // Sparkplug messages that were lost on the way
	Rebirths   uint64 // births that edge nodes were asked for
}

// Stats says what was counted so far.
func (b *Broker) Stats() Stats {
	err := b.Health()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	if err == nil {
		s.URL = b.url
	}
	return s
}

// Traffic is that of one device; see drivers.Observer. Its requests are the
// messages that spoke of it.
func (b *Broker) Traffic(device int) drivers.Traffic { return b.tallies[device].Traffic() }

// Wire is that of the broker; see drivers.Observer.
func (b *Broker) Wire() drivers.Wire {
	s := b.Stats()
	return drivers.Wire{
		Traffic: drivers.Traffic{Requests: s.Messages, BytesIn: s.Bytes, BytesOut: s.Said}, Connects: s.Connects, Using: s.URL,
		Messages: &drivers.MessageCounts{Heard: s.Messages, Unread: s.Unread, Duplicates: s.Duplicates, Gaps: s.Gaps, Rebirths: s.Rebirths},
	}
}
