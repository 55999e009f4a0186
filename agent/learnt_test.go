package agent

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
	"github.com/perseus-edge/perseus-edge/energy"
)

// sayer is a bus whose device says more of its registers than their values.
type sayer struct {
	*fakeBus
	says   func(at time.Time, r *drivers.Reading)
	states func() []drivers.AlarmState
}

func (s *sayer) Poll(ctx context.Context, i int, dst []drivers.Reading) ([]drivers.Reading, error) {
	dst, err := s.fakeBus.Poll(ctx, i, dst)
	for k := range dst {
		s.says(dst[k].Sample.At, &dst[k])
	}
	return dst, err
}

func (s *sayer) Alarms(int) []drivers.AlarmState { return s.states() }

func (s *sayer) agent(t *testing.T, c *config.Config, st Store) *Agent {
	t.Helper()
	a, err := New(Options{Config: c, Store: st, Logger: quietLog, Flush: 10 * time.Minute, Version: "test",
		Drivers: map[string]Factory{"fake": func(config.Bus, []config.Meter, func() time.Time, *slog.Logger) (drivers.Poller, error) {
			return s, nil
		}}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wrapping is a register at 3.6 kW that starts again at 0 at its modulus.
func wrapping(modulus, start int64) func(time.Time) (int64, error) {
	return func(t time.Time) (int64, error) { return (start + int64(t.Sub(epoch)/time.Second)) % modulus, nil }
}

// A device that says where its register wraps is counted through the wrap, and
// so it is when the wrap falls into a restart of the program.
func TestLearntWrapIsCountedThrough(t *testing.T) {
	const modulus = 1 << 32
	for name, stop := range map[string]time.Duration{"in one go": 12 * time.Hour, "over a restart": 5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			path := storePath(t)
			synctest.Test(t, func(t *testing.T) {
				s := &sayer{fakeBus: newFake(registers{wrapping(modulus, modulus-5*3600-100)}), states: func() []drivers.AlarmState { return nil }}
				s.says = func(_ time.Time, r *drivers.Reading) { r.Modulus, r.Step = modulus, 1 }
				c := site(s.fakeBus, 10*time.Second)
				c.Meters[0].SunSpec = &modbus.SunSpec{Kind: "inverter", Part: 1}
				c.Meters[0].Registers[0].Learnt, c.Meters[0].Registers[0].MaxPower = true, 100_000
				st := openFaulty(t, path)
				check(t, runFor(s.agent(t, c, st), stop))
				check(t, runFor(s.agent(t, c, st), 12*time.Hour-stop))
				hs := halfHours(t, st, key("a"))
				if len(hs) < 22 {
					t.Fatalf("%d half-hours", len(hs))
				}
				for _, h := range hs {
					if h.Energy != 1800 || h.Quality == energy.Missing {
						t.Errorf("%v: %d Wh, %v", h.Start, h.Energy, h.Quality)
					}
				}
				check(t, st.Close())
			})
		})
	}
}

// A total that does not go on begins anew: nothing is counted across.
func TestRegisterBeginsAnew(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		at := epoch.Add(5*time.Hour + 10*time.Minute)
		s := &sayer{fakeBus: newFake(registers{func(now time.Time) (int64, error) {
			v := 50_000 + int64(now.Sub(epoch)/time.Second)
			if !now.Before(at) {
				v *= 10
			}
			return v, nil
		}}), states: func() []drivers.AlarmState { return nil }}
		told := false
		s.says = func(now time.Time, r *drivers.Reading) {
			r.Modulus, r.Step = 1<<32, 1
			if !now.Before(at) {
				r.Modulus, r.Step = 10<<32, 10
				if !told {
					told, r.Anew = true, "its scale factor changed"
				}
			}
		}
		c := site(s.fakeBus, 10*time.Second)
		c.Meters[0].Registers[0].Learnt = true
		st := openFaulty(t, path)
		a := s.agent(t, c, st)
		check(t, runFor(a, 8*time.Hour))
		for _, h := range halfHours(t, st, key("a")) {
			switch broken := h.Start.Before(at) && h.Start.Add(energy.Period).After(at); {
			case broken != (h.Quality == energy.Missing), !broken && h.Start.Before(at) && h.Energy != 1800, !broken && h.Start.After(at) && h.Energy != 18_000:
				t.Errorf("%v: %d Wh %v", h.Start, h.Energy, h.Quality)
			}
		}
		said := ""
		for _, n := range a.notes.newestFirst() {
			said += n.What + "\n"
		}
		if strings.Count(said, "begins anew: its scale factor changed") != 1 {
			t.Errorf("%s", said)
		}
		check(t, st.Close())
	})
}

// While an alarm says that readings are bad they are shown and not counted,
// and people are told of every change.
func TestAlarmsOfAMeter(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		from, to := epoch.Add(2*time.Hour), epoch.Add(4*time.Hour)
		on := func() bool { now := time.Now(); return !now.Before(from) && now.Before(to) }
		s := &sayer{fakeBus: newFake(registers{wrapping(1<<40, 1000)})}
		s.states = func() []drivers.AlarmState {
			return []drivers.AlarmState{{On: on()}, {On: true}, {Err: &drivers.Error{Kind: drivers.Exception, Op: "read", Err: errors.New("no such coil")}}}
		}
		s.says = func(_ time.Time, r *drivers.Reading) {
			if on() {
				r.Flags = r.Flags.With(14)
			}
		}
		c := site(s.fakeBus, 10*time.Second)
		c.Meters[0].Alarms = []config.Alarm{{Alarm: modbus.Alarm{Table: "coil", Invalid: true}, Means: "phase loss"}, {Alarm: modbus.Alarm{Table: "coil", Address: 1}, Means: "cover open"}, {Alarm: modbus.Alarm{Table: "coil", Address: 2}, Means: "battery"}}
		st := openFaulty(t, path)
		a := s.agent(t, c, st)
		check(t, runFor(a, 6*time.Hour))
		for _, h := range halfHours(t, st, key("a")) {
			during := !h.Start.Before(from) && h.Start.Before(to)
			if during == (h.Quality >= energy.Interpolated) || h.Energy < 1790 || h.Energy > 1810 {
				t.Errorf("%v: %d Wh %v", h.Start, h.Energy, h.Quality)
			}
		}
		said := ""
		for _, n := range a.notes.newestFirst() {
			said = n.What + "\n" + said
		}
		for _, want := range []string{"Alarm: cover open.\n", "Alarm: phase loss. Its readings are shown and not counted until it is over.\n", "The alarm is over: phase loss.\n", `The alarm "battery" cannot be read`} {
			if strings.Count(said, want) != 1 {
				t.Errorf("%q is not said once:\n%s", want, said)
			}
		}
		got := a.Status().Meters[0].Alarms
		if len(got) != 3 || got[0].State != "off" || !got[0].Since.Equal(to) || got[0].Severity != "invalid" || got[1].State != "on" || got[1].Severity != "note" || got[2].State != "unknown" || got[2].Error == "" {
			t.Errorf("%+v", got)
		}
		check(t, st.Close())
	})
}
