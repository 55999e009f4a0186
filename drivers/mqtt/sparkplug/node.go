package sparkplug

import (
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Node follows one edge node. What a message means depends on the births
// before it, so that as soon as one may have been missed nothing is taken to
// mean what it meant: only metrics that have name and type with them are read
// until the next birth.
type Node struct {
	born    bool // a birth was heard, and nothing was missed since
	seq     int
	at      time.Time // of the last message
	session uint64    // bdSeq of the birth
	known   bool      // session is known
	devices map[string]*device
	asking  time.Duration // between the last two requests for a birth
	asked   time.Time
}

// device is the edge node itself ("") or a device behind it.
type device struct {
	byName  map[string]*definition
	byAlias map[uint64]*definition
}

// definition is what a birth says of a metric.
type definition struct {
	name string
	kind Type
	unit string
}

// Said is what came of a message.
type Said struct {
	Values []Named
	Dead   []string // devices that are dead now; "" stands for all of the node
	Gap    error    // messages were lost, or may have been
	Repeat bool     // the message was heard before
}

// Named is the value of one metric.
type Named struct {
	Device, Metric string
	value.Value
}

// Missed says that messages may have been missed, as when the connection was lost.
func (n *Node) Missed() { n.born, n.devices = false, nil }

var (
	errUnborn  = errors.New("no birth of the edge node was heard yet, which says what its messages mean")
	errNoSeq   = errors.New("the message has no sequence number")
	errBdSeq   = errors.New("the death is of an earlier session")
	errGone    = errors.New("it has left the broker (Sparkplug death)")
	errUnknown = errors.New("unknown message type")
)

// Message reads one message of the node: kind is NBIRTH, NDATA, NDEATH, or
// DBIRTH, DDATA, DDEATH with a device.
func (n *Node) Message(kind, name string, p Payload) (Said, error) {
	switch kind {
	case "NBIRTH":
		return n.birth(p), nil
	case "NDEATH":
		if s, ok := bdSeq(p); ok && n.known && s != n.session {
			return Said{}, errBdSeq // a will of long ago
		}
		n.Missed()
		return Said{Dead: []string{""}}, nil
	case "NDATA", "DBIRTH", "DDATA", "DDEATH":
		said, err := n.sequence(p)
		if err != nil || said.Repeat {
			return said, err
		}
		n.member(kind, name, p, &said)
		return said, nil
	}
	return Said{}, errUnknown
}

// birth begins a session.
func (n *Node) birth(p Payload) Said {
	n.born, n.seq, n.at, n.devices = true, max(p.Seq, 0), p.At, map[string]*device{}
	n.session, n.known = bdSeq(p)
	var said Said
	n.define("", p)
	n.values("", p, &said)
	return said
}

// sequence checks that no message was lost before this one.
func (n *Node) sequence(p Payload) (Said, error) {
	if p.Seq < 0 {
		return Said{}, errNoSeq
	}
	if !n.born {
		return Said{Gap: errUnborn}, nil
	}
	want := (n.seq + 1) & 255
	switch {
	case p.Seq == n.seq && p.At.Equal(n.at):
		return Said{Repeat: true}, nil
	case p.Seq != want:
		n.Missed()
		return Said{Gap: fmt.Errorf("message %d came where %d was due: some were lost", p.Seq, want)}, nil
	}
	n.seq, n.at = p.Seq, p.At
	return Said{}, nil
}

// member reads a message that is not the beginning or end of a session.
func (n *Node) member(kind, name string, p Payload, said *Said) {
	switch kind {
	case "DDEATH":
		delete(n.devices, name)
		said.Dead = []string{name}
		return
	case "DBIRTH":
		if said.Gap == nil {
			n.define(name, p)
		}
	case "DDATA":
		if said.Gap == nil && n.devices[name] == nil {
			said.Gap = fmt.Errorf("no birth of device %s was heard", name)
		}
	}
	n.values(name, p, said)
}

func (n *Node) define(name string, p Payload) {
	d := &device{map[string]*definition{}, map[uint64]*definition{}}
	for i := range p.Metrics {
		d.add("", &p.Metrics[i])
	}
	n.devices[name] = d
}

// add defines a metric, and those within it where it is a template.
func (d *device) add(prefix string, m *Metric) {
	if m.Name == "" {
		return
	}
	def := &definition{prefix + m.Name, m.Type, m.Unit}
	d.byName[def.name] = def
	if m.HasAlias {
		d.byAlias[m.Alias] = def
	}
	for i := range m.nested {
		d.add(def.name+"/", &m.nested[i])
	}
}

func (n *Node) values(name string, p Payload, said *Said) {
	for i := range p.Metrics {
		n.value(name, "", &p.Metrics[i], p.At, said)
	}
}

// value says what a metric, and those within it, are.
func (n *Node) value(deviceName, prefix string, m *Metric, sent time.Time, said *Said) {
	var def definition
	if d := n.devices[deviceName]; d != nil {
		known := d.byName[prefix+m.Name]
		if m.Name == "" && m.HasAlias {
			known = d.byAlias[m.Alias]
		}
		if known != nil {
			def = *known
		}
	}
	if m.Name != "" {
		def.name = prefix + m.Name
	}
	if m.Type != 0 {
		def.kind = m.Type
	}
	if m.Unit != "" {
		def.unit = m.Unit
	}
	if def.name == "" {
		if said.Gap == nil {
			said.Gap = fmt.Errorf("alias %d was in no birth", m.Alias)
		}
		return
	}
	for i := range m.nested {
		n.value(deviceName, def.name+"/", &m.nested[i], sent, said)
	}
	if m.field == templateField {
		return
	}
	if def.kind == 0 && (m.field == intField || m.field == longField) {
		return // a number whose sign and size nobody said: it is read after the birth
	}
	v := value.Value{At: m.At, Unit: def.unit, Historical: m.Historical}
	if v.At.IsZero() {
		v.At = sent
	}
	v.Number, v.Err = m.Number(def.kind)
	v.Flags = quality(m.Quality)
	said.Values = append(said.Values, Named{deviceName, def.name, v})
}

// quality: the specification has three values; OPC's other good ones (192 to
// 255) are met, too.
func quality(q int64) energy.Flags {
	switch {
	case q >= Good && q <= 255:
		return 0
	case q == Stale:
		return energy.Flags(0).With(13)
	}
	return energy.Flags(0).With(14)
}

func bdSeq(p Payload) (uint64, bool) {
	for i := range p.Metrics {
		if m := &p.Metrics[i]; m.Name == "bdSeq" && (m.field == intField || m.field == longField) {
			return m.bits, true
		}
	}
	return 0, false
}

// The times between two requests for a birth: a node that cannot or must not
// answer is not pestered.
const (
	soonest = 30 * time.Second
	latest  = 10 * time.Minute
)

// Ask reports whether the node should be asked for its birth now, and notes
// that it is. A birth does not make the next request sooner: a node whose
// births do not have what its messages use would be asked for ever.
func (n *Node) Ask(now time.Time) bool {
	since := now.Sub(n.asked).Abs()
	switch {
	case n.asked.IsZero() || since >= 4*n.asking:
		n.asking = soonest
	case since < n.asking:
		return false
	default:
		n.asking = min(2*n.asking, latest)
	}
	n.asked = now
	return true
}

// Forget lets the next Ask be the first.
func (n *Node) Forget() { n.asked = time.Time{} }

// Born reports whether the node's messages can be read.
func (n *Node) Born() bool { return n.born }

// Gone is the error of the points of a node or device that is dead.
func Gone(what string) error {
	return &drivers.Error{Kind: drivers.Timeout, Op: "listen to " + what, Err: errGone, Hint: "is the gateway on, and its network?"}
}
