package modbus

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// image is a device that pymodbus plays, which nobody here wrote.
type image struct {
	t       *testing.T
	address string
	in      io.Writer
	out     *bufio.Reader
}

// blocks are tables of registers or bits, by first address.
type blocks map[string]map[uint16][]uint16

func served(t *testing.T, framer string, most int, units map[uint8]blocks) *image {
	t.Helper()
	python := os.Getenv("PERSEUS_PEERS_PYTHON")
	if python == "" {
		python = filepath.Join("..", "..", ".peers", "python", "bin", "python")
	}
	if _, err := os.Stat(python); err != nil {
		t.Skip("no pymodbus here: run make peers")
	}
	c := exec.Command(python, filepath.Join("testdata", "peer", "image.py"))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Skipf("no Python here: %v", err)
	}
	t.Cleanup(func() { in.Close(); io.Copy(io.Discard, out); c.Wait() })
	i := &image{t: t, in: in, out: bufio.NewReader(out)}
	var version string
	var port int
	line := i.tell(map[string]any{"framer": framer, "most": most, "units": units})
	if _, err := fmt.Sscanf(line, "pymodbus %s %d", &version, &port); err != nil {
		t.Fatalf("pymodbus said %q: %v", line, err)
	}
	i.address = fmt.Sprintf("127.0.0.1:%d", port)
	return i
}

func (i *image) tell(order any) string {
	i.t.Helper()
	b, err := json.Marshal(order)
	if err != nil {
		i.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(i.in, "%s\n", b); err != nil {
		i.t.Fatal(err)
	}
	line, err := i.out.ReadString('\n')
	if err != nil {
		i.t.Fatal(err)
	}
	return line
}

// set changes registers or bits while it runs, by the function that reads them.
func (i *image) set(unit, function int, address int, values ...uint16) {
	i.t.Helper()
	if got := i.tell([]any{unit, function, address, values}); got != "ok\n" {
		i.t.Fatalf("pymodbus said %q", got)
	}
}

func (i *image) most(words int) { i.tell([]any{words}) }
