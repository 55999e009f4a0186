package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/web"
)

var findingsCommand = command{
	name: "findings", short: "print what the checks found",
	long: `Prints what the checks V01 to V20 found out about readings and half-hours, in the order in which they did; with --format json
or csv also what to do about it. --from defaults to a week before --to. docs/metering.md explains each check.
Asks the running agent, or opens the store itself when none runs. Times are UTC: 2026-10-01 or 2026-10-01T08:30:00Z.`,
	run: func(in *invocation) error {
		return asking[web.Finding]{
			path: "/api/v1/findings", flags: []string{"meter", "measure", "from", "to"}, table: findingsTable, csv: findingsCSV,
			parse: func(v url.Values) (agent.Query, error) {
				return web.ParseQuery(v, time.Now().UTC(), web.FindingsSpan)
			},
			stored: func(l agent.Ledger, q agent.Query, _ *config.Config) iter.Seq2[web.Finding, error] {
				return web.Findings(l, q)
			},
		}.run(in)
	},
}

func findingsTable(w io.Writer, rows iter.Seq2[web.Finding, error]) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FROM (UTC)\tFOR\tSEVERITY\tCHECK\tMETER\tMEASURE\tWHAT")
	n := 0
	for f, err := range rows {
		if err != nil {
			t.Flush()
			return err
		}
		n++
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", stamp(f.From), dash(lasting(f.To.Sub(f.From))), f.Severity, f.Rule, f.Meter, f.Measure, f.Words())
	}
	if n == 0 {
		fmt.Fprintln(t, "(nothing was found in this time)")
	}
	return t.Flush()
}

// lasting writes for how long a finding holds, to the second; "" for an instant.
func lasting(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return max(d.Round(time.Second), time.Second).String()
}

func findingsCSV(w io.Writer, rows iter.Seq2[web.Finding, error]) error {
	c := csv.NewWriter(w)
	c.Write([]string{"from", "to", "severity", "check", "title", "meter", "measure", "found", "expected", "count", "note", "advice"})
	for f, err := range rows {
		if err != nil {
			c.Flush()
			return err
		}
		c.Write([]string{f.From.UTC().Format(time.RFC3339), f.To.UTC().Format(time.RFC3339), f.Severity.String(), f.Rule, f.Title, f.Meter, f.Measure.String(),
			f.Found, f.Expected, strconv.Itoa(f.Count), f.Note, f.Advice})
	}
	c.Flush()
	return c.Error()
}
