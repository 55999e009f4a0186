package clock

import (
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
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
	o.Logger = slog.New(slog.DiscardHandler)
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
	if b, err := json.Marshal([]Class{Fine, Flagged, Quarantine, 3}); err != nil || string(b) != `["fine","flagged","quarantine","unknown"]` {
		t.Errorf("%s %v", b, err)
	}
}

func TestAStepIsMoreThanTheSlack(t *testing.T) {
	for _, c := range []struct {
		by   time.Duration
		sync bool
		want Kind
	}{
		{Slack, false, ""}, {-Slack, false, ""},
		{Slack + ns, false, Stepped}, {-Slack - ns, false, Stepped},
		{FineMost, false, Stepped}, {-FineMost, false, Stepped},
		{FineMost + ns, false, Lost}, {-FineMost - ns, false, Lost},
		{FineMost + ns, true, Stepped}, {-FineMost - ns, true, Stepped},
	} {
		w := &hand{wall: day(noon), sync: Sync{Synchronised: true}}
		k := w.clock(Options{})
		w.sync.Synchronised = c.sync
		w.wall = w.wall.Add(c.by)
		ch, ok := k.Check()
		if ch.Kind != c.want || ok != (c.want != "") {
			t.Errorf("a step of %s: %+v %v, want %q", c.by, ch, ok, c.want)
		}
	}
}

func TestAStepOfAnAssumedClock(t *testing.T) {
	for by, want := range map[time.Duration]Kind{time.Hour: Stepped, -time.Hour: Lost} {
		w := &hand{wall: day(noon)}
		k := w.clock(Options{})
		w.wall = w.wall.Add(by)
		if ch, _ := k.Check(); ch.Kind != want {
			t.Errorf("a step of %s: %+v, want %s", by, ch, want)
		}
	}
}

// How long a step without a time server's word must last, to the nanosecond.
func TestHold(t *testing.T) {
	for served, hold := range map[bool]time.Duration{true: 15 * time.Minute, false: time.Minute} {
		w := &hand{wall: day(noon), sync: Sync{Synchronised: served}}
		k := w.clock(Options{})
		w.sync.Synchronised = false
		w.wall = w.wall.Add(-time.Hour)
		if ch, _ := k.Check(); ch.Kind != Lost {
			t.Fatalf("served %v: %+v", served, ch)
		}
		w.pass(hold - ns)
		if ch, ok := k.Check(); ok {
			t.Errorf("served %v: too soon: %+v", served, ch)
		}
		w.pass(ns)
		ch, ok := k.Check()
		if !ok || ch.Kind != Trusted || ch.Shift != -time.Hour || !k.Now().Equal(w.wall) || k.Status().Source != Operator {
			t.Errorf("served %v: %+v", served, ch)
		}
		if want := day(noon); !ch.Since.Equal(want) {
			t.Errorf("since %s, want %s, when both agreed last", ch.Since, want)
		}
	}
}

// A time service that comes back while the clock is doubted decides at once.
func TestDoubtEndsWithTheTimeServer(t *testing.T) {
	w := &hand{wall: day(noon), sync: Sync{Synchronised: true}}
	k := w.clock(Options{})
	w.wall, w.sync.Synchronised = w.wall.Add(-time.Hour), false
	k.Check()
	w.pass(time.Second)
	w.sync.Synchronised = true
	ch, ok := k.Check()
	if !ok || ch.Kind != Trusted || ch.Shift != -time.Hour || k.Status().Source != NTP || k.Status().Steps != 1 {
		t.Errorf("%+v %+v", ch, k.Status())
	}
}

// In the first minutes after boot a step is the system's, later a person's.
func TestWhoSetTheClock(t *testing.T) {
	for up, want := range map[time.Duration]bool{5 * time.Minute: false, 5*time.Minute + ns: true} {
		w := &hand{wall: day("2026-01-01 00:00:00"), mono: up, sync: Sync{Board: true}}
		k := w.clock(Options{})
		if k.Trusted() {
			t.Fatal("trusted without a reason")
		}
		w.wall = w.wall.Add(Slack)
		k.Check()
		if k.Trusted() {
			t.Error("drift counts as setting")
		}
		w.wall = w.wall.Add(-Slack - ns)
		if k.Check(); k.Trusted() != want {
			t.Errorf("set %s after boot: trusted %v", up, k.Trusted())
		}
	}
}

// What cannot be is not believed even if a person set it.
func TestSetToWhatCannotBe(t *testing.T) {
	built := day("2026-01-01 00:00:00")
	w := &hand{wall: day("2025-01-01 00:00:00"), mono: time.Hour, sync: Sync{Board: true}}
	k := w.clock(Options{Built: built})
	if !k.Now().Equal(built) {
		t.Errorf("provisional time %s is before the program was built", k.Now())
	}
	w.wall = built.Add(-ns)
	if k.Check(); k.Trusted() {
		t.Error("believed a time before the program was built")
	}
	w.wall = built
	if ch, ok := k.Check(); !ok || ch.Kind != Trusted || k.Status().Source != Operator {
		t.Errorf("%+v", ch)
	}
}

func TestBelievable(t *testing.T) {
	now := day(noon)
	built := day("2026-10-01 00:00:00")
	rtc := func(d time.Duration) Sync { return Sync{Board: true, RTC: now.Add(d)} }
	for _, c := range []struct {
		name string
		o    Options
		sync Sync
		wall time.Time
		want Source
		why  string
	}{
		{"a server", Options{Policy: Auto}, Sync{}, now, Assumed, "taken as it is"},
		{"at the floor", Options{Policy: Auto, Floor: now}, Sync{}, now, Assumed, ""},
		{"before the floor", Options{Policy: Auto, Floor: now.Add(ns)}, Sync{}, now, Unknown, "newest reading"},
		{"before the floor, served", Options{Policy: Auto, Floor: now.Add(h)}, Sync{Synchronised: true}, now, NTP, ""},
		{"before the floor, always", Options{Policy: Always, Floor: now.Add(h)}, Sync{Board: true}, now, Operator, ""},
		{"before it was built, always", Options{Policy: Always, Built: now.Add(ns)}, Sync{Synchronised: true}, now, Unknown, "cannot be"},
		{"when it was built", Options{Policy: Auto, Built: now}, Sync{}, now, Assumed, ""},
		{"twenty years on", Options{Policy: Auto, Built: built}, Sync{}, built.Add(ceiling), Assumed, ""},
		{"more than twenty years on", Options{Policy: Auto, Built: built}, Sync{}, built.Add(ceiling + ns), Unknown, "cannot be"},
		{"more than twenty years on, served", Options{Policy: Auto, Built: built}, Sync{Synchronised: true}, built.Add(ceiling + ns), NTP, ""},
		{"a board", Options{Policy: Auto}, Sync{Board: true, Note: "a note"}, now, Unknown, "no battery clock: waiting for a time server, or for somebody to set the clock (a note)"},
		{"a board with a battery clock", Options{Policy: Auto}, rtc(0), now, RTC, "battery"},
		{"a minute behind", Options{Policy: Auto}, rtc(-time.Minute), now, RTC, ""},
		{"a minute ahead", Options{Policy: Auto}, rtc(time.Minute), now, RTC, ""},
		{"more than a minute", Options{Policy: Auto}, rtc(time.Minute + ns), now, Unknown, "battery clock shows"},
		{"a battery clock before the floor", Options{Policy: Auto, Floor: now.Add(h)}, rtc(0), now, Unknown, "newest reading"},
		{"a server whose battery clock is in local time", Options{Policy: Auto}, Sync{RTC: now.Add(h)}, now, Assumed, ""},
		{"synchronised wanted, not so", Options{Policy: Synchronised}, rtc(0), now, Unknown, "as the configuration says"},
		{"synchronised wanted", Options{Policy: Synchronised}, Sync{Synchronised: true}, now, NTP, ""},
	} {
		src, why := c.o.believable(look{c.sync, time.Hour, c.wall})
		if src != c.want || !strings.Contains(why, c.why) || why == "" {
			t.Errorf("%s: %q (%s), want %q", c.name, src, why, c.want)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	for s, want := range map[string]Policy{"": Auto, "auto": Auto, "always": Always, "synchronised": Synchronised} {
		if p, err := ParsePolicy(s); p != want || err != nil {
			t.Errorf("%q: %q %v", s, p, err)
		}
	}
	if _, err := ParsePolicy("never"); err == nil || !strings.Contains(err.Error(), `"never": use one of auto, always, synchronised`) {
		t.Errorf("%v", err)
	}
}

func TestKept(t *testing.T) {
	first := func() (*hand, *Clock) {
		w := &hand{wall: day(noon), mono: time.Hour, sync: Sync{Board: true, Synchronised: true, Boot: "b1"}}
		return w, w.clock(Options{})
	}
	for _, c := range []struct {
		name string
		do   func(w *hand, o *Options)
		want Source
	}{
		{"an hour later", func(w *hand, o *Options) { w.pass(time.Hour) }, NTP},
		{"at once", func(w *hand, o *Options) {}, NTP},
		{"drift", func(w *hand, o *Options) { w.wall = w.wall.Add(-Slack) }, NTP},
		{"set meanwhile", func(w *hand, o *Options) { w.wall = w.wall.Add(Slack + ns) }, Unknown},
		{"set back meanwhile", func(w *hand, o *Options) { w.wall = w.wall.Add(-Slack - ns) }, Unknown},
		{"another boot", func(w *hand, o *Options) { w.sync.Boot = "b2" }, Unknown},
		{"another boot at the same instant", func(w *hand, o *Options) { w.pass(-ns) }, Unknown},
		{"another policy", func(w *hand, o *Options) { o.Policy = Synchronised }, Unknown},
		{"cannot be", func(w *hand, o *Options) { o.Built = w.wall.Add(time.Hour) }, Unknown},
		{"damaged", func(w *hand, o *Options) { o.Kept = o.Kept[:len(o.Kept)-1] }, Unknown},
		{"another version", func(w *hand, o *Options) {
			o.Kept = []byte(strings.Replace(string(o.Kept), `"version":1`, `"version":2`, 1))
		}, Unknown},
		{"no source", func(w *hand, o *Options) { o.Kept = []byte(strings.Replace(string(o.Kept), `"ntp"`, `""`, 1)) }, Unknown},
		{"before the floor", func(w *hand, o *Options) { o.Floor = w.wall.Add(time.Hour) }, NTP},
	} {
		w, k := first()
		o := Options{Kept: k.Kept()}
		w.sync.Synchronised = false
		c.do(w, &o)
		if got := w.clock(o).Status().Source; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	// The wire form is kept in stores: it must not change by accident.
	_, k := first()
	if got := string(k.Kept()); got != `{"version":1,"boot":"b1","raw":1795345200000000000,"mono":3600000000000,"source":"ntp"}` {
		t.Errorf("kept %s", got)
	}
	w, _ := first()
	w.sync = Sync{Board: true}
	if b := w.clock(Options{}).Kept(); b != nil {
		t.Errorf("an untrusted clock keeps %s", b)
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
			Logger: slog.New(slog.DiscardHandler),
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
	c := New(Options{Policy: Always, Logger: slog.New(slog.DiscardHandler)})
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
		Sync: func() Sync { return w.sync }, Logger: slog.New(slog.DiscardHandler),
	})
	if ch, ok := c.Check(); ok || reads != 3 {
		t.Errorf("%+v after %d reads", ch, reads)
	}
	if c.Now() != w.wall {
		t.Errorf("off by %s", c.Now().Sub(w.wall))
	}
}

func TestNowAllocatesNothingAndNeverGoesBackAmongGoroutines(t *testing.T) {
	c := New(Options{Policy: Always, Logger: slog.New(slog.DiscardHandler)})
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
