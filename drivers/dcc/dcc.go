// Package dcc takes half-hours and registers from feeds that others collect:
// the GB smart meter network (DCC) through its users, and the half-hourly
// files of suppliers and data collectors. See Formats.
//
// A feed is a drivers.Listener. What it gives is dated as its source dates it,
// with intervals at their ends. It reads again what may still be corrected, and
// keeps through a Marks how far it got, so that a restart loses nothing and
// repeats little.
package dcc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Config is one feed and what is to be taken from it.
type Config struct {
	Format  string   // one of Formats
	URLs    []string // as CheckURL wants it; more than one for MQTT only
	Devices []Device
	Marks   Marks            // nil: begins anew at each start, and takes for stored what was delivered
	Now     func() time.Time // time.Now if nil
	Logger  *slog.Logger     // slog.Default() if nil

	ClientID, User, Password string       // MQTT
	TLS                      *tls.Config  // of MQTT; nil: the machine's roots
	Token                    string       // key of a web API
	HTTP                     *http.Client // of a web API; nil: one with a timeout
}

// Device is one meter.
type Device struct {
	Meter    string
	Name     string // as the feed names it: an MPAN or MPRN, a resource's id; see each format
	Measures []energy.Measure
}

// Marks keeps how far a feed was read. Each is small.
type Marks interface {
	// Settle returns when all that was delivered so far is stored for good: only
	// then may a mark move on, or a file be put away.
	Settle() error
	Meta(name string) ([]byte, error) // nil where there is none
	SetMeta(name string, v []byte) error
}

// format is one kind of feed.
type format struct {
	check func(url string) error
	open  func(Config) (drivers.Listener, error)
}

// Formats lists what Config.Format can be.
func Formats() []string {
	var names []string
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// CheckURL says what is wrong with the address of a feed, or nil.
func CheckURL(name, url string) error {
	f, ok := formats[name]
	if !ok {
		return fmt.Errorf("format %q: use one of %s", name, strings.Join(Formats(), ", "))
	}
	return f.check(url)
}

// New checks a feed. Nothing is opened before Listen.
func New(c Config) (drivers.Listener, error) {
	f, ok := formats[c.Format]
	switch {
	case !ok:
		return nil, fmt.Errorf("format %q: use one of %s", c.Format, strings.Join(Formats(), ", "))
	case len(c.URLs) == 0:
		return nil, errors.New("url is missing")
	}
	for _, u := range c.URLs {
		if err := f.check(u); err != nil {
			return nil, err
		}
	}
	if c.Marks == nil {
		c.Marks = forgetful{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return f.open(c)
}

var errNotYet = errors.New("nothing heard yet")

// forgetful keeps nothing.
type forgetful struct{}

func (forgetful) Settle() error                { return nil }
func (forgetful) Meta(string) ([]byte, error)  { return nil, nil }
func (forgetful) SetMeta(string, []byte) error { return nil }
