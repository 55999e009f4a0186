package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/udmi"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
	"github.com/perseus-edge/perseus-edge/energy"
)

// udmiFormat hears pointset events and states.
type udmiFormat struct {
	devices []udmiDevice
	byName  map[string][]int // "device" and "site/device" to indices: two meters may be points of one device
}

type udmiDevice struct {
	points []string
	units  map[string]string
	state  udmi.State
}

func newUDMI(devices []Device) (*udmiFormat, error) {
	f := &udmiFormat{byName: map[string][]int{}}
	for i, d := range devices {
		parts := strings.Split(d.Name, "/")
		if d.Name == "" || len(parts) > 2 || strings.ContainsAny(d.Name, "+#{}") || parts[0] == "" || parts[len(parts)-1] == "" {
			return nil, fmt.Errorf("meter %s: name %q: write the UDMI device id such as AHU-1, or site and device such as GB-LON-HQ/AHU-1", d.Meter, d.Name)
		}
		one := udmiDevice{}
		for _, p := range d.Points {
			if p.Name == "" {
				return nil, fmt.Errorf("meter %s: %s: name is missing: write the name of its point in the pointset", d.Meter, p.Measure)
			}
			one.points = append(one.points, p.Name)
		}
		if d.Metadata != nil {
			var err error
			if one.units, err = udmi.Units(d.Metadata); err != nil {
				return nil, fmt.Errorf("meter %s: %w", d.Meter, err)
			}
		}
		f.devices = append(f.devices, one)
		f.byName[d.Name] = append(f.byName[d.Name], i)
	}
	return f, nil
}

// filters: "/devices/X/events/pointset" as UDMI has it, also without the
// leading slash; behind a site only where the name has it, since the device of
// another site may bear the same name.
func (f *udmiFormat) filters() []filter {
	var out []filter
	for name := range f.byName {
		site, device, named := strings.Cut(name, "/")
		prefixes := []string{site + "/devices/" + device}
		if !named {
			prefixes = []string{"/devices/" + name, "devices/" + name}
		}
		for _, p := range prefixes {
			out = append(out, filter{p + "/events/pointset", 1}, filter{p + "/state", 1})
		}
	}
	return out
}

func (f *udmiFormat) connected(time.Time) []publication { return nil }

var errOther = errors.New("it is for nobody here: an old subscription of this client id?")

func (f *udmiFormat) message(m *message, hear func(device, point int, v value.Value)) ([]publication, error) {
	site, rest, ok := strings.Cut(m.topic, "devices/")
	if !ok || site != "" && strings.Count(site, "/") != 1 {
		return nil, errOther
	}
	name, kind, _ := strings.Cut(rest, "/")
	indices := f.byName[strings.TrimPrefix(site+name, "/")]
	if len(indices) == 0 {
		return nil, errOther
	}
	switch kind {
	case "state":
		s, ok, err := udmi.ParseState(m.payload)
		for _, i := range indices {
			if ok {
				f.devices[i].state = f.devices[i].state.Later(s)
			}
		}
		return nil, err
	case "events/pointset":
		e, err := udmi.ParseEvent(m.payload)
		for _, i := range indices {
			f.devices[i].event(e, err, func(k int, v value.Value) { hear(i, k, v) })
		}
		return nil, err
	}
	return nil, errOther
}

// event says what an event says of a device's points. One that is not in a
// full update is missing there; a partial update leaves it as it was.
func (d *udmiDevice) event(e udmi.Event, err error, hear func(point int, v value.Value)) {
	for k, name := range d.points {
		v, ok := value.Value{Err: err}, true
		if err != nil {
			v.Err = value.Refused(drivers.Protocol, "read event", "%w", err)
		} else if v, ok = e.Value(name); !ok && !e.Partial {
			v, ok = value.Value{At: e.At, Err: value.Refused(drivers.Protocol, "read event", "point %s is not in it", name)}, true
		}
		if !ok {
			continue
		}
		if v.Unit == "" {
			v.Unit = d.units[name]
		}
		if bad := d.state.Point(name).Bad(); bad != "" {
			v.Flags |= energy.Flags(0).With(14)
		}
		hear(k, v)
	}
}
