package agent

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// counted is a bus that counts.
type counted struct {
	*fakeBus
	tallies []drivers.Tally
}

func (c *counted) Poll(ctx context.Context, i int, dst []drivers.Reading) ([]drivers.Reading, error) {
	start := time.Now()
	n := len(dst)
	c.tallies[i].Asked(12)
	dst, err := c.fakeBus.Poll(ctx, i, dst)
	for k := range dst[n:] {
		dst[n+k].Took = time.Since(start)
		if dst[n+k].Err == nil {
			c.tallies[i].Received(20)
		}
	}
	return dst, err
}

func (c *counted) Traffic(i int) drivers.Traffic { return c.tallies[i].Traffic() }
func (c *counted) Wire() drivers.Wire {
	return drivers.Wire{Traffic: c.Traffic(0).Add(c.Traffic(1)), Connects: 1, Modbus: &drivers.ModbusCounts{Splits: 2}}
}

func why(s Status, meter string) MeterStatus {
	for _, m := range s.Meters {
		if m.ID == meter {
			return m
		}
	}
	return MeterStatus{}
}

var errSilence = &drivers.Error{Kind: drivers.Timeout, Op: "read unit 2", Err: errors.New("request timed out"), Hint: "check the unit number"}

// Of each meter the status has the last good value with its age, the latency,
// what went over the wire, errors by kind, and why it is not read.
func TestStatusObserves(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		silent := func(time.Time) (int64, error) { return 0, errSilence }
		f := newFake(registers{curve(1000), curve(0)}, registers{silent, silent})
		f.takes = []time.Duration{30 * time.Millisecond, time.Second}
		c := &counted{f, make([]drivers.Tally, 2)}
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		a.buses[0].poller = c
		var st Status
		time.AfterFunc(10*time.Minute+7*time.Second, func() { st = a.Status() })
		check(t, runFor(a, 10*time.Minute+8*time.Second))
		synctest.Wait() // for who looked
		check(t, s.Close())

		good, bad := why(st, "a"), why(st, "b")
		if good.Down != nil || good.Errors != nil || !good.Again.IsZero() {
			t.Errorf("the meter that is read: %+v %+v", good.Down, good)
		}
		if l := good.Latency; l == nil || l.Last != 30 || l.P95 != 30 || l.Answers != 60 || l.Counted < 60 {
			t.Errorf("its latency: %+v", l)
		}
		if tr := good.Traffic; tr == nil || tr.Requests < 60 || tr.BytesOut != 12*tr.Requests || tr.BytesIn != 40*tr.Requests {
			t.Errorf("its traffic: %+v", tr)
		}
		for _, r := range good.Registers {
			if r.Age == nil || *r.Age < 0 || *r.Age > 10 || r.At.IsZero() || r.Value == "" || r.UnitCode != "WHR" || r.Why != nil {
				t.Errorf("its register: %+v", r)
			}
		}
		if bad.Latency != nil || bad.Traffic.BytesIn != 0 || bad.State != "failing" || bad.Registers[0].Age != nil || bad.Registers[0].Why == nil {
			t.Errorf("the silent meter: %+v", bad)
		}
		if !maps.Equal(bad.Errors, map[drivers.Kind]uint64{drivers.Timeout: bad.Traffic.Requests}) { // once a question, though it has two registers
			t.Errorf("its errors: %v in %d requests", bad.Errors, bad.Traffic.Requests)
		}
		if d := bad.Down; d == nil || d.Kind != drivers.Timeout || d.Says != "no answer in time (read unit 2)" || !strings.HasPrefix(d.Hint, "the other meter on this bus is read") {
			t.Errorf("why: %+v", d)
		}
		if wait := bad.Again.Sub(st.Now); wait <= 0 || wait > deviceLimit {
			t.Errorf("asked again in %v", wait)
		}
		w := st.Buses[0].Wire
		if w == nil || w.Connects != 1 || w.Modbus.Splits != 2 || w.Requests != good.Traffic.Requests+bad.Traffic.Requests {
			t.Errorf("the bus: %+v", w)
		}
		b, err := json.Marshal(st)
		check(t, err)
		for _, want := range []string{`"p95Ms":30`, `"ageSeconds":`, `"bytesIn":`, `"down":{"kind":"timeout","says":"no answer in time`, `"splits":2`, `"errors":{"timeout":`} {
			if !strings.Contains(string(b), want) {
				t.Errorf("the JSON lacks %s", want)
			}
		}
	})
}

// A bus that is down says since when, why, and when it is tried again; so do
// its meters.
func TestStatusOfABusThatIsDown(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(0)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		var down, up Status
		// The wire is tried at whole seconds: who looks at one may come before or after.
		time.AfterFunc(5*time.Minute, func() { f.down.Store(true) })
		time.AfterFunc(20*time.Minute+500*time.Millisecond, func() { down = a.Status(); f.down.Store(false) })
		time.AfterFunc(30*time.Minute, func() { up = a.Status() })
		check(t, runFor(a, 31*time.Minute))
		synctest.Wait() // for who looked
		check(t, s.Close())

		b, m := down.Buses[0], down.Meters[0]
		if b.State != "down" || b.Down == nil || b.Down.Kind != drivers.Refused || b.Down.Says != "no connection: refused (connect)" || b.Wire != nil {
			t.Errorf("%+v %+v", b, b.Down)
		}
		if since := b.Since.Sub(epoch); since < 5*time.Minute || since > 5*time.Minute+15*time.Second {
			t.Errorf("down since %v", since)
		}
		if wait := b.Again.Sub(down.Now); wait <= 0 || wait > wireLimit || !m.Again.Equal(b.Again) {
			t.Errorf("tried again in %v, its meter at %v", wait, m.Again)
		}
		if m.Down == nil || m.Down.Kind != drivers.Refused || m.Errors[drivers.Refused] < 10 || m.Traffic != nil || *m.Registers[0].Age < 800 {
			t.Errorf("%+v %v, age %v", m.Down, m.Errors, *m.Registers[0].Age)
		}
		if b := up.Buses[0]; b.State != "ok" || b.Down != nil || !b.Again.IsZero() || b.Since.Sub(epoch) < 20*time.Minute {
			t.Errorf("back: %+v", b)
		}
		if m := up.Meters[0]; m.Down != nil || !m.Again.IsZero() || m.Errors[drivers.Refused] < 10 {
			t.Errorf("back: %+v", m)
		}
	})
}

func TestWhy(t *testing.T) {
	refused := &drivers.Error{Kind: drivers.Exception, Hint: "is the address right?"}
	for _, c := range []struct {
		name string
		err  error
		n    Neighbours
		want string // how its hint begins
	}{
		{"alone on its bus", errSilence, Neighbours{}, "check the unit number"},
		{"the other is read", errSilence, Neighbours{Read: 1}, "the other meter on this bus is read: look at this one"},
		{"many are read", errSilence, Neighbours{Read: 28, Silent: 1}, "28 others on this bus are read: look at this one"},
		{"none is read", errSilence, Neighbours{Silent: 29}, "none of the 30 meters on this bus answers, so it is something that they share: check the unit number"},
		{"none, without advice", &drivers.Error{Kind: drivers.Timeout}, Neighbours{Silent: 1}, "none of the 2 meters on this bus answers, so it is something that they share"},
		{"it answers", refused, Neighbours{Read: 5}, "is the address right?"},
	} {
		if got := Why(c.err, c.n); !strings.HasPrefix(got.Hint, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got.Hint, c.want)
		}
	}
	if Why(nil, Neighbours{Read: 1}) != nil {
		t.Error("a reason for nothing")
	}
}

// What a device says by itself: how old it is when it comes, where it is
// dated, and nothing of that where it is old on purpose.
func TestDelay(t *testing.T) {
	now := epoch.Add(time.Hour)
	for _, c := range []struct {
		name string
		r    drivers.Reading
		want float64 // ms; -1: none
	}{
		{"dated", drivers.Reading{DeviceAt: now.Add(-1500 * time.Millisecond)}, 1500},
		{"not dated", drivers.Reading{}, -1},
		{"dated after its arrival", drivers.Reading{DeviceAt: now.Add(time.Second)}, -1},
		{"retained", drivers.Reading{DeviceAt: now.Add(-time.Hour), Flags: energy.Flags(0).With(13)}, -1},
		{"history", drivers.Reading{DeviceAt: now.Add(-time.Hour), History: true}, -1},
		{"a half-hour", drivers.Reading{DeviceAt: now.Add(-time.Hour), Interval: energy.Period}, -1},
		{"fetched", drivers.Reading{Interval: energy.Period, Took: 250 * time.Millisecond}, 250},
	} {
		m := &meter{}
		m.delay(&c.r, now)
		got := -1.0
		if l := m.latency.status(); l != nil {
			got = l.Last
		}
		if got != c.want {
			t.Errorf("%s: %v ms, want %v", c.name, got, c.want)
		}
	}
}
