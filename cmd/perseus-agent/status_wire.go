package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/drivers"
)

// printTraffic shows how each meter answers, and what that cost. What is
// worked out of others has no wire.
func printTraffic(w io.Writer, s agent.Status) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	n := 0
	for _, m := range s.Meters {
		if m.Latency == nil && m.Traffic == nil && len(m.Errors) == 0 {
			continue
		}
		if n++; n == 1 {
			fmt.Fprintln(t, "\nMETER\tBUS\tLAST MS\tMEAN MS\t95 % MS\tREQUESTS\tIN\tOUT\tERRORS")
		}
		last, mean, p95, requests, in, out := "-", "-", "-", "-", "-", "-"
		if l := m.Latency; l != nil {
			last, mean, p95 = milliseconds(l.Last), milliseconds(l.Mean), milliseconds(l.P95)
		}
		if tr := m.Traffic; tr != nil {
			requests, in, out = strconv.FormatUint(tr.Requests, 10), agent.Bytes(tr.BytesIn), agent.Bytes(tr.BytesOut)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Bus, last, mean, p95, requests, in, out, dash(agent.ErrorWords(m.Errors)))
	}
	t.Flush()
	fmt.Fprintln(w)
}

// printAlarms shows what the meters that have alarms say of themselves.
func printAlarms(w io.Writer, meters []agent.MeterStatus) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	n := 0
	for _, m := range meters {
		for _, a := range m.Alarms {
			if n++; n == 1 {
				fmt.Fprintln(t, "\nMETER\tALARM\tSTATE\tSINCE (UTC)\tITS READINGS")
			}
			counted := "counted all the same"
			switch {
			case a.State == "on" && a.Severity == "invalid":
				counted = "not counted until it is over"
			case a.State != "on":
				counted = "-"
			}
			fmt.Fprintf(t, "%s\t%s\t%s%s\t%s\t%s\n", m.ID, a.Means, a.State, colon(a.Error), dash(stamp(a.Since)), counted)
		}
	}
	t.Flush()
}

// milliseconds are shown as exactly as they matter.
func milliseconds(ms float64) string {
	if ms < 10 {
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return strconv.FormatFloat(ms, 'f', 0, 64)
}

func printBuses(w io.Writer, buses []agent.BusStatus) {
	for _, b := range buses {
		switch {
		case b.Heard && b.Wire != nil: // it says below what was heard
			fmt.Fprintf(w, "Bus %s: %s\n", b.ID, b.State)
		case b.Heard:
			fmt.Fprintf(w, "Bus %s: %s, %s heard\n", b.ID, b.State, count(int(b.Polls), "message"))
		default:
			fmt.Fprintf(w, "Bus %s: %s, %d polls, asked %.0f %% of the time\n", b.ID, b.State, b.Polls, b.Busy*100)
		}
		if words := agent.WireWords(b); len(words) > 0 {
			fmt.Fprintf(w, "  %s\n", strings.Join(words, ", "))
		}
	}
}

// ago is an age as it matters; "-" for none.
func ago(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	d := time.Duration(*seconds * float64(time.Second))
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func statusCSV(w io.Writer, s agent.Status) error {
	c := csv.NewWriter(w)
	c.Write([]string{"meter", "bus", "state", "measure", "value", "unit", "at", "error", "age_s", "last_ms", "mean_ms", "p95_ms", "requests", "bytes_in", "bytes_out", "errors", "kind", "hint", "since"})
	for _, m := range s.Meters {
		var l agent.Latency
		var tr drivers.Traffic
		if m.Latency != nil {
			l = *m.Latency
		}
		if m.Traffic != nil {
			tr = *m.Traffic
		}
		for _, r := range m.Registers {
			var why drivers.Reason
			age := ""
			if m.Down != nil {
				why = *m.Down
			} else if r.Why != nil {
				why = *r.Why
			}
			if r.Age != nil {
				age = exactly(*r.Age)
			}
			c.Write([]string{
				m.ID, m.Bus, m.State, r.Measure.String(), r.Value, r.UnitCode, stamp(r.At), first(r.Error, m.Error), age,
				exactly(l.Last), exactly(l.Mean), exactly(l.P95), strconv.FormatUint(tr.Requests, 10), strconv.FormatUint(tr.BytesIn, 10), strconv.FormatUint(tr.BytesOut, 10),
				agent.ErrorWords(m.Errors), string(why.Kind), why.Hint, stamp(m.Since),
			})
		}
	}
	c.Flush()
	return c.Error()
}

func exactly(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
