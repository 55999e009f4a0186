// Command perseus-sim is a simulated site on a desk: meters, the carbon API,
// and the demo that takes a business the whole way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/perseus-edge/perseus-edge/internal/rehearsal"
	"github.com/perseus-edge/perseus-edge/sim/carbon"
	"github.com/perseus-edge/perseus-edge/sim/demo"
	"github.com/perseus-edge/perseus-edge/sim/meter"
)

const usage = `perseus-sim plays a site on a desk. Everything listens on loopback.

  perseus-sim demo [--headless] [--dir DIR] [--port-base N] [--bin DIR]
      the whole way, from a simulated meter to the bank's monthly figure
  perseus-sim site [--config agent.yaml | --meter TEMPLATE@UNIT --mqtt FORMAT --dcc FEED] [--fault late=5%,lost=2%] [--truth FILE]
      a whole site to rehearse with: Modbus, BMS points over MQTT, DCC feeds, and the faults of the field (perseus-sim site --help)
  perseus-sim meters [--listen ADDR] [--fault zero=1%,late=5%] [--rehearse CLOCK]
      a Modbus TCP gateway with two meters: unit 1 import at 0x0100 and export at 0x0104, unit 2 import at 0x0100,
      each a uint64 of Wh
  perseus-sim carbon [--listen ADDR] [--fault error=5%,array=20%]
      the carbon intensity API in the shapes of the real one, its faults included

Exit status: 0 done, 1 failed, 2 wrong usage.
`

var (
	errUsage  = errors.New("wrong usage: see perseus-sim help")
	errConfig = errors.New("this site cannot be played")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp) || errors.Is(err, context.Canceled):
		return 0
	case errors.Is(err, errUsage), errors.Is(err, errConfig):
		fmt.Fprintln(stderr, "perseus-sim:", err)
		return 2
	default:
		fmt.Fprintln(stderr, "perseus-sim:", err)
		return 1
	}
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	parse := func() error {
		if err := flags.Parse(args[1:]); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		if flags.NArg() > 0 {
			return fmt.Errorf("%w: unexpected %q", errUsage, flags.Arg(0))
		}
		return nil
	}
	switch args[0] {
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	case "demo":
		o := demo.Options{Out: stdout}
		flags.StringVar(&o.Dir, "dir", ".demo", "`folder` for everything that the demo makes")
		flags.IntVar(&o.PortBase, "port-base", 8440, "first of the ports used")
		flags.StringVar(&o.Bin, "bin", "", "`folder` with perseus-agent and perseus-central; built from source when absent")
		flags.BoolVar(&o.Headless, "headless", false, "go the whole way, print the bank's table and stop")
		if err := parse(); err != nil {
			return err
		}
		return demo.Run(ctx, o)
	case "site":
		var o siteFlags
		o.define(flags)
		if err := parse(); err != nil {
			return err
		}
		return playSite(ctx, &o, stdout)
	case "meters":
		listen := flags.String("listen", "127.0.0.1:1502", "loopback `address`")
		siteOf := flags.String("site-of", "", "`instant` (RFC 3339) that the site's history is made for; now when absent")
		var faults meter.Faults
		var clock rehearsal.Clock
		flags.Var(&faults, "fault", "shares of answers that go wrong, such as zero=1%,late=5%,busy=1%")
		flags.Var(&clock, "rehearse", "`clock` shared with an agent: ANCHOR,FROM,SPEED")
		if err := parse(); err != nil {
			return err
		}
		return meters(ctx, *listen, *siteOf, faults, clock, stdout)
	case "carbon":
		listen := flags.String("listen", "127.0.0.1:8463", "loopback `address`")
		var faults carbon.Faults
		flags.Var(&faults, "fault", "shares of answers that go wrong, such as error=5%,array=20%,broken=1%")
		if err := parse(); err != nil {
			return err
		}
		return serve(ctx, *listen, carbon.Handler(carbon.Options{Faults: faults, Now: time.Now}), stdout)
	}
	return fmt.Errorf("%w: no command %q", errUsage, args[0])
}

func meters(ctx context.Context, listen, siteOf string, f meter.Faults, clock rehearsal.Clock, out io.Writer) error {
	if err := loopback(listen); err != nil {
		return err
	}
	made := time.Now()
	if siteOf != "" {
		t, err := time.Parse(time.RFC3339, siteOf)
		if err != nil {
			return fmt.Errorf("%w: --site-of: %w", errUsage, err)
		}
		made = t
	}
	s, err := meter.NewServer("tcp://"+listen, clock.Now, demo.NewSite(made).Units(), f)
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	fmt.Fprintf(out, "simulated meters at tcp://%s, units 1 and 2\n", listen)
	<-ctx.Done()
	return s.Stop()
}

func serve(ctx context.Context, listen string, h http.Handler, out io.Writer) error {
	if err := loopback(listen); err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening at http://%s\n", l.Addr())
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { srv.Close() })
	defer stopped()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// loopback refuses any address that another machine could reach.
func loopback(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("%w: --listen: %w", errUsage, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%w: --listen %s: a simulator listens on loopback only, such as 127.0.0.1:1502", errUsage, listen)
	}
	return nil
}
