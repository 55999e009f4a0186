package peers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
)

// Mosquitto runs the broker that most sites have, at an address of
// ports.Address, with its sessions kept in dir. stop has it end as a service
// manager does, and waits for that; it may be called again.
func Mosquitto(t testing.TB, address, dir string) (stop func()) {
	t.Helper()
	path := "/usr/sbin/mosquitto"
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("mosquitto"); err != nil {
			t.Skip("mosquitto is not installed, scripts/peers does it: nothing is tested against it")
		}
	}
	_, port, _ := net.SplitHostPort(address)
	// queue_qos0_messages is false by default, and left at it: what has no time must not wait.
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 10000\n", port, dir)
	if os.Geteuid() == 0 {
		conf += "user root\n"
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, path, "-c", write(t, dir, "mosquitto.conf", conf))
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it writes its sessions down then
	c.WaitDelay = patience
	if err := c.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	answers(t, "mosquitto", address, ended)
	return stop
}
