package simulation

import (
	"context"
	"encoding/binary"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt"
	"github.com/perseus-edge/perseus-edge/energy"
)

// feed brings the half-hours of meters that others read: a day late or a month,
// in any order, again and again, as an estimate first or corrected afterwards,
// and named by their ends. It goes on from where it was stored last.
type feed struct {
	site    *site
	chance  chance
	down    episodes
	meters  []*fed
	letters [][]letter // by the hour since epoch in which they come
	keep    agent.Keeper

	mu      sync.Mutex
	offered int         // all before this hour was offered to some agent
	first   []time.Time // when what comes in an hour was first offered
	kept    []time.Time // and by when it was stored for good; zero: not yet, or it is not known
}

// fed is one meter of a feed.
type fed struct {
	key  energy.Key
	load load
	said map[int][]letter                // by half-hour, in the order in which they come
	says func(at int, truth int64) int64 // nil: the truth, in the end
}

// letter is one half-hour as the feed gives it.
type letter struct {
	meter     int
	at        int // the half-hour
	hour      int // in which it comes
	value     int64
	estimated bool
}

// feedMark is where the feed keeps how far it was read.
const feedMark = "simulated"

// feeds adds two meters that are read by others, one behind the other, and the
// twin of a register.
func (s *site) feeds() {
	c := s.of("feed", 0)
	f := &feed{site: s, chance: c, down: s.trouble("feed down", 0, 10*24*time.Hour, time.Minute, 9*24*time.Hour)}
	inner := &fed{key: energy.Key{Meter: "fed-part", Measure: energy.Import}, load: load{kind: energy.Import, most: 9_000, noise: c.of("load", 1)}}
	outer := &fed{key: energy.Key{Meter: "fed", Measure: energy.Import}, load: load{kind: energy.Import, most: 30_000, noise: c.of("load", 0), parts: []*load{&inner.load}}}
	f.meters = []*fed{outer, inner}
	if s.Meters >= 3 {
		f.meters = append(f.meters, f.twin(&s.channels[1].load))
	}
	s.feed = f
	for i, m := range f.meters {
		m.said = map[int][]letter{}
		f.write(i, m)
		s.config.Meters = append(s.config.Meters, config.Meter{ID: m.key.Meter, Bus: "feed", Device: m.key.Meter, Poll: 3 * 24 * time.Hour,
			Registers: []config.Register{{Point: modbus.Point{Measure: m.key.Measure}, Heard: &mqtt.Point{Measure: m.key.Measure}}}})
		s.oracle.watch(m.key, &feedOracle{of: f, meter: m})
	}
	f.sort()
	s.config.Buses = append(s.config.Buses, config.Bus{ID: "feed", Driver: "fed", URL: "sim://feed", Listening: &config.Listening{Format: "simulated", URLs: []string{"sim://feed"}}})
	s.listeners = map[string]agent.ListenerFactory{"fed": func(_ config.Bus, _ []config.Meter, _ func() time.Time, keep agent.Keeper, _ *slog.Logger) (drivers.Listener, error) {
		f.keep = keep
		return f, nil
	}}
}

// write plans what the feed says of a meter, up to the calm at the end.
func (f *feed) write(i int, m *fed) {
	s, c := f.site, f.chance.of("letters", i)
	last := int(s.end.Add(-13*time.Hour).Sub(epoch) / time.Hour)
	for h := index(s.begin); h < index(s.end); h++ {
		truth := m.load.total(boundary(h+1)) - m.load.total(boundary(h))
		if m.says != nil {
			truth = m.says(h, truth)
		}
		d := c.of("of", h)
		hour := int(boundary(h+1).Sub(epoch)/time.Hour) + 1
		post := func(value int64, estimated bool) {
			if hour <= last {
				for len(f.letters) <= hour {
					f.letters = append(f.letters, nil)
				}
				f.letters[hour] = append(f.letters[hour], letter{i, h, hour, value, estimated})
			}
		}
		day := c.of("day", h/48)
		switch day.n(0, 12) {
		case 0: // nobody reached the meter for a while
			hour += int(day.n(1, 30*24))
		case 1: // it comes at once
		default:
			hour += 6 + int(day.n(1, 24))
		}
		if d.n(0, 200) == 0 {
			continue // never
		}
		if day.n(2, 8) == 0 { // the day is estimated first
			post(truth*(80+d.n(1, 40))/100, true)
			if day.n(3, 4) == 0 {
				continue // and stays so
			}
			hour += 1 + int(day.n(4, 10*24))
		}
		wrong := d.n(2, 30) == 0 || day.n(5, 40) == 0
		if wrong { // corrected afterwards
			post(d.n(3, 2)*d.n(4, 40_000), false)
			hour += int(d.n(5, 5*24))
		}
		post(truth, false)
		for again := range d.n(6, 3) { // it is read again, as feeds are
			hour += int(d.n(7+again, 7*24))
			post(truth, false)
		}
		if d.n(20, 50) == 0 {
			hour += int(d.n(21, 24))
			post(truth/2, true) // an estimate is late
		}
	}
}

// sort puts the letters of each hour in no order that means anything.
func (f *feed) sort() {
	for hour := range f.letters {
		slices.SortFunc(f.letters[hour], func(a, b letter) int {
			return int(f.chance.n(int64(a.at)<<8|int64(a.meter), 1<<30)) - int(f.chance.n(int64(b.at)<<8|int64(b.meter), 1<<30))
		})
		for _, l := range f.letters[hour] {
			m := f.meters[l.meter]
			m.said[l.at] = append(m.said[l.at], l)
		}
	}
}

// nonsense is what no feed should say, and none of it may be stored: what is
// not over, no whole half-hour, or less than nothing.
func nonsense(now time.Time) []drivers.Reading {
	end := now.UTC().Truncate(energy.Period)
	r := func(at time.Time, of time.Duration, v int64) drivers.Reading {
		return drivers.Reading{Interval: of, Sample: energy.Sample{At: at, Value: v}}
	}
	return []drivers.Reading{
		r(end.Add(24*time.Hour), energy.Period, 1), r(end.Add(-time.Minute), energy.Period, 2), r(end, 15*time.Minute, 3), r(end, time.Hour, 4), r(end, energy.Period, -5),
		{Err: &drivers.Error{Kind: drivers.Sentinel, Op: "half-hour", Err: errNoAnswer}},
	}
}

// Listen asks every few hours, and delivers what has come since it was stored last.
func (f *feed) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	for {
		next := time.Now().Truncate(3 * time.Hour).Add(3*time.Hour + 7*time.Minute)
		t := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		f.chance.lag()
		f.read(ctx, deliver)
	}
}

func (f *feed) read(ctx context.Context, deliver func(int, []drivers.Reading)) {
	now := time.Now()
	if _, down := f.down.at(now); down || f.keep.Settle() != nil {
		return
	}
	hour := f.mark(f.keep.Meta)
	f.note(hour, now)
	until := min(int(now.Sub(epoch)/time.Hour), len(f.letters))
	for hour < until && ctx.Err() == nil {
		from, n := hour, 0
		for n < 500 && hour < until {
			n += len(f.letters[hour])
			hour++
		}
		f.mu.Lock()
		f.offered = max(f.offered, hour)
		for len(f.first) < hour {
			f.first = append(f.first, now)
		}
		f.mu.Unlock()
		for _, p := range f.parcels(from, hour) {
			deliver(p.meter, p.readings)
		}
		if f.chance.n(int64(hour), 20) == 0 {
			for i := range f.meters {
				deliver(i, nonsense(now))
			}
		}
		if f.keep.Settle() != nil {
			return // it is read again
		}
		if f.keep.SetMeta(feedMark, binary.AppendUvarint(nil, uint64(hour))) != nil {
			return
		}
		f.note(hour, now)
	}
}

// note takes note that all before an hour is stored, by now at the latest.
func (f *feed) note(hour int, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.kept) < hour {
		f.kept = append(f.kept, now)
	}
}

// again forgets what was offered: nothing of it is stored any more.
func (f *feed) again() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offered, f.first, f.kept = 0, nil, nil
}

// when gives the stretch of time in which what comes in an hour took effect.
func (f *feed) when(hour int, now time.Time) (from, to time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if hour < len(f.first) {
		from = f.first[hour]
	}
	if to = now; hour < len(f.kept) {
		to = f.kept[hour]
	}
	return from, to
}

// parcel is what is delivered at once.
type parcel struct {
	meter    int
	readings []drivers.Reading
}

func (f *feed) parcels(from, to int) (out []parcel) {
	for _, letters := range f.letters[from:to] {
		for _, l := range letters {
			if n := len(out); n == 0 || out[n-1].meter != l.meter {
				out = append(out, parcel{meter: l.meter})
			}
			p := &out[len(out)-1]
			p.readings = append(p.readings, drivers.Reading{Interval: energy.Period, Estimated: l.estimated, Sample: energy.Sample{At: boundary(l.at + 1), Value: l.value}})
		}
	}
	return out
}

// mark is how far the feed was read and stored, by the hour.
func (f *feed) mark(meta func(string) ([]byte, error)) int {
	b, err := meta(feedMark)
	if err != nil {
		return 0
	}
	n, _ := binary.Uvarint(b)
	return int(n)
}

// Health is never in doubt.
func (f *feed) Health() error { return nil }
