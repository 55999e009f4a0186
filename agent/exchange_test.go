package agent

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

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
		time.AfterFunc(2*time.Hour, func() { w.learn() }) // well after the exchange
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
