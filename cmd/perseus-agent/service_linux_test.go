package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/packaging/systemd"
)

// machine is a Linux machine with systemd, in a folder: what systemd and
// kardianos/service do there is imitated, what the agent does is real.
type machine struct {
	*systemdManager
	t        *testing.T
	account  bool
	said     []string // programs that were run
	broken   map[string]bool
	enabled  bool
	active   string
	owners   map[string]int // group of what was given to somebody
	failWith error          // of unitControl.Install
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, broken: map[string]bool{}, active: "inactive", owners: map[string]int{}}
	m.systemdManager = &systemdManager{
		root: t.TempDir(), platform: "linux-systemd", run: m.program,
		control: func(text string) (unitControl, error) { return &fakeUnit{m, text}, nil },
		chown: func(path string, _, gid int) error {
			m.owners[strings.TrimPrefix(path, m.root)] = gid
			return nil
		},
	}
	m.systemdManager.account = func(string) (int, int, error) {
		if !m.account {
			return 0, 0, errors.New("unknown user")
		}
		return os.Getuid() + 990, os.Getgid() + 990, nil
	}
	m.file("/usr/local/bin/perseus-agent", "program", 0o755)
	m.file("/etc/perseus-edge/agent.yaml", "site", 0o644)
	m.file("/etc/systemd/system/other.service", "", 0o644)
	return m
}

func (m *machine) file(path, text string, mode os.FileMode) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.root+path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.root+path, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(path string) string {
	b, err := os.ReadFile(m.root + path)
	if err != nil {
		return ""
	}
	return string(b)
}

func (m *machine) program(name string, args ...string) (string, error) {
	m.said = append(m.said, name+" "+strings.Join(args, " "))
	if m.broken[name] {
		return "", errors.New(name + ": not found")
	}
	switch {
	case name == "systemd-sysusers" || name == "useradd":
		m.account = true
	case name == "systemctl" && args[0] == "--version":
		return "systemd 252 (252.39)\n+PAM\n", nil
	case name == "systemctl":
		show := "LoadState=not-found\nActiveState=inactive\n"
		if m.read(unitFile) != "" {
			show = "LoadState=loaded\nActiveState=" + m.active + "\nUnitFileState=" + map[bool]string{true: "enabled", false: "disabled"}[m.enabled] + "\n"
		}
		return show, nil
	}
	return "", nil
}

type fakeUnit struct {
	m    *machine
	text string
}

// Install refuses to write over a unit, as kardianos/service does.
func (u *fakeUnit) Install() error {
	if u.m.read(unitFile) != "" {
		return errors.New("Init already exists: " + unitFile)
	}
	if u.m.failWith != nil {
		return u.m.failWith
	}
	u.m.file(unitFile, u.text, 0o644)
	u.m.enabled = true
	return nil
}

func (u *fakeUnit) Uninstall() error { u.m.enabled = false; return os.Remove(u.m.root + unitFile) }
func (u *fakeUnit) Start() error     { u.m.active = "active"; return nil }
func (u *fakeUnit) Stop() error      { u.m.active = "inactive"; return nil }

func planFor(store string) plan {
	return plan{exec: "/usr/local/bin/perseus-agent", cfg: &config.Config{File: "/etc/perseus-edge/agent.yaml", Store: config.Store{Path: store}}}
}

func TestSystemdInstall(t *testing.T) {
	m := newMachine(t)
	m.file("/var/lib/perseus-edge/identity/client.key", "made by root (enroll)", 0o600)
	p := planFor("/var/lib/perseus-edge/agent.db")
	did, err := m.install(p)
	if err != nil || len(did) != 4 {
		t.Fatalf("%q, %v", did, err)
	}
	unit := m.read(unitFile)
	if !strings.Contains(unit, "ExecStart=/usr/local/bin/perseus-agent run --config /etc/perseus-edge/agent.yaml\n") || strings.Contains(unit, "RestartSteps") || strings.Contains(unit, "ReadWritePaths") {
		t.Errorf("unit:\n%s", unit)
	}
	if m.read(systemd.SysusersFile) != systemd.Sysusers {
		t.Error("the account is not described")
	}
	if fi, err := os.Stat(m.root + "/etc/perseus-edge/agent.yaml"); err != nil || fi.Mode().Perm() != 0o640 || m.owners["/etc/perseus-edge/agent.yaml"] != os.Getgid()+990 {
		t.Errorf("the configuration: %v %v %v", fi.Mode(), m.owners, err)
	}
	if m.owners["/var/lib/perseus-edge/identity/client.key"] != os.Getgid()+990 {
		t.Errorf("the identity is not the service's: %v", m.owners)
	}
	if err := m.start(); err != nil {
		t.Fatal(err)
	}

	// Another program, the same unit file.
	m.file("/opt/perseus-agent", "program", 0o755)
	p.exec = "/opt/perseus-agent"
	if did, err = m.install(p); err != nil || !slices.Contains(did, "unit written anew: "+unitFile) || !strings.Contains(m.read(unitFile), "ExecStart=/opt/perseus-agent ") {
		t.Errorf("%q, %v", did, err)
	}
	// Disabled by hand: enabled again.
	m.enabled = false
	if did, err = m.install(p); err != nil || len(did) == 0 || !m.enabled {
		t.Errorf("%q, %v", did, err)
	}
	// What cannot be installed leaves what was.
	old := m.read(unitFile)
	m.failWith, p.exec = errors.New("no space left"), "/usr/local/bin/perseus-agent"
	if _, err = m.install(p); err == nil || !strings.Contains(err.Error(), "no space left") || m.read(unitFile) != old {
		t.Errorf("%v, the unit:\n%s", err, m.read(unitFile))
	}

	did, err = m.uninstall()
	if err != nil || len(did) != 3 || m.active != "inactive" || m.read(unitFile) != "" {
		t.Errorf("%q, %v", did, err)
	}
	if m.read("/var/lib/perseus-edge/identity/client.key") == "" || m.read("/etc/perseus-edge/agent.yaml") == "" {
		t.Error("uninstall took what is the business's")
	}
	if did, err = m.uninstall(); err != nil || len(did) > 0 {
		t.Errorf("again: %q, %v", did, err)
	}
}

// Twice is as once. This one gives the files to who runs the test, so that
// their owners are as they would be.
func TestSystemdInstallTwice(t *testing.T) {
	m := newMachine(t)
	m.account = true
	m.systemdManager.account = func(string) (int, int, error) { return max(os.Getuid(), 1), os.Getgid(), nil }
	m.chown = func(path string, uid, gid int) error {
		if os.Getuid() != 0 {
			return nil // nothing to give, and no right to
		}
		return os.Lchown(path, uid, gid)
	}
	p := planFor("/mnt/disk/perseus/agent.db")
	if err := os.MkdirAll(m.root+"/mnt/disk", 0o755); err != nil {
		t.Fatal(err)
	}
	did, err := m.install(p)
	if err != nil || !slices.Contains(did, "folder made: /mnt/disk/perseus") || !strings.Contains(m.read(unitFile), "\nReadWritePaths=/mnt/disk/perseus\n") {
		t.Fatalf("%q, %v\n%s", did, err, m.read(unitFile))
	}
	if did, err = m.install(p); err != nil || len(did) > 0 {
		t.Errorf("again: %q, %v", did, err)
	}
}

func TestSystemdRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*machine, *plan)
		want string
	}{
		{"a program in a home", func(_ *machine, p *plan) { p.exec = "/home/pi/perseus-agent" }, "copy it first (sudo install -m 755 /home/pi/perseus-agent /usr/local/bin/)"},
		{"a program that others may not run", func(m *machine, p *plan) { p.exec = "/opt/a"; m.file(p.exec, "", 0o700) }, "chmod 755 /opt/a"},
		{"a program that others may change", func(m *machine, p *plan) {
			p.exec = "/opt/a"
			m.file(p.exec, "", 0o755)
			if err := os.Chmod(m.root+p.exec, 0o777); err != nil {
				m.t.Fatal(err)
			}
		}, "others than its owner may change /opt/a"},
		{"a configuration in a home", func(_ *machine, p *plan) { p.cfg.File = "/root/agent.yaml" }, "cannot reach /root/agent.yaml: keep the configuration in /etc/perseus-edge"},
		{"a store in a temporary folder", func(_ *machine, p *plan) { p.cfg.Store.Path = "/tmp/x/agent.db" }, "cannot reach /tmp/x"},
		{"a store in another's folder", func(m *machine, p *plan) { p.cfg.Store.Path = "/srv/agent.db"; m.file("/srv/other", "", 0o600) }, "chown -R perseus-edge: /srv"},
		{"a configuration that it may not read", func(m *machine, p *plan) { p.cfg.File = "/srv/agent.yaml"; m.file(p.cfg.File, "", 0o600) }, "chgrp perseus-edge /srv/agent.yaml && chmod 640 /srv/agent.yaml"},
		{"no account", func(m *machine, _ *plan) { m.broken["systemd-sysusers"], m.broken["useradd"] = true, true }, "the account perseus-edge cannot be made: systemd-sysusers: not found; useradd: not found"},
		{"an account that is root", func(m *machine, _ *plan) {
			m.systemdManager.account = func(string) (int, int, error) { return 0, 0, nil }
		}, "is root"},
		{"a package", func(m *machine, _ *plan) { m.file("/usr/lib/systemd/system/perseus-agent.service", "", 0o644) }, "a package brought the service"},
		{"a name that a unit cannot hold", func(m *machine, p *plan) { p.exec = "/opt/a\nb"; m.file(p.exec, "", 0o755) }, "use another path"},
	} {
		m, p := newMachine(t), planFor("/var/lib/perseus-edge/agent.db")
		c.set(m, &p)
		if _, err := m.install(p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if m.read(unitFile) != "" {
			t.Errorf("%s: a unit was written", c.name)
		}
	}

	m := newMachine(t)
	if m.euid = 1000; m.able() == nil || !strings.Contains(m.able().Error(), "root") {
		t.Errorf("without root: %v", m.able())
	}
	m.platform = "unix-systemv"
	if _, err := m.state(); !errors.Is(err, errNoSystemd) || !errors.Is(m.able(), errNoSystemd) {
		t.Errorf("without systemd: %v", err)
	}
}

// Without systemd-sysusers the account is made by useradd.
func TestAccountByUseradd(t *testing.T) {
	m := newMachine(t)
	m.broken["systemd-sysusers"] = true
	if _, err := m.install(planFor("/var/lib/perseus-edge/agent.db")); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(m.said, func(s string) bool { return strings.HasPrefix(s, "useradd ") }); i < 0 ||
		!strings.Contains(m.said[i], "--groups dialout") || !strings.HasSuffix(m.said[i], " perseus-edge") {
		t.Errorf("%q", m.said)
	}
}
