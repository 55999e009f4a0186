package clock

import (
	"fmt"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// world is a gateway's clocks as they are in truth.
type world struct {
	t     testing.TB
	c     *Clock
	truth time.Time     // the right time
	ahead time.Duration // wall clock less truth
	mono  time.Duration // since boot
	ppm   int64         // by how much the crystal is too fast
	tied  bool          // the wall clock runs by the same crystal (Linux), else by the truth
	crumb int64         // of the crystal, in 1e-6 ns
	sync  Sync
	opt   Options

	loose bool // do not ask how slowly it runs

	shelf Shelf[time.Time] // what was read while not trusted: the truth
	dated []dated          // what was read, as it was dated in the end
	news  []string
	last  Change
}

type dated struct{ truth, at time.Time }

func newWorld(t testing.TB, truth, wall string, sync Sync) *world {
	w := &world{t: t, truth: day(truth), sync: sync, tied: true, mono: 20 * time.Second}
	w.ahead = day(wall).Sub(w.truth)
	return w
}

func day(s string) time.Time {
	at, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		panic(err)
	}
	return at
}

// start starts the agent.
func (w *world) start() {
	w.shelf = Shelf[time.Time]{}
	w.opt.Wall = func() time.Time { return w.truth.Add(w.ahead) }
	w.opt.Mono = func() time.Duration { return w.mono }
	w.opt.Sync = func() Sync { return w.sync }
	w.opt.Logger = record.Logger(nil)
	w.c = New(w.opt)
}

const tick = 5 * time.Second

// run lets time pass, with a reading and a look each tick, and checks what
// must hold at any time.
func (w *world) run(d time.Duration) {
	for ; d > 0; d -= tick {
		before := w.c.Now()
		w.pass(tick)
		after := w.c.Now()
		moved := after.Sub(before)
		if moved < 0 {
			w.t.Fatalf("at %s the clock went back by %s without saying so", w.truth, -moved)
		}
		most, least := tick+tick/slewShare+time.Millisecond, tick-tick/slewShare-time.Millisecond
		if w.loose || w.last.Shift < 0 { // a fine step back may be walked off
			least = tick/backShare - time.Millisecond
		}
		if moved > most || moved < least {
			w.t.Fatalf("at %s the clock ran %s in %s", w.truth, moved, tick)
		}
		w.look()
	}
}

// pass lets time pass and does nothing.
func (w *world) pass(d time.Duration) {
	w.truth = w.truth.Add(d)
	w.crumb += int64(d) * w.ppm
	extra := time.Duration(w.crumb / 1_000_000)
	w.crumb %= 1_000_000
	w.mono += d + extra
	if w.tied {
		w.ahead += extra
	}
}

// look takes a reading and looks at the wall clock.
func (w *world) look() {
	trusted := w.c.Trusted()
	if trusted {
		w.dated = append(w.dated, dated{w.truth, w.c.Now()})
	} else {
		w.shelf.Put(w.c.Now(), w.truth)
	}
	before := w.c.Now()
	ch, ok := w.c.Check()
	after := w.c.Now()
	if !ok {
		if trusted != w.c.Trusted() {
			w.t.Fatal("trust changed without news")
		}
		if before != after {
			w.t.Fatalf("the clock leaped by %s without news", after.Sub(before))
		}
		return
	}
	// Ahead of the truth it was all along since Even, but for what a crystal drifts. (Behind it may be for having slept.)
	for _, d := range w.dated {
		off, err := before.Sub(w.truth), d.at.Sub(d.truth)
		if gone := w.truth.Sub(d.truth); ch.Shift < -FlaggedMost && ch.Kind != Lost && d.at.After(ch.Even) && off-err > FineMost+2*Slack+gone/drift {
			w.t.Fatalf("at %s the clock is ahead by %s, and at %s, since when it ran evenly, it was by %s", w.truth, off, d.truth, err)
		}
	}
	if first := len(w.dated) == 0; first && !ch.Even.Equal(ch.At) && ch.Kind == Trusted {
		w.t.Fatalf("nothing was dated for good, and the clock is said to have been wrong since %s", ch.Even)
	}
	w.last = ch
	w.news = append(w.news, fmt.Sprintf("%s %s %s", ch.Kind, ch.Shift.Round(time.Second), ch.Class))
	leap, want := after.Sub(before), ch.Shift
	if ch.Kind == Stepped && ch.Shift < 0 && ch.Class == Fine {
		want = 0
	}
	if leap != want {
		w.t.Fatalf("%v: the clock leaped by %s", ch, leap)
	}
	if ch.At != after || ch.Why == "" || ch.Since.After(before) || ch.Class != Classify(ch.Shift) {
		w.t.Fatalf("a change that does not fit: %+v, now %s", ch, after)
	}
	switch ch.Kind {
	case Trusted:
		if trusted || !w.c.Trusted() {
			w.t.Fatal("trusted, but not")
		}
		for at, truth := range w.shelf.Take(ch.Shift) {
			w.dated = append(w.dated, dated{truth, at})
		}
	case Lost:
		if !trusted || w.c.Trusted() {
			w.t.Fatal("lost, but not")
		}
	case Stepped:
		if !trusted || !w.c.Trusted() {
			w.t.Fatal("stepped, but not trusted before and after")
		}
	}
}

// worst is by how much the readings of the last d were dated wrongly.
func (w *world) worst(d time.Duration) time.Duration {
	var worst time.Duration
	for _, r := range w.dated {
		if w.truth.Sub(r.truth) <= d {
			worst = max(worst, r.at.Sub(r.truth).Abs())
		}
	}
	return worst
}

var (
	pi     = Sync{Board: true}
	server = Sync{}
	synced = Sync{Board: true, Synchronised: true, Doubt: 20 * time.Millisecond}
)
