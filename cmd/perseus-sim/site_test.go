package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

func cli(args ...string) (code int, stdout, stderr string) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what would run is stopped at once
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, record.Writer(nil, "perseus-sim", &errs))
	return code, out.String(), errs.String()
}

func TestSiteMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(file, []byte("site: {name: X}\nbuzes: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"--fault layte=5%", `did you mean "late"?`},
		{"--fault mqtt:checksum=5% --mqtt udmi", "bus udmi cannot play it: it plays late, lost"},
		{"--fault checksum=5% --mqtt udmi", "no bus of this site can play it"},
		{"--fault modbuss:late=5%", `did you mean "modbus"?`},
		{"--fault rollover@1m --meter eastron-sdm630", "floats and 64 bits do not"},
		{"--meter eastron-sdm640", `did you mean`},
		{"--meter tpc:eastron-sdm630", `did you mean "tcp"?`},
		{"--meter eastron-sdm630@300", "use 1 to 247"},
		{"--meter eastron-sdm630@1 --meter abb-b23@1", "unit 1 is on tcp already"},
		{"--mqtt udmy", `did you mean "udmi"?`},
		{"--dcc n3rg", `did you mean "n3rgy"?`},
		{"--config " + file, `did you mean "buses"?`},
		{"--config " + file + " --mqtt udmi", "not both"},
		{"--config nowhere.yaml", "no such file"},
		{"--every 1ms", "use 10ms or more"},
		{"--port-base 80", "use 1024 to 60000"},
		{"--carbon 10.0.0.1:80", "loopback only"},
		{"extra", "unexpected"},
	} {
		code, _, errs := cli(append([]string{"site", "--dir", t.TempDir()}, strings.Fields(c.args)...)...)
		if code != 2 || !strings.Contains(errs, c.want) {
			t.Errorf("site %s: exit %d, %q, want %q", c.args, code, errs, c.want)
		}
	}
}

func TestSiteHelp(t *testing.T) {
	code, _, errs := cli("site", "--help")
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"disconnect@10m+30s", "-truth", "perseus-agent run --config .site/agent.yaml"} {
		if !strings.Contains(errs, want) {
			t.Errorf("the help has no %q", want)
		}
	}
}

// A site that is stopped at once has written what the agent needs, and says so.
func TestSiteWritesTheAgentsConfiguration(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := cli("site", "--dir", dir, "--truth", filepath.Join(dir, "truth.csv"))
	if code != 0 || !strings.Contains(out, "run, in another terminal: perseus-agent run --config "+filepath.Join(dir, "agent.yaml")) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	for _, name := range []string{"agent.yaml", "key", "truth.csv"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}
