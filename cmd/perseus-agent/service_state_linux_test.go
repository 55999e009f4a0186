package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestUnitState(t *testing.T) {
	for _, c := range []struct {
		show string
		want state
	}{
		{"LoadState=not-found\nActiveState=inactive\nSubState=dead\n", state{}},
		{
			"Result=success\nNRestarts=2\nExecMainStatus=0\nStatusText=all is well\nLoadState=loaded\nActiveState=active\nSubState=running\nFragmentPath=/etc/systemd/system/perseus-agent.service\nUnitFileState=enabled\nStateChangeTimestamp=Sun\nActiveEnterTimestamp=Sat 2026-11-21 10:00:00 UTC\n",
			state{installed: true, running: true, automatic: true, since: "Sat 2026-11-21 10:00:00 UTC", doing: "all is well", definition: unitFile, restarts: 2},
		},
		{
			"Result=watchdog\nExecMainStatus=6\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\nStateChangeTimestamp=Sun\nStatusText=bus a gives no sign of life\n",
			state{installed: true, automatic: true, since: "Sun", trouble: "the program gave no sign of life, and was ended; it is started again in a moment"},
		},
		{
			"Result=exit-code\nExecMainStatus=203\nLoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=disabled\n",
			state{installed: true, trouble: "the program ended with exit code 203: systemd could not run it: is the program where the unit says?"},
		},
		{"Result=success\nLoadState=masked\nActiveState=inactive\n", state{installed: true, trouble: "an administrator masked the unit (systemctl unmask perseus-agent)"}},
		{"Result=success\nLoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n", state{installed: true, automatic: true}},
	} {
		got := unitState(c.show)
		if c.want.log = got.log; got.log != journal || got != c.want {
			t.Errorf("%s\n got %+v\nwant %+v", c.show, got, c.want)
		}
	}
}

// On this machine: no systemd, no root, or neither; status says so plainly.
func TestServiceHere(t *testing.T) {
	m := newManager().(*systemdManager)
	if m.platform == "linux-systemd" && m.euid == 0 {
		t.Skip("this machine is run by systemd and the test by root: nothing is refused")
	}
	if code, _, errs := cli(t, "service", "start"); code != failed || !strings.Contains(errs, "systemd") && !strings.Contains(errs, "root") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if code, _, errs := cli(t, "service", "run"); code != usage || !strings.Contains(errs, "use perseus-agent run here") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// What root makes in the service's folder is the service's: else the service
// could not open the store that `import` made before the first start.
func TestStoreMadeByRootIsTheServices(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: only root can give files away")
	}
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:1")
	const other = 12345
	if err := os.Chown(filepath.Dir(cfg), other, other); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := cli(t, "import", "--config", cfg, "--meter", "main", "--label", "start", history(t, "0.5", "05/01/2026")); code != done {
		t.Fatal(errs)
	}
	fi, err := os.Stat(filepath.Join(filepath.Dir(cfg), "agent.db"))
	if err != nil {
		t.Fatal(err)
	}
	if s := fi.Sys().(*syscall.Stat_t); s.Uid != other || s.Gid != other {
		t.Errorf("the store belongs to %d:%d", s.Uid, s.Gid)
	}
}
