package agent

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
)

// timeOfDay is a machine's clock that can be wrong, and a time service that
// may keep it.
type timeOfDay struct {
	off    time.Duration // added to the true time
	synced bool
}

func (w *timeOfDay) clock() *clock.Clock {
	return clock.New(clock.Options{
		Wall:   func() time.Time { return time.Now().Add(w.off) },
		Mono:   func() time.Duration { return time.Since(epoch) },
		Sync:   func() clock.Sync { return clock.Sync{Synchronised: w.synced, Board: true, Boot: "one"} },
		Logger: quietLog,
	})
}

// dated is a fake bus whose readings are dated by the agent, as a driver's are.
func dated(f *fakeBus) map[string]Factory {
	return map[string]Factory{"fake": func(_ config.Bus, _ []config.Meter, now func() time.Time, _ *slog.Logger) (drivers.Poller, error) {
		f.now = now
		return f, nil
	}}
}

// trueTime makes a register go by the true time whatever its readings are dated.
func trueTime(curve func(time.Time) (int64, error)) func(time.Time) (int64, error) {
	return func(time.Time) (int64, error) { return curve(time.Now()) }
}

func newDated(t *testing.T, f *fakeBus, c *config.Config, s Store, k *clock.Clock) *Agent {
	t.Helper()
	a, err := New(Options{Config: c, Store: s, Drivers: dated(f), Clock: k, Now: time.Now, Logger: quietLog, Flush: 10 * time.Minute, Version: "test"})
	check(t, err)
	return a
}

// A board without a battery clock boots a year ago and learns the time after
// 40 minutes: what was read before is dated as it should have been.
func TestClockLearntLate(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour) // there is a year to be wrong by
		from := time.Now()
		w := &timeOfDay{off: -365 * 24 * time.Hour}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		if a.Status().Clock.Trusted {
			t.Fatal("trusted at once")
		}
		time.AfterFunc(40*time.Minute+7*time.Second, func() {
			if n := len(all(t, s, key("a"))); n != 0 {
				t.Errorf("%d half-hours while nobody knows the time", n)
			}
			w.off, w.synced = 0, true
		})
		check(t, runFor(a, 3*time.Hour+time.Minute))
		hs := all(t, s, key("a"))
		q := conserved(t, key("a"), hs, curve(1000), interpolating)
		if len(hs) != 6 || q[energy.Measured] != 6 || !hs[0].Start.Equal(from) {
			t.Errorf("%d half-hours from %v: %v", len(hs), hs[0].Start, q)
		}
		check(t, s.Close())
	})
}

// The power fails before the time was known: nothing was dated, and nothing is
// lost but the detail.
func TestClockNeverLearnt(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		right := &timeOfDay{synced: true}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		check(t, runFor(newDated(t, f, site(f, time.Minute), s, right.clock()), 2*time.Hour+time.Minute))
		wrong := &timeOfDay{off: -90 * 24 * time.Hour}
		check(t, runFor(newDated(t, f, site(f, time.Minute), s, wrong.clock()), 2*time.Hour))
		check(t, runFor(newDated(t, f, site(f, time.Minute), s, right.clock()), 2*time.Hour))
		hs := all(t, s, key("a"))
		q := conserved(t, key("a"), hs, curve(1000), interpolating)
		if len(hs) != 12 || q[energy.Estimated] < 4 || q[energy.Measured] < 6 {
			t.Errorf("%d half-hours: %v", len(hs), q)
		}
		check(t, s.Close())
	})
}

// A clock that ran a day ahead, and was believed, is put right: what was dated
// in the future is withdrawn, and the series goes on at once.
func TestClockSetBackADay(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		w := &timeOfDay{off: 24 * time.Hour, synced: true}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		var back time.Time
		time.AfterFunc(5*time.Hour+20*time.Second, func() { w.off, back = 0, time.Now() })
		check(t, runFor(a, 10*time.Hour+time.Minute))
		good := 0
		for _, h := range all(t, s, key("a")) {
			switch {
			case h.Quality == energy.Missing:
			case h.Start.Before(back):
				t.Errorf("%v: %v", h.Start, h.Quality)
			default:
				good++
				want, _ := curve(1000)(h.Start.Add(energy.Period))
				if off := h.Cumulative - want; off < -interpolating || off > interpolating {
					t.Errorf("%v: register %d, the truth is %d", h.Start, h.Cumulative, want)
				}
			}
		}
		if good < 9 {
			t.Errorf("%d half-hours after the clock was put right, want 9", good)
		}
		said := statements(t, s)
		if last := said[len(said)-1]; last.Kind != energy.ClockStatement {
			t.Errorf("the last statement is %q", last.Kind)
		}
		found := 0
		for x, err := range s.Findings(epoch, epoch.AddDate(9, 0, 0)) {
			check(t, err)
			if x.Rule == 12 || x.Rule == 11 {
				found++
			}
		}
		if found < 2 {
			t.Errorf("%d findings about the clock", found)
		}
		check(t, s.Close())
	})
}

func all(t *testing.T, s Store, k energy.Key) (out []energy.HalfHour) {
	t.Helper()
	for h, err := range s.HalfHours(k, epoch, epoch.AddDate(9, 0, 0)) {
		check(t, err)
		out = append(out, h)
	}
	return out
}

func statements(t *testing.T, s Store) (out []energy.Statement) {
	t.Helper()
	var raw [][]byte
	for k, err := range s.Statements(nil) {
		check(t, err)
		x, err := energy.ParseStatement(k.Body)
		check(t, err)
		out, raw = append(out, x), append(raw, k.Body)
	}
	check(t, energy.VerifyChain(raw))
	return out
}

// exchanged is a register whose meter is replaced at an instant.
func exchanged(at time.Time, closing, opening int64) func(time.Time) (int64, error) {
	return func(t time.Time) (int64, error) {
		if t.Before(at) {
			return closing - int64(at.Sub(t)/time.Second), nil // 3.6 kW
		}
		return opening + int64(t.Sub(at)/time.Second), nil
	}
}

// The operator states an exchange: before the new meter is seen, or days after
// the register began anew. Either way the energy of both meters is counted.
func TestExchangeStated(t *testing.T) {
	for name, late := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			path := storePath(t)
			synctest.Test(t, func(t *testing.T) {
				at := epoch.Add(5*time.Hour + 10*time.Minute)
				f := newFake(registers{exchanged(at, 90_000_000, 17)})
				s := openFaulty(t, path)
				stated := []config.Exchange{{
					At: at, OldSerial: "OLD", NewSerial: "NEW", Note: "job 4711",
					Reads: []config.ExchangeRead{{Measure: energy.Import, Closing: 90_000_000, Opening: 17}},
				}}
				c := site(f, 10*time.Second)
				if !late {
					c.Meters[0].Exchanges = stated
				}
				check(t, runFor(newAgent(t, f, c, s), 12*time.Hour))
				if late {
					c := site(f, 10*time.Second)
					c.Meters[0].Exchanges = stated
					check(t, runFor(newAgent(t, f, c, s), 6*time.Hour))
					check(t, runFor(newAgent(t, f, c, s), 6*time.Hour)) // stated once more: nothing is counted twice
				}
				hs := halfHours(t, s, key("a"))
				var sum int64
				for i, h := range hs {
					if h.Quality == energy.Missing || i > 0 && !h.Start.Equal(hs[i-1].Start.Add(energy.Period)) {
						t.Errorf("%v: %v %+v", h.Start, h.Quality, h.Evidence)
					}
					if h.Energy != 1800 {
						t.Errorf("%v: %d Wh, want 1800 (%v)", h.Start, h.Energy, h.Evidence.Rule)
					}
					sum += h.Energy
				}
				said := statements(t, s)
				last := said[len(said)-1]
				if last.Kind != energy.ExchangeStatement || last.OldSerial != "OLD" || last.Serial != "NEW" || last.Note != "job 4711" || last.Closing.Value != 90_000_000 || last.Opening.Value != 17 {
					t.Errorf("%+v %+v %+v", last, last.Closing, last.Opening)
				}
				check(t, s.Close())
			})
		})
	}
}

// identified is a fake bus that says who answers.
type identified struct {
	*fakeBus
	serial func() string
}

func (f identified) Identity(int) string { return f.serial() }

// Another meter answers, at a register that could be the old one's: no energy
// is made of the difference.
func TestAnotherSerialNumber(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		at := epoch.Add(3*time.Hour + 10*time.Minute)
		f := newFake(registers{exchanged(at, 5_000, 9_000)})
		s := openFaulty(t, path)
		serial := func() string {
			if time.Now().Before(at) {
				return "OLD"
			}
			return "NEW"
		}
		run := func(d time.Duration) {
			a, err := New(Options{
				Config: site(f, 10*time.Second), Store: s, Logger: quietLog, Version: "test",
				Drivers: map[string]Factory{"fake": func(config.Bus, []config.Meter, func() time.Time, *slog.Logger) (drivers.Poller, error) {
					return identified{f, serial}, nil
				}},
			})
			check(t, err)
			check(t, runFor(a, d))
		}
		run(90 * time.Minute) // the serial number is known again after a restart
		run(4 * time.Hour)
		missing := 0
		for _, h := range halfHours(t, s, key("a")) {
			if h.Quality == energy.Missing {
				missing++
			} else if h.Energy > 1800 {
				t.Errorf("%v: %d Wh", h.Start, h.Energy)
			}
		}
		said := statements(t, s)
		if last := said[len(said)-1]; missing != 1 || len(said) != 2 || last.Kind != energy.ExchangeStatement || last.Gap != energy.GapUnknown || last.Serial != "NEW" || last.OldSerial != "OLD" {
			t.Errorf("%d missing; %d statements, the last %+v", missing, len(said), last)
		}
		said17 := 0
		for x, err := range s.Findings(epoch, epoch.AddDate(1, 0, 0)) {
			check(t, err)
			if x.Rule == 17 {
				said17++
			}
		}
		if said17 != 1 {
			t.Errorf("%d findings about the exchange, want 1", said17)
		}
		check(t, s.Close())
	})
}

// A register that the configuration names no more is closed by its last reading, once.
func TestClosing(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)}, registers{curve(5000)})
		s := openFaulty(t, path)
		check(t, runFor(newAgent(t, f, site(f, 10*time.Second), s), 2*time.Hour))
		for range 2 {
			c := site(f, 10*time.Second)
			c.Meters = c.Meters[:1]
			check(t, runFor(newAgent(t, f, c, s), 2*time.Hour))
		}
		said := statements(t, s)
		if last := said[len(said)-1]; len(said) != 3 || last.Kind != energy.ClosingStatement || last.Meter != "b" || last.Closing.Value < 10_000 {
			t.Errorf("%+v", said)
		}
		check(t, s.Close())
	})
}

// A tenant's share and the landlord's rest add up to the meter to the Wh,
// restarts and outages included, and a new virtual meter gets its history.
func TestVirtualMeters(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)}, registers{curve(5000)})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		part := func(s string) virtual.Part {
			p, err := virtual.ParsePart(s)
			check(t, err)
			return p
		}
		share := func(id, text string) config.Meter {
			return config.Meter{ID: id, Virtual: &config.Virtual{
				Measures: []energy.Measure{energy.Import}, Of: "a", Method: virtual.AreaOccupied, Shares: []config.Share{{Part: part(text), Text: text}},
			}}
		}
		c.Meters = append(c.Meters, share("tenant", "0.35"), share("landlord", "0.65"))
		check(t, runFor(newAgent(t, f, c, s), 5*time.Hour))
		time.Sleep(3 * time.Hour)
		c.Meters = append(c.Meters, config.Meter{ID: "both", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Sum: []string{"a", "b"}}})
		check(t, runFor(newAgent(t, f, c, s), 5*time.Hour+time.Minute))
		a, b := halfHours(t, s, key("a")), halfHours(t, s, key("b"))
		tenant, landlord, both := halfHours(t, s, key("tenant")), halfHours(t, s, key("landlord")), halfHours(t, s, key("both"))
		if len(a) != 26 || len(b) != 25 || len(tenant) != len(a) || len(landlord) != len(a) || len(both) != len(b) {
			t.Fatalf("%d, %d, %d, %d half-hours", len(a), len(tenant), len(landlord), len(both))
		}
		for i, off := 0, len(a)-len(b); i < len(b); i++ { // the second meter is asked a moment after the first: its first half-hour is not whole
			if both[i].Energy != a[i+off].Energy+b[i].Energy || !both[i].Start.Equal(a[i+off].Start) {
				t.Errorf("%v: %d is not %d and %d", b[i].Start, both[i].Energy, a[i+off].Energy, b[i].Energy)
			}
		}
		for i := range a {
			if a[i].Energy != tenant[i].Energy+landlord[i].Energy {
				t.Errorf("%v: %d is not %d and %d", a[i].Start, a[i].Energy, tenant[i].Energy, landlord[i].Energy)
			}
			if tenant[i].Quality != a[i].Quality || tenant[i].Evidence.Rule != energy.RuleShareArea {
				t.Errorf("%v: %v by %v", a[i].Start, tenant[i].Quality, tenant[i].Evidence.Rule)
			}
		}
		check(t, s.Close())
	})
}

// What is missing is filled where the operator asks for it, days later, and
// marked as what it is.
func TestSubstituted(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		steady := func(offset int64) func(time.Time) (int64, error) {
			return func(t time.Time) (int64, error) { return offset + int64(t.Sub(epoch)/time.Second), nil }
		}
		hole := epoch.Add(6*24*time.Hour + 10*time.Hour)
		f := newFake(registers{func(at time.Time) (int64, error) {
			if at.Before(hole) {
				return steady(1_000_000)(at)
			}
			return steady(50)(at) // exchanged, and nobody says when or at what
		}}, registers{steady(7)})
		s := openFaulty(t, path)
		c := site(f, time.Minute)
		c.Meters[0].CheckMeter, c.Meters[0].Substitute, c.Meters[0].SubstituteAfter = "b", []string{"check-meter"}, 24*time.Hour
		a := newAgent(t, f, c, s)
		check(t, runFor(a, 9*24*time.Hour))
		n := 0
		for _, h := range halfHours(t, s, key("a")) {
			switch h.Quality {
			case energy.Missing:
				t.Errorf("%v is missing", h.Start)
			case energy.Substituted:
				n++
				if h.Evidence.Rule != energy.RuleCheckMeter || h.Energy != 1800 {
					t.Errorf("%v: %d Wh by rule %d", h.Start, h.Energy, h.Evidence.Rule)
				}
			}
		}
		if n == 0 {
			t.Error("nothing was filled")
		}
		check(t, s.Close())
	})
}

// Readings that a bus gives late, of the time of an outage, give its
// half-hours their true shape; the sum stays.
func TestLateReadings(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		a := newAgent(t, f, site(f, 10*time.Second), s)
		out := func(d time.Duration, down bool) { time.AfterFunc(d, func() { f.down.Store(down) }) }
		out(2*time.Hour+5*time.Minute, true)
		out(7*time.Hour+5*time.Minute, false)
		time.AfterFunc(9*time.Hour, func() {
			b := a.buses[0]
			b.mu.Lock()
			defer b.mu.Unlock()
			for at := epoch.Add(2*time.Hour + 10*time.Minute); at.Before(epoch.Add(7 * time.Hour)); at = at.Add(time.Minute) {
				v, _ := curve(1000)(at)
				b.sample(b.meters[0], &b.meters[0].registers[0], &drivers.Reading{Sample: energy.Sample{At: at, Value: v}, History: true}, a.Now(), true)
			}
		})
		check(t, runFor(a, 12*time.Hour))
		hs := halfHours(t, s, key("a"))
		q := conserved(t, key("a"), hs, curve(1000), interpolating)
		if q[energy.Estimated] > 0 || q[energy.Measured] < 20 {
			t.Errorf("%v", q)
		}
		old, err := s.Corrections(key("a"), epoch, epoch.Add(24*time.Hour))
		check(t, err)
		if len(old) < 8 {
			t.Errorf("%d earlier versions are kept", len(old))
		}
		check(t, s.Close())
	})
}

// While the clock is not to be believed no raw sample is kept either: its time
// would be a wrong one for ever.
func TestNoSampleOfAWrongClock(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		from := time.Now()
		w := &timeOfDay{off: -365 * 24 * time.Hour}
		f := newFake(registers{trueTime(curve(1000))})
		s := openFaulty(t, path)
		a := newDated(t, f, site(f, 15*time.Minute), s, w.clock())
		a.opt.Flush = time.Minute
		time.AfterFunc(50*time.Minute, func() { w.off, w.synced = 0, true })
		check(t, runFor(a, 3*time.Hour))
		n := 0
		for x, err := range s.Samples(key("a"), epoch, epoch.AddDate(9, 0, 0)) {
			check(t, err)
			if n++; x.At.Before(from) {
				t.Errorf("a sample of %v is kept", x.At)
			}
		}
		if n == 0 {
			t.Error("no sample is kept at all")
		}
		check(t, s.Close())
	})
}

// A new meter that answers while the clock is not to be believed: what waits
// is the old one's up to there, and no energy is made of the difference.
func TestAnotherSerialNumberOnTheShelf(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		at := time.Now().Add(3*time.Hour + 10*time.Minute)
		f := newFake(registers{trueTime(exchanged(at, 5_000_000, 5_000_900))})
		s := openFaulty(t, path)
		run := func(d time.Duration, w *timeOfDay) {
			a, err := New(Options{
				Config: site(f, time.Minute), Store: s, Logger: quietLog, Version: "test", Clock: w.clock(), Now: time.Now,
				Drivers: map[string]Factory{"fake": func(_ config.Bus, _ []config.Meter, now func() time.Time, _ *slog.Logger) (drivers.Poller, error) {
					f.now = now
					return identified{f, func() string {
						if time.Now().Before(at) {
							return "OLD"
						}
						return "NEW"
					}}, nil
				}},
			})
			check(t, err)
			check(t, runFor(a, d))
		}
		run(2*time.Hour, &timeOfDay{synced: true})
		w := &timeOfDay{off: -90 * 24 * time.Hour}
		time.AfterFunc(2*time.Hour, func() { w.off, w.synced = 0, true }) // well after the exchange
		run(4*time.Hour, w)
		missing := 0
		for _, h := range all(t, s, key("a")) {
			if h.Quality == energy.Missing {
				missing++
			} else if h.Energy > 1800 {
				t.Errorf("%v: %d Wh", h.Start, h.Energy)
			}
		}
		said := statements(t, s)
		if last := said[len(said)-1]; missing != 1 || last.Kind != energy.ExchangeStatement || last.Serial != "NEW" {
			t.Errorf("%d missing; the last statement is %+v", missing, last)
		}
		check(t, s.Close())
	})
}

// An exchange that does not fit what was read is refused, and the status says so.
func TestExchangeRefused(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		f := newFake(registers{curve(90_000_000)})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		c.Meters[0].Exchanges = []config.Exchange{{At: epoch.Add(5 * time.Hour), Reads: []config.ExchangeRead{{Measure: energy.Import, Closing: 5, Opening: 17}}}}
		a := newAgent(t, f, c, s)
		time.AfterFunc(4*time.Hour+55*time.Minute, func() { f.down.Store(true) })
		time.AfterFunc(5*time.Hour+20*time.Minute, func() { f.down.Store(false) })
		time.AfterFunc(8*time.Hour, func() {
			if r := a.Status().Meters[0].Refused; len(r) != 1 || !strings.Contains(r[0], "check the reading") {
				t.Errorf("refused: %q", r)
			}
		})
		check(t, runFor(a, 9*time.Hour))
		for _, h := range halfHours(t, s, key("a")) {
			if h.Quality < energy.Interpolated {
				t.Errorf("%v: %v", h.Start, h.Quality)
			}
		}
		check(t, s.Close())
	})
}

// The wire is down while the meter is exchanged, and the new one shows more
// than the old one did: what the operator stated is taken in before its first
// reading is counted, or it would pass for the old one's.
func TestExchangeThatLooksLikeAnAdvance(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		at := epoch.Add(5*time.Hour + 11*time.Minute) // between two commits
		f := newFake(registers{exchanged(at, 1_000_000, 1_003_000)})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		c.Meters[0].Exchanges = []config.Exchange{{At: at, Reads: []config.ExchangeRead{{Measure: energy.Import, Closing: 1_000_000, Opening: 1_003_000}}}}
		time.AfterFunc(5*time.Hour+5*time.Minute+3*time.Second, func() { f.down.Store(true) })
		time.AfterFunc(5*time.Hour+15*time.Minute, func() { f.down.Store(false) })
		check(t, runFor(newAgent(t, f, c, s), 8*time.Hour))
		for _, h := range halfHours(t, s, key("a")) {
			if h.Energy != 1800 {
				t.Errorf("%v: %d Wh, want 1800", h.Start, h.Energy)
			}
		}
		if said := statements(t, s); said[len(said)-1].Kind != energy.ExchangeStatement {
			t.Errorf("%+v", said)
		}
		check(t, s.Close())
	})
}

// A feed's marks do not move while the clock is not to be believed: what was
// delivered then was not taken.
func TestNothingSettlesByAWrongClock(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(400 * 24 * time.Hour)
		f := newFake(registers{curve(1000)})
		s := openFaulty(t, path)
		w := &timeOfDay{off: -90 * 24 * time.Hour}
		a := newDated(t, f, site(f, time.Minute), s, w.clock())
		if err := (keeper{a}).Settle(); err == nil {
			t.Error("settled by a clock that is not to be trusted")
		}
		time.AfterFunc(10*time.Minute, func() { w.off, w.synced = 0, true })
		time.AfterFunc(20*time.Minute, func() {
			if err := (keeper{a}).Settle(); err != nil {
				t.Error(err)
			}
		})
		check(t, runFor(a, 30*time.Minute))
		check(t, s.Close())
	})
}

// A statement of another exchange, which has not come yet, does not explain
// the serial number of a meter that nobody has spoken of.
func TestAnotherSerialNumberBeforeAStatedExchange(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		at := epoch.Add(3*time.Hour + 10*time.Minute)
		f := newFake(registers{exchanged(at, 5_000_000, 5_000_900)})
		s := openFaulty(t, path)
		c := site(f, 10*time.Second)
		c.Meters[0].Exchanges = []config.Exchange{{At: at.Add(20 * time.Hour), Reads: []config.ExchangeRead{{Measure: energy.Import, Closing: 6_000_000, Opening: 0}}}}
		a, err := New(Options{
			Config: c, Store: s, Logger: quietLog, Version: "test",
			Drivers: map[string]Factory{"fake": func(config.Bus, []config.Meter, func() time.Time, *slog.Logger) (drivers.Poller, error) {
				return identified{f, func() string {
					if time.Now().Before(at) {
						return "OLD"
					}
					return "NEW"
				}}, nil
			}},
		})
		check(t, err)
		check(t, runFor(a, 6*time.Hour))
		for _, h := range halfHours(t, s, key("a")) {
			if h.Energy > 1800 {
				t.Errorf("%v: %d Wh", h.Start, h.Energy)
			}
		}
		if said := statements(t, s); len(said) != 2 || said[1].Kind != energy.ExchangeStatement || said[1].Gap != energy.GapUnknown {
			t.Errorf("%+v", said)
		}
		check(t, s.Close())
	})
}
