package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// cli calls the program as main does.
func cli(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, record.Writer(t, "perseus-agent", &errs))
	return code, out.String(), errs.String()
}

// configured writes a configuration with a meter that is not there.
func configured(t *testing.T, listen, bus string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "agent.yaml")
	text := fmt.Sprintf(`site: {name: "Test shop", outcode: SW8}
store: {path: agent.db, keep_half_hours: 3660d}
web: {listen: %q}
buses: [{id: plant, driver: modbus, url: "tcp://%s", timeout: 10s}]
meters:
  - id: main
    bus: plant
    unit: 1
    poll: 50ms
    registers:
      import: {address: 0x0100, table: holding, type: uint64, unit: Wh}
`, listen, bus)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestUsage(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("site: {nam: A}\nbuses: []\nmeters: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	for _, c := range []struct {
		args []string
		code int
		out  string // what standard output or, where code is not 0, standard error holds
	}{
		{nil, usage, "Commands:"},
		{[]string{"help"}, done, "Commands:"},
		{[]string{"--help"}, done, "Commands:"},
		{[]string{"help", "import"}, done, "--meter METER"},
		{[]string{"readings", "-h"}, done, "--from TIME"},
		{[]string{"help", "nothing"}, usage, `no command "nothing"`},
		{[]string{"nothing"}, usage, `no command "nothing"`},
		{[]string{"version"}, done, "perseus-agent "},
		{[]string{"--version"}, done, "perseus-agent "},
		{[]string{"version", "now"}, usage, `"now" is not expected here`},
		{[]string{"check", "--confg", good}, usage, "flag provided but not defined: -confg"},
		{[]string{"check", "--config", bad}, usage, `bad.yaml:1:8: unknown key "nam" in site: did you mean "name"?`},
		{[]string{"run", "--config", bad}, usage, "the configuration has 1 mistake:"},
		{[]string{"check", "--config", bad + "x"}, usage, "no configuration at " + bad + "x: give one with --config FILE; examples: docs/installer.md"},
		{[]string{"check", "--config", good}, done, "main, unit 1, every 50ms: import (holding 0x0100, uint64, Wh)"},
		{[]string{"run", "--config", good, "--log", "loud"}, usage, "--log loud: use debug, info, warn or error"},
		{[]string{"templates", "eastron-sdm63"}, usage, `did you mean "eastron-sdm630"?`},
		{[]string{"templates", "eastron-sdm630"}, done, "0x0048"},
		{[]string{"templates", "--format", "xml"}, usage, "--format xml: use table, json or csv"},
		{[]string{"readings", "--config", good, "--from", "x"}, usage, `from: "x" is not a time`},
		{[]string{"readings", "--config", good, "--meter", "x"}, usage, `no meter "x"`},
		{[]string{"readings", "--config", good}, failed, "there is no store"},
		{[]string{"status", "--config", good}, failed, "there is no store"},
		{[]string{"import", "--config", good, "--meter", "main"}, usage, "give FILE..."},
		{[]string{"import", "--config", good, bad}, usage, "--meter is missing"},
		{[]string{"import", "--config", good, "--meter", "main", "--label", "middle", bad}, usage, `--label "middle": use start or end`},
		{[]string{"import", "--config", good, "--meter", "main", bad, bad}, failed, "2 of 2 files could not be taken"},
		{[]string{"enroll", "--config", good}, usage, "give --url and --code"},
		{[]string{"enroll", "--config", good, "--identity", t.TempDir(), "--url", "http://x", "--code", "7K2M-9KXA-34TE"}, failed, "https"},
		{[]string{"enroll", "--config", good, "--url", "https://x", "--code", "7K2M-9KXA-34TF"}, usage, "one character is wrong or two changed places"},
		{[]string{"enroll", "--config", good, "--url", "https://x", "--code", "7K2M-9KXA-34TE", "--key-store", "usb"}, usage, "--key-store \"usb\": use auto, file, tpm or pkcs11"},
		{[]string{"enroll", "--config", good, "--identity", t.TempDir(), "--url", "https://x", "--code", "7K2M-9KXA-34TE", "--key-store", "tpm:/nowhere"}, failed, "there is no TPM at /nowhere"},
		{[]string{"enroll", "--config", good, "--identity", t.TempDir(), "--url", "https://x", "--code", "7K2M-9KXA-34TE", "--key-store", "pkcs11:token=x?module-path=/nowhere.so"}, failed, "no PKCS#11 module at /nowhere.so: install the token's driver"},
		{[]string{"enroll", "--config", good, "--url", "https://x", "--code", "7K2M-9KXA-34TE", "--key-store", "pkcs11:token=x?pin-value=31415926"}, usage, "--key-store \"pkcs11:...\": a PIN does not belong there"},
		{[]string{"enroll", "--config", good, "--identity", t.TempDir(), "--code", "https://127.0.0.1:1/enrol#7k2m9kxa34te"}, failed, "the directory https://127.0.0.1:1 does not answer at its port"},
		{[]string{"probe", "--config", good}, failed, "1 of 1 register could not be read"},
	} {
		code, out, errs := cli(t, c.args...)
		if c.code != done {
			out = errs
		}
		if code != c.code || !strings.Contains(out, c.out) {
			t.Errorf("perseus-agent %s: exit %d, want %d, %q in:\n%s", strings.Join(c.args, " "), code, c.code, c.out, out)
		}
	}
}

// history is one row a day of 48 half-hours in kWh.
func history(t *testing.T, value string, dates ...string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("MPAN,Date")
	for i := range 48 {
		fmt.Fprintf(&b, ",%02d:%02d", i/2, i%2*30)
	}
	b.WriteString("\n")
	for _, d := range dates {
		b.WriteString("1200051234567," + d + strings.Repeat(","+value, 48) + "\n")
	}
	file := filepath.Join(t.TempDir(), "history.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A command that only looks leaves a damaged store where it is: the agent sets
// it aside, and its page says so.
func TestLookingLeavesADamagedStore(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	db := filepath.Join(filepath.Dir(cfg), "agent.db")
	if err := os.WriteFile(db, bytes.Repeat([]byte("not a store "), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"readings", "findings", "statements", "status"} {
		code, _, errs := cli(t, command, "--config", cfg)
		if code != failed || !strings.Contains(errs, "the store is damaged: ") || !strings.Contains(errs, "the agent sets it aside") {
			t.Errorf("%s: exit %d\n%s", command, code, errs)
		}
	}
	if there, _ := filepath.Glob(db + ".corrupt-*"); there != nil {
		t.Errorf("set aside: %v", there)
	}
}

// Without a running agent the commands work on the store itself.
func TestImportAndReadWithoutAnAgent(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	file := history(t, "0.5", "05/01/2026", "06/01/2026")
	code, out, errs := cli(t, "import", "--config", cfg, "--meter", "main", "--label", "start", file)
	if code != done || !strings.Contains(out, "taken: 96, 48.000 kWh") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	code, out, _ = cli(t, "import", "--config", cfg, "--meter", "main", "--label", "start", "--format", "json", file)
	var reports struct {
		Data []struct{ Series []struct{ Taken, Same int } }
	}
	if err := json.Unmarshal([]byte(out), &reports); err != nil || code != done || reports.Data[0].Series[0].Same != 96 || reports.Data[0].Series[0].Taken != 0 {
		t.Errorf("again: exit %d, %v\n%s", code, err, out)
	}

	window := []string{"readings", "--config", cfg, "--meter", "main", "--from", "2026-01-05", "--to", "2026-01-06T06:00:00Z"}
	code, out, _ = cli(t, append(window, "--format", "csv")...)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || code != done || len(rows) != 1+48+12 || rows[1][5] != "500" || rows[1][8] != "measured" || rows[1][9] != "imported" {
		t.Errorf("csv: exit %d, %v, %d rows: %v", code, err, len(rows), rows[:min(2, len(rows))])
	}
	var readings struct {
		Data []struct{ Energy struct{ Value float64 } }
	}
	code, out, _ = cli(t, append(window, "--format", "json")...)
	if err := json.Unmarshal([]byte(out), &readings); err != nil || code != done || len(readings.Data) != 60 || readings.Data[0].Energy.Value != 500 {
		t.Errorf("json: exit %d, %v\n%.300s", code, err, out)
	}
	code, out, _ = cli(t, window...)
	if code != done || strings.Count(out, "\n") != 61 || !strings.Contains(out, "2026-01-05 00:00  main   import   0.500   kWh") {
		t.Errorf("table: exit %d\n%.300s", code, out)
	}
	code, out, _ = cli(t, "readings", "--config", cfg, "--from", "2020-01-01", "--to", "2020-01-02")
	if code != done || !strings.Contains(out, "no half-hours in this time") {
		t.Errorf("none: exit %d\n%s", code, out)
	}
	code, out, _ = cli(t, "status", "--config", cfg)
	if code != done || !strings.Contains(out, "the agent is not running") || !strings.Contains(out, "96") {
		t.Errorf("status: exit %d\n%s", code, out)
	}
}

// What went wrong is said once.
func TestErrorsAreSaidOnce(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	bad := filepath.Join(t.TempDir(), "history.csv")
	if err := os.WriteFile(bad, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := cli(t, "import", "--config", cfg, "--meter", "main", bad)
	if code != failed || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "history.csv") {
		t.Errorf("import: exit %d\n%s", code, errs)
	}
	text, err := os.ReadFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "      export: {address: 0x0200, table: holding, type: uint64, unit: Wh}\n"...)
	if err := os.WriteFile(cfg, text, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := cli(t, "probe", "--config", cfg)
	if code != failed || strings.Count(out, "connection refused") != 1 ||
		!strings.Contains(out, "NOTE\n") || !strings.Contains(out, "main   export   -    -      kWh   -     as above\n") || !strings.Contains(errs, "2 of 2 registers could not be read") {
		t.Errorf("probe: exit %d\n%s%s", code, out, errs)
	}
	code, out, _ = cli(t, "probe", "--config", cfg, "--format", "csv")
	if code != failed || strings.Count(out, "connection refused") != 2 {
		t.Errorf("probe as csv: exit %d\n%s", code, out)
	}
}

func TestTemplatesAsData(t *testing.T) {
	code, out, _ := cli(t, "templates", "--format", "json")
	var got struct {
		Data []struct {
			Name      string
			Checked   string
			Registers []struct{ Address int }
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != done || len(got.Data) < 6 || got.Data[0].Checked == "" || len(got.Data[0].Registers) == 0 {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
}
