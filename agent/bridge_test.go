package agent

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
)

// place is where one meter after another hangs, through which 3.6 kW flow all
// the time.
type place struct {
	hangs  []hanging
	dark   [][2]time.Duration // when nothing is read
	tells  bool               // the meters tell their serial numbers
	states []stating          // when the operator writes what, in the order of time
	named  bool               // only the serial numbers can tell what happened: no use without
	serial bool               // the operator keeps serial in the configuration up to date
}

// hanging is a meter that was hung up some time after the epoch.
type hanging struct {
	serial  string
	from    time.Duration
	opening int64
}

// stating is a configuration: the exchanges that are stated in it, each by the
// number of the meter that was taken down.
type stating struct {
	at   time.Duration
	says []int
	edit func([]config.Exchange)
}

func (p *place) hung(now time.Duration) hanging {
	h := p.hangs[0]
	for _, x := range p.hangs {
		if now >= x.from {
			h = x
		}
	}
	return h
}

func (h hanging) shows(now time.Duration) int64 {
	return h.opening + int64((now-h.from)/time.Second)
}

// exchanges is what the operator knows of them.
func (p *place) exchanges(s stating) (out []config.Exchange) {
	for _, i := range s.says {
		old, next := p.hangs[i], p.hangs[i+1]
		x := config.Exchange{At: epoch.Add(next.from), Reads: []config.ExchangeRead{{Measure: energy.Import, Closing: old.shows(next.from), Opening: next.opening}}}
		if p.tells {
			x.OldSerial, x.NewSerial = old.serial, next.serial
		}
		out = append(out, x)
	}
	if s.edit != nil {
		s.edit(out)
	}
	return out
}

// live has an agent read the place up to an instant, restarted with each
// statement.
func (p *place) live(t *testing.T, s Store, until time.Duration) (said []string) {
	t.Helper()
	since := func() time.Duration { return time.Since(epoch) }
	f := newFake(registers{func(now time.Time) (int64, error) {
		d := now.Sub(epoch)
		return p.hung(d).shows(d), nil
	}})
	for _, d := range p.dark {
		if now := since(); now >= d[0] && now < d[1] { // before anything is read
			f.down.Store(true)
		}
		time.AfterFunc(d[0]-since(), func() { f.down.Store(since() < d[1]) })
		time.AfterFunc(d[1]-since(), func() { f.down.Store(false) })
	}
	var stated []config.Exchange
	serial := p.hangs[0].serial
	for _, next := range append(p.states, stating{at: until}) {
		c := site(f, time.Minute)
		c.Meters[0].Exchanges = stated
		if p.serial {
			c.Meters[0].Serial = serial
		}
		o := Options{Config: c, Store: s, Logger: quietLog, Version: "test", Drivers: f.drivers(), Flush: 10 * minute}
		if p.tells {
			o.Drivers = map[string]Factory{"fake": func(config.Bus, []config.Meter, func() time.Time, *slog.Logger) (drivers.Poller, error) {
				return identified{f, func() string { return p.hung(since()).serial }}, nil
			}}
		}
		a, err := New(o)
		check(t, err)
		check(t, runFor(a, next.at-since()))
		for _, n := range a.Status().Notes {
			said = append(said, n.What)
		}
		stated = p.exchanges(next)
		serial = p.hung(since()).serial
	}
	return said
}

// allFlowed checks that nothing is missing up to an instant, and that each
// half-hour is what flowed.
func allFlowed(t *testing.T, hs []energy.HalfHour) {
	t.Helper()
	for i, h := range hs {
		if i > 0 && !h.Start.Equal(hs[i-1].Start.Add(energy.Period)) {
			t.Errorf("%v follows %v", h.Start, hs[i-1].Start)
		}
		if h.Energy != 1800 || h.Quality == energy.Missing {
			t.Errorf("%v: %d Wh %v %v %+v", h.Start.Format("15:04:05"), h.Energy, h.Quality, h.Evidence.Rule, h.Evidence)
		}
	}
}

const minute = time.Minute

// Two meters were exchanged in one stretch that nobody counted, and the operator
// states it afterwards, in whatever order: all is counted in the end, and
// before that nothing that is not so.
func TestChainOfExchanges(t *testing.T) {
	three := func(opening int64, first, second time.Duration) []hanging {
		return []hanging{{"ONE", 0, 5_000_000}, {"TWO", first, opening}, {"THREE", second, 20}}
	}
	outage := [][2]time.Duration{{190*minute + 30*time.Second, 370*minute + 30*time.Second}}
	for name, p := range map[string]place{
		"both at once":                                  {hangs: three(10, 240*minute, 300*minute), dark: outage, states: []stating{{at: 600 * minute, says: []int{0, 1}}}},
		"the first one first":                           {hangs: three(10, 240*minute, 300*minute), dark: outage, states: []stating{{at: 600 * minute, says: []int{0}}, {at: 700 * minute, says: []int{0, 1}}}},
		"the second one first":                          {hangs: three(10, 240*minute, 300*minute), dark: outage, states: []stating{{at: 600 * minute, says: []int{1}}, {at: 700 * minute, says: []int{0, 1}}}},
		"the first one in time":                         {hangs: three(5_020_000, 240*minute, 300*minute), dark: outage, states: []stating{{at: 250 * minute, says: []int{0}}, {at: 700 * minute, says: []int{0, 1}}}},
		"in neighbouring half-hours":                    {hangs: three(10, 250*minute, 280*minute), states: []stating{{at: 600 * minute, says: []int{0, 1}}}},
		"in neighbouring half-hours, first":             {hangs: three(10, 250*minute, 280*minute), states: []stating{{at: 600 * minute, says: []int{0}}, {at: 700 * minute, says: []int{0, 1}}}},
		"in neighbouring half-hours, second":            {hangs: three(10, 250*minute, 280*minute), states: []stating{{at: 600 * minute, says: []int{1}}, {at: 700 * minute, says: []int{0, 1}}}},
		"in one half-hour":                              {hangs: three(10, 245*minute, 260*minute), states: []stating{{at: 600 * minute, says: []int{0, 1}}}},
		"in one half-hour, first":                       {hangs: three(10, 245*minute, 260*minute), states: []stating{{at: 600 * minute, says: []int{0}}, {at: 700 * minute, says: []int{0, 1}}}},
		"in one half-hour, second":                      {hangs: three(10, 245*minute, 260*minute), states: []stating{{at: 600 * minute, says: []int{1}}, {at: 700 * minute, says: []int{0, 1}}}},
		"in one half-hour, first in time":               {hangs: three(5_020_000, 245*minute, 260*minute), states: []stating{{at: 200 * minute, says: []int{0}}, {at: 700 * minute, says: []int{0, 1}}}},
		"the second one in time, in the next half-hour": {named: true, hangs: three(10, 260*minute, 278*minute), dark: [][2]time.Duration{{261*minute + 30*time.Second, 457*minute + 30*time.Second}}, states: []stating{{at: 371 * minute, says: []int{1}}, {at: 700 * minute, says: []int{0, 1}}}},
		"the first one late, the second one in time":    {hangs: three(10, 206*minute, 369*minute), dark: [][2]time.Duration{{187*minute + 30*time.Second, 219*minute + 30*time.Second}, {368*minute + 30*time.Second, 372*minute + 30*time.Second}}, states: []stating{{at: 328 * minute, says: []int{1}}, {at: 700 * minute, says: []int{0, 1}}}},
		"the second one in an outage that followed it":  {hangs: three(10, 202*minute, 297*minute), dark: [][2]time.Duration{{307*minute + 30*time.Second, 382*minute + 30*time.Second}}, states: []stating{{at: 362 * minute, says: []int{1}}, {at: 700 * minute, says: []int{0, 1}}}},
		"with the serial number in the configuration":   {hangs: three(10, 240*minute, 300*minute), dark: outage, serial: true, states: []stating{{at: 600 * minute, says: []int{0, 1}}}},
		"with the serial number changed first":          {hangs: three(10, 240*minute, 300*minute), dark: outage, serial: true, states: []stating{{at: 310 * minute}, {at: 600 * minute, says: []int{0, 1}}}},
	} {
		for _, tells := range []bool{false, true} {
			if p.named && !tells {
				continue
			}
			t.Run(fmt.Sprintf("%s, tells %v", name, tells), func(t *testing.T) {
				path := storePath(t)
				p.tells = tells
				synctest.Test(t, func(t *testing.T) {
					s := openFaulty(t, path)
					said := p.live(t, s, 800*minute)
					allFlowed(t, halfHours(t, s, key("a")))
					if t.Failed() {
						t.Log(strings.Join(said, "\n"))
					}
					statements(t, s)
					check(t, s.Close())
				})
			})
		}
	}
}

// The serial number in the configuration follows an exchange that is stated when
// the new meter has been counted for hours: the half-hour of that day is not lost.
func TestSerialChangedWithALateStatement(t *testing.T) {
	for _, tells := range []bool{false, true} {
		p := place{tells: tells, serial: true, hangs: []hanging{{"ONE", 0, 5_000_000}, {"TWO", 250 * minute, 10}}, states: []stating{{at: 610 * minute, says: []int{0}}}}
		path := storePath(t)
		synctest.Test(t, func(t *testing.T) {
			s := openFaulty(t, path)
			p.live(t, s, 900*minute)
			allFlowed(t, halfHours(t, s, key("a")))
			if said := statements(t, s); len(said) != 3 || said[2].Gap != energy.GapCounted {
				t.Errorf("%+v", said)
			}
			check(t, s.Close())
		})
	}
}

// The serial number in the configuration follows an exchange whose time was
// read off a slow clock, and the wire is down: the new meter, which shows a
// little more than the old one and does not say who it is, does not pass for it.
func TestSerialChangedByASlowClock(t *testing.T) {
	p := place{
		serial: true, hangs: []hanging{{"ONE", 0, 5_000_000}, {"TWO", 255 * minute, 5_017_000}},
		dark: [][2]time.Duration{{251*minute + 30*time.Second, 280*minute + 30*time.Second}},
		states: []stating{{at: 260 * minute, says: []int{0}, edit: func(xs []config.Exchange) {
			xs[0].At, xs[0].NewSerial = xs[0].At.Add(-10*minute), "TWO"
		}}},
	}
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		said := p.live(t, s, 600*minute)
		var sum int64
		hs := halfHours(t, s, key("a"))
		for _, h := range hs {
			if sum += h.Energy; h.Quality == energy.Missing || h.Energy < 1500 || h.Energy > 2100 {
				t.Errorf("%v: %d Wh %v %v", h.Start, h.Energy, h.Quality, h.Evidence.Rule)
			}
		}
		if sum != 1800*int64(len(hs)) || len(hs) < 19 {
			t.Errorf("%d Wh in all: %q", sum, said)
		}
		check(t, s.Close())
	})
}

// A closing reading is corrected after it was counted: what it filled is given
// again, and the first figures are kept.
func TestExchangeCorrected(t *testing.T) {
	p := place{
		hangs: []hanging{{"ONE", 0, 5_000_000}, {"TWO", 250 * minute, 10}},
		states: []stating{
			{at: 600 * minute, says: []int{0}, edit: func(xs []config.Exchange) { xs[0].Reads[0].Closing += 500 }},
			{at: 700 * minute, says: []int{0}},
		},
	}
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		p.live(t, s, 800*minute)
		allFlowed(t, halfHours(t, s, key("a")))
		was, err := s.Corrections(key("a"), epoch.Add(4*time.Hour), epoch.Add(5*time.Hour))
		if err != nil || len(was) != 2 || was[0].Old.Quality != energy.Missing || was[1].Old.Energy != 2300 {
			t.Errorf("%+v, %v", was, err)
		}
		check(t, s.Close())
	})
}

// The correction was the mistake, and the operator takes it back.
func TestExchangeCorrectedBack(t *testing.T) {
	p := place{
		hangs: []hanging{{"ONE", 0, 5_000_000}, {"TWO", 250 * minute, 10}},
		states: []stating{
			{at: 600 * minute, says: []int{0}},
			{at: 660 * minute, says: []int{0}, edit: func(xs []config.Exchange) { xs[0].Reads[0].Closing += 500 }},
			{at: 720 * minute, says: []int{0}},
		},
	}
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		p.live(t, s, 800*minute)
		allFlowed(t, halfHours(t, s, key("a")))
		was, err := s.Corrections(key("a"), epoch.Add(4*time.Hour), epoch.Add(5*time.Hour))
		if err != nil || len(was) != 3 || was[1].Old.Energy != 1800 || was[2].Old.Energy != 2300 {
			t.Errorf("%+v, %v", was, err)
		}
		said := statements(t, s)
		if last := said[len(said)-1]; len(said) != 5 || last.Closing == nil || last.Closing.Value != 5_015_000 {
			t.Errorf("%d statements, the last closes at %+v", len(said), last.Closing)
		}
		check(t, s.Close())
	})
}

// A data collector's file has told some of the missing half-hours, or all of
// them, before the exchange is stated: they stand, and what they leave of both
// meters' energy is that of the others.
func TestExchangeBesideAFile(t *testing.T) {
	for name, file := range map[string][]int64{"some": {1700, 2000, 1900}, "all": {1700, 2000, 1900, 1850, 1810, 1790, 1666}} {
		t.Run(name, func(t *testing.T) {
			p := place{
				hangs: []hanging{{"ONE", 0, 5_000_000}, {"TWO", 250 * minute, 10}},
				dark:  [][2]time.Duration{{190*minute + 30*time.Second, 370*minute + 30*time.Second}},
			}
			path := storePath(t)
			synctest.Test(t, func(t *testing.T) {
				s := openFaulty(t, path)
				p.live(t, s, 600*minute)
				var hs []store.KeyedHalfHour
				for i, e := range file {
					start := epoch.Add(180*minute + time.Duration(i)*energy.Period)
					hs = append(hs, keyedHalfHour(key("a"), energy.HalfHour{Start: start, Energy: e, Cumulative: -1, TakenAt: time.Now(), Quality: energy.Measured, Evidence: energy.Evidence{Rule: energy.RuleImported}}))
				}
				check(t, s.Commit(store.Round{HalfHours: hs}))
				p.states = []stating{{at: 601 * minute, says: []int{0}}}
				p.dark = nil
				notes := p.live(t, s, 700*minute)
				sum, others := int64(0), 0
				for i, h := range halfHours(t, s, key("a"))[6:13] {
					sum += h.Energy
					if i < len(file) && h.Energy != file[i] || i >= len(file) && (h.Quality != energy.Estimated || h.Energy < 1750 || h.Energy > 1850) {
						t.Errorf("%v: %d Wh %v %v", h.Start, h.Energy, h.Quality, h.Evidence.Rule)
					}
					if i >= len(file) {
						others++
					}
				}
				if others > 0 && sum != 7*1800 {
					t.Errorf("%d Wh in all", sum)
				}
				if said := statements(t, s); said[len(said)-1].Kind != energy.ExchangeStatement || said[len(said)-1].Closing.Value != 5_015_000 {
					t.Errorf("%d statements: %q", len(said), notes)
				}
				check(t, s.Close())
			})
		})
	}
}

// The third meter passes for the second one, which was stated in time, and
// neither says who it is: what was counted was the truth as far as anybody
// knew. The operator who states the second exchange afterwards is told.
func TestExchangeThatNothingShows(t *testing.T) {
	p := place{
		hangs:  []hanging{{"ONE", 0, 5_000_000}, {"TWO", 240 * minute, 10}, {"THREE", 300 * minute, 20}},
		dark:   [][2]time.Duration{{190*minute + 30*time.Second, 370*minute + 30*time.Second}},
		states: []stating{{at: 250 * minute, says: []int{0}}, {at: 700 * minute, says: []int{0, 1}}},
	}
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		said := strings.Join(p.live(t, s, 800*minute), "\n")
		if !strings.Contains(said, "stated for 2000-01-01T05:00:00Z cannot be taken in: nothing in the readings shows another meter there") {
			t.Error(said)
		}
		check(t, s.Close())
	})
}
