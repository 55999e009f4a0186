//go:build !windows

package store

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A folder without permission is a plain error, and nothing is set aside. Root
// may do everything, so the test becomes another user then.
func TestNoPermission(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "store-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	locked := filepath.Join(dir, "locked")
	must(t, os.Mkdir(locked, 0o555))
	s, _ := mustOpen(t, filepath.Join(dir, "agent.db"))
	must(t, s.Close())
	must(t, os.Chmod(s.path, 0o400))
	for _, path := range []string{filepath.Join(locked, "agent.db"), s.path} {
		cmd := inRole(t, "open", path)
		if os.Getuid() == 0 {
			self := filepath.Join(dir, "self") // the test binary may lie where nobody else can run it
			b, err := os.ReadFile(cmd.Path)
			must(t, err)
			must(t, os.WriteFile(self, b, 0o755))
			cmd.Path = self
			cmd.Dir = dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := cmd.Output()
		must(t, err)
		if !strings.Contains(string(out), "permission denied") {
			t.Errorf("%s: %q", path, out)
		}
	}
	if there, _ := filepath.Glob(filepath.Join(dir, "*.corrupt-*")); there != nil {
		t.Errorf("set aside: %v", there)
	}
}
