package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
)

// alarming is a bus whose first device has an alarm on.
type alarming struct{ *counted }

func (a alarming) Alarms(i int) []drivers.AlarmState {
	if i == 0 {
		return []drivers.AlarmState{{On: true}}
	}
	return nil
}

// A configuration that is read again is no new start for what stays as it was:
// counters go on, what was told is not told again. A meter that is read in
// another way begins anew.
func TestTakeOver(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		var log bytes.Buffer
		make1 := func(before *Agent, change func(*config.Config)) (*Agent, func()) {
			f := newFake(registers{curve(1000)}, registers{func(time.Time) (int64, error) { return 0, errSilence }}, registers{curve(0)})
			f.takes = []time.Duration{30 * time.Millisecond, time.Second}
			wire := alarming{&counted{f, make([]drivers.Tally, 3)}}
			c := site(f, 10*time.Second)
			c.Meters[0].Alarms = []config.Alarm{{Alarm: modbus.Alarm{Table: "discrete", Address: 1}, Means: "cover open"}}
			if change != nil {
				change(c)
			}
			a, err := New(Options{Config: c, Store: s, Drivers: f.drivers(), Logger: slog.New(record.Handler(t, slog.NewTextHandler(&log, nil))), Flush: 10 * time.Minute, Version: "test", Before: before})
			check(t, err)
			a.buses[0].poller = wire
			return a, func() { check(t, runFor(a, 35*time.Minute+time.Second)) }
		}
		first, run := make1(nil, nil)
		if first.opt.Before != nil {
			t.Error("it has a predecessor")
		}
		run()
		was := first.Status()
		second, run := make1(first, func(c *config.Config) {
			c.Buses[0].Timeout, c.Buses[0].Line, c.Meters[0].Line = 2*time.Second, 9, 9
			c.Meters[0].Exchanges = []config.Exchange{}
			c.Meters[2].Registers[0].Address = 99
		})
		if second.opt.Before != nil {
			t.Error("the agent before is held on to")
		}
		now := second.Status()
		for i, m := range now.Meters[:2] {
			o := was.Meters[i]
			if m.State != o.State || !m.Since.Equal(o.Since) || !m.Answered.Equal(o.Answered) || m.Failures != o.Failures || m.Errors[drivers.Timeout] != o.Errors[drivers.Timeout] || m.Traffic.Requests != o.Traffic.Requests || m.Traffic.BytesIn != o.Traffic.BytesIn {
				t.Errorf("%s was %+v %+v and is %+v %+v", m.ID, o, o.Traffic, m, m.Traffic)
			}
			if r, or := m.Registers[0], o.Registers[0]; r.Settled != or.Settled || r.Value != or.Value || r.Events[energy.Opened.String()] != or.Events[energy.Opened.String()] || !r.Newest.Equal(or.Newest) {
				t.Errorf("%s was %+v and is %+v", m.ID, or, r)
			}
		}
		if l, o := now.Meters[0].Latency, was.Meters[0].Latency; l == nil || l.Counted != o.Counted || l.Counted < 200 {
			t.Errorf("latency: %+v, it was %+v", l, o)
		}
		if a := now.Meters[0].Alarms; len(a) != 1 || a[0].State != "on" || !a[0].Since.Equal(was.Meters[0].Alarms[0].Since) {
			t.Errorf("alarms: %+v", a)
		}
		if m := now.Meters[2]; m.State != "waiting" || m.Traffic.Requests != 0 || m.Registers[0].Settled != 0 || m.Latency != nil {
			t.Errorf("read in another way: %+v", m)
		}
		if b, o := now.Buses[0], was.Buses[0]; b.Polls != o.Polls || b.Errors[drivers.Timeout] != o.Errors[drivers.Timeout] || b.Wire.Requests != o.Wire.Requests || b.Wire.Modbus.Splits != 2+2 || b.Busy <= 0 {
			t.Errorf("the bus was %+v %+v and is %+v %+v", o, o.Wire, b, b.Wire)
		}
		run()
		end := second.Status()
		if a, b := end.Meters[0], was.Meters[0]; a.Traffic.Requests < 2*b.Traffic.Requests-10 || a.Registers[0].Settled <= b.Registers[0].Settled || a.Latency.Counted < 2*b.Latency.Counted-10 {
			t.Errorf("counted on: %+v after %+v", a.Traffic, b.Traffic)
		}
		if n := end.Buses[0].Wire.Modbus.Splits; n != 4 {
			t.Errorf("%d splits", n)
		}
		if n := strings.Count(log.String(), "alarm of a meter"); n != 1 {
			t.Errorf("the alarm is logged %d times:\n%s", n, log.String())
		}
		if n := strings.Count(log.String(), "meter gives no reading"); n != 1 {
			t.Errorf("the silent meter is logged %d times", n)
		}
		told := 0
		for _, note := range end.Notes {
			if strings.HasPrefix(note.What, "Alarm: cover open") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("the alarm is noted %d times", told)
		}
		check(t, s.Close())
	})
}

// Another wire, or another alarm, begins anew.
func TestTakeOverNot(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		f := newFake(registers{curve(1000)})
		first := newAgent(t, f, site(f, 10*time.Second), s)
		check(t, runFor(first, time.Minute))
		for _, change := range []func(*config.Config){
			func(c *config.Config) { c.Buses[0].URL = "fake://elsewhere" },
			func(c *config.Config) { c.Buses[0].ID, c.Meters[0].Bus = "other", "other" },
			func(c *config.Config) { c.Buses[0].Listening = &config.Listening{} },
			func(c *config.Config) { c.Meters[0].ID = "b" },
			func(c *config.Config) { c.Meters[0].Unit = 7 },
			func(c *config.Config) { c.Meters[0].Device = "x" },
			func(c *config.Config) { c.Meters[0].Registers[0].Scale = "0.1" },
		} {
			c := site(f, 10*time.Second)
			change(c)
			next, err := New(Options{Config: c, Store: s, Drivers: f.drivers(), Logger: quietLog, Version: "test", Before: first})
			check(t, err)
			if m := next.Status().Meters[0]; m.State != "waiting" || m.Latency != nil {
				t.Errorf("%+v", m)
			}
		}
		check(t, s.Close())
	})
}

// What was read while nobody knew the time outlasts a configuration that is read
// again meanwhile.
func TestTakeOverWhileTheClockIsNotTrusted(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		from := time.Now()
		w := &timeOfDay{off: -365 * 24 * time.Hour}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		k := w.clock()
		first := newDated(t, f, site(f, time.Minute), s, k)
		check(t, runFor(first, 40*time.Minute))
		c := site(f, time.Minute)
		c.Site.Name = "Another"
		second, err := New(Options{Config: c, Store: s, Drivers: dated(f), Clock: k, Now: time.Now, Logger: quietLog, Flush: 10 * time.Minute, Version: "test", Before: first})
		check(t, err)
		time.AfterFunc(40*time.Minute+7*time.Second, func() { w.learn() })
		check(t, runFor(second, 2*time.Hour+time.Minute))
		hs := all(t, s, key("a"))
		if q := conserved(t, key("a"), hs, curve(1000), interpolating); !hs[0].Start.Equal(from) || len(hs) != 5 || q[energy.Measured] != 5 {
			t.Errorf("%d half-hours from %v: %v", len(hs), hs[0].Start, q)
		}
		check(t, s.Close())
	})
}
