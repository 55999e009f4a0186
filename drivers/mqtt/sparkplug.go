package mqtt

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/sparkplug"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
)

// sparkplugFormat hears edge nodes.
type sparkplugFormat struct {
	nodes  map[string]*sparkplugNode // "group/node"
	silent bool
	gaps   uint64
}

type sparkplugNode struct {
	sparkplug.Node
	points map[string]map[string][]place // device ("" for the node), metric
	gap    bool                          // its points know that messages were lost
}

// place is a point of ours.
type place struct{ device, point int }

const namespace = "spBv1.0/"

func newSparkplug(devices []Device, silent bool) (*sparkplugFormat, error) {
	f := &sparkplugFormat{nodes: map[string]*sparkplugNode{}, silent: silent}
	for i, d := range devices {
		parts := strings.Split(d.Name, "/")
		if len(parts) != 2 && len(parts) != 3 || slices.Contains(parts, "") || strings.ContainsAny(d.Name, "+#") {
			return nil, fmt.Errorf("meter %s: name %q: write group and edge node such as Plant/Gateway1, or with a device, Plant/Gateway1/Meter1", d.Meter, d.Name)
		}
		name := parts[0] + "/" + parts[1]
		n := f.nodes[name]
		if n == nil {
			n = &sparkplugNode{points: map[string]map[string][]place{}}
			f.nodes[name] = n
		}
		device := strings.Join(parts[2:], "")
		if n.points[device] == nil {
			n.points[device] = map[string][]place{}
		}
		for k, p := range d.Points {
			if p.Name == "" {
				return nil, fmt.Errorf("meter %s: %s: name is missing: write the name of its metric", d.Meter, p.Measure)
			}
			n.points[device][p.Name] = append(n.points[device][p.Name], place{i, k})
		}
	}
	return f, nil
}

// filters: all of a node, since its sequence numbers go over its devices.
func (f *sparkplugFormat) filters() []filter {
	var out []filter
	for _, name := range slices.Sorted(maps.Keys(f.nodes)) {
		group, node, _ := strings.Cut(name, "/")
		out = append(out, filter{namespace + group + "/+/" + node + "/#", 1})
	}
	return out
}

// connected: births may have been missed, and are never retained.
func (f *sparkplugFormat) connected(now time.Time) []publication {
	var out []publication
	for _, name := range slices.Sorted(maps.Keys(f.nodes)) {
		n := f.nodes[name]
		n.Missed()
		n.Forget()
		out = f.ask(name, n, now, "connected", out)
	}
	return out
}

func (f *sparkplugFormat) ask(name string, n *sparkplugNode, now time.Time, why string, out []publication) []publication {
	if f.silent || !n.Ask(now) {
		return out
	}
	group, node, _ := strings.Cut(name, "/")
	return append(out, publication{namespace + group + "/NCMD/" + node, sparkplug.Rebirth(now), why})
}

var errRetained = errors.New("it is retained, which no Sparkplug message may be: it is of a session long ago")

func (f *sparkplugFormat) message(m *message, hear func(device, point int, v value.Value)) ([]publication, error) {
	parts := strings.Split(m.topic, "/")
	if len(parts) != 4 && len(parts) != 5 || parts[0]+"/" != namespace {
		return nil, errOther
	}
	name, kind, device := parts[1]+"/"+parts[3], parts[2], strings.Join(parts[4:], "")
	n := f.nodes[name]
	switch {
	case n == nil:
		return nil, errOther
	case kind == "NCMD" || kind == "DCMD":
		return nil, nil // not from the node, but to it; our own among them
	case m.retained:
		return nil, errRetained
	case (kind[:min(1, len(kind))] == "D") != (len(parts) == 5):
		return nil, errOther
	}
	p, err := sparkplug.Parse(m.payload)
	if err != nil {
		n.Missed() // it was one of the sequence
		return f.ask(name, n, m.arrived, err.Error(), nil), err
	}
	said, err := n.Message(kind, device, p)
	if err != nil {
		return nil, err
	}
	for i := range said.Values {
		v := &said.Values[i]
		for _, at := range n.points[v.Device][v.Metric] {
			hear(at.device, at.point, v.Value)
		}
	}
	for _, dead := range said.Dead {
		n.fail(dead, sparkplug.Gone(strings.TrimSuffix(name+"/"+dead, "/")), hear)
	}
	if n.Born() && n.points[device] == nil {
		said.Gap = nil // of a device that is nobody's here
	}
	if said.Gap == nil {
		n.gap = n.gap && !n.Born()
		return nil, nil
	}
	if !n.gap {
		n.gap = true
		f.gaps++
		n.fail("", &drivers.Error{Kind: drivers.Protocol, Op: "listen to " + name, Err: said.Gap, Hint: "waiting for its next birth"}, hear)
	}
	return f.ask(name, n, m.arrived, said.Gap.Error(), nil), nil
}

// fail tells all points of a device, or of the whole node where it is "".
func (n *sparkplugNode) fail(device string, err error, hear func(device, point int, v value.Value)) {
	for _, name := range slices.Sorted(maps.Keys(n.points)) {
		if device != "" && name != device {
			continue
		}
		for _, metric := range slices.Sorted(maps.Keys(n.points[name])) {
			for _, at := range n.points[name][metric] {
				hear(at.device, at.point, value.Value{Err: err})
			}
		}
	}
}
