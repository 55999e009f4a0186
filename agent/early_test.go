package agent

import (
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// The power is cut while late readings wait for their half-hour to be over, with
// the round that they came in not stored; and again when they are worked in.
func TestLateReadingsOverAPowerCut(t *testing.T) {
	f := newFake(registers{failing})
	s := openFaulty(t, storePath(t))
	now := epoch
	var a *Agent
	start := func() {
		var err error
		a, err = New(Options{Config: site(f, time.Minute), Store: s, Drivers: f.drivers(), Now: func() time.Time { return now }, Logger: quietLog})
		check(t, err)
	}
	read := func(from, to time.Duration, history bool) {
		for ; from <= to; from += time.Minute {
			at := epoch.Add(from)
			if !history {
				now = at
			}
			v, _ := curve(1000)(at)
			b := a.buses[0]
			b.sample(b.meters[0], &b.meters[0].registers[0], &drivers.Reading{Sample: energy.Sample{At: at, Value: v}, History: history}, now, true)
		}
	}
	cut := func() {
		err := errCut
		s.fail.Store(&err)
		if a.recorder.flush() == nil {
			t.Error("the power is not cut")
		}
		s.fail.Store(nil)
		start()
	}
	start()
	read(0, 2*time.Hour+10*time.Minute, false)
	read(6*time.Hour+20*time.Minute, 6*time.Hour+21*time.Minute, false)
	check(t, a.recorder.flush())
	read(2*time.Hour+11*time.Minute, 6*time.Hour+19*time.Minute, true)
	cut()
	read(6*time.Hour+22*time.Minute, 6*time.Hour+31*time.Minute, false)
	cut()
	read(6*time.Hour+32*time.Minute, 8*time.Hour, false)
	check(t, a.recorder.flush())
	hs := halfHours(t, s, key("a"))
	for _, h := range hs {
		if h.Quality != energy.Measured || h.Energy != truthOf(curve(1000), h.Start) {
			t.Errorf("%v: %d Wh %v", h.Start, h.Energy, h.Quality)
		}
	}
	if len(hs) != 16 || len(a.recorder.early.all)+len(a.recorder.early.doing) > 0 {
		t.Errorf("%d half-hours, and %+v wait", len(hs), a.recorder.early)
	}
	check(t, s.Close())
}
