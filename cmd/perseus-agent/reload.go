package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/store"
)

// supervisor runs one agent after another on the same store and clock: a changed
// configuration ends the one and begins the next. What the first one had read
// is stored before the second one begins, so that no reading is lost.
type supervisor struct {
	file     string
	rehearse rehearsal.Clock
	store    *store.Store
	opened   store.Report
	clock    *clock.Clock
	log      *slog.Logger
	notify   func(string)
	stored   func()          // told after each commit
	asked    chan chan error // reloads that are asked for
	changing atomic.Bool     // one agent ends and the next begins
}

// tell passes on what the agent tells the service manager. That one agent
// stops for the next is no end of the service.
func (d *supervisor) tell(state string) {
	switch {
	case state == "STOPPING=1" && d.changing.Load():
		state = "RELOADING=1"
	case state == "READY=1":
		d.changing.Store(false)
	}
	if d.notify != nil {
		d.notify(state)
	}
}

// run works until ctx ends or an agent fails.
func (d *supervisor) run(ctx context.Context, cfg *config.Config) error {
	var before *agent.Agent
	for {
		a, err := d.agent(cfg, before)
		if err != nil {
			return err
		}
		before = a
		debug.FreeOSMemory() // what it took to read the configuration is not needed again
		letGoOfProgram()     // nor is the code that did it
		next, err := d.until(ctx, a, cfg)
		if err != nil || next == nil {
			return err
		}
		cfg, d.opened = next, store.Report{}
	}
}

func (d *supervisor) agent(cfg *config.Config, before *agent.Agent) (*agent.Agent, error) {
	gather, hourly := agent.DefaultGather, time.Hour
	if d.rehearse != (rehearsal.Clock{}) {
		gather = 2 * time.Second // a rehearsal's half-hour is over in half a minute
		hourly = d.rehearse.Takes(hourly)
	}
	return agent.New(agent.Options{
		Gather: gather, Hourly: hourly,
		Config: cfg, Store: d.store, Opened: d.opened, Clock: d.clock, Now: d.rehearse.Now, Wall: time.Now, Logger: d.log, Notify: d.tell, Reload: d.reload, Stored: d.stored, Before: before,
		Watchdog: watchdogInterval(os.Getenv), Version: programVersion(),
		Page: func(a *agent.Agent) http.Handler { return web.New(a, cfg, d.log) },
	})
}

// reload asks for the configuration to be read again, and waits for what comes
// of it.
func (d *supervisor) reload(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case d.asked <- answer:
		return <-answer
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until runs an agent until ctx ends, it fails, or there is another
// configuration for the next one.
func (d *supervisor) until(ctx context.Context, a *agent.Agent, now *config.Config) (next *config.Config, err error) {
	inner, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(inner) }()
	signals, done := hangUps()
	defer done()
	for {
		var answer chan error
		select {
		case err := <-ended:
			return nil, err
		case answer = <-d.asked:
		case <-signals:
		}
		next, err := d.another(now)
		if err != nil {
			d.log.Error("the configuration is not taken over: the old one still runs", "error", err)
			a.Note("The configuration was not taken over, the old one still runs: " + err.Error())
		}
		if answer != nil {
			answer <- err
		}
		if err == nil {
			d.log.Info("the configuration is taken over", "file", d.file)
			d.changing.Store(true)
			stop()
			return next, <-ended
		}
	}
}

// another reads the configuration and says why it cannot take over.
func (d *supervisor) another(now *config.Config) (*config.Config, error) {
	next, err := config.Load(d.file)
	if err != nil {
		return nil, err
	}
	if err := checkRehearsal(d.rehearse, next); err != nil {
		return nil, err
	}
	if next.Store != now.Store {
		return nil, errors.New("store: a change of it needs a restart of the service")
	}
	if next.Clock != now.Clock {
		return nil, errors.New("clock: a change of it needs a restart of the service")
	}
	if next.Period != now.Period {
		return nil, errors.New("period: a change of it needs a restart of the service")
	}
	// A driver may refuse what the file says: that must be known before the old agent ends.
	if err := agent.Try(next, d.log); err != nil {
		return nil, err
	}
	return next, nil
}
