package config

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy/gas"
)

var gasMistakes = []struct {
	name, file string
	want       []string
}{
	{"no such zone", gasMeter("    zone: London\n"), []string{
		`f.yaml:8:11: meter m: unknown gas zone "London": use one of EA, EM, NE, NO, NT, NW, SC, SE, SO, SW, WM, WN, WS, Campbeltown, Oban, Stornoway, Stranraer, Thurso, Wick`}},
	{"factor out of range", gasMeter("    vcf: 0.89\n"), []string{
		`f.yaml:8:10: meter m: volume correction factor "0.89": not between 0.9 and 10; without a factor of the site's own it is 1.02264`}},
	{"factor that is none", gasMeter("    vcf: 1,02264\n"), []string{
		`f.yaml:8:10: meter m: volume correction factor "1,02264": want a decimal such as 39.5`}},
	{"corrected twice", gasMeter("    corrected: true\n    vcf: 1.0\n"), []string{
		`f.yaml:9:10: meter m: vcf: the meter corrects its volume, and it would be corrected twice: leave vcf or corrected out`}},
	{"a day that is none", gasMeter("    converted_from: 1 March\n"), []string{
		`f.yaml:8:21: meter m: converted_from: "1 March" is not a date such as 2026-01-31: write the gas day from which corrected, vcf and zone hold`}},
	{"converted from, at an electricity meter", one("    converted_from: 2026-03-01\n"), []string{
		`f.yaml:8:21: meter m: only gas is converted: leave converted_from out`}},
	{"keys of gas at an electricity meter", one("    zone: NT\n    vcf: 1.1\n"), []string{
		`f.yaml:8:11: meter m: a zone is of a gas supply: leave zone out`,
		`f.yaml:9:10: meter m: a volume correction factor is of a gas supply: leave vcf out`}},
	{"keys of gas at a virtual meter", gasMeter("  - {id: v, virtual: {sum: [m]}, zone: NT, vcf: 1.1}\n"), []string{
		`f.yaml:8:40: meter v: a virtual meter is on no bus and has no zone: leave it out`,
		`f.yaml:8:49: meter v: a virtual meter is on no bus and has no vcf: leave it out`}},
	{"a list of zones", gasMeter("    zone: [NT]\n"), []string{
		`f.yaml:8:11: meter m: zone must be a single value, not a list`}},
	{"a key that is near", gasMeter("    zones: NT\n"), []string{
		`f.yaml:8:5: unknown key "zones" in a meter: did you mean "zone"?`}},
	{"no file", "gas: {}\n" + gasMeter(""), []string{
		`f.yaml:1:6: gas: calorific_values is missing: name the CSV file of National Gas, or leave gas out`}},
	{"no file in the list", "gas: {calorific_values: []}\n" + gasMeter(""), []string{
		`f.yaml:1:25: gas: calorific_values is empty: name the CSV file of National Gas, or leave gas out`}},
	{"an empty path", "gas: {calorific_values: [\" \"]}\n" + gasMeter(""), []string{
		`f.yaml:1:26: gas: calorific_values: a path is empty: name the CSV file of National Gas, or leave gas out`}},
	{"a file twice", "gas: {calorific_values: [a.csv, b.csv, a.csv]}\n" + gasMeter(""), []string{
		`f.yaml:1:40: gas: calorific_values: a.csv is there twice`}},
	{"a mapping of files", "gas: {calorific_values: {NT: a.csv}}\n" + gasMeter(""), []string{
		`f.yaml:1:25: gas: calorific_values must be a single value, not keys and values`}},
	{"values out of place", "calorific_values: a.csv\n" + gasMeter(""), []string{
		`f.yaml:1:1: unknown key "calorific_values" in the configuration: it belongs under gas`}},
	{"misspelt", "gas: {calorific_value: a.csv}\n" + gasMeter(""), []string{
		`f.yaml:1:7: unknown key "calorific_value" in gas: did you mean "calorific_values"?`}},
}

func TestGasMistakes(t *testing.T) {
	for _, c := range gasMistakes {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(c.file))
			if got, want := errorText(err), strings.Join(c.want, "\n"); got != want {
				t.Errorf("said:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestConversion(t *testing.T) {
	for _, c := range []struct {
		keys string
		want gas.Meter
	}{
		{"", gas.Meter{}},
		{"    zone: nt\n", gas.Meter{Zone: "NT"}},
		{"    zone: NO\n", gas.Meter{Zone: "NO"}}, // no boolean
		{"    zone: wick\n    vcf: 1.035\n", gas.Meter{Zone: "Wick", VCF: 1_035_000}},
		{"    corrected: true\n    zone: SE\n", gas.Meter{Zone: "SE", Corrected: true}},
		{"    corrected: false\n    vcf: \"1\"\n", gas.Meter{VCF: 1_000_000}},
	} {
		cfg := parsed(t, gasMeter(c.keys))
		got, err := cfg.Conversion(cfg.Meters[0])
		if err != nil || got != c.want || !cfg.Meters[0].ConvertedFrom.IsZero() {
			t.Errorf("%q: %+v, %v", c.keys, got, err)
		}
	}
	if m := parsed(t, gasMeter("    vcf: 1.1\n    converted_from: 2026-07-01\n")).Meters[0]; m.VCF != 1_100_000 || !m.ConvertedFrom.Equal(time.Date(2026, 7, 1, 4, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", m)
	}
	heard := parsed(t, "site: {name: A}\nbuses: [{id: b, driver: mqtt, url: \"mqtt://h\", format: udmi}]\n"+
		"meters: [{id: m, bus: b, points: {gas: {point: v, unit: m3}}, zone: SC, vcf: 1.5}]\n")
	if got, err := heard.Conversion(heard.Meters[0]); err != nil || got != (gas.Meter{Zone: "SC", VCF: 1_500_000}) {
		t.Errorf("on a bus that speaks: %+v, %v", got, err)
	}
}

// A virtual meter is converted as the meters that it is made of, where those
// have it in common.
func TestConversionOfVirtualMeters(t *testing.T) {
	cfg := parsed(t, head+`meters:
  - {id: a, bus: b, unit: 1, registers: {gas: {address: 0, type: uint32, unit: m3}}, zone: NT}
  - {id: b, bus: b, unit: 2, registers: {gas: {address: 0, type: uint32, unit: m3}}, zone: NT}
  - {id: c, bus: b, unit: 3, registers: {gas: {address: 0, type: uint32, unit: m3}}, zone: NT, corrected: true}
  - {id: ab, virtual: {sum: [a, b]}}
  - {id: half, virtual: {of: ab, share: 0.5, method: AreaOccupied}}
  - {id: abc, virtual: {sum: [ab, c]}}
  - {id: rest, virtual: {of: abc, minus: [a]}}
`)
	for id, wrong := range map[string]string{
		"ab": "", "half": "",
		"abc":  "meters ab and c, of which it is made, are converted differently: see each of them",
		"rest": "meters ab and c, of which it is made, are converted differently: see each of them",
	} {
		got, err := cfg.Conversion(meter(t, cfg, id))
		if said := strings.TrimSuffix(errorText(err), "\n"); said != wrong || err == nil && got != (gas.Meter{Zone: "NT"}) {
			t.Errorf("%s: %+v, %q", id, got, said)
		}
	}
	cfg.Meters[0].Registers[0].Measure = 1
	if _, err := cfg.Conversion(meter(t, cfg, "half")); err == nil || !strings.Contains(err.Error(), "meter a, of which it is made, measures no gas") {
		t.Errorf("of electricity: %v", err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestCalorificValueFiles(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                  nil,
		"gas: {calorific_values: cv.csv}\n": {"cv.csv"},
		"gas:\n  calorific_values: [a.csv, /b.csv]\n": {"a.csv", "/b.csv"},
	} {
		cfg := parsed(t, text+gasMeter(""))
		if !reflect.DeepEqual(cfg.Gas.CalorificValues, want) {
			t.Errorf("%q: %q", text, cfg.Gas.CalorificValues)
		}
		cfg.anchor("/etc/perseus-edge")
		for i, path := range cfg.Gas.CalorificValues {
			if !filepath.IsAbs(path) || filepath.Base(path) != filepath.Base(want[i]) {
				t.Errorf("%q: %q", text, path)
			}
		}
	}
}
