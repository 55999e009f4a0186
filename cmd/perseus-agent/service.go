package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

var serviceCommand = command{
	name: "service", args: "install|uninstall|start|stop|status", short: "run in the background, whenever the machine is on",
	long: `Makes the agent a service of the operating system: systemd on Linux, the service manager on Windows.

  install    check the configuration, make the service and have it start with the machine; again after an update or a new --config
  uninstall  stop and remove the service; the configuration, the readings and the identity stay
  start      start it now
  stop       stop it; it starts again with the machine
  status     say how it is; exit code 0 when it runs, 1 when not

All but status need an administrator (root).`,
	run: func(in *invocation) error { return serviceVerb(in, newManager()) },
}

// manager is what the operating system does for a service.
type manager interface {
	// able is nil where this account may change services here, else says why not.
	able() error
	// install makes the service, or brings it to what the plan says. It tells
	// what it did: nothing when there was nothing to do.
	install(plan) (did []string, err error)
	uninstall() (did []string, err error)
	start() error // returns once it runs, or could not
	stop() error
	state() (state, error)
}

// plan is what is to be installed.
type plan struct {
	exec string // the program, absolute
	cfg  *config.Config
}

// folders is where the agent writes.
func (p plan) folders() []string {
	out := []string{filepath.Dir(p.cfg.Store.Path)}
	if p.cfg.Uplink != nil {
		out = append(out, p.cfg.Uplink.Identity)
	}
	return out
}

// state is how the service is.
type state struct {
	installed, running, automatic bool
	since                         string // when it came to be as it is
	doing                         string // what the agent says of itself
	trouble                       string // why it ended, or is not running, in words
	lastError                     string // the last error in its log
	log                           string // where the log is
	definition                    string // where the service is defined
	restarts                      int
}

var errNotInstalled = errors.New("the service is not installed: see perseus-agent service install")

func serviceVerb(in *invocation, m manager) error {
	file := in.configFlag()
	verb := ""
	// The verb may stand before or after the flags.
	if len(in.argv) > 0 && !strings.HasPrefix(in.argv[0], "-") {
		verb, in.argv = in.argv[0], in.argv[1:]
	}
	most := 1
	if verb != "" {
		most = 0
	}
	if err := in.parse(0, most); err != nil {
		return err
	}
	if verb == "" {
		verb = in.Arg(0)
	}
	act := map[string]func(io.Writer, manager, string) error{
		"install": serviceInstall, "uninstall": serviceUninstall, "start": serviceStart, "stop": serviceStop,
	}[verb]
	switch {
	case verb == "status":
		return serviceStatus(in.stdout, m)
	case verb == "run": // how the Windows service manager starts the program
		return serviceRun(in, *file)
	case verb == "":
		return wrong("give one of %s", in.cmd.args)
	case act == nil:
		return wrong("%q is not one of %s", verb, in.cmd.args)
	}
	if err := m.able(); err != nil {
		return err
	}
	// A service does not run in its installer's folder; what the configuration
	// names is relative to the file.
	path, err := filepath.Abs(*file)
	if err != nil {
		return err
	}
	return act(in.stdout, m, path)
}

func serviceInstall(w io.Writer, m manager, file string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return configProblem(err)
	}
	exec, err := os.Executable()
	if err != nil {
		return fmt.Errorf("where this program is cannot be found out: %w", err)
	}
	fmt.Fprintf(w, "%s is correct: %s at %q.\n", cfg.File, count(len(cfg.Meters)-len(cfg.Virtuals()), "meter"), cfg.Site.Name)
	did, err := m.install(plan{exec: exec, cfg: cfg})
	list(w, did)
	if err != nil {
		return err
	}
	if len(did) == 0 {
		fmt.Fprintln(w, "The service is installed already, just so: nothing was changed.")
	} else {
		fmt.Fprintln(w, "The service is installed. It starts with the machine.")
	}
	s, err := m.state()
	switch {
	case err == nil && s.running && len(did) > 0:
		fmt.Fprintln(w, "\nIt is running as it was before. Next: perseus-agent service stop, then perseus-agent service start")
	case err == nil && s.running:
		fmt.Fprintln(w, "It is running.")
	default:
		fmt.Fprintln(w, "\nNext: perseus-agent service start")
	}
	return nil
}

func serviceUninstall(w io.Writer, m manager, file string) error {
	did, err := m.uninstall()
	list(w, did)
	if err != nil {
		return err
	}
	if len(did) == 0 {
		fmt.Fprintln(w, "The service is not installed: nothing was changed.")
		return nil
	}
	keeps := []string{file, config.DataDir()}
	if cfg, err := config.Load(file); err == nil {
		keeps = append([]string{cfg.File}, plan{cfg: cfg}.folders()...)
	}
	fmt.Fprintln(w, "The service is removed. Your configuration, readings and identity are kept: delete them yourself if they are not needed any more:")
	for i, k := range keeps {
		if i > 0 && k == keeps[i-1] {
			continue
		}
		fmt.Fprintln(w, " ", k)
	}
	return nil
}

func serviceStart(w io.Writer, m manager, _ string) error {
	s, err := m.state()
	switch {
	case err != nil:
		return err
	case !s.installed:
		return errNotInstalled
	case s.running:
		fmt.Fprintln(w, "It is running already, since "+s.since+".")
		return nil
	}
	if err := m.start(); err != nil {
		why := []string{err.Error()}
		if s, err := m.state(); err == nil {
			for _, more := range []string{s.trouble, s.lastError} {
				if more != "" && more != why[0] {
					why = append(why, more)
				}
			}
			why = append(why, "the log: "+s.log)
		}
		return fmt.Errorf("it does not start:\n  %s", strings.Join(why, "\n  "))
	}
	fmt.Fprintln(w, "It runs. Next: perseus-agent service status, or perseus-agent status for the meters.")
	return nil
}

func serviceStop(w io.Writer, m manager, _ string) error {
	s, err := m.state()
	switch {
	case err != nil:
		return err
	case !s.installed:
		return errNotInstalled
	}
	// Also where it does not run: it may be about to be started again.
	if err := m.stop(); err != nil {
		return fmt.Errorf("it does not stop: %w", err)
	}
	if s.running {
		fmt.Fprintln(w, "It is stopped; the last readings are stored. It starts again with the machine, or with perseus-agent service start.")
	} else {
		fmt.Fprintln(w, "It is not running.")
	}
	return nil
}

func serviceStatus(w io.Writer, m manager) error {
	s, err := m.state()
	if err != nil {
		return err
	}
	if !s.installed {
		return errNotInstalled
	}
	switch {
	case s.running && s.since != "":
		fmt.Fprintf(w, "The service runs, since %s.\n", s.since)
	case s.running:
		fmt.Fprintln(w, "The service runs.")
	default:
		fmt.Fprintf(w, "The service is installed, and does not run%s.\n", prefixed(", since ", s.since))
	}
	for _, line := range []struct{ name, text string }{
		{"It says", s.doing}, {"Why", s.trouble}, {"Started again", times(s.restarts)},
		{"With the machine", map[bool]string{true: "starts by itself", false: "does not start by itself: perseus-agent service install mends that"}[s.automatic]},
		{"Last error", s.lastError}, {"Log", s.log}, {"Defined in", s.definition},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "  %-17s %s\n", line.name+":", line.text)
		}
	}
	if !s.running {
		return errors.New("it is not running: perseus-agent service start starts it")
	}
	return nil
}

func list(w io.Writer, did []string) {
	for _, d := range did {
		fmt.Fprintln(w, "-", d)
	}
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func times(n int) string {
	if n == 0 {
		return ""
	}
	return count(n, "time") + " since it was started"
}

// lastError finds the last line of a log that tells of an error: the agent's, or
// systemd's when it could not even begin.
func lastError(log string) string {
	last, open := "", false
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if open { // "the configuration has 1 mistake:" says little without the next line
			last, open = last+" "+line, false
		}
		for _, mark := range []string{"level=ERROR", "perseus-agent run: ", "panic: ", "fatal error: ", ".service: Failed to ", ".service: Failed at step "} {
			if strings.Contains(line, mark) {
				last, open = line, strings.HasSuffix(line, ":")
				break
			}
		}
	}
	return last
}
