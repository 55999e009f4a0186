package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kardianos/service"

	"github.com/perseus-edge/perseus-edge/packaging/systemd"
)

// unitControl is what is used of kardianos/service.
type unitControl interface {
	Install() error
	Uninstall() error
	Start() error
	Stop() error
}

// systemdManager installs and controls the agent's unit.
type systemdManager struct {
	root     string // of the file system; "" but in tests
	euid     int
	platform string                                                     // which service manager this machine has, as kardianos/service calls it
	run      func(name string, args ...string) (stdout string, e error) // a program of the machine
	control  func(unit string) (unitControl, error)                     // unit: the text that Install writes
	account  func(name string) (uid, gid int, err error)
	chown    func(path string, uid, gid int) error
}

func newManager() manager {
	return &systemdManager{
		euid: os.Geteuid(), platform: service.Platform(), run: runProgram, control: kardianos, account: account, chown: os.Lchown,
	}
}

// kardianos is kardianos/service with our unit. It writes the unit, enables,
// starts, stops and removes it; it never runs the program.
func kardianos(unit string) (unitControl, error) {
	return service.New(nil, &service.Config{Name: systemd.Name, Option: service.KeyValue{"SystemdScript": unit}})
}

// runProgram runs a program to its end. Its error holds what it complained of.
func runProgram(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w %s", name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

func account(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	g, err := user.LookupGroup(systemd.User)
	if err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(g.Gid)
	return uid, gid, err
}

const (
	unitFile = "/etc/systemd/system/" + systemd.Name + ".service"
	unitName = systemd.Name + ".service"
)

var errNoSystemd = errors.New("this machine is not run by systemd: have its own service manager run `perseus-agent run --config FILE`")

func (m *systemdManager) able() error {
	if m.platform != "linux-systemd" {
		return errNoSystemd
	}
	if m.euid != 0 {
		return errors.New("this needs root: put sudo before it")
	}
	return nil
}

// packaged is the unit that a package brought, "" if none did.
func (m *systemdManager) packaged() string {
	for _, dir := range []string{"/usr/lib/systemd/system/", "/lib/systemd/system/"} {
		if _, err := os.Stat(m.root + dir + unitName); err == nil {
			return dir + unitName
		}
	}
	return ""
}

func (m *systemdManager) install(p plan) (did []string, err error) {
	if unit := m.packaged(); unit != "" {
		return nil, fmt.Errorf("a package brought the service (%s): systemctl enable --now %s starts it; systemctl edit %s changes it", unit, systemd.Name, systemd.Name)
	}
	if err := m.places(p); err != nil {
		return nil, err
	}
	uid, gid, made, err := m.makeAccount()
	did = append(did, made...)
	if err != nil {
		return did, err
	}
	made, writable, err := m.folders(p, uid, gid)
	did = append(did, made...)
	if err != nil {
		return did, err
	}
	made, err = m.readable(p, gid)
	did = append(did, made...)
	if err != nil {
		return did, err
	}
	text, err := systemd.Render(systemd.Options{Exec: p.exec, Config: p.cfg.File, Writable: writable, Version: m.version()})
	if err != nil {
		return did, err
	}
	made, err = m.writeUnit(text)
	return append(did, made...), err
}

// version of systemd; 0 if it does not say.
func (m *systemdManager) version() int {
	out, err := m.run("systemctl", "--version")
	if f := strings.Fields(out); err == nil && len(f) > 1 {
		if n, err := strconv.Atoi(f[1]); err == nil {
			return n
		}
	}
	return 0
}

// writeUnit has kardianos/service write and enable the unit. It does not write
// over one, so an old one goes first, and comes back when that fails.
func (m *systemdManager) writeUnit(text string) ([]string, error) {
	old, err := os.ReadFile(m.root + unitFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	had := err == nil
	if had && string(old) == text {
		if s, err := m.state(); err == nil && s.automatic {
			return nil, nil
		}
	}
	c, err := m.control(text)
	if err != nil {
		return nil, err
	}
	if had {
		if err := os.Remove(m.root + unitFile); err != nil {
			return nil, err
		}
	}
	if err := c.Install(); err != nil {
		err = fmt.Errorf("the service cannot be installed: %w", err)
		if had {
			err = errors.Join(err, os.WriteFile(m.root+unitFile, old, 0o644))
		}
		return nil, err
	}
	if had {
		return []string{"unit written anew: " + unitFile}, nil
	}
	return []string{"unit written, and enabled: " + unitFile}, nil
}

func (m *systemdManager) uninstall() (did []string, err error) {
	if unit := m.packaged(); unit != "" {
		return nil, fmt.Errorf("a package brought the service (%s): remove the package", unit)
	}
	if _, err := os.Stat(m.root + unitFile); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	c, err := m.control("")
	if err != nil {
		return nil, err
	}
	if err := c.Stop(); err != nil {
		return nil, fmt.Errorf("the service does not stop, and is left as it is: %w", err)
	}
	did = append(did, "stopped")
	if err := c.Uninstall(); err != nil {
		return did, fmt.Errorf("the service cannot be removed: %w", err)
	}
	did = append(did, "unit removed: "+unitFile)
	return append(did, "account "+systemd.User+" kept: it owns the readings (userdel "+systemd.User+", rm "+systemd.SysusersFile+")"), nil
}

func (m *systemdManager) start() error {
	c, err := m.control("")
	if err != nil {
		return err
	}
	return c.Start()
}

func (m *systemdManager) stop() error {
	c, err := m.control("")
	if err != nil {
		return err
	}
	return c.Stop()
}

// serviceRun is for Windows: systemd starts `perseus-agent run`.
func serviceRun(*invocation, string) error {
	return wrong("service run is how Windows starts the program: use perseus-agent run here")
}

// hidden reports whether the unit's ProtectHome and PrivateTmp hide a path.
func hidden(path string) bool {
	for _, dir := range []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp", "/dev", "/proc"} {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// real follows the links of a path; a path that is not there stays as it is.
func real(path string) string {
	if r, err := filepath.EvalSymlinks(path); err == nil {
		return r
	}
	return path
}
