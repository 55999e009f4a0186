package clock

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// at makes a clock whose sources are these variables.
type hand struct {
	wall time.Time
	mono time.Duration
	sync Sync
}

func (h *hand) clock(o Options) *Clock {
	o.Wall = func() time.Time { return h.wall }
	o.Mono = func() time.Duration { return h.mono }
	o.Sync = func() Sync { return h.sync }
	o.Logger = record.Logger(nil)
	return New(o)
}

func (h *hand) pass(d time.Duration) { h.wall, h.mono = h.wall.Add(d), h.mono+d }

const ns = time.Nanosecond

func TestBoundsOfClasses(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want Class
	}{
		{0, Fine}, {20 * time.Second, Fine}, {-20 * time.Second, Fine},
		{20*time.Second + ns, Flagged}, {-20*time.Second - ns, Flagged}, {15 * time.Minute, Flagged}, {-15 * time.Minute, Flagged},
		{15*time.Minute + ns, Quarantine}, {-15*time.Minute - ns, Quarantine}, {1<<63 - 1, Quarantine}, {-1 << 63, Quarantine},
	} {
		if got := Classify(c.d); got != c.want {
			t.Errorf("Classify(%s) = %s, want %s", c.d, got, c.want)
		}
	}
	b, err := json.Marshal([]Class{Fine, Flagged, Quarantine, 3})
	if err != nil || string(b) != `["fine","flagged","quarantine","unknown"]` {
		t.Errorf("%s %v", b, err)
	}
	var back []Class
	if err := json.Unmarshal([]byte(`["fine","flagged","quarantine"]`), &back); err != nil || !slices.Equal(back, []Class{Fine, Flagged, Quarantine}) {
		t.Errorf("%v %v", back, err)
	}
	if err := json.Unmarshal(b, &back); err == nil || !strings.Contains(err.Error(), `"unknown"`) {
		t.Errorf("%v", err)
	}
}

func TestGiven(t *testing.T) {
	at := day(noon).In(time.FixedZone("", 3600))
	c := Given(func() time.Time { return at })
	if got := c.Now(); got != day(noon) || !c.Trusted() {
		t.Errorf("%s", got)
	}
	if ch, ok := c.Check(); ok {
		t.Errorf("%+v", ch)
	}
	if s := c.Status(); !s.Trusted || s.Source != Operator || !s.Checked.Equal(at) || c.Kept() != nil {
		t.Errorf("%+v", s)
	}
}

// In a synctest bubble, where the simulation runs, everything follows the
// bubble's clock when only the wall clock is given.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Duration(0)
		c := New(Options{
			Wall: func() time.Time { return time.Now().Add(ahead) }, Sync: func() Sync { return Sync{Synchronised: true} },
			Logger: record.Logger(t),
		})
		start := c.Now()
		time.Sleep(time.Hour)
		ahead = -30 * time.Second
		if got := c.Now().Sub(start); got != time.Hour {
			t.Errorf("an hour is %s before the step is known", got)
		}
		if ch, ok := c.Check(); !ok || ch.Kind != Stepped || ch.Shift != -30*time.Second || ch.Class != Flagged {
			t.Errorf("%+v", ch)
		}
		time.Sleep(time.Hour)
		if got := c.Now().Sub(start); got != 2*time.Hour-30*time.Second {
			t.Errorf("two hours are %s", got)
		}
	})
}

// The machine's own sources, whatever they say: a clock that runs.
func TestSystemClock(t *testing.T) {
	c := New(Options{Policy: Always, Logger: record.Logger(t)})
	a := c.Now()
	if d := time.Since(a).Abs(); d > time.Minute || a.Location() != time.UTC || !c.Trusted() {
		t.Errorf("off by %s, %+v", d, c.Status())
	}
	mono := SystemMono()
	if first, second := mono(), mono(); second < first || first < 0 {
		t.Errorf("the monotonic clock goes from %s to %s", first, second)
	}
	_, _ = c.Check()
	if b := c.Now(); b.Before(a) {
		t.Error("the clock goes back")
	}
}

// How long is at once, to the nanosecond; it gives up after four.
func TestLookIsRepeated(t *testing.T) {
	for took, want := range map[time.Duration]int{5*time.Millisecond - ns: 1, 5 * time.Millisecond: 4} {
		mono, reads := time.Duration(0), 0
		New(Options{
			Wall: func() time.Time { reads++; mono += took; return day(noon) },
			Mono: func() time.Duration { return mono },
			Sync: func() Sync { return Sync{} }, Logger: record.Logger(t),
		})
		if reads != want {
			t.Errorf("%s between two readings: %d looks, want %d", took, reads, want)
		}
	}
}

// Where no logger is given, the default one is told what is the matter.
func TestDefaultLogger(t *testing.T) {
	var out bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(record.Handler(t, slog.NewTextHandler(&out, nil))))
	New(Options{Wall: func() time.Time { return day(noon) }, Sync: func() Sync { return Sync{Board: true} }})
	if !strings.Contains(out.String(), "not trusted yet") {
		t.Errorf("logged %q", out.String())
	}
}

// A machine that is busy between two readings of the clocks looks again.
func TestLookIsTakenAtOnce(t *testing.T) {
	w := &hand{wall: day(noon)}
	reads := 0
	c := New(Options{
		Wall: func() time.Time {
			if reads++; reads == 2 {
				w.pass(time.Hour) // asleep between the two
			}
			return w.wall
		},
		Mono: func() time.Duration { return w.mono },
		Sync: func() Sync { return w.sync }, Logger: record.Logger(t),
	})
	if ch, ok := c.Check(); ok || reads != 3 {
		t.Errorf("%+v after %d reads", ch, reads)
	}
	if c.Now() != w.wall {
		t.Errorf("off by %s", c.Now().Sub(w.wall))
	}
}

func TestNowAllocatesNothingAndNeverGoesBackAmongGoroutines(t *testing.T) {
	c := New(Options{Policy: Always, Logger: record.Logger(t)})
	if n := testing.AllocsPerRun(100, func() { c.Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			last := c.Now()
			for range 2000 {
				now := c.Now()
				if now.Before(last) {
					t.Errorf("went back by %s", last.Sub(now))
				}
				last = now
				c.Trusted()
			}
		})
	}
	for range 50 {
		c.Check()
		c.Status()
		c.Kept()
	}
	wg.Wait()
}

// Whatever happens, the laws of world.run and world.look hold; once a time
// service has answered, our time is the wall clock's; and what was shelved is
// dated by it.
func TestAnythingGoes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, noon, noon, Sync{Board: rapid.Bool().Draw(r, "board")})
		w.tied = rapid.Bool().Draw(r, "tied")
		w.ppm = rapid.Int64Range(-100, 100).Draw(r, "ppm")
		w.ahead = time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(r, "ahead"))
		if rapid.Bool().Draw(r, "floor") {
			w.opt.Floor = w.truth.Add(time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(r, "floor at")))
		}
		w.opt.Built = w.truth.AddDate(-1, 0, 0)
		w.loose = true
		w.start()
		for range rapid.IntRange(1, 30).Draw(r, "events") {
			switch rapid.IntRange(0, 5).Draw(r, "event") {
			case 0:
				w.ahead += time.Duration(rapid.Int64Range(-40e9, 40e9).Draw(r, "by"))
				w.sync.Synchronised = false
			case 1:
				w.ahead += time.Duration(rapid.Int64Range(-1e14, 1e14).Draw(r, "by"))
				w.sync.Synchronised = false
			case 2:
				w.ahead = -time.Duration(w.truth.Unix()) * time.Second
				w.sync.Synchronised = false
			case 3:
				w.ahead, w.sync.Synchronised = 0, true
			case 4:
				w.pass(time.Duration(rapid.Int64Range(0, 1e14).Draw(r, "asleep")))
			case 5:
				if kept := w.c.Kept(); kept != nil {
					w.opt.Kept = kept
				}
				w.start()
			}
			w.run(time.Duration(rapid.IntRange(1, 300).Draw(r, "ticks")) * tick)
		}
		w.ahead, w.sync.Synchronised = 0, true
		w.look()
		w.dated = nil
		w.run(time.Minute)
		if w.c.Trusted() == false || w.c.Now().Sub(w.truth).Abs() > FineMost || w.worst(time.Hour) > FineMost {
			t.Fatalf("the time server answers, and the clock is off by %s: %+v", w.c.Now().Sub(w.truth), w.c.Status())
		}
		w.run(2 * time.Hour)
		if off := w.c.Now().Sub(w.truth.Add(w.ahead)).Abs(); off > 10*time.Millisecond {
			t.Fatalf("after two hours it is off by %s", off)
		}
	})
}
