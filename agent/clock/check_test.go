package clock

import (
	"testing"
	"time"
)

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

// That a time service has answered for the clock is not forgotten when the
// program is started anew: a step then is doubted as long as before (seed 30032
// of the simulation: an hour's step was believed at once after a restart).
func TestServedOutlivesTheProgram(t *testing.T) {
	w := &hand{wall: day(noon), sync: Sync{Boot: "b1", Synchronised: true}}
	kept := w.clock(Options{}).Kept()
	w.pass(time.Hour)
	w.sync.Synchronised = false
	k := w.clock(Options{Kept: kept})
	if s := k.Status(); !s.Trusted || !s.Confirmed.Equal(day(noon)) || s.Doubt != time.Hour/drift {
		t.Errorf("%+v, want it confirmed at %s", s, day(noon))
	}
	w.wall = w.wall.Add(68 * time.Minute)
	if ch, _ := k.Check(); ch.Kind != Lost {
		t.Fatalf("a step forward after a restart: %+v, want %s", ch, Lost)
	}
	w.pass(15*time.Minute - ns)
	if ch, ok := k.Check(); ok {
		t.Errorf("believed too soon: %+v", ch)
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

// A difference of the slack is followed slowly, one part in a thousand.
func TestSlackIsFollowed(t *testing.T) {
	for _, by := range []time.Duration{Slack, -Slack, time.Second} {
		w := &hand{wall: day(noon)}
		k := w.clock(Options{})
		w.wall = w.wall.Add(by)
		k.Check()
		w.pass(1000 * time.Second)
		want := w.wall.Add(-by / time.Duration(by.Abs()/time.Second) * time.Duration(by.Abs()/time.Second-1))
		if got := k.Now(); !got.Equal(want) {
			t.Errorf("%s off: after 1000 s %s is left", by, w.wall.Sub(got))
		}
		w.pass(1000*time.Second + ns)
		if got := k.Now(); !got.Equal(w.wall) {
			t.Errorf("%s off: after 2000 s %s is left", by, w.wall.Sub(got))
		}
	}
}

// A fine step back is walked off at half speed, and looking at it changes nothing.
func TestFineStepBack(t *testing.T) {
	for by, walks := range map[time.Duration]bool{-FineMost: true, -Slack - ns: true, -FineMost - ns: false} {
		w := &hand{wall: day(noon), sync: Sync{Synchronised: true}}
		k := w.clock(Options{})
		w.wall = w.wall.Add(by)
		ch, _ := k.Check()
		if leaped := !k.Now().Equal(day(noon)); ch.Kind != Stepped || ch.Shift != by || leaped == walks {
			t.Errorf("%s: %+v, leaped %v", by, ch, leaped)
		}
		for range 3 {
			if ch, ok := k.Check(); ok {
				t.Errorf("%s: said again: %+v", by, ch)
			}
		}
		if !walks {
			continue
		}
		w.pass(2 * time.Second)
		if got := k.Now(); !got.Equal(day(noon).Add(time.Second)) {
			t.Errorf("%s: two seconds are %s", by, got.Sub(day(noon)))
		}
		w.pass(40 * time.Second)
		if got := k.Now(); !got.Equal(w.wall) {
			t.Errorf("%s: %s is left", by, w.wall.Sub(got))
		}
	}
}

// While a step is walked off, another one is noticed.
func TestStepDuringAWalk(t *testing.T) {
	for by, want := range map[time.Duration]Kind{Slack: "", -Slack: "", Slack + ns: Stepped, -Slack - ns: Stepped} {
		w := &hand{wall: day(noon), sync: Sync{Synchronised: true}}
		k := w.clock(Options{})
		w.wall = w.wall.Add(-10 * time.Second)
		k.Check()
		w.wall = w.wall.Add(by)
		if ch, _ := k.Check(); ch.Kind != want || want != "" && ch.Shift != -10*time.Second+by {
			t.Errorf("%s: %+v", by, ch)
		}
	}
}

// A doubted clock is back when it is within the slack of what it was.
func TestDoubtedClockComesBack(t *testing.T) {
	for by, back := range map[time.Duration]bool{Slack: true, -Slack: true, Slack + ns: false, -Slack - ns: false} {
		w := &hand{wall: day(noon), mono: time.Hour, sync: Sync{Synchronised: true}}
		k := w.clock(Options{})
		w.wall, w.sync.Synchronised = w.wall.Add(-time.Hour), false
		w.pass(time.Second)
		lost, _ := k.Check()
		w.pass(time.Second)
		w.wall = w.wall.Add(time.Hour + by)
		ch, ok := k.Check()
		if ok != back || back && (ch.Kind != Trusted || ch.Shift != 0 || !ch.Since.Equal(day(noon))) {
			t.Errorf("%s: %+v", by, ch)
		}
		if lost.Kind != Lost || !lost.Since.Equal(day(noon)) || !lost.At.Equal(day(noon).Add(time.Second)) {
			t.Errorf("lost: %+v", lost)
		}
	}
}

// A doubted clock that shows what cannot be is given up after the same time.
func TestDoubtedClockShowsWhatCannotBe(t *testing.T) {
	w := &hand{wall: day(noon), sync: Sync{Synchronised: true}}
	k := w.clock(Options{Built: day("2026-10-01 00:00:00")})
	w.wall, w.sync.Synchronised = w.wall.Add(-time.Hour), false
	k.Check()
	w.wall = day("1970-01-01 00:00:00")
	k.Check()
	w.pass(holdSynced - ns)
	if ch, ok := k.Check(); ok {
		t.Errorf("too soon: %+v", ch)
	}
	w.pass(ns)
	if ch, ok := k.Check(); !ok || ch.Kind != Trusted || ch.Shift != 0 || !k.Now().Equal(day(noon).Add(holdSynced)) || !k.Status().Ignoring {
		t.Errorf("%+v", ch)
	}
}

// Who answers for the clock is always the last that did, but for an operator
// who said always.
func TestSource(t *testing.T) {
	for policy, want := range map[Policy]Source{Auto: NTP, Always: Operator, Synchronised: NTP} {
		w := &hand{wall: day(noon)}
		k := w.clock(Options{Policy: policy})
		w.sync = Sync{Synchronised: true, Doubt: time.Second}
		w.pass(tick)
		k.Check()
		if s := k.Status(); s.Source != want || s.Doubt != time.Second || !s.Confirmed.Equal(w.wall) {
			t.Errorf("%s: %+v", policy, s)
		}
		w.sync = Sync{}
		w.pass(1000 * time.Second)
		k.Check()
		if s := k.Status(); s.Source != want || s.Doubt != time.Second+100*time.Millisecond || s.Class != Fine || !s.Confirmed.Equal(w.wall.Add(-1000*time.Second)) {
			t.Errorf("%s, unanswered: %+v", policy, s)
		}
		w.wall = w.wall.Add(-time.Hour)
		w.sync = Sync{Synchronised: true}
		if ch, _ := k.Check(); ch.Kind != Stepped || k.Status().Source != want || k.Status().Steps != 1 {
			t.Errorf("%s, set: %+v", policy, k.Status())
		}
	}
	// Nobody knows how wrong a clock is that no time service ever answered for.
	w := &hand{wall: day(noon)}
	k := w.clock(Options{})
	w.pass(1000 * time.Hour)
	k.Check()
	if s := k.Status(); s.Doubt != 0 || !s.Confirmed.IsZero() || s.Class != Fine || s.Source != Assumed {
		t.Errorf("%+v", s)
	}
}
