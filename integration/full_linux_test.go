package integration

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perseus-edge/perseus-edge/energy"
)

// limit sets the largest size of a file that a running process may write. What
// lies beyond cannot be written to any more, as on a disk without room.
func limit(t *testing.T, p *process, bytes uint64) {
	t.Helper()
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil); err != nil {
		t.Fatal(err)
	}
}

// A limit on the size of files bites while the agent runs, and goes again.
func TestFullDiskWhileRunning(t *testing.T) {
	t.Parallel()
	g, l := alone(t)
	checkFull(t, g, l, func() { limit(t, g.process, 8192) }, func() { limit(t, g.process, unix.RLIM_INFINITY) }, false)
}

// The same, but the agent is killed with readings in memory that it could not
// store: the registers are read on from what is stored.
func TestFullDiskAndKill(t *testing.T) {
	t.Parallel()
	g, l := alone(t)
	checkFull(t, g, l, func() { limit(t, g.process, 8192) }, func() {}, true)
}

const fullYAML = `site: {name: "Full"}
store: {path: agent.db}
web: {listen: "%%s"}
buses:
  - {id: plant-room, driver: modbus, url: "tcp://%s", timeout: 10s}
meters:
  - {id: unit-1, bus: plant-room, unit: 1, poll: 100ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}}}
`

// A real file system without room: one of its own, which a ballast fills up to
// the last page. What is there can be overwritten; the file cannot grow. A year
// of history does not fit: the import says so and takes nothing by halves, the
// agent goes on, and with room all is well and every watt hour is there.
func TestFullFileSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("perseus-test", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size=3m"); err != nil {
		t.Skipf("no file system of its own for the agent: %v (needs root)", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	clock, _ := rehearsed(t, 12*24*time.Hour)
	l := &load{base: 77_000_000, rate: 9876}
	g := newGateway(t, dir, fmt.Sprintf(fullYAML, simulated(t, clock.Now, l)))
	g.run("--rehearse", clock.String())
	g.waitForPeriods("the agent works", time.Time{})
	l.begin(clock.Now())

	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the file system did not fill up: %v", err)
	}
	seam := clock.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	from := seam.AddDate(0, 0, -360)
	year := writeFile(t, t.TempDir(), "year.csv", historyFile("unit-1", []energy.Measure{energy.Import}, from, seam))
	out, errs, code := run(t, "perseus-agent", "import", "--config", g.config, "--meter", "unit-1", year)
	if code != 1 || !strings.Contains(errs, "no room left on the disk") {
		t.Errorf("importing a year into a full disk: exit %d\n%s%s", code, out, errs)
	}
	g.waitForPeriods("the agent goes on", clock.Now().Add(2*time.Hour))
	if code, why, err := g.health(); err != nil || code != http.StatusOK && !strings.Contains(strings.Join(why, " "), "no room left on the disk") {
		t.Errorf("/healthz: %d %v, %v", code, why, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	must(t, "perseus-agent", "import", "--config", g.config, "--meter", "unit-1", year)
	g.waitForHealth("all is well with room", http.StatusOK)
	l.end(clock.Now())
	g.waitForPeriods("the meter stands still again", l.to.Add(time.Hour))
	if err := g.stop(); err != nil {
		t.Fatalf("%v\n%s", err, g.log.last(20))
	}

	all := g.readings("--from", from.Format(time.RFC3339), "--to", seam.Format(time.RFC3339))
	if len(all) != 360*48 {
		t.Errorf("%d half-hours of the year, want %d", len(all), 360*48)
	}
	for _, h := range all {
		if want := historyWh(energy.Key{Meter: "unit-1", Measure: energy.Import}, h.From); h.Energy.wh() != want {
			t.Errorf("%v: %d Wh, imported as %d", h.From, h.Energy.wh(), want)
		}
	}
	measured := g.readings("--from", seam.Add(24*time.Hour).Format(time.RFC3339))
	if sum := checkChain(t, measured, energy.Period); sum != l.advance() {
		t.Errorf("%d half-hours sum to %d Wh, the meter counted %d", len(measured), sum, l.advance())
	}
	t.Logf("%d half-hours measured, %d Wh as counted", len(measured), l.advance())
}
