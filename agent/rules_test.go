package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
	"github.com/perseus-edge/perseus-edge/energy/validate"
)

// told is what a feed says after so long.
type told struct {
	after time.Duration
	drivers.Reading
}

// teller is a feed that says what it is told to.
type teller []told

func (f teller) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	begun := time.Now()
	for _, x := range f {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(begun.Add(x.after))):
			deliver(0, []drivers.Reading{x.Reading})
		}
	}
	<-ctx.Done()
	return nil
}

func (teller) Health() error { return nil }

func (f teller) listeners() map[string]ListenerFactory {
	return map[string]ListenerFactory{"feed": func(config.Bus, []config.Meter, func() time.Time, Keeper, *slog.Logger) (drivers.Listener, error) {
		return f, nil
	}}
}

// total is what a feed says of the half-hour that ends at an instant.
func total(after time.Duration, end time.Time, wh int64, flags ...int) told {
	r := drivers.Reading{Sample: energy.Sample{At: end, Value: wh}, Interval: energy.Period, History: true}
	for _, n := range flags {
		r.Flags = r.Flags.With(n)
	}
	return told{after, r}
}

// foundOf lists what was found of a meter: rule, severity and from when.
func foundOf(t *testing.T, s Store, meter string) (out []string) {
	t.Helper()
	for x, err := range s.Findings(epoch.AddDate(-2, 0, 0), epoch.AddDate(1, 0, 0)) {
		check(t, err)
		f, err := validate.ParseFinding(x.Body)
		check(t, err)
		if x.Meter == meter {
			out = append(out, fmt.Sprintf("%s %s %s", f.ID(), f.Severity, f.From.Format("02 15:04")))
		}
	}
	slices.Sort(out)
	return out
}

// flagsOf lists the half-hours of a meter against which something was said.
func flagsOf(t *testing.T, s Store, meter string) (out []string) {
	t.Helper()
	for _, h := range halfHours(t, s, key(meter)) {
		if h.Flags != 0 {
			out = append(out, h.Start.Format("02 15:04")+fmt.Sprint(h.Flags.List()))
		}
	}
	return out
}

// A total that its source calls bad or stale, that is in another unit or too
// old, is no half-hour: as a register's reading it is not counted. With the rule
// switched off it is, and without a flag.
func TestTotalsThatAreNotCounted(t *testing.T) {
	for name, c := range map[string]struct {
		flags []int
		end   time.Time
		rule  int
		old   time.Duration
	}{
		"another unit":   {flags: []int{2}, rule: 2},
		"stale":          {flags: []int{13}, rule: 13},
		"bad":            {flags: []int{14}, rule: 14},
		"older than old": {end: epoch.Add(-31 * 24 * time.Hour), rule: 12, old: 30 * 24 * time.Hour},
	} {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, off %v", name, off), func(t *testing.T) {
				path := storePath(t)
				synctest.Test(t, func(t *testing.T) {
					if c.end.IsZero() {
						c.end = epoch.Add(time.Hour)
					}
					time.Sleep(2 * time.Hour)
					s := openFaulty(t, path)
					conf := site(newFake(registers{curve(0)}), 10*time.Second)
					conf.Buses[0].Driver = "feed"
					conf.Meters[0].Thresholds.TooOld = c.old
					if off {
						conf.Meters[0].Off = conf.Meters[0].Off.With(c.rule)
					}
					a, err := New(Options{Config: conf, Store: s, Logger: quietLog, Listeners: teller{total(time.Minute, c.end, 100, c.flags...)}.listeners()})
					check(t, err)
					check(t, runFor(a, time.Hour))
					kept := 0
					for h, err := range s.HalfHours(key("a"), epoch.AddDate(-1, 0, 0), epoch.AddDate(1, 0, 0)) {
						check(t, err)
						kept++
						if h.Flags != 0 {
							t.Errorf("flags %v", h.Flags.List())
						}
					}
					found := foundOf(t, s, "a")
					if want := map[bool]int{false: 0, true: 1}[off]; kept != want || len(found) != 1-want {
						t.Errorf("%d half-hours, found %v", kept, found)
					}
					check(t, s.Close())
				})
			})
		}
	}
}

// A feed gives a half-hour again with another total: V10 is said once, and of
// that half-hour, not of the next one. An estimate of the feed is V14, where
// that is not switched off.
func TestFlagsOfTotals(t *testing.T) {
	for _, off := range []bool{false, true} {
		path := storePath(t)
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(4 * time.Hour)
			s := openFaulty(t, path)
			conf := site(newFake(registers{curve(0)}), 10*time.Second)
			conf.Buses[0].Driver = "feed"
			if off {
				conf.Meters[0].Off = energy.Flags(0).With(10).With(14)
			}
			guess := total(3*time.Minute, epoch.Add(150*time.Minute), 80)
			guess.Estimated = true
			a, err := New(Options{Config: conf, Store: s, Logger: quietLog, Listeners: teller{
				total(time.Minute, epoch.Add(time.Hour), 100), total(2*time.Minute, epoch.Add(time.Hour), 120),
				total(3*time.Minute, epoch.Add(90*time.Minute), 70), guess,
			}.listeners()})
			check(t, err)
			check(t, runFor(a, time.Hour))
			want, said := []string{"01 00:30[V10]", "01 02:00[V14]"}, []string{"V10 warning 01 00:30"}
			if off {
				want, said = nil, nil
			}
			if got := flagsOf(t, s, "a"); !slices.Equal(got, want) {
				t.Errorf("off %v: flags %v, want %v", off, got, want)
			}
			if got := foundOf(t, s, "a"); !slices.Equal(got, said) {
				t.Errorf("off %v: found %v, want %v", off, got, said)
			}
			check(t, s.Close())
		})
	}
}

// checked is a site whose meter a is checked by a feed of totals.
func checked(f *fakeBus, of string) *config.Config {
	c := site(f, 10*time.Second)
	c.Buses = append(c.Buses, config.Bus{ID: "dcc", Driver: "feed", URL: "feed://", Timeout: time.Second})
	c.Meters = append(c.Meters, config.Meter{ID: "fiscal", Bus: "dcc", Unit: 1, Poll: 24 * time.Hour, Registers: slices.Clone(c.Meters[0].Registers)})
	c.Meters[0].CheckMeter = of
	return c
}

// The check meter may be a feed that tells of a day when it is over. What it
// says against a half-hour then stands beside it as if it had said it at once:
// the same rule, the same time, the flag.
func TestCheckMeterTellsTheDayAfter(t *testing.T) {
	flat := func(at int64) func(time.Time) (int64, error) {
		return func(t time.Time) (int64, error) {
			// 4 kW; and from 10:00 to 11:00 it stands still.
			d := t.Sub(epoch)
			stood := min(max(d-10*time.Hour, 0), time.Hour)
			return at + int64((d-stood)/time.Hour)*4000 + int64((d-stood)%time.Hour)*4000/int64(time.Hour), nil
		}
	}
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		f := newFake(registers{flat(1_000_000)})
		conf := checked(f, "fiscal")
		var says teller
		for i := range 48 {
			wh := int64(2000)
			if i == 30 {
				wh = 2500
			}
			says = append(says, total(30*time.Hour, epoch.Add(time.Duration(i+1)*energy.Period), wh))
		}
		a, err := New(Options{Config: conf, Store: s, Logger: quietLog, Drivers: f.drivers(), Listeners: says.listeners(), Flush: 10 * time.Minute})
		check(t, err)
		check(t, runFor(a, 31*time.Hour))
		if got, want := flagsOf(t, s, "a"), []string{"01 10:00[V07]", "01 10:30[V07]", "01 15:00[V09]"}; !slices.Equal(got, want) {
			t.Errorf("flags %v, want %v", got, want)
		}
		if got, want := foundOf(t, s, "a"), []string{"V07 error 01 10:00", "V09 warning 01 15:00"}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		check(t, s.Close())
	})
}

// A file of the check meter's says the same, also to a store that no agent has open.
func TestCheckMeterComesByFile(t *testing.T) {
	s := openFaulty(t, storePath(t))
	c := importConfig()
	c.Meters = append(c.Meters, config.Meter{ID: "check", Registers: slices.Clone(c.Meters[0].Registers)})
	c.Meters[0].CheckMeter = "check"
	now := time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
	for _, x := range []struct{ meter, value string }{{"main", "1.25"}, {"check", "1.5"}, {"check", "1.5"}} {
		_, err := ImportFile(s, c, ImportRequest{File: "f.csv", Data: councilFile(3, x.value), Meter: x.meter, Label: hhfile.Start}, now)
		check(t, err)
	}
	n := 0
	for h, err := range s.HalfHours(energy.Key{Meter: "main", Measure: energy.Import}, now.AddDate(-1, 0, 0), now) {
		check(t, err)
		if n++; h.Energy != 1250 || !slices.Equal(h.Flags.List(), []string{"V09"}) {
			t.Fatalf("%v: %d, flags %v", h.Start, h.Energy, h.Flags.List())
		}
	}
	found := 0
	for _, err := range s.Findings(now.AddDate(-1, 0, 0), now) {
		check(t, err)
		found++
	}
	if n != 144 || found != 3 { // one a day
		t.Errorf("%d half-hours, %d findings", n, found)
	}
	check(t, s.Close())
}

// A register may learn from its device where it wraps. The day on which it goes
// round is as right as any other: V08 knows the learnt modulus, too.
func TestDayOfALearntWrap(t *testing.T) {
	const modulus = 100_000
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		bus := &sayer{fakeBus: newFake(registers{wrapping(modulus, 30_000)}), states: func() []drivers.AlarmState { return nil }}
		bus.says = func(_ time.Time, r *drivers.Reading) { r.Modulus, r.Step = modulus, 1 }
		conf := site(bus.fakeBus, 10*time.Second)
		conf.Meters[0].Registers[0].Learnt, conf.Meters[0].Registers[0].MaxPower = true, 100_000
		check(t, runFor(bus.agent(t, conf, s), 50*time.Hour))
		if got, want := foundOf(t, s, "a"), []string{"V04 info 01 19:26", "V04 info 02 23:13"}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		check(t, s.Close())
	})
}

// A feed tells of a day when it is over, and of the last of its half-hours last
// of all. The day is judged when all of them have had the time to come: one that
// is whole by then is not called short, and one that is not is.
func TestDayOfAFeedThatIsLate(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		s := openFaulty(t, path)
		conf := site(newFake(registers{curve(0)}), 10*time.Second)
		conf.Buses[0].Driver = "feed"
		var says teller
		for i := range 48 * 8 {
			if i == 3*48+7 {
				continue // 4 January: half-hour 03:30 never comes
			}
			day := time.Duration(i / 48)
			says = append(says, total((day+1)*24*time.Hour+6*time.Hour, epoch.Add(time.Duration(i+1)*energy.Period), 500))
		}
		a, err := New(Options{Config: conf, Store: s, Logger: quietLog, Listeners: says.listeners(), Flush: 10 * time.Minute})
		check(t, err)
		check(t, runFor(a, 10*24*time.Hour))
		if got, want := foundOf(t, s, "a"), []string{"V19 error 04 00:00"}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		check(t, s.Close())
	})
}

// V09 can be switched off for a virtual meter as for any other: what cannot be
// known stays missing, and nothing is said against it.
func TestVirtualSwitchedOff(t *testing.T) {
	for _, off := range []bool{false, true} {
		path := storePath(t)
		synctest.Test(t, func(t *testing.T) {
			s := openFaulty(t, path)
			// The sub-meter runs twice as fast as the main one.
			f := newFake(registers{wrapping(1<<40, 0)}, registers{func(at time.Time) (int64, error) { return 2 * int64(at.Sub(epoch)/time.Second), nil }})
			c := site(f, 10*time.Second)
			rest := config.Meter{ID: "rest", Virtual: &config.Virtual{Measures: []energy.Measure{energy.Import}, Of: "a", Minus: []string{"b"}}}
			if off {
				rest.Off = rest.Off.With(9)
			}
			c.Meters = append(c.Meters, rest)
			check(t, runFor(newAgent(t, f, c, s), 13*time.Hour))
			check(t, runFor(newAgent(t, f, c, s), 13*time.Hour)) // the start makes the past anew, and says nothing twice
			hs := halfHours(t, s, key("rest"))
			if len(hs) < 8 {
				t.Fatalf("%d half-hours", len(hs))
			}
			for _, h := range hs {
				if h.Quality != energy.Missing || h.Flags.Has(9) == off {
					t.Errorf("off %v: %v %v, flags %v", off, h.Start, h.Quality, h.Flags.List())
				}
			}
			// One finding for a run of them, and one a day.
			var want []string
			if !off {
				want = []string{"V09 warning 01 00:30", "V09 warning 02 00:00"}
			}
			if got := foundOf(t, s, "rest"); !slices.Equal(got, want) {
				t.Errorf("off %v: found %v, want %v", off, got, want)
			}
			check(t, s.Close())
		})
	}
}
