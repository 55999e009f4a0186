package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/gas"
)

var gasKey = energy.Key{Meter: "g", Measure: energy.Gas}

// volumes are the half-hours of gas meter g, in order.
type volumes struct {
	of   []energy.HalfHour
	said []energy.KeyedStatement
	err  error
}

func (v volumes) HalfHours(_ energy.Key, from, to time.Time) iter.Seq2[energy.HalfHour, error] {
	return func(yield func(energy.HalfHour, error) bool) {
		for _, h := range v.of {
			if !h.Start.Before(from) && h.Start.Before(to) && !yield(h, nil) {
				return
			}
		}
		if v.err != nil {
			yield(energy.HalfHour{}, v.err)
		}
	}
}

func (v volumes) Statements(*energy.Key) iter.Seq2[energy.KeyedStatement, error] {
	return func(yield func(energy.KeyedStatement, error) bool) {
		for _, s := range v.said {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (v volumes) Keys() ([]energy.Key, error) { return []energy.Key{gasKey}, nil }

// gasSite is the configuration of gas meter g with these keys.
func gasSite(t *testing.T, keys, top string) *config.Config {
	t.Helper()
	c, err := config.Parse("x.yaml", []byte(top+"site: {name: A}\nbuses: [{id: b, driver: modbus, url: \"tcp://h\"}]\nmeters:\n  - {id: g, bus: b, unit: 1, registers: {gas: {address: 0, type: uint32, unit: L}}"+keys+"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const cvHeader = "Applicable At,Applicable For,Data Item,Value,Generated Time,Quality Indicator\n"

func cvLine(date, zone, cv string) string {
	return fmt.Sprintf("x,%s,\"Calorific Value, LDZ(%s)\",%s,21/02/2026 10:32:01,\n", date, zone, cv)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func half(start string, litres int64, q energy.Quality) energy.HalfHour {
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		panic(err)
	}
	return energy.HalfHour{Start: at, Energy: litres, Cumulative: -1, Quality: q}
}

// gasReadings are the readings of g in a window.
func gasReadings(t *testing.T, g *Gas, v volumes, from, to time.Time) []Reading {
	t.Helper()
	var out []Reading
	for r, err := range g.Readings(v, Query{From: from, To: to}, energy.Period) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// january is midnight of a day of January 2026, or of as many days after it.
func january(d int) time.Time {
	return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC)
}

// Energy stands beside the volume with what it was worked out by; quality and
// volume are what they were, and what is missing stays null.
func TestGasReadings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cv.csv")
	writeFile(t, file, cvHeader+cvLine("14/01/2026", "NT", "39.3"))
	c := gasSite(t, ", zone: NT", "gas: {calorific_values: "+file+"}\n")
	v := volumes{of: []energy.HalfHour{
		half("2026-01-15T04:00:00Z", 480, energy.Measured), half("2026-01-15T04:30:00Z", 481, energy.Estimated), half("2026-01-15T05:00:00Z", 500, energy.Measured),
		// 05:30 is not there
		half("2026-01-15T06:00:00Z", 0, energy.Missing), half("2026-01-15T06:30:00Z", 500, energy.Substituted), half("2026-01-15T07:00:00Z", -5, energy.Measured),
		half("2026-01-15T07:30:00Z", 0, energy.Measured),
	}}
	var got []string
	for _, r := range gasReadings(t, NewGas(c, nil), v, january(15), january(16)) {
		b, err := json.Marshal(r.Derived)
		if err != nil {
			t.Fatal(err)
		}
		volume := "null"
		if r.Energy != nil {
			volume = string(r.Energy.Value)
		}
		got = append(got, r.From.Format("15:04 ")+r.Quality.String()+" "+volume+" "+string(b))
	}
	published := `"basis":{"day":"2026-01-14","zone":"NT","vcf":"1.02264","cv":"39.3","daily":true,"since":"2026-01-14","source":"National Gas, cv.csv"}}`
	standIn := `"basis":{"day":"2026-01-15","vcf":"1.02264","cv":"39.5","daily":false,"since":"2000-01-01","source":"typical of Great Britain, not published for the day"}}`
	want := []string{
		`04:00 measured 0.480 {"energy":{"value":5359,"unitCode":"WHR"},` + published,
		`04:30 estimated 0.481 {"energy":{"value":5369,"unitCode":"WHR"},` + published,
		`05:00 measured 0.500 {"energy":{"value":5610,"unitCode":"WHR"},` + standIn,
		`05:30 missing null {"energy":null}`,
		`06:00 missing null {"energy":null}`,
		`06:30 substituted 0.500 {"energy":{"value":5611,"unitCode":"WHR"},` + standIn,
		`07:00 measured -0.005 {"energy":null,"problem":"the volume is not one: it lies below 0, or its energy does not fit in 63 bits"}`,
		`07:30 measured 0.000 {"energy":{"value":0,"unitCode":"WHR"},` + standIn,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	// Electricity, and gas where nobody converts it, say nothing of it.
	for r, err := range Readings(v, Query{From: january(15), To: january(16)}, energy.Period) {
		if b, _ := json.Marshal(r); err != nil || strings.Contains(string(b), "derived") {
			t.Fatalf("%s, %v", b, err)
		}
	}
}

// Whatever the volumes and wherever the window begins: a value is the energy of
// its gas day's volume up to its end less that up to its start, each rounded,
// worked out here with fractions; so that a gas day sums to its volume's energy.
func TestGasCanBeRedone(t *testing.T) {
	var csv strings.Builder
	csv.WriteString(cvHeader)
	for d := range 300 {
		if d%3 > 0 { // each third day has none
			csv.WriteString(cvLine(january(1).AddDate(0, 0, d).Format("02/01/2006"), "NT", fmt.Sprintf("%d.%d", 38+d%3, d%10)))
		}
	}
	file := filepath.Join(t.TempDir(), "cv.csv")
	writeFile(t, file, csv.String())
	gases := map[string]*Gas{}
	for _, keys := range []string{", zone: NT", ", zone: NT, vcf: 1.0351", ", zone: NT, corrected: true", ""} {
		gases[keys] = NewGas(gasSite(t, keys, "gas: {calorific_values: "+file+"}\n"), func(err error) { t.Error(err) })
	}
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SampledFrom([]string{", zone: NT", ", zone: NT, vcf: 1.0351", ", zone: NT, corrected: true", ""}).Draw(t, "meter")
		first := january(rapid.SampledFrom([]int{1, 87, 88, 295, 297}).Draw(t, "day")) // the clocks change on 29 March and 25 October
		var v volumes
		for i := range rapid.IntRange(1, 150).Draw(t, "half-hours") {
			h := energy.HalfHour{Start: first.Add(time.Duration(i) * energy.Period), Energy: rapid.Int64Range(0, 3000).Draw(t, "litres"), Quality: energy.Measured}
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				continue
			case 1:
				h.Quality = energy.Missing
			}
			v.of = append(v.of, h)
		}
		from := first.Add(time.Duration(rapid.IntRange(0, 60*130).Draw(t, "from")) * time.Minute)
		got := map[int64]GasHalfHour{}
		for h, err := range gases[keys].HalfHours(v, gasKey, from, first.AddDate(0, 0, 9)) {
			if err != nil {
				t.Fatal(err)
			}
			got[h.Start.Unix()] = h
		}
		litres, before, last := int64(0), int64(0), gas.Day(0)
		for _, h := range v.of {
			if d := gas.DayOf(h.Start); d != last {
				litres, before, last = 0, 0, d
			}
			x, asked := got[h.Start.Unix()]
			if asked == h.Start.Before(from) {
				t.Fatalf("%v is given: %v, from %v", h.Start, asked, from)
			}
			if h.Quality == energy.Missing {
				if asked && !errors.Is(x.As.Err, ErrNoVolume) {
					t.Fatalf("missing, but %+v", x.As)
				}
				continue
			}
			litres += h.Energy
			b := x.As.Basis
			if !asked {
				b, _ = mustBasis(gases[keys], last)
			}
			vcf, _ := new(big.Rat).SetString(b.VCF.String())
			cv, _ := new(big.Rat).SetString(b.CV.String())
			sum := new(big.Rat).Mul(big.NewRat(litres*10, 36), vcf.Mul(vcf, cv)) // l x MJ/m3 / 3.6 = Wh
			sum.Add(sum, big.NewRat(1, 2))
			after := new(big.Int).Div(sum.Num(), sum.Denom()).Int64()
			if asked && (x.As.Err != nil || x.As.Wh != after-before || b.Day != last || x.HalfHour != h) {
				t.Fatalf("%v: %+v, redone %d", h.Start, x.As, after-before)
			}
			before = after
		}
	})
}

func mustBasis(g *Gas, d gas.Day) (gas.Basis, error) {
	t, err := g.values()
	if err != nil {
		return gas.Basis{}, err
	}
	m, err := g.cfg.Conversion(g.cfg.Meters[0])
	if err != nil {
		return gas.Basis{}, err
	}
	return t.Basis(d, m)
}

// Where nothing can convert it the energy is not known, and it is said why.
func TestGasThatCannotBeConverted(t *testing.T) {
	v := volumes{of: []energy.HalfHour{half("2026-01-15T04:00:00Z", 480, energy.Measured)}}
	old := volumes{of: []energy.HalfHour{half("1999-12-31T12:00:00Z", 480, energy.Measured)}}
	gone := gasSite(t, "", "")
	gone.Meters[0].ID = "another"
	for want, c := range map[string]struct {
		cfg *config.Config
		v   volumes
	}{
		"not in the configuration any more":                    {gone, v},
		"the network of Stornoway carries no natural gas":      {gasSite(t, ", zone: Stornoway", ""), v},
		"no calorific value for the gas day 1999-12-31":        {gasSite(t, "", ""), old},
		"meters g and h, of which it is made, are converted d": {gasSite(t, "}\n  - {id: h, bus: b, unit: 2, registers: {gas: {address: 0, type: uint32, unit: L}}, corrected: true}\n  - {id: v, virtual: {sum: [g, h]}", ""), v},
	} {
		if c.cfg.Meters[len(c.cfg.Meters)-1].ID == "v" { // let the virtual one answer to the name
			c.cfg.Meters[0].ID, c.cfg.Meters[2].ID = "v", "g"
			c.cfg.Meters[2].Virtual.Sum = []string{"v", "h"}
			want = strings.Replace(want, "meters g", "meters v", 1)
		}
		rs := gasReadings(t, NewGas(c.cfg, nil), c.v, time.Time{}, january(16))
		if len(rs) != 1 || rs[0].Derived == nil || rs[0].Derived.Energy != nil || rs[0].Derived.Basis != nil || !strings.Contains(rs[0].Derived.Problem, want) || rs[0].Energy == nil {
			t.Errorf("%s: %+v", want, rs)
		}
	}
	broken := volumes{err: errors.New("the disk")}
	for _, err := range NewGas(gasSite(t, "", ""), nil).HalfHours(broken, gasKey, january(15), january(16)) {
		if err == nil || err.Error() != "the disk" {
			t.Error(err)
		}
	}
	for _, err := range NewGas(gasSite(t, "", ""), nil).Readings(broken, Query{From: january(15), To: january(16)}, energy.Period) {
		if err == nil || err.Error() != "the disk" {
			t.Error(err)
		}
	}
}
