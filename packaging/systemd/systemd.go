// Package systemd holds the unit and the account of perseus-agent under
// systemd: the one text that `perseus-agent service install` and the packages
// write.
package systemd

import (
	_ "embed"
	"fmt"
	"path"
	"strings"
)

const (
	// Name of the service; the unit is Name + ".service".
	Name = "perseus-agent"
	// User and group under which it runs.
	User = "perseus-edge"
	// SysusersFile is where Sysusers goes when an administrator installs.
	SysusersFile = "/etc/sysusers.d/perseus-edge.conf"
	// StateDir and ConfigDir are the unit's StateDirectory and
	// ConfigurationDirectory.
	StateDir  = "/var/lib/perseus-edge"
	ConfigDir = "/etc/perseus-edge"
)

//go:embed perseus-agent.service.in
var unit string

// Sysusers is the account in the form of sysusers.d(5).
//
//go:embed sysusers.conf
var Sysusers string

// Options of a unit.
type Options struct {
	Exec     string   // the program, absolute
	Config   string   // the configuration, absolute
	Writable []string // folders outside StateDir that the agent writes to, absolute
	// Version of systemd that will read the unit; 0 if unknown. Settings that
	// it does not know are left out: it would warn of them at every reload.
	Version int
}

// backoffSince is the version of systemd that knows RestartSteps=.
const backoffSince = 254

// Render gives the text of the unit. It fails where a path is not absolute or
// holds what a unit file cannot.
func Render(o Options) (string, error) {
	exec, err := quote(o.Exec)
	if err == nil && strings.ContainsAny(o.Exec, `'"\`) {
		err = fmt.Errorf("systemd does not run %q, since it holds a quotation mark or a backslash: use another path", o.Exec)
	}
	if err != nil {
		return "", fmt.Errorf("the program: %w", err)
	}
	config, err := quote(o.Config)
	if err != nil {
		return "", fmt.Errorf("the configuration: %w", err)
	}
	config = strings.ReplaceAll(config, "$", "$$") // in an argument, but not in a path, $ begins a variable
	writable := ""
	for _, w := range o.Writable {
		q, err := quote(w)
		if err != nil {
			return "", fmt.Errorf("a folder to write to: %w", err)
		}
		writable += "ReadWritePaths=" + q + "\n"
	}
	backoff := ""
	if o.Version == 0 || o.Version >= backoffSince {
		backoff = "RestartSteps=6\nRestartMaxDelaySec=300\n"
	}
	return strings.NewReplacer("@EXEC@", exec, "@CONFIG@", config, "@WRITABLE@\n", writable, "@BACKOFF@\n", backoff).Replace(unit), nil
}

// quote writes a path as systemd.syntax(7) reads it.
func quote(file string) (string, error) {
	if !path.IsAbs(file) {
		return "", fmt.Errorf("%q is not an absolute path", file)
	}
	for _, r := range file {
		if r < ' ' || r == 0x7f || r == '{' || r == '}' {
			return "", fmt.Errorf("%q holds %q, which a unit file cannot hold safely: use another path", file, r)
		}
	}
	q := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(file)
	if strings.ContainsAny(file, " '\"\\;") {
		q = `"` + q + `"`
	}
	return q, nil
}
