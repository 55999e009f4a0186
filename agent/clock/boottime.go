package clock

import (
	"math"
	"sync/atomic"
	"time"
)

// boottime is the time since boot, time asleep included, for much less than
// the kernel's own clock of that name costs, a system call for each look, of
// which a poll has several. Go's clock stands still while the machine sleeps:
// what it lags behind only ever grows, and only by sleep. Sleep shows at once,
// as the wall clock leaps against Go's. Any other leap of the wall clock, and
// a second gone by, has the kernel asked too, which does no harm.
type boottime struct {
	now    func() instant
	kernel func() (time.Duration, bool) // its clock; false: it has none
	lag    atomic.Int64                 // nanoseconds by which Go's clock is behind
	asked  atomic.Pointer[instant]      // when the kernel was asked last; nil: never
}

// instant is one look at two clocks.
type instant struct {
	mono time.Duration // Go's, from any origin
	wall int64         // unix nanoseconds
}

// How far the wall clock may run from Go's, and how long, before the kernel is
// asked. Most time servers have it run wrong by 0.5 ms a second at most.
const (
	leap = time.Millisecond
	stay = time.Second
)

func newBoottime(now func() instant, kernel func() (time.Duration, bool)) *boottime {
	b := &boottime{now: now, kernel: kernel}
	b.lag.Store(math.MinInt64)
	return b
}

// mono never goes back, and is never ahead of the kernel's clock.
func (b *boottime) mono() time.Duration {
	t := b.now()
	if last := b.asked.Load(); last != nil {
		gone, wall := t.mono-last.mono, time.Duration(t.wall-last.wall)
		if gone < stay && (wall-gone).Abs() < leap {
			return t.mono + time.Duration(b.lag.Load())
		}
	}
	return b.ask()
}

// ask has the kernel's word for the lag.
func (b *boottime) ask() time.Duration {
	k, ok := b.kernel()
	t := b.now() // after the kernel's, so that the lag is never overrated
	if !ok {
		return t.mono
	}
	lag, known := int64(k-t.mono), b.lag.Load()
	for lag > known && !b.lag.CompareAndSwap(known, lag) {
		known = b.lag.Load()
	}
	b.asked.Store(&t)
	return t.mono + time.Duration(b.lag.Load())
}
