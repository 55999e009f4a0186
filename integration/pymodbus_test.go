package integration

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"
)

// pymodbus starts a pymodbus server with units 1 to n, whose holding and input
// registers are one table of zeros, and gives its address.
func pymodbus(t testing.TB, n int) (address string, p *process) {
	t.Helper()
	python := pythonPeer(t)
	cmd := exec.Command(python, "-c", "import pymodbus")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("no pymodbus in %s: run make peers (%s)", python, strings.TrimSpace(string(out)))
	}
	first := make(chan string, 1)
	p, err := launch("pymodbus", python, func(c *exec.Cmd) {
		c.Stdout = nil
		if _, err := c.StdinPipe(); err != nil { // it serves until this end closes
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			line, _ := bufio.NewReader(out).ReadString('\n')
			first <- line
		}()
	}, filepath.Join("peers", "modbus_server.py"), fmt.Sprint(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	select {
	case line := <-first:
		var version string
		var port int
		if _, err := fmt.Sscanf(line, "pymodbus %s %d", &version, &port); err != nil {
			t.Fatalf("pymodbus said %q: %v\n%s", line, err, p.log.last(20))
		}
		t.Logf("pymodbus %s serves %d units at port %d", version, n, port)
		return fmt.Sprintf("127.0.0.1:%d", port), p
	case <-time.After(60 * time.Second):
		t.Fatalf("pymodbus did not say within 60 s where it listens\n%s", p.log.last(20))
		return "", nil
	}
}

// writer is a Modbus client that sets the registers of one unit.
func writer(t testing.TB, address string, unit uint8) *wire.ModbusClient {
	t.Helper()
	c, err := wire.NewClient(&wire.ClientConfiguration{URL: "tcp://" + address, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(); err != nil {
		t.Fatalf("pymodbus at %s: %v", address, err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetUnitId(unit); err != nil {
		t.Fatal(err)
	}
	return c
}
