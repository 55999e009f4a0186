package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/drivers"
)

func printProbe(w io.Writer, format string, rows []probed, found []advice) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"data": append([]probed{}, rows...), "advice": append([]advice{}, found...)})
	case "csv":
		c := csv.NewWriter(w)
		c.Write([]string{"bus", "meter", "measure", "raw", "value", "unit", "took", "error", "looks_wrong", "serial", "moved", "apart", "kind", "hint", "vendor", "product", "revision"})
		for _, r := range rows {
			why, m := drivers.Reason{}, maker{}
			if r.Why != nil {
				why = *r.Why
			}
			if r.Maker != nil {
				m = *r.Maker
			}
			c.Write([]string{
				r.Bus, r.Meter, r.Measure.String(), r.Raw, r.Value, r.UnitCode, r.Took, r.Error, r.Looks, r.Serial, r.Moved, r.Apart,
				string(why.Kind), why.Hint, m.Vendor, m.Product, m.Revision,
			})
		}
		c.Flush()
		return c.Error()
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head, twice := "METER\tMEASURE\tRAW\tVALUE\tUNIT\tTOOK\tNOTE", false
	for _, r := range rows {
		twice = twice || r.Moved != ""
	}
	if twice {
		head = "METER\tMEASURE\tRAW\tVALUE\tUNIT\tMOVED\tTOOK\tNOTE"
	}
	fmt.Fprintln(t, head)
	for i, r := range rows {
		note := first(because(r.Why, r.Error), r.Looks)
		if i > 0 && r.Error != "" && r.Error == rows[i-1].Error && r.Meter == rows[i-1].Meter {
			note = "as above"
		}
		if serial := "serial number " + r.Serial; r.Serial != "" && (i == 0 || r.Meter != rows[i-1].Meter) {
			note = strings.TrimPrefix(note+"; "+serial, "; ")
		}
		if r.Maker != nil && (i == 0 || r.Meter != rows[i-1].Meter) {
			note = strings.TrimPrefix(note+"; says that it is "+r.Maker.Says, "; ")
		}
		value, unit := agent.Shown(r.Value, r.UnitCode)
		moved := ""
		if twice {
			moved = dash(r.Moved) + "\t"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s%s\t%s\n", r.Meter, r.Measure, dash(r.Raw), value, unit, moved, dash(r.Took), note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printAdvice(w, found)
}

// printAdvice says what is wrong, then what could not be checked.
func printAdvice(w io.Writer, found []advice) error {
	for _, wrong := range []bool{true, false} {
		for _, a := range found {
			if a.Wrong != wrong {
				continue
			}
			who := "bus " + a.Bus
			if a.Meter != "" {
				who = strings.TrimSpace(a.Meter + " " + a.Measure)
			}
			mark := "note"
			if wrong {
				mark = "WRONG"
			}
			fmt.Fprintf(w, "\n%s  %s: %s\n", mark, who, a.Says)
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, y := range a.Ways {
				note := y.Why
				if y.Likely {
					note = "<- likely"
				}
				fmt.Fprintf(t, "       %s\t%s\t%s\t%s\n", y.Name, dash(y.Value), y.Moved, note)
			}
			if err := t.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}
