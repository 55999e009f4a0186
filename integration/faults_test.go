package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/ports"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

const aloneYAML = `site: {name: "Alone"}
period: 1s
store: {path: agent.db}
web: {listen: "%%s"}
buses:
  - {id: plant-room, driver: modbus, url: "tcp://%s", timeout: 10s}
meters:
  - {id: main, bus: plant-room, unit: 1, poll: 50ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}}}
`

// alone is an agent without an uplink that reads one simulated meter, with
// periods of a second.
func alone(t *testing.T) (*gateway, *load) {
	t.Helper()
	l := &load{base: 5_000_000, rate: 36_000_000} // 10 kWh a second: every moment counts
	return newGateway(t, t.TempDir(), fmt.Sprintf(aloneYAML, simulated(t, time.Now, l))), l
}

// simulated serves a load as unit 1 and gives its address.
func simulated(t *testing.T, now func() time.Time, l *load) string {
	t.Helper()
	address := ports.Address(t)
	sim, err := meter.NewServer("tcp://"+address, now, map[uint8]meter.Unit{1: {Import: l.Register}}, meter.Faults{})
	if err == nil {
		err = sim.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Stop() })
	return address
}

// waitForPeriods waits until the agent has settled a period that starts at or
// after a time.
func (g *gateway) waitForPeriods(what string, after time.Time) {
	g.t.Helper()
	until(g.t, 30*time.Second, what, []*process{g.process}, func() error {
		s, err := g.status()
		if err != nil {
			return err
		}
		if r := s.Meters[0].Registers[0]; r.Settled == 0 || r.Newest.Before(after) {
			return fmt.Errorf("newest period %v, want one from %v", r.Newest, after)
		}
		return nil
	})
}

// A store that is damaged when the agent starts: it starts all the same, with a
// clean store, keeps the damaged one and says so, in its log, its status and
// its page.
func TestStartsWithADamagedStore(t *testing.T) {
	t.Parallel()
	g, _ := alone(t)
	path := filepath.Join(g.dir, "agent.db")
	g.run()
	g.waitForPeriods("the agent works", time.Time{})
	if err := g.stop(); err != nil {
		t.Fatalf("%v\n%s", err, g.log.last(20))
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	garbage := make([]byte, 50_000)
	for i := range garbage {
		garbage[i] = byte(rng.Uint32())
	}
	scribbled := bytes.Clone(sound)
	copy(scribbled[len(scribbled)/4:], garbage)
	for name, content := range map[string][]byte{
		"garbage": garbage, "cut off": sound[:len(sound)/2], "cut to 100 bytes": sound[:100], "empty": {}, "scribbled over": scribbled,
		"text": []byte("this is no store, it is a note that somebody left\n"),
	} {
		t.Run(name, func(t *testing.T) {
			before, err := filepath.Glob(path + ".corrupt-*")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			g.t = t
			g.run()
			from := time.Now()
			g.waitForPeriods("the agent works with a clean store", from)
			s, err := g.status()
			if err != nil {
				t.Fatal(err)
			}
			aside := s.Store.SetAside
			if !strings.HasPrefix(aside, path+".corrupt-") || contains(before, aside) {
				t.Fatalf("status says %q was set aside", aside)
			}
			kept, err := os.ReadFile(aside)
			if err != nil || !bytes.Equal(kept, content) {
				t.Errorf("%s does not hold what was there: %d bytes, %v", aside, len(kept), err)
			}
			noted := false
			for _, n := range s.Notes {
				noted = noted || strings.Contains(n.What, aside)
			}
			if !noted {
				t.Errorf("no note names %s: %+v", aside, s.Notes)
			}
			if log := g.log.String(); !strings.Contains(log, "set aside") || !strings.Contains(log, filepath.Base(aside)) {
				t.Errorf("the log does not say it:\n%s", g.log.last(20))
			}
			if !s.Healthy {
				t.Errorf("not healthy with its clean store: %v", s.Reasons)
			}
			// It works, and whoever asks is told that something was lost from sight.
			if out := must(t, "perseus-agent", "status", "--config", g.config); !strings.Contains(out, "Wrong: the store was damaged and is set aside as "+aside) || strings.Contains(out, "All is well.") {
				t.Errorf("the status command:\n%s", out)
			}
			if err := g.stop(); err != nil {
				t.Fatalf("%v\n%s", err, g.log.last(20))
			}
			if all := g.readings(); len(all) == 0 || all[0].From.Before(from.Add(-2*time.Second)) {
				t.Errorf("%d periods in the clean store", len(all))
			}
		})
	}
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

// A second agent on the same store refuses in plain words, and the first does
// not notice.
func TestSecondInstanceRefuses(t *testing.T) {
	t.Parallel()
	g, _ := alone(t)
	g.run()
	g.waitForPeriods("the agent works", time.Time{})
	text, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := ports.Address(t)
	other := writeFile(t, g.dir, "other.yaml", strings.Replace(string(text), strings.TrimPrefix(g.page, "http://"), elsewhere, 1))
	for _, config := range []string{g.config, other} {
		_, errs, code := run(t, "perseus-agent", "run", "--config", config)
		if code != 1 || !strings.Contains(errs, "in use") || !strings.Contains(errs, fmt.Sprintf("process %d", g.cmd.Process.Pid)) || !strings.Contains(errs, "agent.db") {
			t.Errorf("exit %d, it said:\n%s", code, errs)
		}
		if strings.Contains(errs, "panic") || strings.Contains(errs, "goroutine") {
			t.Errorf("not plain:\n%s", errs)
		}
	}
	g.waitForPeriods("the first agent goes on", time.Now())
	if s, err := g.status(); err != nil || !s.Healthy || s.Store.SetAside != "" {
		t.Errorf("the first agent: %+v, %v", s, err)
	}
}

const weekMeters = `  - {id: unit-1, bus: plant-room, unit: 1, poll: 100ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}}}
`

// The relay is away for a simulated week, in which the gateway measures and
// imports: when it is back, everything arrives, once.
func TestRelayAwayForAWeek(t *testing.T) {
	t.Parallel()
	clock, from := rehearsed(t, 14*24*time.Hour)
	l := &load{base: 1_000_000, rate: 4567}
	w := newWorld(t, clock, weekMeters, map[uint8]meter.Unit{1: {Import: l.Register}})
	seam := from.UTC().Truncate(24 * time.Hour)
	history := func(days int) (file string, first time.Time) {
		first = seam.AddDate(0, 0, -days)
		return writeFile(t, w.dir, "history.csv", historyFile("unit-1", []energy.Measure{energy.Import}, first, first.AddDate(0, 0, 1))), first
	}
	key := energy.Key{Meter: "unit-1", Measure: energy.Import}
	w.startGateway()
	w.permit()
	w.waitForStored(time.Time{}, key)
	l.begin(clock.Now())
	start := w.gateway.readings("--from", from.UTC().Format(time.RFC3339))[0].From // the first that it measured
	first, _ := history(1)
	must(t, "perseus-agent", "import", "--config", w.gateway.config, "--meter", "unit-1", first)
	arrived := func(what string, from, to time.Time) {
		t.Helper()
		until(t, 120*time.Second, what, w.both(), func() error {
			got, err := w.delivered(from, to)
			if err != nil {
				return err
			}
			for _, all := range got {
				if len(all) != int(to.Sub(from)/energy.Period) {
					return fmt.Errorf("%d of %d half-hours", len(all), int(to.Sub(from)/energy.Period))
				}
			}
			return nil
		})
	}
	arrived("the first day has arrived", seam.AddDate(0, 0, -1), seam)

	w.central.kill()
	gone := clock.Now()
	for day := 2; day <= 8; day++ {
		file, _ := history(day)
		must(t, "perseus-agent", "import", "--config", w.gateway.config, "--meter", "unit-1", file)
	}
	w.waitForStored(gone.Add(6*time.Hour), key)
	until(t, 30*time.Second, "the gateway says that the relay is away", []*process{w.gateway.process}, func() error {
		s, err := w.gateway.status()
		if err == nil && (s.Uplink.State != "offline" || s.Uplink.Pending < 7*48 && !s.Uplink.Sealed || !s.Healthy) {
			err = fmt.Errorf("%+v", s.Uplink)
		}
		return err
	})
	l.end(clock.Now())
	last := l.to.Truncate(energy.Period).Add(2 * energy.Period)
	w.waitForStored(last, key)
	w.startCentral()
	w.waitForCentral()
	arrived("the week has arrived", seam.AddDate(0, 0, -8), seam)
	arrived("what was measured has arrived", start, last)

	got, err := w.delivered(seam.AddDate(0, 0, -8), last)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d registers, %v", len(got), err)
	}
	for _, all := range got {
		var sum int64
		seen := map[time.Time]bool{}
		for _, h := range all {
			if seen[h.From] {
				t.Errorf("%v comes twice", h.From)
			}
			seen[h.From] = true
			if h.From.Before(seam) {
				if want := historyWh(key, h.From); h.Energy.wh() != want {
					t.Errorf("%v: %d Wh, imported as %d", h.From, h.Energy.wh(), want)
				}
				continue
			}
			sum += h.Energy.wh()
		}
		if sum != l.advance() {
			t.Errorf("measured half-hours sum to %d Wh, the meter counted %d", sum, l.advance())
		}
		t.Logf("%d half-hours arrived, %d Wh measured as counted", len(all), sum)
	}
}
