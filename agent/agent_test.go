package agent

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

type registers = []func(time.Time) (int64, error)

// Two days without trouble: every half-hour is there, measured, and right.
func TestTwoDays(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000), curve(7)}, registers{curve(500_000)}, registers{curve(1000)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		if err := runFor(a, 48*time.Hour); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			key    energy.Key
			offset int64
		}{{key("a"), 1000}, {energy.Key{Meter: "a", Measure: energy.Export}, 7}, {key("b"), 500_000}, {key("c"), 1000}} {
			hs := halfHours(t, s, c.key)
			q := conserved(t, c.key, hs, curve(c.offset), interpolating)
			if len(hs) < 94 || q[energy.Measured] != len(hs) {
				t.Errorf("%v: %d half-hours, %v", c.key, len(hs), q)
			}
			if end := hs[len(hs)-1].Start; !end.Equal(epoch.Add(47*time.Hour)) && !end.Equal(epoch.Add(47*time.Hour+30*time.Minute)) {
				t.Errorf("%v: the last half-hour starts %v", c.key, end)
			}
		}
		for i, n := range f.polls {
			if n < 17270 || n > 17290 {
				t.Errorf("meter %d was asked %d times in two days, want 17280", i, n)
			}
		}
		samples := 0
		for _, err := range s.Samples(key("a"), epoch, epoch.Add(48*time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			samples++
		}
		if samples < 280 || samples > 600 {
			t.Errorf("%d samples are kept of two days, want about one a flush", samples)
		}
		if f.closed == 0 {
			t.Error("the wire was not let go of")
		}
		check(t, s.Close())
	})
}

// The agent stops and dies at random moments over many days. Whatever was
// lost in between, the half-hours follow one another without a gap and sum to
// the register's advance.
func TestRestartsAtRandomMoments(t *testing.T) {
	for seed := range uint64(4) {
		path := storePath(t)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 2))
				f := newFake(registers{curve(1000)}, registers{curve(42)})
				crashes := 0
				for time.Since(epoch) < 5*24*time.Hour {
					s := openFaulty(t, path)
					d := time.Duration(rng.Int64N(int64(8 * time.Hour)))
					crash := rng.IntN(2) == 0
					if crash { // from here on nothing reaches the disk
						s.from = time.Now().Add(time.Duration(rng.Int64N(int64(d) + 1)))
						crashes++
					}
					err := runFor(newAgent(t, f, site(f, 10*time.Second), s), d)
					if err != nil && !(crash && errors.Is(err, errCut)) {
						t.Fatal(err)
					}
					check(t, s.Close())
					off := time.Duration(rng.Int64N(int64(20 * time.Second)))
					if rng.IntN(4) == 0 {
						off = time.Duration(rng.Int64N(int64(6 * time.Hour)))
					}
					<-time.After(off)
				}
				s := openFaulty(t, path)
				check(t, runFor(newAgent(t, f, site(f, 10*time.Second), s), time.Hour))
				for _, c := range []struct {
					key    energy.Key
					offset int64
				}{{key("a"), 1000}, {key("b"), 42}} {
					hs := halfHours(t, s, c.key)
					q := conserved(t, c.key, hs, curve(c.offset), afterGap)
					if q[energy.Missing] > 0 || len(hs) < 5*48 {
						t.Errorf("%v: %d half-hours after %d crashes: %v", c.key, len(hs), crashes, q)
					}
				}
				said, err := s.PendingStatements(100)
				check(t, err)
				if len(said) != 2 {
					t.Errorf("%d statements of baseline, want the opening of each register and no more", len(said))
				}
				check(t, s.Close())
			})
		})
	}
}

// A half-hour is in the store seconds after it is over, long before the next
// regular commit.
func TestHalfHoursAreKeptAtOnce(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		a.opt.Flush = 12 * time.Hour
		s.from = epoch.Add(time.Hour + 15*time.Second) // whatever is not kept by then never is
		if err := runFor(a, 90*time.Minute); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		if hs := halfHours(t, s, key("a")); len(hs) != 2 {
			t.Errorf("%d half-hours are kept a quarter of a minute after the second was over, want 2", len(hs))
		}
		check(t, s.Close())
	})
}

// The disk is full for hours: nothing is lost, and the status says so.
func TestFullDisk(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		full := fmt.Errorf("commit: %w", store.ErrFull)
		time.AfterFunc(2*time.Hour, func() { s.fail.Store(&full) })
		time.AfterFunc(9*time.Hour, func() {
			if st := a.Status(); st.Healthy || st.Store.Writing.Waiting < 10 || st.Store.Writing.Error == "" {
				t.Errorf("while the disk is full: %+v, healthy %v", st.Store.Writing, st.Healthy)
			}
			if len(a.Health()) != 1 {
				t.Errorf("health: %v", a.Health())
			}
		})
		time.AfterFunc(10*time.Hour, func() { s.fail.Store(nil) })
		check(t, runFor(a, 12*time.Hour))
		hs := halfHours(t, s, key("a"))
		q := conserved(t, key("a"), hs, curve(1000), interpolating)
		if len(hs) < 23 || q[energy.Measured] != len(hs) {
			t.Errorf("%d half-hours: %v", len(hs), q)
		}
		st := a.Status()
		if !st.Healthy || st.Store.Writing.Waiting != 0 || st.Store.Writing.Failures == 0 {
			t.Errorf("afterwards: %+v", st.Store.Writing)
		}
		check(t, s.Close())
	})
}

// When even memory is full the registers rest. The advance over the rest is
// spread over its half-hours and says that it is an estimate; none is lost.
func TestRegistersRestWhenMemoryIsFull(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		a.recorder.most = 5
		full := fmt.Errorf("commit: %w", store.ErrFull)
		time.AfterFunc(2*time.Hour, func() { s.fail.Store(&full) })
		time.AfterFunc(9*time.Hour, func() {
			if w := a.Status().Store.Writing; !w.Resting || w.Waiting > 6 {
				t.Errorf("while memory is full: %+v", w)
			}
		})
		time.AfterFunc(10*time.Hour, func() { s.fail.Store(nil) })
		check(t, runFor(a, 12*time.Hour))
		q := conserved(t, key("a"), halfHours(t, s, key("a")), curve(1000), afterGap)
		if q[energy.Estimated] < 5 || q[energy.Missing] > 0 {
			t.Errorf("%v", q)
		}
		check(t, s.Close())
	})
}

// A store found damaged while it runs ends the run: starting again mends it.
func TestDamagedStoreEndsTheRun(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		bad := fmt.Errorf("commit: %w", store.ErrDamaged)
		s.fail.Store(&bad)
		if err := runFor(a, 24*time.Hour); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("ended with %v", err)
		}
		if since := time.Since(epoch); since > time.Hour {
			t.Errorf("ended after %v", since)
		}
		check(t, s.Close())
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
