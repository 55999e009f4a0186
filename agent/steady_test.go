package agent

import (
	"context"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/energy"
)

// Within a half-hour nothing is allocated, neither for reading nor for keeping
// what was read: polls, validation, registers, the round each minute and the
// store's checkpoint of it.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	now := epoch
	count := func(time.Time) (int64, error) { return int64(now.Sub(epoch) / time.Second), nil }
	var devices []registers
	for range 5 {
		devices = append(devices, registers{count, count})
	}
	f := newFake(devices...)
	f.now = func() time.Time { return now }
	s := openFaulty(t, storePath(t))
	a := newAgent(t, f, site(f, 10*time.Second), s)
	a.opt.Clock = clock.Given(f.now)
	minute := func() {
		for range 6 {
			now = now.Add(10 * time.Second)
			for i := range devices {
				a.buses[0].pollOnce(context.Background(), i)
			}
		}
		check(t, a.recorder.flush())
	}
	for range 92 { // three half-hours, and the first minutes of the next
		minute()
	}
	if n := len(halfHours(t, s, key("a"))); n < 2 {
		t.Fatalf("%d half-hours", n)
	}
	before := s.Written()
	if n := testing.AllocsPerRun(25, minute); n != 0 {
		t.Errorf("%v allocations a minute of 60 samples", n)
	}
	after := s.Written()
	if after.Checkpoints != before.Checkpoints+26 || after.Commits != before.Commits {
		t.Errorf("%+v after %+v: these were not the minutes of one half-hour", after, before)
	}
	// A round that is lost with the power is what the last minute brought, and no more.
	state, err := s.State(key("a"))
	check(t, err)
	k, err := parseKept(state)
	check(t, err)
	if k.base == nil || !k.base.ReadAt.Equal(now) {
		t.Errorf("the kept baseline is %+v at %v", k.base, now)
	}
	n := 0
	for _, err := range s.Samples(energy.Key{Meter: "a", Measure: energy.Import}, epoch, epoch.AddDate(0, 0, 1)) {
		check(t, err)
		n++
	}
	if n != 92+26 {
		t.Errorf("%d samples are kept of %d minutes", n, 92+26)
	}
	check(t, s.Close())
}
