package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/web"
)

var readingsCommand = command{
	name: "readings", short: "print the half-hours that are stored",
	long: `Prints stored half-hours, oldest first, with their quality, the rule that decided them and the checks (V01 to V20) that
spoke against them: docs/metering.md says what they mean. --from defaults to a day before --to.
Beside the volume of gas stands its energy, worked out by the calorific value (CV) and the volume correction factor (VCF)
that are named; where no CV was published for the day and zone one stands in, and is marked so.
Asks the running agent, or opens the store itself when none runs. Times are UTC: 2026-10-01 or 2026-10-01T08:30:00Z.`,
	run: func(in *invocation) error {
		gas := false
		return asking[agent.Reading]{
			path: "/api/v1/readings", flags: []string{"meter", "measure", "from", "to"}, csv: readingsCSV,
			table: func(w io.Writer, rows iter.Seq2[agent.Reading, error]) error { return readingsTable(w, rows, gas) },
			known: func(c *config.Config, q agent.Query) { gas = measuresGas(c, q) },
			parse: func(v url.Values) (agent.Query, error) {
				return web.ParseQuery(v, time.Now().UTC(), web.ReadingsSpan)
			},
			stored: func(l agent.Ledger, q agent.Query, c *config.Config) iter.Seq2[agent.Reading, error] {
				as := agent.NewGas(c, func(err error) { fmt.Fprintf(in.stderr, "others stand in: %v\n", err) })
				return as.Readings(l, q, c.Period)
			},
		}.run(in)
	},
}

// readingsTable prints readings, with a column of gas as energy where gas says so.
func readingsTable(w io.Writer, rows iter.Seq2[agent.Reading, error], gas bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "FROM (UTC)\tMETER\tMEASURE\tENERGY\tUNIT\tREGISTER\tQUALITY\tRULE\tCHECKS")
	if gas {
		fmt.Fprint(t, "\tGAS AS ENERGY")
	}
	fmt.Fprintln(t)
	n, notes := 0, gasNotes{}
	for x, err := range rows {
		if err != nil {
			t.Flush()
			return err
		}
		n++
		energy, _ := amountOf(x.Energy)
		energy, unit := agent.Shown(energy, x.Measure.UnitCode())
		cumulative, _ := amountOf(x.Cumulative)
		cumulative, _ = agent.Shown(cumulative, x.Measure.UnitCode())
		rule := ""
		if x.Evidence != nil {
			rule = x.Evidence.Rule
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", x.From.UTC().Format("2006-01-02 15:04"), x.Meter, x.Measure, energy, unit, cumulative, x.Quality, rule,
			strings.Join(x.Flags, " "))
		if gas {
			fmt.Fprint(t, "\t"+notes.add(x.Derived))
		}
		fmt.Fprintln(t)
		if n%1000 == 0 {
			t.Flush() // a year is long: do not hold it all
		}
	}
	if n == 0 {
		fmt.Fprintln(t, "(no half-hours in this time: try --from; the first one is there when the agent has seen a whole one)")
	}
	return errors.Join(t.Flush(), notes.write(w))
}

func amountOf(a *agent.Amount) (value, unit string) {
	if a == nil {
		return "", ""
	}
	return a.Value.String(), a.UnitCode
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func readingsCSV(w io.Writer, rows iter.Seq2[agent.Reading, error]) error {
	c := csv.NewWriter(w)
	c.Write([]string{"meter", "measure", "from", "to", "taken_at", "energy", "unit", "cumulative", "quality", "rule", "samples", "checks",
		"derived", "derived_unit", "gas_day", "zone", "vcf", "cv", "cv_daily", "cv_since", "cv_source", "derived_problem"})
	for x, err := range rows {
		if err != nil {
			c.Flush()
			return err
		}
		energy, unit := amountOf(x.Energy)
		cumulative, _ := amountOf(x.Cumulative)
		taken, rule, samples := "", "", ""
		if x.TakenAt != nil {
			taken = x.TakenAt.UTC().Format(time.RFC3339)
		}
		if x.Evidence != nil {
			rule, samples = x.Evidence.Rule, strconv.Itoa(x.Evidence.Samples)
		}
		c.Write(append([]string{x.Meter, x.Measure.String(), x.From.UTC().Format(time.RFC3339), x.To.UTC().Format(time.RFC3339), taken, energy, unit, cumulative,
			x.Quality.String(), rule, samples, strings.Join(x.Flags, " ")}, derivedCells(x.Derived)...))
	}
	c.Flush()
	return c.Error()
}
