package mqtt

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// mosquitto runs the broker that most sites have, on a port of its own.
func mosquitto(t *testing.T, address, dir string) (stop func()) {
	t.Helper()
	path := "/usr/sbin/mosquitto"
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("mosquitto"); err != nil {
			t.Skip("mosquitto is not installed: the driver is not tested against it")
		}
	}
	_, port, _ := net.SplitHostPort(address)
	// queue_qos0_messages is false by default, and left at it: what has no time must not wait.
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 10000\n", port, dir)
	if os.Geteuid() == 0 {
		conf += "user root\n"
	}
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, path, "-c", file)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it writes its sessions down then
	c.WaitDelay = patience
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			cancel()
			_ = c.Wait()
		}
	}
	t.Cleanup(stop)
	until(t, "mosquitto", func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return stop
}

// Mosquitto keeps the session while the agent is away, over its own restart
// too: all comes, once, in order, with the times of the source; what has no
// time is not kept.
func TestMosquitto(t *testing.T) {
	address := ports.Address(t)
	dir := t.TempDir()
	stop := mosquitto(t, address, dir)
	devices := append(udmiMain()[:0:0], Device{Meter: "m", Name: "d", Points: []Point{
		{Measure: 1, Topic: "site/d/import", Value: "v", Time: "t", UnitName: "kWh"}, {Measure: 2, Topic: "site/d/export", UnitName: "kWh"}}})
	c := Config{URLs: []string{"mqtt://" + address}, Format: "json", Now: fixed("2026-03-01T12:00:00Z"), Devices: devices}
	b, got, leave := listen(t, c)
	healthy(t, b, true)
	say := func(topic, payload string) {
		p := publisher(t, "mqtt://"+address)
		if token := p.Publish(topic, 1, false, payload); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		p.Disconnect(100)
	}
	say("site/d/export", "1.5")
	expect(t, got, 0, 1, "2026-03-01T12:00:00Z", 1500)
	leave()
	say("site/d/export", "2.5")
	p := publisher(t, "mqtt://"+address)
	for i := range 200 {
		payload := fmt.Sprintf(`{"v":%d,"t":"2026-03-01T%02d:%02d:00Z"}`, 1000+i, 6+i/60, i%60)
		if token := p.Publish("site/d/import", 1, false, payload); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	p.Disconnect(100)
	stop()
	stopped := mosquitto(t, address, dir)
	b, got, _ = listen(t, c)
	for i := range 200 {
		expect(t, got, 0, 0, fmt.Sprintf("2026-03-01T%02d:%02d:00Z", 6+i/60, i%60), int64(1000+i)*1000)
	}
	healthy(t, b, true)
	say("site/d/export", "3.5")
	expect(t, got, 0, 1, "2026-03-01T12:00:00Z", 3500)

	// It goes away under us.
	stopped()
	healthy(t, b, false)
	mosquitto(t, address, dir)
	healthy(t, b, true)
	say("site/d/import", `{"v":2000,"t":"2026-03-01T11:00:00Z"}`)
	expect(t, got, 0, 0, "2026-03-01T11:00:00Z", 2_000_000)
	if s := b.Stats(); s.Connects != 2 || s.Duplicates != 0 {
		t.Errorf("%+v", s)
	}
}
