package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
)

var jan5 = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// keptStore writes a store of three statements, two findings and a flagged
// half-hour beside the configuration.
func keptStore(t *testing.T, cfg string) {
	t.Helper()
	k := energy.Key{Meter: "main", Measure: energy.Import}
	var r store.Round
	previous := ""
	for i, kind := range []energy.StatementKind{energy.OpeningStatement, energy.RolloverStatement, energy.ResetStatement} {
		s := energy.Statement{Kind: kind, Meter: k.Meter, Measure: k.Measure, Unit: "Wh", Previous: previous, Note: "<a> & b",
			Opening: &energy.Reading{ReadAt: jan5.AddDate(0, 0, i), Value: int64(i)}}
		if i > 0 {
			s.Closing = &energy.Reading{ReadAt: jan5.AddDate(0, 0, i).Add(-time.Minute), Value: 9_999_000}
		}
		ks, err := s.Keyed()
		if err != nil {
			t.Fatal(err)
		}
		previous = energy.StatementHash(ks.Body)
		r.Statements = append(r.Statements, ks)
	}
	for _, rule := range []int{5, 18} {
		f, err := validate.Finding{Rule: rule, Severity: validate.Error, Key: k, From: jan5, To: jan5.Add(energy.Period), Found: "250 kWh", Expected: "at most 120 kWh", Count: 1}.Keyed()
		if err != nil {
			t.Fatal(err)
		}
		r.Findings = append(r.Findings, f)
	}
	r.HalfHours = []store.KeyedHalfHour{{Key: k, HalfHour: energy.HalfHour{Start: jan5, Energy: 250_000, Cumulative: -1, TakenAt: jan5.Add(time.Hour), Quality: energy.Measured,
		Flags: energy.Flags(0).With(5).With(16), Evidence: energy.Evidence{Rule: energy.RuleImported}}}}
	s, _, err := store.Open(filepath.Join(filepath.Dir(cfg), "agent.db"), store.Options{KeepHalfHours: 3660 * 24 * time.Hour, Logger: record.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(r); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStatementsCommand(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	keptStore(t, cfg)
	code, out, errs := cli(t, "statements", "--config", cfg)
	if code != done || strings.Count(out, "\n") != 4 || !strings.Contains(out, "The register went round, from 9 999.000 kWh to 0.001 kWh: counted through. Note: <a> & b.") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, _ = cli(t, "statements", "--config", cfg, "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || code != done || len(rows) != 4 || rows[3][2] != "reset" || rows[3][4] != "9999000" || rows[3][6] != "2" || rows[3][13] != rows[2][12] || rows[1][3] != "" {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
	if code, out, _ = cli(t, "statements", "--config", cfg, "--measure", "export"); code != done || !strings.Contains(out, "(no statements yet)") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, out, errs = cli(t, "statements", "--config", cfg, "--verify"); code != done || !strings.Contains(out, "main   import   3           whole, from the beginning") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs = cli(t, "statements", "--config", cfg, "--verify", "--measure", "export"); code != failed || !strings.Contains(errs, "no statement to verify") {
		t.Errorf("exit %d\n%s", code, errs)
	}

	// What was handed out can be verified elsewhere, and shows what was done to it.
	_, out, _ = cli(t, "statements", "--config", cfg, "--format", "json")
	var all struct{ Data []web.Record }
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all.Data) != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	save := func(s string) string {
		file := filepath.Join(t.TempDir(), "statements.json")
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	lines := strings.SplitAfter(out, "\n")
	laidOut := strings.NewReplacer("{", "{\n  ", ",", ",\n  ").Replace(out)
	rehashed := func(i int, old, new string) string {
		body := strings.Replace(string(all.Data[i].Record), old, new, 1)
		return lines[0] + strings.Join(lines[1:i+1], "") + `{"sha256":"` + energy.StatementHash([]byte(body)) + `","record":` + body + "}" +
			map[bool]string{true: ",\n" + strings.Join(lines[i+2:], ""), false: "\n]}\n"}[i < 2]
	}
	for _, c := range []struct {
		name, text string
		args       []string
		code       int
		want       string
	}{
		{"as it came", out, nil, done, "3           whole, from the beginning"},
		{"laid out anew", laidOut, nil, done, "3           whole, from the beginning"},
		{"of one measure", out, []string{"--measure", "import"}, done, "3 "},
		{"of another one", out, []string{"--meter", "other"}, failed, "no statement to verify"},
		{"without the first", lines[0] + lines[2] + strings.Join(lines[3:], ""), nil, done, "2           whole, from 2026-01-06 00:00:00 on; earlier ones are not here"},
		{"without the second", lines[0] + lines[1] + strings.Join(lines[3:], ""), nil, failed, "the chain is broken: statement 2 (main/import): it follows on"},
		{"changed", strings.Replace(out, `"value":1`, `"value":7`, 1), nil, failed, "statement 2 does not have the hash that stands beside it"},
		{"changed with its hash", rehashed(1, `"value":1`, `"value":7`), nil, failed, "the chain is broken: statement 3"},
		{"damaged", strings.Replace(out, lines[2], `{"record":null,"error":"it is damaged"},`+"\n", 1), nil, failed, "the chain is broken: statement 2: it is damaged"},
		{"cut short", out[:len(out)-5], nil, failed, "is not what perseus-agent statements --format json prints"},
		{"something else", "MPAN,Date", nil, failed, "is not what perseus-agent statements --format json prints"},
	} {
		code, o, e := cli(t, append(append([]string{"statements", "--verify"}, c.args...), save(c.text))...)
		if code != c.code || !strings.Contains(o+e, c.want) {
			t.Errorf("%s: exit %d, want %q in:\n%s%s", c.name, code, c.want, o, e)
		}
	}
	if code, _, errs := cli(t, "statements", "--verify", save(out)+"x"); code != failed || !strings.Contains(errs, "no such file") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	// A statement of a later version can be printed at least as one.
	if code, out, errs := cli(t, "statements", save(`{"data":[{"sha256":"ab","record":{"new":1}}, {"record":null,"error":"it is damaged"}]}`)); code != done || !strings.Contains(out, "unknown field") || !strings.Contains(out, "it is damaged") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs := cli(t, "statements", "--format", "csv", save(`{"data":[{"record":null,"error":"it is damaged"}]}`)); code != failed || !strings.Contains(errs, "try --format json") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestLasting(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "", 0: "", time.Millisecond: "1s", 299_789_391_360 * time.Nanosecond: "5m0s", 30 * time.Minute: "30m0s", 61_400 * time.Millisecond: "1m1s",
	} {
		if got := lasting(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestFindingsCommand(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	keptStore(t, cfg)
	window := []string{"findings", "--config", cfg, "--from", "2026-01-05", "--to", "2026-01-06"}
	code, out, errs := cli(t, window...)
	if code != done || strings.Count(out, "\n") != 3 || !strings.Contains(out, "2026-01-05 00:00:00  30m0s  error     V05    main   import   more energy than the connection can carry: 250 kWh (expected: at most 120 kWh).") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, _ = cli(t, append(window, "--format", "csv")...)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || code != done || len(rows) != 3 || rows[2][3] != "V18" || rows[1][7] != "250 kWh" || rows[1][11] == "" {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
	var got struct{ Data []web.Finding }
	code, out, _ = cli(t, append(window, "--format", "json")...)
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != done || len(got.Data) != 2 || got.Data[0].Severity != validate.Error {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
	if code, out, _ = cli(t, "findings", "--config", cfg); code != done || !strings.Contains(out, "nothing was found in this time") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, _, errs = cli(t, append(window, "extra")...); code != usage || !strings.Contains(errs, "not expected") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if code, _, errs = cli(t, "findings", "--config", cfg, "--meter", "x"); code != usage || !strings.Contains(errs, `no meter "x"`) {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// The checks that spoke stand beside the value.
func TestReadingsShowChecks(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	keptStore(t, cfg)
	for format, want := range map[string]string{"table": "measured  imported  V05 V16\n", "csv": ",measured,imported,0,V05 V16,,,,,,,,,,\n", "json": `"flags":["V05","V16"]`} {
		if code, out, errs := cli(t, "readings", "--config", cfg, "--from", "2026-01-05", "--to", "2026-01-06", "--format", format); code != done || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d\n%s%s", format, code, out, errs)
		}
	}
}
