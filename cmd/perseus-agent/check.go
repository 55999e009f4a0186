package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/clock"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
)

var checkCommand = command{
	name: "check", short: "check the configuration and say what it will do",
	long: `Checks the configuration and says in plain words what the agent will do with it. Asks no meter (see probe).`,
	run: func(in *invocation) error {
		file := in.configFlag()
		if err := in.parse(0, 0); err != nil {
			return err
		}
		cfg, err := config.Load(*file)
		if err != nil {
			return configProblem(err)
		}
		if err := agent.NewGas(cfg, nil).Check(); err != nil {
			return &problem{usage, err}
		}
		explain(in.stdout, cfg)
		return nil
	},
}

// unreadable names the files of a bus that cannot be read here and now. That
// is no mistake of the configuration: check may run elsewhere, or as somebody else.
func unreadable(w io.Writer, l *config.Listening) {
	if l == nil {
		return
	}
	for _, f := range []struct{ key, path string }{{"password_file", l.Password}, {"token_file", l.Token}, {"ca", l.CA}, {"cert", l.Cert}, {"key", l.Key}} {
		if f.path == "" {
			continue
		}
		if _, err := os.ReadFile(f.path); err != nil {
			fmt.Fprintf(w, "    its %s cannot be read here and now, and without it the agent does not start: %v\n", f.key, err)
		}
	}
}

// explain says what a configuration does.
func explain(w io.Writer, c *config.Config) {
	fmt.Fprintf(w, "%s is correct. The agent will:\n\n", c.File)
	fmt.Fprintf(w, "Read %s at %q:\n", count(len(c.Meters)-len(c.Virtuals()), "meter"), c.Site.Name)
	for _, b := range c.Buses {
		meters := c.On(b.ID)
		fmt.Fprintf(w, "  bus %s, %s at %s", b.ID, b.Driver, b.URL)
		if b.Pause > 0 {
			fmt.Fprintf(w, ", pausing %s between requests", b.Pause)
		}
		if b.Listening == nil {
			fmt.Fprintf(w, ", waiting %s for an answer", b.Timeout)
		} else {
			fmt.Fprintf(w, ", format %s", b.Listening.Format)
		}
		if b.Single {
			fmt.Fprint(w, ", letting go of it between two rounds")
		}
		if len(meters) == 0 {
			fmt.Fprint(w, "; but no meter is on it")
		}
		fmt.Fprintln(w)
		unreadable(w, b.Listening)
		for _, m := range meters {
			explainMeter(w, c, m)
		}
	}
	explainVirtual(w, c)
	fmt.Fprintf(w, "\nMake half-hours of %s from them, and keep them for %s, single readings for %s, in %s.\n",
		config.FormatDuration(c.Period), config.FormatDuration(c.Store.KeepHalfHours), config.FormatDuration(c.Store.KeepSamples), c.Store.Path)
	switch clock.Policy(c.Clock.Trust) {
	case clock.Always:
		fmt.Fprint(w, "\nTake the time from this machine's clock, whatever it says.\n")
	case clock.Synchronised:
		fmt.Fprint(w, "\nTake the time from this machine's clock only while a time server answers for it; until then readings wait for their times.\n")
	}
	fmt.Fprintf(w, "\nShow them at http://%s/", c.Web.Listen)
	if !strings.HasPrefix(c.Web.Listen, "127.") && !strings.HasPrefix(c.Web.Listen, "localhost:") && !strings.HasPrefix(c.Web.Listen, "[::1]") {
		fmt.Fprint(w, " to everybody who can reach this machine")
	}
	fmt.Fprint(w, ".\n\n")
	if c.Uplink == nil {
		fmt.Fprintln(w, "Send nothing: there is no uplink in the configuration.")
	} else {
		fmt.Fprintf(w, "Send to %s what a permission covers, and nothing else, with the identity in %s.\n", first(c.Uplink.URL, "the relay that the directory names at enrolment"), c.Uplink.Identity)
		fmt.Fprintf(w, "New keys are made %s.\n", keystore.Describe(c.Uplink.KeyStore))
		if err := keystore.LookForToken(c.Uplink.KeyStore); err != nil {
			fmt.Fprintf(w, "    that token cannot be used here and now, and without it nothing is sent: %v\n", err)
		}
	}
	if budget := busBudget(c); budget != "" {
		fmt.Fprintf(w, "\nNote: %s", budget)
	}
}

// busBudget warns of a bus that cannot be asked as often as is wished: taking
// 50 ms for a request, which is quick for a meter behind a converter.
func busBudget(c *config.Config) string {
	const request = 50 * time.Millisecond
	var b strings.Builder
	for _, bus := range c.Buses {
		var load float64
		for _, m := range c.On(bus.ID) {
			load += float64(len(m.Registers)) * float64(request+bus.Pause) / float64(m.Poll)
		}
		if load > 0.8 {
			fmt.Fprintf(&b, "bus %s has much to do: if an answer takes 50 ms it is asked %.0f %% of the time; poll less often where half-hours are all that is needed\n", bus.ID, load*100)
		}
	}
	return b.String()
}
