package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/dcc"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/internal/secrets/record"
	"github.com/perseus-edge/perseus-edge/sim/fault"
)

// ear is what the driver of a bus heard.
type ear struct {
	mu    sync.Mutex
	heard map[energy.Key][]drivers.Reading
}

// listen runs the driver of a bus that speaks by itself until the test ends.
func listen(t *testing.T, s *Site, b *bus) *ear {
	t.Helper()
	var l drivers.Listener
	var err error
	quiet := record.Logger(t)
	if b.cfg.Driver == "mqtt" {
		c := mqtt.Config{URLs: []string{b.at.url}, ClientID: "test", Format: b.cfg.Listening.Format, Now: s.opt.Now, Logger: quiet}
		for _, src := range b.sources {
			d := mqtt.Device{Meter: src.meter.ID, Name: src.meter.Device}
			for _, r := range src.meter.Registers {
				d.Points = append(d.Points, *r.Heard)
			}
			c.Devices = append(c.Devices, d)
		}
		l, err = mqtt.New(c)
	} else {
		c := dcc.Config{URLs: []string{b.at.url}, ClientID: "test", Format: b.cfg.Listening.Format, User: User, Password: s.key, Token: s.key, Now: s.opt.Now, Logger: quiet}
		if c.Format == "n3rgy" {
			c.User, c.Password = "", ""
		}
		for _, src := range b.sources {
			c.Devices = append(c.Devices, dcc.Device{Meter: src.meter.ID, Name: src.meter.Device, Measures: src.meter.Measures()})
		}
		l, err = dcc.New(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{heard: map[energy.Key][]drivers.Reading{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- l.Listen(ctx, func(device int, readings []drivers.Reading) {
			e.mu.Lock()
			defer e.mu.Unlock()
			src := b.sources[device]
			for _, r := range readings {
				k := energy.Key{Meter: src.meter.ID, Measure: src.registers[r.Point].cfg.Measure}
				e.heard[k] = append(e.heard[k], r)
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *ear) of(r *register) []drivers.Reading {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]drivers.Reading(nil), e.heard[energy.Key{Meter: r.meter, Measure: r.cfg.Measure}]...)
}

// running is a clock that runs 600 times as fast as life.
func running() func() time.Time {
	start := time.Now()
	return func() time.Time { return noon.Add(600 * time.Since(start)) }
}

func everyFormat(t *testing.T) []byte {
	t.Helper()
	var p Parts
	if err := errors.Join(p.MQTT("all"), p.DCC("glow")); err != nil {
		t.Fatal(err)
	}
	return p.YAML()
}

// Each format, heard by the driver, says what the register shows, to the last
// digit, at the time that it says.
func TestEveryFormat(t *testing.T) {
	s := play(t, Options{Text: everyFormat(t), Now: running()})
	for _, b := range s.buses {
		e := listen(t, s, b)
		for _, src := range b.sources {
			for _, r := range src.registers {
				until(t, fmt.Sprintf("%s %s", src.meter.ID, r.cfg.Measure), func() error {
					good := 0
					for _, one := range e.of(r) {
						if one.Err == nil && one.Flags == 0 {
							good++
						}
					}
					if good < 3 {
						return fmt.Errorf("%d readings: %+v", good, e.of(r))
					}
					return nil
				})
				for _, one := range e.of(r) {
					if one.Err == nil && one.Flags == 0 {
						shows(t, r, one)
					}
				}
			}
		}
	}
}

// shows fails the test unless the register showed that then: within the second
// that a time may be written to, and a message's way where it has no time.
func shows(t *testing.T, r *register, one drivers.Reading) {
	t.Helper()
	at := one.Sample.At
	from, to := r.total(at.Add(-10*time.Minute)), r.total(at.Add(time.Second))
	if r.cfg.Measure == energy.Gas { // as its display heard it last
		from = r.total(at.Add(-energy.Period))
	}
	if !one.DeviceAt.IsZero() && r.cfg.Measure != energy.Gas {
		from = r.total(one.DeviceAt.Add(-time.Second)) - 1
	}
	if v := one.Sample.Value; v < from || v > to+1 {
		t.Errorf("%s %s: %d at %s, where it showed %d to %d", r.meter, r.cfg.Measure, v, at, from, to)
	}
}

// Whatever goes wrong with messages, what the driver gives as a sound reading
// is what the register showed; but for a 0, which the agent finds out.
func TestFormatsWithFaults(t *testing.T) {
	for _, name := range []string{"zero", "nan", "stale", "repeat", "swap", "foreign", "short", "1970", "late", "lost"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var faults fault.List
			if err := faults.Set(name + "=50%"); err != nil {
				t.Fatal(err)
			}
			s := play(t, Options{Text: everyFormat(t), Now: running(), Faults: faults, Seed: 3})
			for _, b := range s.buses {
				if len(b.faults) == 0 {
					continue // it cannot play it
				}
				e := listen(t, s, b)
				until(t, b.cfg.ID+" has played", func() error {
					n := 0
					for _, src := range b.sources {
						for _, r := range src.registers {
							n += len(e.of(r))
						}
					}
					if n < 8 || b.dice.Played() == "" {
						return fmt.Errorf("%d readings, played %q", n, b.dice.Played())
					}
					return nil
				})
				for _, src := range b.sources {
					for _, r := range src.registers {
						for _, one := range e.of(r) {
							undated := b.cfg.Listening.Format == "homeassistant" || name == "1970"
							if one.Err != nil || one.Flags != 0 || one.Sample.Value == 0 || undated && (name == "short" || name == "late") {
								continue
							}
							shows(t, r, one)
						}
					}
				}
			}
		})
	}
}

// Feeds of half-hours give each as it was, to the last digit.
func TestEveryFeed(t *testing.T) {
	var p Parts
	if err := errors.Join(p.DCC("n3rgy"), p.DCC("glowmarkt")); err != nil {
		t.Fatal(err)
	}
	s := play(t, Options{Text: p.YAML()})
	for _, b := range s.buses {
		e := listen(t, s, b)
		r := b.sources[0].registers[0]
		until(t, "half-hours of "+b.cfg.ID, func() error {
			if n := len(e.of(r)); n < 200 {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
		for _, one := range e.of(r) {
			if want := r.load.HalfHour(one.Sample.At.Add(-energy.Period)); one.Err != nil || one.Interval != energy.Period || one.Sample.Value != want {
				t.Errorf("%s: %+v, want %d", b.cfg.ID, one, want)
			}
		}
	}
}
