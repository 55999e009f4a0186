package site

import (
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// sparkplug is the edge nodes of a site, with what each counts: the messages
// and the sessions. Births name the metrics, data go by alias.
type sparkplug struct {
	seq     map[string]uint64 // by "group/node": of the next message
	session uint64
}

func newSparkplug() *sparkplug { return &sparkplug{seq: map[string]uint64{}} }

func (*sparkplug) faults() []string {
	return slices.DeleteFunc(slices.Clone(dated), func(s string) bool { return s == "retained" }) // DATA are never retained
}

func (*sparkplug) marks() bool { return true }

const namespace = "spBv1.0/"

func (*sparkplug) listens() string { return namespace + "+/NCMD/#" }

// place takes group/node/device apart.
func place(name string) (node, device string) {
	parts := strings.SplitN(name, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/"), strings.Join(parts[min(2, len(parts)):], "/")
}

func sparkplugTopic(kind, node, device string) string {
	group, edge, _ := strings.Cut(node, "/")
	return strings.TrimSuffix(namespace+group+"/"+kind+"/"+edge+"/"+device, "/")
}

func (p *sparkplug) next(node string) uint64 {
	n := p.seq[node]
	p.seq[node] = (n + 1) % 256
	return n
}

// payload begins a message: its time, and its number in the session.
func payload(t time.Time, seq uint64, metrics ...[]byte) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(milliseconds(t)))
	for _, m := range metrics {
		b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), m)
	}
	return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), seq)
}

// The types and qualities of the specification that are used.
const (
	typeUInt64  = 8
	typeDouble  = 10
	typeBoolean = 11
	qualityOld  = 500
)

// metric writes one value: with its name and type in a birth, else by alias.
func metric(v said, alias int, birth bool, t time.Time, old bool) []byte {
	var m []byte
	if birth {
		m = protowire.AppendString(protowire.AppendTag(m, 1, protowire.BytesType), v.cfg.Heard.Name)
	}
	m = protowire.AppendVarint(protowire.AppendTag(m, 2, protowire.VarintType), uint64(alias))
	m = protowire.AppendVarint(protowire.AppendTag(m, 3, protowire.VarintType), uint64(milliseconds(t)))
	if birth {
		m = protowire.AppendVarint(protowire.AppendTag(m, 4, protowire.VarintType), typeDouble)
	}
	if v.number == nil {
		m = protowire.AppendVarint(protowire.AppendTag(m, 7, protowire.VarintType), 1)
	}
	var properties []byte
	if birth && v.cfg.Heard.UnitName == "" {
		properties = property(properties, "engUnit", nil, v.unit)
	}
	if old {
		n := uint64(qualityOld)
		properties = property(properties, "Quality", &n, "")
	}
	if properties != nil {
		m = protowire.AppendBytes(protowire.AppendTag(m, 9, protowire.BytesType), properties)
	}
	if v.number != nil {
		f, _ := v.number.Float64()
		m = protowire.AppendFixed64(protowire.AppendTag(m, 13, protowire.Fixed64Type), math.Float64bits(f))
	}
	return m
}

// property adds one to a set: its keys, and its values in the same order.
func property(set []byte, key string, n *uint64, s string) []byte {
	set = protowire.AppendString(protowire.AppendTag(set, 1, protowire.BytesType), key)
	var v []byte
	if n != nil {
		v = protowire.AppendVarint(protowire.AppendTag(v, 1, protowire.VarintType), 3) // Int32
		v = protowire.AppendVarint(protowire.AppendTag(v, 3, protowire.VarintType), *n)
	} else {
		v = protowire.AppendVarint(protowire.AppendTag(v, 1, protowire.VarintType), 12) // String
		v = protowire.AppendString(protowire.AppendTag(v, 8, protowire.BytesType), s)
	}
	return protowire.AppendBytes(protowire.AppendTag(set, 2, protowire.BytesType), v)
}

// aliasOf is the alias of a register within its node: its place among all of
// the meter's, after those of the meters before it.
func aliasOf(v said) int {
	h := uint32(2166136261)
	for _, c := range []byte(v.meter + "/" + v.cfg.Heard.Name) {
		h = (h ^ uint32(c)) * 16777619
	}
	return int(h >> 4)
}

func (p *sparkplug) metrics(r report, birth bool) (out [][]byte) {
	for _, v := range r.values {
		out = append(out, metric(v, aliasOf(v), birth, r.at, r.marked))
	}
	return out
}

func (p *sparkplug) messages(r report) []message {
	node, device := place(r.source.meter.Device)
	kind := "DDATA"
	if device == "" {
		kind = "NDATA"
	}
	return []message{{topic: sparkplugTopic(kind, node, device), payload: payload(r.at, p.next(node), p.metrics(r, false)...)}}
}

// connected gives birth to all nodes and devices, in a new session.
func (p *sparkplug) connected(sources []*source, t time.Time) (out []message) {
	p.session++
	var nodes []string
	for _, s := range sources {
		if node, _ := place(s.meter.Device); !slices.Contains(nodes, node) {
			nodes = append(nodes, node)
		}
	}
	for _, node := range nodes {
		out = append(out, p.births(node, sources, t)...)
	}
	return out
}

// births are those of one node: its own with number 0, then its devices'.
func (p *sparkplug) births(node string, sources []*source, t time.Time) (out []message) {
	p.seq[node] = 0
	own := [][]byte{p.bdSeq(), rebirth()}
	devices := map[string][][]byte{}
	var order []string
	for _, s := range sources {
		n, device := place(s.meter.Device)
		switch {
		case n != node:
		case device == "":
			own = append(own, p.metrics(s.report(t), true)...)
		default:
			if devices[device] == nil {
				order = append(order, device)
			}
			devices[device] = append(devices[device], p.metrics(s.report(t), true)...)
		}
	}
	out = append(out, message{topic: sparkplugTopic("NBIRTH", node, ""), payload: payload(t, p.next(node), own...)})
	for _, device := range order {
		out = append(out, message{topic: sparkplugTopic("DBIRTH", node, device), payload: payload(t, p.next(node), devices[device]...)})
	}
	return out
}

// bdSeq is the number of the session, by which a death finds its birth.
func (p *sparkplug) bdSeq() []byte {
	m := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "bdSeq")
	m = protowire.AppendVarint(protowire.AppendTag(m, 4, protowire.VarintType), typeUInt64)
	return protowire.AppendVarint(protowire.AppendTag(m, 11, protowire.VarintType), p.session)
}

// rebirth is the command that a node can be given.
func rebirth() []byte {
	m := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "Node Control/Rebirth")
	m = protowire.AppendVarint(protowire.AppendTag(m, 4, protowire.VarintType), typeBoolean)
	return protowire.AppendVarint(protowire.AppendTag(m, 14, protowire.VarintType), 0)
}

// heard is a command: any is taken for the one to be born again.
func (p *sparkplug) heard(topic string, _ []byte, sources []*source, t time.Time) []message {
	parts := strings.Split(strings.TrimPrefix(topic, namespace), "/")
	if len(parts) != 3 || parts[1] != "NCMD" {
		return nil
	}
	return p.births(parts[0]+"/"+parts[2], sources, t)
}

// left is the last will of each node.
func (p *sparkplug) left() (out []message) {
	for node := range p.seq {
		b := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), p.bdSeq())
		out = append(out, message{topic: sparkplugTopic("NDEATH", node, ""), payload: b})
	}
	return out
}

// foreign is JSON on the prefix, as IOTech's XRT sends it.
func (p *sparkplug) foreign(s *source) []message {
	node, device := place(s.meter.Device)
	return []message{{topic: sparkplugTopic("DDATA", node, device+"x"), payload: []byte(`{"client": "xrt"}`)}}
}
