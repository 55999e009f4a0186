package clock

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// device is a device whose clock is off, over a wire that takes its time.
type device struct {
	d      DeviceClock
	now    time.Time
	off    time.Duration
	ppm    int64
	coarse time.Duration
	rnd    *rand.Rand
	late   func(r *rand.Rand) time.Duration
}

func newDevice(off, coarse time.Duration) *device {
	return &device{now: day(noon), off: off, coarse: coarse, rnd: rand.New(rand.NewPCG(1, 2)),
		late: func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(400)) * time.Millisecond }}
}

// say lets it speak n times, every so often.
func (d *device) say(n int, every time.Duration) Estimate {
	for range n {
		d.now = d.now.Add(every)
		d.off += every * time.Duration(d.ppm) / 1_000_000
		stamp := d.now.Add(d.off - d.late(d.rnd))
		if d.coarse > 0 {
			stamp = stamp.Truncate(d.coarse)
		}
		d.d.Add(stamp, d.now)
	}
	return d.d.Estimate(d.now)
}

func TestDeviceClocks(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func() (*device, Estimate)
		off   time.Duration
		play  time.Duration
		class Class
		zone  time.Duration
		words string
	}{
		{"a good clock", func() (*device, Estimate) { d := newDevice(0, 0); return d, d.say(100, 10*time.Second) },
			0, time.Second, Fine, 0, "its clock is right"},
		{"whole seconds", func() (*device, Estimate) {
			d := newDevice(0, time.Second)
			return d, d.say(100, 9700*time.Millisecond)
		},
			0, time.Second, Fine, 0, ""},
		{"whole minutes", func() (*device, Estimate) { d := newDevice(0, time.Minute); return d, d.say(100, 67*time.Second) },
			0, 5 * time.Second, Fine, 0, ""},
		{"10 minutes slow, as Elexon's protocol test has it", func() (*device, Estimate) { d := newDevice(-10*m, 0); return d, d.say(5, 10*time.Second) },
			-10 * m, time.Second, Flagged, 0, "10m0s behind, or its messages take that long"},
		{"10 minutes fast", func() (*device, Estimate) { d := newDevice(10*m, 0); return d, d.say(5, 10*time.Second) },
			10 * m, time.Second, Flagged, 0, "10m0s ahead"},
		{"British Summer Time for UTC", func() (*device, Estimate) {
			d := newDevice(h+3*time.Second, time.Second)
			return d, d.say(50, 10*time.Second)
		},
			h + 3*time.Second, time.Second, Quarantine, h, "1h0m2s ahead: it shows local time for UTC"},
		{"New York", func() (*device, Estimate) { d := newDevice(-5*h, 0); return d, d.say(50, 10*time.Second) },
			-5 * h, time.Second, Quarantine, -5 * h, "5h0m0s behind: it shows local time"},
		{"1970", func() (*device, Estimate) { d := newDevice(-56*365*24*h-7*m, 0); return d, d.say(5, 10*time.Second) },
			-56*365*24*h - 7*m, time.Second, Quarantine, 0, "behind"},
		{"one message in three takes up to half an hour", func() (*device, Estimate) {
			d := newDevice(0, 0)
			d.late = func(r *rand.Rand) time.Duration {
				if r.IntN(3) == 0 {
					return time.Duration(r.IntN(1800)) * time.Second
				}
				return 200 * time.Millisecond
			}
			return d, d.say(500, 10*time.Second)
		}, 0, time.Second, Fine, 0, ""},
		{"a broker holds everything back for 40 minutes and then lets it go", func() (*device, Estimate) {
			d := newDevice(0, 0)
			d.say(200, 10*time.Second)
			left := 40 * m
			d.late = func(*rand.Rand) time.Duration { left -= 10 * time.Second; return left }
			return d, d.say(240, 10*time.Second)
		}, 0, time.Second, Fine, 0, ""},
		{"one time that is years ahead", func() (*device, Estimate) {
			d := newDevice(0, 0)
			d.say(10, 10*time.Second)
			d.off = 80 * 365 * 24 * h
			d.say(2, 10*time.Second)
			d.off = 0
			return d, d.say(1, 10*time.Second)
		}, 0, time.Second, Fine, 0, ""},
		{"the first message was kept back", func() (*device, Estimate) {
			d := newDevice(-3*h, 0)
			d.say(1, 10*time.Second)
			d.off = 0
			return d, d.say(3, 10*time.Second)
		}, 0, time.Second, Fine, 0, ""},
		{"its clock is set forward by 5 minutes", func() (*device, Estimate) {
			d := newDevice(0, 0)
			d.say(50, 10*time.Second)
			d.off = 5 * m
			return d, d.say(3, 10*time.Second)
		}, 5 * m, time.Second, Flagged, 0, "5m0s ahead"},
		{"its clock, an hour ahead, is put right", func() (*device, Estimate) {
			d := newDevice(h, 0)
			d.say(50, 10*time.Second)
			d.off = 0
			return d, d.say(7, 10*time.Second)
		}, 0, time.Second, Fine, 0, "its clock is right"},
		{"the same for one that speaks each half-hour", func() (*device, Estimate) {
			d := newDevice(h, 0)
			d.say(50, 30*m)
			d.off = 0
			return d, d.say(5, 30*m)
		}, 0, time.Second, Fine, 0, ""},
		{"100 ppm slow over a month: followed, with a lag of four hours", func() (*device, Estimate) {
			d := newDevice(0, 0)
			d.ppm = -100
			return d, d.say(30*24*60, time.Minute)
		}, -30 * 24 * h / 10_000, 4 * time.Second, Flagged, 0, "4m18s behind"},
		{"100 ppm fast over a month", func() (*device, Estimate) {
			d := newDevice(0, 0)
			d.ppm = 100
			return d, d.say(30*24*60, time.Minute)
		}, 30 * 24 * h / 10_000, time.Second, Flagged, 0, "4m19s ahead"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, e := c.do()
			if !e.Known || (e.Offset-c.off).Abs() > c.play || e.Class != c.class || e.Zone != c.zone || !strings.Contains(e.String(), c.words) {
				t.Errorf("%+v (%s), want %s %s", e, e, c.off, c.class)
			}
			if got := e.Corrected(d.now.Add(d.off)); got.Sub(d.now).Abs() > c.play {
				t.Errorf("corrected to %s, want %s", got, d.now)
			}
		})
	}
}

// What is needed before anything is said or believed, and not one less.
func TestDeviceClockWaits(t *testing.T) {
	d := newDevice(0, 0)
	d.late = func(*rand.Rand) time.Duration { return 0 }
	if e := d.d.Estimate(d.now); e != (Estimate{}) || e.String() != "its clock is not known yet" || e.Corrected(d.now) != d.now {
		t.Errorf("from nothing: %+v", e)
	}
	if e := d.say(2, 10*time.Second); e.Known || e.Pairs != 2 || e.Offset != 0 {
		t.Errorf("from two: %+v", e)
	}
	if e := d.say(1, 10*time.Second); !e.Known || e.Pairs != 3 {
		t.Errorf("from three: %+v", e)
	}
	d.off = devicePlay + ns // a step forward: the third that agrees
	if e := d.say(2, 10*time.Second); e.Offset != 0 {
		t.Errorf("forward after two: %+v", e)
	}
	if e := d.say(1, 10*time.Second); e.Offset != devicePlay+ns || e.Pairs != 3 {
		t.Errorf("forward after three: %+v", e)
	}
	d.off = 0 // and back: the fifth that agrees, and a minute
	if e := d.say(4, 20*time.Second); e.Offset == 0 {
		t.Errorf("back after four: %+v", e)
	}
	if e := d.say(1, 20*time.Second); e.Offset != 0 || e.Pairs != 5 {
		t.Errorf("back after five: %+v", e)
	}
	d.off = -h
	d.say(1, 0)
	if e := d.say(5, 12*time.Second-ns); e.Offset != 0 {
		t.Errorf("back after less than a minute: %+v", e)
	}
	if e := d.say(1, 5*ns); e.Offset != -h {
		t.Errorf("back after a minute: %+v", e)
	}
	d.off += devicePlay // within the play: no step, and it counts at once
	if e := d.say(1, time.Second); e.Offset != -h+devicePlay {
		t.Errorf("within the play: %+v", e)
	}
}

// A broker hands over at once what it kept while the gateway was away: the
// device's clock is not behind for that.
func TestDeviceClockAfterAQueue(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
		var d DeviceClock
		back := day(noon)
		for ago := 10 * every; ago >= 0; ago -= every {
			d.Add(back.Add(-ago), back)
			if e := d.Estimate(back); e.Known && e.Class != Fine {
				t.Errorf("a message every %s, %s ago: %s", every, ago, e)
			}
		}
		for n := range 5 {
			d.Add(back.Add(time.Duration(n)*every), back.Add(time.Duration(n)*every))
		}
		if e := d.Estimate(back.Add(5 * every)); !e.Known || e.Class != Fine || e.Offset.Abs() > time.Second {
			t.Errorf("a message every %s, afterwards: %s", every, e)
		}
	}
	// But one that is ahead is not believed for a single message.
	var d DeviceClock
	d.Add(day(noon), day(noon))
	d.Add(day(noon).Add(time.Hour+time.Second), day(noon).Add(time.Second))
	d.Add(day(noon).Add(2*time.Second), day(noon).Add(2*time.Second))
	if e := d.Estimate(day(noon).Add(2 * time.Second)); e.Offset.Abs() > time.Second {
		t.Error(e)
	}
}

// A run is only of differences that agree; one that fits the level ends it.
func TestDeviceClockRuns(t *testing.T) {
	d := newDevice(0, 0)
	d.late = func(*rand.Rand) time.Duration { return 0 }
	d.say(3, time.Minute)
	for range 4 {
		d.off = h
		d.say(2, time.Minute)
		d.off = 0
		if e := d.say(1, time.Minute); e.Offset != 0 {
			t.Fatalf("two leaps with a good one between count as three: %+v", e)
		}
	}
	for i := range 12 {
		d.off = time.Duration(i+1) * (devicePlay + ns)
		if e := d.say(1, time.Minute); e.Offset != 0 {
			t.Fatalf("leaps that do not agree are believed: %+v", e)
		}
	}
}

// What agrees within the play is one run, and its greatest difference counts.
func TestDeviceClockTakesTheGreatestOfARun(t *testing.T) {
	for play, want := range map[time.Duration]time.Duration{devicePlay: h + devicePlay, devicePlay + ns: 0} {
		d := newDevice(0, 0)
		d.now = d.now.Add(ns) // its times are as fine as can be
		d.late = func(*rand.Rand) time.Duration { return 0 }
		d.say(3, time.Minute)
		for _, off := range []time.Duration{h, h + play, h} {
			d.off = off
			d.say(1, time.Minute)
		}
		if e := d.d.Estimate(d.now); e.Offset != want {
			t.Errorf("a run with %s of play: %+v, want %s", play, e, want)
		}
	}
}

func TestDeviceClockForgets(t *testing.T) {
	for silent, known := range map[time.Duration]bool{210 * m: true, 4*h - time.Second: true, 4 * h: false} {
		d := newDevice(10*m, 0)
		d.late = func(*rand.Rand) time.Duration { return 0 }
		d.now = day(noon).Add(-30 * time.Second)
		d.say(3, 10*time.Second) // the last just at noon, where a stretch of time begins
		if e := d.d.Estimate(d.now.Add(silent)); e.Known != known {
			t.Errorf("after %s of silence: %+v", silent, e)
		}
	}
	d := newDevice(10*m, 0)
	d.say(10, 10*time.Second)
	d.off, d.now = 0, d.now.Add(5*h)
	if e := d.say(1, 10*time.Second); e.Known || d.d.pairs != 1 {
		t.Errorf("after a silence it begins anew: %+v", e)
	}
	if e := d.d.Estimate(d.now.Add(-h)); e.Known {
		t.Errorf("it knows an hour before: %+v", e)
	}
}

// A clock that hovers about a bound does not change class all the time.
func TestDeviceClassHasPlay(t *testing.T) {
	d := newDevice(0, 0)
	d.late = func(*rand.Rand) time.Duration { return 0 }
	for _, c := range []struct {
		off  time.Duration
		want Class
	}{
		{20 * time.Second, Fine}, {20*time.Second + ns, Flagged}, {20 * time.Second, Flagged}, {18*time.Second + 9*ns, Flagged}, {18 * time.Second, Fine},
		{15 * m, Flagged}, {15*m + ns, Quarantine}, {15 * m, Quarantine}, {13*m + 30*time.Second + 9*ns, Quarantine}, {13*m + 30*time.Second, Flagged},
		{h, Quarantine}, {0, Fine}, {-h, Quarantine}, {-19 * time.Second, Flagged}, {-21 * time.Second, Flagged}, {-17 * time.Second, Fine},
	} {
		d.off = c.off
		d.now = d.now.Add(5 * h) // what was before is forgotten, but for the class
		if e := d.say(3, 10*time.Second); e.Class != c.want || e.Offset != c.off {
			t.Errorf("at %s: %+v, want %s", c.off, e, c.want)
		}
	}
}

func TestDeviceResolution(t *testing.T) {
	for _, c := range []struct {
		stamps []string
		want   time.Duration
	}{
		{[]string{"12:00:00", "12:01:00", "12:02:00"}, time.Minute},
		{[]string{"12:00:00", "12:01:01", "12:02:00"}, time.Second},
		{[]string{"12:00:59", "12:01:00", "12:02:00"}, time.Second},
		{[]string{"12:00:01", "12:01:00.5", "12:02:00"}, 0},
		{[]string{"12:00:00.000000001", "12:01:00", "12:02:00"}, 0},
	} {
		var d DeviceClock
		var at time.Time
		for _, s := range c.stamps {
			at, _ = time.Parse("2006-01-02 15:04:05", "2026-11-22 "+s)
			d.Add(at, at)
		}
		if e := d.Estimate(at); e.Resolution != c.want || !e.Known {
			t.Errorf("%v: %+v, want %s", c.stamps, e, c.want)
		}
	}
	// What the resolution explains is no error of the clock.
	for off, want := range map[time.Duration]Class{80 * time.Second: Fine, 81 * time.Second: Flagged} {
		d := newDevice(0, 0)
		for i := range 3 {
			at := day(noon).Add(time.Duration(i) * time.Minute)
			d.d.Add(at.Add(2*time.Minute), at.Add(2*time.Minute-off))
			d.now = at
		}
		if e := d.d.Estimate(d.now.Add(time.Minute)); e.Class != want {
			t.Errorf("a minute's resolution, %s ahead: %+v", off, e)
		}
	}
}

func TestZone(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		h: h, h + 30*time.Second: h, h - 30*time.Second: h, h + 31*time.Second: 0, h - 31*time.Second: 0,
		-h: -h, 30 * m: 30 * m, 15 * m: 0, 45 * m: 45 * m, 345 * m: 345 * m, 14 * h: 14 * h, 14*h + 15*m: 0, 0: 0, 40 * m: 0,
	} {
		if got := zone(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// When our own clock is set, the device's offset changes by as much, at once.
func TestDeviceClockAfterOurs(t *testing.T) {
	d := newDevice(10*m, 0)
	d.say(10, 10*time.Second)
	d.now, d.off = d.now.Add(h), d.off-h // ours was an hour behind
	d.d.Shifted(h, d.now)
	if e := d.d.Estimate(d.now); !e.Known || (e.Offset+50*m).Abs() > time.Second || e.Class != Quarantine {
		t.Errorf("%+v", e)
	}
	if e := d.say(1, 10*time.Second); (e.Offset+50*m).Abs() > time.Second || e.Pairs != 11 {
		t.Errorf("%+v", e)
	}
	var none DeviceClock
	none.Shifted(h, d.now)
	if e := none.Estimate(d.now); e.Known {
		t.Errorf("%+v", e)
	}
}

// Whatever the lateness of messages, one prompt one in each two hours is
// enough, and a steady clock is never thought to be ahead of itself.
func TestDeviceClockIsNeverFooledByLateness(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		off := time.Duration(rapid.Int64Range(-1e14, 1e14).Draw(r, "off"))
		d := newDevice(off, 0)
		d.now = d.now.Add(ns)
		d.rnd = rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
		n := 0
		d.late = func(rnd *rand.Rand) time.Duration {
			if n++; n%100 == 1 {
				return 100 * time.Millisecond
			}
			return time.Duration(rnd.Int64N(int64(3 * h)))
		}
		var last time.Duration
		for range 1000 {
			e := d.say(1, time.Minute)
			last = e.Offset
			if e.Known && last > off {
				r.Fatalf("ahead of itself: %s, is %s", last, off)
			}
		}
		if (last - off).Abs() > time.Second {
			r.Fatalf("%s, is %s", last, off)
		}
	})
}

func TestDeviceClockAllocatesNothing(t *testing.T) {
	d := newDevice(0, 0)
	if n := testing.AllocsPerRun(100, func() { d.say(1, 10*time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
