package demo

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A demo must never wipe a folder that no demo made.
func TestClearWipesOnlyWhatADemoMade(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious.txt")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (layout{dir: dir}).clear(); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("clear: %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Fatal("it is gone")
	}
	fresh := layout{dir: filepath.Join(t.TempDir(), "demo")}
	if err := fresh.clear(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"agent.db", "bin/perseus-agent"} {
		if err := os.MkdirAll(filepath.Dir(fresh.path(f)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fresh.path(f), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := fresh.clear(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fresh.path("agent.db")); err == nil {
		t.Error("the last demo's store is still there")
	}
	if _, err := os.Stat(fresh.path("bin", "perseus-agent")); err != nil {
		t.Error("the built programs should be kept")
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = layout{base: l.Addr().(*net.TCPAddr).Port - portIssuer}.checkPorts()
	if err == nil || !strings.Contains(err.Error(), "--port-base") || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("checkPorts: %v", err)
	}
}
