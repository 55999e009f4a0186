package mqtt

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// TestBitPool is a real chain: a BACnet/IP device (bacpypes3), found and read by
// Node-RED with BitPool's bridge (npm @bitpoolos/edge-bacnet, with a BACnet
// stack of its own), into Mosquitto, into the driver.
func TestBitPool(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute until the bridge has found a device: left out in short mode")
	}
	t.Parallel()
	nodeRED, err := filepath.Abs(filepath.Join("..", "..", ".peers", "node", "node_modules", "node-red", "red.js"))
	if err != nil {
		t.Fatal(err)
	}
	node, err1 := exec.LookPath("node")
	if _, err2 := os.Stat(nodeRED); err1 != nil || err2 != nil {
		t.Skip("Node-RED with BitPool's bridge is not installed, scripts/peers does it: no bridge of others is tested")
	}
	python := bacpypes(t)

	// BACnet has one port: device and bridge have loopback addresses of their own.
	subnet := fmt.Sprintf("127.%d.%d.", 2+rand.IntN(250), rand.IntN(250))
	local, device := subnet+"1", subnet+"2"
	busy, err := net.ListenPacket("udp4", device+":47808")
	if err != nil {
		t.Skipf("UDP port 47808 cannot be had at %s (%v): no bridge of others is tested", device, err)
	}
	_ = busy.Close()

	dir, address := t.TempDir(), ports.Address(t)
	mosquitto(t, address, dir)
	set := runDevice(t, python, device)
	set(1000.25, 50_000)
	_, port, _ := net.SplitHostPort(address)
	runNodeRED(t, node, nodeRED, strings.NewReplacer("LOCAL", local, "DEVICE", device, "PORT", port))
	followBridge(t, set, Config{URLs: []string{"mqtt://" + address}, Format: "bitpool", Devices: []Device{{Meter: "main", Name: "BITPOOL_BACNET_GATEWAY/meter 114", Points: []Point{
		{Measure: energy.Import, Name: "Main_kWh_AV_202", UnitName: "kWh"}, {Measure: energy.Export, Name: "Main_export_AI_7", UnitName: "kWh"}}}}})
}

// runNodeRED runs the flow of testdata/bridge, which an installer draws: ask
// who is there, read both points each second, publish them.
func runNodeRED(t *testing.T, node, red string, fill *strings.Replacer) {
	t.Helper()
	dir := t.TempDir()
	flow, err := os.ReadFile("testdata/bridge/flow.json")
	if err != nil {
		t.Fatal(err)
	}
	_, web, _ := net.SplitHostPort(ports.Address(t))
	settings := `module.exports = {uiHost: "127.0.0.1", uiPort: ` + web + `, flowFile: "flows.json", disableEditor: true, credentialSecret: false, telemetry: {enabled: false}};`
	for name, text := range map[string]string{"flows.json": fill.Replace(string(flow)), "settings.js": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, node, red, "--userDir", dir, "--settings", filepath.Join(dir, "settings.js"))
	c.Dir, c.Env = dir, append(os.Environ(), "HOME="+dir) // the bridge leaves files where it is started
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
			t.Logf("Node-RED said:\n%s", text)
		}
		_ = log.Close()
	})
	until(t, "Node-RED", func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+web, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}
