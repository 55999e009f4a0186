package dcc

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

func healthy(err error) bool { return err == nil }

// It hears displays, outlives the broker, and ends with its context.
func TestGlowListens(t *testing.T) {
	b := newBroker(t, "", false)
	x := listenGlow(t, Config{URLs: []string{"mqtt://" + b.address + "/site/glow"}, Devices: []Device{elec}})
	b.waitSubscribed(t, "site/glow/+/SENSOR/+")
	x.healthIs(healthy)
	say := func(at, imported string) {
		t.Helper()
		if err := b.Publish("site/glow/"+displayA+"/SENSOR/electricitymeter", []byte(electricity(at, imported, "2", mpanA)), false, 0); err != nil {
			t.Fatal(err)
		}
	}
	say("2024-04-10T12:00:00Z", "6613.405")
	want := drivers.Reading{Sample: energy.Sample{At: utc("2024-04-10 12:00"), Value: 6613405}, DeviceAt: utc("2024-04-10 12:00")}
	if h := x.next(); h.Reading != want {
		t.Errorf("heard %+v", h)
	}
	if h := x.next(); h.Point != 1 || h.Sample.Value != 2000 {
		t.Errorf("heard %+v", h)
	}

	address := b.address
	b.die()
	x.healthIs(func(err error) bool { return err != nil })
	b = newBroker(t, address, false)
	b.waitSubscribed(t, "site/glow/+/SENSOR/+")
	x.healthIs(healthy)
	say("2024-04-10T12:10:00Z", "6613.500")
	if h := x.next(); h.Sample.Value != 6613500 {
		t.Errorf("heard %+v", h)
	}
	x.end()
	if x.g.Health() == nil {
		t.Error("healthy though nobody listens")
	}
}

// Displays that say nothing, and a broker that lets nobody read.
func TestGlowHealth(t *testing.T) {
	b := newBroker(t, "", false)
	c := &clock{t: now}
	x := listenGlow(t, Config{URLs: []string{"mqtt://" + b.address}, Devices: []Device{elec}, Now: c.now})
	b.waitSubscribed(t, "glow/+/SENSOR/+")
	x.healthIs(healthy)
	c.add(tooQuiet)
	if err := x.g.Health(); err != nil {
		t.Errorf("health %v", err)
	}
	c.add(1)
	if err := x.g.Health(); kindOf(err) != drivers.Timeout || !strings.Contains(err.Error(), "local MQTT") {
		t.Errorf("health %v", err)
	}
	if err := b.Publish("glow/"+displayA+"/SENSOR/electricitymeter", []byte(electricity(c.now().Format(time.RFC3339), "5", "0", "")), false, 0); err != nil {
		t.Fatal(err)
	}
	x.next()
	x.healthIs(healthy)
	x.end()

	b = newBroker(t, "", true)
	x = listenGlow(t, Config{URLs: []string{"mqtt://" + b.address}, User: "me", Devices: []Device{elec}})
	x.healthIs(func(err error) bool {
		return kindOf(err) == drivers.Refused && strings.Contains(err.Error(), `give the user "me" the right`)
	})
	x.end()

	x = listenGlow(t, Config{URLs: []string{"mqtt://127.0.0.1:1"}, Devices: []Device{elec}})
	x.healthIs(func(err error) bool { return kindOf(err) == drivers.Refused })
}

// The broker of the field, where there is one on this machine.
func TestGlowMosquitto(t *testing.T) {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !exists(path) {
			t.Skip("mosquitto is absent: apt-get install mosquitto")
		}
	}
	address := ports.Address(t)
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	_, port, _ := net.SplitHostPort(address)
	if err := os.WriteFile(file, []byte(fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nuser root\n", port)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-v", "-c", file)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	go func() {
		for s := bufio.NewScanner(said); s.Scan(); {
		}
	}()
	x := listenGlow(t, Config{URLs: []string{"mqtt://" + address}, Devices: []Device{elec, gasOnly}})
	x.healthIs(healthy)
	display := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("display"))
	if token := display.Connect(); !token.WaitTimeout(limit) || token.Error() != nil {
		t.Fatal(errors.Join(errors.New("the display cannot connect"), token.Error()))
	}
	defer display.Disconnect(0)
	start := utc("2024-04-10 12:00")
	for i := range 50 {
		at := start.Add(time.Duration(i) * 10 * time.Second).Format(time.RFC3339)
		display.Publish("glow/"+displayA+"/SENSOR/electricitymeter", 0, false, electricity(at, fmt.Sprintf("%d.5", 100+i), "3", mpanA))
		display.Publish("glow/"+displayA+"/SENSOR/gasmeter", 0, false, gas(at, fmt.Sprintf("%d.25", 100+i/10), ""))
	}
	imports, gases := 0, 0
	for imports < 50 || gases < 4 {
		switch h := x.next(); {
		case h.Err != nil:
			t.Fatal(h.Err)
		case h.device == 0 && h.Point == 0:
			if h.Sample.Value != int64(100+imports)*1000+500 || !h.Sample.At.Equal(start.Add(time.Duration(imports)*10*time.Second)) {
				t.Errorf("import %d: %+v", imports, h)
			}
			imports++
		case h.device == 1:
			gases++
			if h.Sample.Value != int64(100+gases)*1000+250 || !h.Sample.At.Equal(start.Add(time.Duration(gases)*100*time.Second)) {
				t.Errorf("gas %d: %+v", gases, h)
			}
		}
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func TestGlowRefusedConfigurations(t *testing.T) {
	ok := Config{Format: "glow", URLs: []string{"mqtt://x/a", "mqtts://y/a"}, ClientID: "x", Devices: []Device{elec}}
	if _, err := New(ok); err != nil {
		t.Error(err)
	}
	if ok.URLs[0] != "mqtt://x/a" {
		t.Error("the configuration was changed")
	}
	for name, change := range map[string]func(*Config){
		"no client id":   func(c *Config) { c.ClientID = "" },
		"two prefixes":   func(c *Config) { c.URLs = []string{"mqtt://x/a", "mqtt://y/b"} },
		"reactive":       func(c *Config) { c.Devices = []Device{{Measures: []energy.Measure{energy.ReactiveImport}}} },
		"not a broker's": func(c *Config) { c.URLs = []string{"https://x"} },
	} {
		c := ok
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for s, want := range map[string]string{"mqtt://h": "mqtt://h:1883 glow", "mqtts://h": "mqtts://h:8883 glow", "ssl://h/a/b/": "ssl://h:8883 a/b", "tcp://[::1]:99/": "tcp://[::1]:99 glow", "tcp://h": "tcp://h:1883 glow"} {
		address, prefix, err := broker(s)
		if got := address + " " + prefix; err != nil || got != want {
			t.Errorf("broker(%q) = %s, want %s", s, got, want)
		}
	}
}
