package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/scan"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

type scanReport struct {
	Data []struct {
		URL      string
		Unit     uint8
		Template string
		Sure     scan.Sure
		Serial   string
		Also     []string
		Says     string
	}
	Configuration string
}

func scanned1(t *testing.T, args ...string) (scanReport, string) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none.yaml")
	code, out, errs := cli(t, append([]string{"scan", "--config", none, "--format", "json"}, args...)...)
	var r scanReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	return r, errs
}

// proposed checks that what a scan proposes is taken, and works: each meter is
// read by probe with it.
func proposed(t *testing.T, r scanReport) *config.Config {
	t.Helper()
	cfg, err := config.Parse("proposed", []byte(r.Configuration))
	if err != nil {
		t.Fatalf("%v\n%s", err, r.Configuration)
	}
	file := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(file, []byte(r.Configuration+"web: {listen: \"127.0.0.1:1\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := cli(t, "probe", "--config", file, "--apart", "0"); code != done || strings.Contains(out, "WRONG") {
		t.Errorf("probe of what was proposed: exit %d\n%s%s", code, out, errs)
	}
	return cfg
}

// Every template whose meter says its model, or has its voltage where we know
// it, is recognised from the answers of such a meter.
func TestScanRecognises(t *testing.T) {
	signs, err := scan.AllSigns()
	if err != nil {
		t.Fatal(err)
	}
	b := &box{units: map[uint8]meterImage{}}
	var names []string
	for name := range signs {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		m := imageOf(t, name, 18_342_000, 6000)
		if s := signs[name].Model; s != nil && len(s.Texts) > 0 {
			var words []uint16
			text := s.Texts[0] + "\x00\x00\x00\x00\x00\x00\x00"
			for k := 0; k < 8; k += 2 {
				words = append(words, uint16(text[k])<<8|uint16(text[k+1]))
			}
			m.table(s.Point.Table)[s.Point.Address] = words
		} else if s != nil {
			m.table(s.Point.Table)[s.Point.Address] = []uint16{uint16(s.Is[0])}
		}
		b.units[uint8(i+1)] = m
	}
	r, errs := scanned1(t, "--units", "1-100", "tcp://"+b.served(t))
	if len(r.Data) != len(names) {
		t.Fatalf("%d of %d found\n%s", len(r.Data), len(names), errs)
	}
	for i, name := range names {
		got := r.Data[i]
		want := scan.Likely
		if signs[name].Model != nil {
			want = scan.Certain
		} else if signs[name].Volts == nil {
			want = scan.Possible
		}
		if got.Template != name && !slices.Contains(got.Also, name) || got.Sure != want && got.Sure != scan.Certain && want != scan.Possible || want == scan.Certain && len(got.Also) > 0 {
			t.Errorf("%s is taken for %s (%s) or %v, want %s", name, got.Template, got.Sure, got.Also, want)
		}
	}
	proposed(t, r)
}

// pymodbus serves an SDM630 and an ABB B23 behind one box, as TCP and as RTU.
func TestScanPymodbus(t *testing.T) {
	abb := imageOf(t, "abb-b23", 5_000_000, 1200)
	abb.Holding[0x8960] = []uint16{0x4232, 0x3320, 0x3131}
	pac := imageOf(t, "siemens-pac3200", 5_000_000, 1200) // it has registers like others of its family, and a name
	name := map[string]string{"VendorName": "SIEMENS", "ProductCode": "SENTRON PAC3200", "MajorMinorRevision": "V2.4"}
	units := map[uint8]meterImage{1: imageOf(t, "eastron-sdm630", 18_342_000, 6000), 3: abb, 4: pac}
	for framer, scheme := range map[string]string{"socket": "tcp", "rtu": "rtuovertcp"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			address := pymodbusBox(t, framer, units, name)
			r, errs := scanned1(t, "--units", "1-4", "--timeout", "500ms", "tcp://"+address)
			if len(r.Data) != 3 || r.Data[2].Template != "siemens-pac3200" || r.Data[2].Sure != scan.Certain || len(r.Data[2].Also) > 0 || r.Data[0].URL != scheme+"://"+address || r.Data[0].Template != "eastron-sdm630" || r.Data[0].Sure != scan.Likely || r.Data[0].Serial != "4711" ||
				r.Data[1].Unit != 3 || r.Data[1].Template != "abb-b23" || r.Data[1].Sure != scan.Certain {
				t.Errorf("%+v\n%s", r.Data, errs)
			}
			if !strings.Contains(errs, "asking units 1 to 4") || !strings.Contains(errs, "unit 1: comparing") {
				t.Errorf("progress: %s", errs)
			}
			cfg := proposed(t, r)
			if len(cfg.Meters) != 3 || cfg.Meters[0].Serial != "4711" || cfg.Meters[1].Template != "abb-b23" {
				t.Errorf("%s", r.Configuration)
			}
		})
	}
}

// The simulated site's meters are none that anybody sells: they are found, and
// no more is claimed of them.
func TestScanOfTheSimulatedMeters(t *testing.T) {
	now := time.Date(2026, 3, 3, 10, 10, 0, 0, time.UTC)
	load := meter.NewLoad("shop", meter.Shop, now.AddDate(0, -1, 0), now.AddDate(0, 1, 0))
	url := "tcp://" + ports.Address(t)
	s, err := meter.NewServer(url, func() time.Time { return now }, map[uint8]meter.Unit{2: {Serial: 77, Import: load.Register}}, meter.Faults{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	r, errs := scanned1(t, "--units", "1-3", url)
	if len(r.Data) != 1 || r.Data[0].Unit != 2 || r.Data[0].Sure == scan.Certain || r.Data[0].Sure == scan.Likely {
		t.Errorf("%+v\n%s", r.Data, errs)
	}
	if _, err := config.Parse("proposed", []byte(r.Configuration)); err != nil {
		t.Errorf("%v\n%s", err, r.Configuration)
	}
	code, out, _ := cli(t, "scan", "--config", filepath.Join(t.TempDir(), "none.yaml"), "--units", "1-3", url)
	if code != done || !strings.Contains(out, "A configuration with these") || !strings.Contains(out, "site: {name:") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestScanUsage(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.yaml")
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"scan"}, usage, "give URL..."},
		{[]string{"scan", "10.0.0.5"}, usage, "use tcp://host:port"},
		{[]string{"scan", "--units", "0", "tcp://a"}, usage, `--units "0": write 1 to 247`},
		{[]string{"scan", "--timeout", "1ms", "tcp://a"}, usage, "--timeout 1ms: use 10ms to 1m"},
		{[]string{"scan", "--pause", "1m", "tcp://a"}, usage, "--pause 1m0s: use 0 to 10s"},
		{[]string{"scan", "--format", "xml", "tcp://a"}, usage, "--format xml"},
		{[]string{"scan", "--config", none, "--units", "1", "tcp://127.0.0.1:1"}, failed, "connection refused"},
		{[]string{"scan", "--config", none, "--units", "1", "rtu:///dev/there-is-none"}, failed, "is the adapter plugged in?"},
		{[]string{"scan", "--config", cfg, "--units", "1", "tcp://127.0.0.1:1"}, failed, "connection refused"}, // no agent runs
	} {
		if code, _, errs := cli(t, c.args...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit %d\n%s", c.args, code, errs)
		}
	}
	silent := &box{units: map[uint8]meterImage{}} // a gateway that says that nobody is there
	code, out, errs := cli(t, "scan", "--config", none, "--units", "1-2", "--timeout", "50ms", "tcp://"+silent.served(t))
	if code != failed || !strings.Contains(out, "nothing found") || !strings.Contains(errs, "nobody answers to units 1 to 2") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// A wire that is a bus of the running agent is left alone.
func TestOwned(t *testing.T) {
	cfg := &config.Config{Buses: []config.Bus{{ID: "plant", Driver: "modbus", URL: "tcp://10.0.0.5"}, {ID: "wire", Driver: "modbus", URL: "rtu:///dev/ttyUSB0?baud=9600"}}}
	for url, want := range map[string]string{"tcp://10.0.0.5:502": "plant", "rtuovertcp://10.0.0.5:502": "plant", "rtu:///dev/ttyUSB0": "wire", "tcp://10.0.0.6:502": "", "udp://10.0.0.5:502": ""} {
		if got := owned(cfg, []string{"tcp://10.9.9.9", url}); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
