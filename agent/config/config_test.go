package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestExamplesAreCorrect(t *testing.T) {
	files, err := filepath.Glob("../../configs/examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, f := range files {
		if _, err := Load(f); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestShop(t *testing.T) {
	c, err := Load("../../configs/examples/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, ok := c.Meter("main")
	if !ok || m.Bus != "plant-room" || m.Unit != 1 || m.Poll != 10*time.Second || m.Serial != "1234567" || m.Type() != "electricity" {
		t.Errorf("meter: %+v", m)
	}
	if len(m.Registers) != 2 || m.Registers[0].Measure != energy.Import || m.Registers[1].Address != 0x004A || m.Registers[0].CT != "200/5" {
		t.Errorf("registers: %+v", m.Registers)
	}
	// root 3 x 400 V x 200 A is 138,564 VA; a third more at the very most, and a fifth more for rule V05, in half an hour
	if r := m.Registers[0]; r.MaxPower != 182_904 || r.MaxEnergy != 83_138 {
		t.Errorf("most that it can deliver: %d Wh/h and %d Wh in a half-hour", r.MaxPower, r.MaxEnergy)
	}
	if c.Store.KeepHalfHours != 400*Day || c.Uplink.URL != "https://relay.example.org" || c.Buses[0].Pause != 50*time.Millisecond {
		t.Errorf("%+v", c)
	}
}

func TestDefaults(t *testing.T) {
	c, err := Parse("x.yaml", []byte(`
site: {name: A}
buses: [{id: b, driver: modbus, url: "tcp://h"}]
meters: [{id: m, bus: b, unit: 1, template: eastron-sdm120}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Period != 30*time.Minute || c.Web.Listen != "127.0.0.1:8480" || c.Store.KeepHalfHours != 400*Day || c.Store.KeepSamples != 7*Day || c.Uplink != nil {
		t.Errorf("%+v", c)
	}
	if c.Buses[0].Timeout != time.Second || c.Meters[0].Poll != 10*time.Second {
		t.Errorf("%+v", c)
	}
	if got := c.Meters[0].Measures(); len(got) != 2 || got[0] != energy.Import || got[1] != energy.Export {
		t.Errorf("measures by default: %v", got)
	}
	if len(c.Hash) != 64 {
		t.Errorf("hash: %q", c.Hash)
	}
}

func TestModulus(t *testing.T) {
	for _, c := range []struct {
		register string
		ct       string
		want     int64
	}{
		{`{address: 1, type: uint32, unit: Wh}`, "", 1 << 32},
		{`{address: 1, type: uint32, unit: kWh, scale: 0.01}`, "", (1 << 32) * 10},
		{`{address: 1, type: uint32, unit: kWh, scale: 0.01, modulus: 100000000}`, "", 1_000_000_000},
		{`{address: 1, type: uint32, unit: kWh, scale: 0.01, modulus: 100000000}`, "200/5", 40_000_000_000},
		{`{address: 1, type: float32, unit: kWh}`, "", 0},
		{`{address: 1, type: float32, unit: kWh, modulus: 1000000}`, "", 1_000_000_000},
		{`{address: 1, type: bcd, unit: Wh}`, "", 100_000_000},
	} {
		ct := ""
		if c.ct != "" {
			ct = "\n    ct: \"" + c.ct + "\""
		}
		cfg, err := Parse("x.yaml", []byte("site: {name: A}\nbuses: [{id: b, driver: modbus, url: \"tcp://h\"}]\nmeters:\n  - id: m\n    bus: b\n    unit: 1"+ct+"\n    registers:\n      import: "+c.register+"\n"))
		if err != nil {
			t.Errorf("%s: %v", c.register, err)
			continue
		}
		if got := cfg.Meters[0].Registers[0].Modulus; got != c.want {
			t.Errorf("%s ct %q: modulus %d, want %d", c.register, c.ct, got, c.want)
		}
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.yaml")
	text := "site: {name: A, outcode: SW8}\nstore: {path: data/agent.db}\nuplink: {url: \"https://r\", identity: id, ca: /etc/ca.pem}\nbuses: [{id: b, driver: modbus, url: \"tcp://h\"}]\nmeters: [{id: m, bus: b, unit: 1, template: eastron-sdm120}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.Path != filepath.Join(dir, "data/agent.db") || c.Uplink.Identity != filepath.Join(dir, "id") || c.Uplink.CA != "/etc/ca.pem" {
		t.Errorf("%+v %+v", c.Store, c.Uplink)
	}

	// A file named relatively: its paths are absolute all the same, so that they
	// mean the same to whoever is told them.
	t.Chdir(dir)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Load("agent.yaml"); err != nil {
		t.Fatal(err)
	}
	if c.Store.Path != filepath.Join(here, "data/agent.db") || c.Uplink.Identity != filepath.Join(here, "id") {
		t.Errorf("named relatively: %+v %+v", c.Store, c.Uplink)
	}
}

func TestLoadRefusesWhatIsNoFileOfOurs(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, make([]byte, MaxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{big, filepath.Join(t.TempDir(), "absent.yaml")} {
		if _, err := Load(f); err == nil {
			t.Errorf("%s: taken", f)
		}
	}
}

func TestDurations(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"50ms": 50 * time.Millisecond, "10s": 10 * time.Second, "30m": 30 * time.Minute, "12h": 12 * time.Hour,
		"400d": 400 * Day, "1d12h": 36 * time.Hour, "0d": 0, "0": 0,
	} {
		got, err := ParseDuration(in)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
		if again, err := ParseDuration(FormatDuration(got)); err != nil || again != got {
			t.Errorf("%q: written as %q, read as %v, %v", in, FormatDuration(got), again, err)
		}
	}
	for _, in := range []string{"", "d", "5", "-1s", "-1d", "1.5d", "1d-1h", "99999999999d", "1w", "9223372036s1h", "1d1d"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("%q: taken as %v", in, got)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"address", "table", "type", "order", "unit", "scale", "modulus"}
	for word, want := range map[string]string{
		"adress": "address", "adddress": "address", "tabel": "table", "Type": "type", "ordre": "order", "units": "unit", "zzz": "", "x": "", "modolus": "modulus",
	} {
		if got := nearest(word, keys); got != want {
			t.Errorf("%q: nearest is %q, want %q", word, got, want)
		}
	}
}

// Whatever a file holds, parsing ends with a configuration or with problems
// that have a place and words.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("../../configs/examples/*.yaml")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	for _, c := range slices.Concat(mistakes, meterMistakes, gasMistakes, virtualMistakes) {
		f.Add([]byte(c.file))
	}
	f.Add([]byte("a: &x [1]\nb: *x\n<<: *x\n? [k]\n: v\n!!str a: b\n---\n- 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f.yaml", data)
		if err == nil {
			if c == nil || c.Site.Name == "" || len(c.Meters) > 0 && len(c.Buses) == 0 {
				t.Fatalf("taken, but not complete: %+v", c)
			}
			for _, m := range c.Meters {
				if m.Virtual != nil {
					if len(m.Virtual.Inputs()) == 0 || len(m.Measures()) == 0 || len(c.On(m.Bus)) != 0 {
						t.Fatalf("taken, but with a virtual meter of nothing: %+v", m)
					}
					continue
				}
				if len(m.Registers) == 0 || m.Poll <= 0 {
					t.Fatalf("taken, but with an unusable meter: %+v", m)
				}
				for _, r := range m.Registers {
					if r.Check() != nil || r.MaxPower <= 0 || r.MaxEnergy < 0 || r.Modulus < 0 || r.Power == (r.MaxGap == 0) {
						t.Fatalf("taken, but with an unusable register: %+v", r)
					}
				}
			}
			return
		}
		var e *Errors
		if !errors.As(err, &e) || len(e.Problems) == 0 {
			t.Fatalf("not an *Errors with problems: %v", err)
		}
		for _, p := range e.Problems {
			if p.What == "" {
				t.Fatalf("a problem without words: %v", err)
			}
		}
	})
}

// A register without a rating still has a ceiling, so that a misread one (a
// swapped word) cannot become a monstrous half-hour.
func TestEveryRegisterHasACeiling(t *testing.T) {
	c, err := Parse("a.yaml", []byte(`site: {name: S}
store: {path: /tmp/x.db}
buses: [{id: b, driver: modbus, url: "tcp://127.0.0.1"}]
meters:
  - {id: a, bus: b, unit: 1, registers: {import: {address: 0, type: uint32, unit: Wh}}}
  - {id: t, bus: b, unit: 2, template: eastron-sdm630}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Meters {
		for _, r := range m.Registers {
			if p := r.Energy().MaxPower; p <= 0 || p > 100_000_000 {
				t.Errorf("%s %s: ceiling %d", m.ID, r.Measure, p)
			}
		}
	}
}
