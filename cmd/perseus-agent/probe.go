package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
)

var probeCommand = command{
	name: "probe", short: "read every register once and show what comes",
	long: `Reads every register of the configuration once, and shows the raw bits, the value, how long the answer took, and what looks wrong about it.
Compare the value with the meter's display: the table shows kWh (kvarh, m3), json and csv the exact value in Wh (WHR; K3 is kvarh, MTQ is m3). Stop the running agent first: a bus has one owner.`,
	run: func(in *invocation) error {
		file, format := in.configFlag(), in.formatFlag()
		meter := in.String("meter", "", "only this `METER`")
		anyway := in.Bool("while-running", false, "probe although the agent runs and may be using the same bus")
		if err := in.parse(0, 0); err != nil {
			return err
		}
		if err := checkFormat(*format); err != nil {
			return err
		}
		cfg, err := config.Load(*file)
		if err != nil {
			return configProblem(err)
		}
		if _, ok := cfg.Meter(*meter); *meter != "" && !ok {
			return wrong("no meter %q in %s", *meter, *file)
		}
		if !*anyway && findDaemon(cfg) != nil {
			return errors.New("the agent is running and uses the buses: stop it first, or add --while-running where the meters allow two connections")
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		rows := probe(ctx, cfg, *meter, agent.Drivers())
		if err := printProbe(in.stdout, *format, rows); err != nil {
			return err
		}
		bad := 0
		for _, r := range rows {
			if r.Error != "" {
				bad++
			}
		}
		if bad > 0 {
			return fmt.Errorf("%d of %s could not be read", bad, count(len(rows), "register"))
		}
		return nil
	},
}

// probed is the outcome for one register.
type probed struct {
	Bus      string         `json:"bus"`
	Meter    string         `json:"meter"`
	Measure  energy.Measure `json:"measure"`
	Raw      string         `json:"raw,omitempty"`
	Value    string         `json:"value,omitempty"` // exact decimal in UnitCode
	UnitCode string         `json:"unitCode"`
	Took     string         `json:"took,omitempty"`
	Error    string         `json:"error,omitempty"`
	Looks    string         `json:"looks_wrong,omitempty"`

	base int64
}

// probe asks every meter once, bus after bus.
func probe(ctx context.Context, cfg *config.Config, only string, factories map[string]agent.Factory) []probed {
	var rows []probed
	for _, b := range cfg.Buses {
		meters := cfg.On(b.ID)
		if len(meters) == 0 {
			continue
		}
		poller, err := factories[b.Driver](b, meters, time.Now, slog.New(slog.DiscardHandler))
		for i, m := range meters {
			if only != "" && m.ID != only {
				continue
			}
			var got []drivers.Reading
			perr := err
			if err == nil {
				got, perr = poller.Poll(ctx, i, nil)
			}
			rows = append(rows, probedMeter(b, m, got, perr)...)
		}
		if err == nil {
			poller.Close()
		}
	}
	return rows
}

func probedMeter(b config.Bus, m config.Meter, got []drivers.Reading, err error) []probed {
	rows := make([]probed, len(m.Registers))
	for i, r := range m.Registers {
		rows[i] = probed{Bus: b.ID, Meter: m.ID, Measure: r.Measure, UnitCode: r.Measure.UnitCode(), Error: "not read", base: -1}
		if err != nil {
			rows[i].Error = err.Error()
		}
	}
	for _, g := range got {
		row := &rows[g.Point]
		row.Took = g.Took.Round(100 * time.Microsecond).String()
		if row.Error = ""; g.Err != nil {
			row.Error = g.Err.Error()
			continue
		}
		row.Raw = fmt.Sprintf("0x%X", g.Raw)
		row.base, row.Value = g.Sample.Value, row.Measure.Present(g.Sample.Value)
		row.Looks = suspicious(m.Registers[g.Point], g.Raw, g.Sample.Value)
	}
	for i := range rows {
		for j := range rows[:i] {
			if rows[i].base > 0 && rows[i].base == rows[j].base {
				rows[i].Looks = fmt.Sprintf("the same as %s: is one of the two addresses wrong?", rows[j].Measure)
			}
		}
	}
	return rows
}

// suspicious says what is odd about a total, going by what meters live to count.
func suspicious(r config.Register, raw uint64, v int64) string {
	lifetime := int64(100_000_000_000) // 100 GWh: a large works for years
	if r.MaxPower > 0 {
		lifetime = min(lifetime, r.MaxPower*24*365*30) // more than it can have counted in 30 years
	}
	order := r.Order
	if order == "" {
		order = "ABCD"
	}
	switch {
	case v == 0 && raw != 0:
		return fmt.Sprintf("the bits are not zero, the value is: is order %s right? Meters also use CDAB, BADC and DCBA", order)
	case v == 0 && r.Measure == energy.Import:
		return "zero: is the meter new? else the address or table may be wrong"
	case v > lifetime:
		return fmt.Sprintf("more than such a meter counts in its life: are order %s, type %s and unit %s right?", order, r.Type, r.Unit)
	}
	return ""
}

func printProbe(w io.Writer, format string, rows []probed) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"data": append([]probed{}, rows...)})
	case "csv":
		c := csv.NewWriter(w)
		c.Write([]string{"bus", "meter", "measure", "raw", "value", "unit", "took", "error", "looks_wrong"})
		for _, r := range rows {
			c.Write([]string{r.Bus, r.Meter, r.Measure.String(), r.Raw, r.Value, r.UnitCode, r.Took, r.Error, r.Looks})
		}
		c.Flush()
		return c.Error()
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "METER\tMEASURE\tRAW\tVALUE\tUNIT\tTOOK\tNOTE")
	for i, r := range rows {
		note := first(r.Error, r.Looks)
		if i > 0 && r.Error != "" && r.Error == rows[i-1].Error && r.Meter == rows[i-1].Meter {
			note = "as above"
		}
		value, unit := agent.Shown(r.Value, r.UnitCode)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Meter, r.Measure, dash(r.Raw), value, unit, dash(r.Took), note)
	}
	return t.Flush()
}
