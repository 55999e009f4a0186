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
	"strconv"
	"strings"
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
		if m, ok := cfg.Meter(*meter); *meter != "" && !ok {
			return wrong("no meter %q in %s", *meter, *file)
		} else if m.Virtual != nil {
			return wrong("%s is on no bus: it is %s; probe those", m.ID, m.Virtual.Words())
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
	Value    string         `json:"value,omitempty"`  // exact decimal in UnitCode
	UnitCode string         `json:"unitCode"`         // of the measure; WTT (watt) or D44 (var) for a power
	Serial   string         `json:"serial,omitempty"` // as the meter itself says
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
			of := probedMeter(b, m, got, perr)
			if who, ok := poller.(drivers.Identifier); ok && err == nil {
				identified(m, who.Identity(i), of)
			}
			rows = append(rows, of...)
		}
		if err == nil {
			poller.Close()
		}
	}
	return rows
}

// identified notes the serial number that the meter gave, and whether the
// configuration knows it by another.
func identified(m config.Meter, serial string, rows []probed) {
	for i := range rows {
		rows[i].Serial = serial
	}
	if serial != "" && m.Serial != "" && serial != m.Serial && len(rows) > 0 && rows[0].Looks == "" {
		rows[0].Looks = fmt.Sprintf("the meter says that its serial number is %s, the configuration %s", serial, m.Serial)
	}
}

func probedMeter(b config.Bus, m config.Meter, got []drivers.Reading, err error) []probed {
	rows := make([]probed, len(m.Registers))
	for i, r := range m.Registers {
		rows[i] = probed{Bus: b.ID, Meter: m.ID, Measure: r.Measure, UnitCode: r.Measure.UnitCode(), Error: "not read", base: -1}
		if r.Power {
			rows[i].UnitCode = powerCode(r.Measure)
		}
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
		r := m.Registers[g.Point]
		if r.Power {
			row.Value, row.Looks = strconv.FormatInt(g.Sample.Value, 10), oddPower(r, g.Sample.Value)
			continue
		}
		row.base, row.Value = g.Sample.Value, row.Measure.Present(g.Sample.Value)
		row.Looks = first(suspicious(r, g.Raw, g.Sample.Value), coarse(r, g.Sample.Value))
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

// powerCode is the UN/CEFACT code in which the power of a measure is shown.
func powerCode(m energy.Measure) string {
	if m.BaseUnit() == "varh" {
		return "D44" // var
	}
	return "WTT" // watt
}

// oddPower says what is odd about a power.
func oddPower(r config.Register, v int64) string {
	if max(v, -v) > r.MaxPower {
		return fmt.Sprintf("more than this connection carries: are type %s, order and unit %s right?", r.Type, r.Unit)
	}
	return ""
}

// coarse says when a register's steps are large against what the meter can
// count in a half-hour: a hundredth of a tenth of that, as rule V18 has it.
func coarse(r config.Register, v int64) string {
	step := r.StepAt(v)
	if r.MaxPower <= 0 || step <= max(1, r.MaxPower/2000) {
		return ""
	}
	why := "it counts"
	if r.Mantissa > 0 {
		why = "as a " + r.Type + " it counts"
	}
	return fmt.Sprintf("%s in steps of %s here, and half-hours will be as coarse: is there a finer register?", why, shownStep(step, r.Measure))
}

func shownStep(base int64, m energy.Measure) string {
	if base < 1000 {
		return fmt.Sprintf("%d %s", base, m.BaseUnit())
	}
	return shownAmount(base, m)
}

func printProbe(w io.Writer, format string, rows []probed) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"data": append([]probed{}, rows...)})
	case "csv":
		c := csv.NewWriter(w)
		c.Write([]string{"bus", "meter", "measure", "raw", "value", "unit", "took", "error", "looks_wrong", "serial"})
		for _, r := range rows {
			c.Write([]string{r.Bus, r.Meter, r.Measure.String(), r.Raw, r.Value, r.UnitCode, r.Took, r.Error, r.Looks, r.Serial})
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
		if serial := "serial number " + r.Serial; r.Serial != "" && (i == 0 || r.Meter != rows[i-1].Meter) {
			note = strings.TrimPrefix(note+"; "+serial, "; ")
		}
		value, unit := agent.Shown(r.Value, r.UnitCode)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Meter, r.Measure, dash(r.Raw), value, unit, dash(r.Took), note)
	}
	return t.Flush()
}
