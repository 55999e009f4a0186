// Package modbus reads meters over Modbus TCP, TLS and UDP, and over Modbus RTU
// on a serial port or behind a converter.
//
// A Bus owns its wire (law 8). Over TCP, TLS and UDP a late answer carries the
// transaction number of its own question and is thrown away; an RTU frame has
// none: see rtuClient for what is done instead.
package modbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	wire "github.com/simonvetter/modbus"

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
	Serial *Serial // where it keeps its serial number; nil: it is not asked
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
}

type device struct {
	meter    string
	unit     uint8
	points   []point
	requests []request
	serial   *serial // nil: it is not asked who it is
	who      identity
}

// client asks units for registers. Its questions to one unit make a round,
// from begin to believed, which says whether its answers can be believed.
type client interface {
	Open() error
	Close() error
	SetUnitId(uint8) error
	ReadRawBytes(addr, size uint16, t wire.RegType) ([]byte, error)
	begin()
	believed(context.Context) error
}

var (
	_ drivers.Poller     = (*Bus)(nil)
	_ drivers.Identifier = (*Bus)(nil)
)

// New checks a bus and its points. It does not connect: the first Poll does.
func New(c Config) (*Bus, error) {
	b := &Bus{cfg: c}
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
	for _, d := range c.Devices {
		if d.Unit > 247 && d.Unit != 255 {
			return nil, fmt.Errorf("meter %s: unit %d: use 0 to 247, or 255", d.Meter, d.Unit)
		}
		if d.Unit == 0 && b.target.scheme == "rtu" {
			return nil, fmt.Errorf("meter %s: unit 0 is for all on a serial wire, and nobody answers: use 1 to 247", d.Meter)
		}
		if len(d.Points) == 0 {
			return nil, fmt.Errorf("meter %s: no registers to read", d.Meter)
		}
		dev := device{meter: d.Meter, unit: d.Unit}
		for _, p := range d.Points {
			cp, err := p.compile()
			if err != nil {
				return nil, fmt.Errorf("meter %s: %s register at %#04x: %w", d.Meter, p.Measure, p.Address, err)
			}
			dev.points = append(dev.points, cp)
		}
		dev.requests = plan(dev.points)
		if d.Serial != nil {
			s, err := d.Serial.compile()
			if err != nil {
				return nil, fmt.Errorf("meter %s: serial number register at %#04x: %w", d.Meter, d.Serial.Address, err)
			}
			dev.serial = &s
		}
		b.devices = append(b.devices, dev)
	}
	b.client = newClient(b.target, b.cfg)
	b.rtu, _ = b.client.(*rtuClient)
	return b, nil
}

func newClient(t target, c Config) client {
	if t.scheme == "rtu" || t.scheme == "rtuovertcp" {
		return newRTU(t, c.Timeout, c.Pause)
	}
	m := &mbapClient{timeout: c.Timeout, packets: t.scheme == "udp"}
	m.dial = func() (link, error) {
		if t.scheme == "tls" {
			return dialTLS(t, c.Timeout)
		}
		return dialSocket(t.scheme, t.address, c.Timeout)
	}
	return m
}

// Poll reads every point of one device; see drivers.Poller. When it fails, dst
// holds what was read before the wire went down.
func (b *Bus) Poll(ctx context.Context, i int, dst []drivers.Reading) ([]drivers.Reading, error) {
	d, start := &b.devices[i], len(dst)
	b.client.begin()
	who := d.who
	dst, answered, err := b.read(ctx, d, dst)
	if err != nil {
		d.who.due = true
	} else if answered {
		b.identify(ctx, d)
	}
	if doubt := b.client.believed(ctx); doubt != nil {
		doubt = b.takeBack(d, who, dst[start:], doubt)
		if err == nil {
			err = doubt
		}
	}
	return dst, err
}

// takeBack makes errors of the readings of a round that is not believed.
func (b *Bus) takeBack(d *device, who identity, round []drivers.Reading, err error) error {
	d.who, d.who.due = who, true
	if b.target.scheme != "rtu" || !errors.Is(err, errShifted) { // else the port is there
		b.Close()
	}
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
	start := len(dst)
	for r := 0; r < len(d.requests); r++ {
		req := d.requests[r]
		if err := b.pause(ctx); err != nil {
			return dst, answered, err
		}
		sent := b.cfg.Now()
		data, err := b.ask(req)
		at := b.cfg.Now()
		if isMissingRegister(err) && len(req.points) > 1 {
			// The device has the registers but will not read across them:
			// ask for each by itself from now on.
			d.requests = apart(d.points)
			r = -1
			dst = dst[:start]
			continue
		}
		down := err != nil && !isException(err)
		if err == nil {
			answered = true
		} else {
			d.who.due = d.who.due || isSilence(err)
			err = b.explain(req.name(d.unit), err)
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

func (b *Bus) connect(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.open {
		return nil
	}
	if err := b.client.Open(); err != nil {
		hint := "is the address right, the device on, and no other program connected to it?"
		if b.target.scheme == "rtu" {
			hint = portHint(err)
		}
		return &drivers.Error{Kind: drivers.Refused, Op: "connect to " + b.cfg.URL, Err: err, Hint: hint}
	}
	b.open, b.asked = true, false
	return nil
}

// pause waits until the wire may be used.
func (b *Bus) pause(ctx context.Context) error {
	if b.rtu == nil {
		if b.cfg.Pause > 0 && b.asked {
			return sleep(ctx, b.cfg.Pause)
		}
		return ctx.Err()
	}
	err := b.rtu.settle(ctx)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, errNoisy):
		return &drivers.Error{Kind: drivers.Protocol, Op: "wait for silence on " + b.cfg.URL, Err: err, Hint: "is there another master on this wire? It may have but one"}
	}
	b.Close()
	return &drivers.Error{Kind: drivers.Refused, Op: "listen on " + b.cfg.URL, Err: err, Hint: unplugged}
}

// ask makes one request. Any failure but the device's own "no" drops the
// connection, so that nothing half-read or late is met again; a serial port
// stays open while it is there.
func (b *Bus) ask(r request) ([]byte, error) {
	b.asked = true
	t := wire.HOLDING_REGISTER
	if r.input {
		t = wire.INPUT_REGISTER
	}
	data, err := b.client.ReadRawBytes(r.address, r.words*2, t) // the library counts bytes here
	if err == nil && len(data) != int(r.words)*2 {
		err = wire.ErrProtocolError
	}
	if err != nil && !isException(err) && (b.target.scheme != "rtu" || errors.Is(err, errUnplugged)) {
		b.Close()
	}
	return data, err
}

// Close lets go of the connection. The next Poll opens it again.
func (b *Bus) Close() error {
	if !b.open {
		return nil
	}
	b.open = false
	return b.client.Close()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
