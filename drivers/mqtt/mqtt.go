// Package mqtt hears meters and BMS points over an MQTT broker: UDMI,
// Sparkplug B, JSON of any shape, and the bridges that are met in the field
// (see Formats). A Broker is a drivers.Listener.
//
// Its session survives reconnects: a fixed client identifier without clean
// session, subscribed anew at each connect, quality of service 1, and a
// message is acknowledged only when its readings have been delivered. What
// carries no time of its own is subscribed with quality of service 0 instead:
// kept back by the broker through an outage it would be dated wrongly.
//
// What is retained is told from what is live by its age, what comes twice is
// dropped by its source's time, and what a source says against its own value
// goes along as flags.
package mqtt

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// DefaultStale is the age from which on a retained value is no live one.
const DefaultStale = 15 * time.Minute

// Config is one broker, or several that stand in for one another, and what is
// to be heard there.
type Config struct {
	URLs     []string // mqtt://host:1883, mqtts://host:8883, ws:// or wss://; tried in this order at each connect
	ClientID string   // must not change, nor be another client's: the broker keeps what is meant for it
	User     string
	Password string
	TLS      *tls.Config   // for mqtts and wss, with the client's certificate where the broker wants one; nil: the machine's roots
	Format   string        // one of Formats
	Stale    time.Duration // age from which on a retained value is no live one; DefaultStale if 0
	Silent   bool          // never publish: a Sparkplug edge node is not asked for its birth, but waited for
	Devices  []Device
	Now      func() time.Time // time.Now if nil
	Logger   *slog.Logger     // the driver speaks at debug level, and of what the installer should mend at warning
}

// Device is one meter.
type Device struct {
	Meter    string
	Name     string // in the format's own naming: udmi "AHU-1", behind a site "SITE/AHU-1"; sparkplug "group/node" or "group/node/device"; else what {device} stands for
	Metadata []byte // udmi: the device's metadata.json, for its units; nil where there is none
	Points   []Point
}

// Point is one register of a device, as the format names it.
type Point struct {
	Measure energy.Measure
	Power   bool   // a signed power (W, var), of which the energy is yet to be integrated
	Name    string // udmi: the point; sparkplug: the metric; else what {point} stands for

	// Where things are in a message, for format json; in a preset each that
	// is set replaces the preset's own. Topics are templates and paths are as
	// in package jsonpoint.
	Topic     string
	Each      string // where readings stand in an array
	Value     string // "": the message is the value
	Time      string
	Unit      string
	Quality   string
	UnitTopic string // another topic on which the unit is published, such as .../unit_of_measurement

	TimeFormat string   // see jsonpoint.ParseClock; "" tells RFC 3339 from numbers by itself
	Zone       string   // of times that name none, such as Europe/London; "" is UTC
	Good       []string // what Quality says of values that count; nil: the words of the field
	Invalid    []string // values by which the source says that it has none, as it writes them

	UnitName string // a unit of energy/unit; "" where the source says it
	Scale    string // decimal factor on the value, or "10^-1" as a BACnet integer-scale; "" is 1; below 0 for power only

	Interval time.Duration // above 0: not a register but the total of such an interval, dated at its end
}

// Formats lists what Config.Format can be.
func Formats() []string {
	names := []string{"udmi", "sparkplug", "json"}
	for name := range presets {
		names = append(names, name)
	}
	slices.Sort(names[3:])
	return names
}

// CheckURL says what is wrong with a broker's address, or nil.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return errors.New("url: write mqtt://host:1883, or mqtts://host:8883 for TLS")
	}
	switch {
	case !slices.Contains([]string{"mqtt", "mqtts", "tcp", "ssl", "tls", "ws", "wss"}, u.Scheme):
		return fmt.Errorf("url %s: use mqtt://, mqtts://, ws:// or wss://", u.Redacted())
	case u.User != nil:
		return fmt.Errorf("url %s: give user and password by their own keys, so that they are not logged with the url", u.Redacted())
	case u.Path != "" && u.Path != "/" && !strings.HasPrefix(u.Scheme, "ws"):
		return fmt.Errorf("url %s: a topic does not belong in it", u.Redacted())
	}
	return nil
}

// New checks a broker and its points. It does not connect: Listen does.
func New(c Config) (*Broker, error) {
	b := &Broker{cfg: c, pace: usualPace, err: errNotYet, tallies: make([]drivers.Tally, len(c.Devices))}
	if len(c.URLs) == 0 {
		return nil, errors.New("url is missing: write mqtt://host:1883, or mqtts://host:8883 for TLS")
	}
	for i, s := range c.URLs {
		if err := CheckURL(s); err != nil {
			return nil, err
		}
		u, _ := url.Parse(s)
		if u.Port() == "" && !strings.HasPrefix(u.Scheme, "ws") {
			u.Host += map[bool]string{true: ":8883", false: ":1883"}[slices.Contains([]string{"mqtts", "ssl", "tls"}, u.Scheme)]
		}
		b.urls = append(b.urls, u)
		if slices.Contains(c.URLs[:i], s) {
			return nil, fmt.Errorf("url %s is there twice", s)
		}
	}
	if c.ClientID == "" {
		return nil, errors.New("client id is missing: the broker keeps what is meant for it under this name")
	}
	if b.cfg.Stale == 0 {
		b.cfg.Stale = DefaultStale
	}
	if b.cfg.Now == nil {
		b.cfg.Now = time.Now
	}
	if b.cfg.Logger == nil {
		b.cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range c.Devices {
		if len(d.Points) == 0 {
			return nil, fmt.Errorf("meter %s: no points to hear", d.Meter)
		}
		points := make([]point, len(d.Points))
		for i, p := range d.Points {
			var err error
			if points[i], err = p.compile(); err != nil {
				return nil, fmt.Errorf("meter %s: %s: %w", d.Meter, p.Measure, err)
			}
		}
		b.points = append(b.points, points)
	}
	var err error
	b.format, err = newFormat(b.cfg)
	return b, err
}

// message is what came from the broker.
type message struct {
	topic    string
	payload  []byte
	retained bool
	again    bool // the broker may have sent it before
	arrived  time.Time
}

// filter is a subscription.
type filter struct {
	topic string
	qos   byte
}

// newFormat makes the format that a Config names.
func newFormat(c Config) (format, error) {
	switch c.Format {
	case "udmi":
		return newUDMI(c.Devices)
	case "sparkplug":
		return newSparkplug(c.Devices, c.Silent)
	}
	preset, ok := presets[c.Format]
	if !ok && c.Format != "json" {
		return nil, fmt.Errorf("format %q: use one of %s", c.Format, strings.Join(Formats(), ", "))
	}
	return newJSON(c.Devices, preset)
}

var (
	_ drivers.Listener = (*Broker)(nil)
	_ drivers.Observer = (*Broker)(nil)
)
