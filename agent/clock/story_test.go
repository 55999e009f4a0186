package clock

import (
	"slices"
	"testing"
	"time"
)

// A story is what happened to a gateway, and what its clock must make of it.
type story struct {
	name        string
	truth, wall string
	sync        Sync
	do          func(w *world)
	news        []string
	source      Source        // in the end
	off         time.Duration // by how much our time is wrong at most, in the end
	dated       time.Duration // by how much any reading that counts was dated wrongly
}

const (
	noon = "2026-11-22 12:00:00"
	h    = time.Hour
	m    = time.Minute
)

var stories = []story{
	{name: "a Raspberry Pi boots in 1970; the time server answers after 40 minutes",
		truth: noon, wall: "1970-01-01 00:00:10", sync: pi,
		do: func(w *world) {
			w.run(40 * m)
			w.ahead, w.sync = 0, synced
			w.run(2 * h)
		},
		news: []string{"trusted 498707h59m50s quarantine"}, source: NTP, dated: Slack},

	{name: "fake-hwclock boots it an hour ago, and a later floor is known",
		truth: noon, wall: "2026-11-22 11:00:00", sync: pi,
		do: func(w *world) {
			w.opt.Floor = day("2026-11-22 11:30:00")
			w.start()
			if got := w.c.Now(); got != w.opt.Floor {
				w.t.Errorf("the provisional time begins at %s", got)
			}
			w.run(3 * m)
			w.ahead, w.sync = 0, synced
			w.run(2 * h)
		},
		news: []string{"trusted 30m0s quarantine"}, source: NTP},

	{name: "systemd moves the clock of a Pi to the last hour it knew: not believed",
		truth: noon, wall: "2025-01-01 00:00:00", sync: pi,
		do: func(w *world) {
			w.run(m)
			w.ahead = -h // systemd-timesyncd starts
			w.run(5 * h)
		},
		source: Unknown, off: 700 * 24 * h},

	{name: "an engineer sets the clock of a Pi that has no network",
		truth: noon, wall: "2025-01-01 00:00:00", sync: pi,
		do: func(w *world) {
			w.run(30 * m)
			w.ahead = 1500 * time.Millisecond // by his wristwatch
			w.run(h)
		},
		news: []string{"trusted 16572h0m2s quarantine"}, source: Operator, off: Slack, dated: Slack},

	{name: "a Pi that was synchronised before the agent was started",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) { w.run(h) }, source: NTP},

	{name: "a Pi with a battery clock, without network",
		truth: noon, wall: noon, sync: Sync{Board: true, RTC: day(noon)},
		do: func(w *world) { w.run(h) }, source: RTC},

	{name: "a Pi 5 whose battery was never fitted",
		truth: noon, wall: "2026-11-20 00:00:00", sync: Sync{Board: true, RTC: day("1970-01-01 00:00:20")},
		do: func(w *world) {
			w.run(10 * m)
			w.ahead, w.sync.Synchronised = 0, true
			w.run(h)
		},
		news: []string{"trusted 60h0m0s quarantine"}, source: NTP},

	{name: "a virtual machine that nobody keeps in time",
		truth: noon, wall: "2026-11-22 12:00:03", sync: server,
		do: func(w *world) { w.run(24 * h) }, source: Assumed, off: 3 * time.Second, dated: 3 * time.Second},

	{name: "a server was 10 minutes ahead and its time server corrects it",
		truth: noon, wall: "2026-11-22 12:10:00", sync: server,
		do: func(w *world) {
			w.run(h)
			w.ahead, w.sync.Synchronised = 0, true
			w.run(h)
		},
		news: []string{"stepped -10m0s flagged"}, source: NTP, dated: 10 * m},

	{name: "somebody sets a synchronised clock back by an hour; the time server puts it right within a minute",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.run(h)
			w.ahead, w.sync.Synchronised = -h, false
			w.run(45 * time.Second)
			w.ahead, w.sync.Synchronised = 0, true
			w.run(h)
		},
		news: []string{"lost 0s fine", "trusted 0s fine"}, source: NTP},

	{name: "the same forward, and the clock is right after all: a virtual machine slept three hours",
		truth: noon, wall: noon, sync: Sync{Synchronised: true},
		do: func(w *world) {
			w.run(h)
			w.truth, w.ahead = w.truth.Add(3*h), -3*h // asleep: no clock of its own ran
			w.run(tick)
			w.ahead, w.sync.Synchronised = 0, false // the hypervisor sets it
			w.run(2 * m)
			w.sync.Synchronised = true
			w.run(h)
		},
		news: []string{"lost 0s fine", "trusted 3h0m0s quarantine"}, source: NTP, dated: 3 * h},

	{name: "somebody sets a synchronised clock by 10 minutes, and no time server comes back",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.run(h)
			w.ahead, w.sync.Synchronised = -10*m, false
			w.run(20 * m)
		},
		news: []string{"lost 0s fine", "trusted -10m0s flagged"}, source: Operator, off: 10 * m, dated: 10 * m},

	{name: "a clock that is set again while it is doubted is doubted anew",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.run(h)
			w.ahead, w.sync.Synchronised = -10*m, false
			w.run(14 * m)
			w.ahead = 20 * m
			w.run(14 * m)
			w.ahead = 0
			w.run(m)
		},
		news: []string{"lost 0s fine", "trusted 0s fine"}, source: NTP},

	{name: "a synchronised clock falls to 1970: it is not followed",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.opt.Built = day("2026-10-01 00:00:00")
			w.start()
			w.run(h)
			ahead := w.ahead
			w.ahead, w.sync.Synchronised = -498804*h, false
			w.run(2 * h)
			if s := w.c.Status(); !s.Ignoring || !s.Trusted || w.c.Kept() != nil {
				w.t.Errorf("%+v", s)
			}
			w.ahead, w.sync.Synchronised = ahead, true
			w.run(h)
			if s := w.c.Status(); s.Ignoring || w.c.Kept() == nil {
				w.t.Errorf("%+v", s)
			}
		},
		source: NTP},

	{name: "a doubted clock falls to 1970 and stays there: ours goes on",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.opt.Built = day("2026-10-01 00:00:00")
			w.start()
			w.run(h)
			w.ahead, w.sync.Synchronised = -h, false
			w.run(5 * m)
			w.ahead = -498804 * h
			w.run(20 * m)
		},
		news: []string{"lost 0s fine", "trusted 0s fine"}, source: NTP},

	{name: "fine steps: 15 s forward at once, 15 s back at half speed",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.run(h)
			w.ahead = 15 * time.Second
			w.run(h)
			w.ahead = 0
			w.run(h)
		},
		news: []string{"stepped 15s fine", "stepped -15s fine"}, source: NTP, off: time.Millisecond, dated: 15 * time.Second},

	{name: "a night on which the civil clock changes: nothing happens",
		truth: "2026-10-24 22:00:00", wall: "2026-10-24 22:00:00", sync: synced,
		do: func(w *world) {
			london, err := time.LoadLocation("Europe/London")
			if err != nil {
				w.t.Fatal(err)
			}
			w.opt.Wall = nil
			w.start()
			w.c.opt.Wall = func() time.Time { return w.truth.In(london) }
			w.run(6 * h)
			if w.c.Now().Location() != time.UTC {
				w.t.Error("not in UTC")
			}
		},
		source: NTP},

	{name: "a leap second: the wall clock repeats one, ours is never more than one off",
		truth: "2016-12-31 23:30:00", wall: "2016-12-31 23:30:00", sync: synced,
		do: func(w *world) {
			w.run(30 * m)
			w.ahead -= time.Second
			w.run(h)
			w.truth, w.ahead = w.truth.Add(-time.Second), w.ahead+time.Second // as UTC counts
			w.dated = w.dated[:0]
		},
		source: NTP, off: time.Millisecond},

	{name: "a month on a crystal that is 100 ppm fast, on a system whose wall clock is kept and whose monotonic clock is not",
		truth: noon, wall: noon, sync: server,
		do: func(w *world) {
			w.tied, w.ppm = false, 100
			w.run(30 * 24 * h)
		},
		source: Assumed, off: time.Millisecond, dated: time.Millisecond},

	{name: "a month out of reach of the time server: the doubt grows to flagged",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.ppm = 60
			w.run(h)
			w.sync.Synchronised = false
			w.run(55 * h)
			if s := w.c.Status(); s.Class != Fine {
				w.t.Errorf("after 55 h: %+v", s)
			}
			w.run(h)
			if s := w.c.Status(); s.Class != Flagged || !s.Trusted || s.Confirmed.Sub(w.truth.Add(-56*h)).Abs() > 20*time.Second {
				w.t.Errorf("after 56 h: %+v", s)
			}
			w.run(28 * 24 * h)
			w.ahead, w.sync.Synchronised = 0, true
			w.run(h)
			if s := w.c.Status(); s.Class != Fine {
				w.t.Errorf("after the time server came back: %+v", s)
			}
		},
		news: []string{"stepped -2m37s flagged"}, source: NTP, off: 300 * time.Millisecond, dated: 3 * m},

	{name: "a laptop whose monotonic clock counts the time asleep",
		truth: noon, wall: noon, sync: server,
		do: func(w *world) {
			for range 10 {
				w.run(20 * m)
				w.pass(7 * h)
			}
			w.run(m)
		},
		source: Assumed},

	{name: "a laptop whose monotonic clock does not",
		truth: noon, wall: noon, sync: server,
		do: func(w *world) {
			for range 3 {
				w.run(20 * m)
				w.truth = w.truth.Add(7 * h)
				w.look()
				w.dated = w.dated[:len(w.dated)-1] // the one reading before the look that finds out
			}
			w.run(m)
		},
		news: slices.Repeat([]string{"stepped 7h0m0s quarantine"}, 3), source: Assumed},

	{name: "a clock was in 2030 by mistake, and half-hours of then are kept; it is put right while we run",
		truth: noon, wall: "2030-01-01 00:00:00", sync: server,
		do: func(w *world) {
			w.opt.Floor = day("2029-12-31 23:30:00")
			w.start()
			w.run(h)
			w.ahead = 0
			w.run(m + tick)
			w.dated = nil
		},
		news: []string{"lost 0s fine", "trusted -27252h0m0s quarantine"}, source: Operator},

	{name: "the same, put right while it was off: the time server's word goes above the floor",
		truth: noon, wall: noon, sync: server,
		do: func(w *world) {
			w.opt.Floor = day("2029-12-31 23:30:00")
			w.start()
			w.run(h)
			w.sync.Synchronised = true
			w.run(h)
		},
		news: []string{"trusted -27251h30m0s quarantine"}, source: NTP},

	{name: "trust always: a Pi without anything is believed, steps included",
		truth: noon, wall: "2026-11-22 11:00:00", sync: pi,
		do: func(w *world) {
			w.opt.Policy, w.opt.Floor = Always, day("2026-11-22 11:30:00")
			w.start()
			w.run(h)
			w.ahead = 0
			w.run(h)
			w.ahead = -2 * h
			w.run(h)
		},
		news: []string{"stepped 1h0m0s quarantine", "stepped -2h0m0s quarantine"}, source: Operator, off: 2 * h, dated: 2 * h},

	{name: "trust synchronised: a server waits for its time server",
		truth: noon, wall: noon, sync: server,
		do: func(w *world) {
			w.opt.Policy = Synchronised
			w.start()
			w.run(10 * m)
			w.ahead = h // set by hand: not enough
			w.run(10 * m)
			w.ahead, w.sync.Synchronised = 0, true
			w.run(h)
		},
		news: []string{"trusted 0s fine"}, source: NTP},

	{name: "the program is started anew while the time server is out of reach",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.run(h)
			w.sync.Synchronised = false
			w.run(h)
			w.opt.Kept = w.c.Kept()
			w.pass(m)
			w.start()
			w.run(h)
		},
		source: NTP},

	{name: "the machine is booted anew: what was kept does not count",
		truth: noon, wall: noon, sync: synced,
		do: func(w *world) {
			w.run(h)
			w.opt.Kept = w.c.Kept()
			w.sync.Synchronised, w.mono, w.ahead = false, 20*time.Second, -10*m
			w.start()
			w.run(h)
			w.dated = nil
		},
		source: Unknown, off: 10 * m},
}

func TestStories(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t, s.truth, s.wall, s.sync)
			w.start()
			s.do(w)
			if !slices.Equal(w.news, s.news) {
				t.Errorf("news %q, want %q (%s)", w.news, s.news, w.last.Why)
			}
			st := w.c.Status()
			if st.Source != s.source || st.Trusted != (s.source != Unknown) || st.Why == "" {
				t.Errorf("status %+v, want source %q", st, s.source)
			}
			if off := w.c.Now().Sub(w.truth).Abs(); off > s.off {
				t.Errorf("our time is wrong by %s", off)
			}
			if worst := w.worst(24 * 365 * h); worst > s.dated {
				t.Errorf("a reading was dated wrongly by %s", worst)
			}
		})
	}
}
