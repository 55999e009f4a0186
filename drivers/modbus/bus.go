// Package modbus reads meters over Modbus TCP, TLS and UDP, and over Modbus RTU
// on a serial port or behind a converter.
//
// A Bus owns its wire (law 8). Over TCP, TLS and UDP a late answer carries the
// transaction number of its own question and is thrown away; an RTU frame has
// none: see rtuClient for what is done instead.
package modbus

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Config is one bus and the devices on it.
type Config struct {
	URL     string        // see CheckURL
	Timeout time.Duration // for one answer; 1 s if 0
	Pause   time.Duration // between two requests; many RTU converters need 20 to 50 ms
	Devices []Device
	Now     func() time.Time // time.Now if nil
	Logger  *slog.Logger     // the driver speaks only at debug level
}

// Device is one meter on a bus.
type Device struct {
	Meter  string
	Unit   uint8 // 0 to 247; 255 is also used by devices that speak TCP themselves
	Points []Point
	Checks int     // how many of the last points are no totals, but what those are checked by: asked after them, and rarely while silent
	Serial *Serial // where it keeps its serial number; nil: it is not asked

	Alarms  []Alarm  // bits by which it says that something is wrong, read in each round
	SunSpec *SunSpec // it says itself where its totals are; nil: the points do
}

// Bus is a Modbus connection. It implements drivers.Poller.
type Bus struct {
	cfg     Config
	devices []device
	client  client
	open    bool
	target  target
	rtu     *rtuClient // the client, where frames do not say what they answer; else nil
	asked   bool       // a request went out on this connection: pause before the next
	counts  *counts
}

type device struct {
	meter    string
	unit     uint8
	points   []point
	requests []request
	bridge   *bridge // nil: there is nothing to find out about its holes
	serial   *serial // nil: it is not asked who it is
	who      identity
	tally    drivers.Tally
	alarms   *alarms // nil: it has none
	sun      *sun    // nil: its points say where they are
	beside   beside
}

var (
	_ drivers.Poller     = (*Bus)(nil)
	_ drivers.Identifier = (*Bus)(nil)
	_ drivers.Observer   = (*Bus)(nil)
	_ drivers.Alarmer    = (*Bus)(nil)
)

// New checks a bus and its points. It does not connect: the first Poll does.
func New(c Config) (*Bus, error) {
	b := &Bus{cfg: c, devices: make([]device, len(c.Devices)), counts: &counts{}}
	if b.cfg.Timeout == 0 {
		b.cfg.Timeout = time.Second
	}
	if b.cfg.Now == nil {
		b.cfg.Now = time.Now
	}
	var err error
	if b.target, err = parseURL(c.URL); err != nil {
		return nil, err
	}
	for i, d := range c.Devices {
		if d.Unit > 247 && d.Unit != 255 {
			return nil, fmt.Errorf("meter %s: unit %d: use 0 to 247, or 255", d.Meter, d.Unit)
		}
		if b.target.scheme == "rtu" && (d.Unit == 0 || d.Unit > 247) {
			return nil, fmt.Errorf("meter %s: unit %d: a serial wire has addresses from 1 to 247", d.Meter, d.Unit)
		}
		if len(d.Points) == 0 {
			return nil, fmt.Errorf("meter %s: no registers to read", d.Meter)
		}
		dev := &b.devices[i]
		dev.meter, dev.unit = d.Meter, d.Unit
		dev.beside.from = len(d.Points) - d.Checks
		if i > 0 && sameSlice(d.Points, c.Devices[i-1].Points) {
			dev.points = b.devices[i-1].points // nobody changes them
		} else if dev.points, err = compile(d); err != nil {
			return nil, err
		}
		if d.SunSpec == nil {
			dev.requests, dev.bridge = plan(dev.points, false), newBridge(dev.points)
		} else if dev.sun, err = newSun(*d.SunSpec, dev.points); err != nil {
			return nil, fmt.Errorf("meter %s: %w", d.Meter, err)
		}
		if dev.alarms, err = newAlarms(d.Alarms); err != nil {
			return nil, fmt.Errorf("meter %s: alarm: %w", d.Meter, err)
		}
		if d.Serial != nil {
			s, err := d.Serial.compile()
			if err != nil {
				return nil, fmt.Errorf("meter %s: serial number register at %#04x: %w", d.Meter, d.Serial.Address, err)
			}
			dev.serial = &s
		}
	}
	b.cfg.Devices = nil // their memory is free: there are thousands
	b.client = newClient(b.target, b.cfg, b.counts)
	b.rtu, _ = b.client.(*rtuClient)
	return b, nil
}

// compile makes the points of a device ready for the wire.
func compile(d Device) ([]point, error) {
	out := make([]point, len(d.Points))
	for k, p := range d.Points {
		var err error
		if out[k], err = p.compile(); err != nil {
			return nil, fmt.Errorf("meter %s: %s register at %#04x: %w", d.Meter, p.Measure, p.Address, err)
		}
	}
	return out, nil
}

// sameSlice reports whether two devices share their points.
func sameSlice(a, b []Point) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

// Poll reads every point of one device; see drivers.Poller. When it fails, dst
// holds what was read before the wire went down.
func (b *Bus) Poll(ctx context.Context, i int, dst []drivers.Reading) ([]drivers.Reading, error) {
	d, start := &b.devices[i], len(dst)
	b.client.begin()
	b.counts.to = &d.tally
	who := d.who
	dst, answered, err := b.read(ctx, d, dst)
	if err != nil {
		d.who.due = true
	} else if answered {
		b.readAlarms(ctx, d, dst[start:])
		if b.open {
			b.identify(ctx, d)
		}
		if d.sun != nil && who.number != "" && d.who.number != "" && d.who.number != who.number {
			d.sun.forget()
		}
	}
	if doubt := b.client.believed(ctx); doubt != nil {
		doubt = b.takeBack(d, who, dst[start:], doubt)
		if err == nil {
			err = doubt
		}
	} else if err == nil && answered && b.open {
		b.explore(ctx, d, dst[start:])
	}
	return dst, err
}

// takeBack makes errors of the readings of a round that is not believed.
func (b *Bus) takeBack(d *device, who identity, round []drivers.Reading, err error) error {
	d.who, d.who.due = who, true
	if d.sun != nil {
		d.sun.takeBack()
	}
	d.alarms.takeBack()
	b.distrust(err)
	err = b.explain(fmt.Sprintf("read unit %d", d.unit), err)
	for i, r := range round {
		if r.Err == nil {
			round[i] = drivers.Reading{Point: r.Point, Err: err, Took: r.Took}
		}
	}
	return err
}

// read does the requests of a Poll, and says whether the device answered any.
func (b *Bus) read(ctx context.Context, d *device, dst []drivers.Reading) (_ []drivers.Reading, answered bool, _ error) {
	if err := b.connect(ctx); err != nil {
		return dst, false, err
	}
	if err := b.client.SetUnitId(d.unit); err != nil {
		return dst, answered, err
	}
	if d.sun != nil {
		return b.readSunSpec(ctx, d, dst)
	}
	d.totalsFirst()
	for r := 0; r < len(d.requests); r++ {
		req := d.requests[r]
		if d.beside.is(req) && d.beside.rests() {
			continue
		}
		if err := b.pause(ctx); err != nil {
			return dst, answered, err
		}
		sent := b.cfg.Now()
		data, err := b.ask(req)
		at := b.cfg.Now()
		if isMissingRegister(err) && len(req.points) > 1 {
			// The device may have the registers but not read across them: ask
			// for them in two parts from now on.
			d.requests = slices.Replace(d.requests, r, r+1, split(d.points, req)...)
			d.bridge = nil
			b.counts.splits.Add(1)
			r--
			continue
		}
		down := err != nil && !isException(err)
		if err == nil {
			answered = true
		} else {
			d.who.due = d.who.due || isSilence(err)
			err = b.explain(req.name(d.unit), err)
		}
		if d.beside.is(req) {
			d.beside.gave(!down)
		}
		for _, k := range req.points {
			p := &d.points[k]
			out := drivers.Reading{Point: k, Err: err, Took: at.Sub(sent)}
			if err == nil {
				off := int(p.address-req.address) * 2
				var v int64
				v, out.Raw, out.Err = p.decode(data[off:])
				out.Sample = energy.Sample{At: at.UTC(), Value: v}
			}
			dst = append(dst, out)
		}
		if err != nil && down {
			return dst, answered, err // the rest would only wait for it too
		}
	}
	return dst, answered, nil
}
