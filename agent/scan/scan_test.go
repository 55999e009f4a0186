package scan

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	_ "github.com/perseus-edge/perseus-edge/internal/secrets/record" // of what the tests make and log
)

func TestUnits(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"1", "1"}, {"1-3", "1 to 3"}, {"20,1-3,2", "20, 1 to 3"}, {" 5 , 255", "5, 255"}, {"1-247", "1 to 247"}, {"247,255", "247, 255"},
		{"", ""}, {"0", ""}, {"248", ""}, {"1-255", ""}, {"250-255", ""}, {"3-1", ""}, {"a", ""}, {"1-", ""}, {"-1", ""}, {"1,,2", ""}, {"300", ""},
	} {
		got, err := Units(c.in)
		if (err != nil) != (c.want == "") || err == nil && Span(got) != c.want {
			t.Errorf("%q: %s, %v; want %s", c.in, Span(got), err, c.want)
		}
	}
}

func FuzzUnits(f *testing.F) {
	for _, s := range []string{"1", "1-10,20", "255", "1-247", "-", ",", "1--2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		units, err := Units(s)
		if err != nil {
			return
		}
		for i, u := range units {
			if u == 0 || u > 247 && u != 255 || slices.Index(units, u) != i {
				t.Errorf("%q gives unit %d", s, u)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	serial := Settings("rtu:///dev/ttyUSB0")
	if serial[0] != "rtu:///dev/ttyUSB0?baud=9600" || serial[1] != "rtu:///dev/ttyUSB0?baud=9600&parity=even" || serial[2] != "rtu:///dev/ttyUSB0?baud=19200&parity=even" {
		t.Errorf("not likely first: %v", serial[:3])
	}
	for i, s := range serial {
		if err := modbus.CheckURL(s); err != nil || slices.Index(serial, s) != i {
			t.Errorf("%s: %v, or it is there twice", s, err)
		}
	}
	for url, want := range map[string]string{
		"rtu:///dev/ttyUSB0?baud=300": "rtu:///dev/ttyUSB0?baud=300", "tcp://a:502": "tcp://a:502 rtuovertcp://a:502",
		"udp://a:502": "udp://a:502", "rtuovertcp://a:502": "rtuovertcp://a:502",
	} {
		if got := strings.Join(Settings(url), " "); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}

// Each entry of the signs is of a template that there is, and no two templates
// claim the same model.
func TestSignsAreOfTemplates(t *testing.T) {
	signs, err := AllSigns()
	if err != nil {
		t.Fatal(err)
	}
	claimed := map[string]string{}
	for name, s := range signs {
		tpl, err := config.TemplateNamed(name)
		if err != nil {
			t.Errorf("%v", err)
		}
		if len(s.Phases) != 0 && (len(s.Phases) != 3 || tpl.Phases != 3) {
			t.Errorf("%s: %d phases in its signs, %d in its template", name, len(s.Phases), tpl.Phases)
		}
		if s.Power == nil {
			t.Errorf("%s: no power", name)
		}
		if s.Model != nil {
			for _, x := range s.Model.Texts {
				key := fmt.Sprint(placeOf(s.Model.Point), x)
				if claimed[key] != "" {
					t.Errorf("%s and %s both say %q", name, claimed[key], x)
				}
				claimed[key] = name
			}
		}
	}
}

func TestSignsAreStrict(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"- {for: [a], source: s, volts: {address: 0, table: input, type: float32}}", ""},
		{"- {for: [a], source: s, volt: {address: 0, table: input, type: float32}}", "volt"},
		{"- {for: [a], source: s, volts: {address: 0, table: input, type: float23}}", "float23"},
		{"- {for: [a], volts: {address: 0, table: input, type: float32}}", "source"},
		{"- {for: [], source: s}", "for"},
		{"- {for: [a, a], source: s}", "twice"},
		{"- {for: [a], source: s, model: {address: 0, table: input, type: uint16}}", "nothing under is"},
		{"- {for: [a], source: s, model: {address: 0, table: input, type: uint64}, is: {a: [12345678x]}}", "8 characters"},
		{"- {for: [a], source: s, model: {address: 0, table: input, type: uint64}, is: {a: [1234567x]}}", ""},
	} {
		if _, err := parseSigns([]byte(c.in)); (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.in, err)
		}
	}
}

func TestModelMatches(t *testing.T) {
	text := Model{Point: modbus.Point{Type: "uint64"}, Texts: []string{"iEM3155"}}
	number := Model{Point: modbus.Point{Type: "uint16"}, Is: []uint64{1648}}
	for _, c := range []struct {
		m    Model
		raw  uint64
		want bool
	}{{text, 0x69454D3331353500, true}, {text, 0x69454D3332353500, false}, {text, 0, false}, {number, 1648, true}, {number, 1649, false}} {
		if got := c.m.Matches(c.raw); got != c.want {
			t.Errorf("%#x: %v", c.raw, got)
		}
	}
}

func TestByName(t *testing.T) {
	var templates []config.Template
	for _, n := range []string{"schneider-iem31", "schneider-iem3155", "siemens-pac3200", "schneider-iem3156", "carlo-gavazzi-em24-e1", "x-1"} {
		templates = append(templates, config.Template{Name: n})
	}
	for says, want := range map[string]string{
		"Schneider Electric iEM3155 V1.2": "schneider-iem3155", "Schneider Electric iEM-3100": "schneider-iem31", "SIEMENS SENTRON PAC3200": "siemens-pac3200",
		"Schneider iEM3155 iEM3156": "schneider-iem3155 schneider-iem3156", "Siemens iEM3155": "", "iEM3155": "", "Carlo Gavazzi EM24 E1": "carlo-gavazzi-em24-e1", "x 1": "", "": "",
	} {
		if got := strings.Join(byName(says, templates), " "); got != want {
			t.Errorf("%q: %q, want %q", says, got, want)
		}
	}
}

func testTemplate() config.Template {
	r := func(m energy.Measure, a uint16) config.Register {
		return config.Register{Point: modbus.Point{Measure: m, Address: a, Table: "input", Type: "float32", Unit: map[bool]string{true: "kvarh", false: "kWh"}[m == energy.ReactiveImport]}}
	}
	return config.Template{Name: "maker-x1", Title: "X1", Phases: 3, MaxCurrent: 100, Registers: []config.Register{r(energy.Import, 0x48), r(energy.Export, 0x4A), r(energy.ReactiveImport, 0x4C)}}
}

func TestWeigh(t *testing.T) {
	volts, hertz := modbus.Point{Measure: energy.Import, Table: "input", Type: "float32", Unit: "W"}, modbus.Point{Measure: energy.Import, Address: 0x46, Table: "input", Type: "float32", Unit: "W"}
	q := ask(testTemplate(), Signs{Volts: &volts, Hertz: &hertz})
	plain := ask(testTemplate(), Signs{})
	absent := &drivers.Error{Kind: drivers.Exception, Op: "read"}
	nan := &drivers.Error{Kind: drivers.Sentinel, Op: "decode"}
	v := func(x int64) drivers.Reading {
		return drivers.Reading{Raw: uint64(x), Sample: energy.Sample{Value: x}}
	}
	bad := func(e error) drivers.Reading { return drivers.Reading{Err: e} }
	for _, c := range []struct {
		name     string
		q        question
		m        model
		answers  []drivers.Reading
		want     Sure // "" does not fit
		measures int
		lacks    bool
	}{
		{"all there", q, modelUnknown, []drivers.Reading{v(5000), v(0), v(7), v(231), v(50)}, Likely, 3, false},
		{"it says so", q, modelYes, []drivers.Reading{v(5000), v(0), v(7), v(231), v(50)}, Certain, 3, false},
		{"it says another", q, modelNo, []drivers.Reading{v(5000), v(0), v(7), v(231), v(50)}, "", 0, false},
		{"no import", q, modelUnknown, []drivers.Reading{bad(absent), v(0), v(7), v(231), v(50)}, "", 0, false},
		{"import is NaN", q, modelYes, []drivers.Reading{bad(nan), v(0), v(7), v(231), v(50)}, "", 0, false},
		{"export is NaN", q, modelUnknown, []drivers.Reading{v(5000), bad(nan), v(7), v(231), v(50)}, "", 0, false},
		{"export is NaN, it says so", q, modelYes, []drivers.Reading{v(5000), bad(nan), v(7), v(231), v(50)}, Certain, 2, true},
		{"no export", q, modelUnknown, []drivers.Reading{v(5000), bad(absent), v(7), v(231), v(50)}, Likely, 2, true},
		{"no reactive", q, modelUnknown, []drivers.Reading{v(5000), v(0), bad(absent), v(231), v(50)}, Likely, 2, false},
		{"import too large", q, modelUnknown, []drivers.Reading{v(1e12), v(0), v(7), v(231), v(50)}, "", 0, false},
		{"new meter", q, modelUnknown, []drivers.Reading{v(0), v(0), v(0), v(231), v(50)}, Likely, 3, false},
		{"voltage elsewhere", q, modelUnknown, []drivers.Reading{v(5000), v(0), v(7), v(17), v(3)}, Possible, 3, false},
		{"lowest voltage", q, modelUnknown, []drivers.Reading{v(5000), v(0), v(7), v(180), v(3)}, Likely, 3, false},
		{"too low a voltage", q, modelUnknown, []drivers.Reading{v(5000), v(0), v(7), v(179), v(3)}, Possible, 3, false},
		{"totals only", plain, modelUnknown, []drivers.Reading{v(5000), v(0), v(7)}, Possible, 3, false},
		{"zeros only", plain, modelUnknown, []drivers.Reading{v(0), v(0), v(0)}, "", 0, false},
		{"cut short", plain, modelUnknown, []drivers.Reading{v(5000)}, "", 0, false},
	} {
		for i := range c.answers {
			c.answers[i].Point = i
		}
		got, ok := c.q.weigh(c.answers, c.m, "")
		if ok != (c.want != "") || ok && (got.Sure != c.want || len(got.Measures) != c.measures || got.lacks != c.lacks || got.Because == "") {
			t.Errorf("%s: %+v, %v; want %s", c.name, got, ok, c.want)
		}
	}
	likely, _ := q.weigh([]drivers.Reading{v(5000), {Point: 1}, {Point: 2}, {Point: 3, Sample: energy.Sample{Value: 230}}, {Point: 4, Sample: energy.Sample{Value: 50}}}, modelUnknown, "")
	possible, _ := plain.weigh([]drivers.Reading{v(5000), {Point: 1}, {Point: 2}}, modelUnknown, "")
	if best, also, ok := Best(rank([]Candidate{possible, likely})); !ok || best.Sure != Likely || len(also) != 0 {
		t.Errorf("%+v before %v", best, also)
	}
	twin := likely
	twin.Template = "maker-w1"
	if best, also, _ := Best(rank([]Candidate{likely, twin})); best.Template != "maker-w1" || !slices.Equal(also, []string{"maker-x1"}) {
		t.Errorf("%+v and %v", best, also)
	}
}

// What is proposed is a configuration that the agent takes, whatever was found.
func TestProposalsAreValid(t *testing.T) {
	templates, err := config.Templates()
	if err != nil {
		t.Fatal(err)
	}
	templates = slices.Clone(templates)
	templates = slices.DeleteFunc(templates, func(t config.Template) bool { return len(t.Registers) == 0 || t.Registers[0].Ask })
	var meters []Meter
	for i, tpl := range templates {
		c := Candidate{Template: tpl.Name, Sure: Possible, Because: "it is a test", Serial: `12"3\4: #5`, Transformers: i%2 == 0}
		for _, r := range tpl.Registers {
			c.Measures = append(c.Measures, r.Measure)
		}
		if i%3 == 0 {
			c.lacks, c.Measures = true, c.Measures[:1]
		}
		meters = append(meters, Meter{Unit: uint8(1 + i), Fits: []Candidate{c}})
	}
	none := Meter{Unit: 9, Says: `Odd: "box" #1`}
	for name, found := range map[string][]Found{
		"nothing":        {{URL: "tcp://10.0.0.5:502"}},
		"unknown only":   {{URL: "tcp://10.0.0.5:502", Meters: []Meter{none}}},
		"every template": {{URL: "rtu:///dev/ttyUSB0?baud=19200&parity=even", Meters: append(meters, none)}},
		"two wires":      {{URL: "tcp://10.0.0.5:502", Meters: meters[:2]}, {URL: "tcp://10.0.0.6:502"}, {URL: "rtuovertcp://10.0.0.7:4001", Meters: meters[:2]}},
		"also":           {{URL: "tcp://10.0.0.5:502", Meters: []Meter{{Unit: 1, Fits: []Candidate{meters[0].Fits[0], meters[1].Fits[0]}}}}},
	} {
		text := Propose(found)
		cfg, err := config.Parse(name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if name == "every template" && (len(cfg.Meters) != len(templates) || cfg.Meters[1].Serial != `12"3\4: #5` || len(cfg.Meters[0].Registers) != 1) {
			t.Errorf("%s: %d meters, %+v", name, len(cfg.Meters), cfg.Meters[0])
		}
		if name == "two wires" && (len(cfg.Buses) != 2 || len(cfg.Meters) != 4 || cfg.Meters[3].Bus != "bus-2") {
			t.Errorf("%s:\n%s", name, text)
		}
		if strings.Contains(name, "unknown") && !strings.Contains(text, "# unit 9 on bus-1 answers and calls itself Odd: \"box\" #1, and no template fits it") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// An address that nobody listens at is an error, and not an empty wire.
func TestWireThatCannotBeUsed(t *testing.T) {
	o := Options{Units: []uint8{1}, Progress: func(string, ...any) {}}
	if _, err := Wire(context.Background(), "tcp://127.0.0.1:1", o); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
	if _, err := Wire(context.Background(), "rtu:///dev/there-is-none", o); err == nil || !strings.Contains(err.Error(), "is the adapter plugged in?") {
		t.Errorf("%v", err)
	}
}
