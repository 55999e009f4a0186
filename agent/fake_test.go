package agent

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/store"
)

// The tests' clock is the bubble's of testing/synctest: it stands at midnight,
// 1 January 2000, and moves only while everybody waits.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// curve is a register that runs on a known power: 5 kW, give or take 3 kW over
// the day, so that its true value is known at any instant.
func curve(offset int64) func(time.Time) (int64, error) {
	return func(t time.Time) (int64, error) {
		s := t.Sub(epoch).Seconds()
		day := 2 * math.Pi / 86400
		return offset + int64(5000*s/3600+3000*(1-math.Cos(day*s))/day/3600), nil
	}
}

// fakeBus answers from functions: one per device and point.
type fakeBus struct {
	devices [][]func(time.Time) (int64, error)
	takes   []time.Duration  // per device, how long an answer or a failure takes
	down    atomic.Bool      // the wire itself
	now     func() time.Time // time.Now if nil
	polls   []int
	closed  int
}

func (f *fakeBus) Poll(ctx context.Context, i int, dst []drivers.Reading) ([]drivers.Reading, error) {
	f.polls[i]++
	if f.down.Load() {
		return dst, &drivers.Error{Kind: drivers.Refused, Op: "connect", Err: errors.New("refused")}
	}
	if i < len(f.takes) && f.takes[i] > 0 {
		select {
		case <-ctx.Done():
			return dst, ctx.Err()
		case <-time.After(f.takes[i]):
		}
	}
	for j, value := range f.devices[i] {
		now := time.Now().UTC()
		if f.now != nil {
			now = f.now()
		}
		v, err := value(now)
		dst = append(dst, drivers.Reading{Point: j, Sample: energy.Sample{At: now, Value: v}, Raw: uint64(v), Err: err})
	}
	return dst, nil
}

func (f *fakeBus) Close() error { f.closed++; return nil }

func newFake(devices ...[]func(time.Time) (int64, error)) *fakeBus {
	return &fakeBus{devices: devices, polls: make([]int, len(devices))}
}

func (f *fakeBus) drivers() map[string]Factory {
	return map[string]Factory{"fake": func(config.Bus, []config.Meter, func() time.Time, *slog.Logger) (drivers.Poller, error) {
		return f, nil
	}}
}

// failing is a register that cannot be read.
func failing(time.Time) (int64, error) {
	return 0, &drivers.Error{Kind: drivers.Timeout, Op: "read", Err: errors.New("no answer")}
}

// site is a configuration with meters a, b, c, ... on one bus, each with as
// many registers as the fake's device has points.
func site(f *fakeBus, poll time.Duration) *config.Config {
	c := &config.Config{
		File: "test.yaml", Hash: "00", Site: config.Site{Name: "Test", Outcode: "SW8"}, Period: energy.Period,
		Store: config.Store{KeepHalfHours: config.DefaultKeepHalfHours, KeepSamples: config.DefaultKeepSamples},
		Buses: []config.Bus{{ID: "bus", Driver: "fake", URL: "fake://", Timeout: time.Second}},
	}
	for i, points := range f.devices {
		m := config.Meter{ID: string(rune('a' + i)), Bus: "bus", Unit: uint8(i + 1), Poll: poll}
		for j := range points {
			m.Registers = append(m.Registers, config.Register{Point: modbus.Point{Measure: energy.Measures()[j], Address: uint16(4 * j), Type: "uint64", Unit: "Wh"}})
		}
		c.Meters = append(c.Meters, m)
	}
	return c
}

// faulty is a store whose commits can be made to fail.
type faulty struct {
	*store.Store
	fail atomic.Pointer[error]
	from time.Time // when set: every commit from then on fails, as after a power cut
}

var errCut = errors.New("the power is cut")

func (f *faulty) Commit(r store.Round) error {
	if e := f.fail.Load(); e != nil {
		return *e
	}
	if !f.from.IsZero() && !time.Now().Before(f.from) {
		return errCut
	}
	return f.Store.Commit(r)
}

func openFaulty(t *testing.T, path string) *faulty {
	t.Helper()
	s, _, err := store.Open(path, store.Options{Logger: quietLog})
	if err != nil {
		t.Fatal(err)
	}
	return &faulty{Store: s}
}

var quietLog = record.Logger(nil)

func storePath(t *testing.T) string { return filepath.Join(t.TempDir(), "agent.db") }

func newAgent(t *testing.T, f *fakeBus, c *config.Config, s Store) *Agent {
	t.Helper()
	a, err := New(Options{Config: c, Store: s, Drivers: f.drivers(), Logger: quietLog, Flush: 10 * time.Minute, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// runFor lets an agent work for so long.
func runFor(a *Agent, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return a.Run(ctx)
}

// interpolating is how far off a boundary can be that lies between two polls;
// afterGap where only one of the samples around it was close: what the curve
// can draw in energy.DefaultClose, 8 kW x 2 min.
const (
	interpolating = 2
	afterGap      = 267
)

func key(meter string) energy.Key { return energy.Key{Meter: meter, Measure: energy.Import} }

func halfHours(t *testing.T, s Store, k energy.Key) []energy.HalfHour {
	t.Helper()
	var out []energy.HalfHour
	for h, err := range s.HalfHours(k, epoch, epoch.AddDate(1, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, h)
	}
	return out
}

// conserved asserts law 1 on the half-hours of one register: they follow one
// another without a gap and sum to the register's advance, exactly; and each
// measured boundary is where the curve says, within near Wh.
func conserved(t *testing.T, k energy.Key, hs []energy.HalfHour, truth func(time.Time) (int64, error), near int64) (qualities map[energy.Quality]int) {
	t.Helper()
	qualities = map[energy.Quality]int{}
	if len(hs) == 0 {
		t.Fatalf("%v: no half-hours", k)
	}
	var sum int64
	for i, h := range hs {
		qualities[h.Quality]++
		sum += h.Energy
		end := h.Start.Add(energy.Period)
		if i > 0 {
			if !h.Start.Equal(hs[i-1].Start.Add(energy.Period)) {
				t.Fatalf("%v: a gap between %v and %v", k, hs[i-1].Start, h.Start)
			}
			if got := h.Cumulative - hs[i-1].Cumulative; got != h.Energy {
				t.Fatalf("%v %v: energy %d, the register went on by %d", k, h.Start, h.Energy, got)
			}
		}
		want, _ := truth(end)
		if off := h.Cumulative - want; h.Quality == energy.Measured && (off < -near || off > near) {
			t.Errorf("%v %v: register at its end %d, the truth is %d", k, h.Start, h.Cumulative, want)
		}
	}
	first, last := hs[0], hs[len(hs)-1]
	if got := last.Cumulative - (first.Cumulative - first.Energy); got != sum {
		t.Errorf("%v: half-hours sum to %d, the register went on by %d", k, sum, got)
	}
	return qualities
}
