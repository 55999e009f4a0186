// Package agent is the gateway's daemon: it reads meters, makes half-hours,
// keeps them, and sends what a permission covers.
//
// One goroutine per bus asks its meters in turn and feeds their accumulators.
// One recorder commits, in one transaction per round, the half-hours that were
// settled and the accumulators' states. The uplink takes from the store. All
// clocks, wires and stores are injected.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/energy/validate"
	"github.com/perseus-edge/perseus-edge/energy/virtual"
	"github.com/perseus-edge/perseus-edge/uplink"
)

// Agent is the daemon. Make it with New, then Run it once.
type Agent struct {
	opt      Options
	log      *slog.Logger
	buses    []*bus
	recorder *recorder
	notes    notes
	started  time.Time         // by Options.Now
	began    time.Time         // for durations
	given    bool              // the clock is taken as it is
	gas      *Gas              // its volumes as energy
	checkers validate.Checkers // of its registers, while they are made
	virtual  *virtual.Plan     // nil: there are no virtual meters
	defined  bool              // what they are made of is stated; guarded by the recorder's commit
	uplink   atomic.Pointer[uplink.Client]
	upErr    atomic.Pointer[string] // why there is no uplink client yet

	coding    sync.Mutex    // held while a client is made, and while one makes a new code
	enrolling sync.Mutex    // held by an enrolment on the page
	enrolled  chan struct{} // it has worked

	dating       sync.RWMutex // held while readings are dated, and for good while the clock is put right
	clockChanges uint64
	clockKept    string // what was kept of the clock last; the clock's goroutine's own
}

// DefaultGather is how long what is new gathers before it is sent.
const DefaultGather = time.Minute

// DefaultFlush is how often readings are committed when nothing was settled.
const DefaultFlush = time.Minute

// New makes an agent and restores every register from the store. It fails only
// where the configuration does not fit the drivers or the store cannot be read
// at all; a register whose state cannot be used begins anew, with a note.
func New(o Options) (*Agent, error) {
	if o.Config == nil || o.Store == nil {
		return nil, errors.New("agent: needs a configuration and a store")
	}
	if o.Drivers == nil {
		o.Drivers = Drivers()
	}
	if o.Listeners == nil {
		o.Listeners = Listeners()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wall == nil {
		o.Wall = o.Now
	}
	given := o.Clock == nil
	if given {
		o.Clock = clock.Given(o.Now)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	if o.Flush <= 0 {
		o.Flush = DefaultFlush
	}
	if o.Gather <= 0 {
		o.Gather = DefaultGather
	}
	if o.Hourly <= 0 {
		o.Hourly = time.Hour
	}
	if o.Watchdog <= 0 {
		o.Watchdog = 10 * time.Second
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	a := &Agent{opt: o, given: given, log: o.Logger, started: o.Clock.Now(), began: time.Now(), enrolled: make(chan struct{}, 1)}
	a.recorder = newRecorder(a)
	a.gas = NewGas(o.Config, func(err error) {
		a.log.Warn("calorific values cannot be used", "error", err)
		a.notes.add(a.Now(), "", "Calorific values cannot be used, others stand in for them: "+err.Error())
	})
	if o.Opened.SetAside != "" {
		a.log.Error("the store was damaged and is set aside: a new one is begun", "set_aside", o.Opened.SetAside, "reason", o.Opened.Reason)
		a.notes.add(a.started, "", "The store was damaged and is set aside as "+o.Opened.SetAside+"; a new one is begun. "+o.Opened.Reason)
	}
	if _, err := uplink.SiteCode(o.Store); err != nil {
		a.log.Error("site code cannot be kept", "error", err)
	}
	var err error
	if len(o.Config.Gas.CalorificValues) > 0 { // so that a file that cannot be used is known at once
		if _, err := a.gas.values(); err != nil {
			return nil, err
		}
	}
	if a.virtual, err = virtualPlan(o.Config); err != nil {
		return nil, err
	}
	for _, b := range o.Config.Buses {
		made, err := a.newBus(b)
		if err != nil {
			return nil, err
		}
		if made != nil {
			a.buses = append(a.buses, made)
		}
	}
	if o.Before != nil {
		a.takeOver(o.Before)
		a.opt.Before = nil // its memory is free
	}
	if err := a.close(); err != nil {
		a.log.Error("registers that are read no more cannot be closed", "error", err)
	}
	return a, nil
}

// Run works until ctx ends, then commits what there is and returns nil. It
// fails only where going on is of no use: the store turned out to be damaged
// while it ran. Starting again then sets the file aside and begins a clean one.
func (a *Agent) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var polling, others sync.WaitGroup
	for _, b := range a.buses {
		polling.Go(func() { b.run(inner) })
	}
	others.Go(func() { a.recorder.run(inner) })
	if !a.given {
		others.Go(func() { a.runClock(inner) })
	}
	if a.opt.Config.Uplink != nil {
		others.Go(func() { a.runUplink(inner) })
	}
	if a.opt.Page != nil {
		tried := make(chan struct{})
		others.Go(func() { a.serve(inner, a.opt.Page(a), sync.OnceFunc(func() { close(tried) })) })
		<-tried
	}
	others.Go(func() { a.watchdog(inner) })
	a.log.Info("running", "site", a.opt.Config.Site.Name, "buses", len(a.buses), "meters", len(a.opt.Config.Meters), "version", a.opt.Version)
	a.opt.Notify("READY=1")

	var fatal error
	select {
	case <-ctx.Done():
	case fatal = <-a.recorder.fatal:
		a.log.Error("stopping: starting again sets the damaged store aside", "error", fatal)
	}
	a.opt.Notify("STOPPING=1")
	cancel()
	polling.Wait()
	for _, b := range a.buses {
		if b.poller == nil {
			continue
		}
		if err := b.poller.Close(); err != nil {
			a.log.Debug("bus closed", "bus", b.cfg.ID, "error", err)
		}
	}
	others.Wait()
	if fatal != nil {
		return fatal
	}
	if err := a.recorder.flush(); err != nil {
		return fmt.Errorf("the last readings could not be stored; the registers are read on from the last commit at the next start: %w", err)
	}
	a.log.Info("stopped")
	return nil
}

// watchdog says every few seconds that every bus is alive; when one is not, it
// says which and falls silent, and the service manager starts the program anew.
func (a *Agent) watchdog(ctx context.Context) {
	said := ""
	t := time.NewTicker(a.opt.Watchdog)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if dead := a.deadBuses(); len(dead) == 0 {
				a.opt.Notify("WATCHDOG=1")
			} else {
				a.log.Error("a bus gives no sign of life", "buses", dead)
			}
			status := "all is well"
			if reasons := a.Health(); len(reasons) > 0 {
				status = strings.Join(strings.Fields(strings.Join(reasons, "; ")), " ") // of one line
			}
			if status != said {
				a.opt.Notify("STATUS=" + status)
				said = status
			}
		}
	}
}

func (a *Agent) deadBuses() []string {
	var dead []string
	now := time.Now()
	for _, b := range a.buses {
		if !b.alive(now) {
			dead = append(dead, b.cfg.ID)
		}
	}
	return dead
}
