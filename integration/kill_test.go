package integration

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

const killMeters = `  - {id: unit-1, bus: plant-room, unit: 1, poll: 100ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}, export: {address: 0x0104, type: uint64, unit: Wh}}}
  - {id: unit-2, bus: plant-room, unit: 2, poll: 100ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}}}
  - {id: unit-3, bus: plant-room, unit: 3, poll: 100ms, registers: {import: {address: 0x0100, type: uint64, unit: Wh}}}
`

const (
	agentKills   = 25
	centralKills = 25
	chunks       = 120 // files of history, a day's of a meter each
)

// killing is one run of the test.
type killing struct {
	*world
	rng   *rand.Rand
	loads map[energy.Key]*load
	seam  time.Time // history ends here

	imported chan struct{} // a file of history was taken just now: there is something to send
	highest  uint64        // batch that the gateway said was acknowledged
}

// kill -9 of the agent and of the relay at random moments, many times over,
// while meters count, history is imported and batches flow: in the end the
// relay has every half-hour that the gateway has, each once, in one unbroken
// chain, and they sum to what the meters counted.
func TestKillAtRandomMoments(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("PERSEUS_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (PERSEUS_TEST_SEED=%d draws the same moments)", seed, seed)

	// A half-hour takes 1.8 s; the present is twenty minutes away.
	clock, from := rehearsed(t, 20*1000*time.Minute)
	k := &killing{rng: rand.New(rand.NewPCG(seed, 0)), seam: from.UTC().Truncate(energy.Period).Add(-24 * time.Hour), loads: map[energy.Key]*load{
		{Meter: "unit-1", Measure: energy.Import}: {base: 10_000_000, rate: 7321},
		{Meter: "unit-1", Measure: energy.Export}: {base: 20_000_000, rate: 2903},
		{Meter: "unit-2", Measure: energy.Import}: {base: 30_000_000, rate: 12_007},
		{Meter: "unit-3", Measure: energy.Import}: {base: 40_000_000, rate: 611},
	}}
	counter := func(meter string, m energy.Measure) meter.Counter {
		return k.loads[energy.Key{Meter: meter, Measure: m}].Register
	}
	k.world = newWorld(t, clock, killMeters, map[uint8]meter.Unit{
		1: {Import: counter("unit-1", energy.Import), Export: counter("unit-1", energy.Export)},
		2: {Import: counter("unit-2", energy.Import)},
		3: {Import: counter("unit-3", energy.Import)},
	})
	k.startGateway()
	k.permit()
	k.waitForStored(time.Time{}, k.keys()...)
	for _, l := range k.loads {
		l.begin(clock.Now())
	}

	k.imported = make(chan struct{}, 1)
	history, gone := make(chan error, 1), make(chan struct{})
	go func() { defer close(gone); history <- k.importHistory(rand.New(rand.NewPCG(seed, 1))) }()
	t.Cleanup(func() { <-gone }) // its context has ended by then
	began := time.Now()
	k.kill()
	t.Logf("%d kills of the agent and %d of central in %v", agentKills, centralKills, time.Since(began).Round(time.Millisecond))
	select {
	case err := <-history:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Minute):
		t.Fatalf("the history is not imported within five minutes of the last kill\n%s", k.gateway.log.last(30))
	}
	k.revive()

	stop := clock.Now()
	for _, l := range k.loads {
		l.end(stop)
	}
	last := stop.Truncate(energy.Period).Add(2 * energy.Period) // by then every register has stood still for a half-hour
	k.waitForStored(last, k.keys()...)
	k.settle(last.Add(energy.Period))
	k.check(last.Add(energy.Period))
}

func (k *killing) keys() []energy.Key { return slices.Collect(maps.Keys(k.loads)) }

// kill kills, and starts again, in an order and after times drawn by lot.
func (k *killing) kill() {
	agents, centrals := agentKills, centralKills
	for n := 1; agents+centrals > 0; n++ {
		k.pause()
		if k.rng.IntN(agents+centrals) < agents {
			agents--
			k.gateway.process.kill()
			k.wait(k.rng.IntN(300))
			k.startGateway()
		} else {
			centrals--
			k.central.kill()
			k.wait(k.rng.IntN(700)) // long enough for a batch to find nobody
			k.startCentral()
		}
		if n%10 == 0 {
			k.breathe()
		}
	}
}

// pause waits for a random time: sometimes hardly any, so that starting is cut
// off as well as working, and often just until there is something to send.
func (k *killing) pause() {
	switch k.rng.IntN(4) {
	case 0:
		k.wait(k.rng.IntN(150))
	case 1:
		k.wait(k.rng.IntN(1500))
	default:
		select {
		case <-k.imported:
			k.wait(k.rng.IntN(80))
		case <-time.After(2 * time.Second):
		}
	}
}

func (k *killing) wait(milliseconds int) {
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
	case <-k.t.Context().Done():
		k.t.Fatal(k.t.Context().Err())
	}
}

// revive starts the agent again where it ended by itself, for the one reason
// that is right: an import held the store for longer than it waits for it.
func (k *killing) revive() {
	k.t.Helper()
	if !k.gateway.ended() {
		return
	}
	if !strings.Contains(k.gateway.log.String(), "in use") {
		k.t.Fatalf("the agent ended by itself: %v\n%s", k.gateway.err, k.gateway.log.last(30))
	}
	k.startGateway()
}

// breathe lets the two alone until one more batch is acknowledged: the kills
// must fall among real work.
func (k *killing) breathe() {
	k.t.Helper()
	until(k.t, 90*time.Second, "another batch is acknowledged", []*process{k.central}, func() error {
		k.revive()
		s, err := k.gateway.status()
		if err != nil {
			return err
		}
		if s.Uplink == nil || s.Uplink.Status == nil {
			return errors.New("no uplink yet")
		}
		u := s.Uplink.Status
		k.highest = max(k.highest, u.Acknowledged)
		if u.Acknowledged == 0 { // none since it was started last
			return fmt.Errorf("acknowledged %d, pending %d, sealed %v, connected %v: %s", u.Acknowledged, u.Pending, u.Sealed, u.Connected, u.Error)
		}
		return nil
	})
}

var meterMeasures = map[string][]energy.Measure{
	"unit-1": {energy.Import, energy.Export}, "unit-2": {energy.Import}, "unit-3": {energy.Import},
}

// chunkOf gives the n-th file's meter and day.
func (k *killing) chunkOf(n int) (meter string, day time.Time) {
	return fmt.Sprintf("unit-%d", n%3+1), k.seam.AddDate(0, 0, -(n/3 + 1))
}

// importHistory imports file after file, into the running agent or into the
// store while none runs, as it comes. What is cut off is tried again: taking a
// file twice must change nothing. Now and then the import itself is killed.
func (k *killing) importHistory(rng *rand.Rand) error {
	for n := range chunks {
		m, day := k.chunkOf(n)
		file := filepath.Join(k.dir, "history.csv")
		if err := os.WriteFile(file, []byte(historyFile(m, meterMeasures[m], day, day.AddDate(0, 0, 1))), 0o600); err != nil {
			return err
		}
		for try := 1; ; try++ {
			p, err := launch("import", filepath.Join(k.bin, "perseus-agent"), nil, "import", "--config", k.gateway.config, "--meter", m, file)
			if err != nil {
				return err
			}
			limit := time.Minute
			if rng.IntN(6) == 0 {
				limit = time.Duration(rng.IntN(120)) * time.Millisecond
			}
			select {
			case <-p.done:
			case <-time.After(limit):
				p.kill()
			case <-k.t.Context().Done():
				p.kill()
				return k.t.Context().Err()
			}
			if p.err == nil {
				break
			}
			if try == 60 {
				return fmt.Errorf("%s of %v is not taken after %d tries: %w\n%s", m, day, try, p.err, p.log.last(10))
			}
		}
		select {
		case k.imported <- struct{}{}:
		default:
		}
		select {
		case <-time.After(time.Duration(rng.IntN(400)) * time.Millisecond):
		case <-k.t.Context().Done():
			return k.t.Context().Err()
		}
	}
	return nil
}

// settle waits until the consumption API serves, of every register, all that
// was imported and measured before to.
func (k *killing) settle(to time.Time) {
	k.t.Helper()
	_, from := k.chunkOf(chunks - 1)
	until(k.t, 90*time.Second, "the relay has everything", k.both(), func() error {
		got, err := k.delivered(to.AddDate(0, 0, -2), to)
		if err != nil {
			return err
		}
		if len(got) != len(k.loads) {
			return fmt.Errorf("%d registers of %d", len(got), len(k.loads))
		}
		for id, all := range got {
			if n := len(all); n == 0 || !all[n-1].To.Equal(to) {
				return fmt.Errorf("%s: %d half-hours, not up to %v yet", id, n, to)
			}
		}
		if got, err = k.delivered(from, k.seam); err != nil {
			return err
		}
		for id, all := range got {
			if want := int(k.seam.Sub(from) / energy.Period); len(all) != want {
				return fmt.Errorf("%s: %d of %d half-hours from %v", id, len(all), want, from)
			}
		}
		return nil
	})
}
