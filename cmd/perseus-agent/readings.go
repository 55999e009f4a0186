package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
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
	"github.com/perseus-edge/perseus-edge/store"
)

var readingsCommand = command{
	name: "readings", short: "print the half-hours that are stored",
	long: `Prints stored half-hours, oldest first. Asks the running agent, or opens the store itself when none runs.
Times are UTC: 2026-10-01 or 2026-10-01T08:30:00Z.`,
	run: func(in *invocation) error {
		file, format := in.configFlag(), in.formatFlag()
		q := url.Values{}
		for _, f := range []struct{ name, help string }{
			{"meter", "only this `METER`"}, {"measure", "only this `MEASURE`: import, export, reactive-import, reactive-export or gas"},
			{"from", "first half-hour at or after this `TIME` (default a day before --to)"}, {"to", "half-hours that start before this `TIME` (default now)"},
		} {
			in.Func(f.name, f.help, func(v string) error { q.Set(f.name, v); return nil })
		}
		if err := in.parse(0, 0); err != nil {
			return err
		}
		if err := checkFormat(*format); err != nil {
			return err
		}
		query, err := web.ParseQuery(q, time.Now().UTC())
		if err != nil {
			return &problem{usage, err}
		}
		cfg, err := config.Load(*file)
		if err != nil {
			return configProblem(err)
		}
		if _, ok := cfg.Meter(query.Meter); query.Meter != "" && !ok {
			return wrong("no meter %q in %s", query.Meter, *file)
		}
		if d := findDaemon(cfg); d != nil {
			body, err := d.get(context.Background(), "/api/v1/readings?"+q.Encode())
			if err != nil {
				return err
			}
			defer body.Close()
			if *format == "json" {
				_, err := io.Copy(in.stdout, body)
				return err
			}
			return printReadings(in.stdout, *format, fromJSON(body))
		}
		log, _ := newLogger(in.stderr, "warn")
		return withStore(cfg, log, false, func(s *store.Store) error {
			return printReadings(in.stdout, *format, agent.Readings(s, query, cfg.Period))
		})
	},
}

// fromJSON reads {"data":[...]} as it comes.
func fromJSON(r io.Reader) iter.Seq2[agent.Reading, error] {
	return func(yield func(agent.Reading, error) bool) {
		d := json.NewDecoder(r)
		for range 3 { // {, "data", [
			if _, err := d.Token(); err != nil {
				yield(agent.Reading{}, fmt.Errorf("the running agent's answer: %w", err))
				return
			}
		}
		for d.More() {
			var x agent.Reading
			if err := d.Decode(&x); err != nil {
				yield(x, fmt.Errorf("the running agent's answer: %w", err))
				return
			}
			if !yield(x, nil) {
				return
			}
		}
		if _, err := d.Token(); err != nil { // ]: else it was cut short
			yield(agent.Reading{}, fmt.Errorf("the running agent's answer was cut short: %w", err))
		}
	}
}

func printReadings(w io.Writer, format string, rows iter.Seq2[agent.Reading, error]) error {
	switch format {
	case "json":
		return readingsJSON(w, rows)
	case "csv":
		return readingsCSV(w, rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FROM (UTC)\tMETER\tMEASURE\tENERGY\tUNIT\tREGISTER\tQUALITY\tRULE")
	n := 0
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
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.From.UTC().Format("2006-01-02 15:04"), x.Meter, x.Measure, energy, unit, cumulative, x.Quality, rule)
		if n%1000 == 0 {
			t.Flush() // a year is long: do not hold it all
		}
	}
	if n == 0 {
		fmt.Fprintln(t, "(no half-hours in this time: try --from)")
	}
	return t.Flush()
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

func readingsJSON(w io.Writer, rows iter.Seq2[agent.Reading, error]) error {
	sep := `{"data":[` + "\n"
	for x, err := range rows {
		if err != nil {
			return err
		}
		b, err := json.Marshal(x)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", sep, b); err != nil {
			return err
		}
		sep = ",\n"
	}
	if sep[0] == '{' {
		io.WriteString(w, sep)
	}
	_, err := io.WriteString(w, "\n]}\n")
	return err
}

func readingsCSV(w io.Writer, rows iter.Seq2[agent.Reading, error]) error {
	c := csv.NewWriter(w)
	c.Write([]string{"meter", "measure", "from", "to", "taken_at", "energy", "unit", "cumulative", "quality", "rule", "samples"})
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
		c.Write([]string{x.Meter, x.Measure.String(), x.From.UTC().Format(time.RFC3339), x.To.UTC().Format(time.RFC3339), taken, energy, unit, cumulative, x.Quality.String(), rule, samples})
	}
	c.Flush()
	return c.Error()
}
