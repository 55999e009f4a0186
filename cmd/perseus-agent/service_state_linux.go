package main

import (
	"strconv"
	"strings"

	"github.com/perseus-edge/perseus-edge/packaging/systemd"
)

const journal = "journalctl -u " + systemd.Name

func (m *systemdManager) state() (state, error) {
	if m.platform != "linux-systemd" {
		return state{}, errNoSystemd
	}
	out, err := m.run("systemctl", "show", unitName, "--no-pager",
		"--property=LoadState,ActiveState,SubState,UnitFileState,StateChangeTimestamp,ActiveEnterTimestamp,Result,ExecMainStatus,NRestarts,StatusText,FragmentPath")
	if err != nil {
		return state{}, err
	}
	s := unitState(out)
	if s.installed {
		// Who may not read the journal still learns the rest.
		if log, err := m.run("journalctl", "--unit="+unitName, "--lines=300", "--output=cat", "--no-pager", "--quiet"); err == nil {
			s.lastError = lastError(log)
		}
	}
	return s, nil
}

// unitState reads what `systemctl show` prints.
func unitState(show string) state {
	v := map[string]string{}
	for line := range strings.Lines(show) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			v[name] = value
		}
	}
	s := state{
		installed: v["LoadState"] == "loaded" || v["LoadState"] == "bad-setting" || v["LoadState"] == "masked" || v["LoadState"] == "error",
		running:   v["ActiveState"] == "active" || v["ActiveState"] == "reloading",
		automatic: v["UnitFileState"] == "enabled" || v["UnitFileState"] == "enabled-runtime",
		doing:     v["StatusText"], definition: v["FragmentPath"], log: journal,
	}
	s.restarts, _ = strconv.Atoi(v["NRestarts"])
	if s.since = v["StateChangeTimestamp"]; s.running {
		s.since = v["ActiveEnterTimestamp"]
		return s
	}
	s.doing = "" // its last words are the trouble's
	var why []string
	switch v["LoadState"] {
	case "masked":
		why = append(why, "an administrator masked the unit (systemctl unmask "+systemd.Name+")")
	case "bad-setting", "error":
		why = append(why, "systemd cannot read the unit (systemctl status "+systemd.Name+" says more)")
	}
	if w := ended(v["Result"], v["ExecMainStatus"]); w != "" {
		why = append(why, w)
	}
	switch {
	case v["SubState"] == "auto-restart":
		why = append(why, "it is started again in a moment")
	case v["ActiveState"] == "activating":
		why = append(why, "it is starting")
	case v["ActiveState"] == "deactivating":
		why = append(why, "it is stopping")
	}
	s.trouble = strings.Join(why, "; ")
	return s
}

// ended puts systemd's Result (systemd.exec(5), $SERVICE_RESULT) in words.
func ended(result, status string) string {
	switch result {
	case "", "success":
		return ""
	case "exit-code":
		return "the program ended with exit code " + status + map[string]string{
			"2":   ": wrong usage or configuration (perseus-agent check), or a crash",
			"203": ": systemd could not run it: is the program where the unit says?",
			"216": ": the group dialout or perseus-edge is missing (perseus-agent service install makes them)",
			"217": ": the account perseus-edge is missing (perseus-agent service install makes it)",
			"226": ": a folder that the unit names is missing (perseus-agent service install makes them)",
		}[status]
	case "watchdog":
		return "the program gave no sign of life, and was ended"
	case "timeout":
		return "it took too long to start or stop"
	case "oom-kill":
		return "the machine had no memory left for it"
	case "signal", "core-dump":
		return "the program was killed by signal " + status
	}
	return "systemd says " + result
}
