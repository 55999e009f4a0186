//go:build linux

package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// analyze finds systemd-analyze and the version of systemd.
func analyze(t *testing.T) (tool string, version int) {
	t.Helper()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is absent: install systemd to check the unit")
	}
	out, err := exec.Command(tool, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version, err = strconv.Atoi(strings.Fields(string(out))[1])
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return tool, version
}

// written renders a unit for a program that is there, in a folder whose name
// needs every kind of quoting.
func written(t *testing.T, version int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a 100% $HOME; b")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "perseus-agent")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := Render(Options{Exec: program, Config: filepath.Join(dir, `a 'b" c\d.yaml`), Writable: []string{dir, dir + `/c\d"'`}, Version: version})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), Name+".service")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSystemdTakesTheUnit(t *testing.T) {
	tool, version := analyze(t)
	out, err := exec.Command(tool, "verify", written(t, version)).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// The test can see a mistake: a program that is not there.
	file := written(t, version)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "/perseus-agent", "/nothing", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "verify", file).CombinedOutput(); err == nil {
		t.Errorf("systemd-analyze verify found no fault with a missing program: %s", out)
	}
}

// mostExposure is what systemd-analyze security may say at most.
const mostExposure = 2.0

func TestExposure(t *testing.T) {
	tool, version := analyze(t)
	out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", written(t, version)).CombinedOutput()
	if err != nil && strings.Contains(string(out), "--offline") {
		t.Skipf("systemd-analyze of systemd %d cannot judge a unit that is not installed", version)
	}
	m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	got, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil || got > mostExposure {
		t.Errorf("exposure %s, want at most %.1f\n%s", m[1], mostExposure, out)
	}
	t.Logf("%s", m[0])
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`says ([0-9.]+) \(systemd ([0-9]+);`).FindSubmatch(page)
	if said == nil {
		t.Fatal("packaging/README.md does not say what systemd-analyze says, and of which systemd")
	}
	if string(said[2]) == strconv.Itoa(version) && string(said[1]) != string(m[1]) {
		t.Errorf("packaging/README.md says %s, systemd-analyze %s", said[1], m[1])
	}
}

// With all that a token may need the unit is taken, and stays as closed.
func TestTokenDropIn(t *testing.T) {
	tool, version := analyze(t)
	file := written(t, version)
	text, err := os.ReadFile("token.conf")
	if err != nil {
		t.Fatal(err)
	}
	judge := func(dropIn string) float64 {
		t.Helper()
		if err := os.MkdirAll(file+".d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(file+".d", "token.conf"), []byte(dropIn), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", file).CombinedOutput()
		m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if m == nil {
			t.Skipf("systemd-analyze of systemd %d cannot judge a unit that is not installed: %v\n%s", version, err, out)
		}
		got, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := judge(string(text)); got > mostExposure {
		t.Errorf("exposure %.1f, want at most %.1f", got, mostExposure)
	}
	if out, err := exec.Command(tool, "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// The drop-in is looked at: one that opens everything is seen.
	if got := judge("[Service]\nDevicePolicy=auto\nPrivateUsers=no\nNoNewPrivileges=no\nProtectHome=no\n"); got <= mostExposure {
		t.Errorf("exposure %.1f of a unit that was opened", got)
	}
}

func TestRender(t *testing.T) {
	o := Options{Exec: "/usr/local/bin/perseus-agent", Config: "/etc/perseus-edge/agent.yaml"}
	plain, err := Render(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ExecStart=/usr/local/bin/perseus-agent run --config /etc/perseus-edge/agent.yaml",
		"Type=notify", "NotifyAccess=main", "Restart=always", "RestartSteps=6", "RestartMaxDelaySec=300", "StartLimitIntervalSec=0",
		"User=" + User, "StateDirectory=" + filepath.Base(StateDir), "ConfigurationDirectory=" + filepath.Base(ConfigDir),
		"DevicePolicy=closed", "DeviceAllow=char-ttyUSB rw", "SupplementaryGroups=dialout",
	} {
		if !strings.Contains(plain, "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	if regexp.MustCompile(`@[A-Z]+@|\{\{|ReadWritePaths`).MatchString(plain) {
		t.Errorf("something is left to fill in, or was filled in for nothing:\n%s", plain)
	}

	o.Version, o.Writable = 252, []string{"/mnt/my disk", "/srv/100%"}
	old, err := Render(o)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(old, "RestartSteps") {
		t.Error("systemd 252 does not know RestartSteps=")
	}
	if !strings.Contains(old, "\nReadWritePaths=\"/mnt/my disk\"\nReadWritePaths=/srv/100%%\n") {
		t.Errorf("folders to write to:\n%s", old)
	}

	for _, bad := range []Options{
		{Exec: "perseus-agent", Config: o.Config},
		{Exec: `/opt/"perseus"/perseus-agent`, Config: o.Config},
		{Exec: o.Exec, Config: "agent.yaml"},
		{Exec: o.Exec, Config: "/etc/a\nUser=root"},
		{Exec: o.Exec, Config: "/etc/{{Name}}"},
		{Exec: o.Exec, Config: o.Config, Writable: []string{"disk"}},
	} {
		if text, err := Render(bad); err == nil {
			t.Errorf("%+v was taken:\n%s", bad, text)
		}
	}
}

// sysusers.d is read by systemd's own tool, where it is there.
func TestSysusers(t *testing.T) {
	tool, err := exec.LookPath("systemd-sysusers")
	if err != nil {
		t.Skip("systemd-sysusers is absent: install systemd to check the account")
	}
	root, file := t.TempDir(), filepath.Join(t.TempDir(), "perseus-edge.conf")
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(Sysusers), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "--root="+root, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil || !regexp.MustCompile(`(?m)^perseus-edge:.*:/var/lib/perseus-edge:.*/nologin$`).Match(passwd) {
		t.Errorf("%v\n%s", err, passwd)
	}
	group, err := os.ReadFile(filepath.Join(root, "etc/group"))
	if err != nil || !regexp.MustCompile(`(?m)^dialout:.*:perseus-edge$`).Match(group) {
		t.Errorf("%v\n%s", err, group)
	}
}
