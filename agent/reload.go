package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// Reload has the configuration read again. The error says why the old one
// goes on; after nil this agent ends, and another begins with the new one.
func (a *Agent) Reload(ctx context.Context) error {
	if a.opt.Reload == nil {
		return errors.New("this agent cannot read its configuration again: restart it")
	}
	return a.opt.Reload(ctx)
}

// Note keeps a note for the page and the status.
func (a *Agent) Note(what string) { a.notes.add(a.Now(), "", what) }

// Try reports whether the drivers take a configuration, without using a wire.
func Try(c *config.Config, log *slog.Logger) error {
	for _, b := range c.Buses {
		meters := c.On(b.ID)
		if len(meters) == 0 {
			continue
		}
		var err error
		if listens := Listeners()[b.Driver]; listens != nil {
			_, err = listens(b, meters, time.Now, nil, log)
		} else if polls := Drivers()[b.Driver]; polls != nil {
			_, err = polls(b, meters, time.Now, log)
		} else {
			err = fmt.Errorf("bus %s: driver %s is not in this version", b.ID, b.Driver)
		}
		if err != nil {
			return err
		}
	}
	if err := NewGas(c, nil).Check(); err != nil {
		return err
	}
	_, err := virtualPlan(c)
	return err
}
