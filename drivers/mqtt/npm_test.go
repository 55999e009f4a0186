package mqtt

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// encode has Eclipse's own JavaScript encoder (npm sparkplug-payload) make payloads.
func encode(t *testing.T, payloads []any) [][]byte {
	t.Helper()
	if testing.Short() {
		t.Skip("needs npm: left out in short mode")
	}
	node, err1 := exec.LookPath("node")
	npm, err2 := exec.LookPath("npm")
	if err1 != nil || err2 != nil {
		t.Skip("node and npm are not installed: Sparkplug payloads of Eclipse's encoder are not tested")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", "sparkplug-payload@1.0.3")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install sparkplug-payload (%v): Sparkplug payloads of Eclipse's encoder are not tested\n%s", err, out)
	}
	const script = `const e = require('sparkplug-payload').get('spBv1.0');
for (const p of JSON.parse(require('fs').readFileSync(0, 'utf8'))) console.log(Buffer.from(e.encodePayload(p)).toString('hex'));`
	if err := os.WriteFile(filepath.Join(dir, "encode.js"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(payloads)
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(ctx, node, "encode.js")
	run.Dir, run.Stdin = dir, bytes.NewReader(in)
	out, err := run.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, line := range strings.Fields(string(out)) {
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// A whole session as Eclipse's encoder writes it, over a broker.
func TestSparkplugPayload(t *testing.T) {
	type o = map[string]any
	props := func(q int) o {
		return o{"engUnit": o{"type": "String", "value": "kWh"}, "Quality": o{"type": "Int32", "value": q}}
	}
	session := []any{
		o{"timestamp": noon - 9000, "seq": 0, "metrics": []o{{"name": "bdSeq", "type": "UInt64", "value": 1}, {"name": "Node Control/Rebirth", "type": "Boolean", "value": false}}},
		o{"timestamp": noon - 9000, "seq": 1, "metrics": []o{
			{"name": "Import", "alias": 1, "timestamp": noon - 9500, "type": "Double", "value": 6613.405, "properties": props(192)},
			{"name": "Export", "alias": 2, "type": "UInt32", "value": 4000000000, "properties": o{"engUnit": o{"type": "String", "value": "Wh"}}},
			{"name": "Power", "alias": 3, "type": "Int32", "value": -5000, "properties": o{"engUnit": o{"type": "String", "value": "W"}}},
		}},
		o{"timestamp": noon - 8000, "seq": 2, "metrics": []o{{"alias": 1, "type": "Double", "value": 6613.5, "timestamp": noon - 8000}}},
		o{"timestamp": noon - 7000, "seq": 3, "metrics": []o{{"alias": 1, "type": "Double", "value": 6613.6, "timestamp": noon - 7000, "properties": props(500)}, {"alias": 3, "type": "Int32", "value": -1, "timestamp": noon - 7000}}},
		o{"timestamp": noon - 6000, "seq": 4, "metrics": []o{{"alias": 1, "type": "Double", "value": 6600.25, "timestamp": noon - 7_200_000, "isHistorical": true}}},
		o{"timestamp": noon - 5000, "seq": 5, "metrics": []o{{"alias": 1, "type": "Double", "value": nil, "timestamp": noon - 5000}}},
	}
	all := encode(t, session)
	if len(all) != len(session) {
		t.Fatalf("%d payloads", len(all))
	}
	m := newTestBroker(t, "")
	b, got, _ := listen(t, Config{URLs: []string{m.url()}, Format: "sparkplug", Now: fixed("2026-03-01T12:00:00Z"), Devices: []Device{{Meter: "main", Name: "Plant/GW/M1", Points: []Point{
		{Measure: energy.Import, Name: "Import"}, {Measure: energy.Export, Name: "Export"}, {Measure: energy.Import, Power: true, Name: "Power"}}}}})
	healthy(t, b, true)
	for i, payload := range all {
		m.say(t, "spBv1.0/Plant/"+[]string{"NBIRTH/GW", "DBIRTH/GW/M1", "DDATA/GW/M1"}[min(i, 2)], string(payload), false)
	}
	expect(t, got, 0, 0, at(noon-9500), 6_613_405)
	expect(t, got, 0, 1, at(noon-9000), 4_000_000_000)
	expect(t, got, 0, 2, at(noon-9000), -5000)
	expect(t, got, 0, 0, at(noon-8000), 6_613_500)
	expect(t, got, 0, 0, at(noon-7000), 6_613_600, 13)
	expect(t, got, 0, 2, at(noon-7000), -1)
	expect(t, got, 0, 0, at(noon-7_200_000), 6_600_250)
	failed(t, got, drivers.Sentinel, "null")
}
