package agent

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

// script is a wire that says one thing each minute.
type script []drivers.Reading

func (s script) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	for _, r := range s {
		if r.Sample.Value >= 0 {
			r.Sample.At = time.Now()
			deliver(0, []drivers.Reading{r})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Minute):
		}
	}
	<-ctx.Done()
	return nil
}

func (script) Health() error { return nil }

// What a meter showed before, shown again after a "no value", ends the failure,
// but is no reading: a meter that only repeats itself falls silent in time.
func TestNoValueIsOver(t *testing.T) {
	path := storePath(t)
	synctest.Test(t, func(t *testing.T) {
		none := drivers.Reading{Err: &drivers.Error{Kind: drivers.Sentinel, Op: "read", Err: errors.New("no value")}}
		again := drivers.Reading{Again: true}
		value := drivers.Reading{Sample: energy.Sample{Value: 1000}}
		nothing := drivers.Reading{Sample: energy.Sample{Value: -1}}
		said := script{none, again, value, again, none, none, again, nothing, nothing, nothing, nothing, nothing, again}
		want := []string{"failing", "waiting", "ok", "ok", "failing", "failing", "ok", "ok", "failing", "failing", "failing", "failing", "failing"} // unheard of for more than 6 minutes
		s := openFaulty(t, path)
		f := newFake(registers{curve(0)})
		c := site(f, 6*time.Minute)
		c.Buses[0].Driver = "feed"
		a, err := New(Options{Config: c, Store: s, Logger: quietLog, Version: "test", Listeners: map[string]ListenerFactory{
			"feed": func(config.Bus, []config.Meter, func() time.Time, Keeper, *slog.Logger) (drivers.Listener, error) {
				return said, nil
			},
		}})
		check(t, err)
		states := make([]MeterStatus, len(said))
		for i := range said {
			time.AfterFunc(time.Duration(i)*time.Minute+50*time.Second, func() { states[i] = a.Status().Meters[0] })
		}
		check(t, runFor(a, time.Duration(len(said))*time.Minute))
		synctest.Wait() // for those who looked
		check(t, s.Close())
		for i, m := range states {
			if m.State != want[i] || (m.Failures > 0) != (want[i] == "failing") || m.Registers[0].Error != "" && want[i] != "failing" {
				t.Errorf("after %d minutes: %s, %d failures, %q; want %s", i, m.State, m.Failures, m.Registers[0].Error, want[i])
			}
		}
		if n := states[12].Registers[0].Settled; n != 0 {
			t.Errorf("%d half-hours of one value", n)
		}
	})
}
