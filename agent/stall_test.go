package agent

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// A gateway in the wall answers from its memory for an hour and a half while
// the meter counts on. What it then leaps by is more than the meter delivers in
// a minute, and what it delivered in the time: the energy is told, as an
// estimate, in place of the zeros that had seemed to be measured.
func TestFrozenRegister(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		from, to := epoch.Add(11*time.Hour+5*time.Minute), epoch.Add(12*time.Hour+35*time.Minute)
		f := newFake(registers{func(now time.Time) (int64, error) {
			if now.After(from) && now.Before(to) {
				now = from
			}
			return curve(1000)(now)
		}})
		s := openFaulty(t, path)
		c := site(f, time.Minute)
		c.Meters[0].Registers[0].MaxPower = 9000
		check(t, runFor(newAgent(t, f, c, s), 14*time.Hour))
		hs := halfHours(t, s, key("a"))
		q := conserved(t, key("a"), hs, curve(1000), interpolating)
		if q[energy.Missing] > 0 || q[energy.Estimated] != 4 {
			t.Errorf("%v", q)
		}
		for _, h := range hs {
			if h.Quality == energy.Estimated && (h.Energy < 2200 || h.Energy > 2700) {
				t.Errorf("%v: %d Wh, 2200 to 2700 flowed", h.Start, h.Energy)
			}
		}
		old, err := s.Corrections(key("a"), epoch, epoch.Add(24*time.Hour))
		check(t, err)
		if len(old) != 3 {
			t.Errorf("%d earlier versions are kept, want the three that had seemed measured", len(old))
		}
		said := 0
		for k, err := range s.Findings(epoch, epoch.Add(24*time.Hour)) {
			check(t, err)
			if k.Rule == 7 && strings.Contains(string(k.Body), "it was frozen") {
				said++
			}
		}
		if said != 1 {
			t.Errorf("it is said %d times that the register was frozen", said)
		}
		check(t, s.Close())
	})
}

// A late reading closes a gap while the half-hour after it is in progress: the
// ones that it makes better are as good as all their readings allow.
func TestLateReadingBeforeTheNextHalfHour(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, time.Minute), s)
		out := func(d time.Duration, down bool) { time.AfterFunc(d, func() { f.down.Store(down) }) }
		out(2*time.Hour+55*time.Minute+time.Second, true)
		out(3*time.Hour+28*time.Minute+time.Second, false)
		time.AfterFunc(3*time.Hour+32*time.Minute+30*time.Second, func() {
			b := a.buses[0]
			b.mu.Lock()
			defer b.mu.Unlock()
			at := epoch.Add(3*time.Hour + 10*time.Minute)
			v, _ := curve(1000)(at)
			b.sample(b.meters[0], &b.meters[0].registers[0], &drivers.Reading{Sample: energy.Sample{At: at, Value: v}, History: true}, a.Now(), true)
		})
		check(t, runFor(a, 6*time.Hour))
		for _, h := range halfHours(t, s, key("a")) {
			want := energy.Measured
			if at := h.Start.Sub(epoch); at == 150*time.Minute || at == 180*time.Minute {
				want = energy.Interpolated
			}
			if h.Quality != want {
				t.Errorf("%v: %v, want %v (%+v)", h.Start, h.Quality, want, h.Evidence)
			}
		}
		check(t, s.Close())
	})
}
