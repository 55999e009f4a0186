package mqtt

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/peers"
)

// TestBitPool is a real chain: a BACnet/IP device (bacpypes3), found and read by
// Node-RED with BitPool's bridge, into Mosquitto, into the driver. From there
// into the agent's half-hours: integration/bacnet_test.go.
func TestBitPool(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute until the bridge has found a device: left out in short mode")
	}
	t.Parallel()
	m, broker := peers.BitPool(t)
	followBridge(t, m, Config{URLs: []string{"mqtt://" + broker}, Format: "bitpool", Devices: []Device{{Meter: "main", Name: peers.BitPoolDevice, Points: []Point{
		{Measure: energy.Import, Name: peers.BitPoolImport, UnitName: "kWh"}, {Measure: energy.Export, Name: peers.BitPoolExport, UnitName: "kWh"}}}}})
}
