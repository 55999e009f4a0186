// Package config reads the agent's configuration: one YAML file, strictly
// decoded. Every mistake in the file is reported, with its line and column and
// what to write instead; nothing is guessed and nothing is ignored.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
	"github.com/perseus-edge/perseus-edge/energy/validate"
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
	Clock  Clock
	Gas    Gas
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
	Listen string   // host:port; 127.0.0.1:8480 by default
	Names  []string // host names by which a browser may ask for the page, besides addresses and local names
	Enroll string   // who may enrol the gateway on the page: "local" (this machine, the default), "lan" or "off"
}

// Uplink is the relay that receives what a permission covers.
type Uplink struct {
	URL       string // https://host; empty: the relay that the directory names at enrolment
	Directory string // https://host of the directory where the gateway is enrolled; empty: who enrols it says
	KeyStore  string // where the gateway's keys are made: "auto" (the default), "file", "tpm", "tpm:PATH", "pkcs11" or a PKCS#11 URI, see identity/keystore
	Identity  string // folder of the gateway's keys and certificates; /var/lib/perseus-edge/identity by default
	CA        string // PEM file with the root of a private relay's server certificate, handed to `enroll`; empty: the system's roots
}

// Clock is when the machine's clock may be believed.
type Clock struct {
	Trust string // "auto" (the default), "always" or "synchronised": see agent/clock
}

// Bus is one wire and how to speak on it.
type Bus struct {
	ID      string
	Driver  string        // modbus
	URL     string        // a modbus bus: see modbus.CheckURL
	Timeout time.Duration // for one answer; 1s by default; 10ms to 60s
	Pause   time.Duration // between two requests; 0 by default, at most 10s
	Single  bool          // the device serves one client at a time: let go of it between two rounds
	Line    int           // in the file, for later messages

	Listening *Listening // how it is heard: mqtt and dcc; nil for modbus
}

// Listening is a bus that speaks by itself, or is fetched from.
type Listening struct {
	Format   string        // mqtt: one of mqtt.Formats; dcc: one of dcc.Formats
	URLs     []string      // url, and those that stand in for it
	ClientID string        // MQTT; perseus-edge-<bus> by default
	User     string        //
	Password string        // path of a file that holds it
	Token    string        // path of a file that holds the key of a web API
	CA       string        // PEM file with the root of a private broker's certificate; empty: the system's
	Cert     string        // PEM files of the client's certificate and its key; empty: none
	Key      string        //
	Stale    time.Duration // age from which on a retained value is no live one; 15m by default
	Silent   bool          // never publish
}

// Meter is one meter on a bus, or a virtual one that is made of others.
type Meter struct {
	ID        string
	Bus       string        // empty for a virtual meter
	Unit      uint8         // Modbus unit, 0 to 247 or 255
	Template  string        // name of the template it came from, or empty
	Poll      time.Duration // 10s by default; 10ms to 15m, and at most one period; 0 for a virtual meter
	Device    string        // on a bus that speaks by itself: its name there
	Metadata  string        // udmi: path of the device's metadata.json, or empty
	Serial    string        // as printed on the meter, or empty
	Registers []Register    // ordered by measure, one per measure; none for a virtual meter. Not to be changed: meters that are read alike share them
	Line      int

	CT, VT    string  // transformers, "200/5" and "11000/110"; empty where there are none
	Primary   bool    // the meter shows primary values: CT and VT are for the record and the ceiling
	Rating    Rating  // what is known of the meter's size; see there
	MPAN      string  // 13 digits with a sound check digit, or empty
	MPRN      string  // 6 to 11 digits with sound check digits, or empty
	Corrected bool    // gas: a converter in the meter counts standard cubic metres, so that no volume correction is due
	Zone      string  // gas: local distribution zone, whose calorific values hold for it; empty: not known
	VCF       gas.VCF // gas: the site's own volume correction factor; 0: gas.DefaultVCF, or none where Corrected

	ConvertedFrom time.Time // gas: from when on these three hold, where the operator says so; zero: from when they were configured

	SerialRegister *modbus.Serial  // where the meter says who it is; nil: it does not
	SunSpec        *modbus.SunSpec // the device says itself where its registers are; nil: Registers do
	CheckMeter     string          // id of the meter that counts the same once more, or empty
	CheckPower     *Register       // the power beside the registers, W and signed, which V07 goes by; nil: none. It is never counted
	Alarms         []Alarm         // what the meter says is wrong with it
	Exchanges      []Exchange      // the operator's statements, in the order of time

	Off        energy.Flags     // validation rules that are switched off
	Thresholds validate.Options // how strict the others are, where the file changes it; see Config.Validation

	Substitute      []string      // methods that the operator allows, of SubstituteMethods; none: missing stays missing
	SubstituteAfter time.Duration // how long to wait for late actuals first; 2d by default; 0 to 31d

	Virtual *Virtual // what it is made of; nil for a meter on a bus
}

// SubstituteMethods are the ways in which a missing half-hour may be filled,
// in the order in which they are tried.
var SubstituteMethods = []string{"check-meter", "linear", "profile"}

// Register is one register of a meter, ready for the driver and the accumulator.
type Register struct {
	modbus.Point
	Power     bool          // a power, in W or var and signed, to be integrated: import takes the positive part, export the negative
	Modulus   int64         // base units at which it wraps to 0; 0: never
	MaxPower  int64         // base units per hour that the meter can at most deliver: from its rating, else Unrated
	MaxEnergy int64         // base units per period above which rule V05 speaks; 0: nothing is known to judge by
	MaxGap    time.Duration // power only: half-hours that touch a longer gap are missing
	Step      int64         // base units, rounded up, of the register's smallest step; 0 for floats, whose step grows (see StepAt)
	Mantissa  int           // significant bits of a float register: 24 or 53; 0 for the others
	Learnt    bool          // SunSpec: the device says Modulus and Step itself, with each reading; 0 until then
	Ask       bool          // of a template: the meter is set to one unit or another, and its configuration says which
	Heard     *mqtt.Point   // where it is in what a bus says by itself; nil for modbus
}

// Energy is the register as the accumulator needs to know it.
func (r Register) Energy() energy.Register {
	if r.Heard != nil {
		return energy.Register{Measure: r.Measure, Modulus: r.Modulus, MaxPower: r.MaxPower}
	}
	if r.Learnt {
		return energy.Register{Measure: r.Measure, Modulus: r.Modulus, MaxPower: r.MaxPower, Step: r.Step, Learnt: true}
	}
	return energy.Register{Measure: r.Measure, Modulus: r.Modulus, MaxPower: r.MaxPower, Mantissa: r.Mantissa, Step: r.One()}
}

// Type is what the meter is of: "electricity", "gas", "heat" or "water".
func (m Meter) Type() string {
	if ms := m.Measures(); len(ms) > 0 {
		return ms[0].Kind()
	}
	return "electricity"
}

// Sent lists the measures that can go to the relay: those that the scheme
// knows. The others are recorded here, and nowhere else.
func (m Meter) Sent() []energy.Measure {
	return slices.DeleteFunc(slices.Clone(m.Measures()), func(x energy.Measure) bool { return !x.Carried() })
}

// Measures lists what the meter measures, in the order of Registers.
func (m Meter) Measures() []energy.Measure {
	if m.Virtual != nil {
		return m.Virtual.Measures
	}
	out := make([]energy.Measure, len(m.Registers))
	for i, r := range m.Registers {
		out[i] = r.Measure
	}
	return out
}

// Meter finds a meter by its id.
func (c *Config) Meter(id string) (Meter, bool) {
	for i := range c.Meters {
		if c.Meters[i].ID == id {
			return c.Meters[i], true
		}
	}
	return Meter{}, false
}

// On lists the meters of a bus, in the order of the file. Virtual meters are on none.
func (c *Config) On(bus string) []Meter {
	var out []Meter
	for _, m := range c.Meters {
		if m.Bus == bus && m.Virtual == nil {
			out = append(out, m)
		}
	}
	return out
}

// Validation is what the validation rules of one measure of a meter go by,
// except for the check meter's half-hours, which the caller has.
func (c *Config) Validation(m Meter, measure energy.Measure) validate.Options {
	o := m.Thresholds
	o.Off, o.Period = m.Off, c.Period
	for _, r := range m.Registers {
		if r.Measure != measure {
			continue
		}
		o.Modulus, o.Step, o.Mantissa = r.Modulus, r.Step, r.Mantissa
		if o.MaxEnergy == 0 {
			o.MaxEnergy = r.MaxEnergy
		}
		if r.Heard != nil {
			o.Unit = r.Heard.UnitName
		}
	}
	return o
}

// anchor makes paths absolute, from the folder of the configuration, so that a
// service and people in any folder mean the same files.
func (c *Config) anchor(dir string) {
	paths := []*string{&c.Store.Path}
	if c.Uplink != nil {
		paths = append(paths, &c.Uplink.Identity, &c.Uplink.CA)
	}
	for i := range c.Buses {
		if l := c.Buses[i].Listening; l != nil {
			paths = append(paths, &l.Password, &l.Token, &l.CA, &l.Cert, &l.Key)
		}
	}
	for i := range c.Meters {
		paths = append(paths, &c.Meters[i].Metadata)
	}
	for i := range c.Gas.CalorificValues {
		paths = append(paths, &c.Gas.CalorificValues[i])
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
