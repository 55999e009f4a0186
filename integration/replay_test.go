package integration

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
)

// lockstep lets the agent poll a meter once for each instant that the test
// gives it, and says when it has. Each meter lives in its own part of the year.
type lockstep struct {
	drivers.Poller
	clock  time.Time // of the poll under way; the bus's goroutine alone uses it
	meters []turns
}

type turns struct {
	ask  chan time.Time
	done chan error
	over chan struct{} // closed when the test has no more instants for it
	last *time.Time
}

func (l *lockstep) now() time.Time { return l.clock }

func (l *lockstep) Poll(ctx context.Context, device int, dst []drivers.Reading) ([]drivers.Reading, error) {
	m := l.meters[device]
	select {
	case <-ctx.Done():
		return dst, ctx.Err()
	case <-m.over: // the others go on: time hardly passes here
		*m.last = m.last.Add(time.Millisecond)
		l.clock = *m.last
		return l.Poller.Poll(ctx, device, dst)
	case l.clock = <-m.ask:
		*m.last = l.clock
	}
	dst, err := l.Poller.Poll(ctx, device, dst)
	why := err
	for _, r := range dst {
		if why == nil {
			why = r.Err
		}
	}
	m.done <- why // buffered: one for each that was asked
	return dst, err
}

// pollAt has the agent poll the meter at an instant.
func (l turns) pollAt(ctx context.Context, at time.Time) error {
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case l.ask <- at:
	case <-limit.C:
		return fmt.Errorf("the agent did not come to poll within 30 s for %v", at)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-l.done:
		return err
	case <-limit.C:
		return fmt.Errorf("the agent's poll at %v did not end within 30 s", at)
	}
}

const replayYAML = `site: {name: "Replay"}
store: {path: agent.db}
buses:
  - {id: plant-room, driver: modbus, url: "tcp://%s", timeout: 10s}
meters:
%s`

// The agent reads half a year of a real business through registers of a
// pymodbus server, and gets every half-hour back to the watt hour: eight meters
// that show their totals in eight ways, each with an eighth of the file.
func TestReplayPerseThroughPymodbus(t *testing.T) {
	t.Parallel()
	all := perse(t)
	if len(all) != 8734 {
		t.Fatalf("the file has %d half-hours, want 8734 (182 days, one of 46 periods)", len(all))
	}
	address, _ := pymodbus(t, len(forms))

	var meters strings.Builder
	// V13 is off: each meter replays months of its own, and the agent's clock
	// stands at their end.
	for i, f := range forms {
		scale := ""
		if f.scale != "" {
			scale = ", scale: " + f.scale
		}
		fmt.Fprintf(&meters, "  - {id: unit-%d, bus: plant-room, unit: %d, poll: 10ms, validate: {V13: off}, registers: {import: {address: 40, table: %s, type: %s, order: %s, unit: %s%s}}}\n",
			i+1, i+1, f.table, f.kind, f.order, f.unit, scale)
	}
	dir := t.TempDir()
	cfg, err := config.Load(writeFile(t, dir, "agent.yaml", fmt.Sprintf(replayYAML, address, meters.String())))
	if err != nil {
		t.Fatal(err)
	}
	end := all[len(all)-1].start.Add(time.Hour)
	wall := func() time.Time { return end }
	s, report, err := store.Open(filepath.Join(dir, "agent.db"), store.Options{Now: wall})
	if err != nil || !report.Created {
		t.Fatalf("%+v, %v", report, err)
	}
	defer s.Close()

	steps := &lockstep{}
	for range forms {
		steps.meters = append(steps.meters, turns{make(chan time.Time), make(chan error, 1), make(chan struct{}), new(time.Time)})
	}
	factory := func(b config.Bus, ms []config.Meter, _ func() time.Time, log *slog.Logger) (_ drivers.Poller, err error) {
		steps.Poller, err = agent.Drivers()["modbus"](b, ms, steps.now, log)
		return steps, err
	}
	a, err := agent.New(agent.Options{Config: cfg, Store: s, Opened: report, Now: wall,
		Drivers: map[string]agent.Factory{"modbus": factory}, Logger: record.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()

	began := time.Now()
	type part struct {
		all      []known
		from, to int64 // the register, not wrapped
	}
	parts := make([]part, len(forms))
	failed := make(chan error, len(forms))
	for i, f := range forms {
		p := part{all: all[i*len(all)/len(forms) : (i+1)*len(all)/len(forms)], from: 7_654_300}
		sum := int64(0)
		for _, h := range p.all {
			sum += h.wh
		}
		if f.modulus > 0 {
			p.from = f.modulus - sum/2
		}
		p.to = p.from + sum
		parts[i] = p
		w := writer(t, address, uint8(i+1))
		go func() { failed <- replay(ctx, steps.meters[i], w, f, p.all, p.from, uint64(i)) }()
	}
	for range forms {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	// The last poll of each was answered; that it was taken shows when the agent
	// has come back to its wire, and to every meter.
	polls := a.Status().Buses[0].Polls
	until(t, 30*time.Second, "the agent has taken every poll", nil, func() error {
		if n := a.Status().Buses[0].Polls; n < polls+uint64(2*len(forms)) {
			return fmt.Errorf("%d polls more", n-polls)
		}
		return nil
	})
	status := a.Status()
	cancel()
	if err := <-ran; err != nil {
		t.Fatalf("the agent's run: %v", err)
	}

	total := 0
	for i, p := range parts {
		total += compareReplay(t, s, fmt.Sprintf("unit-%d", i+1), p.all, p.from, p.to, forms[i])
	}
	if total != len(all) {
		t.Errorf("%d half-hours came back, the file has %d", total, len(all))
	}
	checkReplayStatus(t, status)
	checkShortDay(t, s, all)
	t.Logf("%d half-hours through %d meters in %v", total, len(forms), took.Round(time.Millisecond))
}

// replay moves one register along: at each boundary it shows what the file says
// by then, and the agent reads it up to 100 s before and up to 100 s after.
func replay(ctx context.Context, m turns, w *wire.ModbusClient, f registerForm, part []known, register int64, seed uint64) error {
	defer close(m.over)
	rng := rand.New(rand.NewPCG(2024, seed))
	near := func() time.Duration { return time.Duration(1+rng.IntN(100_000)) * time.Millisecond }
	for i := range len(part) + 1 {
		boundary := part[0].start.Add(time.Duration(i) * energy.Period)
		if err := w.WriteRegisters(40, f.wordsOf(register)); err != nil {
			return fmt.Errorf("writing the register for %v: %w", boundary, err)
		}
		for _, at := range []time.Time{boundary.Add(-near()), boundary.Add(near())} {
			if err := m.pollAt(ctx, at); err != nil {
				return fmt.Errorf("unit %d: %w", seed+1, err)
			}
		}
		if i < len(part) {
			register += part[i].wh
		}
	}
	return nil
}

func compareReplay(t *testing.T, s *store.Store, meter string, want []known, from, to int64, f registerForm) int {
	t.Helper()
	i, sum, register := 0, int64(0), from
	wrapped := func(v int64) int64 {
		if f.modulus > 0 {
			return v % f.modulus
		}
		return v
	}
	for h, err := range s.HalfHours(energy.Key{Meter: meter, Measure: energy.Import}, time.Time{}, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)) {
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(want) {
			t.Fatalf("%s: a half-hour too many: %v", meter, h)
		}
		sum, register = sum+h.Energy, register+want[i].wh
		if !h.Start.Equal(want[i].start) || h.Energy != want[i].wh || h.Quality != energy.Measured || h.Cumulative != wrapped(register) {
			t.Errorf("%s: %v has %d Wh, %s, register %d; the file says %v has %d Wh, register %d",
				meter, h.Start, h.Energy, h.Quality, h.Cumulative, want[i].start, want[i].wh, wrapped(register))
		}
		if h.Evidence.Rule != energy.RuleBracketed || h.Evidence.First.At.After(h.Start) || h.Evidence.Last.At.Before(h.Start.Add(energy.Period)) {
			t.Errorf("%s: %v has the evidence %+v", meter, h.Start, h.Evidence)
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%s: %d half-hours, want %d", meter, i, len(want))
	}
	if sum != to-from {
		t.Errorf("%s: the half-hours sum to %d Wh, the register moved by %d", meter, sum, to-from)
	}
	return i
}

// checkReplayStatus: every register was opened once and never doubted, but the
// one that wrapped, which did once.
func checkReplayStatus(t *testing.T, s agent.Status) {
	t.Helper()
	for i, m := range s.Meters {
		want := map[string]uint64{"opened": 1}
		if forms[i].modulus > 0 {
			want["rollover"] = 1
		}
		got := m.Registers[0].Events
		if len(got) != len(want) {
			t.Errorf("%s: events %v, want %v", m.ID, got, want)
		}
		for k, n := range want {
			if got[k] != n {
				t.Errorf("%s: events %v, want %v", m.ID, got, want)
			}
		}
	}
	if !s.Healthy {
		t.Errorf("not healthy: %v", s.Reasons)
	}
}

// checkShortDay: the last Sunday of March has 46 half-hours in local time, and
// they lie from 00:00 to 23:00 UTC.
func checkShortDay(t *testing.T, s *store.Store, all []known) {
	t.Helper()
	from := time.Date(2024, 3, 31, 0, 0, 0, 0, time.UTC)
	to := from.Add(23 * time.Hour)
	var want, got int64
	for _, h := range all {
		if !h.start.Before(from) && h.start.Before(to) {
			want += h.wh
		}
	}
	n := 0
	for i := range forms {
		for h, err := range s.HalfHours(energy.Key{Meter: fmt.Sprintf("unit-%d", i+1), Measure: energy.Import}, from, to) {
			if err != nil {
				t.Fatal(err)
			}
			n, got = n+1, got+h.Energy
		}
	}
	if n != 46 || got != want || want == 0 {
		t.Errorf("31 March 2024: %d half-hours with %d Wh, want 46 with %d", n, got, want)
	}
}
