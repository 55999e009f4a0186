package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/energy"
)

// measuresGas reports whether a meter that is asked for measures gas.
func measuresGas(c *config.Config, q agent.Query) bool {
	return slices.ContainsFunc(c.Meters, func(m config.Meter) bool {
		return (q.Meter == "" || q.Meter == m.ID) && (q.Measure == 0 || q.Measure == energy.Gas) && slices.Contains(m.Measures(), energy.Gas)
	})
}

// gasNotes are the lines below a table of readings that say by what gas was
// turned into energy, or why it was not; each once, in the order of the rows.
type gasNotes struct {
	lines []string
	has   map[string]bool
}

// add gives the cell of a reading, and notes what stands behind it.
func (n *gasNotes) add(d *agent.Derived) string {
	switch {
	case d == nil:
		return ""
	case d.Problem != "":
		n.note("not known: " + d.Problem)
		return "not known"
	case d.Energy == nil || d.Basis == nil:
		return "-"
	}
	b, mark := d.Basis, ""
	if b.Daily {
		n.note("CV published for the day and zone " + b.Zone + ": " + b.Source)
	} else {
		mark = " (stand-in)"
		n.note("CV (stand-in) since " + b.Since.String() + ": " + b.Source)
	}
	kwh, unit := agent.Shown(d.Energy.Value.String(), d.Energy.UnitCode)
	return fmt.Sprintf("%s %s by CV %s%s, VCF %s", kwh, unit, b.CV, mark, b.VCF)
}

// note keeps a line, up to a number of them that a reader can take in.
func (n *gasNotes) note(line string) {
	if n.has[line] || len(n.lines) == 20 {
		return
	}
	if n.has == nil {
		n.has = map[string]bool{}
	}
	n.has[line] = true
	n.lines = append(n.lines, line)
}

func (n *gasNotes) write(w io.Writer) error {
	for i, line := range n.lines {
		if i == 0 {
			fmt.Fprintln(w, "\nGas as energy: m3 x VCF x CV (MJ/m3) / 3.6 = kWh")
		}
		if _, err := fmt.Fprintln(w, "  "+line); err != nil {
			return err
		}
	}
	return nil
}

// derivedCells are the last columns of a row of readings as CSV: the energy of
// gas and what it was worked out by; all empty for electricity.
func derivedCells(d *agent.Derived) []string {
	cells := make([]string, 10)
	if d == nil {
		return cells
	}
	cells[9] = d.Problem
	if d.Energy != nil {
		cells[0], cells[1] = amountOf(d.Energy)
	}
	if b := d.Basis; b != nil {
		copy(cells[2:], []string{b.Day.String(), b.Zone, b.VCF.String(), b.CV.String(), strconv.FormatBool(b.Daily), b.Since.String(), b.Source})
	}
	return cells
}
