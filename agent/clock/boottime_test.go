package clock

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// sleeper is a machine that can sleep.
type sleeper struct {
	awake time.Duration // since boot
	slept time.Duration
	set   time.Duration // the wall clock, by somebody
	asked int           // the kernel
	held  time.Duration // between a look at the kernel's clock and the next at Go's
	none  bool          // the kernel has no such clock
}

func (s *sleeper) now() instant {
	return instant{s.awake - 5*time.Second, int64(1e18) + int64(s.awake+s.slept+s.set)} // Go's clock began later
}

func (s *sleeper) truth() time.Duration { return s.awake + s.slept }

func (s *sleeper) kernel() (time.Duration, bool) {
	s.asked++
	k := s.truth()
	s.awake += s.held
	return k, !s.none
}

func TestBoottimeAsksOnceASecond(t *testing.T) {
	s := &sleeper{awake: time.Hour}
	b := newBoottime(s.now, s.kernel)
	for range 1000 {
		if got := b.mono(); got != s.truth() {
			t.Fatalf("%v, want %v", got, s.truth())
		}
		s.awake += 10 * time.Millisecond
	}
	if s.asked != 10 {
		t.Errorf("in ten seconds the kernel was asked %d times", s.asked)
	}
}

// Sleep counts from the first look after it, however soon that comes; and the
// wall clock may be set as it likes.
func TestBoottimeCountsSleep(t *testing.T) {
	s := &sleeper{awake: time.Hour}
	b := newBoottime(s.now, s.kernel)
	for range 10_000 {
		switch rand.IntN(6) {
		case 0:
			s.slept += leap + time.Duration(rand.Int64N(int64(9*time.Hour)))
		case 1:
			s.set += time.Duration(rand.Int64N(int64(time.Hour))) - 30*time.Minute
		default:
			s.awake += time.Duration(rand.Int64N(int64(2 * time.Second)))
		}
		if got := b.mono(); got != s.truth() {
			t.Fatalf("%v, want %v: %+v", got, s.truth(), s)
		}
	}
}

// However long the program is held up between its two looks, its clock never
// goes back, nor ahead of the kernel's; the first look without that is right again.
func TestBoottimeNeverGoesBack(t *testing.T) {
	s := &sleeper{awake: time.Hour, held: 80 * time.Millisecond}
	b := newBoottime(s.now, s.kernel)
	last := time.Duration(0)
	for i := range 10_000 {
		got := b.mono()
		if got < last || got > s.truth() {
			t.Fatalf("%v after %v, truth %v", got, last, s.truth())
		}
		if last = got; s.held == 0 && i%5 == 4 && got != s.truth() {
			t.Fatalf("%v is behind, truth %v", got, s.truth())
		}
		s.held = time.Duration(rand.IntN(80)) * time.Millisecond
		if i%5 == 3 {
			s.held = 0
			s.awake += stay // the kernel is asked, and nothing holds it up
		}
		s.awake += time.Duration(rand.Int64N(int64(3 * time.Second)))
		if rand.IntN(9) == 0 {
			s.slept += time.Duration(rand.Int64N(int64(time.Hour)))
		}
	}
}

// Old kernels have no such clock: Go's must do.
func TestBoottimeWithoutTheKernel(t *testing.T) {
	s := &sleeper{awake: time.Hour, none: true}
	b := newBoottime(s.now, s.kernel)
	before := b.mono()
	s.awake += time.Minute
	if got := b.mono() - before; got != time.Minute {
		t.Errorf("%v went by", got)
	}
}

// The real one, from several goroutines: it goes on, and keeps to the kernel's.
func TestSystemMonoOfManyGoroutines(t *testing.T) {
	mono := SystemMono()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for last, i := mono(), 0; i < 20_000; i++ {
				got := mono()
				if got < last {
					t.Errorf("%v after %v", got, last)
					return
				}
				last = got
			}
		})
	}
	wg.Wait()
}
