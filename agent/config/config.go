// Package config reads the agent's configuration: one YAML file, strictly
// decoded. Every mistake in the file is reported, with its line and column and
// what to write instead; nothing is guessed and nothing is ignored.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// MaxSize bounds a configuration file: 1 MiB, some 5,000 meters.
const MaxSize = 1 << 20

// Config is a whole, checked configuration with its defaults filled in.
type Config struct {
	File   string        // where it was read from
	Hash   string        // SHA-256 of its bytes, hex: statements of baseline name it
	Site   Site          //
	Period time.Duration // length of a settlement period; 30m by default; divides 24h
	Store  Store
	Web    Web
	Uplink *Uplink // nil: record only
	Buses  []Bus
	Meters []Meter
}

// Site is the business premises that the gateway stands in.
type Site struct {
	Name    string // 1 to 100 characters
	Outcode string // first half of the postcode, such as SW8, upper case; needed with an uplink
}

// Store is where readings are kept on this machine.
type Store struct {
	Path          string        // by default /var/lib/perseus-edge/agent.db (Windows: under ProgramData)
	KeepHalfHours time.Duration // 400d by default; 31d to 3660d
	KeepSamples   time.Duration // 7d by default; 1h to 400d
}

// Web is the local page and API.
type Web struct {
	Listen string // host:port; 127.0.0.1:8480 by default
}

// Uplink is the relay that receives what a permission covers.
type Uplink struct {
	URL      string // https://host
	Identity string // folder of the gateway's keys and certificates; /var/lib/perseus-edge/identity by default
	CA       string // PEM file with the root of a private relay's server certificate, handed to `enroll`; empty: the system's roots
}

// Bus is one wire and how to speak on it.
type Bus struct {
	ID      string
	Driver  string        // modbus
	URL     string        // tcp://host:port, udp://host:port, rtuovertcp://host:port
	Timeout time.Duration // for one answer; 1s by default; 10ms to 60s
	Pause   time.Duration // between two requests; 0 by default, at most 10s
	Line    int           // in the file, for later messages
}

// Meter is one meter on a bus.
type Meter struct {
	ID        string
	Bus       string
	Unit      uint8         // Modbus unit, 0 to 247 or 255
	Template  string        // name of the template it came from, or empty
	Poll      time.Duration // 10s by default; 10ms to 15m, and at most one period
	Serial    string        // as printed on the meter, or empty
	Registers []Register    // ordered by measure, one per measure
	Line      int
}

// Register is one register of a meter, ready for the driver and the accumulator.
type Register struct {
	modbus.Point
	Modulus  int64 // base units at which it wraps to 0; 0: never
	MaxPower int64 // base units per hour that the meter can at most deliver: from its rating, else more than any delivers
}

// Energy is the register as the accumulator needs to know it.
func (r Register) Energy() energy.Register {
	return energy.Register{Measure: r.Measure, Modulus: r.Modulus, MaxPower: r.MaxPower}
}

// Type is "gas" for a gas meter, else "electricity".
func (m Meter) Type() string {
	if len(m.Registers) > 0 && m.Registers[0].Measure == energy.Gas {
		return "gas"
	}
	return "electricity"
}

// Measures lists what the meter measures, in the order of Registers.
func (m Meter) Measures() []energy.Measure {
	out := make([]energy.Measure, len(m.Registers))
	for i, r := range m.Registers {
		out[i] = r.Measure
	}
	return out
}

// Meter finds a meter by its id.
func (c *Config) Meter(id string) (Meter, bool) {
	for _, m := range c.Meters {
		if m.ID == id {
			return m, true
		}
	}
	return Meter{}, false
}

// On lists the meters of a bus, in the order of the file.
func (c *Config) On(bus string) []Meter {
	var out []Meter
	for _, m := range c.Meters {
		if m.Bus == bus {
			out = append(out, m)
		}
	}
	return out
}

// anchor makes paths absolute, from the folder of the configuration, so that a
// service and people in any folder mean the same files.
func (c *Config) anchor(dir string) {
	paths := []*string{&c.Store.Path}
	if c.Uplink != nil {
		paths = append(paths, &c.Uplink.Identity, &c.Uplink.CA)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Load reads and checks a configuration file. What is wrong with the content
// comes as *Errors; a file that cannot be read as a plain error.
func Load(path string) (*Config, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if fi.Size() > MaxSize {
		return nil, fmt.Errorf("configuration %s: larger than %d bytes: this is not a configuration file", path, MaxSize)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	c, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: where it is cannot be found out: %w", path, err)
	}
	c.anchor(filepath.Dir(whole))
	return c, nil
}
