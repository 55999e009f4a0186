package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/scan"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

var scanCommand = command{
	name: "scan", args: "URL...", short: "find the meters on a wire and propose a configuration",
	long: `Asks who is there, compares what answers with the known meters, and prints a configuration ready to paste. It only reads (Modbus functions 3, 4 and 2B/0E).

  perseus-agent scan tcp://10.0.0.5                      a box on the network; RTU frames are tried where Modbus TCP has no answer
  perseus-agent scan rtu:///dev/ttyUSB0                  a serial wire; baud and parity are tried, likely first
  perseus-agent scan --units 1-247 "rtu:///dev/ttyUSB0?baud=9600&parity=even"

Each unit that is not there costs two or four times the time-out. Stop the running agent first: a bus has one owner. Then let perseus-agent probe check what was found.`,
	run: func(in *invocation) error {
		file, format := in.configFlag(), in.formatFlag()
		units := in.String("units", "1-10", "`UNITS` to ask, such as 1-247 or 1,2,10-20")
		timeout := in.Duration("timeout", 0, "`TIME` to wait for an answer; 1s on a network, 500ms on a serial wire where it is not given")
		pause := in.Duration("pause", 0, "`TIME` between two requests; some converters need 50ms")
		anyway := in.Bool("while-running", false, "scan although the agent runs and may be using the same wire")
		if err := in.parse(0, 64); err != nil {
			return err
		}
		if err := checkFormat(*format); err != nil {
			return err
		}
		if in.NArg() == 0 {
			return wrong("give URL...%s: see perseus-agent scan --help", portsHere())
		}
		o, err := scanOptions(*units, *timeout, *pause)
		if err != nil {
			return err
		}
		for _, url := range in.Args() {
			if err := modbus.CheckURL(url); err != nil {
				return wrong("%v", err)
			}
		}
		if cfg, err := config.Load(*file); err == nil && !*anyway {
			if b := owned(cfg, in.Args()); b != "" && findDaemon(cfg) != nil {
				return fmt.Errorf("the agent is running and uses this wire as bus %s: stop it first, or add --while-running", b)
			}
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		began := time.Now()
		o.Progress = func(format string, args ...any) {
			fmt.Fprintf(in.stderr, "%5.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
		}
		return in.scan(ctx, *format, in.Args(), *timeout, o)
	},
}

func scanOptions(units string, timeout, pause time.Duration) (o scan.Options, err error) {
	if o.Units, err = scan.Units(units); err != nil {
		return o, wrong("--%v", err)
	}
	if timeout < 0 || timeout > time.Minute || timeout > 0 && timeout < 10*time.Millisecond {
		return o, wrong("--timeout %s: use 10ms to 1m", timeout)
	}
	if pause < 0 || pause > 10*time.Second {
		return o, wrong("--pause %s: use 0 to 10s", pause)
	}
	o.Pause = pause
	if o.Templates, err = config.Templates(); err != nil {
		return o, err
	}
	o.Signs, err = scan.AllSigns()
	return o, err
}

// scan searches one wire after another. A wire that cannot be used does not
// keep the others from being searched.
func (in *invocation) scan(ctx context.Context, format string, urls []string, timeout time.Duration, o scan.Options) error {
	var all []scan.Found
	var failures []error
	for _, url := range urls {
		o.Timeout = timeout
		if o.Timeout == 0 {
			if o.Timeout = time.Second; strings.HasPrefix(url, "rtu://") {
				o.Timeout = 500 * time.Millisecond
			}
		}
		found, err := scan.Wire(ctx, url, o)
		all = append(all, found)
		for _, e := range found.Errors {
			failures = append(failures, errors.New(e))
		}
		switch {
		case ctx.Err() != nil:
			failures = append(failures, errors.New("interrupted: what was found so far is above"))
		case err != nil:
			failures = append(failures, err)
		case len(found.Meters) == 0:
			failures = append(failures, fmt.Errorf("%s: nobody answers to units %s: %s", url, scan.Span(o.Units), nobody(url)))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := in.printScan(format, all); err != nil {
		return err
	}
	return errors.Join(failures...)
}

// nobody is what to try where no unit answers.
func nobody(url string) string {
	if strings.HasPrefix(url, "rtu://") {
		return "are A and B the right way round, is the far end's resistor there, and is the meter's unit number among them (--units 1-247)?"
	}
	return "is the meter's unit number among them (--units 1-247), and does another program use the box?"
}

// owned names the configured bus that is one of the wires; "" where none is.
func owned(cfg *config.Config, urls []string) string {
	for _, b := range cfg.Buses {
		for _, url := range urls {
			if b.Driver == "modbus" && modbus.Wire(b.URL) == modbus.Wire(url) {
				return b.ID
			}
		}
	}
	return ""
}

// portsHere lists the serial adapters of this machine by their lasting names.
func portsHere() string {
	names, err := filepath.Glob("/dev/serial/by-id/*")
	if err != nil || len(names) == 0 {
		return ", such as tcp://10.0.0.5:502 or rtu:///dev/ttyUSB0"
	}
	return "; serial adapters here: rtu://" + strings.Join(names, ", rtu://")
}

// scanned is how a device that was found is printed.
type scanned struct {
	URL      string           `json:"url"`
	Unit     uint8            `json:"unit"`
	Template string           `json:"template,omitempty"` // the best fit; empty: none fits
	Title    string           `json:"title,omitempty"`
	Sure     scan.Sure        `json:"sure,omitempty"`
	Because  string           `json:"because,omitempty"`
	Says     string           `json:"says,omitempty"` // what it calls itself, where it was asked and knows
	Serial   string           `json:"serial,omitempty"`
	Also     []string         `json:"also,omitempty"` // fit as well
	Fits     []scan.Candidate `json:"fits"`
}

func (in *invocation) printScan(format string, all []scan.Found) error {
	rows := []scanned{}
	for _, f := range all {
		for _, m := range f.Meters {
			best, also, _ := scan.Best(m.Fits)
			rows = append(rows, scanned{m.URL, m.Unit, best.Template, best.Title, best.Sure, best.Because, m.Says, best.Serial, also, append([]scan.Candidate{}, m.Fits...)})
		}
	}
	switch format {
	case "json":
		e := json.NewEncoder(in.stdout)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"data": rows, "configuration": scan.Propose(all)})
	case "csv":
		c := csv.NewWriter(in.stdout)
		c.Write([]string{"url", "unit", "template", "title", "sure", "because", "serial", "also"})
		for _, r := range rows {
			c.Write([]string{r.URL, strconv.Itoa(int(r.Unit)), r.Template, r.Title, string(r.Sure), r.Because, r.Serial, strings.Join(r.Also, " ")})
		}
		c.Flush()
		return c.Error()
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(in.stdout, "nothing found")
		return err
	}
	t := tabwriter.NewWriter(in.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "URL\tUNIT\tTEMPLATE\tSURE\tSERIAL\tNOTE")
	for _, r := range rows {
		note := cmp.Or(r.Because, "it answers, and none of the known meters fits")
		if r.Says != "" {
			note += "; it calls itself " + r.Says
		}
		if len(r.Also) > 0 {
			note += "; the same registers: " + strings.Join(r.Also, ", ")
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", r.URL, r.Unit, dash(r.Template), dash(string(r.Sure)), dash(r.Serial), note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(in.stdout, "\nA configuration with these (save it, then perseus-agent check and probe):\n\n%s", scan.Propose(all))
	return err
}
