//go:build linux

package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
)

// As the program itself: the test binary, started with this in its environment.
func init() {
	if os.Getenv("PERSEUS_TEST_AS_PROGRAM") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
}

// managerSocket is the service manager's end of NOTIFY_SOCKET.
func managerSocket(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func hear(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		t.Fatalf("nothing was said: %v", err)
	}
	return string(b[:n])
}

func getenv(m map[string]string) func(string) string { return func(k string) string { return m[k] } }

func TestNotifier(t *testing.T) {
	log := record.Logger(t)
	if notifier(getenv(nil), log) != nil {
		t.Error("a notifier without a NOTIFY_SOCKET")
	}
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@perseus-agent-test-" + strconv.Itoa(os.Getpid())} {
		c := managerSocket(t, name)
		notify := notifier(getenv(map[string]string{"NOTIFY_SOCKET": name}), log)
		for _, state := range []string{"READY=1", "STATUS=all is well"} {
			notify(state)
			if got := hear(t, c); got != state {
				t.Errorf("%s: heard %q, want %q", name, got, state)
			}
		}
	}
	// Nobody there: one warning, and the agent goes on.
	var out strings.Builder
	notify := notifier(getenv(map[string]string{"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "nobody")}), slog.New(record.Handler(t, slog.NewTextHandler(&out, nil))))
	notify("READY=1")
	notify("WATCHDOG=1")
	if strings.Count(out.String(), "level=WARN") != 1 {
		t.Errorf("warned:\n%s", out.String())
	}
}

func TestWatchdogInterval(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"60000000", "", 30 * time.Second}, {"60000000", self, 30 * time.Second}, {"200000", self, 100 * time.Millisecond},
		{"60000000", "1", 0}, {"", "", 0}, {"0", "", 0}, {"-1", "", 0}, {"soon", "", 0}, {"9223372036854775807", "", 0},
	} {
		if got := watchdogInterval(getenv(map[string]string{"WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid})); got != c.want {
			t.Errorf("WATCHDOG_USEC=%s WATCHDOG_PID=%s: %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}

// The program under a service manager: ready when the page answers, alive as
// often as is wanted, and leaving when told to.
func TestProgramUnderAManager(t *testing.T) {
	socket, page := filepath.Join(t.TempDir(), "notify"), ports.Address(t)
	c := managerSocket(t, socket)
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "run", "--config", configured(t, page, simulated(t)))
	cmd.Env = append(os.Environ(), "PERSEUS_TEST_AS_PROGRAM=1", "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=100000")
	var said strings.Builder
	cmd.Stderr = record.Writer(t, "perseus-agent run", &said)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if got := hear(t, c); got != "READY=1" {
		t.Fatalf("first said %q", got)
	}
	res, err := http.Get("http://" + page + "/healthz")
	if err != nil {
		t.Fatalf("ready, but the page does not answer: %v", err)
	}
	res.Body.Close()
	alive, status := 0, ""
	for alive < 5 {
		switch got := hear(t, c); {
		case got == "WATCHDOG=1":
			alive++
		case strings.HasPrefix(got, "STATUS="):
			status = got
		default:
			t.Fatalf("said %q", got)
		}
	}
	if status != "STATUS=all is well" {
		t.Errorf("status %q", status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	got := hear(t, c)
	for got == "WATCHDOG=1" {
		got = hear(t, c)
	}
	if got != "STOPPING=1" {
		t.Errorf("after SIGTERM it said %q", got)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
}

// stuckPoller answers until it does not, whatever its context says.
type stuckPoller struct {
	until  time.Time
	forget chan struct{}
}

func (p stuckPoller) Poll(_ context.Context, _ int, dst []drivers.Reading) ([]drivers.Reading, error) {
	if time.Now().After(p.until) {
		<-p.forget
	}
	return dst, nil
}
func (stuckPoller) Close() error { return nil }

// A bus that hangs silences the watchdog on the real socket: within the time
// that the unit waits (WatchdogSec=) systemd starts the program anew.
func TestSilenceWhenABusHangs(t *testing.T) {
	name := "@perseus-agent-silence-" + strconv.Itoa(os.Getpid())
	c := managerSocket(t, name)
	cfg, err := config.Load(configured(t, "127.0.0.1:1", "127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, opened, err := store.Open(cfg.Store.Path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		start, forget := time.Now(), make(chan struct{})
		var last time.Time
		var one sync.Mutex // Notify is called by more than one goroutine
		heard := map[string]int{}
		notify := notifier(getenv(map[string]string{"NOTIFY_SOCKET": name}), record.Logger(t))
		a, err := agent.New(agent.Options{
			Config: cfg, Store: s, Opened: opened, Logger: record.Logger(t), Watchdog: 30 * time.Second,
			Drivers: map[string]agent.Factory{"modbus": func(config.Bus, []config.Meter, func() time.Time, *slog.Logger) (drivers.Poller, error) {
				return stuckPoller{start.Add(10 * time.Minute), forget}, nil
			}},
			Notify: func(state string) { // and the manager hears it at once
				one.Lock()
				defer one.Unlock()
				notify(state)
				got := hear(t, c)
				if heard[got]++; got == "WATCHDOG=1" {
					last = time.Now()
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Hour+time.Second, func() { cancel(); close(forget) }) // not together with a beat of the watchdog
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
		if heard["READY=1"] != 1 || heard["STOPPING=1"] != 1 || heard["STATUS=bus plant gives no sign of life"] != 1 {
			t.Errorf("heard %v", heard)
		}
		if n, d := heard["WATCHDOG=1"], last.Sub(start); n < 20 || d < 10*time.Minute || d > 13*time.Minute {
			t.Errorf("alive %d times, last after %v", n, d)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
