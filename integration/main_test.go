package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// atExit are the things that several tests share: they end with the last one.
var atExit []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(atExit) - 1; i >= 0; i-- {
		atExit[i]()
	}
	os.Exit(code)
}

// programs builds the three programs once, into a folder that goes when the
// tests are done.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "perseus-integration-")
	if err != nil {
		return "", err
	}
	atExit = append(atExit, func() { os.RemoveAll(dir) })
	// Without git's word: it is not to be had of a checkout that another owns.
	flags, err := record.BuildFlags()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-buildvcs=false", "-o", dir + string(filepath.Separator)}, flags...),
		"./cmd/perseus-agent", "./cmd/perseus-central", "./cmd/perseus-sim")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return dir, nil
})

// program is the path of perseus-agent, perseus-central or perseus-sim.
func program(t testing.TB, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// pythonPeer finds the Python interpreter that has the peers.
func pythonPeer(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("PERSEUS_PEERS_PYTHON"); p != "" {
		return p
	}
	p, err := filepath.Abs(filepath.Join("..", ".peers", "python", "bin", "python"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p); err != nil {
		t.Skip("no Python with the scheme's tools and pymodbus: run make peers")
	}
	return p
}
