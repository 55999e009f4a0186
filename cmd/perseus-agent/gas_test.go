package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
)

var gasRow = energy.Key{Meter: "gas", Measure: energy.Gas}

// gasManual gives the half-hours of the manual's example of gas, of 15 January 2026.
func gasManual(t *testing.T) (rows [][]string, of []store.KeyedHalfHour) {
	t.Helper()
	rows = cells(t, "| half-hour | litres | energy, Wh | litres of the day so far | CV | |")
	for _, row := range rows {
		at, err := time.Parse("2006-01-02 15:04", "2026-01-15 "+row[0])
		if err != nil {
			t.Fatal(err)
		}
		of = append(of, store.KeyedHalfHour{Key: gasRow, HalfHour: energy.HalfHour{Start: at, Energy: wattHours(t, row[1]), Cumulative: -1, TakenAt: at.Add(time.Hour),
			Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleImported}}})
	}
	return rows, of
}

// gasConfigured is a site with a gas meter, the manual's half-hours of it, one
// that is missing, and the values that the manual names.
func gasConfigured(t *testing.T, zone string) string {
	t.Helper()
	dir := t.TempDir()
	_, of := gasManual(t)
	missing := of[len(of)-1]
	missing.Start, missing.Energy, missing.Quality, missing.Evidence.Rule = missing.Start.Add(energy.Period), 0, energy.Missing, energy.RuleNone
	s, _, err := store.Open(filepath.Join(dir, "agent.db"), store.Options{KeepHalfHours: 3660 * 24 * time.Hour, Logger: record.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(store.Round{HalfHours: append(of, missing)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cv.csv": "Applicable At,Applicable For,Data Item,Value,Generated Time,Quality Indicator\nx,14/01/2026,\"Calorific Value, LDZ(NT)\",39.3,15/01/2026 10:30:00,\n",
		"agent.yaml": `site: {name: A}
store: {path: agent.db, keep_half_hours: 3660d}
web: {listen: "127.0.0.1:1"}
gas: {calorific_values: cv.csv}
buses: [{id: b, driver: modbus, url: "tcp://127.0.0.1:1"}]
meters:
  - {id: gas, bus: b, unit: 1, registers: {gas: {address: 0, type: uint32, unit: L}}` + zone + `}
  - {id: main, bus: b, unit: 2, template: eastron-sdm120}
  - {id: half, virtual: {of: gas, share: 0.5, method: Other}}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "agent.yaml")
}

// The example of the manual is what the program does.
func TestGasExampleOfTheManual(t *testing.T) {
	rows, of := gasManual(t)
	if len(rows) != 4 {
		t.Fatalf("%d half-hours in the manual", len(rows))
	}
	code, out, errs := cli(t, "readings", "--config", gasConfigured(t, ", zone: NT"), "--meter", "gas", "--from", "2026-01-15", "--to", "2026-01-16", "--format", "json")
	var got struct{ Data []agent.Reading }
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != done || len(got.Data) != 5 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	sum := int64(0)
	for i, row := range rows {
		r, how := got.Data[i], "stand-in"
		if r.Derived == nil || r.Derived.Basis == nil {
			t.Fatalf("%s: %+v", row[0], r)
		}
		b := r.Derived.Basis
		if b.Daily {
			how = "published"
		}
		if i > 0 && got.Data[i-1].Derived.Basis.Day != b.Day {
			sum = 0
		}
		sum += of[i].Energy
		if is := fmt.Sprint(r.Derived.Energy.Value, " ", sum, " ", b.CV, " ", how); is != fmt.Sprint(wattHours(t, row[2]), " ", wattHours(t, row[3]), " ", row[4], " ", row[5]) {
			t.Errorf("%s: the manual has %v, it is %s", row[0], row, is)
		}
	}
	if last := got.Data[4]; last.Derived == nil || last.Derived.Energy != nil || last.Energy != nil || last.Quality != energy.Missing {
		t.Errorf("missing: %+v", last)
	}
}

func TestGasReadingsCommand(t *testing.T) {
	cfg := gasConfigured(t, ", zone: NT")
	window := []string{"readings", "--config", cfg, "--from", "2026-01-15T04:30:00Z", "--to", "2026-01-16"} // begins within a gas day
	code, out, errs := cli(t, window...)
	for _, want := range []string{
		"CHECKS  GAS AS ENERGY\n", "2026-01-15 04:30  gas    gas      0.481   m3    -         measured  imported          5.369 kWh by CV 39.3, VCF 1.02264\n",
		"5.611 kWh by CV 39.5 (stand-in), VCF 1.02264\n", "2026-01-15 06:00  gas    gas      -       m3    -         missing   none              -\n",
		"\nGas as energy: m3 x VCF x CV (MJ/m3) / 3.6 = kWh\n  CV published for the day and zone NT: National Gas, cv.csv\n  CV (stand-in) since 2000-01-01: typical of Great Britain, not published for the day\n",
	} {
		if code != done || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in\n%s%s", code, want, out, errs)
		}
	}
	for _, args := range [][]string{{"--meter", "main"}, {"--measure", "import"}} {
		if code, out, _ := cli(t, append(window, args...)...); code != done || strings.Contains(out, "GAS") {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
	}
	code, out, _ = cli(t, append(window, "--format", "csv")...)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || code != done || len(rows) != 5 {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	for i, want := range []string{
		"derived,derived_unit,gas_day,zone,vcf,cv,cv_daily,cv_since,cv_source,derived_problem", "5369,WHR,2026-01-14,NT,1.02264,39.3,true,2026-01-14,National Gas, cv.csv,",
		"5610,WHR,2026-01-15,,1.02264,39.5,false,2000-01-01,typical of Great Britain, not published for the day,",
		"5611,WHR,2026-01-15,,1.02264,39.5,false,2000-01-01,typical of Great Britain, not published for the day,", ",,,,,,,,,",
	} {
		if got := strings.Join(rows[i][12:], ","); got != want {
			t.Errorf("row %d: %s\nwant %s", i, got, want)
		}
	}
	if code, out, _ = cli(t, "readings", "--config", gasConfigured(t, ", zone: Stornoway"), "--from", "2026-01-15", "--to", "2026-01-16"); code != done ||
		!strings.Contains(out, "  not known\n") || !strings.Contains(out, "  not known: the network of Stornoway carries no natural gas") || strings.Contains(out, "kWh by") {
		t.Errorf("exit %d\n%s", code, out)
	}
	// A file that is gone takes no reading away.
	if err := os.Remove(filepath.Join(filepath.Dir(cfg), "cv.csv")); err != nil {
		t.Fatal(err)
	}
	if code, out, errs = cli(t, window...); code != done || strings.Count(out, "(stand-in), VCF") != 3 || strings.Count(errs, "cv.csv") != 1 || !strings.Contains(errs, "others stand in") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs = cli(t, "check", "--config", cfg); code != usage || !strings.Contains(errs, "cv.csv") {
		t.Errorf("check: exit %d\n%s", code, errs)
	}
}

func TestCheckExplainsGas(t *testing.T) {
	for zone, want := range map[string][]string{
		", zone: NT":                  {"volume correction factor of 1.02264\n", "calorific values of zone NT are there up to 2026-01-14; where one is missing another stands in", "by Other: 0.5\n      its energy is worked out"},
		", zone: SE, corrected: true": {"no volume correction is due\n", "the files of calorific values have none of zone SE"},
		", vcf: 1.1":                  {"volume correction factor of 1.1\n", "its zone is not known"},
	} {
		code, out, errs := cli(t, "check", "--config", gasConfigured(t, zone))
		for _, w := range want {
			if code != done || !strings.Contains(out, w) {
				t.Errorf("%s: exit %d, no %q in\n%s%s", zone, code, w, out, errs)
			}
		}
	}
	if got := explained(t, "  - {id: g, bus: b, unit: 3, zone: NT, registers: {gas: {address: 0, type: uint32, unit: m3}}}\n"); !strings.Contains(got, "no daily calorific values are given") {
		t.Error(got)
	}
	two := explained(t, "  - {id: g, bus: b, unit: 3, registers: {gas: {address: 0, type: uint32, unit: m3}}}\n  - {id: h, bus: b, unit: 4, corrected: true, registers: {gas: {address: 0, type: uint32, unit: m3}}}\n  - {id: v, virtual: {sum: [g, h]}}\n")
	if !strings.Contains(two, "its energy is not worked out: meters g and h, of which it is made, are converted differently") {
		t.Error(two)
	}
	if lines := gasLines(&config.Config{}, config.Meter{}); lines != nil {
		t.Error(lines)
	}
}

// However many values a table goes by, the lines below it stay few.
func TestGasNotesAreFew(t *testing.T) {
	var n gasNotes
	for i := range 50 {
		for range 2 {
			n.note(fmt.Sprint(i))
		}
	}
	var b strings.Builder
	if err := n.write(&b); err != nil || strings.Count(b.String(), "\n") != 2+20 || strings.Count(b.String(), "  7\n") != 1 {
		t.Errorf("%v\n%s", err, b.String())
	}
}
