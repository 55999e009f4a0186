package peers

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"testing"
)

//go:embed device.py
var devicePy string

// Meter is a BACnet/IP meter on bacpypes3, device 114.
type Meter struct {
	t     testing.TB
	in    io.WriteCloser
	lines *bufio.Reader
}

// NewMeter starts it at an address of loopback, at BACnet's only port.
func NewMeter(t testing.TB, address string) *Meter {
	t.Helper()
	c := exec.Command(bacpypes(t), write(t, t.TempDir(), "device.py", devicePy), address)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = c.Wait() }) // it ends with its input
	return &Meter{t: t, in: in, lines: bufio.NewReader(out)}
}

// Set has it count: import in kWh, export in pulses of 0.1 kWh. Whoever reads
// it from now on gets these.
func (m *Meter) Set(kwh float64, pulses int) {
	m.t.Helper()
	if _, err := fmt.Fprintln(m.in, kwh, pulses); err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.lines.ReadString('\n'); err != nil {
		m.t.Fatalf("the BACnet meter: %v", err)
	}
}

// bacpypes gives a Python that has bacpypes3.
func bacpypes(t testing.TB) string {
	t.Helper()
	python := os.Getenv("PERSEUS_PYTHON")
	if python == "" {
		python = installed(t, "python", "bin", "python")
	}
	if out, err := exec.Command(python, "-c", "import bacpypes3").CombinedOutput(); err != nil {
		t.Skipf("%s has no bacpypes3 (%v), scripts/peers installs it: no bridge of others is tested\n%s", python, err, out)
	}
	return python
}

// BACnetPort is the one UDP port that the bridges know.
const BACnetPort = "47808"

// BACnetHosts gives two addresses of loopback where that port is free, so that
// a bridge and a device may both have it.
func BACnetHosts(t testing.TB) (bridge, device string) {
	t.Helper()
	subnet := fmt.Sprintf("127.%d.%d.", 2+rand.IntN(250), rand.IntN(250))
	bridge, device = subnet+"1", subnet+"2"
	NeedBACnetPort(t, device)
	return bridge, device
}

// NeedBACnetPort skips the test where the port cannot be had at a host.
func NeedBACnetPort(t testing.TB, host string) {
	t.Helper()
	busy, err := net.ListenPacket("udp4", net.JoinHostPort(host, BACnetPort))
	if err != nil {
		t.Skipf("UDP port %s cannot be had at %s (%v): no bridge of others is tested", BACnetPort, host, err)
	}
	_ = busy.Close()
}
