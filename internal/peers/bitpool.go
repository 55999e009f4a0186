package peers

import (
	"context"
	_ "embed"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/internal/ports"
)

// flow is what an installer draws: ask who is there, read both points of the
// meter each second, publish them.
//
//go:embed flow.json
var flow string

// What BitPool's bridge calls the Meter and its points.
const (
	BitPoolDevice = "BITPOOL_BACNET_GATEWAY/meter 114"
	BitPoolImport = "Main_kWh_AV_202"
	BitPoolExport = "Main_export_AI_7"
)

// BitPool is the whole chain before the agent: a Meter, found and read by
// Node-RED with BitPool's bridge (npm @bitpoolos/edge-bacnet, which has a BACnet
// stack of its own), which publishes to Mosquitto at a broker's address. The
// meter has counted 1000.25 kWh and 50,000 pulses. It takes the bridge up to
// half a minute to find the meter.
func BitPool(t testing.TB) (m *Meter, broker string) {
	t.Helper()
	red := installed(t, "node", "node_modules", "node-red", "red.js")
	node, err1 := exec.LookPath("node")
	if _, err2 := os.Stat(red); err1 != nil || err2 != nil {
		t.Skip("Node-RED with BitPool's bridge is not installed, scripts/peers does it: no bridge of others is tested")
	}
	local, device := BACnetHosts(t)
	broker = ports.Address(t)
	Mosquitto(t, broker, t.TempDir())
	m = NewMeter(t, device)
	m.Set(1000.25, 50_000)
	_, port, _ := net.SplitHostPort(broker)
	runNodeRED(t, node, red, strings.NewReplacer("LOCAL", local, "DEVICE", device, "PORT", port).Replace(flow))
	return m, broker
}

func runNodeRED(t testing.TB, node, red, flows string) {
	t.Helper()
	dir, web := t.TempDir(), ports.Address(t)
	_, port, _ := net.SplitHostPort(web)
	write(t, dir, "flows.json", flows)
	settings := write(t, dir, "settings.js", `module.exports = {uiHost: "127.0.0.1", uiPort: `+port+`, flowFile: "flows.json", disableEditor: true, credentialSecret: false, telemetry: {enabled: false}};`)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, node, red, "--userDir", dir, "--settings", settings)
	c.Dir, c.Env = dir, append(os.Environ(), "HOME="+dir) // the bridge leaves files where it is started
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			_, _ = log.Seek(0, io.SeekStart)
			text, _ := io.ReadAll(log)
			t.Logf("Node-RED said:\n%s", text)
		}
		_ = log.Close()
	})
	answers(t, "Node-RED", web, ended)
}
