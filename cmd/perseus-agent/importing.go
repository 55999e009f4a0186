package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/store"
)

var importCommand = command{
	name: "import", args: "FILE...", short: "take over half-hourly history from files",
	long: `Takes half-hours from files as suppliers, data collectors and councils send them (CSV layouts and JSON), and says what was taken, what not, and why.
What this gateway read itself is never replaced; a later file corrects an earlier one; importing a file twice changes nothing.`,
	run: func(in *invocation) error {
		file, format := in.configFlag(), in.formatFlag()
		meter := in.String("meter", "", "`METER` of the configuration that the files belong to")
		id := in.String("id", "", "`MPAN` or meter id inside the files, where they hold several")
		label := in.String("label", "", "whether times name the `start` or the end of their half-hour, where a file does not tell: start or end")
		if err := in.parse(1, 1000); err != nil {
			return err
		}
		l, err := web.ParseLabel(*label)
		if err != nil {
			return wrong("--%v", err)
		}
		if err := checkFormat(*format); err != nil {
			return err
		}
		cfg, err := config.Load(*file)
		if err != nil {
			return configProblem(err)
		}
		if *meter == "" {
			return wrong("--meter is missing: say which meter of the configuration the files belong to")
		}
		if _, ok := cfg.Meter(*meter); !ok {
			return wrong("no meter %q in %s", *meter, *file)
		}
		requests := make([]agent.ImportRequest, in.NArg())
		for i, name := range in.Args() {
			data, err := readImport(name)
			if err != nil {
				return err
			}
			requests[i] = agent.ImportRequest{File: filepath.Base(name), Data: data, Meter: *meter, ID: *id, Label: l}
		}
		return importAll(in, cfg, *format, *label, requests)
	},
}

func readImport(name string) ([]byte, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if fi.Size() > agent.MaxImport {
		return nil, fmt.Errorf("%s: larger than %d MiB: split it", name, agent.MaxImport>>20)
	}
	return os.ReadFile(name)
}

// importAll hands the files to the running agent, or writes to the store
// itself. A file that fails does not keep the others from being taken.
func importAll(in *invocation, cfg *config.Config, format, label string, requests []agent.ImportRequest) error {
	var reports []agent.ImportReport
	var broken []error
	each := func(one func(agent.ImportRequest) (agent.ImportReport, error)) error {
		for _, r := range requests {
			rep, err := one(r)
			if err != nil {
				if broken = append(broken, err); len(requests) > 1 {
					fmt.Fprintf(in.stderr, "perseus-agent import: %v\n", err)
				}
				continue
			}
			reports = append(reports, rep)
		}
		return nil
	}
	var err error
	if d := findDaemon(cfg); d != nil {
		err = each(func(r agent.ImportRequest) (rep agent.ImportReport, err error) {
			q := url.Values{"meter": {r.Meter}, "file": {r.File}}
			if r.ID != "" {
				q.Set("id", r.ID)
			}
			if label != "" {
				q.Set("label", label)
			}
			body, err := d.post(context.Background(), "/api/v1/import", q, r.Data)
			if err != nil {
				return rep, err
			}
			defer body.Close()
			return rep, json.NewDecoder(body).Decode(&rep)
		})
	} else {
		log, _ := newLogger(in.stderr, "warn")
		err = withStore(cfg, log, true, func(s *store.Store) error {
			return each(func(r agent.ImportRequest) (agent.ImportReport, error) {
				return agent.ImportFile(s, cfg, r, time.Now().UTC())
			})
		})
	}
	if err == nil {
		err = printReports(in.stdout, format, reports)
	}
	if err == nil && len(broken) == 1 && len(requests) == 1 {
		err = broken[0]
	} else if err == nil && len(broken) > 0 {
		err = fmt.Errorf("%d of %d files could not be taken", len(broken), len(requests))
	}
	return err
}

func printReports(w io.Writer, format string, reports []agent.ImportReport) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"data": append([]agent.ImportReport{}, reports...)})
	case "csv":
		c := csv.NewWriter(w)
		c.Write([]string{"file", "meter", "id", "measure", "from", "to", "found", "taken", "corrected", "same", "kept", "too_old", "energy", "unit", "refused", "respread"})
		for _, r := range reports {
			for _, s := range r.Series {
				c.Write([]string{r.File, r.Meter, r.ID, s.Measure.String(), s.From.Format(time.RFC3339), s.To.Format(time.RFC3339),
					strconv.Itoa(s.Found), strconv.Itoa(s.Taken), strconv.Itoa(s.Corrected), strconv.Itoa(s.Same), strconv.Itoa(s.Kept), strconv.Itoa(s.TooOld), s.Energy, s.UnitCode, s.Refused, strconv.Itoa(s.Respread)})
			}
		}
		c.Flush()
		return c.Error()
	}
	for _, r := range reports {
		fmt.Fprintf(w, "%s: %s, times name the %s of their half-hour", r.File, r.Layout, r.Label)
		if r.ID != "" {
			fmt.Fprintf(w, ", %s", r.ID)
		}
		fmt.Fprintln(w)
		for _, s := range r.Series {
			printSeries(w, r.Meter, s)
		}
		for _, p := range r.Problems {
			fmt.Fprintf(w, "  note: %s\n", p)
		}
	}
	return nil
}

func printSeries(w io.Writer, meter string, s agent.ImportSeries) {
	const day = "2006-01-02 15:04"
	fmt.Fprintf(w, "  %s %s: %s in the file, %s to %s UTC\n", meter, s.Measure, count(s.Found, "half-hour"), s.From.UTC().Format(day), s.To.UTC().Format(day))
	if s.Refused != "" {
		fmt.Fprintf(w, "    not taken: %s\n", s.Refused)
		return
	}
	energy, unit := agent.Shown(s.Energy, s.UnitCode)
	fmt.Fprintf(w, "    taken: %d, %s %s\n", s.Taken+s.Corrected, energy, unit)
	for _, x := range []struct {
		n    int
		text string
	}{
		{s.Corrected, "of them took the place of an earlier import"},
		{s.Same, "were here already"},
		{s.Kept, "not taken: this gateway has its own reading, or a better import"},
		{s.TooOld, "not taken: older than keep_half_hours"},
		{s.Respread, "estimated ones beside them have other values now, so that the gap still sums to what the register advanced"},
	} {
		if x.n > 0 {
			fmt.Fprintf(w, "    %d %s\n", x.n, x.text)
		}
	}
}
