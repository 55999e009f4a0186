package agent

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
)

// Store is what the agent needs of the buffer; *store.Store is it.
type Store interface {
	uplink.Outbox
	Ledger
	Commit(store.Round) error
	State(energy.Key) ([]byte, error)
	Prune(now time.Time) error
	Usage() (store.Usage, error)
}

// Options of an agent. Config and Store are needed; the rest has defaults.
type Options struct {
	Config    *config.Config
	Store     Store
	Opened    store.Report                    // what opening the store reported, for the status
	Drivers   map[string]Factory              // of wires that are asked; Drivers() if nil
	Listeners map[string]ListenerFactory      // of wires that speak by themselves; Listeners() if nil
	Clock     *clock.Clock                    // dates readings, and says whether it can be believed; Now, believed, if nil
	Now       func() time.Time                // the clock where there is no Clock; time.Now if nil
	Wall      func() time.Time                // of certificates, grants and retention; Now if nil
	Logger    *slog.Logger                    // slog.Default() if nil
	Notify    func(state string)              // told "READY=1" once it runs, "WATCHDOG=1" while it is well, "STATUS=..." and "STOPPING=1" (sd_notify(3)), from several goroutines; may be nil
	Watchdog  time.Duration                   // between two "WATCHDOG=1"; 10 s if 0
	Flush     time.Duration                   // between regular commits; 60 s if 0
	Gather    time.Duration                   // what is new gathers so long before it is sent; 1 minute if 0
	Hourly    time.Duration                   // between two looks whether a day is over, and what is old; 1 hour if 0
	HTTP      http.RoundTripper               // of the uplink; nil: mutual TLS with the gateway's identity
	Jitter    uplink.Jitter                   // of the pauses of the uplink after failures
	Page      func(a *Agent) http.Handler     // served at Config.Web.Listen; nil: nothing is
	Reload    func(ctx context.Context) error // reads the configuration again; nil: it cannot be
	Stored    func()                          // told after each commit, by the recorder's goroutine; may be nil
	Before    *Agent                          // that has ended for this one, with another configuration: what it counted of what stays as it was goes on; may be nil
	Version   string                          // "dev" if empty
}
