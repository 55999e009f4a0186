package mqtt

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// wire makes a Sparkplug payload by hand: independent of the reader under test.
type wire []byte

func newWire(ms int64, seq int) wire {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(ms))
	if seq >= 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(seq))
	}
	return b
}

// double adds a metric of type Double; name or alias may be left out.
func (w wire) double(name string, alias int, typed bool, v float64) wire {
	var m []byte
	if name != "" {
		m = protowire.AppendString(protowire.AppendTag(m, 1, protowire.BytesType), name)
	}
	if alias > 0 {
		m = protowire.AppendVarint(protowire.AppendTag(m, 2, protowire.VarintType), uint64(alias))
	}
	if typed {
		m = protowire.AppendVarint(protowire.AppendTag(m, 4, protowire.VarintType), 10)
	}
	m = protowire.AppendFixed64(protowire.AppendTag(m, 13, protowire.Fixed64Type), math.Float64bits(v))
	return protowire.AppendBytes(protowire.AppendTag(w, 2, protowire.BytesType), m)
}

func (w wire) bdSeq(n uint64) wire {
	m := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "bdSeq")
	m = protowire.AppendVarint(protowire.AppendTag(m, 11, protowire.VarintType), n)
	return protowire.AppendBytes(protowire.AppendTag(w, 2, protowire.BytesType), m)
}

// edgeNode is a Sparkplug edge node that answers to rebirth.
type edgeNode struct {
	paho.Client
	t       *testing.T
	asked   chan []byte
	seq     int
	session uint64
	at      int64
	kwh     float64
}

const noon = 1772366400000 // 2026-03-01T12:00:00Z

func newEdgeNode(t *testing.T, url string) *edgeNode {
	n := &edgeNode{Client: publisher(t, url), t: t, asked: make(chan []byte, 16), at: noon - 600_000, kwh: 1000}
	token := n.Subscribe("spBv1.0/Plant/NCMD/GW", 1, func(_ paho.Client, m paho.Message) { n.asked <- m.Payload() })
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	return n
}

func (n *edgeNode) say(kind, device string, w wire) {
	n.t.Helper()
	topic := strings.TrimSuffix("spBv1.0/Plant/"+kind+"/GW/"+device, "/")
	if token := n.Publish(topic, 0, false, []byte(w)); !token.WaitTimeout(patience) || token.Error() != nil {
		n.t.Fatal(token.Error())
	}
}

// birth says NBIRTH and the DBIRTH of M1, whose kWh is alias 5.
func (n *edgeNode) birth() {
	n.session++
	n.seq = 1
	n.at += 1000
	n.say("NBIRTH", "", newWire(n.at, 0).bdSeq(n.session))
	n.say("DBIRTH", "M1", newWire(n.at, 1).double("kWh", 5, true, n.kwh))
}

// data says how M1's register stands; lost ones are not sent.
func (n *edgeNode) data(lost bool) {
	n.seq = (n.seq + 1) & 255
	n.at += 1000
	n.kwh++
	if !lost {
		n.say("DDATA", "M1", newWire(n.at, n.seq).double("", 5, false, n.kwh))
	}
}

func (n *edgeNode) wait() []byte {
	n.t.Helper()
	select {
	case b := <-n.asked:
		return b
	case <-time.After(patience):
		n.t.Fatal("nobody asked for a birth")
		return nil
	}
}

func sparkplugMain() []Device {
	return []Device{{Meter: "main", Name: "Plant/GW/M1", Points: []Point{{Measure: energy.Import, Name: "kWh", UnitName: "kWh"}}}}
}

func failed(t *testing.T, got <-chan heard, kind drivers.Kind, text string) {
	t.Helper()
	h := next(t, got)
	var e *drivers.Error
	if !errors.As(h.Err, &e) || e.Kind != kind || !strings.Contains(e.Error(), text) {
		t.Fatalf("heard %+v, want a %s that says %q", h, kind, text)
	}
}

func at(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }

func TestSparkplugSession(t *testing.T) {
	m := newTestBroker(t, "")
	n := newEdgeNode(t, m.url())
	n.session = 3
	var minutes atomic.Int64 // the last request must be half a minute ago
	now := func() time.Time { return time.UnixMilli(noon).Add(time.Duration(minutes.Load()) * time.Minute) }
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "sparkplug", Now: now, Devices: sparkplugMain()})
	healthy(t, b, true)
	n.wait() // at once: births are not retained
	n.birth()
	expect(t, got, 0, 0, at(n.at), 1_000_000)
	n.data(false)
	expect(t, got, 0, 0, at(n.at), 1_001_000)

	minutes.Add(1)
	n.data(true)
	n.data(false) // by an alias that may mean something else by now
	failed(t, got, drivers.Protocol, "message 4 came where 3 was due")
	n.wait()
	n.birth()
	expect(t, got, 0, 0, at(n.at), 1_003_000)

	n.say("NDEATH", "", newWire(n.at, -1).bdSeq(n.session-1)) // the will of the session before
	n.data(false)
	expect(t, got, 0, 0, at(n.at), 1_004_000)
	n.say("NDEATH", "", newWire(n.at, -1).bdSeq(n.session))
	failed(t, got, drivers.Timeout, "Plant/GW: timeout: it has left the broker")
	n.birth()
	expect(t, got, 0, 0, at(n.at), 1_004_000)
	// The second request is counted when it has been sent, which may be after
	// it has arrived.
	until(t, "2 requests to be counted", func() bool { return b.Stats().Rebirths == 2 })
	if s := b.Stats(); s.Gaps != 1 {
		t.Errorf("%+v, want 1 gap", s)
	}
}

// A retained birth is of a session long ago: its aliases mean nothing.
func TestSparkplugRetainedBirth(t *testing.T) {
	m := newTestBroker(t, "")
	m.say(t, "spBv1.0/Plant/NBIRTH/GW", string(newWire(noon, 0).bdSeq(1)), true)
	m.say(t, "spBv1.0/Plant/DBIRTH/GW/M1", string(newWire(noon, 1).double("kWh", 5, true, 7)), true)
	n := newEdgeNode(t, m.url())
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "sparkplug", Now: fixed("2026-03-01T12:00:00Z"), Devices: sparkplugMain()})
	healthy(t, b, true)
	n.wait()
	n.seq = 1
	n.data(false)
	failed(t, got, drivers.Protocol, "no birth")
	n.birth()
	expect(t, got, 0, 0, at(n.at), 1_001_000)
}

// Who may not publish waits for the next birth.
func TestSparkplugSilent(t *testing.T) {
	m := newTestBroker(t, "")
	n := newEdgeNode(t, m.url())
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "sparkplug", Silent: true, Now: fixed("2026-03-01T12:00:00Z"), Devices: sparkplugMain()})
	healthy(t, b, true)
	n.data(false)
	failed(t, got, drivers.Protocol, "no birth")
	n.birth()
	expect(t, got, 0, 0, at(n.at), 1_001_000)
	if len(n.asked) != 0 || b.Stats().Rebirths != 0 {
		t.Error("it was asked")
	}
}

// After a reconnect the births are not those of before.
func TestSparkplugReconnect(t *testing.T) {
	m := newTestBroker(t, "")
	n := newEdgeNode(t, m.url())
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "sparkplug", Now: fixed("2026-03-01T12:00:00Z"), Devices: sparkplugMain()})
	healthy(t, b, true)
	n.wait()
	n.birth()
	expect(t, got, 0, 0, at(n.at), 1_000_000)
	n.Disconnect(0) // there is one edge node
	m.die()
	healthy(t, b, false)
	again := newTestBroker(t, m.address)
	healthy(t, b, true)
	second := newEdgeNode(t, again.url())
	second.seq, second.at, second.kwh = n.seq, n.at, 5000
	// The sequence goes on as if nothing had been missed, but alias 5 may be another metric now.
	second.data(false)
	failed(t, got, drivers.Protocol, "no birth")
	second.birth()
	expect(t, got, 0, 0, at(second.at), 5_001_000)
}
