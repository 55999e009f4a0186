package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/perseus-edge/perseus-edge/energy"
)

func TestTemplates(t *testing.T) {
	ts, err := Templates()
	if err != nil {
		t.Fatal(err)
	}
	if len(ts) < 60 {
		t.Errorf("only %d templates", len(ts))
	}
	titles := map[string]string{}
	for _, x := range ts {
		if other := titles[x.Title]; other != "" {
			t.Errorf("%s and %s have one title: %s", other, x.Name, x.Title)
		}
		titles[x.Title] = x.Name
		if x.CheckedHow() == "" {
			t.Errorf("%s: checked %q has no words", x.Name, x.Checked)
		}
		maker := strings.ToLower(strings.ReplaceAll(x.Maker, " ", "-"))
		if first, _, _ := strings.Cut(x.Name, "-"); !strings.HasPrefix(maker, first) {
			t.Errorf("%s: the name does not begin with the maker, %s", x.Name, x.Maker)
		}
		if x.Inputs > 0 {
			continue
		}
		first, electric := x.Registers[0].Measure, x.Registers[0].Measure.Kind() == "electricity"
		if electric && x.SunSpec == "" && (first != energy.Import || x.Phases != 1 && x.Phases != 3) || !electric && x.Phases != 0 {
			t.Errorf("%s: first %s, %d phases", x.Name, x.Registers[0].Measure, x.Phases)
		}
		for i, r := range x.Registers {
			if err := r.Check(); err != nil || r.Power {
				t.Errorf("%s %s: power %v, %v", x.Name, r.Measure, r.Power, err)
			}
			if x.Agreeing(r.Measure) == 0 {
				t.Errorf("%s %s: no source has it", x.Name, r.Measure)
			}
			for _, other := range x.Registers[:i] {
				if x.SunSpec == "" && r.Table == other.Table && int(r.Address) < int(other.Address)+wordsOf(other) && int(other.Address) < int(r.Address)+wordsOf(r) {
					t.Errorf("%s: %s and %s overlap", x.Name, r.Measure, other.Measure)
				}
			}
		}
	}
}

func wordsOf(r Register) int {
	switch {
	case strings.HasSuffix(r.Type, "64"), r.Type == "bcd" && len(r.Order) == 8:
		return 4
	case strings.HasSuffix(r.Type, "16"):
		return 1
	}
	return 2
}

// What a site has in its configuration keeps its meaning.
func TestTemplatesThatWereReleasedStayAsTheyWere(t *testing.T) {
	for name, want := range map[string]string{
		"eastron-sdm120":     "import 0x0048 float32 kWh, export 0x004a float32 kWh, reactive-import 0x004c float32 kvarh, reactive-export 0x004e float32 kvarh; 1 phase 45 A",
		"eastron-sdm630":     "import 0x0048 float32 kWh, export 0x004a float32 kWh, reactive-import 0x004c float32 kvarh, reactive-export 0x004e float32 kvarh; 3 phase 100 A",
		"eastron-sdm630-mct": "import 0x0048 float32 kWh, export 0x004a float32 kWh, reactive-import 0x004c float32 kvarh, reactive-export 0x004e float32 kvarh; 3 phase 0 A",
		"eastron-sdm72d":     "import 0x0048 float32 kWh, export 0x004a float32 kWh; 3 phase 100 A",
		"schneider-iem3155":  "import 0x0c83 int64 Wh, export 0x0c87 int64 Wh, reactive-import 0x0c93 int64 varh, reactive-export 0x0c97 int64 varh; 3 phase 63 A",
		"schneider-iem3255":  "import 0x0c83 int64 Wh, export 0x0c87 int64 Wh, reactive-import 0x0c93 int64 varh, reactive-export 0x0c97 int64 varh; 3 phase 0 A, primary",
		"abb-b23":            "import 0x5000 uint64 kWh, export 0x5004 uint64 kWh, reactive-import 0x500c uint64 kvarh, reactive-export 0x5010 uint64 kvarh; 3 phase 65 A",
		"inepro-pro380":      "import 0x600c float32 kWh, export 0x6018 float32 kWh, reactive-import 0x6030 float32 kvarh, reactive-export 0x603c float32 kvarh; 3 phase 100 A",
	} {
		x, err := TemplateNamed(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := inWords(x); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
}

func inWords(x Template) string {
	parts := make([]string, len(x.Registers))
	for i, r := range x.Registers {
		parts[i] = fmt.Sprintf("%s %#04x %s %s", r.Measure, r.Address, r.Type, r.Unit)
	}
	s := fmt.Sprintf("%s; %d phase %d A", strings.Join(parts, ", "), x.Phases, x.MaxCurrent)
	if x.Primary {
		s += ", primary"
	}
	return s
}

const goodTemplate = `title: A meter
maker: A
source:
  - {document: Its manual, revision: B, page: 7-8, measures: [import]}
  - {reader: another program}
checked: document
phases: 3
transformers: true
registers:
  import: {address: 1, type: uint32, unit: Wh}
  export: {address: 3, type: uint32, unit: Wh}
`

func TestSourcesOfATemplate(t *testing.T) {
	ts, err := readTemplates(fstest.MapFS{"templates/a-b.yaml": {Data: []byte(goodTemplate)}})
	if err != nil {
		t.Fatal(err)
	}
	x := ts[0]
	if x.Agreeing(energy.Import) != 2 || x.Agreeing(energy.Export) != 1 || !x.Transformers {
		t.Errorf("%+v", x)
	}
	want := []string{"document: Its manual, revision B, page 7-8, for import", "reader: another program"}
	for i, s := range x.Sources {
		if s.String() != want[i] {
			t.Errorf("%q, want %q", s, want[i])
		}
	}
	if got := (Source{Device: "a dump", Measures: []energy.Measure{energy.Import, energy.Export}}).String(); got != "device: a dump, for import export" {
		t.Errorf("%q", got)
	}
}

func TestMistakesInATemplate(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"title: A meter\n", "", "a template needs title"},
		{"maker: A\n", "", "a template needs maker"},
		{"checked: document\n", "", "a template needs checked: document, reader or device-image"},
		{"checked: document", "checked: docment", `checked: unknown "docment": did you mean "document"?`},
		{"checked: document", "checked: device-image", "checked: device-image: but no source is one"},
		{"reader: another program", "reader: x, device: y", "a source is one of document, reader and device"},
		{"reader: another program", "revision: 3", "a source is one of document, reader and device"},
		{"reader: another program", "raeder: x", `unknown key "raeder" in a source: did you mean "reader"?`},
		{"measures: [import]", "measures: [imprt]", `measures: unknown "imprt": did you mean "import"?`},
		{"phases: 3\n", "phases: 3\nmax_current: 5\n", "max_current is of a meter that the current flows through: leave it out, or transformers"},
		{"transformers: true", "transformers: 1", `transformers: "1": write true or false`},
		{goodTemplate[strings.Index(goodTemplate, "source:"):strings.Index(goodTemplate, "checked:")], "", "a template needs source: where its registers come from"},
	} {
		text := strings.Replace(goodTemplate, c.old, c.new, 1)
		if _, err := parseTemplate("templates/a-b.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.new, err, c.want)
		}
	}
}

// A meter of every template can be written into a configuration.
func TestEveryTemplateInAConfiguration(t *testing.T) {
	ts, err := Templates()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range ts {
		keys := ""
		switch {
		case x.Inputs > 0:
			keys = ", input: 2, pulse: 0.1 m3"
		case x.Transformers:
			keys = ", ct: 200/5"
		case x.Registers[0].Ask && x.Registers[0].Measure == energy.Water:
			keys = ", counts: m3"
		case x.Registers[0].Ask:
			keys = ", counts: MWh"
		}
		m := parsed(t, head+"meters: [{id: m, bus: b, unit: 1, template: "+x.Name+keys+"}]\n").Meters[0]
		if m.Primary != (x.Primary && x.Transformers) || m.Rating.Phases != x.Phases || m.Template != x.Name {
			t.Errorf("%s: %+v", x.Name, m)
		}
		if got := m.SerialRegister; (got == nil) != (x.SerialRegister == nil) {
			t.Errorf("%s: serial register %v", x.Name, got)
		}
		want := energy.Gas
		if x.Inputs == 0 {
			want = x.Registers[0].Measure
		}
		if !slices.ContainsFunc(m.Registers, func(r Register) bool { return r.Measure == want }) {
			t.Errorf("%s: no %s", x.Name, want)
		}
	}
}
