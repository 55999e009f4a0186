package gas

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/perseus-edge/perseus-edge/configs"
)

const someTable = `
name: test
unit: MJ/m3
values:
  - {from: 2026-02-01, value: "39.6", source: later}
  - {from: 2026-01-01, value: "39.5", source: first, url: "https://example.org"}
  - {from: 2026-01-15, zone: se, value: "39.1", source: south east}
`

func table(t testing.TB) *Table {
	t.Helper()
	tab, err := ParseTable([]byte(someTable))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func day(t testing.TB, s string) Day {
	t.Helper()
	d, err := ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBasis(t *testing.T) {
	tab := table(t)
	if _, err := tab.AddNationalGas([]byte(header+"01/02/2026 10:30:00,20/01/2026,\"Calorific Value, LDZ(SE)\",38.9,21/01/2026 10:32:01,\n"), "cv.csv"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		date, zone, cv, of, since, source, wrong string
		daily                                    bool
	}{
		{"2025-12-31", "", "", "", "", "", "no calorific value for the gas day 2025-12-31", false},
		{"2026-01-01", "", "39.5", "", "2026-01-01", "first (https://example.org)", "", false},
		{"2026-01-31", "", "39.5", "", "2026-01-01", "first (https://example.org)", "", false},
		{"2026-02-01", "", "39.6", "", "2026-02-01", "later", "", false},
		{"2026-01-14", "SE", "39.5", "", "2026-01-01", "first (https://example.org)", "", false},
		{"2026-01-15", "SE", "39.1", "SE", "2026-01-15", "south east", "", false},
		{"2026-03-01", "SE", "39.1", "SE", "2026-01-15", "south east", "", false},
		{"2026-03-01", "SW", "39.6", "", "2026-02-01", "later", "", false},
		{"2026-01-19", "SE", "39.1", "SE", "2026-01-15", "south east", "", false},
		{"2026-01-20", "SE", "38.9", "SE", "2026-01-20", "cv.csv", "", true},
		{"2026-01-20", "se", "38.9", "SE", "2026-01-20", "cv.csv", "", true},
		{"2026-01-20", "SO", "39.5", "", "2026-01-01", "first (https://example.org)", "", false},
		{"2026-01-20", "", "39.5", "", "2026-01-01", "first (https://example.org)", "", false},
		{"2026-01-20", "London", "", "", "", "", "unknown gas zone \"London\": use one of EA, EM", false},
	} {
		b, err := tab.Basis(day(t, c.date), Meter{Zone: c.zone})
		wants(t, err, c.wrong)
		if err != nil {
			continue
		}
		want := Basis{Day: day(t, c.date), Zone: c.of, VCF: DefaultVCF, CV: b.CV, Daily: c.daily, Since: day(t, c.since), Source: c.source}
		if b != want || b.CV.String() != c.cv {
			t.Errorf("%s %s: %+v", c.date, c.zone, b)
		}
	}
	for zone, wrong := range map[string]string{"Stornoway": "the network of Stornoway carries no natural gas", "Wick": ""} {
		_, err := tab.Basis(day(t, "2026-01-20"), Meter{Zone: zone})
		wants(t, err, wrong)
	}
	_, err := tab.Basis(day(t, "2026-01-20"), Meter{VCF: 1})
	wants(t, err, "volume correction factor 0.000001")
}

// The order of the entries in the file does not matter.
func TestBasisInAnyOrder(t *testing.T) {
	values := []string{`{from: 2026-01-01, value: "39.1", source: x}`, `{from: 2026-02-01, value: "39.2", source: x}`, `{from: 2026-03-01, value: "39.3", source: x}`}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		text := "unit: MJ/m3\nvalues:\n"
		for _, i := range order {
			text += "  - " + values[i] + "\n"
		}
		tab, err := ParseTable([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for date, want := range map[string]string{"2026-01-31": "39.1", "2026-02-01": "39.2", "2026-02-28": "39.2", "2026-03-01": "39.3"} {
			if b, err := tab.Basis(day(t, date), Meter{}); err != nil || b.CV.String() != want {
				t.Errorf("%v: %s has %s, %v", order, date, b.CV, err)
			}
		}
	}
}

func TestConvert(t *testing.T) {
	tab := table(t)
	d := day(t, "2026-01-02")
	for _, c := range []struct {
		litres int64
		m      Meter
		want   int64
		wrong  string
	}{
		{1000, Meter{}, 11_221, ""}, {1000, Meter{Corrected: true}, 10_972, ""}, {1000, Meter{VCF: 1_500_000}, 16_458, ""},
		{-1, Meter{}, 0, "volume is not one"}, {1, Meter{Zone: "XX"}, 0, "unknown gas zone"}, {1, Meter{Corrected: true, VCF: 2_000_000}, 0, "applied twice"},
	} {
		got, b, err := tab.Convert(c.litres, d, c.m)
		wants(t, err, c.wrong)
		if got != c.want || (b == Basis{}) != (err != nil) {
			t.Errorf("%+v: %d, %+v", c, got, b)
		}
	}
}

// The table that comes with the program is a table, and gives every day of the
// scheme's time a value.
func TestDefaultTable(t *testing.T) {
	tab, err := LoadTable(configs.Factors, "factors/gas-calorific-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, date := range []string{"2000-01-01", "2024-02-29", "2026-11-22", "2100-01-01"} {
		b, err := tab.Basis(day(t, date), Meter{})
		if err != nil || b.Daily || b.Source == "" || b.VCF != DefaultVCF || tab.Name == "" {
			t.Errorf("%s: %+v, %v", date, b, err)
		}
	}
}

func TestTablesThatAreNone(t *testing.T) {
	for _, c := range []struct{ name, yaml, wrong string }{
		{"good", someTable, ""},
		{"no values", "name: x\nunit: MJ/m3\n", ""},
		{"unknown key", "name: x\nunit: MJ/m3\nvalue: []\n", "unknown field"},
		{"unknown key in a value", "unit: MJ/m3\nvalues: [{from: 2026-01-01, cv: \"39.5\"}]\n", "unknown field"},
		{"another unit", "unit: kWh/m3\n", `unit is "kWh/m3"`},
		{"no unit", "name: x\n", `unit is ""`},
		{"not YAML", ":\n\t- ]", ""},
		{"no date", "unit: MJ/m3\nvalues: [{value: \"39.5\", source: x}]\n", "value 1: from:"},
		{"no such date", "unit: MJ/m3\nvalues: [{from: 2026-02-30, value: \"39.5\", source: x}]\n", "2026-02-30"},
		{"no such zone", "unit: MJ/m3\nvalues: [{from: 2026-02-01, zone: XX, value: \"39.5\", source: x}]\n", "zone: unknown gas zone"},
		{"not natural gas", "unit: MJ/m3\nvalues: [{from: 2026-02-01, value: \"11.2\", source: x}]\n", "37.5 to 43"},
		{"no value", "unit: MJ/m3\nvalues: [{from: 2026-02-01, source: x}]\n", "want a decimal"},
		{"no source", "unit: MJ/m3\nvalues: [{from: 2026-02-01, value: \"39.5\"}]\n", "nothing of its source"},
		{"twice", "unit: MJ/m3\nvalues: [{from: 2026-02-01, value: \"39.5\", source: x}, {from: 2026-02-01, value: \"39.6\", source: y}]\n", "value 2: there is another one from 2026-02-01"},
		{"once for each zone", "unit: MJ/m3\nvalues: [{from: 2026-02-01, value: \"39.5\", source: x}, {from: 2026-02-01, zone: SE, value: \"39.6\", source: y}, {from: 2026-02-02, zone: SE, value: \"39.6\", source: y}]\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadTable(fstest.MapFS{"t.yaml": {Data: []byte(c.yaml)}}, "t.yaml")
			if c.name == "not YAML" {
				c.wrong = "t.yaml"
			}
			wants(t, err, c.wrong)
			if err != nil && !strings.Contains(err.Error(), "t.yaml") {
				t.Errorf("%v does not name the file", err)
			}
		})
	}
	_, err := LoadTable(fstest.MapFS{}, "t.yaml")
	wants(t, err, "t.yaml")
}

func TestZones(t *testing.T) {
	for _, z := range Zones() {
		for _, s := range []string{z, strings.ToLower(z), strings.ToUpper(z)} {
			if got, err := ParseZone(s); err != nil || got != z {
				t.Errorf("%s: %s, %v", s, got, err)
			}
		}
	}
	if len(Zones()) != 13+6 {
		t.Errorf("%d zones", len(Zones()))
	}
	_, err := ParseZone("")
	wants(t, err, "unknown gas zone")
}
