package integration

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

const realtimeYAML = `site: {name: "Real time"}
period: 1s
store: {path: agent.db}
web: {listen: "%%s"}
buses:
  - {id: plant-room, driver: modbus, url: "tcp://%s", timeout: 10s}
meters:
  - {id: main, bus: plant-room, unit: 1, poll: 100ms, registers: {import: {address: 40, type: uint64, unit: Wh}}}
`

// The real program reads a pymodbus server in real time, with periods of a
// second, while the register is raised in the middle of the periods.
func TestRealTimeAgainstPymodbus(t *testing.T) {
	t.Parallel()
	address, server := pymodbus(t, 1)
	w := writer(t, address, 1)
	register := int64(123_456_789)
	set := func() {
		t.Helper()
		if err := w.WriteUint64(40, uint64(register)); err != nil {
			t.Fatalf("writing the register: %v\n%s", err, server.log.last(10))
		}
	}
	set()
	g := newGateway(t, t.TempDir(), fmt.Sprintf(realtimeYAML, address))
	g.run()
	both := []*process{g.process, server}
	settled := func() (n uint64, at time.Time, err error) {
		s, err := g.status()
		if err != nil {
			return 0, at, err
		}
		r := s.Meters[0].Registers[0]
		return r.Settled, r.Newest, nil
	}
	until(t, 30*time.Second, "the agent has settled its first period", both, func() error {
		n, _, err := settled()
		if err == nil && n == 0 {
			err = fmt.Errorf("none yet")
		}
		return err
	})

	const seed = 20261122
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	before := register
	const periods = 12
	for range periods {
		now := time.Now()
		next := now.Truncate(time.Second).Add(500 * time.Millisecond)
		if !next.After(now) {
			next = next.Add(time.Second)
		}
		select {
		case <-time.After(time.Until(next)):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		register += 1 + rng.Int64N(5000)
		set()
	}
	raised := time.Now()
	until(t, 30*time.Second, "the agent has settled what was raised", both, func() error {
		_, at, err := settled()
		if err == nil && at.Before(raised.Add(time.Second)) {
			err = fmt.Errorf("settled up to %v", at)
		}
		return err
	})
	check := func(who string) {
		t.Helper()
		all := g.readings("--meter", "main", "--measure", "import", "--from", raised.Add(-time.Hour).UTC().Format(time.RFC3339))
		if sum := checkChain(t, all, time.Second); sum != register-before {
			t.Errorf("%s: the periods sum to %d Wh, the register moved by %d", who, sum, register-before)
		}
		moved := 0
		for _, h := range all {
			if h.Energy.wh() > 0 {
				moved++
			}
		}
		if len(all) < periods || moved < 10 {
			t.Errorf("%s: %d periods, %d of them with energy; want at least %d and 10", who, len(all), moved, periods)
		}
	}
	until(t, 30*time.Second, "what was settled is stored", both, func() error {
		all := g.readings("--from", raised.Add(-time.Hour).UTC().Format(time.RFC3339))
		if n := len(all); n == 0 || all[n-1].Cumulative.wh() != register {
			return fmt.Errorf("%d periods stored", n)
		}
		return nil
	})
	check("the running agent")
	if err := g.stop(); err != nil {
		t.Fatalf("the agent did not stop cleanly: %v\n%s", err, g.log.last(20))
	}
	check("the store")
}
