package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// A changed configuration is taken over without a restart, one with a mistake
// is refused while the old one goes on, and the service manager never hears
// that the service stops.
func TestReload(t *testing.T) {
	listen, bus := ports.Address(t), simulated(t)
	cfg := configured(t, listen, bus)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var mu sync.Mutex
	var told []string
	ready := make(chan struct{}, 8)
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, cfg, rehearsal.Clock{}, record.Logger(t), func(state string) {
			if strings.HasPrefix(state, "STATUS=") || state == "WATCHDOG=1" {
				return
			}
			mu.Lock()
			told = append(told, state)
			mu.Unlock()
			if state == "READY=1" {
				ready <- struct{}{}
			}
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	post := func() (int, string) {
		t.Helper()
		resp, err := http.Post("http://"+listen+"/api/v1/reload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	// The meter was read: there is something to close.
	for deadline := time.Now().Add(time.Minute); ; {
		code, out, errs := cli(t, "statements", "--config", cfg)
		if code == done && strings.Contains(out, "opening") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
	}
	text, err := os.ReadFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(old, now string) {
		t.Helper()
		changed := strings.Replace(string(text), old, now, 1)
		if changed == string(text) {
			t.Fatalf("%q is not in the configuration", old)
		}
		if err := os.WriteFile(cfg, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite("unit: 1", "unit: 300")
	if code, body := post(); code != http.StatusConflict || !strings.Contains(body, "300") {
		t.Errorf("a mistake: %d %s", code, body)
	}
	rewrite("agent.db", "other.db")
	if code, body := post(); code != http.StatusConflict || !strings.Contains(body, "restart") {
		t.Errorf("another store: %d %s", code, body)
	}
	rewrite("id: main", "id: hall")
	if code, body := post(); code != http.StatusNoContent {
		t.Errorf("a good one: %d %s", code, body)
	}
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the next agent does not begin")
	}
	for deadline := time.Now().Add(time.Minute); ; {
		code, out, errs := cli(t, "status", "--config", cfg)
		if code == done && strings.Contains(out, "hall") && !strings.Contains(out, " main ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
	}
	// The register that is read no more is closed by its last reading.
	for deadline := time.Now().Add(time.Minute); ; {
		code, out, errs := cli(t, "statements", "--config", cfg)
		if code == done && strings.Contains(out, "closing") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(told, " "); got != "READY=1 RELOADING=1 READY=1 STOPPING=1" {
		t.Errorf("told: %s", got)
	}
}

// The check says of meters that are heard where their values are, not what a
// Modbus meter would have.
func TestCheckOfHeardMeters(t *testing.T) {
	cfg := configured(t, "127.0.0.1:1", "127.0.0.1:2")
	text := `site: {name: "Try"}
buses:
  - {id: bms, driver: mqtt, url: "mqtt://127.0.0.1:18830", format: json}
  - {id: files, driver: dcc, url: "file:///drop", format: csv}
meters:
  - {id: press, bus: bms, expect: 5m, points: {import: {topic: "plant/{device}/energy", value: "e.total", unit: kWh}}}
  - {id: office, bus: files, measures: [import]}
`
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := cli(t, "check", "--config", cfg)
	for _, want := range []string{`press, there called "press": import (plant/{device}/energy, e.total, kWh); a fault when it is silent for 5m`, `import (as the feed has it)`, "format json"} {
		if code != done || !strings.Contains(out, want) {
			t.Errorf("exit %d: %q is missing in\n%s%s", code, want, out, errs)
		}
	}
	if strings.Contains(out, "unit 0") || strings.Contains(out, "asked so seldom") {
		t.Errorf("it speaks of a Modbus meter:\n%s", out)
	}
}
