package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/sim/carbon"
	"github.com/perseus-edge/perseus-edge/sim/fault"
	"github.com/perseus-edge/perseus-edge/sim/site"
)

const siteUsage = `perseus-sim site plays a whole site on this machine, and writes the agent's configuration for it.

  perseus-sim site --config agent.yaml [--fault ..]
      every bus and meter of an agent's configuration
  perseus-sim site --meter eastron-sdm630@1 --meter rtu:abb-b23@7 --mqtt udmi --dcc glow,n3rgy [--fault ..]
      put together from parts; without any, two meters on Modbus TCP, UDMI and a Glow display

then, in another terminal:

  perseus-agent run --config .site/agent.yaml

Faults, separated by commas: NAME=SHARE of answers and messages, NAME@AT+FOR after the start, drawn alike for the same --seed.
BUS:NAME=.. or FORMAT:NAME=.. is for that bus, driver or format alone, and for what follows it: modbus:late=5%,lost=2%.

`

// siteFlags are the flags of perseus-sim site.
type siteFlags struct {
	site.Options
	parts  site.Parts
	clock  rehearsal.Clock
	carbon string
}

func (o *siteFlags) define(flags *flag.FlagSet) {
	flags.StringVar(&o.Config, "config", "", "play every bus and meter of this agent `file`")
	flags.Func("meter", "play a meter of this template, `[WIRE:]TEMPLATE[@UNIT]`; WIRE is tcp, rtuovertcp, udp or rtu; may be repeated", o.parts.Meter)
	flags.Func("mqtt", "play BMS points in this `format`, or all; may be repeated", o.parts.MQTT)
	flags.Func("dcc", "play a feed in this `format`, or all; may be repeated", o.parts.DCC)
	flags.StringVar(&o.Dir, "dir", ".site", "`folder` for the agent's configuration, serial ports, drop folders and keys")
	flags.IntVar(&o.PortBase, "port-base", 18500, "first of the ports used; the agent's page has it")
	flags.Var(&o.Faults, "fault", "`faults` to play, such as late=5%,modbus:zero=1%,disconnect@10m+30s; may be repeated")
	flags.Uint64Var(&o.Seed, "seed", 1, "`number`: the same plays the same faults")
	flags.DurationVar(&o.Every, "every", 10*time.Second, "between two messages of a device that speaks by itself")
	flags.StringVar(&o.Broker, "broker", "", "publish to this MQTT broker, `mqtt://host:1883`, not to one of our own for each bus")
	flags.StringVar(&o.Truth, "truth", "", "write what was really counted, a line for each period, to this `file`")
	flags.StringVar(&o.carbon, "carbon", "", "play the carbon intensity API too, at this loopback `address`")
	flags.Var(&o.clock, "rehearse", "`clock` shared with an agent: ANCHOR,FROM,SPEED")
	flags.Usage = func() {
		out := flags.Output()
		fmt.Fprint(out, siteUsage, fault.Help(), "\nFlags:\n")
		flags.PrintDefaults()
	}
}

// playSite plays a site until ctx ends.
func playSite(ctx context.Context, o *siteFlags, stdout io.Writer) error {
	switch {
	case o.Config != "" && !o.parts.Empty():
		return fmt.Errorf("%w: give --config, or --meter, --mqtt and --dcc, not both", errUsage)
	case o.Every < 10*time.Millisecond:
		return fmt.Errorf("%w: --every %s: use 10ms or more", errUsage, o.Every)
	case o.PortBase < 1024 || o.PortBase > 60000:
		return fmt.Errorf("%w: --port-base %d: use 1024 to 60000", errUsage, o.PortBase)
	case o.Config == "" && o.parts.Empty():
		if err := errors.Join(o.parts.Meter("eastron-sdm630@1"), o.parts.Meter("schneider-iem3155@2"), o.parts.MQTT("udmi"), o.parts.DCC("glow")); err != nil {
			return err
		}
	}
	if o.Config == "" {
		o.Text = o.parts.YAML()
	}
	if o.carbon != "" {
		if err := loopback(o.carbon); err != nil {
			return err
		}
	}
	o.Now, o.Out = o.clock.Now, stdout
	s, err := site.New(o.Options)
	if err != nil {
		return fmt.Errorf("%w: %w", errConfig, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if o.carbon != "" {
		l, err := net.Listen("tcp", o.carbon)
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: carbon.Handler(carbon.Options{Now: o.clock.Now}), ReadHeaderTimeout: 10 * time.Second}
		defer context.AfterFunc(ctx, func() { srv.Close() })()
		go func() {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				cancel(err)
			}
		}()
		fmt.Fprintf(stdout, "the carbon intensity API at http://%s\n", l.Addr())
	}
	run := "perseus-agent run --config " + s.AgentConfig()
	if clock := o.clock.String(); clock != "" {
		run += " --rehearse " + clock
	}
	fmt.Fprintf(stdout, "run, in another terminal: %s\n", strings.TrimSpace(run))
	return s.Run(ctx)
}
