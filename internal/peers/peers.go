// Package peers starts programs that nobody here wrote, for the tests that talk
// to them: Mosquitto, a BACnet/IP meter on bacpypes3, Node-RED with BitPool's
// BACnet bridge. A test whose peer is missing is skipped with a line that says
// so; scripts/peers installs them.
package peers

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// patience bounds the wait for a program's start, on a machine with much to do.
const patience = 2 * time.Minute

// installed is where scripts/peers puts things: .peers of the project, which is
// found from the folder of whichever test asks.
func installed(t testing.TB, parts ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(append([]string{dir, ".peers"}, parts...)...)
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("the test runs outside the project: no go.mod in any folder above")
		}
		dir = up
	}
}

// answers waits until something takes connections at an address, or has ended.
func answers(t testing.TB, what, address string, ended <-chan struct{}) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("%s ended by itself before it took connections at %s", what, address)
		case <-deadline:
			t.Fatalf("%s takes no connections at %s: %v", what, address, err)
		}
	}
}

// write puts a text into a file of a test's folder.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
