package main

import (
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

// simulated starts a Modbus TCP meter whose register is a million Wh and then
// one more each second, up to 50: it shows 1000.0 kWh however long a test takes.
func simulated(t *testing.T) string {
	t.Helper()
	addr := ports.Address(t)
	born := time.Now()
	register := func(at time.Time) int64 { return 1_000_000 + min(50, int64(at.Sub(born)/time.Second)) }
	s, err := meter.NewServer("tcp://"+addr, time.Now, map[uint8]meter.Unit{1: {Serial: 7, Import: register, Export: register, Reactive: register}}, meter.Faults{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return addr
}

// The daemon as a whole: it reads a meter over a socket, the commands ask it,
// a file is imported through it, and it stops cleanly.
func TestDaemon(t *testing.T) {
	cfg := configured(t, ports.Address(t), simulated(t))
	t.Chdir(filepath.Dir(cfg))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready := make(chan struct{})
	ended := make(chan error, 1)
	once := sync.OnceFunc(func() { close(ready) })
	go func() {
		ended <- serve(ctx, filepath.Base(cfg), rehearsal.Clock{}, record.Logger(t), func(state string) {
			if state == "READY=1" {
				once()
			}
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}

	// It was started in the folder of its configuration; the commands run in
	// another.
	t.Chdir(t.TempDir())

	// Once it is ready the page answers; the first reading comes a poll later.
	deadline := time.Now().Add(time.Minute)
	for {
		code, out, errs := cli(t, "status", "--config", cfg)
		if code == done && strings.Contains(out, "All is well.") && strings.Contains(out, "  1000.0") && strings.Contains(out, "  kWh  ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
	}
	code, out, _ := cli(t, "status", "--config", cfg, "--format", "json")
	var st struct {
		SiteCode string
		Meters   []struct{ ID, State string }
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil || code != done || st.SiteCode != "" || st.Meters[0].State != "ok" {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
	code, out, errs := cli(t, "import", "--config", cfg, "--meter", "main", "--label", "start", history(t, "0.25", "05/01/2026"))
	if code != done || !strings.Contains(out, "taken: 48, 12.000 kWh") {
		t.Errorf("import: exit %d\n%s%s", code, out, errs)
	}
	for _, format := range []string{"table", "csv", "json"} {
		code, out, errs = cli(t, "readings", "--config", cfg, "--from", "2026-01-05", "--to", "2026-01-06", "--format", format)
		if code != done || strings.Count(out, "imported") != 48 {
			t.Errorf("readings: exit %d\n%.300s%s", code, out, errs)
		}
	}
	// The statement of the first reading is stored with the next commit.
	for {
		if code, out, errs = cli(t, "statements", "--config", cfg, "--verify"); code == done && strings.Contains(out, "whole, from the beginning") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("statements: exit %d\n%s%s", code, out, errs)
		}
	}
	if code, out, errs = cli(t, "findings", "--config", cfg, "--format", "json"); code != done || !strings.HasPrefix(out, `{"data":[`) {
		t.Errorf("findings: exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs = cli(t, "probe", "--config", cfg); code != failed || !strings.Contains(errs, "stop it first") {
		t.Errorf("probe beside the agent: exit %d\n%s", code, errs)
	}
	if code, out, errs = cli(t, "probe", "--config", cfg, "--while-running", "--apart", "0"); code != done || !strings.Contains(out, "  1000.0") {
		t.Errorf("probe: exit %d\n%s%s", code, out, errs)
	}
	if code, _, errs = cli(t, "run", "--config", cfg); code != failed || !strings.Contains(errs, "running already") {
		t.Errorf("a second agent: exit %d\n%s", code, errs)
	}

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if code, out, _ := cli(t, "status", "--config", cfg); code != done || !strings.Contains(out, "48") {
		t.Errorf("after the stop: exit %d\n%s", code, out)
	}
}

// The real program stops on SIGTERM with exit code 0.
func TestProgramStopsOnSIGTERM(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	bin := filepath.Join(t.TempDir(), "perseus-agent")
	flags, err := record.BuildFlags()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", append(append([]string{"build", "-buildvcs=false", "-o", bin}, flags...), ".")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(bin, "run", "--config", configured(t, ports.Address(t), simulated(t)))
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := io.TeeReader(pipe, record.Writer(t, "perseus-agent run", nil))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 0, 4096)
	for part := make([]byte, 512); !strings.Contains(string(said), "register opened"); {
		n, err := log.Read(part)
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		said = append(said, part[:n]...)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for part := make([]byte, 512); ; {
		n, err := log.Read(part)
		said = append(said, part[:n]...)
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(string(said), "msg=stopped") {
		t.Errorf("%v: %s", err, said)
	}
}

// A rehearsal clock is for simulated meters on this machine only.
func TestRehearsalIsForLoopbackOnly(t *testing.T) {
	cfg := configured(t, ports.Address(t), "10.255.255.1:502")
	code, _, errs := cli(t, "run", "--config", cfg, "--rehearse", "2026-11-01T12:00:00Z,2026-11-01T11:00:00Z,120")
	if code != usage || !strings.Contains(errs, "simulated meters on this machine") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}
