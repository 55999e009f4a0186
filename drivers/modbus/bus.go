// Package modbus reads meters over Modbus TCP, UDP and RTU-over-TCP.
//
// A Bus owns its connection (law 8). Over TCP a late answer carries the
// transaction number of its own question and is thrown away; over
// RTU-over-TCP, which has none, the connection is dropped after a time-out and
// stays shut until nothing late can arrive.
package modbus

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/url"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Config is one bus and the devices on it.
type Config struct {
	URL     string        // tcp://host:port, udp://host:port or rtuovertcp://host:port; the port defaults to 502
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
	framed  bool      // answers carry no transaction number: quarantine after a time-out
	shut    time.Time // do not open or ask before
	asked   bool      // a request went out on this connection: pause before the next
}

type device struct {
	meter    string
	unit     uint8
	points   []point
	requests []request
	serial   *serial // nil: it is not asked who it is
	who      identity
}

// client is what Bus needs of simonvetter's client; tests put faults in it.
type client interface {
	Open() error
	Close() error
	SetUnitId(uint8) error
	ReadRawBytes(addr, size uint16, t wire.RegType) ([]byte, error)
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
	target, framed, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	b.framed = framed
	for _, d := range c.Devices {
		if d.Unit > 247 && d.Unit != 255 {
			return nil, fmt.Errorf("meter %s: unit %d: use 0 to 247, or 255", d.Meter, d.Unit)
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
	quiet := log.New(io.Discard, "", 0)
	if c.Logger != nil {
		quiet = slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug)
	}
	b.client, err = wire.NewClient(&wire.ClientConfiguration{URL: target, Timeout: b.cfg.Timeout, Logger: quiet})
	if err != nil {
		return nil, fmt.Errorf("bus %s: %w", c.URL, err)
	}
	return b, nil
}

// CheckURL says what is wrong with a bus URL, or nil.
func CheckURL(s string) error { _, _, err := parseURL(s); return err }

func parseURL(s string) (target string, framed bool, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", false, fmt.Errorf("bus url %q: %w", s, err)
	}
	switch u.Scheme {
	case "tcp", "udp":
	case "rtuovertcp":
		framed = true
	case "rtu", "tls":
		return "", false, fmt.Errorf("bus url %q: %s:// is not in this version: use tcp, udp or rtuovertcp", s, u.Scheme)
	default:
		return "", false, fmt.Errorf("bus url %q: use tcp://host:port, udp://host:port or rtuovertcp://host:port", s)
	}
	if u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return "", false, fmt.Errorf("bus url %q: use %s://host:port", s, u.Scheme)
	}
	port := u.Port()
	if port == "" {
		port = "502"
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port), framed, nil
}

// Poll reads every point of one device; see drivers.Poller. When it fails, dst
// holds what was read before the wire went down.
func (b *Bus) Poll(ctx context.Context, i int, dst []drivers.Reading) ([]drivers.Reading, error) {
	d := &b.devices[i]
	dst, answered, err := b.read(ctx, d, dst)
	if err != nil {
		d.who.due = true
	} else if answered {
		b.identify(ctx, d)
	}
	return dst, err
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
		if err == nil {
			answered = true
		} else {
			d.who.due = d.who.due || isSilence(err)
			err = b.explain(req, d.unit, err)
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
		if err != nil && !b.open {
			return dst, answered, err // the wire is down: the rest would only wait for it
		}
	}
	return dst, answered, nil
}

func (b *Bus) connect(ctx context.Context) error {
	if wait := min(b.shut.Sub(b.cfg.Now()), b.cfg.Timeout); wait > 0 { // a clock that is set back must not shut it for longer
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
	if b.open {
		return nil
	}
	if err := b.client.Open(); err != nil {
		return &drivers.Error{Kind: drivers.Refused, Op: "connect to " + b.cfg.URL, Err: err,
			Hint: "is the address right, the device on, and no other program connected to it?"}
	}
	b.open, b.asked = true, false
	return nil
}

func (b *Bus) pause(ctx context.Context) error {
	if b.cfg.Pause > 0 && b.asked {
		return sleep(ctx, b.cfg.Pause)
	}
	return ctx.Err()
}

// ask makes one request. Any failure but the device's own "no" drops the
// connection, so that nothing half-read or late is met again.
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
	if err != nil && !isException(err) {
		b.Close()
		if b.framed {
			b.shut = b.cfg.Now().Add(b.cfg.Timeout)
		}
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
