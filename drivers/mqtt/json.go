package mqtt

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/jsonpoint"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
)

// jsonFormat hears JSON of any shape, by paths.
type jsonFormat struct {
	exact  map[string][]*target
	wild   []*target
	points []*jsonPoint
	values []value.Value // of the present message
}

// target is what a topic is about.
type target struct {
	topic jsonpoint.Topic
	point *jsonPoint
	unit  bool // it has the unit, not the value
}

type jsonPoint struct {
	device, index int
	spec          jsonpoint.Spec
	unit          string // from its own topic
	found         bool   // a message had its value before: one without it speaks of something else
	dated         bool   // it says its time
	gateway       string // the first that spoke of it
	two           bool   // another did, too
}

// newJSON makes the format of points that are described by themselves, on top
// of a preset (zero: none).
func newJSON(devices []Device, base preset) (*jsonFormat, error) {
	f := &jsonFormat{exact: map[string][]*target{}}
	for i, d := range devices {
		for k, p := range d.Points {
			if err := f.add(i, k, d.Name, base.under(p)); err != nil {
				return nil, fmt.Errorf("meter %s: %s: %w", d.Meter, p.Measure, err)
			}
		}
	}
	return f, nil
}

func (f *jsonFormat) add(device, index int, name string, r recipe) error {
	known := map[string]string{}
	if gateway, device, ok := strings.Cut(name, "/"); ok && r.behind {
		known["gateway"], name = gateway, device
	}
	if name != "" {
		known["device"] = name
	}
	if r.Name != "" {
		known["point"] = r.Name
	}
	p := &jsonPoint{device: device, index: index, dated: r.Time != "" && !r.undated}
	p.spec.Good, p.spec.Invalid, p.spec.Scaled, p.spec.Dated = r.Good, r.Invalid, r.Scale != "", p.dated
	for _, path := range []struct {
		into *jsonpoint.Path
		text string
	}{{&p.spec.Each, r.Each}, {&p.spec.Value, r.Value}, {&p.spec.Time, r.Time}, {&p.spec.Unit, r.Unit}, {&p.spec.Quality, r.Quality}, {&p.spec.Fresh, r.fresh}, {&p.spec.Object, r.object}} {
		var err error
		if *path.into, err = jsonpoint.ParsePath(path.text, known); err != nil {
			return err
		}
	}
	var err error
	if p.spec.Clock, err = jsonpoint.ParseClock(r.TimeFormat, r.Zone); err != nil {
		return err
	}
	topics, err := r.about(known)
	if err != nil {
		return err
	}
	for _, s := range topics {
		t, err := jsonpoint.ParseTopic(s, known)
		if err != nil {
			return err
		}
		one := &target{topic: t, point: p, unit: s == r.UnitTopic}
		if t.Exact() {
			f.exact[t.Filter()] = append(f.exact[t.Filter()], one)
		} else {
			f.wild = append(f.wild, one)
		}
	}
	f.points = append(f.points, p)
	return nil
}

// same reports whether all that was heard of the point came by one gateway.
// Where it did not, none of it is believed any more.
func (p *jsonPoint) same(gateway string) bool {
	if p.gateway == "" {
		p.gateway = gateway
	}
	p.two = p.two || p.gateway != gateway
	return !p.two
}

// about lists the topics of a point. One that asks for a name which is not
// given would hear every device as if it were this one: it is left out.
func (r *recipe) about(known map[string]string) ([]string, error) {
	var out []string
	missing := ""
	for _, s := range append(slices.Clone(r.topics), r.UnitTopic) {
		lacks := ""
		for _, name := range []string{"device", "point"} {
			if known[name] == "" && strings.Contains(s, "{"+name+"}") {
				lacks = name
			}
		}
		switch {
		case s == "":
		case lacks != "":
			missing = lacks
		default:
			out = append(out, s)
		}
	}
	switch {
	case missing == "device" && len(out) == 0:
		return nil, errors.New("the device's name is missing: its topic asks for {device}")
	case missing == "point" && len(out) == 0:
		return nil, errors.New("name is missing: its topic asks for {point}")
	case len(out) == 0 || out[0] == r.UnitTopic:
		return nil, errors.New("topic is missing: write the topic on which it is published")
	}
	return out, nil
}

func (f *jsonFormat) filters() []filter {
	qos := map[string]byte{}
	add := func(t *target) {
		topic := t.topic.Filter()
		q, there := qos[topic]
		switch {
		case !t.point.dated && !t.unit:
			q = 0
		case !there:
			q = 1
		}
		qos[topic] = q
	}
	for _, t := range f.all() {
		add(t)
	}
	var out []filter
	for _, topic := range slices.Sorted(maps.Keys(qos)) {
		out = append(out, filter{topic, qos[topic]})
	}
	return out
}

func (f *jsonFormat) all() []*target {
	out := slices.Clone(f.wild)
	for _, t := range f.exact {
		out = append(out, t...)
	}
	return out
}

func (f *jsonFormat) connected(time.Time) []publication { return nil }

func (f *jsonFormat) message(m *message, hear func(device, point int, v value.Value)) ([]publication, error) {
	document, err := jsonpoint.Document(m.payload)
	heard := false
	for _, t := range f.exact[m.topic] {
		heard = true
		f.read(t, m, document, err, nil, hear)
	}
	for _, t := range f.wild {
		if captures, ok := t.topic.Match(m.topic); ok {
			heard = true
			f.read(t, m, document, err, captures, hear)
		}
	}
	if !heard {
		return nil, errOther
	}
	return nil, err
}

func (f *jsonFormat) read(t *target, m *message, document any, err error, captures map[string]string, hear func(device, point int, v value.Value)) {
	p := t.point
	if t.unit {
		if err == nil {
			p.unit = jsonpoint.UnitOf(document, p.spec.Unit, captures)
		}
		return
	}
	if err != nil {
		hear(p.device, p.index, value.Value{Err: value.Refused(drivers.Protocol, "read "+m.topic, "%w", err)})
		return
	}
	if !p.same(captures["gateway"]) {
		hear(p.device, p.index, value.Value{Err: value.Refused(drivers.Protocol, "read "+m.topic, "two gateways publish a device of this name, and it may not be the same one: write the gateway before it, %s/..", p.gateway)})
		return
	}
	f.values = p.spec.Read(document, captures, m.arrived, f.values[:0])
	if len(f.values) == 0 {
		if !p.found {
			hear(p.device, p.index, value.Value{Err: &drivers.Error{Kind: drivers.Protocol, Op: "read " + m.topic,
				Err: fmt.Errorf("there is no value at %q", strings.TrimSpace(p.spec.Each.String()+" "+p.spec.Value.String())), Hint: "look at a message and correct the path"}})
		}
		return
	}
	p.found = true
	for _, v := range f.values {
		if v.Unit == "" {
			v.Unit = p.unit
		}
		hear(p.device, p.index, v)
	}
}
