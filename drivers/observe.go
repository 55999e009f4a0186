package drivers

import (
	"maps"
	"sync/atomic"
	"time"
)

// An Observer is a driver that says what went over its wire. Its methods may be
// called from any goroutine at any time: the one that owns the wire (law 8) is
// never held up by whoever looks.
type Observer interface {
	// Traffic is that of one device (an index into the devices that the driver
	// was made with), since the driver was made.
	Traffic(device int) Traffic
	// Wire is that of the wire as a whole.
	Wire() Wire
}

// Traffic is what went to and from a device. Bytes are those of frames,
// payloads and bodies, without what carries them (TCP, TLS, headers of MQTT and
// HTTP).
type Traffic struct {
	Requests uint64 `json:"requests"` // questions put to it; of a device that speaks by itself, messages heard of it
	BytesIn  uint64 `json:"bytesIn"`
	BytesOut uint64 `json:"bytesOut"`
}

// Wire is what a driver counted since it was made. The parts that its kind of
// wire does not have are nil.
type Wire struct {
	Traffic                 // of all devices, and what was nobody's
	Connects uint64         `json:"connects"`        // connections made, or ports opened
	Using    string         `json:"using,omitempty"` // the address in use, where there are several; "" while none is
	Modbus   *ModbusCounts  `json:"modbus,omitempty"`
	Messages *MessageCounts `json:"messages,omitempty"`
	Feed     *FeedCounts    `json:"feed,omitempty"`
}

// After gives the sum of two, of one wire: what is now, and what was counted of it
// before. The address in use is that of now.
func (w Wire) After(before Wire) Wire {
	w.Traffic = w.Traffic.Add(before.Traffic)
	w.Connects += before.Connects
	if m, b := w.Modbus, before.Modbus; m != nil && b != nil {
		w.Modbus = &ModbusCounts{m.Exceptions + b.Exceptions, m.Late + b.Late, m.Splits + b.Splits, m.QuarantineSeconds + b.QuarantineSeconds}
	}
	if m, b := w.Messages, before.Messages; m != nil && b != nil {
		w.Messages = &MessageCounts{m.Heard + b.Heard, m.Unread + b.Unread, m.Duplicates + b.Duplicates, m.Gaps + b.Gaps, m.Rebirths + b.Rebirths}
	}
	if f, b := w.Feed, before.Feed; f != nil && b != nil {
		sum := FeedCounts{f.Fetched, maps.Clone(b.Statuses), f.FilesDone + b.FilesDone, f.FilesBad + b.FilesBad}
		if b.Fetched.After(f.Fetched) {
			sum.Fetched = b.Fetched
		}
		for status, n := range f.Statuses {
			if sum.Statuses == nil {
				sum.Statuses = map[string]uint64{}
			}
			sum.Statuses[status] += n
		}
		w.Feed = &sum
	}
	return w
}

// ModbusCounts are those of a Modbus bus.
type ModbusCounts struct {
	Exceptions        uint64  `json:"exceptions"`        // questions that a device refused
	Late              uint64  `json:"late"`              // frames and stray bytes thrown away since they were no answer to the present question
	Splits            uint64  `json:"splits"`            // merged reads that a device refused: they are done in parts since
	QuarantineSeconds float64 `json:"quarantineSeconds"` // waited for silence after connecting and after a failure
}

// MessageCounts are those of a broker's messages.
type MessageCounts struct {
	Heard      uint64 `json:"heard"`
	Unread     uint64 `json:"unread"`     // could not be understood
	Duplicates uint64 `json:"duplicates"` // values that came again
	Gaps       uint64 `json:"gaps"`       // Sparkplug: runs of messages lost on the way
	Rebirths   uint64 `json:"rebirths"`   // Sparkplug: births that edge nodes were asked for
}

// FeedCounts are those of a feed that is fetched: a web API or a drop folder.
type FeedCounts struct {
	Fetched   time.Time         `json:"fetched,omitzero"`   // when it last gave something, UTC
	Statuses  map[string]uint64 `json:"statuses,omitempty"` // answers by HTTP status: 2xx 3xx 401 403 404 4xx 429 5xx, or none
	FilesDone uint64            `json:"filesDone,omitempty"`
	FilesBad  uint64            `json:"filesBad,omitempty"`
}

// Tally is a Traffic that is counted by one goroutine while others look.
type Tally struct{ requests, in, out atomic.Uint64 }

// Asked counts a question of so many bytes.
func (t *Tally) Asked(bytes int) {
	t.requests.Add(1)
	t.out.Add(uint64(bytes))
}

// Received counts bytes that came.
func (t *Tally) Received(bytes int) { t.in.Add(uint64(bytes)) }

// Heard counts a message that nobody had asked for.
func (t *Tally) Heard(bytes int) {
	t.requests.Add(1)
	t.in.Add(uint64(bytes))
}

// Traffic is what was counted so far.
func (t *Tally) Traffic() Traffic {
	return Traffic{Requests: t.requests.Load(), BytesIn: t.in.Load(), BytesOut: t.out.Load()}
}

// Add gives the sum of two.
func (t Traffic) Add(o Traffic) Traffic {
	return Traffic{t.Requests + o.Requests, t.BytesIn + o.BytesIn, t.BytesOut + o.BytesOut}
}
