package mqtt

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/peers"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// TestBACnetBridge is a real chain: a BACnet/IP device (bacpypes3), read by
// novatechflow/bacnet-mqtt-gateway, into Mosquitto, into the driver.
//
// It needs a checkout of the bridge, which no registry has, after npm install,
// in PERSEUS_BACNET_BRIDGE; TestBitPool is the chain that needs none. At 3755a2a the bridge asks for bacstack
// 0.0.1-beta.14, where the names that it uses are gone, so that it finds no
// values: npm install --no-save bacstack@0.0.1-beta.13 mends that.
func TestBACnetBridge(t *testing.T) {
	bridge := os.Getenv("PERSEUS_BACNET_BRIDGE")
	if bridge == "" {
		t.Skip("PERSEUS_BACNET_BRIDGE is not set: no bridge of others is tested")
	}
	peers.NeedBACnetPort(t, "0.0.0.0") // it does not let one choose

	dir := t.TempDir()
	address := ports.Address(t)
	peers.Mosquitto(t, address, dir)
	const host = "127.0.0.77" // of the device
	m := peers.NewMeter(t, host)
	m.Set(1000.25, 50_000)
	runBridge(t, bridge, dir, host, address)

	followBridge(t, m, Config{URLs: []string{"mqtt://" + address}, Format: "bacnet-mqtt-gateway", Devices: []Device{{Meter: "main", Name: "114", Points: []Point{
		{Measure: energy.Import, Name: "2_202", UnitName: "kWh"}, {Measure: energy.Export, Name: "23_1", UnitName: "kWh", Scale: "10^-1"}}}}})
}

// followBridge wants what the device has, import and export, then what it
// changes to, and that again as another client, which gets what is retained.
func followBridge(t *testing.T, m *peers.Meter, c Config) {
	t.Helper()
	b, got, stop := listen(t, c)
	healthy(t, b, true)
	await := func(wh, export int64) {
		t.Helper()
		seen := [2]int64{-1, -1}
		for seen != [2]int64{wh, export} {
			h := next(t, got)
			if h.Err != nil || h.Flags != 0 || h.DeviceAt.IsZero() || time.Since(h.Sample.At).Abs() > time.Minute {
				t.Fatalf("%+v", h)
			}
			seen[h.Point] = h.Sample.Value
		}
	}
	await(1_000_250, 5_000_000)
	m.Set(1000.5, 50_003)
	await(1_000_500, 5_000_300)
	stop()
	c.ClientID = "another"
	_, got, _ = listen(t, c)
	await(1_000_500, 5_000_300)
}

func runBridge(t *testing.T, bridge, dir, device, broker string) {
	t.Helper()
	for path, text := range map[string]string{
		"devices/device.114.json": fmt.Sprintf(`{"device":{"deviceId":114,"address":%q},"polling":{"class":"fast","intervalMs":1000},"objects":[{"objectId":{"type":2,"instance":202}},{"objectId":{"type":23,"instance":1}}]}`, device),
		"log":                     "",
	} {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := net.SplitHostPort(broker)
	_, web, _ := net.SplitHostPort(ports.Address(t))
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "node", filepath.Join(bridge, "src/app.js"))
	c.Dir = dir
	c.Env = append(os.Environ(), "NODE_CONFIG_DIR="+filepath.Join(bridge, "config"), "MQTT_HOST="+host, "MQTT_PORT="+port, "MQTT_USERNAME=u", "MQTT_PASSWORD=p", "MQTT_GATEWAY_ID=gw1",
		"AUTH_JWT_SECRET=only-for-this-test-only-for-this-test", "HTTP_PORT="+web, "AUTH_DB_PATH="+dir+"/auth.db", "RUNTIME_DB_PATH="+dir+"/runtime.db", "TMPDIR="+dir)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait()
		if t.Failed() {
			_, _ = log.Seek(0, io.SeekStart)
			text, _ := io.ReadAll(log)
			t.Logf("the bridge said:\n%s", text)
		}
		_ = log.Close()
	})
}
