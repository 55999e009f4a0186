package mqtt

import (
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
	"github.com/perseus-edge/perseus-edge/energy"
)

func TestPointCheck(t *testing.T) {
	for _, p := range []Point{
		{Measure: energy.Import, UnitName: "kWh"}, {Measure: energy.Import}, {Measure: energy.Gas, UnitName: "m3", Scale: "0.01"}, {Measure: energy.Import, Power: true, UnitName: "kW", Scale: "-1"},
		{Measure: energy.ReactiveExport, UnitName: "kvarh"}, {Measure: energy.Import, UnitName: "kWh", Scale: "10^-2"}, {Measure: energy.Import, UnitName: "kWh", Interval: 24 * time.Hour},
	} {
		if err := p.Check(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for want, p := range map[string]Point{
		"measure":                   {UnitName: "kWh"},
		`unit "kwh": use one of Wh`: {Measure: energy.Import, UnitName: "kwh"},
		`unit "m3"`:                 {Measure: energy.Import, UnitName: "m3"},
		`unit "pulse"`:              {Measure: energy.Import, UnitName: "pulse"},
		"unit kW: it is one of power, and the point is a total":      {Measure: energy.Import, UnitName: "kW"},
		"unit kWh: it is not one of power, and the point is a power": {Measure: energy.Import, UnitName: "kWh", Power: true},
		`scale "-1"`:                    {Measure: energy.Import, UnitName: "kWh", Scale: "-1"},
		`scale "0"`:                     {Measure: energy.Import, Power: true, UnitName: "kW", Scale: "0"},
		`scale "1e3"`:                   {Measure: energy.Import, UnitName: "kWh", Scale: "1e3"},
		`scale "10^99"`:                 {Measure: energy.Import, UnitName: "kWh", Scale: "10^99"},
		"interval -1s":                  {Measure: energy.Import, Interval: -time.Second},
		"interval 24h0m0.000000001s":    {Measure: energy.Import, Interval: 24*time.Hour + 1},
		"interval 30m0s: use how long ": {Measure: energy.Import, Power: true, Interval: 30 * time.Minute},
	} {
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", p, err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := Config{URLs: []string{"mqtt://h"}, ClientID: "a", Format: "udmi", Devices: udmiMain()}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	kWh := func(p Point) []Device {
		p.Measure = energy.Import
		return []Device{{Meter: "main", Name: "n", Points: []Point{p}}}
	}
	for want, change := range map[string]func(*Config){
		"url is missing":                    func(c *Config) { c.URLs = nil },
		"is there twice":                    func(c *Config) { c.URLs = []string{"mqtt://h", "mqtt://h"} },
		"use mqtt://, mqtts://":             func(c *Config) { c.URLs = []string{"http://h"} },
		"url: write mqtt://host:1883":       func(c *Config) { c.URLs = []string{"mqtt://"} },
		"by their own keys":                 func(c *Config) { c.URLs = []string{"mqtt://u:secret@h"} },
		"a topic does not belong in it":     func(c *Config) { c.URLs = []string{"mqtt://h/topic"} },
		"client id is missing":              func(c *Config) { c.ClientID = "" },
		`format "x": use one of udmi`:       func(c *Config) { c.Format = "x" },
		"no points to hear":                 func(c *Config) { c.Devices[0].Points = nil },
		"meter main: import: unit":          func(c *Config) { c.Devices[0].Points[0].UnitName = "x" },
		"write the UDMI device id":          func(c *Config) { c.Devices[0].Name = "a/b/c" },
		`name "+": write the UDMI`:          func(c *Config) { c.Devices[0].Name = "+" },
		"name of its point in the pointset": func(c *Config) { c.Devices[0].Points[0].Name = "" },
		"meter main: metadata":              func(c *Config) { c.Devices[0].Metadata = []byte("x") },
		"write group and edge node":         func(c *Config) { c.Format = "sparkplug" },
		"name of its metric":                func(c *Config) { c.Format = "sparkplug"; c.Devices = kWh(Point{}); c.Devices[0].Name = "g/n" },
		"topic is missing":                  func(c *Config) { c.Format = "json"; c.Devices = kWh(Point{}) },
		"the unit alone: topic is missing": func(c *Config) {
			c.Format = "json"
			c.Devices = kWh(Point{UnitTopic: "u"})
			c.Devices[0].Meter = "the unit alone"
			c.Devices[0].Points[0].Name = ""
		},
		"its topic asks for {point}": func(c *Config) { c.Format = "bitpool"; c.Devices = kWh(Point{Topic: "{device}/{point}"}) },
		"name is missing: its topic asks for {device}": func(c *Config) {
			c.Format = "bacnet-mqtt-gateway"
			c.Devices = kWh(Point{Name: "2_1"})
			c.Devices[0].Name = ""
		},
		"path \"a[\"": func(c *Config) { c.Format = "json"; c.Devices = kWh(Point{Topic: "t", Value: "a["}) },
		"zone \"x\"":  func(c *Config) { c.Format = "json"; c.Devices = kWh(Point{Topic: "t", Zone: "x"}) },
		"time format": func(c *Config) { c.Format = "json"; c.Devices = kWh(Point{Topic: "t", TimeFormat: "x"}) },
		"topic \"a#\"": func(c *Config) {
			c.Format = "json"
			c.Devices = kWh(Point{Topic: "a#"})
		},
	} {
		c := good
		c.Devices = udmiMain()
		change(&c)
		_, err := New(c)
		text := ""
		if err != nil {
			text = err.Error()
		}
		want = strings.TrimPrefix(want, "the unit alone: ")
		if !strings.Contains(text, want) {
			t.Errorf("%q, want %q", text, want)
		}
		if strings.Contains(text, "secret") {
			t.Errorf("the password is in the error: %q", text)
		}
	}
}

func TestFormats(t *testing.T) {
	if got := strings.Join(Formats(), " "); got != "udmi sparkplug json bacnet-mqtt-gateway bitpool homeassistant niagara siemens thingsboard" {
		t.Error(got)
	}
}

func TestDefaultPorts(t *testing.T) {
	b, err := New(Config{URLs: []string{"mqtt://h", "mqtts://h", "tls://h:1", "wss://h/mqtt"}, ClientID: "a", Format: "udmi", Devices: udmiMain()})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"mqtt://h:1883", "mqtts://h:8883", "tls://h:1", "wss://h/mqtt"} {
		if got := b.urls[i].String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func number(s string) *big.Rat {
	r, err := value.Number(s)
	if err != nil {
		panic(err)
	}
	return r
}

func TestBase(t *testing.T) {
	total, power := point{}, point{power: true}
	one := big.NewRat(1, 1)
	for _, c := range []struct {
		p    *point
		in   string
		want int64
		kind drivers.Kind
	}{
		{&total, "0", 0, ""}, {&total, "0.4999", 0, ""}, {&total, "0.5", 1, ""}, {&total, "1.5", 2, ""}, {&total, "2.49", 2, ""}, {&total, "-0.1", 0, drivers.Range}, {&total, "-1", 0, drivers.Range},
		{&total, "1152921504606846976", maxBase, ""}, {&total, "1152921504606846976.4", maxBase, ""}, {&total, "1152921504606846976.5", 0, drivers.Range}, {&total, "1e30", 0, drivers.Range},
		{&power, "-0.5", -1, ""}, {&power, "-0.49", 0, ""}, {&power, "0.5", 1, ""}, {&power, "-2.5", -3, ""}, {&power, "1099511627776", maxPower, ""}, {&power, "1099511627777", 0, drivers.Range}, {&power, "-1099511627776", -maxPower, ""}, {&power, "-1099511627777", 0, drivers.Range}, {&power, "-1e30", 0, drivers.Range},
	} {
		got, err := c.p.base(number(c.in), one)
		var e *drivers.Error
		if c.kind == "" && err != nil || c.kind != "" && (!errors.As(err, &e) || e.Kind != c.kind) || got != c.want {
			t.Errorf("%s (power %v): %d, %v; want %d %s", c.in, c.p.power, got, err, c.want, c.kind)
		}
	}
}

// Rounding keeps the order, so that a register that grows never falls, and
// both directions of a power are rounded alike.
func TestRoundingKeepsOrder(t *testing.T) {
	p := point{power: true}
	rapid.Check(t, func(r *rapid.T) {
		draw := func(name string) *big.Rat {
			return big.NewRat(rapid.Int64Range(-1_000_000, 1_000_000).Draw(r, name), rapid.Int64Range(1, 1000).Draw(r, name+" by"))
		}
		a, b, f := draw("a"), draw("b"), big.NewRat(rapid.Int64Range(1, 1000).Draw(r, "factor"), rapid.Int64Range(1, 1000).Draw(r, "factor by"))
		if a.Cmp(b) > 0 {
			a, b = b, a
		}
		x, err1 := p.base(a, f)
		y, err2 := p.base(b, f)
		minus, err3 := p.base(new(big.Rat).Neg(a), f)
		if err1 != nil || err2 != nil || err3 != nil || x > y || minus != -x {
			r.Fatalf("%v <= %v, but %d, %d; the negative of the first %d (%v %v %v)", a, b, x, y, minus, err1, err2, err3)
		}
	})
}

func TestReadingTimes(t *testing.T) {
	arrived := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("x", 3600))
	const stale = 15 * time.Minute
	ago := func(d time.Duration) time.Time { return arrived.Add(-d).UTC() }
	interval := 30 * time.Minute
	for name, c := range map[string]struct {
		at       time.Time
		m        message
		hist     bool
		interval time.Duration
		want     time.Time
		flags    energy.Flags
		refused  bool
	}{
		"live":                          {at: ago(time.Second), want: ago(time.Second)},
		"live, of this instant":         {at: ago(0), want: ago(0)},
		"live, kept by the broker":      {at: ago(72 * time.Hour), want: ago(72 * time.Hour)},
		"its clock is ahead":            {at: ago(-time.Hour), want: ago(0)},
		"no time":                       {want: ago(0)},
		"no time, retained":             {m: message{retained: true}, want: ago(0), flags: energy.Flags(0).With(13)},
		"no time, again":                {m: message{again: true}, want: ago(0), flags: energy.Flags(0).With(13)},
		"1970":                          {at: time.Unix(5, 0).UTC(), want: ago(0)},
		"1970, retained":                {at: time.Unix(5, 0).UTC(), m: message{retained: true}, want: ago(0), flags: energy.Flags(0).With(13)},
		"the earliest":                  {at: earliest, want: earliest},
		"before the earliest":           {at: earliest.Add(-1), want: ago(0)},
		"retained, young":               {at: ago(stale), m: message{retained: true}, want: ago(stale)},
		"retained, old":                 {at: ago(stale + 1), m: message{retained: true}, want: ago(stale + 1), flags: energy.Flags(0).With(13)},
		"again, old":                    {at: ago(stale + 1), m: message{again: true}, want: ago(stale + 1)},
		"retained, old, a back-fill":    {at: ago(stale + 1), m: message{retained: true}, hist: true, want: ago(stale + 1)},
		"retained, ahead":               {at: ago(-stale), m: message{retained: true}, want: ago(0)},
		"retained, far ahead":           {at: ago(-stale - 1), m: message{retained: true}, want: ago(0), flags: energy.Flags(0).With(13)},
		"again, far ahead":              {at: ago(-stale - 1), m: message{again: true}, want: ago(0), flags: energy.Flags(0).With(13)},
		"a back-fill without a time":    {hist: true, refused: true, want: ago(0)},
		"an interval":                   {at: ago(time.Hour), interval: interval, want: ago(time.Hour)},
		"an interval, retained":         {at: ago(time.Hour), m: message{retained: true}, interval: interval, want: ago(time.Hour)},
		"an interval without a time":    {interval: interval, refused: true, want: ago(0)},
		"an interval that is not over ": {at: ago(-time.Hour), interval: interval, want: ago(-time.Hour)},
	} {
		p := point{unit: "kWh", factor: big.NewRat(1000, 1), interval: c.interval}
		c.m.arrived = arrived
		r, keep := p.reading(value.Value{Number: number("1.5"), At: c.at, Historical: c.hist}, &c.m, stale)
		if !keep || (r.Err != nil) != c.refused || !r.Sample.At.Equal(c.want) || r.Sample.At.Location() != time.UTC || r.Flags != c.flags || !r.DeviceAt.Equal(c.at) || r.Interval != c.interval || !c.refused && r.Sample.Value != 1500 {
			t.Errorf("%s: %+v, keep %v", name, r, keep)
		}
	}
}

func TestFreshness(t *testing.T) {
	p := point{unit: "kWh", factor: big.NewRat(1, 1)}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := &message{arrived: at.Add(time.Hour)}
	hear := func(n int64, at time.Time) bool {
		_, keep := p.reading(value.Value{Number: big.NewRat(n, 1), At: at}, m, time.Hour)
		return keep
	}
	if !hear(1, at) || hear(1, at) || !hear(2, at) || !hear(1, at.Add(1)) || hear(2, at) {
		t.Error("a value is known by its time and its number")
	}
	for range 3 { // no time, or none that can be: nothing is known of its age
		if !hear(1, time.Time{}) || !hear(1, time.Unix(0, 0)) {
			t.Error("a value without a time is no repetition")
		}
	}
	for i := range remembered {
		if !hear(100, at.Add(time.Duration(i+1)*time.Second)) {
			t.Fatal(i)
		}
	}
	if hear(100, at.Add(time.Second)) {
		t.Error("the oldest that is remembered is not known")
	}
	if !hear(1, at) {
		t.Error("more is remembered than there is room")
	}
	if r, keep := p.reading(value.Value{Err: errNotYet, At: at}, m, time.Hour); !keep || r.Err == nil {
		t.Error("an error is told each time")
	}
}

// FuzzMessage: whatever comes, each reading has a value within bounds or an error.
func FuzzMessage(f *testing.F) {
	var brokers []*Broker
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, format := range Formats() {
		device := Device{Meter: "m", Name: "d", Points: []Point{{Measure: energy.Import, Name: "p"}, {Measure: energy.Import, Name: "q", Power: true, UnitName: "kW"}}}
		switch format {
		case "sparkplug":
			device.Name = "g/d/e"
		case "json", "siemens", "niagara":
			for i := range device.Points {
				device.Points[i].Topic = "t"
			}
		}
		b, err := New(Config{URLs: []string{"mqtt://h"}, ClientID: "a", Format: format, Now: func() time.Time { return now }, Devices: []Device{device}})
		if err != nil {
			f.Fatal(err)
		}
		brokers = append(brokers, b)
	}
	f.Add("t", []byte(`{"value":"1.5 kWh {ok}","timestamp":"1-Mar-26 11:59 AM GMT"}`))
	f.Add("/devices/d/events/pointset", []byte(`{"timestamp":"2026-03-01T12:00:00Z","points":{"p":{"present_value":1},"q":{"present_value":-1}}}`))
	f.Add("spBv1.0/g/NBIRTH/d", []byte(newWire(noon, 0).bdSeq(1).double("p", 1, true, 5)))
	f.Add("spBv1.0/g/DBIRTH/d/e", []byte(newWire(noon, 1).double("p", 1, true, 5).double("q", 2, true, -5)))
	f.Add("v1/gateway/telemetry", []byte(`{"d":[{"ts":1772366400000,"values":{"p":1,"q":2}}]}`))
	f.Add("bacnet-gateway/g/telemetry/d/p", []byte(`{"value":1,"acquiredAt":1772366400000}`))
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		for _, b := range brokers {
			h := hearer{broker: b, deliver: func(device int, readings []drivers.Reading) {
				for _, r := range readings {
					if device != 0 || r.Point < 0 || r.Point > 1 || r.Sample.At.IsZero() || r.Sample.At.After(now) {
						t.Fatalf("%s: %+v", b.cfg.Format, r)
					}
					if r.Err == nil && (r.Sample.Value > maxBase || r.Point == 0 && r.Sample.Value < 0 || r.Sample.Value < -maxPower) {
						t.Fatalf("%s: %+v", b.cfg.Format, r)
					}
				}
			}}
			h.hear(&message{topic: topic, payload: payload, arrived: now})
		}
	})
}

// Another unit than the configured one is named, so that the finding can say
// which; the same one in other words is not.
func TestReadingNamesTheOtherUnit(t *testing.T) {
	p, err := Point{Measure: energy.Import, UnitName: "kWh"}.compile()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for said, want := range map[string]string{"": "", "kWh": "", "kilowatt-hours": "", "watt-hours": "watt-hours", "furlong": "furlong"} {
		r, _ := p.reading(value.Value{Number: big.NewRat(7, 1), At: at, Unit: said}, &message{arrived: at}, time.Minute)
		if r.Err != nil || r.Unit != want || r.Flags.Has(2) != (want != "") {
			t.Errorf("%q: %+v", said, r)
		}
	}
}
